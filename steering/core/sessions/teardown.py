"""Ends sessions: after FINs of both ends and a linger time, after a reset by the MCP, after long silence, or when the time of a
lingering record is over. Half-open sessions end in `sessions.half_open`.

A FIN counts only if a FIN of the other end belongs to it (`fin_pair`), because anybody can forge a single FIN. A reset from a
host or server removes nothing, because it can be forged, too. A reset that comes in at an MCP's own port is from the MCP: it
ends the subflow, or if it is of the server leg, the session.
"""

from collections import deque
from collections.abc import Callable, Mapping

from steering.core.counters import Counters
from steering.core.inputs import FinSeen, ObservedEntry
from steering.core.outputs import Output, RemoveEntries
from steering.core.part import Part
from steering.core.sessions.fin_pair import BOTH_FINS, HOST_FIN, MCP_FIN, Fin, fin
from steering.core.sessions.flow_key import FlowKey, flow_key, split
from steering.core.sessions.mcp_ledger import McpLedger
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.table import SessionTable
from steering.core.sessions.transitions import Event, SessionLife
from steering.model.ids import McpId
from steering.model.network import PortRole
from steering.model.policy import Policy, Timers
from steering.model.session import EntryKind, SessionState
from steering.wire.segment import Flags

EARLY = 1_024  # most FINs and resets of unknown flows that are kept during recovery; the latest stay
ENDED_EACH_TICK = 1_000  # most closed subflows, and most lingering records, that are ended in one tick
SCANNED_EACH_TICK = 512  # sessions that are examined for silence in one tick: some 2 ms

Pin = Callable[[Session], list[Output]]
AccessOf = Callable[[bytes], str]
_MAY_IDLE = frozenset((SessionState.ESTABLISHED, SessionState.PLAIN))


class Teardown(Part):
    """Ends sessions and subflows.

    `pin` gives exact entries to a session of proactive insertion, and returns the outputs. `access_of` returns the name of an
    address's access network. `ledgers`: by MCP, the sessions that the MCP has reported (sessions.mcp_reports). `recovering`
    returns whether the entries of some switches were not read yet. `knows_all` returns whether all edge switches are
    connected and were read, and no other controller has sessions there. `may_live` returns whether a lingering session may have
    had traffic since a time, on a subflow that is not known here. Negative controls: with `believes` each FIN counts
    whatever its numbers are, without `keeps_idle` silent sessions lose their entries.
    """

    def __init__(
        self,
        table: SessionTable,
        life: SessionLife,
        timers: Timers,
        counters: Counters,
        pin: Pin,
        ledgers: Mapping[McpId, McpLedger],
        access_of: AccessOf,
        believes: bool = False,
        keeps_idle: bool = True,
        recovering: Callable[[], bool] = lambda: False,
        knows_all: Callable[[], bool] = lambda: False,
        may_live: Callable[[Session, float], bool] = lambda session, since: False,
    ) -> None:
        self._table = table
        self._life = life
        self.pin = pin
        self._believes = believes
        self._keeps_idle = keeps_idle
        self._ledgers = ledgers
        self._access_of = access_of
        self.timers = timers
        self._counters = counters
        self._knows_all = knows_all
        self._recovering = recovering
        self._early: deque[tuple[PortRole, FinSeen]] = deque(maxlen=EARLY)
        self._closing: deque[tuple[float, Subflow]] = deque()
        self._legs: dict[FlowKey, Session] = {}  # sessions whose server leg has outlived the initial subflow
        self._may_live = may_live
        # The last session that was examined for silence. None: no scan is under way.
        self._scanned: int | None = None

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        self.timers, self._table.limits = policy.timers, policy.limits
        return []

    def fin(self, role: PortRole, seen: FinSeen, now: float) -> list[Output]:
        """Take a FIN or reset that came in at a port of this role."""
        handshake = seen.handshake
        sent = flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport)
        answered = flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport)
        flows = self._table.flows
        if self._recovering() and self._of(sent, answered) is None:
            self._early.append((role, seen))
            return []
        if handshake.flags & Flags.RST:
            return self._reset(sent, answered, now) if role.is_mcp else []
        one = fin(handshake.seq, seen.payload, handshake.ack)
        if role.is_mcp:
            if (subflow := flows.get(answered)) is not None:
                return self._fin_of(subflow, MCP_FIN, one, now)
            return self._leg_fin_of(sent, MCP_FIN, one, now)
        if (subflow := flows.get(sent)) is not None and subflow.role == role:
            return self._fin_of(subflow, HOST_FIN, one, now)
        return self._leg_fin_of(answered, HOST_FIN, one, now)

    def recovered(self, now: float) -> list[Output]:
        """Take the FINs and resets that came during recovery. They concern sessions that were read back, not new ones."""
        early = [*self._early]
        self._early.clear()
        outputs: list[Output] = []
        for role, seen in early:
            one = seen.handshake
            sent = flow_key(one.src, one.dst, one.sport, one.dport)
            answered = flow_key(one.dst, one.src, one.dport, one.sport)
            session = self._of(sent, answered)
            if session is not None and session.ruling is None:
                outputs += self.fin(role, seen, now)
        return outputs

    def _of(self, sent: FlowKey, answered: FlowKey) -> Session | None:
        """The session of a segment. `sent`: the segment's own flow. `answered`: its reversed flow."""
        subflow = self._table.flows.get(sent) or self._table.flows.get(answered)
        if subflow is not None:
            return subflow.session
        return self._legs.get(sent) or self._legs.get(answered)

    def _fin_of(self, subflow: Subflow, side: int, one: Fin, now: float) -> list[Output]:
        """Take a FIN of one end of a subflow. The subflow is closed if the other end's FIN belongs to it. The MCP's FIN alone
        closes the MCP's end, because only the MCP sends at its port."""
        if subflow.saw_fin(side, one):
            self.heard(subflow.session)
            return self._close(subflow, BOTH_FINS, now)
        if side == MCP_FIN:
            subflow.touch(now)  # from here on it counts what its host still sends (lost_subflows)
        return self._close(subflow, side, now) if side == MCP_FIN or self._believes else []

    def _leg_fin_of(self, first: FlowKey, side: int, one: Fin, now: float) -> list[Output]:
        """Take a FIN of one end of a server leg. `first`: key of the session's initial subflow."""
        session = self._with_leg(first)
        if session is None:
            return []
        if session.saw_leg_fin(side, one):
            return self._close_leg(first, BOTH_FINS, now)
        return self._close_leg(first, side, now) if side == MCP_FIN or self._believes else []

    def _reset(self, sent: FlowKey, answered: FlowKey, now: float) -> list[Output]:
        """Take a reset by the MCP: of a subflow (`answered`), or of the server leg (`sent`) and so of the whole session."""
        subflow = self._table.flows.get(answered)
        if subflow is not None:
            return self._close(subflow, BOTH_FINS, now)
        leg = self._table.flows.get(sent)
        session = leg.session if leg is not None else self._legs.get(sent)
        if session is None or session.first != sent:
            return []
        for other in list(session.subflows):
            self._close(other, BOTH_FINS, now)
        return self._close_leg(sent, BOTH_FINS, now)

    def _close(self, subflow: Subflow, side: int, now: float) -> list[Output]:
        if subflow.close(side):
            session = subflow.session
            self._table.changed[session.id] = None
            self._closing.append((now + self.timers.fin_linger, subflow))
            if all(other.closed == BOTH_FINS for other in session.subflows):
                self._life.happened(session, Event.ALL_CLOSED)
        return []

    def ended_at_mcp(self, session: Session) -> None:
        """The MCP has reported the orderly end of a session. The session closes. Its entries stay, because its last segments
        may be under way."""
        if session.state is not SessionState.LINGER:
            self._table.changed[session.id] = None
            self._life.happened(session, Event.ALL_CLOSED)

    def _close_leg(self, first: FlowKey, side: int, now: float) -> list[Output]:
        session = self._with_leg(first)
        if session is not None and session.close_server_leg(side) and not session.subflows:
            return self.end(session)
        return []

    def _with_leg(self, first: FlowKey) -> Session | None:
        """The session whose server leg has this flow: the flow of its initial subflow, which may be over."""
        subflow = self._table.flows.get(first)
        if subflow is not None and subflow.kind is EntryKind.INITIAL:
            return subflow.session
        return self._legs.get(first)

    def end_subflow(self, subflow: Subflow, now: float) -> list[Output]:
        """End a subflow and remove its entry. With its last subflow the session ends, too, unless joins may still come."""
        session = subflow.session
        entry = session.entry(subflow)
        outputs: list[Output] = [RemoveEntries((entry,))] if entry else []
        self._table.drop_subflow(subflow)
        if session.subflows:
            if subflow.key == session.first:
                self._legs[session.first] = session
            return outputs
        unheard = session.id in self._table.half_open or session.id in self._table.uncounted
        if session.token < 0 or session.server_closed == BOTH_FINS or unheard:
            return outputs + self.end(session)
        # The host may join again: the record and the server leg stay (B42).
        self._legs[session.first] = session
        session.keep_until(now + self.timers.session_linger)
        self._life.happened(session, Event.SUBFLOWS_OVER)
        return outputs

    def end(self, session: Session) -> list[Output]:
        """Remove a whole session, its record and its entries."""
        entries = session.entries(PortRole.GATEWAY)
        self._life.happened(session, Event.OVER)
        if self._legs.get(session.first) is session:
            del self._legs[session.first]
        self._counters.sessions_ended += 1
        return [RemoveEntries(entries)] if entries else []

    def make_room(self) -> list[Output]:
        """Make room for one more record: end the oldest lingering session, or else an idle session of the source that has the
        most."""
        oldest = next(iter(self._table.lingering.values()), None)
        if oldest is not None:
            return self.end(oldest)
        return self._evict(self._table.idle.first_to_go())

    def _evict(self, idle: Session | None) -> list[Output]:
        """End an idle session to make room. Further segments of its host take their natural path."""
        if idle is None:
            return []
        self._counters.idle_pins_evicted[idle.idle_at] += 1
        return self.end(idle)

    def counted(self, observed: list[ObservedEntry], now: float) -> None:
        """Take counters that a sweep has read. A subflow whose packet counter has changed is active."""
        for entry, packets, size in observed:
            subflow = self._table.flows.get(flow_key(entry.src, entry.dst, entry.sport, entry.dport))
            if subflow is not None:
                subflow.count_packets(packets, now)
                session = subflow.session
                if session.state is SessionState.IDLE and subflow.active == now:
                    plain = session.token < 0
                    self._life.happened(session, Event.GOES_ON_PLAIN if plain else Event.GOES_ON)
                elif session.id in self._table.half_open and session.has_counter:
                    if subflow.shows_host(packets, size):
                        self.heard(session)

    def heard(self, session: Session) -> None:
        """The host has sent more than its SYN, so its handshake is complete, even if no copy of the SYN/ACK came. In that case
        the token is not known until the SYN/ACK is repeated or the MCP reports it."""
        self._life.heard(session)

    @property
    def entries_at_most(self) -> int:
        """The approximate number of session entries in all switches: one for each subflow, and one for its return."""
        return 2 * len(self._table.flows)

    def begin_scan(self) -> None:
        """Begin to examine every session once for silence, some at each tick. Called at the begin of a sweep."""
        if self._scanned is None:
            self._scanned = 0

    def tick(self, now: float) -> list[Output]:
        """End subflows and records whose time is over."""
        if self._early and not self._recovering():
            self._early.clear()  # recovery ended without `recovered`: another controller has these switches now
        outputs: list[Output] = []
        for _ in range(min(ENDED_EACH_TICK, len(self._closing))):
            if self._closing[0][0] > now:
                break
            _, subflow = self._closing.popleft()
            if self._table.flows.get(subflow.key) is subflow:
                outputs += self.end_subflow(subflow, now)
        for _ in range(min(ENDED_EACH_TICK, len(self._table.lingering))):
            oldest = next(iter(self._table.lingering.values()))
            if oldest.deadline > now:
                break
            if self._may_live(oldest, now - self.timers.session_linger):
                oldest.keep_until(now + self.timers.session_linger)
                self._table.lingering[oldest.id] = self._table.lingering.pop(oldest.id)
                continue
            outputs += self.end(oldest)
        return outputs + self._scan(now)

    def _scan(self, now: float) -> list[Output]:
        if self._scanned is None:
            return []
        outputs: list[Output] = []
        sessions, self._scanned = self._table.order.following(self._scanned, SCANNED_EACH_TICK)
        for session in sessions:
            if session.active + self.timers.idle <= now and session.id in self._table.by_id:
                outputs += self._silent(session, now)
        return outputs

    def _silent(self, session: Session, now: float) -> list[Output]:
        """Handle a session without activity for the idle limit."""
        if session.state in (SessionState.LINGER, SessionState.IDLE):
            return []
        ledger = self._ledgers.get(session.mcp)
        if ledger is not None and ledger.is_true(now) and ledger.lives(session):
            return []  # the MCP still has the session: a segment after hours must not miss its MCP
        if not session.subflow_count and session.state in _MAY_IDLE and not session.ending:
            # The session was read back from its server leg's entry, and no switch has an entry of a subflow: it is over.
            return self.end(session) if self._knows_all() else []
        if session.unit is not None and not session.returns:
            # The subflows have no entries, so nothing counted their packets. From now on entries do.
            session.touch(now)
            return self.pin(session)
        if self._may_idle(session):
            return self._idle(session)
        return [output for subflow in list(session.subflows) for output in self.end_subflow(subflow, now)]

    def _may_idle(self, session: Session) -> bool:
        pinned = any(subflow.waypoint for subflow in session.subflows)
        return self._keeps_idle and pinned and session.state in _MAY_IDLE

    def _idle(self, session: Session) -> list[Output]:
        """Make a silent session idle, because its ends may still exist. Its entries stay, so that a late segment reaches its
        MCP (D-6.2c). It counts as no load. The number of idle sessions of an access network is bounded."""
        _, src, dst, _, _ = split(session.subflows[0].key)
        access = self._access_of(dst if session.reverse else src)
        session.idles_at(access)
        self._life.happened(session, Event.SILENT)
        idle = self._table.idle
        full = idle.count(access) > self._table.limits.idle_pins
        return self._evict(idle.first_to_go(access)) if full else []
