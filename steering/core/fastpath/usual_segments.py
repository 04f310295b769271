"""The fast path: handles the usual first SYN, its answer and the usual join in one function each. The handlers
(handshakes.dispatcher) need some twenty functions for the same.

The fast path decides nothing by itself and keeps no state. Each function makes the same checks as the handlers, by the same
methods. As long as all checks have their usual result, the function goes on. At the first unusual result it has changed
nothing yet. Then it gives the segment to the handlers, as if it had come to them first. A property test compares the outputs
of both ways byte by byte (tests/property/fastpath).
"""

from steering.core.admission.authorisation import Authorisation
from steering.core.counters import Counters, JoinResult
from steering.core.handshakes.dispatcher import HandshakeDispatcher
from steering.core.handshakes.early_joins import EarlyJoins
from steering.core.handshakes.new_attempts import NewAttempts, acknowledges_isn
from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.handshakes.room import Room
from steering.core.inputs import SynAckSeen, SynSeen
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output, Release, Steer
from steering.core.proactive.units import ProactiveInsertion
from steering.core.reservations.subflow_slots import Slots
from steering.core.selection.chooser import Chooser, UsualFlow, dscp_of
from steering.core.selection.quotas import quota_keys
from steering.core.sessions.abort import AbortedSessions
from steering.core.sessions.first_answer import FirstAnswers
from steering.core.sessions.flow_key import server_of, split
from steering.core.sessions.shared_parts import Returns
from steering.core.sessions.syn_outcomes import SynOutcomes
from steering.core.sessions.table import SessionTable
from steering.core.sessions.transitions import Beginning, Event, SessionLife
from steering.core.subflow_priority import SubflowPriorities
from steering.model.network import Interception, PortRole
from steering.model.policy import Action, Authentication, Mode
from steering.model.session import EntryKind, SessionState
from steering.model.usual_segment import UsualJoin, UsualSyn, UsualSynAck
from steering.wire.handshake import read_handshake

# Names for members of enums, because every segment reads them (core.sessions.records says why).
ACCESS, GATEWAY = PortRole.ACCESS, PortRole.GATEWAY
INITIAL, JOIN = EntryKind.INITIAL, EntryKind.JOIN
SYN_STEERED, JOINED = Beginning.SYN_STEERED, Event.JOINED
SYN_PINNED, ANSWERED, ESTABLISHED = SessionState.SYN_PINNED, SessionState.ANSWERED, SessionState.ESTABLISHED
HMAC, PROXY, TAKE_OVER, SELF = Authentication.HMAC, Action.PROXY, Mode.TAKE_OVER, Interception.SELF
PINNED = JoinResult.PINNED
_new = tuple.__new__  # makes a NamedTuple without the call of its constructor


class UsualSegments:
    """Handles usual segments. `enabled`: if False, all segments go to the handlers, for negative controls."""

    def __init__(
        self,
        sitemap: SiteMap,
        chooser: Chooser,
        counters: Counters,
        *,
        dispatcher: HandshakeDispatcher,
        in_force: PolicyInForce,
        room: Room,
        table: SessionTable,
        life: SessionLife,
        authorisation: Authorisation,
        proactive: ProactiveInsertion,
        attempts: NewAttempts,
        first_answers: FirstAnswers,
        early: EarlyJoins,
        aborted: AbortedSessions,
        preferring: SubflowPriorities,
        slots: Slots,
        outcomes: SynOutcomes,
        enabled: bool,
    ) -> None:
        self._map = sitemap
        self._chooser = chooser
        self._counters = counters
        self._dispatcher = dispatcher
        self._in_force = in_force
        self._room = room
        self._table = table
        self._life = life
        self._authorisation = authorisation
        self._proactive = proactive
        self._attempts = attempts
        self._first_answers = first_answers
        self._guesses = early.guesses
        self._aborted = aborted
        self._preferring = preferring
        self._slots = slots
        self._outcomes = outcomes
        self._enabled = enabled

    # ---- the first SYN (handshakes.mp_capable) ---------------------------------------------------

    def syn(self, seen: UsualSyn, now: float) -> list[Output]:
        """Steer a first SYN to an MCP, or give it to the handlers."""
        dpid, port, key, isn, version, frame = seen
        table, sitemap = self._table, self._map
        attachment = sitemap.at.get((dpid, port))
        if attachment is None or attachment.role is not ACCESS or key in table.flows or not self._enabled:
            return self._other_syn(seen, now)
        family, src, dst, sport, dport = split(key)
        exits = sitemap.exits_to(dst)
        in_force = self._in_force
        if not exits or dport not in in_force.ports or self._authorisation.asks or self._proactive.units:
            return self._other_syn(seen, now)
        chooser = self._chooser
        flow = _new(UsualFlow, (family, src, dst, sport, dport, version))
        # Usual frames are untagged.
        dscp = frame[15] >> 2 if family == 4 else dscp_of(frame)
        answer = chooser.ask_of(attachment.part, flow, dscp)
        terms = answer.terms
        if (
            terms.mode is not TAKE_OVER
            or terms.action is not PROXY
            or not in_force.mcps_stay
            or terms.terminate_only
            or terms.authentication is HMAC
            or in_force.policy.keep_keys
            or self._room.refusal(attachment, exits, key) is not None
        ):
            return self._other_syn(seen, now)
        entrance = attachment.waypoint.id
        decision = chooser.choose(terms, dpid, exits, flow, table.active, now, entrance)
        winner = decision.winner
        if winner < 0:
            return self._other_syn(seen, now)
        mcp = decision.candidates.all[winner].mcp
        if mcp.interception is SELF:
            return self._other_syn(seen, now)
        ruling, number = chooser.ruling(answer, decision), mcp.id
        allowed = chooser.allowance(answer)
        keys = quota_keys(ruling.counted or table.origin_of(src), ruling.application, dst, dport, number)
        if allowed.limited and table.ledger.full(allowed, keys) is not None:
            return self._other_syn(seen, now)
        # All checks are passed: the session begins.
        chooser.chosen(dpid, number)
        returns: Returns = ()
        if mcp.source_modes.preserves(family):
            outside = sitemap.outside[number].id
            returns = tuple(dict.fromkeys((place.dpid, outside) for place in exits)) if len(exits) > 1 else (
                (exits[0].dpid, outside),
            )  # fmt: skip
        session = self._life.begin(
            SYN_STEERED, number, ruling, now, entrance, key, version, returns, dscp, False, None, decision.loads, keys,
        )  # fmt: skip
        waypoint = sitemap.inside[number].id
        table.begin_subflow(session, INITIAL, key, dpid, ACCESS, waypoint, isn, now, port)
        self._counters.sessions_started += 1
        release = _new(Release, (dpid, port, frame, waypoint, 0, ACCESS))
        return [_new(Steer, (session.entries(GATEWAY), release))]

    def _other_syn(self, seen: UsualSyn | UsualJoin, now: float) -> list[Output]:
        dpid, port, frame = seen.dpid, seen.port, seen.frame
        return self._dispatcher.syn(SynSeen(dpid, port, read_handshake(frame), frame), now)

    # ---- its answer (handshakes.syn_ack, sessions.first_answer) ----------------------------------

    def syn_ack(self, seen: UsualSynAck, now: float) -> list[Output]:
        """Learn a session's token from its MCP's SYN/ACK, or give the SYN/ACK to the handlers."""
        dpid, port, key, ack, version, sender_key, _ = seen
        attachment = self._map.at.get((dpid, port))
        subflow = self._table.flows.get(key)
        if attachment is None or subflow is None or self._attempts.tried or not self._enabled:
            return self._other_syn_ack(seen, now)
        session, course = subflow.session, subflow.course
        if (
            session.state is not SYN_PINNED
            or attachment.role is ACCESS
            or attachment.role is GATEWAY
            or course.waypoint != attachment.waypoint.id
            or course.kind is not INITIAL
            or session.onset.unit is not None
            or not acknowledges_isn(ack, subflow.isn)
        ):
            return self._other_syn_ack(seen, now)
        token = self._first_answers.taught(session, version, sender_key, now)
        outputs: list[Output] = [_new(Steer, (session.entries(GATEWAY), None))]
        waited = self._dispatcher.learnt(token, now)
        return outputs + waited if waited else outputs

    def _other_syn_ack(self, seen: UsualSynAck, now: float) -> list[Output]:
        return self._dispatcher.syn_ack(SynAckSeen(seen.dpid, seen.port, read_handshake(seen.frame)), now)

    # ---- a join (handshakes.mp_join) -------------------------------------------------------------

    def join(self, seen: UsualJoin, now: float) -> list[Output]:
        """Steer a join to its session's MCP, or give it to the handlers."""
        dpid, port, key, isn, token, address_id, backup, frame = seen
        table, sitemap = self._table, self._map
        attachment = sitemap.at.get((dpid, port))
        if attachment is None or attachment.role is not ACCESS or key in table.flows or not self._enabled:
            return self._other_syn(seen, now)
        owners = table.with_mcp_token(token)
        if len(owners) != 1 or self._guesses.bars(key, now) or self._authorisation.asks:
            return self._other_syn(seen, now)
        (session,) = owners
        server = server_of(key)
        if server_of(session.first) != server:
            return self._other_syn(seen, now)  # the join may fit nevertheless (sessions.token_owners)
        state, number, chooser = session.state, session.mcp, self._chooser
        inside = sitemap.inside.get(number)
        answer = chooser.answer_for_all()
        if answer is None:
            flow = _new(UsualFlow, (*split(key), session.onset.version))
            answer = chooser.ask_of(attachment.part, flow, dscp_of(frame))
        ruling = session.ruling
        if (
            inside is None
            or (state is not ESTABLISHED and state is not ANSWERED)
            or sitemap.is_mcp_address(server[:-2])
            or (ruling.terms if ruling else answer.terms).authentication is HMAC
            or self._aborted.refusal(session) is not None
            or self._preferring.refusal(session, attachment.part.name, answer) is not None
            or self._slots.refusal(session, chooser.allowance(answer).subflows) is not None
        ):
            return self._other_syn(seen, now)
        # All checks are passed: the join becomes a subflow.
        waypoint, counters = inside.id, self._counters
        subflow = table.begin_subflow(
            session, JOIN, key, dpid, ACCESS, waypoint, isn, now, port, address_id, backup
        )
        subflow.came_as_join()
        self._outcomes.joins(attachment.waypoint.id, subflow, now)
        session.touch(now)
        counters.joins[PINNED] += 1
        if state is ANSWERED:  # a host that knows the token has got the MCP's answer
            self._life.happened(session, JOINED)
        entry = session.entry(subflow)
        entries = () if entry is None else (entry,)
        return [_new(Steer, (entries, _new(Release, (dpid, port, frame, waypoint, 0, ACCESS))))]
