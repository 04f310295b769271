"""The life of a session (design section 5): first SYN, token, joins, fallback, and the end.

Everything here is driven by what the network sees of a handshake. Nothing waits: an early join is
kept in `Held` until its token is learned or its time is over.
"""

from collections.abc import Mapping

from steering.core.admission.authorisation import Authorising
from steering.core.counters import Counters, JoinResult
from steering.core.handshakes.explicit_mode import Explicit
from steering.core.handshakes.mp_join import Joining
from steering.core.handshakes.native_mptcp import Natives
from steering.core.handshakes.option_bypass import Bypass
from steering.core.handshakes.server_capability import Capabilities
from steering.core.handshakes.server_initiated import Reverse
from steering.core.handshakes.syn_ack import SynAcks
from steering.core.handshakes.unknown_token_block import Strays
from steering.core.handshakes.withdrawal import Withdrawal, goes_naturally, withdraws
from steering.core.inputs import Authorised, SynSeen, WatchedSeen
from steering.core.network.graph import Graph
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Output, SendFrame, Steer, naturally, steered
from steering.core.part import Part
from steering.core.proactive.learned_sessions import Answered
from steering.core.proactive.units import Proactive
from steering.core.reservations.subflow_slots import Slots
from steering.core.selection.chooser import Chooser, dscp_of
from steering.core.selection.quotas import session_keys
from steering.core.selection.rulebook import Answer
from steering.core.sessions.first_answer import FirstAnswers
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.core.sessions.pending_joins import Held
from steering.core.sessions.records import Returns, Session, Subflow
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.core.sessions.transitions import Beginning, SessionLife
from steering.core.sessions.watched_segments import WatchedSegments
from steering.core.subflow_priority import Preferring
from steering.model.decision import Decision, Outcome, Ruling
from steering.model.limit import Full
from steering.model.mechanism import Mechanism
from steering.model.network import Interception, Mcp, PortRef, PortRole
from steering.model.policy import (
    Action,
    Authentication,
    Mode,
    OverLimit,
    Policy,
    Presence,
    Refused,
)
from steering.model.session import EntryKind, Refusal
from steering.wire.craft import reset_for
from steering.wire.handshake import Kind
from steering.wire.mptcp import ResetReason
from steering.wire.options import CAPABLE_SYN, OPTION_SPACE

# By names of their own, as every SYN asks for them (core.sessions says why).
ACCESS, GATEWAY = PortRole.ACCESS, PortRole.GATEWAY
SYN_STEERED = Beginning.SYN_STEERED
INITIAL, JOIN = EntryKind.INITIAL, EntryKind.JOIN
HMAC = Authentication.HMAC
CAPABLE, JOINING, OPAQUE = Kind.CAPABLE, Kind.JOIN, Kind.OPAQUE
DENY, PROXY, TAKE_OVER = Action.DENY, Action.PROXY, Mode.TAKE_OVER
SELF = Interception.SELF
_new = tuple.__new__  # of a NamedTuple, without its own constructor's call
ROOMY = OPTION_SPACE - CAPABLE_SYN  # bytes of options beside which MP_CAPABLE has room


class Pinning(Part):
    """Decides on SYNs and keeps the session table. The engine feeds it."""

    def __init__(
        self,
        sitemap: SiteMap,
        policy: Policy,
        chooser: Chooser,
        counters: Counters,
        disabled: frozenset[Mechanism],
        epochs: Mapping[int, int],
        neighbours: Neighbours,
        graph: Graph,
    ) -> None:
        self._map = sitemap
        self._chooser = chooser
        self._counters = counters
        self._disabled = disabled
        self.table = SessionTable(policy.limits, sitemap.mcps, sitemap.hosts_move)
        self.life = SessionLife(self.table, counters)
        self.authorising = Authorising(sitemap, policy, counters, chooser.granted)
        self.proactive = Proactive(
            sitemap, graph, chooser, self.table, policy, epochs, disabled, self.authorising
        )
        self.ending = Teardown(self.table, self.life, policy.timers, counters, self.proactive.pin)
        self.watching = WatchedSegments(
            self.table, self.ending, policy, counters, chooser.health, self.refuse
        )
        self.keys, self.aborting = self.watching.keys, self.watching.aborted
        self.first_answers = FirstAnswers(self.table, self.life, self.keys, counters)
        self.slots = Slots(self.table)
        self.explicit = Explicit(sitemap, chooser)
        self.held = Held(policy.limits.held_joins, policy.timers.hold)
        self.strays = Strays(epochs)
        self.capabilities = Capabilities(policy.timers.capability)
        self.natives = Natives()
        self.bypass = Bypass(Mechanism.OPTION_BYPASS in disabled)
        self.withdrawal = Withdrawal(self.table, self.life, policy.timers, counters)
        self.answered = Answered(
            sitemap,
            chooser,
            self.table,
            self.life,
            self.first_answers,
            self.proactive,
            neighbours,
            self.ending,
            counters,
        )
        self.syn_acks = SynAcks(self)
        self.preferring = Preferring(
            sitemap, chooser, self.table, policy, Mechanism.RATIO_LIMITS not in disabled
        )
        self.reverse = Reverse(self, sitemap, chooser, counters, self.syn_acks.learnt)
        self.watching.returned = self.reverse.shown
        self.joining = Joining(self, sitemap, chooser, counters, disabled)
        self.recovering = False
        self.offline = set(sitemap.switches)  # edge switches that cannot take entries now
        self._take(policy)

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """It decides new sessions and new subflows, live ones keep their MCP."""
        self._take(policy)
        return []

    def _take(self, policy: Policy) -> None:
        self.policy = policy
        self.table.limits = policy.limits
        accesses = sum(a.role is ACCESS for a in self._map.attachments.values())
        self._half_open_share = max(1, policy.limits.half_open // max(1, accesses))
        self._stays = policy.mcp_presence is not Presence.WITHDRAW
        self._eligible = frozenset(p for low, high in policy.eligible_ports for p in range(low, high + 1))

    def eligible(self, port: int) -> bool:
        """Whether connections to a service port are looked at."""
        return port in self._eligible

    # ---- a SYN ----------------------------------------------------------------------------------

    def syn(self, attachment: Attachment, seen: SynSeen, now: float) -> list[Output]:
        """A SYN without ACK came in at an access or gateway port."""
        handshake = seen.handshake
        kind = handshake.kind
        if kind is OPAQUE:
            handshake = self.bypass.read(handshake, seen)
            kind = handshake.kind
        key = flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport)
        known = self.table.flows.get(key)
        outputs: list[Output] = []
        signed = kind is OPAQUE
        if known is not None:
            same = known.isn == handshake.seq or (known.isn < 0 and known.session.token < 0)
            if same and not signed:
                # The second: recovered while its SYN/ACK was out. Its SYN may well be this one, repeated.
                known.renumber(handshake.seq)
                if not self.aborting.lost(known.session):
                    return self._again(attachment, known, seen)
            # The host opened a new connection on an old 5-tuple, or its MCP went before it was there: what
            # was pinned is over.
            outputs = self.ending.end_subflow(known, now)
        if kind is JOINING:
            begun = self.joining.joined(attachment, seen, key, now)
            return outputs + begun if outputs else begun
        if kind is CAPABLE:
            if attachment.role is ACCESS:
                if not self.table.has_room:
                    outputs += self.ending.make_room()
                begun = self.capable(attachment, seen, key, now)
                return outputs + begun if outputs else begun
            # Nobody on the Internet side opens MPTCP to an MCP (N-5.3e, N-7.2); to hosts, unless a rule denies it.
            to_mcp = self._map.is_mcp_address(handshake.dst)
            if to_mcp or self._chooser.ask(attachment, handshake, seen.frame).terms.action is Action.DENY:
                self._counters.refusals[Refusal.INTERNET_SIDE if to_mcp else Refusal.POLICY] += 1
                return outputs + self.refuse(seen, ResetReason.ADMINISTRATIVELY_PROHIBITED)
        elif signed:
            self._counters.refusals[Refusal.SIGNED] += 1
        elif attachment.role is GATEWAY and (begun := self.reverse.begin(attachment, seen, key, now)):
            return outputs + begun
        self._counters.natural_syns += 1
        outputs.append(naturally(attachment, seen))
        return outputs

    def _again(self, attachment: Attachment, known: Subflow, seen: SynSeen) -> list[Output]:
        """A retransmitted SYN gets the same answer, also when it comes without MPTCP (fallback) or by
        another switch (D-3.3a)."""
        self._counters.retransmitted_syns += 1
        if known.kind is JOIN:
            self._counters.joins[JoinResult.RETRANSMITTED] += 1
        if not known.waypoint and known.session.unit is not None:
            self.proactive.pin(known.session)  # told of by its MCP, and looked at now
        if not known.waypoint:
            return [naturally(attachment, seen)]
        known.enters_at(seen.dpid, seen.port, attachment.role)
        session = known.session
        entries = session.entries(GATEWAY) if known.kind is INITIAL else [session.entry(known)]
        return [Steer(tuple(e for e in entries if e), steered(attachment, seen, known.waypoint))]

    def refuse(
        self, seen: SynSeen | WatchedSeen, reason: ResetReason, transient: bool = False
    ) -> list[Output]:
        """Tell the host, so that it need not wait: a reset with MP_TCPRST, unless policy says drop."""
        if self.policy.refusal is Refused.DROP:
            return []
        return [SendFrame(seen.dpid, seen.port, reset_for(seen.frame, reason, transient))]

    # ---- MP_CAPABLE -----------------------------------------------------------------------------

    def capable(self, attachment: Attachment, seen: SynSeen, key: FlowKey, now: float) -> list[Output]:
        """A first SYN: an MCP for it, its natural way, or a refusal."""
        handshake = seen.handshake
        exits = self._map.exits_to(handshake.dst)
        addressed = not exits and self.explicit.addressed(handshake)
        if not addressed and (not exits or handshake.dport not in self._eligible):
            return self.leave(attachment, seen)
        answer = self._chooser.ask(attachment, handshake, seen.frame)
        terms = answer.terms
        if terms.action is DENY:
            self._counters.refusals[Refusal.POLICY] += 1
            return self.refuse(seen, ResetReason.ADMINISTRATIVELY_PROHIBITED)
        usual = terms.mode is TAKE_OVER and terms.action is PROXY and self._stays and not terms.terminate_only
        if not (usual or addressed) and goes_naturally(
            self.policy, self.capabilities, terms, handshake, key, now
        ):
            self.natives.left(key, now)
            if withdraws(self.policy, terms):
                self.withdrawal.left(key, attachment.waypoint.id, now)
            return self.leave(attachment, seen)
        if handshake.uncommon or handshake.options_length > ROOMY:
            passed = self.bypass.reason(self.policy, seen)
            if passed is not None:
                self._counters.refusals[passed] += 1
                self.natives.left(key, now)
                return self.leave(attachment, seen)
        if addressed or self.authorising.asks:
            barred = self._barred(attachment, seen, now)
            if barred is not None:
                return barred
        refusal = self.no_room(attachment, exits)
        if refusal is not None:
            self._counters.refusals[refusal] += 1
            return [naturally(attachment, seen)]
        if addressed:
            decision = self.explicit.choose(terms, seen.dpid, handshake, self.table.active, now)
        else:
            if self.proactive.units:
                terms = self.proactive.terms(handshake.src, terms)
            decision = self._chooser.choose(terms, seen.dpid, exits, handshake, self.table.active, now)
        mcp = decision.mcp
        if mcp is None:
            self._counters.refusals[Refusal.NO_MCP] += 1
            if decision.outcome is Outcome.NATURAL:
                return [naturally(attachment, seen)]
            return self.refuse(seen, ResetReason.LACK_OF_RESOURCES, transient=True)
        keys = session_keys(answer, handshake.src, handshake.dst, handshake.dport, mcp.id)
        allowed = self._chooser.allowance(answer)
        full = self.table.ledger.full(allowed, keys)
        if full is not None:
            return self._over_limit(attachment, seen, full)
        session = self._begin(attachment, seen, key, exits, answer, decision, mcp, now)
        self.table.count(session, keys)
        if self.proactive.units:
            self.proactive.begun(session)
        waypoint = session.subflows[0].waypoint
        if not waypoint or (mcp.interception is SELF and self._chooser.in_line(decision)):
            return [naturally(attachment, seen)]  # no entry is needed, or the pin follows the SYN/ACK
        return [_new(Steer, (tuple(session.entries(GATEWAY)), steered(attachment, seen, waypoint)))]

    def _begin(
        self,
        attachment: Attachment,
        seen: SynSeen,
        key: FlowKey,
        exits: tuple[PortRef, ...],
        answer: Answer,
        decision: Decision,
        mcp: Mcp,
        now: float,
    ) -> Session:
        rule = answer.rule.name if answer.rule else ""
        subscriber = answer.subscriber.id if answer.subscriber else ""
        ruling = _new(Ruling, (decision, rule, answer.terms, self.policy.version, subscriber))
        handshake = seen.handshake
        self._chooser.chosen(seen.dpid, mcp.id)
        outside = self._map.outside[mcp.id].id
        returns: Returns = ()
        if not mcp.source_modes.preserves(handshake.family):
            pass  # the server leg comes back to the MCP's pool, by a route of its own (N-5.4.2.1b)
        elif len(exits) == 1:
            returns = ((exits[0].dpid, outside),)
        else:
            returns = tuple(dict.fromkeys((port.dpid, outside) for port in exits))
        session = self.life.begin(
            SYN_STEERED, mcp.id, ruling, now, attachment.waypoint.id, key, handshake.version, returns,
            dscp_of(seen.frame),
        )  # fmt: skip
        own = not exits and handshake.dst in self._map.mcp_addresses
        waypoint = 0 if own else self._map.inside[mcp.id].id
        self.table.begin_subflow(
            session, INITIAL, key, seen.dpid, attachment.role, waypoint, handshake.seq, now, seen.port
        )
        self._counters.sessions_started += 1
        proving = answer.terms.authentication is HMAC
        if waypoint and (proving or self.policy.keep_keys):
            self.keys.begin(session, proving, now)
        return session

    def _barred(self, attachment: Attachment, seen: SynSeen, now: float) -> list[Output] | None:
        """None: authorised. Else the refusal, or what is asked while it waits."""
        judged = self.authorising.judge(attachment, seen, now)
        if not isinstance(judged, Refusal):
            return judged
        self._counters.refusals[judged] += 1
        full = judged is Refusal.AUTHORISATION_QUEUE_FULL
        reason = ResetReason.LACK_OF_RESOURCES if full else ResetReason.ADMINISTRATIVELY_PROHIBITED
        return self.refuse(seen, reason, transient=full)

    def leave(self, attachment: Attachment, seen: SynSeen) -> list[Output]:
        """Not ours to steer."""
        self._counters.natural_syns += 1
        return [naturally(attachment, seen)]

    def _over_limit(self, attachment: Attachment, seen: SynSeen, full: Full) -> list[Output]:
        """The natural path, or a refusal that may be tried again (G3)."""
        self._counters.refusals[Refusal.SESSION_LIMIT] += 1
        self._counters.full(full)
        if self.policy.over_limit is OverLimit.NATURAL:
            return [naturally(attachment, seen)]
        return self.refuse(seen, ResetReason.LACK_OF_RESOURCES, transient=True)

    def no_room(self, attachment: Attachment, exits: tuple[PortRef, ...]) -> Refusal | None:
        """Why no session may begin at an attachment now; `exits`: where its return entries would be."""
        if self.offline and any(port.dpid in self.offline for port in exits):
            return Refusal.MCP_UNREACHABLE  # without its return entry a server leg would miss the MCP
        # Each access port has its share, so that a flood at one leaves room for the others (N-7.2c).
        if self.table.half_open_at.get(attachment.waypoint.id, 0) >= self._half_open_share:
            return Refusal.HALF_OPEN_FULL
        return None if self.table.has_room else Refusal.SESSION_TABLE_FULL

    # ---- time, and answers ------------------------------------------------------------------------

    def tick(self, now: float) -> list[Output]:
        """Whoever waited too long: joins for their token, SYNs for an authoriser."""
        return self.joining.expire_held(now) + self.strays.tick(now) + self.authorising.expire(self.syn, now)

    def authorised(self, given: Authorised, now: float) -> list[Output]:
        """An authoriser answered: the SYNs that waited for it come again."""
        return self.authorising.answered(given, self.syn, now)
