"""Ending a session whose host has to be told: by the operator, or because its MCP is gone (D-6.7.1, T-8).

A host ends its whole MPTCP connection on one reset with MP_FASTCLOSE, if that bears the host's own key and
exactly the sequence number it expects (RFC 8684 section 3.5). To learn that number, the
session's entries become punts: the next segment of any subflow is answered. Where no key is known, or the
host stays silent, the pins go, and later joins are refused by the token that is remembered.
"""

from collections import deque
from collections.abc import Mapping

from steering.core.counters import Abort, Counters
from steering.core.inputs import WatchedSeen
from steering.core.outputs import Output, Release, SendFrame, Steer
from steering.core.part import McpsChange, Part
from steering.core.selection.mcp_health import McpHealth
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.model.ids import McpId, Token
from steering.model.policy import Limits, Timers
from steering.model.session import Refusal, SessionState, Watch
from steering.wire.craft import fastclose_after, fastclose_for
from steering.wire.errors import WireError

WAIT = 5.0  # seconds for the host to send anything
GRACE = 3.0  # seconds an MCP may be gone before it is dead: a port that flaps ends no session
EACH_TICK = 200  # sessions of dead MCPs
SCAN = 5.0  # seconds between two looks for sessions that a dead MCP still has


class AbortedSessions(Part):
    """The sessions that are being aborted, and the tokens of those that were. `health` is of each MCP: an MCP is
    dead once it has been gone for GRACE seconds without a break."""

    def __init__(
        self,
        table: SessionTable,
        teardown: Teardown,
        limits: Limits,
        timers: Timers,
        counters: Counters,
        health: Mapping[McpId, McpHealth],
    ) -> None:
        self._table = table
        self._teardown = teardown
        self._most = limits.half_open
        self._linger = timers.session_linger
        self._counters = counters
        self._health = health
        self._pending: dict[int, tuple[float, Session, Refusal]] = {}  # in order of deadlines
        self._tokens: dict[int, tuple[float, Refusal]] = {}  # of ended sessions, in order of their time
        self._scans: dict[int, float] = {}  # MCP that is gone -> when to look for its sessions next
        self._orphans: deque[int] = deque()

    def abort(self, session: Session, now: float, why: Refusal = Refusal.ABORTED) -> list[Output]:
        """End a session. Its host is told where that is possible, and its later joins are refused."""
        if session.id in self._pending:
            return []
        secrets = session.secrets
        pinned = [subflow for subflow in session.subflows if subflow.waypoint]
        if secrets is None or not secrets.verified or not pinned:
            return self._end(session, Abort.NO_KEY, why, now)
        self._pending[session.id] = (now + WAIT, session, why)
        for subflow in pinned:
            subflow.watch = Watch.PUNT
        return [Steer(tuple(entry for subflow in pinned if (entry := session.entry(subflow))), None)]

    def punted(self, subflow: Subflow, seen: WatchedSeen, now: float) -> list[Output]:
        """A segment of a session that is being aborted was punted. What the segment acknowledges is the sequence
        number that its host expects."""
        session = subflow.session
        secrets = session.secrets
        pending = self._pending.get(session.id)
        if pending is None or secrets is None:
            return []
        try:
            outputs: list[Output] = [SendFrame(seen.dpid, seen.port, fastclose_for(seen.frame, secrets.host))]
            if not self.gone(session.mcp):
                # The MCP is reset too: it holds the other end, and would keep the server's connection for long.
                frame = fastclose_after(seen.frame, secrets.mcp)
                outputs.append(Release(seen.dpid, seen.port, frame, subflow.waypoint, 0, subflow.role))
        except WireError:
            return []  # a reset, or nothing acknowledged: the next segment will do
        return outputs + self._end(session, Abort.FASTCLOSE, pending[2], now)

    def gone(self, mcp: McpId) -> bool:
        """Whether an MCP is not there now, or is no longer one of the site's (0 is no MCP)."""
        health = self._health.get(mcp)
        return mcp != 0 if health is None else health.gone

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """The site has other MCPs. Sessions of an MCP that is another one now end at once. Sessions of an MCP that
        the site no longer has end like a dead MCP's, from the next tick on."""
        outputs: list[Output] = []
        for session in [one for one in self._table if one.mcp in change.others]:
            outputs += self.abort(session, now, Refusal.MCP_UNREACHABLE)
        for number in change.gone:
            self._scans.pop(number, None)
            self._orphans += [session.id for session in self._table if session.mcp == number]
        return outputs

    def refusal(self, session: Session) -> Refusal | None:
        """Why a session gets no more subflows: the session is being aborted, or its MCP is not there. None if
        neither is so."""
        if self._pending and session.id in self._pending:
            return self._pending[session.id][2]
        return Refusal.MCP_UNREACHABLE if self.gone(session.mcp) else None

    def refused(self, token: Token) -> Refusal | None:
        """Why joins with a token that no session owns are refused: the token's session was aborted. None for other
        tokens."""
        known = self._tokens.get(token)
        return known[1] if known else None

    def _end(self, session: Session, how: Abort, why: Refusal, now: float) -> list[Output]:
        self._pending.pop(session.id, None)
        self._counters.aborts[how] += 1
        if session.token >= 0:
            self._tokens.pop(session.token, None)
            if len(self._tokens) >= self._most:
                del self._tokens[next(iter(self._tokens))]
            self._tokens[session.token] = (now + self._linger, why)
        return self._teardown.end(session)

    def tick(self, now: float) -> list[Output]:
        """Give up on hosts that stayed silent, end sessions of dead MCPs, forget tokens that were remembered long
        enough."""
        outputs: list[Output] = []
        while self._pending:
            deadline, session, why = next(iter(self._pending.values()))
            if deadline > now:
                break
            if self._table.by_id.get(session.id) is session:
                outputs += self._end(session, Abort.SILENT, why, now)
            else:
                del self._pending[session.id]
        while self._tokens:
            token = next(iter(self._tokens))
            if self._tokens[token][0] > now:
                break
            del self._tokens[token]
        return outputs + self._dead(now)

    def _dead(self, now: float) -> list[Output]:
        """The sessions of dead MCPs, a bounded number at each call."""
        for mcp, health in self._health.items():
            if not health.gone:
                self._scans.pop(mcp, None)
            elif now >= self._scans.setdefault(mcp, now + GRACE):
                self._scans[mcp] = now + SCAN
                self._orphans += [session.id for session in self._table if session.mcp == mcp]
        outputs: list[Output] = []
        for _ in range(min(EACH_TICK, len(self._orphans))):
            session = self._table.by_id.get(self._orphans.popleft())
            if session is not None and self.gone(session.mcp):
                outputs += self.abort(session, now, Refusal.MCP_UNREACHABLE)
        return outputs

    def lost(self, session: Session) -> bool:
        """Whether a session was only beginning when its MCP went. Its next SYN may then begin a new session."""
        return session.state is SessionState.SYN_PINNED and self.gone(session.mcp)
