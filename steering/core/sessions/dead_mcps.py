"""Aborts the sessions of MCPs that died (D-6.7.1), a bounded number at each tick.

An MCP may restart so fast that nobody misses it. Then its reports lack the sessions that it had before
(sessions.mcp_reports), and these are aborted in the same way.

Reports do not come over the same network as sessions. If several MCPs report, and the reports of all of them stop, the
network of the reports has failed. Then these MCPs get no new sessions, but their live sessions are left alone. MCPs do not report at the
same moments. So when that network fails or comes back, their reports do not stop or begin again all at once. Therefore an MCP counts as
frozen only if another MCP has reported since its own report was due, and if reports did not begin again a moment ago. At a controller that
has just started, no MCP has reported yet, which is handled in the same way.

If an MCP's process can be asked over the network of sessions (selection.process_proof), its answer decides. A process that answers runs,
even if only its own reports are missing. A process that answered before and does not answer now is frozen, even if no MCP reports.
"""

from collections import deque
from collections.abc import Mapping
from itertools import islice

from steering.core.outputs import Output
from steering.core.part import NEVER, McpsChange, Part
from steering.core.selection.mcp_health import SILENT, McpFault, McpHealth
from steering.core.sessions.abort import AbortedSessions
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.ids import McpId
from steering.model.kept import KeptState, LostPiece
from steering.model.session import Refusal

GRACE = 0.2  # seconds for which a lost link, or a report of not serving, is tolerated
EACH_TICK = 200  # most sessions aborted at one tick, of dead MCPs and of restarted ones
SCAN = 5.0  # seconds between two searches for sessions of a dead MCP
# Most blocks of sessions that are searched at one tick: 77,000 sessions in 4 ms, or in 23 ms if all of them are of dead MCPs.
SEARCHED_EACH_TICK = 300
# Seconds after a time in which nobody reported, for which a silent MCP's sessions are left alone. A relay tries again within
# seven seconds: a request that hangs takes five, and the longest wait is two.
RETURN = 10.0
# Intervals without a report; if another MCP reported after them, reports arrive here. Of an MCP that promised no pace, SILENT
# seconds instead, also after a time in which nobody reported.
MISSED = 2.0
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
        self._wanted: set[McpId] = set()  # MCPs for whose sessions the next search looks
        self._sought: set[McpId] = set()  # those for whose sessions the search looks that is under way
        self._blocks: list[int] = []  # blocks of sessions that it has not searched yet, the next one last
        self._orphans: dict[McpId, deque[int]] = {}  # dead MCP -> its sessions that were not aborted yet
        self._cut_off: dict[int, None] = {}  # sessions that an MCP lost by a restart, in order
        self._frozen: set[McpId] = set()  # MCPs whose reports stopped while those of others came
        self._unheard = -NEVER  # the last time at which none of several MCPs reported

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """Sessions of a removed MCP are aborted like those of a dead MCP, from the next tick on."""
        for number in change.gone:
            self._scans.pop(number, None)
            self._wanted.add(number)
        return []

    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        """A controller starts that knows which MCPs reported before. Relays need a while to reach it."""
        self._unheard = now
        return {}

    def reachable(self, now: float) -> None:
        """The first switch has connected. Before, neither relays nor switches may have reached a controller that starts again."""
        if self._unheard > -NEVER:
            self._unheard = now

    def cut_off(self, session: Session) -> bool:
        """The MCP of a session has lost it by a restart, so the session will be aborted. False if this was known."""
        if session.id in self._cut_off:
            return False
        self._cut_off[session.id] = None
        return True

    def tick(self, now: float) -> list[Output]:
        """Abort some of the sessions."""
        busy = self._scans or self._orphans or self._cut_off or self._aborted.left_alone
        searches = self._wanted or self._blocks
        if not (busy or searches or any(one.fault is not None for one in self._health.values())):
            return []
        left_alone = self._aborted.left_alone = self._left_alone(now)
        for mcp, health in self._health.items():
            if not health.gone or mcp in left_alone:
                self._scans.pop(mcp, None)
                self._orphans.pop(mcp, None)
                self._wanted.discard(mcp)
                self._sought.discard(mcp)
            elif now >= self._scans.setdefault(mcp, now + (GRACE if health.fault in _FLAPPING else 0.0)):
                self._scans[mcp] = now + SCAN
                if mcp not in self._orphans and mcp not in self._sought:
                    self._wanted.add(mcp)
        self._search()
        outputs = self._abort_orphans(now) if self._orphans else []
        for number in list(islice(self._cut_off, EACH_TICK)):
            del self._cut_off[number]
            session = self._table.by_id.get(number)
            if session is not None:
                outputs += self._aborted.abort(session, now, Refusal.MCP_UNREACHABLE, lost=True)
        return outputs

    def _search(self) -> None:
        """Note sessions of dead MCPs that are not being aborted yet. One search is for all MCPs that wait for one, and looks at
        some of the sessions at each tick."""
        if not self._blocks and self._wanted:
            self._sought, self._wanted = self._wanted, set()
            self._blocks = self._table.by_id.blocks()[::-1]
        for _ in range(min(SEARCHED_EACH_TICK, len(self._blocks))):
            for session in self._table.by_id.of_block(self._blocks.pop()):
                if session.mcp in self._sought and not session.ending:
                    self._orphans.setdefault(session.mcp, deque()).append(session.id)
        if not self._blocks:
            self._sought.clear()

    def _abort_orphans(self, now: float) -> list[Output]:
        """Abort sessions of dead MCPs. The MCPs take turns, so that the few sessions of one do not wait for the many of another."""
        outputs: list[Output] = []
        mcps = list(islice(self._orphans, EACH_TICK))
        for mcp in mcps:
            waiting = self._orphans.pop(mcp)
            for _ in range(min(EACH_TICK // len(mcps), len(waiting))):
                session = self._table.by_id.get(waiting.popleft())
                if session is not None and self._aborted.gone(session.mcp):
                    outputs += self._aborted.abort(session, now, Refusal.MCP_UNREACHABLE)
            if waiting:
                self._orphans[mcp] = waiting  # at the end of the line
        return outputs

    def _left_alone(self, now: float) -> set[McpId]:
        """The MCPs whose reports stopped, if this may be the fault of the network of the reports. An MCP that was found frozen
        tells nothing about this network until it reports again."""
        self._frozen = {
            mcp for mcp in self._frozen if mcp in self._health and self._health[mcp].fault is McpFault.FROZEN
        }
        reporting = {
            mcp: health
            for mcp, health in self._health.items()
            if health.reports and health.fault in (None, McpFault.FROZEN) and mcp not in self._frozen
        }
        silent = [mcp for mcp, health in reporting.items() if health.fault is McpFault.FROZEN]
        if len(reporting) > 1 and len(silent) == len(reporting):
            self._unheard = now
        for mcp in silent:
            health = reporting[mcp]
            if health.promises and health.process.answers:
                if health.process.is_missed(now):
                    self._frozen.add(mcp)
                continue
            due = health.reported_at + (MISSED * health.pace if health.promises else SILENT)
            rest = RETURN if health.promises else SILENT
            others = [one.reported_at for number, one in reporting.items() if number != mcp]
            if now >= self._unheard + rest and (not others or max(others) > due):
                self._frozen.add(mcp)
        elsewhere = {
            mcp
            for mcp, health in self._health.items()
            if health.is_left_alone_elsewhere or health.waits_for_switch
        }
        return elsewhere | {mcp for mcp in silent if mcp not in self._frozen}
