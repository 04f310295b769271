"""The exchange with other controllers: handles their messages, and tells them what they have to know of this one."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from steering.core.counters import Counters
from steering.core.handshakes.room import Readiness
from steering.core.handshakes.unknown_token_block import UnknownTokenBlocks
from steering.core.inputs import (
    FinSeen,
    Input,
    LinkDown,
    LinkUp,
    ObservedEntry,
    PortStatus,
    SweepRead,
    SwitchDown,
    SwitchUp,
    SynAckSeen,
    SynSeen,
    WatchedSeen,
)
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.packet_inputs import IcmpErrorSeen, NeighbourSeen
from steering.core.part import Handler, McpsChange, Part
from steering.core.peer_facts import (
    ClusterChanged,
    PeerLost,
    PeerTold,
    PeerUp,
    TellPeer,
    TurnOver,
    WriteRefused,
)
from steering.core.peers.ended_tokens import EndedTokenMemory
from steering.core.peers.followed_table import FollowedTable
from steering.core.peers.foreign_switches import ForeignSwitches
from steering.core.peers.limit_division import LimitDivision
from steering.core.peers.mcp_words import McpWords
from steering.core.peers.network_facts import LocalHandler, NetworkFact, NetworkFacts
from steering.core.peers.own_entries import OwnEntries
from steering.core.peers.passed_counters import PassedCounters
from steering.core.peers.passed_segments import PassedSegments
from steering.core.peers.peer_events import PeerEvent
from steering.core.peers.replica_feed import ReplicaFeed
from steering.core.peers.segment_routes import SegmentRoutes
from steering.core.peers.token_replicas import TokenReplicas
from steering.core.sessions.pending_joins import PendingJoins
from steering.core.sessions.token_owners import JoinDestinations
from steering.model.ids import DatapathId, read_token
from steering.model.policy import Policy
from steering.model.usual_segment import UsualJoin, UsualSynAck
from steering.wire.peer_messages import (
    EndedTokens,
    ForwardedError,
    ForwardedSegment,
    JoinCounters,
    LimitExcess,
    LimitGift,
    LimitStanding,
    LimitWish,
    LinkFact,
    McpFact,
    McpWord,
    NeighbourFact,
    PeerMessage,
    PortFact,
    ReplicaDigest,
    ReplicaEnd,
    ReplicaRequest,
    ReplicaStart,
    TokenAnswer,
    TokenEntries,
    TokenEntry,
    TokenQuestion,
)  # fmt: skip

ASKED_AGAIN = 10.0  # least seconds between two requests for a controller's whole replica

_FACTS = (NeighbourFact, PortFact, LinkFact, McpFact)


class PeerExchange(Part):
    """The exchange as a part of the engine.

    `local`: the engine's own handlers of inputs from switches. In a cluster the engine calls the handlers of `in_place`,
    which call the local ones. `unread`: switches whose entries were not read yet (shared with the engine).
    `knows_sessions`: see LimitDivision; `counted`: see PassedCounters.
    """

    def __init__(
        self,
        sitemap: SiteMap,
        table: FollowedTable,
        counters: Counters,
        *,
        local: dict[type, LocalHandler],
        routes: SegmentRoutes,
        replicas: TokenReplicas,
        facts: NetworkFacts,
        words: McpWords,
        destinations: JoinDestinations,
        waiting: PendingJoins,
        blocks: UnknownTokenBlocks,
        readiness: Readiness,
        unread: set[DatapathId],
        knows_sessions: Callable[[bool], bool],
        counted: Callable[[list[ObservedEntry], float], None],
    ) -> None:
        self._map = sitemap
        self._table = table
        self._local = local
        self.routes = routes
        self.replicas = replicas
        self._facts = facts
        self._words = words
        self._waiting, self._blocks = waiting, blocks
        self._readiness = readiness
        self._unread = unread
        self.events: Counter[PeerEvent] = Counter()
        self.members: frozenset[str] = frozenset()
        self.reached: set[str] = set()
        self._asked: dict[str, float] = {}  # earliest time of the next request for a controller's replica
        self._foreign = ForeignSwitches(sitemap, routes, readiness, self.reached)
        self._misplaced: set[str] = set()  # controllers that sent facts of switches not known as theirs
        self._division = LimitDivision(table.shared, knows_sessions, lambda dpids: unread.isdisjoint(dpids))
        self.ended = EndedTokenMemory()
        self._feed = ReplicaFeed(table, readiness, self.reached, self.ended)
        self._versions: dict[str, int] = {}  # of those that are reached
        self._segments = PassedSegments(
            sitemap, table, counters, local, routes, replicas, destinations, self.reached, self.events, lambda: self.is_whole,
            lambda: readiness.recovering, self._versions,
        )  # fmt: skip
        self._passed = PassedCounters(
            local, table, routes, replicas, self._versions, self.events, counted, sitemap.is_mcp_address
        )
        self.may_live = self._passed.may_live
        self.own = OwnEntries(
            table, routes, replicas, lambda: self.members, self.reached, lambda: self.is_whole, unread
        )

    @property
    def is_whole(self) -> bool:
        """Whether every other controller can be reached and has sent all of its tokens. Only then an unknown token
        belongs to no session."""
        of = self.replicas.of
        return all(name in self.reached and name in of and of[name].is_whole for name in self.members)

    def takes(self) -> Mapping[type[Input], Handler]:
        return {
            ClusterChanged: self._changed, PeerUp: self._up, PeerLost: self._lost, PeerTold: self._told,
            WriteRefused: self._refused,
            TurnOver: lambda given, now: self._feed.flush(now),
        }  # fmt: skip

    def in_place(self) -> dict[type, Handler]:
        """Handlers of inputs from switches, which replace the engine's own."""
        return {
            SynSeen: self._segments.syn,
            UsualJoin: self._segments.usual_join,
            UsualSynAck: self._segments.usual_syn_ack,
            SynAckSeen: self._segments.of_flow,
            FinSeen: self._segments.of_flow,
            WatchedSeen: self._segments.of_flow,
            IcmpErrorSeen: self._segments.icmp_error,
            SweepRead: self._passed.sweep,
            NeighbourSeen: lambda seen, now: self._told_too(seen, now, self._facts.neighbour),
            SwitchUp: self._switch_up,
            SwitchDown: self._down,
            PortStatus: lambda seen, now: self._told_too(seen, now, self._facts.port),
            LinkUp: lambda seen, now: self._told_too(seen, now, self._facts.link),
            LinkDown: lambda seen, now: self._told_too(seen, now, self._facts.link),
        }

    def _told_too(self, seen: Input, now: float, tells: Callable[..., Iterator[PeerMessage]]) -> list[Output]:
        outputs = self._local[type(seen)](seen, now)
        return outputs + [TellPeer("", message) for message in tells(seen)] if self.reached else outputs

    def _switch_up(self, up: SwitchUp, now: float) -> list[Output]:
        gone = self._facts.gone(up)
        return self._told_too(up, now, lambda seen: chain(self._facts.switch(seen), gone))

    def _down(self, down: SwitchDown, now: float) -> list[Output]:
        outputs = self._local[SwitchDown](down, now)
        self._foreign.look()  # if another controller has taken the switch over, entries go through that controller
        return outputs

    # ---- members --------------------------------------------------------------------------------

    def _changed(self, given: ClusterChanged, now: float) -> list[Output]:
        for name in self.members - given.members:
            self.replicas.forget(name)
            self._lost(PeerLost(name), now)
            self._words.forget(name, now)
        before, moved = self.routes.owners, self.routes.owners != given.owners
        # A controller that took a switch over has to read it first. Until then a token that it has not sent may
        # nevertheless belong to one of its sessions.
        for name in {owner for dpid, owner in given.owners.items() if before and before.get(dpid) != owner}:
            if name in self.replicas.of:
                self.replicas.of[name].is_whole = False
        self.routes.me = given.me
        self.routes.changed(given.owners, now)
        if moved:
            self._foreign.owners_changed(before, now)
        self.members = given.members - {given.me}
        foreign = {dpid for dpid in self._map.switches if not self.routes.is_mine(dpid)}
        self._unread -= foreign  # only own switches are read
        if not self._unread:
            self._readiness.recovering = False
        self._foreign.look()
        divided = self._division.changed(given.me, self.members, given.owners, self._map.switches)
        if not moved or not self.reached:
            return divided
        # Controllers learn of a change at different times. Facts that came too early were refused: ask for them again.
        again, self._misplaced = self._misplaced & self.reached, set()
        return [
            *divided,
            *(TellPeer("", fact) for fact in self._facts.all()),
            *(TellPeer(name, ReplicaRequest()) for name in sorted(again)),
        ]

    def segments_again(self, now: float) -> list[Output]:
        """Handle segments that came before all controllers knew the owners that are known now. Called after it is noted which switches
        have to be read."""
        return self._segments.owners_changed(now)

    def _refused(self, given: WriteRefused, now: float) -> list[Output]:
        if given.name in self.members:
            self._foreign.refused(given, now)
        return []

    def _up(self, given: PeerUp, now: float) -> list[Output]:
        if given.name not in self.members:
            self.events[PeerEvent.STRANGER] += 1
            return []
        self.reached.add(given.name)
        self._versions[given.name] = given.version
        self._words.up(given.name, now)
        self._foreign.look()
        return self._all(given.name, now) + self._division.up(given.name, given.version)

    def _all(self, name: str, now: float) -> list[Output]:
        facts = self._facts.all() if name in self.reached else ()
        words = self._words.all(name, self._versions)
        return [*(TellPeer(name, fact) for fact in facts), *words, *self._feed.begin(name, now)]

    def _lost(self, given: PeerLost, now: float) -> list[Output]:
        """A controller is lost. Its tokens stay, so that joins of its sessions are not taken for others."""
        self.reached.discard(given.name)
        self._versions.pop(given.name, None)
        self._division.lost(given.name)
        self._words.lost(given.name, now)
        self._feed.lost(given.name)
        self._foreign.look()
        return []

    # ---- messages of others ---------------------------------------------------------------------

    def _told(self, told: PeerTold, now: float) -> list[Output]:
        name, message = told
        if name not in self.members:
            return self._event(PeerEvent.STRANGER)
        if isinstance(message, TokenEntries):
            return self._tokens(name, message.entries, now)
        if isinstance(message, EndedTokens):
            self.ended.note(message.entries, now)
            replica = self.replicas.of.get(name)
            unknown = len(message.entries) if replica is None else replica.remove(message.entries)
            self.events[PeerEvent.UNKNOWN_END] += unknown
            return []
        if isinstance(message, ForwardedSegment | ForwardedError):
            return self._segments.from_peer(name, message, now)
        if isinstance(message, JoinCounters):
            return self._passed.told(name, message, now)
        if isinstance(message, _FACTS):
            return self._fact(name, message, now)
        if isinstance(message, McpWord):
            return [] if self._words.told(name, message, now) else self._event(PeerEvent.OUT_OF_PLACE)
        if isinstance(message, ReplicaStart):
            if not self.replicas.may_begin(name):
                return self._event(PeerEvent.NO_ROOM)
            self.replicas.begin(name)
        elif isinstance(message, ReplicaEnd) and name in self.replicas.of:
            self.replicas.of[name].is_whole = True
        elif isinstance(message, ReplicaRequest):
            self._feed.wish(name)  # the next tick answers once, however many requests came
        elif isinstance(message, ReplicaDigest):
            return self._compare(name, message, now)
        elif isinstance(message, LimitWish):
            gift = self._table.shared.asked(message, name)
            return [] if gift is None else [TellPeer(name, gift)]
        elif isinstance(message, LimitGift):
            self._table.shared.given(message)
        elif isinstance(message, LimitExcess):
            self._table.shared.told_excess(name, message)
        elif isinstance(message, LimitStanding) and not self._division.is_far(message):
            return self._division.standing(name, message)
        elif isinstance(message, TokenQuestion):
            known = any(
                one.token == message.token and (one.server, one.port) == (message.server, message.port)
                for session in self._table.with_mcp_token(message.token)
                if (one := self._table.told(session)) is not None
            )
            return [TellPeer(name, TokenAnswer(message.request, known))]
        else:
            return self._event(PeerEvent.OUT_OF_PLACE)
        return []

    def _event(self, event: PeerEvent) -> list[Output]:
        self.events[event] += 1
        return []

    def _fact(self, name: str, fact: NetworkFact, now: float) -> list[Output]:
        outputs = self._facts.told(name, fact, now)
        if outputs is None:
            self._misplaced.add(name)
            return self._event(PeerEvent.FOREIGN_SWITCH)
        return outputs

    def _tokens(self, name: str, entries: tuple[TokenEntry, ...], now: float) -> list[Output]:
        replica = self.replicas.of.get(name)
        if replica is None:
            return self._event(PeerEvent.OUT_OF_PLACE)
        self.events[PeerEvent.NO_ROOM] += replica.add(entries)
        outputs: list[Output] = []
        if self._waiting or self._blocks:
            for entry in entries:
                token = read_token(entry.token.to_bytes(4, "big"), "big")
                outputs += self._blocks.learnt(token)
                for _, join in self._waiting.take(token):
                    outputs += self._segments.syn(join, now)
        return outputs

    def _compare(self, name: str, told: ReplicaDigest, now: float) -> list[Output]:
        replica = self.replicas.of.get(name)
        if replica and (replica.sum.tokens, replica.sum.digest) == (told.tokens, told.digest):
            replica.is_whole = True
            return []
        self.events[PeerEvent.DIFFERENT_DIGEST] += 1
        if now < self._asked.get(name, 0.0):
            return []
        self._asked[name] = now + ASKED_AGAIN
        return [TellPeer(name, ReplicaRequest())]

    # ---- what happens here ----------------------------------------------------------------------

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        self._table.limited_by(policy)
        return []

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        self._words.mcps_changed(change)
        return []

    def recovered(self, now: float) -> list[Output]:
        """The entries of all own switches were read. Now digests may be sent."""
        self._feed.digest_now(now)
        return self._segments.read(now)

    def tick(self, now: float) -> list[Output]:
        self.replicas.drain()
        self.ended.expire(now)
        self._segments.expire(now)
        self._foreign.try_again(now)
        outputs = self._division.tick(now) + self._words.news(self._versions, now)
        if not self.reached:
            self._feed.forget_changes()
            return outputs
        outputs += self._feed.flush(now)
        for name in self._feed.take_wishes(now):
            outputs += self._all(name, now)
        outputs += self._feed.go_on()
        outputs += [TellPeer(name, fact) for name, fact in self._facts.deaths(self._versions)]
        return outputs + self._feed.digests(now)
