"""Makes all pieces that concern sessions: each piece gets the pieces that it needs when it is made. The engine
keeps what it registers as a part or reads itself. No piece knows of this module or of the whole.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from steering.core.admission.authorisation import Authorisation
from steering.core.counters import Counters
from steering.core.fastpath.usual_segments import UsualSegments
from steering.core.handshakes import sabotage
from steering.core.handshakes.dispatcher import HandshakeDispatcher
from steering.core.handshakes.early_joins import EarlyJoins
from steering.core.handshakes.explicit_mode import ExplicitMode
from steering.core.handshakes.mp_capable import FirstSyns
from steering.core.handshakes.mp_join import JoinHandler
from steering.core.handshakes.native_mptcp import NativeSessions
from steering.core.handshakes.new_attempts import NewAttempts
from steering.core.handshakes.option_bypass import Bypass
from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.handshakes.replies import Replies
from steering.core.handshakes.room import Readiness, Room
from steering.core.handshakes.server_capability import Capabilities
from steering.core.handshakes.server_sessions import ServerSessions
from steering.core.handshakes.syn import SynHandler
from steering.core.handshakes.syn_ack import SynAckHandler
from steering.core.handshakes.unknown_token_block import UnknownTokenBlocks
from steering.core.handshakes.withdrawal import Withdrawal
from steering.core.inputs import FinSeen, SynAckSeen, SynSeen, WatchedSeen
from steering.core.network.graph import Graph
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import Part
from steering.core.proactive.learned_sessions import LearnedSessions
from steering.core.proactive.units import Proactive
from steering.core.reservations.subflow_slots import Slots
from steering.core.selection.chooser import Chooser
from steering.core.sessions.abort import AbortedSessions
from steering.core.sessions.dead_mcps import DeadMcps
from steering.core.sessions.first_answer import FirstAnswers
from steering.core.sessions.half_open import HalfOpenSessions
from steering.core.sessions.join_authentication import KeyWatch
from steering.core.sessions.mcp_ledger import McpLedger
from steering.core.sessions.mcp_reports import McpReports
from steering.core.sessions.pending_joins import PendingJoins
from steering.core.sessions.sick_mcps import SickMcps
from steering.core.sessions.syn_outcomes import SynOutcomes
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.core.sessions.token_owners import JoinDestinations
from steering.core.sessions.transitions import SessionLife
from steering.core.sessions.watched_segments import WatchedSegments
from steering.core.subflow_priority import SubflowPriorities
from steering.model.ids import NO_WAYPOINT, DatapathId, McpId, WaypointId
from steering.model.mechanism import Mechanism
from steering.model.policy import Policy
from steering.model.usual_segment import UsualJoin, UsualSyn, UsualSynAck


class SessionPieces(NamedTuple):
    """The pieces that the engine, the snapshots and tests reach."""

    table: SessionTable
    life: SessionLife
    teardown: Teardown
    half_open: HalfOpenSessions
    aborted: AbortedSessions
    readiness: Readiness
    in_force: PolicyInForce
    authorisation: Authorisation
    capabilities: Capabilities
    explicit: ExplicitMode
    withdrawal: Withdrawal
    waiting: PendingJoins
    blocks: UnknownTokenBlocks
    proactive: Proactive
    learned: LearnedSessions
    attempts: NewAttempts
    slots: Slots
    preferring: SubflowPriorities
    watched: WatchedSegments
    dead: DeadMcps
    sick: SickMcps
    reports: McpReports
    early: EarlyJoins
    destinations: JoinDestinations
    dispatcher: HandshakeDispatcher
    usual: UsualSegments

    def segments(self) -> dict[type, Callable[..., list[Output]]]:
        """Who takes each kind of segment."""
        return {
            SynSeen: self.dispatcher.syn,
            SynAckSeen: self.dispatcher.syn_ack,
            FinSeen: self.dispatcher.fin,
            WatchedSeen: self.dispatcher.shown,
            UsualSyn: self.usual.syn,
            UsualSynAck: self.usual.syn_ack,
            UsualJoin: self.usual.join,
        }

    def sizes(self) -> dict[str, int]:
        """Records of each kind that a limit of the policy bounds, by the name of the limit."""
        return {
            "sessions": len(self.table),
            "half_open": len(self.table.half_open),
            "held_joins": len(self.waiting),
        }

    def parts(self) -> tuple[Part, ...]:
        """The pieces that handle handshakes, in the order in which they are told of what happens."""
        return (
            self.in_force,
            self.dispatcher,
            self.explicit,
            self.withdrawal,
            self.watched,
            self.dead,
            self.sick,
        )


def assembled(
    sitemap: SiteMap,
    policy: Policy,
    chooser: Chooser,
    counters: Counters,
    disabled: frozenset[Mechanism],
    epochs: Mapping[DatapathId, int],
    neighbours: Neighbours,
    graph: Graph,
    table: SessionTable,
    knows_every_token: Callable[[], bool],
    sees_every_subflow: Callable[[], bool],
) -> SessionPieces:
    """`disabled` names mechanisms that are off for negative controls; `epochs`: of each switch's filling;
    `knows_every_token`: whether a token that is not known here is nobody's; `sees_every_subflow`: whether all subflows
    of a session are at switches that this engine decides for."""
    # Sessions: their records, their life, their ends.
    life = SessionLife(table, counters)
    authorisation = Authorisation(sitemap, policy, counters, chooser.granted)
    proactive = Proactive(sitemap, graph, chooser, table, policy, epochs, disabled, authorisation)
    in_force = PolicyInForce(sitemap, policy)
    replies = Replies(in_force, counters)

    def access_of(address: bytes) -> str:
        access = sitemap.access_of(address)
        return access.name if access is not None else ""

    def attachment_name(edge: WaypointId) -> str:
        attachment = sitemap.by_waypoint.get(edge)
        return "" if attachment is None else attachment.name

    trusting = Mechanism.LIVE_PINS in disabled
    ledgers: dict[McpId, McpLedger] = {}
    readiness = Readiness(sitemap.switches)
    teardown = Teardown(
        table, life, policy.timers, counters, proactive.pin, ledgers, access_of, trusting,
        Mechanism.IDLE_PINS not in disabled, lambda: readiness.recovering,
        lambda: sees_every_subflow() and not (readiness.recovering or readiness.offline),
    )  # fmt: skip
    keys = KeyWatch(table, teardown, policy.limits, policy.timers, counters, replies.refuse)
    aborted = AbortedSessions(
        table, teardown, policy.limits, policy.timers, counters, chooser.health,
        lambda mcp: sitemap.inside[mcp].id if mcp in sitemap.inside else NO_WAYPOINT,
    )  # fmt: skip
    dead = DeadMcps(table, aborted, chooser.health)
    outcomes = SynOutcomes(table)
    sick = SickMcps(outcomes, chooser.health, policy, attachment_name)
    watched = WatchedSegments(table, keys, aborted)
    first_answers = FirstAnswers(
        table, life, keys, counters, outcomes, ledgers, Mechanism.THIRD_ACK in disabled
    )
    half_open = HalfOpenSessions(table, life, teardown, policy, ledgers)
    waiting = PendingJoins(policy.limits.held_joins, policy.timers.hold)
    # What handshakes are judged by.
    room = Room(table, readiness, in_force)
    explicit, natives = ExplicitMode(sitemap, chooser), NativeSessions()
    capabilities, bypass = Capabilities(policy.timers.capability), Bypass(Mechanism.OPTION_BYPASS in disabled)
    withdrawal = Withdrawal(table, life, policy.timers, counters)
    slots = Slots(table)
    preferring = SubflowPriorities(sitemap, chooser, table, policy, Mechanism.RATIO_LIMITS not in disabled)
    blocks = UnknownTokenBlocks(epochs)
    reports = McpReports(
        sitemap, table, teardown, first_answers, counters, lambda: readiness.recovering, ledgers, dead.cut_off
    )
    # Handlers.
    first_syns = FirstSyns(
        sitemap, chooser, counters,
        in_force=in_force, replies=replies, room=room, table=table, life=life, keys=keys,
        authorisation=authorisation, explicit=explicit, capabilities=capabilities, natives=natives,
        withdrawal=withdrawal, bypass=bypass, proactive=proactive,
    )  # fmt: skip
    early = EarlyJoins(
        waiting, blocks, readiness, in_force, replies, natives, counters, disabled, knows_every_token
    )
    destinations = JoinDestinations(sitemap, Mechanism.JOIN_DESTINATION not in disabled)
    joins = JoinHandler(
        sitemap, chooser, counters,
        in_force=in_force, replies=replies, table=table, life=life, teardown=teardown, natives=natives,
        aborted=aborted, early=early, authorisation=authorisation, preferring=preferring, slots=slots, keys=keys, outcomes=outcomes,
        destination=sabotage.destination(sitemap, disabled),
        destinations=destinations,
    )  # fmt: skip
    attempts = NewAttempts(
        table, counters,
        teardown=teardown, aborted=aborted, proactive=proactive, first_syns=first_syns, joins=joins,
        enabled=not trusting,
    )  # fmt: skip
    server_sessions = ServerSessions(
        sitemap, chooser, counters,
        in_force=in_force, room=room, bypass=bypass, table=table, life=life, first_answers=first_answers,
    )  # fmt: skip
    learned = LearnedSessions(
        sitemap, chooser, table, life, first_answers, proactive, neighbours, teardown, counters
    )
    syns = SynHandler(
        sitemap, chooser, counters,
        in_force=in_force, replies=replies, table=table, teardown=teardown, aborted=aborted, attempts=attempts,
        bypass=bypass,
        proactive=proactive, first_syns=first_syns, joins=sabotage.handler(joins, first_syns, disabled),
        server_sessions=server_sessions,
    )  # fmt: skip
    syn_acks = SynAckHandler(
        counters,
        table=table, attempts=attempts, first_answers=first_answers, keys=keys, learned=learned, capabilities=capabilities,
        natives=natives, withdrawal=withdrawal,
    )  # fmt: skip
    dispatcher = HandshakeDispatcher(
        sitemap, counters,
        table=table, syns=syns, syn_acks=syn_acks, server_sessions=server_sessions, watched=watched,
        teardown=teardown, authorisation=authorisation, attempts=attempts, early=early,
        reports=reports, waiting=waiting, blocks=blocks,
    )  # fmt: skip
    usual = UsualSegments(
        sitemap, chooser, counters,
        dispatcher=dispatcher, in_force=in_force, room=room, table=table, life=life, authorisation=authorisation,
        proactive=proactive, attempts=attempts, first_answers=first_answers, early=early, aborted=aborted,
        preferring=preferring, slots=slots, outcomes=outcomes, enabled=not disabled,
    )  # fmt: skip
    return SessionPieces(
        table, life, teardown, half_open, aborted, readiness, in_force, authorisation, capabilities, explicit, withdrawal,
        waiting, blocks, proactive, learned, attempts, slots, preferring, watched, dead, sick, reports, early,
        destinations, dispatcher, usual,
    )  # fmt: skip
