"""Edges between switches, and when each changed last."""

from steering.model.ids import DatapathId, PortNumber

Pair = tuple[DatapathId, DatapathId]  # a directed edge, by its two switches' datapath ids


class Edges:
    """Directed, weighted edges. `out` and `incoming`: a switch's edges to and from others, with their weights. `ports`:
    by which port an edge leaves its switch. `version` counts changes."""

    __slots__ = ("_changes", "incoming", "out", "ports", "version")

    def __init__(self) -> None:
        self.out: dict[DatapathId, dict[DatapathId, float]] = {}
        self.incoming: dict[DatapathId, dict[DatapathId, float]] = {}
        self.ports: dict[Pair, PortNumber] = {}
        self.version = 0
        self._changes: dict[Pair, int] = {}  # edge -> version of its last change, in that order

    def set(self, a: DatapathId, b: DatapathId, weight: float, port: PortNumber) -> None:
        """There is an edge from `a` to `b`. Another port alone is no change."""
        self.ports[a, b] = port
        if self.out.get(a, {}).get(b) != weight:
            self.out.setdefault(a, {})[b] = self.incoming.setdefault(b, {})[a] = weight
            self._note(a, b)

    def remove(self, a: DatapathId, b: DatapathId) -> None:
        """There is no such edge any more. Its port is remembered."""
        if b in self.out.get(a, ()):
            del self.out[a][b], self.incoming[b][a]
            self._note(a, b)

    def _note(self, a: DatapathId, b: DatapathId) -> None:
        self.version += 1
        self._changes.pop((a, b), None)
        self._changes[a, b] = self.version

    def changed_since(self, version: int) -> list[Pair]:
        """Edges that changed after that version, the last one first."""
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
