"""How many sessions count as each MCP's load."""

from collections.abc import Iterable, Mapping

from steering.model.ids import McpId


class ActiveSessions(dict[int, int]):
    """MCP id (0: sessions without MCP) -> number of sessions, 0 for an MCP that was never counted.

    The MCPs of the last call of `row` come first in the dictionary, in the order of the call. Thus all loads of a decision
    are copied at once, without a look-up for each MCP.
    """

    def __init__(self, counts: Mapping[int, int] | Iterable[tuple[int, int]] = ()) -> None:
        super().__init__(counts)
        self._order: tuple[McpId, ...] = ()

    def __missing__(self, mcp: int) -> int:
        return 0

    def copy(self) -> "ActiveSessions":
        """An independent copy of the counts."""
        other = ActiveSessions(self)
        other._order = self._order
        return other

    def row(self, mcps: tuple[McpId, ...]) -> tuple[int, ...]:
        """The counts of these MCPs, in this order."""
        if mcps is not self._order:
            self._arrange(mcps)
        counts = tuple(self.values())
        return counts if len(counts) == len(mcps) else counts[: len(mcps)]

    def _arrange(self, mcps: tuple[McpId, ...]) -> None:
        """Put these MCPs first. Tuples that are equal but not identical need no new arrangement, so they are compared."""
        if mcps != self._order:
            others = dict(self)
            self.clear()
            for mcp in mcps:
                self[mcp] = others.pop(mcp, 0)
            self.update(others)
        self._order = mcps
