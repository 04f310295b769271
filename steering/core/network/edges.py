"""Directed edges between switches, and the version of each edge's last change."""

from steering.model.ids import DatapathId, PortNumber

Pair = tuple[DatapathId, DatapathId]  # a directed edge, by its two switches' datapath ids


class Edges:
    """Directed, weighted edges between switches.

    * `out`: switch -> the switches it has an edge to -> weight. `incoming`: the same, for edges to the switch.
    * `ports`: edge -> the port by which the edge leaves its switch.
    * `version`: the number of changes so far.
    """

    __slots__ = ("_changes", "incoming", "out", "ports", "version")

    def __init__(self) -> None:
        self.out: dict[DatapathId, dict[DatapathId, float]] = {}
        self.incoming: dict[DatapathId, dict[DatapathId, float]] = {}
        self.ports: dict[Pair, PortNumber] = {}
        self.version = 0
        self._changes: dict[Pair, int] = {}  # edge -> version of its last change, in that order

    def set(self, a: DatapathId, b: DatapathId, weight: float, port: PortNumber) -> None:
        """Add the edge from `a` to `b`, or change its weight and port. Another port alone is no new version."""
        self.ports[a, b] = port
        if self.out.get(a, {}).get(b) != weight:
            self.out.setdefault(a, {})[b] = self.incoming.setdefault(b, {})[a] = weight
            self._note(a, b)

    def remove(self, a: DatapathId, b: DatapathId) -> None:
        """Remove the edge from `a` to `b`. Its port stays in `ports`."""
        if b in self.out.get(a, ()):
            del self.out[a][b], self.incoming[b][a]
            self._note(a, b)

    def _note(self, a: DatapathId, b: DatapathId) -> None:
        self.version += 1
        self._changes.pop((a, b), None)
        self._changes[a, b] = self.version

    def changed_since(self, version: int) -> list[Pair]:
        """The edges that changed after `version`, the latest change first."""
        changed: list[Pair] = []
        for pair, changed_at in reversed(self._changes.items()):
            if changed_at <= version:
                break
            changed.append(pair)
        return changed

    def copy(self) -> "Edges":
        """A copy with the same versions. Later changes of one do not reach the other."""
        other = Edges()
        other.out = {a: dict(row) for a, row in self.out.items()}
        other.incoming = {b: dict(row) for b, row in self.incoming.items()}
        other.ports = dict(self.ports)
        other._changes, other.version = dict(self._changes), self.version
        return other
