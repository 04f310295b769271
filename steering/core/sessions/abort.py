"""Ending a session that lives: by the operator, or because its MCP is gone (D-6.7.1, T-8). Every end of it is told.

The session's entries become punts, and each end is asked (session_ends). What an end then sends is answered with a reset
that bears exactly the number which the end acknowledges. It is asked again until it says that it has no such connection,
so a reset that was lost, or that a segment under way made worthless, is followed by another.

A host ends its whole MPTCP connection on a reset with MP_FASTCLOSE that bears its own key (RFC 8684 section 3.5). Without
the key its subflows are reset one by one, and its kernel gives the connection up when it finds no other subflow. Where the
MCP lives it does better: a reset of its server leg makes it close the host's side itself, with the right keys, and hosts are
left to it for a moment. Later joins are refused by the token that is remembered.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from steering.core.counters import Abort, Counters
from steering.core.inputs import WatchedSeen
from steering.core.outputs import Output, Release, SendFrame, Steer
from steering.core.part import McpsChange, Part
from steering.core.selection.mcp_health import McpHealth
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.core.sessions.records import Session
from steering.core.sessions.session_ends import (
    ConnectionEnd,
    EndKind,
    EndOutcome,
    EndReport,
    ends_of,
    report_of,
)
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.model.ids import McpId, Token, WaypointId
from steering.model.network import PortRole
from steering.model.policy import Limits, Timers
from steering.model.session import Refusal, SessionState
from steering.wire.craft import fastclose_after, fastclose_for, reset_after, reset_for
from steering.wire.errors import WireError
from steering.wire.segment import Flags

WAIT = 5.0  # seconds in which the ends may answer
# Seconds between questions to one end: the first five, and later ones. Answers to the first may still go by the switch's
# cache, which changes within half a second, and be lost.
SOON, AGAIN = 0.12, 0.6
AT_ONCE = 5
CONFIRM = 0.1  # seconds after a reset, then the end is asked whether its connection is gone
SETTLED = 1.0  # seconds after the last end was told, where one says nothing more (a firewall)
LEFT_TO_MCP = 0.8  # seconds in which a live MCP may end its host's side itself
REMEMBERED = 1_024  # aborts whose outcome can be asked for

_new = tuple.__new__


class AbortReport(NamedTuple):
    """What is known of an abort. `over`: nothing more will be done."""

    session: int
    over: bool
    ends: tuple[EndReport, ...]


class EndingSession:
    """A session whose ends are being told. `lost`: its MCP does not have it any more."""

    __slots__ = ("began", "deadline", "ends", "left_until", "lost", "session", "told", "why")

    def __init__(
        self, session: Session, ends: tuple[ConnectionEnd, ...], why: Refusal, now: float, lost: bool = False
    ) -> None:
        self.session = session
        self.ends = ends
        self.why = why
        self.lost = lost
        self.began = now
        self.deadline = now + WAIT
        self.left_until = 0.0  # hosts are left to the MCP until then
        self.told: Abort | None = None  # the strongest that was said to any end

    def outcome(self) -> Abort:
        if not self.ends:
            return Abort.NO_END
        if self.told is not None:
            return self.told
        return Abort.OVER if all(end.is_closed for end in self.ends) else Abort.SILENT


class AbortedSessions(Part):
    """The sessions that are being ended, and the tokens of those that were. `health` is of each MCP; `inside`: the
    waypoint that leads to an MCP, NO_WAYPOINT for none."""

    def __init__(
        self,
        table: SessionTable,
        teardown: Teardown,
        limits: Limits,
        timers: Timers,
        counters: Counters,
        health: Mapping[McpId, McpHealth],
        inside: Callable[[McpId], WaypointId],
    ) -> None:
        self._table = table
        self._teardown = teardown
        self._most = limits.half_open
        self._linger = timers.session_linger
        self._counters = counters
        self._health = health
        self._inside = inside
        self._pending: dict[int, EndingSession] = {}  # in order of deadlines
        self._ends: dict[FlowKey, tuple[EndingSession, ConnectionEnd]] = {}  # by the flow that the end sends
        self._asks: list[tuple[float, int, EndingSession, ConnectionEnd]] = []  # a heap, by time
        self._number = count()
        self._tokens: dict[int, tuple[float, Refusal]] = {}  # of ended sessions, in order of their time
        self._reports: OrderedDict[int, AbortReport] = OrderedDict()  # of aborts that are over

    def __len__(self) -> int:
        return len(self._pending)

    # ---- beginning ------------------------------------------------------------------------------

    def abort(
        self, session: Session, now: float, why: Refusal = Refusal.ABORTED, lost: bool = False
    ) -> list[Output]:
        """End a session. All its ends are told where that is possible, and its later joins are refused. `lost`: its
        MCP lives, and does not have it any more."""
        if session.id in self._pending:
            return []
        if session.state in (SessionState.SYN_PINNED, SessionState.WITHDRAWN):
            # Its host repeats its SYN, and is told nothing: or it does not concern an MCP.
            return self._finish(EndingSession(session, (), why, now), now)
        outputs = [] if session.unit is None or session.returns else self._teardown.pin(session)
        inside = self._inside(session.mcp)
        for subflow in session.subflows:
            if not subflow.waypoint and inside:
                subflow.lead_to(
                    inside
                )  # what went to the MCP's own address without an entry is shown from now on
        lost = lost or self.gone(session.mcp)
        ending = EndingSession(session, tuple(ends_of(session)), why, now, lost)
        if not ending.ends:
            return outputs + self._finish(ending, now)
        session.begin_ending()
        self._pending[session.id] = ending
        outputs.append(Steer(tuple(session.entries(PortRole.GATEWAY)), None))
        if self._mcp_ends_it(ending):
            ending.left_until = now + LEFT_TO_MCP
        for end in ending.ends:
            self._ends[end.key] = (ending, end)
            if end.kind is EndKind.HOST and now < ending.left_until:
                self._later(ending, end, now + CONFIRM)
            else:
                outputs.append(end.question())
                self._later(ending, end, now + SOON)
        return outputs

    def _mcp_ends_it(self, ending: EndingSession) -> bool:
        """Whether the MCP lives, and does what is not possible here: end its host's whole MPTCP connection."""
        session = ending.session
        has_leg = any(end.subflow is None for end in ending.ends)
        return session.token >= 0 and has_leg and not self._key(session) and not ending.lost

    @staticmethod
    def _key(session: Session) -> bytes:
        """The host's key, empty where it is not known for sure."""
        secrets = session.secrets
        return secrets.host if secrets is not None and secrets.verified and not session.reverse else b""

    def _later(self, ending: EndingSession, end: ConnectionEnd, at: float) -> None:
        end.due = at
        heappush(self._asks, (at, next(self._number), ending, end))

    # ---- what ends say --------------------------------------------------------------------------

    def punted(self, seen: WatchedSeen, now: float) -> list[Output] | None:
        """A segment was punted: what it is answered with. None if it is of no session that is being ended."""
        handshake = seen.handshake
        key = flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport)
        known = self._ends.get(key)
        if known is None:
            return None
        ending, end = known
        if end.subflow is not None and self._table.flows.get(key) is not end.subflow:
            return []  # the host began anew on this 5-tuple
        if handshake.flags & Flags.RST:
            return self._closed(ending, end, now)
        if handshake.flags & Flags.SYN:  # a server listens, and has no such connection
            return [
                SendFrame(seen.dpid, seen.port, reset_for(seen.frame)),
                *self._closed(ending, end, now),
            ]
        if end.kind is EndKind.HOST and now < ending.left_until:
            return []
        try:
            return self._tell(ending, end, seen, now)
        except WireError:
            return []  # it acknowledges nothing: the next segment will do

    def _tell(self, ending: EndingSession, end: ConnectionEnd, seen: WatchedSeen, now: float) -> list[Output]:
        session = ending.session
        key = self._key(session) if end.kind is EndKind.HOST and session.token >= 0 else b""
        if key:
            frame, ending.told = fastclose_for(seen.frame, key), Abort.FASTCLOSE
        else:
            frame, ending.told = reset_for(seen.frame), ending.told or Abort.RESET
        outputs: list[Output] = [SendFrame(seen.dpid, seen.port, frame)]
        first = end.outcome is EndOutcome.ASKED
        end.outcome = EndOutcome.TOLD
        if first and not ending.lost and not self.gone(session.mcp):
            # The MCP holds the other end, and would keep it for long. What came in before this segment has reached it.
            secrets = session.secrets
            after = fastclose_after(seen.frame, secrets.mcp) if key and secrets else reset_after(seen.frame)
            outputs.append(Release(seen.dpid, seen.port, after, end.waypoint, 0, end.role))
        if first or end.due > now + AGAIN / 2:
            self._later(ending, end, now + CONFIRM)
        return outputs

    def _closed(self, ending: EndingSession, end: ConnectionEnd, now: float) -> list[Output]:
        end.outcome = EndOutcome.CLOSED
        return self._finish(ending, now) if all(one.is_closed for one in ending.ends) else []

    # ---- the rest of the program asks -----------------------------------------------------------

    def gone(self, mcp: McpId) -> bool:
        """Whether an MCP is not there now, or is no longer one of the site's (0 is no MCP)."""
        health = self._health.get(mcp)
        return mcp != 0 if health is None else health.fault is not None

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """The site has other MCPs. Sessions of an MCP that is another one now end at once."""
        outputs: list[Output] = []
        for session in [one for one in self._table if one.mcp in change.others]:
            outputs += self.abort(session, now, Refusal.MCP_UNREACHABLE)
        return outputs

    def refusal(self, session: Session) -> Refusal | None:
        """Why a session gets no more subflows: the session is being ended, or its MCP is not there. None if neither
        is so."""
        if self._pending and session.id in self._pending:
            return self._pending[session.id].why
        return Refusal.MCP_UNREACHABLE if self.gone(session.mcp) else None

    def refused(self, token: Token) -> Refusal | None:
        """Why joins with a token that no session owns are refused: the token's session was aborted. None for other
        tokens."""
        known = self._tokens.get(token)
        return known[1] if known else None

    def lost(self, session: Session) -> bool:
        """Whether a session was only beginning when its MCP went, or fell sick. Its next SYN may then begin a new
        session."""
        if session.state is not SessionState.SYN_PINNED:
            return False
        health = self._health.get(session.mcp)
        if self.gone(session.mcp) or health is None:
            return self.gone(session.mcp)
        return health.sick or session.edge in health.sick_at

    def report(self, number: int) -> AbortReport | None:
        """What is known of the abort of a session, by its number; None if there was none, or it is forgotten."""
        ending = self._pending.get(number)
        if ending is not None:
            return AbortReport(number, False, tuple(map(report_of, ending.ends)))
        return self._reports.get(number)

    # ---- the end --------------------------------------------------------------------------------

    def _finish(self, ending: EndingSession, now: float) -> list[Output]:
        session = ending.session
        self._pending.pop(session.id, None)
        for end in ending.ends:
            if self._ends.get(end.key) == (ending, end):
                del self._ends[end.key]
            if end.outcome is EndOutcome.ASKED:
                end.outcome = EndOutcome.SILENT
        self._counters.aborts[ending.outcome()] += 1
        while len(self._reports) >= REMEMBERED:
            self._reports.popitem(last=False)
        self._reports[session.id] = AbortReport(session.id, True, tuple(map(report_of, ending.ends)))
        if self._table.by_id.get(session.id) is not session:
            return []
        if session.token >= 0:
            self._tokens.pop(session.token, None)
            if len(self._tokens) >= self._most:
                del self._tokens[next(iter(self._tokens))]
            self._tokens[session.token] = (now + self._linger, ending.why)
        return self._teardown.end(session)

    def tick(self, now: float) -> list[Output]:
        """Ask again, give up on ends that stayed silent, forget tokens that were remembered long enough."""
        outputs: list[Output] = []
        while self._asks and self._asks[0][0] <= now:
            due, _, ending, end = heappop(self._asks)
            if due == end.due and self._pending.get(ending.session.id) is ending and not end.is_closed:
                if self._is_settled(ending, now):
                    outputs += self._finish(ending, now)
                else:
                    outputs.append(end.question())
                    self._later(ending, end, now + (SOON if end.rounds < AT_ONCE else AGAIN))
        while self._pending:
            ending = next(iter(self._pending.values()))
            if ending.deadline > now:
                break
            outputs += self._finish(ending, now)
        while self._tokens:
            token = next(iter(self._tokens))
            if self._tokens[token][0] > now:
                break
            del self._tokens[token]
        return outputs

    def _is_settled(self, ending: EndingSession, now: float) -> bool:
        """Whether nothing more can be done: all was said, or the session is over by another way."""
        if self._table.by_id.get(ending.session.id) is not ending.session:
            return True
        said = all(end.outcome in (EndOutcome.TOLD, EndOutcome.CLOSED) for end in ending.ends)
        return said and now - ending.began > SETTLED + AGAIN
