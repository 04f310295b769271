"""Aborts a live session, because an operator orders it or its MCP is gone (D-6.7.1, T-8). Every end of the session gets a
reset.

The session's entries are set to send all segments to the controller and to forward none. Each end is asked by a segment that
it has to answer (session_ends). The answer shows the sequence number that the end expects, and the controller sends a reset
with exactly this number. The end is asked again until it shows that it has no such connection. So another reset follows if
one was lost, or came too late because the end had sent more.

A host ends its whole MPTCP connection at a reset with MP_FASTCLOSE that carries its own key (RFC 8684 section 3.5). If the key
is not known, its subflows are reset one by one, and the host's kernel gives up the connection when no subflow is left. If the
MCP lives, a reset of its server leg makes the MCP close the host's side itself, with the right keys. Therefore hosts are left
to the MCP for a moment. The token is remembered, so that later joins are refused.
"""

from collections import OrderedDict, defaultdict
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
from steering.model.session import Refusal, SessionState
from steering.wire.craft import fastclose_after, fastclose_for, reset_after, reset_for
from steering.wire.errors import WireError
from steering.wire.segment import Flags

WAIT = 5.0  # seconds after which an abort is over, whatever the ends have answered
# Seconds between two questions to one end: for the first AT_ONCE questions, and for later ones. Answers to the first questions
# may be lost, because the switch's flow cache is up to half a second behind the new entries.
SOON, AGAIN = 0.12, 0.6
AT_ONCE = 5
CONFIRM = 0.1  # seconds after a reset until the end is asked whether its connection is gone
SETTLED = 1.0  # an abort is over so many seconds (and AGAIN) after its begin, if every end got a reset
LEFT_TO_MCP = 0.8  # seconds in which a live MCP may end the host's side itself
REMEMBERED = 1_024  # most aborts whose outcome is remembered, for each reason

_new = tuple.__new__


class AbortReport(NamedTuple):
    """What is known of an abort. `over`: the controller does nothing more about it."""

    session: int
    over: bool
    ends: tuple[EndReport, ...]


class EndingSession:
    """A session that is being aborted. `lost`: its MCP does not have it any more."""

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
        self.told: Abort | None = None  # FASTCLOSE if any end got MP_FASTCLOSE, else RESET if any got a reset

    def outcome(self) -> Abort:
        if not self.ends:
            return Abort.NO_END
        if self.told is not None:
            return self.told
        return Abort.OVER if all(end.is_closed for end in self.ends) else Abort.SILENT


class AbortedSessions(Part):
    """The sessions that are being aborted, and the tokens of sessions that were aborted. `health`: of each MCP. `inside`
    returns the waypoint of an MCP's inside port, NO_WAYPOINT for an unknown MCP."""

    def __init__(
        self,
        table: SessionTable,
        teardown: Teardown,
        counters: Counters,
        health: Mapping[McpId, McpHealth],
        inside: Callable[[McpId], WaypointId],
    ) -> None:
        self._table = table
        self._teardown = teardown
        self._counters = counters
        self._health = health
        self._inside = inside
        self._pending: dict[int, EndingSession] = {}  # in order of deadlines
        self._ends: dict[FlowKey, tuple[EndingSession, ConnectionEnd]] = {}  # by the flow that the end sends
        self._asks: list[tuple[float, int, EndingSession, ConnectionEnd]] = []  # a heap, by time
        self._number = count()
        self._tokens: dict[int, tuple[float, Refusal]] = {}  # of aborted sessions, by deadline
        # Aborts that are over, by reason: an operator who waits for one learns of it also when an MCP with many sessions dies.
        self._reports: defaultdict[Refusal, OrderedDict[int, AbortReport]] = defaultdict(OrderedDict)
        # MCPs that are gone because nobody reports any more (sessions.dead_mcps): their live sessions go on.
        self.left_alone: set[McpId] = set()

    def __len__(self) -> int:
        return len(self._pending)

    # ---- beginning ------------------------------------------------------------------------------

    def abort(
        self, session: Session, now: float, why: Refusal = Refusal.ABORTED, lost: bool = False
    ) -> list[Output]:
        """Abort a session. All its ends get resets if possible, and its later joins are refused. `why`: the reason for
        these refusals. `lost`: its MCP lives, but does not have the session any more."""
        if session.id in self._pending:
            return []
        if session.state in (SessionState.SYN_PINNED, SessionState.WITHDRAWN):
            # A host whose SYN has no answer yet repeats it, so it needs no reset. A withdrawn session has no MCP.
            return self._finish(EndingSession(session, (), why, now), now)
        outputs = [] if session.unit is None or session.returns else self._teardown.pin(session)
        inside = self._inside(session.mcp)
        for subflow in session.subflows:
            if not subflow.waypoint and inside:
                # Until now the subflow went to the MCP's own address without an entry. An entry has to show its segments.
                subflow.lead_to(inside)
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
        """Whether the MCP lives and can end the host's whole MPTCP connection, which the controller cannot do here."""
        session = ending.session
        has_leg = any(end.subflow is None for end in ending.ends)
        return session.token >= 0 and has_leg and not self._key(session) and not ending.lost

    @staticmethod
    def _key(session: Session) -> bytes:
        """The host's key, b"" if no verified key is known."""
        secrets = session.secrets
        return secrets.host if secrets is not None and secrets.verified and not session.reverse else b""

    def _later(self, ending: EndingSession, end: ConnectionEnd, at: float) -> None:
        end.due = at
        heappush(self._asks, (at, next(self._number), ending, end))

    # ---- answers of ends ------------------------------------------------------------------------

    def punted(self, seen: WatchedSeen, now: float) -> list[Output] | None:
        """The answer to a segment of a session that is being aborted. None if the segment belongs to no such session."""
        handshake = seen.handshake
        key = flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport)
        known = self._ends.get(key)
        if known is None:
            return None
        ending, end = known
        if end.subflow is not None and self._table.flows.get(key) is not end.subflow:
            return []  # the host has begun a new connection on this 5-tuple
        if handshake.flags & Flags.RST:
            return self._closed(ending, end, now)
        if handshake.flags & Flags.SYN:  # a SYN/ACK: the server listens, and has no such connection
            return [
                SendFrame(seen.dpid, seen.port, reset_for(seen.frame)),
                *self._closed(ending, end, now),
            ]
        if end.kind is EndKind.HOST and now < ending.left_until:
            return []
        try:
            return self._tell(ending, end, seen, now)
        except WireError:
            return []  # the segment acknowledges nothing: the next one will

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
            # The MCP has the other end of this connection, and would keep it for long. So the MCP gets a reset, too.
            secrets = session.secrets
            after = fastclose_after(seen.frame, secrets.mcp) if key and secrets else reset_after(seen.frame)
            outputs.append(Release(seen.dpid, seen.port, after, end.waypoint, 0, end.role))
        if first or end.due > now + AGAIN / 2:
            self._later(ending, end, now + CONFIRM)
        return outputs

    def _closed(self, ending: EndingSession, end: ConnectionEnd, now: float) -> list[Output]:
        end.outcome = EndOutcome.CLOSED
        return self._finish(ending, now) if all(one.is_closed for one in ending.ends) else []

    # ---- queries --------------------------------------------------------------------------------

    def gone(self, mcp: McpId) -> bool:
        """Whether an MCP is gone, or was removed from the site. False for 0 (no MCP)."""
        health = self._health.get(mcp)
        return mcp != 0 if health is None else health.fault is not None

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """The site has other MCPs. Sessions of a replaced MCP are aborted at once."""
        if not change.others:
            return []  # the usual case, in which no session has to be looked at
        outputs: list[Output] = []
        for session in [one for one in self._table if one.mcp in change.others]:
            outputs += self.abort(session, now, Refusal.MCP_UNREACHABLE)
        return outputs

    def refusal(self, session: Session) -> Refusal | None:
        """Why a session gets no more subflows: it is being aborted, or its MCP is gone. None if neither is true."""
        if self._pending and session.id in self._pending:
            return self._pending[session.id].why
        if session.mcp in self.left_alone:
            return None
        return Refusal.MCP_UNREACHABLE if self.gone(session.mcp) else None

    def refused(self, token: Token) -> Refusal | None:
        """Why joins with the token of an aborted session are refused. None for any other token."""
        known = self._tokens.get(token)
        return known[1] if known else None

    def lost(self, session: Session) -> bool:
        """Whether a session had no answer yet when its MCP went or fell sick. Its next SYN may then begin a new session."""
        if session.state is not SessionState.SYN_PINNED:
            return False
        health = self._health.get(session.mcp)
        if self.gone(session.mcp) or health is None:
            return self.gone(session.mcp)
        return health.sick or session.entrance in health.sick_at

    def report(self, number: int) -> AbortReport | None:
        """What is known of the abort of session `number`. None if there was none, or if it is forgotten."""
        ending = self._pending.get(number)
        if ending is not None:
            return AbortReport(number, False, tuple(map(report_of, ending.ends)))
        found = (reports.get(number) for reports in self._reports.values())
        return next((report for report in found if report is not None), None)

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
        reports = self._reports[ending.why]
        while len(reports) >= REMEMBERED:
            reports.popitem(last=False)
        reports[session.id] = AbortReport(session.id, True, tuple(map(report_of, ending.ends)))
        if self._table.by_id.get(session.id) is not session:
            return []
        if session.token >= 0:
            self._tokens.pop(session.token, None)
            if len(self._tokens) >= self._table.limits.half_open:
                del self._tokens[next(iter(self._tokens))]
            self._tokens[session.token] = (now + self._teardown.timers.session_linger, ending.why)
        return self._teardown.end(session)

    def tick(self, now: float) -> list[Output]:
        """Ask ends again, finish aborts whose time is over, and forget tokens whose time is over."""
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
        """Whether nothing more can be done: all ends got their resets, or the session has ended in another way."""
        if self._table.by_id.get(ending.session.id) is not ending.session:
            return True
        said = all(end.outcome in (EndOutcome.TOLD, EndOutcome.CLOSED) for end in ending.ends)
        return said and now - ending.began > SETTLED + AGAIN
