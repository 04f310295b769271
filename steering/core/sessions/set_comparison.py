"""Which sessions are compared with the set of sessions that their MCP has reported, and when. All sessions are looked up, some at
a time."""

from collections import deque
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
        self._checking: deque[int] = deque()  # sessions that have to be looked up in a complete set
        self._under_way = False  # some of these were looked up already
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
        if not self._checking:
            self._begin_looking()

    def sessions(self, most: int) -> Iterator[Session]:
        """The next sessions to look up, at most `most`. The caller has to take all of them."""
        for _ in range(min(most, len(self._checking))):
            self._under_way = True
            session = self._table.by_id.get(self._checking.popleft())
            if session is not None:
                yield session
            if not self._checking:
                self._compared()

    def _begin_looking(self) -> None:
        self._checking = deque(self._table.by_id)
        if not self._checking:
            self._compared()

    def _compared(self) -> None:
        """All sessions were looked up."""
        for mcp in self._comparing:
            if mcp in self._ledgers:
                self._ledgers[mcp].compared()
        self._under_way, self._comparing, self._to_compare = False, self._to_compare, set()
        if self._comparing:
            self._begin_looking()
