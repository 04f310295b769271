"""Later subflows (MP_JOIN): the token names the session of a join, and the join is steered to the MCP of this session
(D-6.2c).
"""

from steering.core.admission.authorisation import Authorisation
from steering.core.counters import Counters, JoinResult
from steering.core.handshakes.early_joins import EarlyJoins
from steering.core.handshakes.join_destination import Destination
from steering.core.handshakes.native_mptcp import NativeSessions
from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.handshakes.replies import Replies
from steering.core.inputs import SynSeen
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Output, Steer, naturally, steered
from steering.core.reservations.subflow_slots import Slots
from steering.core.selection.chooser import Chooser
from steering.core.selection.rulebook import RuleMatch
from steering.core.sessions.abort import AbortedSessions
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.join_authentication import KeyWatch
from steering.core.sessions.lost_subflows import LostSubflows
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.syn_outcomes import SynOutcomes
from steering.core.sessions.table import SessionTable
from steering.core.sessions.token_owners import JoinDestinations, narrow
from steering.core.sessions.transitions import Event, SessionLife
from steering.core.subflow_priority import SubflowPriorities
from steering.model.ids import NO_WAYPOINT, WaypointId, read_token
from steering.model.network import PortRole
from steering.model.policy import Authentication
from steering.model.session import EntryKind, Refusal, SessionState
from steering.wire.mptcp import ResetReason

# Names for members of enums, because every join reads them (core.sessions.records says why).
GATEWAY, JOIN, HMAC = PortRole.GATEWAY, EntryKind.JOIN, Authentication.HMAC
ANSWERED, ESTABLISHED = SessionState.ANSWERED, SessionState.ESTABLISHED
_new = tuple.__new__
PINNED, OWN_ADDRESS = JoinResult.PINNED, JoinResult.OWN_ADDRESS


class JoinHandler:
    """Finds the session of a join by its token, checks whether the session may have one more subflow, and steers the join
    to the session's MCP."""

    def __init__(
        self,
        sitemap: SiteMap,
        chooser: Chooser,
        counters: Counters,
        *,
        in_force: PolicyInForce,
        replies: Replies,
        table: SessionTable,
        life: SessionLife,
        lost: LostSubflows,
        natives: NativeSessions,
        aborted: AbortedSessions,
        early: EarlyJoins,
        authorisation: Authorisation,
        preferring: SubflowPriorities,
        slots: Slots,
        keys: KeyWatch,
        outcomes: SynOutcomes,
        destination: Destination,
        destinations: JoinDestinations,
    ) -> None:
        self._map = sitemap
        self._chooser = chooser
        self._counters = counters
        self._in_force = in_force
        self._replies = replies
        self._table = table
        self._life = life
        self._lost = lost
        self._natives = natives
        self._aborted = aborted
        self._early = early
        self._guesses = early.guesses
        self._authorisation = authorisation
        self._preferring = preferring
        self._slots = slots
        self._keys = keys
        self._outcomes = outcomes
        self._destination = destination
        self._destinations = destinations

    def seen(self, attachment: Attachment, seen: SynSeen, key: FlowKey, now: float) -> list[Output]:
        token = read_token(seen.handshake.token, "big")
        if attachment.role is GATEWAY and not self._in_force.policy.third_party_pooling:
            return self._deny(seen, Refusal.THIRD_PARTY)
        if self._guesses.bars(key, now):
            return self._early.barred()
        owners = self._destinations.fitting(self._table.with_mcp_token(token), seen.handshake)
        if not owners:
            if self._natives.owns(token):
                return self._replies.leave(attachment, seen)
            refusal = self._aborted.refused(token)
            if refusal is not None:
                return self._deny(seen, refusal)
            return self._early.came(attachment, seen, token, now)
        if len(owners) > 1:
            owners = narrow(owners, seen.handshake)
        if len(owners) != 1:
            return self._deny(seen, Refusal.AMBIGUOUS_TOKEN)
        return self._pin(attachment, seen, key, owners[0], now)

    def _refusal(
        self, attachment: Attachment, seen: SynSeen, session: Session, answer: RuleMatch
    ) -> Refusal | None:
        """Why a session gets no further subflow from this attachment now, None if it may. Either the session is over, or a
        list or the policy denies the join."""
        refusal = self._aborted.refusal(session)
        if refusal is None and self._authorisation.asks:
            refusal = self._authorisation.listed(attachment, seen)
        return self._preferring.refusal(session, attachment.name, answer) if refusal is None else refusal

    def _deny(self, seen: SynSeen, reason: Refusal) -> list[Output]:
        """Refuse a join for good: the host should not try again."""
        self._counters.joins[JoinResult.REFUSED] += 1
        self._counters.refusals[reason] += 1
        return self._replies.refuse(seen, ResetReason.ADMINISTRATIVELY_PROHIBITED)

    def _deny_for_now(self, seen: SynSeen, reason: Refusal) -> list[Output]:
        """Refuse a join for lack of room: the host may try again."""
        self._counters.joins[JoinResult.REFUSED] += 1
        self._counters.refusals[reason] += 1
        return self._replies.refuse(seen, ResetReason.LACK_OF_RESOURCES, transient=True)

    def _pin(
        self, attachment: Attachment, seen: SynSeen, key: FlowKey, session: Session, now: float
    ) -> list[Output]:
        """Steer a join to the MCP of its session (D-6.2c), or refuse it."""
        handshake = seen.handshake
        answer = self._chooser.ask_join(attachment, handshake, session.onset.version, seen.frame)
        refusal = self._refusal(attachment, seen, session, answer)
        if refusal is not None:
            return self._deny(seen, refusal)
        allowed = self._chooser.allowance(answer).subflows
        freed: list[Output] = []
        over = self._slots.refusal(session, allowed)
        if over is not None:
            freed = self._lost.free_slot(session, key, handshake.address_id, now)
            over = self._slots.refusal(session, allowed)  # one that had no entry is freed without an output
        if over is not None:
            if asked := self._lost.ask(session, key, now):
                return [*freed, *asked]  # its host sends it again
            self._counters.full(over[1])
            return [*freed, *self._deny_for_now(seen, over[0])]
        owner = self._map.mcp_addresses.get(handshake.dst)
        if owner is not None and owner.id != session.mcp:
            return [*freed, *self._deny(seen, Refusal.WRONG_MCP_ADDRESS)]
        inside = self._destination.waypoint(session)
        if not inside:
            return [*freed, *self._deny(seen, Refusal.MCP_UNREACHABLE)]
        terms = session.ruling.terms if session.ruling else answer.terms
        proving = terms.authentication is HMAC
        if proving and not self._keys.has_room():
            return [*freed, *self._deny_for_now(seen, Refusal.HALF_OPEN_FULL)]
        # A join to the MCP's own address needs no entry, unless its segments have to be watched.
        waypoint = inside if owner is None or proving else NO_WAYPOINT
        begun = self._begin(attachment, seen, key, session, waypoint, proving, now)
        return freed + begun if freed else begun

    def _begin(
        self, attachment: Attachment, seen: SynSeen, key: FlowKey, session: Session, waypoint: WaypointId,
        proving: bool, now: float,
    ) -> list[Output]:  # fmt: skip
        """The join becomes a subflow of its session."""
        handshake = seen.handshake
        subflow = self._table.begin_subflow(
            session, JOIN, key, seen.dpid, attachment.role, waypoint, handshake.seq, now, seen.port,
            handshake.address_id, handshake.backup,
        )  # fmt: skip
        subflow.came_as_join()
        self._outcomes.joins(attachment.waypoint.id, subflow, now)
        session.touch(now)
        if proving and session.secrets is not None:
            self._keys.challenge(subflow, seen, now)
        else:
            self._counters.joins[PINNED if waypoint else OWN_ADDRESS] += 1
            if proving:
                self._counters.joins[JoinResult.TOKEN_ONLY] += 1
        if session.state is ANSWERED:  # a host that knows the token has got the MCP's answer
            self._life.happened(session, Event.JOINED)
        elif session.state is not ESTABLISHED:
            return self._revive(attachment, seen, session, subflow)
        entry = session.entry(subflow)
        if entry is None:
            return [naturally(attachment, seen)]
        return [_new(Steer, ((entry,), steered(attachment, seen, waypoint)))]

    def _revive(
        self, attachment: Attachment, seen: SynSeen, session: Session, subflow: Subflow
    ) -> list[Output]:
        """Bring a session back whose entries are gone and whose record has stayed. A host may join again after all its
        subflows died (B42)."""
        self._life.happened(session, Event.JOINED)
        entries = session.entries(GATEWAY)
        if not subflow.waypoint:
            return [Steer(entries, None), naturally(attachment, seen)]
        return [Steer(entries, steered(attachment, seen, subflow.waypoint))]
