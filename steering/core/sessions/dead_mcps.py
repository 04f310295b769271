"""Sessions of MCPs that died (D-6.7.1): they are ended, a bounded number at each tick, and their ends are told.

An MCP that is back before anybody missed it tells so by its reports: what lived there before is not in them
(sessions.mcp_reports), and ends in the same way.

Reports come by another network than sessions. When all of several MCPs that report fall silent, it is that network: then
they get no new sessions, and those that live there are left alone.
"""

from collections import deque
from collections.abc import Mapping
from itertools import islice

from steering.core.outputs import Output
from steering.core.part import McpsChange, Part
from steering.core.selection.mcp_health import McpFault, McpHealth
from steering.core.sessions.abort import AbortedSessions
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.ids import McpId
from steering.model.session import Refusal

GRACE = 0.2  # seconds for which an MCP's port may have no link, or it may say that it does not serve: then it is dead
EACH_TICK = 200  # sessions
SCAN = 5.0  # seconds between two looks for sessions that a dead MCP still has
_FLAPPING = (McpFault.PORT_DOWN, McpFault.SAYS_SO)


class DeadMcps(Part):
    """`health` is of each MCP. Silence is no flapping: it had its time before it was taken for a fault."""

    def __init__(
        self, table: SessionTable, aborted: AbortedSessions, health: Mapping[McpId, McpHealth]
    ) -> None:
        self._table = table
        self._aborted = aborted
        self._health = health
        self._scans: dict[McpId, float] = {}  # MCP that is gone -> when to look for its sessions next
        self._orphans: deque[int] = deque()
        self._cut_off: dict[int, None] = {}  # sessions that an MCP lost when it restarted, in order

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """Sessions of an MCP that the site no longer has end like a dead MCP's, from the next tick on."""
        for number in change.gone:
            self._scans.pop(number, None)
            self._orphans += [session.id for session in self._table if session.mcp == number]
        return []

    def cut_off(self, session: Session) -> bool:
        """The MCP of a session lives, and lost this session when it restarted. Whether that is news."""
        if session.id in self._cut_off:
            return False
        self._cut_off[session.id] = None
        return True

    def tick(self, now: float) -> list[Output]:
        """End some of them."""
        busy = self._scans or self._orphans or self._cut_off
        if not (busy or [one for one in self._health.values() if one.fault is not None]):
            return []
        unheard = self._nobody_reports()
        for mcp, health in self._health.items():
            if not health.gone or (unheard and health.fault is McpFault.FROZEN):
                self._scans.pop(mcp, None)
            elif now >= self._scans.setdefault(mcp, now + (GRACE if health.fault in _FLAPPING else 0.0)):
                self._scans[mcp] = now + SCAN
                self._orphans += [session.id for session in self._table if session.mcp == mcp]
        outputs: list[Output] = []
        for _ in range(min(EACH_TICK, len(self._orphans))):
            session = self._table.by_id.get(self._orphans.popleft())
            if session is not None and self._aborted.gone(session.mcp):
                outputs += self._aborted.abort(session, now, Refusal.MCP_UNREACHABLE)
        for number in list(islice(self._cut_off, EACH_TICK)):
            del self._cut_off[number]
            session = self._table.by_id.get(number)
            if session is not None:
                outputs += self._aborted.abort(session, now, Refusal.MCP_UNREACHABLE, lost=True)
        return outputs

    def _nobody_reports(self) -> bool:
        reporting = [health for health in self._health.values() if health.promises]
        return len(reporting) > 1 and all(health.fault is McpFault.FROZEN for health in reporting)
