"""Makes all objects (pieces) that handle sessions. Each piece gets the pieces that it needs in its constructor.

No piece imports this module or knows the whole. The engine uses only the pieces whose names have no underscore.
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
from steering.core.handshakes.server_sessions import WAIT as EARLY_JOINS_WAIT
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
from steering.core.proactive.units import ProactiveInsertion
from steering.core.reservations.subflow_slots import Slots
from steering.core.selection.chooser import Chooser
from steering.core.sessions.abort import AbortedSessions
from steering.core.sessions.counted_switches import CountedSwitches
from steering.core.sessions.dead_mcps import DeadMcps
from steering.core.sessions.first_answer import FirstAnswers
from steering.core.sessions.flow_key import source_of
from steering.core.sessions.half_open import HalfOpenSessions
from steering.core.sessions.join_authentication import KeyWatch
from steering.core.sessions.lost_subflows import LostSubflows
from steering.core.sessions.mcp_ledger import McpLedger
from steering.core.sessions.mcp_reports import McpReports
from steering.core.sessions.pending_joins import PendingJoins
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.sick_mcps import SickMcps
from steering.core.sessions.syn_outcomes import SynOutcomes
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.core.sessions.token_owners import JoinDestinations
from steering.core.sessions.transitions import SessionLife
from steering.core.sessions.watched_segments import WatchedSegments
from steering.core.subflow_priority import SubflowPriorities
from steering.model.ids import NO_WAYPOINT, DatapathId, McpId, Token, WaypointId
from steering.model.mechanism import Mechanism
from steering.model.policy import Policy
from steering.model.usual_segment import UsualJoin, UsualSyn, UsualSynAck


class Ingredients(NamedTuple):
    """What the engine gives to the pieces.

    `knows_every_token` returns whether a token that this engine does not know at some time belongs to no session at all.
    `sees_every_subflow` returns whether all subflows of a session are at switches that this engine decides for.
    `may_live` returns whether a lingering session may have had traffic since a time, on a subflow that this engine does not know.
    """

    sitemap: SiteMap
    policy: Policy
    chooser: Chooser
    counters: Counters
    disabled: frozenset[Mechanism]  # mechanisms that are off for negative controls
    epochs: Mapping[DatapathId, int]  # by switch: the epoch of its latest filling
    neighbours: Neighbours
    graph: Graph
    table: SessionTable
    knows_every_token: Callable[[Token, float], bool]
    sees_every_subflow: Callable[[], bool]
    may_live: Callable[[Session, float], bool]

    def access_of(self, address: bytes) -> str:
        """The name of the access network of an address, "" for none."""
        access = self.sitemap.access_of(address)
        return access.name if access is not None else ""

    def attachment_name(self, waypoint: WaypointId) -> str:
        attachment = self.sitemap.by_waypoint.get(waypoint)
        return "" if attachment is None else attachment.name

    def switch_of(self, mcp: McpId) -> DatapathId | None:
        """The switch of an MCP's inner side; None for one that is gone."""
        inside = self.sitemap.inside.get(mcp)
        return None if inside is None else inside.port.dpid

    def waypoint_of(self, mcp: McpId) -> WaypointId:
        """The waypoint of an MCP's inside port, NO_WAYPOINT for an MCP that the site no longer has."""
        inside = self.sitemap.inside.get(mcp)
        return NO_WAYPOINT if inside is None else inside.id


class SessionPieces:
    """All pieces. The engine, the snapshots and tests reach those whose names have no underscore."""

    def __init__(self, given: Ingredients) -> None:
        self.table = given.table
        self._ledgers: dict[McpId, McpLedger] = {}
        self._make_sessions(given)
        self._make_judges(given)
        self._make_handlers(given)

    def _make_sessions(self, given: Ingredients) -> None:
        """Sessions: their life, their ends, and what is learnt of them."""
        sitemap, policy, chooser, counters = given.sitemap, given.policy, given.chooser, given.counters
        disabled, table, ledgers = given.disabled, self.table, self._ledgers
        self.life = SessionLife(table, counters)
        self.authorisation = Authorisation(sitemap, policy, counters, chooser.granted)
        self.proactive = ProactiveInsertion(
            sitemap, given.graph, chooser, table, policy, given.epochs, disabled, self.authorisation
        )
        self.in_force = PolicyInForce(sitemap, policy)
        self._replies = Replies(self.in_force, counters)
        self.readiness = readiness = Readiness(sitemap.switches)
        self.teardown = Teardown(
            table, self.life, policy.timers, counters, self.proactive.pin, ledgers, given.access_of,
            Mechanism.LIVE_PINS in disabled, Mechanism.IDLE_PINS not in disabled, lambda: readiness.recovering,
            lambda: given.sees_every_subflow() and not (readiness.recovering or readiness.offline), given.may_live,
        )  # fmt: skip
        self._keys = KeyWatch(table, self.teardown, counters, self._replies.refuse)
        self.aborted = AbortedSessions(table, self.teardown, counters, chooser.health, given.waypoint_of)
        self.dead = DeadMcps(table, self.aborted, chooser.health)
        self._outcomes = SynOutcomes(table)
        self.sick = SickMcps(
            self._outcomes,
            chooser.health,
            policy,
            given.attachment_name,
            given.switch_of,
            counters.answers_lost,
        )
        self.watched = WatchedSegments(table, self._keys, self.aborted)
        self._first_answers = FirstAnswers(
            table, self.life, self._keys, counters, self._outcomes, ledgers, Mechanism.THIRD_ACK in disabled
        )
        self.half_open = HalfOpenSessions(table, self.life, self.teardown, policy, ledgers)
        in_force = self.in_force
        self.waiting = PendingJoins(
            lambda: in_force.policy.limits.held_joins, lambda: in_force.policy.timers.hold
        )
        # Joins that MCPs open.
        self.waiting_mcps = PendingJoins(lambda: in_force.policy.limits.held_joins, lambda: EARLY_JOINS_WAIT)

    def _make_judges(self, given: Ingredients) -> None:
        """The pieces by which handshakes are judged."""
        sitemap, policy, chooser, counters = given.sitemap, given.policy, given.chooser, given.counters
        disabled, table, readiness = given.disabled, self.table, self.readiness
        self._room = Room(table, readiness, self.in_force)
        self.explicit, self._natives = ExplicitMode(sitemap, chooser), NativeSessions()
        self.capabilities = Capabilities(lambda: self.in_force.policy.timers.capability)
        self._bypass = Bypass(Mechanism.OPTION_BYPASS in disabled)
        self.withdrawal = Withdrawal(table, self.life, policy.timers, counters)
        self.slots = Slots(table)
        self.preferring = SubflowPriorities(
            sitemap, chooser, table, policy, Mechanism.RATIO_LIMITS not in disabled
        )
        self.blocks = UnknownTokenBlocks(given.epochs)
        self.early = EarlyJoins(
            self.waiting, self.blocks, readiness, self.in_force, self._replies, self._natives, counters, disabled,
            given.knows_every_token, table.origin_of,
        )  # fmt: skip
        self.destinations = JoinDestinations(sitemap, Mechanism.JOIN_DESTINATION not in disabled)

    def _misses_answer(self, given: Ingredients, join: Subflow) -> bool:
        """Whether the MCP of a join may have answered since its SYN, and no copy came: a meter dropped copies, or its switch was
        away."""
        mcp, since = join.session.mcp, join.active
        if not self.readiness.heard_since(given.switch_of(mcp), since):
            return True
        return self.sick.lost_since(mcp, given.access_of(source_of(join.key)), since)

    def _make_handlers(self, given: Ingredients) -> None:
        """The pieces that handle segments."""
        sitemap, chooser, counters, disabled = given.sitemap, given.chooser, given.counters, given.disabled
        table, life, in_force, teardown = self.table, self.life, self.in_force, self.teardown
        first_answers, keys, outcomes = self._first_answers, self._keys, self._outcomes
        first_syns = FirstSyns(
            sitemap, chooser, counters,
            in_force=in_force, replies=self._replies, room=self._room, table=table, life=life, keys=keys,
            authorisation=self.authorisation, explicit=self.explicit, capabilities=self.capabilities, natives=self._natives,
            withdrawal=self.withdrawal, bypass=self._bypass, proactive=self.proactive,
        )  # fmt: skip
        self.counted = CountedSwitches()
        lost = LostSubflows(
            teardown, given.neighbours, self.counted, self.preferring.works, given.sees_every_subflow,
            lambda one: self._misses_answer(given, one),
        )  # fmt: skip
        joins = JoinHandler(
            sitemap, chooser, counters,
            in_force=in_force, replies=self._replies, table=table, life=life, lost=lost, natives=self._natives,
            aborted=self.aborted, early=self.early, authorisation=self.authorisation, preferring=self.preferring,
            slots=self.slots, keys=keys, outcomes=outcomes,
            destination=sabotage.destination(sitemap, disabled), destinations=self.destinations,
        )  # fmt: skip
        self.attempts = NewAttempts(
            table, counters,
            teardown=teardown, aborted=self.aborted, proactive=self.proactive, first_syns=first_syns, joins=joins,
            enabled=Mechanism.LIVE_PINS not in disabled,
        )  # fmt: skip
        self.reports = McpReports(
            sitemap, table, teardown, first_answers, counters, lambda: self.readiness.recovering, self._ledgers,
            self.dead.cut_off, self.attempts.reported,
        )  # fmt: skip
        server_sessions = ServerSessions(
            sitemap, chooser, counters,
            in_force=in_force, room=self._room, bypass=self._bypass, table=table, life=life, first_answers=first_answers,
            early=self.waiting_mcps,
        )  # fmt: skip
        self.learned = LearnedSessions(
            sitemap, chooser, table, life, first_answers, self.proactive, given.neighbours, teardown, counters
        )
        syns = SynHandler(
            sitemap, chooser, counters,
            in_force=in_force, replies=self._replies, table=table, teardown=teardown, aborted=self.aborted,
            attempts=self.attempts, bypass=self._bypass, proactive=self.proactive, first_syns=first_syns,
            joins=sabotage.handler(joins, first_syns, disabled), server_sessions=server_sessions,
        )  # fmt: skip
        syn_acks = SynAckHandler(
            counters,
            table=table, attempts=self.attempts, first_answers=first_answers, keys=keys, learned=self.learned,
            capabilities=self.capabilities, natives=self._natives, withdrawal=self.withdrawal,
        )  # fmt: skip
        self.dispatcher = HandshakeDispatcher(
            sitemap, counters,
            table=table, syns=syns, syn_acks=syn_acks, server_sessions=server_sessions, watched=self.watched,
            keys=keys, teardown=teardown, authorisation=self.authorisation, attempts=self.attempts,
            early=self.early, reports=self.reports, waiting=self.waiting, blocks=self.blocks,
        )  # fmt: skip
        self.usual = UsualSegments(
            sitemap, chooser, counters,
            dispatcher=self.dispatcher, in_force=in_force, room=self._room, table=table, life=life,
            authorisation=self.authorisation, proactive=self.proactive, attempts=self.attempts,
            first_answers=first_answers, early=self.early, aborted=self.aborted, preferring=self.preferring,
            slots=self.slots, outcomes=outcomes, enabled=not disabled,
        )  # fmt: skip

    def segments(self) -> dict[type, Callable[..., list[Output]]]:
        """The handler of each kind of segment."""
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
        """The numbers of records that limits of the policy bound, by the name of the limit."""
        return {
            "sessions": len(self.table),
            "half_open": len(self.table.half_open),
            "held_joins": len(self.waiting),
        }

    def parts(self) -> tuple[Part, ...]:
        """The pieces that are parts of the engine and handle handshakes, in the order in which the engine calls them."""
        return (
            self.in_force,
            self.dispatcher,
            self.explicit,
            self.withdrawal,
            self.watched,
            self.dead,
            self.sick,
        )
