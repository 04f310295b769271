"""The life of a session (design section 5): first SYN, token, joins, fallback, and the end.

Everything here is driven by what the network sees of a handshake. Nothing waits: an early join is
kept in `Held` until its token is learned or its time is over.
"""

from collections.abc import Mapping

from steering.core.answered import Answered
from steering.core.authorising import Authorising
from steering.core.bypass import Bypass
from steering.core.capability import Capabilities
from steering.core.choosing import Chooser, dscp_of
from steering.core.counters import Counters, JoinResult
from steering.core.ending import Ending
from steering.core.explicit import Explicit
from steering.core.graph import Graph
from steering.core.held import Held
from steering.core.messages import (
    NATURAL,
    Authorised,
    Output,
    Release,
    SendFrame,
    Steer,
    SynSeen,
    WatchedSeen,
)
from steering.core.native import Natives
from steering.core.neighbours import Neighbours
from steering.core.owners import narrow
from steering.core.preferring import Preferring
from steering.core.proactive import Proactive
from steering.core.quotas import Full, session_keys
from steering.core.reverse import Reverse
from steering.core.rulebook import Answer
from steering.core.sessions import Session, SessionTable, Subflow, flow_key
from steering.core.sitemap import Attachment, SiteMap
from steering.core.slots import Slots
from steering.core.strays import Strays
from steering.core.synack import SynAcks
from steering.core.watching import Watching
from steering.core.withdrawal import Withdrawal, goes_naturally, withdraws
from steering.model.decision import Decision, Outcome, Ruling
from steering.model.network import PortRef, PortRole
from steering.model.policy import (
    Action,
    Authentication,
    OverLimit,
    Policy,
    Refused,
    UnknownJoin,
)
from steering.model.session import EntryKind, Refusal, SessionState
from steering.wire.craft import reset_for
from steering.wire.handshake import Kind
from steering.wire.mptcp import ResetReason

ACCESS, GATEWAY = PortRole.ACCESS, PortRole.GATEWAY
INITIAL, JOIN = EntryKind.INITIAL, EntryKind.JOIN
HMAC = Authentication.HMAC


class Pinning:
    """Decides on SYNs and keeps the session table. The engine feeds it."""

    def __init__(
        self,
        sitemap: SiteMap,
        policy: Policy,
        chooser: Chooser,
        counters: Counters,
        disabled: frozenset[str],
        epochs: Mapping[int, int],
        neighbours: Neighbours,
        graph: Graph,
    ) -> None:
        self._map = sitemap
        self._chooser = chooser
        self._counters = counters
        self._disabled = disabled
        self.table = SessionTable(policy.limits, sitemap.mcps)
        self.ending = Ending(self.table, policy.timers, counters)
        self.watching = Watching(self.table, self.ending, policy, counters, chooser.health, self.refuse)
        self.keys, self.aborting = self.watching.keys, self.watching.aborting
        self.slots = Slots(self.table)
        self.explicit = Explicit(sitemap, chooser)
        self.held = Held(policy.limits.held_joins, policy.timers.hold)
        self.strays = Strays(epochs)
        self.authorising = Authorising(sitemap, policy, counters, chooser.granted)
        self.capabilities = Capabilities(policy.timers.capability)
        self.natives = Natives()
        self.bypass = Bypass("option-bypass" in disabled)
        self.withdrawal = Withdrawal(self.table, policy.timers, counters)
        self.proactive = Proactive(sitemap, graph, chooser, self.table, disabled, self.authorising)
        self.ending.pin = self.proactive.pin
        self.answered = Answered(
            sitemap, chooser, self.table, self.proactive, neighbours, self.ending, counters
        )
        self.syn_acks = SynAcks(self, counters)
        self.preferring = Preferring(sitemap, chooser, self.table, policy, "ratio-limits" not in disabled)
        self.reverse = Reverse(self, sitemap, chooser, counters, self.syn_acks.learnt)
        self.watching.returned = self.reverse.shown
        self.recovering = False
        self.offline = set(sitemap.switches)  # edge switches that cannot take entries now
        self.replace(policy)

    def replace(self, policy: Policy) -> None:
        """Another policy is in force: it decides new sessions and new subflows, live ones keep their MCP."""
        self.policy = policy
        self.table.limits, self.ending.timers = policy.limits, policy.timers
        self.withdrawal.timers = policy.timers
        accesses = sum(a.role is ACCESS for a in self._map.attachments.values())
        self._half_open_share = max(1, policy.limits.half_open // max(1, accesses))
        self._eligible = frozenset(p for low, high in policy.eligible_ports for p in range(low, high + 1))
        self._chooser.replace(policy)
        self.authorising.replace(policy)
        self.proactive.replace(policy)
        self.preferring.replace(policy)

    def eligible(self, port: int) -> bool:
        """Whether connections to a service port are looked at."""
        return port in self._eligible

    # ---- a SYN ----------------------------------------------------------------------------------

    def syn(self, attachment: Attachment, seen: SynSeen, now: float) -> list[Output]:
        """A SYN without ACK came in at an access or gateway port."""
        handshake = self.bypass.read(seen.handshake, seen)
        key = flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport)
        known = self.table.flows.get(key)
        outputs: list[Output] = []
        signed = handshake.kind is Kind.OPAQUE
        if known is not None:
            same = known.isn == handshake.seq or (known.isn < 0 and known.session.token < 0)
            if same and not signed:
                # The second: recovered while its SYN/ACK was out. Its SYN may well be this one, repeated.
                known.isn = handshake.seq
                if not self.aborting.lost(known.session):
                    return self._again(attachment, known, seen)
            # The host opened a new connection on an old 5-tuple, or its MCP went before it was there: what
            # was pinned is over.
            outputs = self.ending.end_subflow(known, now)
        if handshake.kind is Kind.JOIN:
            return outputs + self._join(attachment, seen, key, now)
        if handshake.kind is Kind.CAPABLE:
            if attachment.role is ACCESS:
                if not self.table.has_room:
                    outputs += self.ending.make_room()
                return outputs + self._capable(attachment, seen, key, now)
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
        outputs.append(self._naturally(attachment, seen))
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
            return [self._naturally(attachment, seen)]
        known.dpid, known.port, known.role = seen.dpid, seen.port, attachment.role
        session = known.session
        entries = session.entries(GATEWAY) if known.kind is INITIAL else [session.entry(known)]
        return [Steer(tuple(e for e in entries if e), self._steered(attachment, seen, known.waypoint))]

    def _naturally(self, attachment: Attachment, seen: SynSeen) -> Release:
        return Release(seen.dpid, seen.port, seen.frame, NATURAL, 0, attachment.role)

    def _steered(self, attachment: Attachment, seen: SynSeen, waypoint: int) -> Release:
        return Release(seen.dpid, seen.port, seen.frame, waypoint, 0, attachment.role)

    def refuse(
        self, seen: SynSeen | WatchedSeen, reason: ResetReason, transient: bool = False
    ) -> list[Output]:
        """Tell the host, so that it need not wait: a reset with MP_TCPRST, unless policy says drop."""
        if self.policy.refusal is Refused.DROP:
            return []
        return [SendFrame(seen.dpid, seen.port, reset_for(seen.frame, reason, transient))]

    # ---- MP_CAPABLE -----------------------------------------------------------------------------

    def _capable(self, attachment: Attachment, seen: SynSeen, key: bytes, now: float) -> list[Output]:
        handshake = seen.handshake
        exits = self._map.exits_to(handshake.dst)
        addressed = not exits and self.explicit.addressed(handshake)
        if not addressed and (not exits or handshake.dport not in self._eligible):
            return self._leave(attachment, seen)
        answer = self._chooser.ask(attachment, handshake, seen.frame)
        terms = answer.terms
        if terms.action is Action.DENY:
            self._counters.refusals[Refusal.POLICY] += 1
            return self.refuse(seen, ResetReason.ADMINISTRATIVELY_PROHIBITED)
        if not addressed and goes_naturally(self.policy, self.capabilities, terms, handshake, key, now):
            self.natives.left(key, now)
            if withdraws(self.policy, terms):
                self.withdrawal.left(key, attachment.waypoint.id, now)
            return self._leave(attachment, seen)
        passed = self.bypass.reason(self.policy, seen)
        if passed is not None:
            self._counters.refusals[passed] += 1
            self.natives.left(key, now)
            return self._leave(attachment, seen)
        barred = self._barred(attachment, seen, now)
        if barred is not None:
            return barred
        refusal = self.no_room(attachment, exits)
        if refusal is not None:
            self._counters.refusals[refusal] += 1
            return [self._naturally(attachment, seen)]
        if addressed:
            decision = self.explicit.choose(terms, seen.dpid, handshake, self.table.active, now)
        else:
            terms = self.proactive.terms(handshake.src, terms)
            decision = self._chooser.choose(terms, seen.dpid, exits, handshake, self.table.active, now)
        mcp = decision.mcp
        if mcp is None:
            self._counters.refusals[Refusal.NO_MCP] += 1
            if decision.outcome is Outcome.NATURAL:
                return [self._naturally(attachment, seen)]
            return self.refuse(seen, ResetReason.LACK_OF_RESOURCES, transient=True)
        keys = session_keys(answer, handshake.src, handshake.dst, handshake.dport, mcp.id)
        full = self.table.ledger.full(self._chooser.allowance(answer), keys)
        if full is not None:
            return self._over_limit(attachment, seen, full)
        session = self._begin(attachment, seen, key, exits, answer, decision, now)
        self.table.count(session, keys)
        self.proactive.begun(session)
        waypoint = session.subflows[0].waypoint
        if not waypoint or self._chooser.in_line(decision):
            return [self._naturally(attachment, seen)]  # no entry is needed, or the pin follows the SYN/ACK
        return [Steer(tuple(session.entries(GATEWAY)), self._steered(attachment, seen, waypoint))]

    def _begin(
        self,
        attachment: Attachment,
        seen: SynSeen,
        key: bytes,
        exits: tuple[PortRef, ...],
        answer: Answer,
        decision: Decision,
        now: float,
    ) -> Session:
        mcp = self._map.mcps[decision.candidates.ids[decision.winner]]
        rule = answer.rule.name if answer.rule else ""
        subscriber = answer.subscriber.id if answer.subscriber else ""
        ruling = Ruling(decision, rule, answer.terms, self.policy.version, subscriber)
        session = self.table.create(mcp.id, ruling, now, attachment.waypoint.id)
        session.version = seen.handshake.version
        session.first, session.dscp = key, dscp_of(seen.frame)
        self._chooser.chosen(seen.dpid, mcp.id)
        outside = self._map.outside[mcp.id].id
        if not mcp.source_modes.preserves(seen.handshake.family):
            pass  # the server leg comes back to the MCP's pool, by a route of its own (N-5.4.2.1b)
        elif len(exits) == 1:
            session.returns = ((exits[0].dpid, outside),)
        else:
            session.returns = tuple(dict.fromkeys((port.dpid, outside) for port in exits))
        addressed = seen.handshake.dst in self._map.mcp_addresses
        waypoint = 0 if addressed else self._map.inside[mcp.id].id
        isn = seen.handshake.seq
        role = attachment.role
        self.table.add_subflow(Subflow(session, INITIAL, key, seen.dpid, role, waypoint, isn, seen.port))
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

    def _leave(self, attachment: Attachment, seen: SynSeen) -> list[Output]:
        """Not ours to steer."""
        self._counters.natural_syns += 1
        return [self._naturally(attachment, seen)]

    def _over_limit(self, attachment: Attachment, seen: SynSeen, full: Full) -> list[Output]:
        """The natural path, or a refusal that may be tried again (G3)."""
        self._counters.refusals[Refusal.SESSION_LIMIT] += 1
        self._counters.full(full)
        if self.policy.over_limit is OverLimit.NATURAL:
            return [self._naturally(attachment, seen)]
        return self.refuse(seen, ResetReason.LACK_OF_RESOURCES, transient=True)

    def no_room(self, attachment: Attachment, exits: tuple[PortRef, ...]) -> Refusal | None:
        """Why no session may begin at an attachment now; `exits`: where its return entries would be."""
        if self.offline and any(port.dpid in self.offline for port in exits):
            return Refusal.MCP_UNREACHABLE  # without its return entry a server leg would miss the MCP
        # Each access port has its share, so that a flood at one leaves room for the others (N-7.2c).
        if self.table.half_open_at.get(attachment.waypoint.id, 0) >= self._half_open_share:
            return Refusal.HALF_OPEN_FULL
        return None if self.table.has_room else Refusal.SESSION_TABLE_FULL

    # ---- MP_JOIN --------------------------------------------------------------------------------

    def _join(self, attachment: Attachment, seen: SynSeen, key: bytes, now: float) -> list[Output]:
        token = int.from_bytes(seen.handshake.token, "big")
        if "token-lookup" in self._disabled:
            return self._capable(attachment, seen, key, now)
        if attachment.role is GATEWAY and not self.policy.third_party_pooling:
            return self._deny(seen, Refusal.THIRD_PARTY)
        owners = self.table.with_token(token)
        if not owners:
            if self.natives.owns(token):
                return self._leave(attachment, seen)
            refusal = self.aborting.refused(token)
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
        if "hold-queue" in self._disabled:
            return [self._naturally(attachment, seen)]
        if self.recovering:
            self._count_refused(Refusal.RECOVERING)
            return []  # in silence: a moment later the token may be known again
        if not self.held.add(token, attachment, seen, now):
            self._count_refused(Refusal.HOLD_QUEUE_FULL)
            return []
        self._counters.joins[JoinResult.HELD] += 1
        return []

    def tick(self, now: float) -> list[Output]:
        """Whoever waited too long, joins for their token and what is watched; and what MCPs have to be told."""
        outputs = self.expire_held(now) + self.strays.tick(now) + self.authorising.tick(self.syn, now)
        return outputs + self.watching.tick(now) + self.preferring.tick()

    def authorised(self, given: Authorised, now: float) -> list[Output]:
        """An authoriser answered: the SYNs that waited for it come again."""
        return self.authorising.answered(given, self.syn, now)

    def expire_held(self, now: float) -> list[Output]:
        """Held joins whose token never came: dropped in silence, or reset where the policy says so."""
        outputs: list[Output] = []
        for seen in self.held.expire(now):
            self._count_refused(Refusal.UNKNOWN_TOKEN)
            if "stray-drop" not in self._disabled:
                outputs += self.strays.block(seen, now)
            if self.policy.unknown_join is UnknownJoin.RESET:
                outputs += self.refuse(seen, ResetReason.MPTCP_ERROR)
        return outputs

    def _count_refused(self, reason: Refusal) -> None:
        self._counters.joins[JoinResult.REFUSED] += 1
        self._counters.refusals[reason] += 1

    def _deny(self, seen: SynSeen, reason: Refusal) -> list[Output]:
        """By policy: the host should not try again."""
        self._count_refused(reason)
        return self.refuse(seen, ResetReason.ADMINISTRATIVELY_PROHIBITED)

    def _pin(
        self, attachment: Attachment, seen: SynSeen, key: bytes, session: Session, now: float
    ) -> list[Output]:
        """Bring a later subflow to exactly the MCP of its session (D-6.2c)."""
        handshake = seen.handshake
        # A join tells no version: it is of its session's.
        versioned = handshake._replace(version=session.version)
        answer = self._chooser.ask(attachment, versioned, seen.frame)
        refusal = self.aborting.refusal(session) or self.authorising.listed(attachment, seen)
        if refusal is None:
            refusal = self.preferring.refusal(session, attachment.name, answer)
        if refusal is not None:
            return self._deny(seen, refusal)
        over = self.slots.refusal(session, self._chooser.allowance(answer).subflows)
        if over is not None:
            self._count_refused(over[0])
            self._counters.full(over[1])
            return self.refuse(seen, ResetReason.LACK_OF_RESOURCES, transient=True)
        owner = self._map.mcp_addresses.get(handshake.dst)
        if owner is not None and owner.id != session.mcp:
            return self._deny(seen, Refusal.WRONG_MCP_ADDRESS)
        inside = self._map.inside.get(session.mcp)
        if inside is None:
            return self._deny(seen, Refusal.MCP_UNREACHABLE)
        terms = session.ruling.terms if session.ruling else answer.terms
        proving = terms.authentication is HMAC
        if proving and not self.keys.has_room():
            self._count_refused(Refusal.HALF_OPEN_FULL)
            return self.refuse(seen, ResetReason.LACK_OF_RESOURCES, transient=True)
        # What goes to the MCP's own address needs no entry, unless it has to be watched.
        waypoint = inside.id if owner is None or proving else 0
        if "wrong-mcp" in self._disabled and waypoint:
            waypoint = next((w.id for i, w in self._map.inside.items() if i != session.mcp), waypoint)
        subflow = Subflow(session, JOIN, key, seen.dpid, attachment.role, waypoint, handshake.seq, seen.port)
        subflow.address_id, subflow.backup = handshake.address_id, handshake.backup
        self.table.add_subflow(subflow)
        session.active = now
        if proving and session.secrets is not None:
            self.keys.challenge(subflow, seen, now)
        else:
            self._counters.joins[JoinResult.PINNED if waypoint else JoinResult.OWN_ADDRESS] += 1
            if proving:
                self._counters.joins[JoinResult.TOKEN_ONLY] += 1
        if session.state is not SessionState.ESTABLISHED:
            return self._revive(attachment, seen, session, subflow)
        entry = session.entry(subflow)
        if entry is None:
            return [self._naturally(attachment, seen)]
        return [Steer((entry,), self._steered(attachment, seen, waypoint))]

    def _revive(
        self, attachment: Attachment, seen: SynSeen, session: Session, subflow: Subflow
    ) -> list[Output]:
        """The record outlived its rules: a host may rejoin after all its subflows died (B42)."""
        self.table.settle(session, SessionState.ESTABLISHED)
        entries = tuple(session.entries(GATEWAY))
        if not subflow.waypoint:
            return [Steer(entries, None), self._naturally(attachment, seen)]
        return [Steer(entries, self._steered(attachment, seen, subflow.waypoint))]
