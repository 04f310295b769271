"""Later subflows (MP_JOIN): whose each is by its token, and that it comes to exactly the MCP of its session (D-6.2c)."""

from typing import Protocol

from steering.core.admission.authorisation import Authorising
from steering.core.counters import Counters, JoinResult
from steering.core.handshakes.native_mptcp import Natives
from steering.core.handshakes.unknown_token_block import Strays
from steering.core.inputs import SynSeen
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Output, Steer, naturally, steered
from steering.core.reservations.subflow_slots import Slots
from steering.core.selection.chooser import Chooser
from steering.core.sessions.abort import AbortedSessions
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.join_authentication import KeyWatch
from steering.core.sessions.pending_joins import Held
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.core.sessions.token_owners import narrow
from steering.core.sessions.transitions import Event, SessionLife
from steering.core.subflow_priority import Preferring
from steering.model.mechanism import Mechanism
from steering.model.network import PortRole
from steering.model.policy import Authentication, Policy, UnknownJoin
from steering.model.session import EntryKind, Refusal, SessionState
from steering.wire.mptcp import ResetReason

# By names of their own, as every join asks for them (core.sessions says why).
GATEWAY, JOIN, HMAC = PortRole.GATEWAY, EntryKind.JOIN, Authentication.HMAC
ESTABLISHED = SessionState.ESTABLISHED
_new = tuple.__new__
PINNED, OWN_ADDRESS = JoinResult.PINNED, JoinResult.OWN_ADDRESS


class Known(Protocol):
    """What of core.pinning is needed here."""

    policy: Policy
    table: SessionTable
    life: SessionLife
    ending: Teardown
    natives: Natives
    aborting: AbortedSessions
    held: Held
    strays: Strays
    authorising: Authorising
    preferring: Preferring
    slots: Slots
    keys: KeyWatch
    recovering: bool

    def capable(self, attachment: Attachment, seen: SynSeen, key: FlowKey, now: float) -> list[Output]:
        """What a first SYN becomes."""

    def leave(self, attachment: Attachment, seen: SynSeen) -> list[Output]:
        """The natural way of what is not ours to steer."""

    def refuse(self, seen: SynSeen, reason: ResetReason, transient: bool = False) -> list[Output]:
        """A reset that tells the host why."""


class Joining:
    """`disabled` names mechanisms that are off for negative controls."""

    def __init__(
        self,
        known: Known,
        sitemap: SiteMap,
        chooser: Chooser,
        counters: Counters,
        disabled: frozenset[Mechanism],
    ) -> None:
        self._known = known
        self._map = sitemap
        self._chooser = chooser
        self._counters = counters
        self._disabled = disabled

    def joined(self, attachment: Attachment, seen: SynSeen, key: FlowKey, now: float) -> list[Output]:
        known = self._known
        token = int.from_bytes(seen.handshake.token, "big")
        if Mechanism.TOKEN_LOOKUP in self._disabled:
            return known.capable(attachment, seen, key, now)
        if attachment.role is GATEWAY and not known.policy.third_party_pooling:
            return self._deny(seen, Refusal.THIRD_PARTY)
        owners = known.table.with_token(token)
        if not owners:
            if known.natives.owns(token):
                return known.leave(attachment, seen)
            refusal = known.aborting.refused(token)
            if refusal is not None:
                return self._deny(seen, refusal)
            return self._early(attachment, seen, token, now)
        if len(owners) > 1:
            owners = narrow(owners, seen.handshake)
        if len(owners) != 1:
            return self._deny(seen, Refusal.AMBIGUOUS_TOKEN)
        return self._pin(attachment, seen, key, owners[0], now)

    def _early(self, attachment: Attachment, seen: SynSeen, token: int, now: float) -> list[Output]:
        """The token may be a packet away (G5): hold. Forwarding it would end the subflow for good."""
        known = self._known
        if Mechanism.HOLD_QUEUE in self._disabled:
            return [naturally(attachment, seen)]
        if known.recovering:
            self._count_refused(Refusal.RECOVERING)
            return []  # in silence: a moment later the token may be known again
        if not known.held.add(token, attachment, seen, now):
            self._count_refused(Refusal.HOLD_QUEUE_FULL)
            return []
        self._counters.joins[JoinResult.HELD] += 1
        return []

    def expire_held(self, now: float) -> list[Output]:
        """Held joins whose token never came: dropped in silence, or reset where the policy says so."""
        known = self._known
        outputs: list[Output] = []
        for seen in known.held.expire(now):
            self._count_refused(Refusal.UNKNOWN_TOKEN)
            if Mechanism.STRAY_DROP not in self._disabled:
                outputs += known.strays.block(seen, now)
            if known.policy.unknown_join is UnknownJoin.RESET:
                outputs += known.refuse(seen, ResetReason.MPTCP_ERROR)
        return outputs

    def _count_refused(self, reason: Refusal) -> None:
        self._counters.joins[JoinResult.REFUSED] += 1
        self._counters.refusals[reason] += 1

    def _deny(self, seen: SynSeen, reason: Refusal) -> list[Output]:
        """By policy: the host should not try again."""
        self._count_refused(reason)
        return self._known.refuse(seen, ResetReason.ADMINISTRATIVELY_PROHIBITED)

    def _pin(
        self, attachment: Attachment, seen: SynSeen, key: FlowKey, session: Session, now: float
    ) -> list[Output]:
        """Bring a later subflow to exactly the MCP of its session (D-6.2c)."""
        known = self._known
        handshake = seen.handshake
        answer = self._chooser.ask_join(attachment, handshake, session.version, seen.frame)
        refusal = known.aborting.refusal(session)
        if refusal is None and known.authorising.asks:
            refusal = known.authorising.listed(attachment, seen)
        if refusal is None:
            refusal = known.preferring.refusal(session, attachment.name, answer)
        if refusal is not None:
            return self._deny(seen, refusal)
        over = known.slots.refusal(session, self._chooser.allowance(answer).subflows)
        if over is not None:
            self._count_refused(over[0])
            self._counters.full(over[1])
            return known.refuse(seen, ResetReason.LACK_OF_RESOURCES, transient=True)
        owner = self._map.mcp_addresses.get(handshake.dst)
        if owner is not None and owner.id != session.mcp:
            return self._deny(seen, Refusal.WRONG_MCP_ADDRESS)
        inside = self._map.inside.get(session.mcp)
        if inside is None:
            return self._deny(seen, Refusal.MCP_UNREACHABLE)
        terms = session.ruling.terms if session.ruling else answer.terms
        proving = terms.authentication is HMAC
        if proving and not known.keys.has_room():
            self._count_refused(Refusal.HALF_OPEN_FULL)
            return known.refuse(seen, ResetReason.LACK_OF_RESOURCES, transient=True)
        # What goes to the MCP's own address needs no entry, unless it has to be watched.
        waypoint = inside.id if owner is None or proving else 0
        if Mechanism.WRONG_MCP in self._disabled and waypoint:
            waypoint = next((w.id for i, w in self._map.inside.items() if i != session.mcp), waypoint)
        subflow = known.table.begin_subflow(
            session, JOIN, key, seen.dpid, attachment.role, waypoint, handshake.seq, now, seen.port,
            handshake.address_id, handshake.backup,
        )  # fmt: skip
        session.touch(now)
        if proving and session.secrets is not None:
            known.keys.challenge(subflow, seen, now)
        else:
            self._counters.joins[PINNED if waypoint else OWN_ADDRESS] += 1
            if proving:
                self._counters.joins[JoinResult.TOKEN_ONLY] += 1
        if session.state is not ESTABLISHED:
            return self._revive(attachment, seen, session, subflow)
        entry = session.entry(subflow)
        if entry is None:
            return [naturally(attachment, seen)]
        return [_new(Steer, ((entry,), steered(attachment, seen, waypoint)))]

    def _revive(
        self, attachment: Attachment, seen: SynSeen, session: Session, subflow: Subflow
    ) -> list[Output]:
        """The record outlived its rules: a host may rejoin after all its subflows died (B42)."""
        known = self._known
        known.life.happened(session, Event.JOINED)
        entries = tuple(session.entries(GATEWAY))
        if not subflow.waypoint:
            return [Steer(entries, None), naturally(attachment, seen)]
        return [Steer(entries, steered(attachment, seen, subflow.waypoint))]
