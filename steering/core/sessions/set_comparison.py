"""Which sessions are compared with the set of sessions that their MCP has reported, and when. All sessions are looked up, some at
a time."""

from collections.abc import Iterator, Mapping

from steering.core.sessions.mcp_ledger import McpLedger
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.ids import McpId


class SetComparison:
    """The look-up of all sessions of a table. `ledgers`: by MCP; each is told when it was compared with all sessions."""

    def __init__(self, table: SessionTable, ledgers: Mapping[McpId, McpLedger]) -> None:
        self._table = table
        self._ledgers = ledgers
        # The last session that was looked up, None if no look-up was begun; and the youngest one that has to be.
        self._after: int | None = None
        self._until = 0
        self._under_way = False  # some sessions were looked up already
        # The MCPs whose sets this look-up compares with all sessions, and those for which another one has to follow.
        self._comparing: set[McpId] = set()
        self._to_compare: set[McpId] = set()

    def want(self, mcp: McpId) -> None:
        """Look all sessions up, because this MCP's set is complete or its reports go on. A look-up that is under way comes to
        its end first: an MCP that tells its set again and again must not keep the sessions of others from their turn."""
        if self._under_way:
            self._comparing.discard(mcp)
            self._to_compare.add(mcp)
            return
        self._comparing.add(mcp)
        if self._after is None:
            self._begin_looking()

    def sessions(self, most: int) -> Iterator[Session]:
        """The next sessions to look up, at most `most`. The caller has to take all of them."""
        if self._after is None:
            return
        self._under_way = True
        found, self._after = self._table.order.following(self._after, most)
        for session in found:
            if session.id <= self._until:
                yield session
        if self._after is None or self._after >= self._until:
            self._compared()

    def _begin_looking(self) -> None:
        self._after, self._until = 0, self._table.youngest
        if not len(self._table):
            self._compared()

    def _compared(self) -> None:
        """All sessions were looked up."""
        for mcp in self._comparing:
            if mcp in self._ledgers:
                self._ledgers[mcp].compared()
        self._after, self._under_way = None, False
        self._comparing, self._to_compare = self._to_compare, set()
        if self._comparing:
            self._begin_looking()
