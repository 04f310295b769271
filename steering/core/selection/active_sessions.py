"""How many sessions count as each MCP's load."""

from collections.abc import Iterable, Mapping

from steering.model.ids import McpId


class ActiveSessions(dict[int, int]):
    """MCP id (0: none) -> sessions, 0 for whoever was never counted.

    The MCPs of the last question stand first and in its order: all loads of a decision are then copied at once, without
    a look-up for each MCP.
    """

    def __init__(self, counts: Mapping[int, int] | Iterable[tuple[int, int]] = ()) -> None:
        super().__init__(counts)
        self._order: tuple[McpId, ...] = ()

    def __missing__(self, mcp: int) -> int:
        return 0

    def copy(self) -> "ActiveSessions":
        """A copy of the counts, which later changes do not reach."""
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
        """Put these MCPs first. Equal questions are rarely one object, so they are compared before."""
        if mcps != self._order:
            others = dict(self)
            self.clear()
            for mcp in mcps:
                self[mcp] = others.pop(mcp, 0)
            self.update(others)
        self._order = mcps
