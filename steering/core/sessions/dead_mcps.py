"""Aborts the sessions of MCPs that died (D-6.7.1), a bounded number at each tick.

An MCP may restart so fast that nobody misses it. Then its reports lack the sessions that it had before
(sessions.mcp_reports), and these are aborted in the same way.

Reports do not come over the same network as sessions. If several MCPs report, and the reports of all of them stop, the
network of the reports has failed. Then these MCPs get no new sessions, but their live sessions are left alone.
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

GRACE = 0.2  # seconds for which a lost link, or a report of not serving, is tolerated
EACH_TICK = 200  # most sessions aborted at one tick, of dead MCPs and of restarted ones
SCAN = 5.0  # seconds between two searches for sessions of a dead MCP
_FLAPPING = (McpFault.PORT_DOWN, McpFault.SAYS_SO)


class DeadMcps(Part):
    """Finds dead MCPs by their `health`, and aborts their sessions. GRACE is only for faults that may flap."""

    def __init__(
        self, table: SessionTable, aborted: AbortedSessions, health: Mapping[McpId, McpHealth]
    ) -> None:
        self._table = table
        self._aborted = aborted
        self._health = health
        self._scans: dict[McpId, float] = {}  # MCP that is gone -> time of the next search for its sessions
        self._orphans: deque[int] = deque()  # sessions of dead MCPs
        self._cut_off: dict[int, None] = {}  # sessions that an MCP lost by a restart, in order

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """Sessions of a removed MCP are aborted like those of a dead MCP, from the next tick on."""
        for number in change.gone:
            self._scans.pop(number, None)
            self._orphans += [session.id for session in self._table if session.mcp == number]
        return []

    def cut_off(self, session: Session) -> bool:
        """The MCP of a session has lost it by a restart, so the session will be aborted. False if this was known."""
        if session.id in self._cut_off:
            return False
        self._cut_off[session.id] = None
        return True

    def tick(self, now: float) -> list[Output]:
        """Abort some of the sessions."""
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
