"""The engine of one of several controllers. Without `--cluster` this module is not loaded."""

from collections.abc import Callable, Generator, Iterable

from steering.core.counters import Counters
from steering.core.engine import RECOVERY, Engine
from steering.core.inputs import EntriesRead, ObservedEntry, SwitchDown
from steering.core.long_work import Work
from steering.core.outputs import ForgetReading, Output
from steering.core.part import Parts
from steering.core.peer_facts import ClusterChanged
from steering.core.peers.exchange import PeerExchange
from steering.core.peers.followed_table import FollowedTable
from steering.core.peers.handover import EntrySelection, Handover
from steering.core.peers.mcp_words import McpWords
from steering.core.peers.network_facts import NetworkFacts
from steering.core.peers.segment_routes import SegmentRoutes
from steering.core.peers.token_replicas import TokenReplicas
from steering.core.sessions.records import Session
from steering.model.ids import DatapathId, Token
from steering.model.mechanism import Mechanism
from steering.model.network import Site
from steering.model.policy import Policy


class ClusteredEngine(Engine):
    """An engine that decides for a share of the site's switches, and exchanges messages with the other controllers."""

    def __init__(
        self,
        site: Site,
        policy: Policy,
        *,
        epoch: int,
        counters: Counters | None = None,
        disabled: Iterable[str] = (),
        elsewhere: Callable[[DatapathId], bool] = lambda dpid: False,
    ) -> None:
        super().__init__(site, policy, epoch=epoch, counters=counters, disabled=disabled, elsewhere=elsewhere)
        pieces, table = self.sessions, self.sessions.table
        assert isinstance(table, FollowedTable)
        off = frozenset(map(Mechanism, disabled))
        local = dict(self._handlers)
        routes = SegmentRoutes(self.map)
        self.peers = PeerExchange(
            self.map, table, self.counters,
            local=local, routes=routes,
            replicas=TokenReplicas(Mechanism.JOIN_DESTINATION not in off, Mechanism.PEER_TOKENS not in off),
            facts=NetworkFacts(
                self.map, self.switches, self.neighbours, self.chooser, routes, local, lambda: pieces.aborted.left_alone
            ),
            words=McpWords(self.chooser, lambda: pieces.aborted.left_alone),
            destinations=pieces.destinations, waiting=pieces.waiting, blocks=pieces.blocks, readiness=pieces.readiness,
            unread=self._unread, knows_sessions=self._knows_sessions, counted=self._counted,
        )  # fmt: skip
        # Last, because it sends the other controllers what all other parts have changed.
        self.parts = Parts((*self.parts, self.peers))
        self.handover = Handover(
            self.map, table, pieces.teardown, self.switches, self._unread, self.recovery.adopt,
            table.shared.giving_up,
        )  # fmt: skip
        table.limited_by(policy)
        takes = {**self.peers.takes(), ClusterChanged: self._shares_changed}
        self._handlers |= {given: self._filtered(take) for given, take in takes.items()}
        self._handlers |= self.peers.in_place()
        self._handlers |= {EntriesRead: self._read, SwitchDown: self._down}

    def _mine(self) -> set[DatapathId]:
        return {dpid for dpid in self.map.switches if self.peers.routes.is_mine(dpid)}

    def _new_table(self) -> FollowedTable:
        return FollowedTable(
            self.policy.limits,
            self.map.mcps,
            self.map.hosts_move,
            self.map.origin_of,
            lambda session: self.handover.leaves(session),
        )

    def _counted(self, observed: list[ObservedEntry], now: float) -> None:
        """Counters of entries of own sessions, at switches of other controllers."""
        self.sessions.teardown.counted(observed, now)
        self.preferring.counted(observed)

    def _knows_sessions(self, waited: bool) -> bool:
        """Whether the entries of all own switches were read, or the time for that is over, and all sessions of switches that were given
        up are forgotten. `waited`: switches that have not connected yet count as away."""
        if self.handover.is_giving_up:
            return False
        if not self.sessions.readiness.recovering:
            return True
        return waited and not any(map(self.switches.is_connected, self._mine()))

    def _knows_every_token(self, token: Token, now: float) -> bool:
        peers = self.peers
        return peers.is_whole and peers.routes.is_settled(now) and not peers.ended.has(token, now)

    def _sees_every_subflow(self) -> bool:
        return False

    def _may_live(self, session: Session, since: float) -> bool:
        """Also true where the controllers at whose switches joins came in have counted segments of them."""
        return self.peers.may_live(session, since)

    def _is_elsewhere(self, dpid: DatapathId) -> bool:
        """Also true for a switch of another controller that can be reached."""
        return super()._is_elsewhere(dpid) or self.peers.routes.owners.get(dpid) in self.peers.reached

    def _own(self, read: EntriesRead) -> Generator[int, float, EntrySelection]:
        return self.peers.own.of(read)

    def _shares_changed(self, given: ClusterChanged, now: float) -> list[Output]:
        return self._shared(given, now) + self.peers.segments_again(now)

    def _shared(self, given: ClusterChanged, now: float) -> list[Output]:
        before = self._mine()
        outputs = self.peers.takes()[ClusterChanged](given, now)
        mine = self._mine()
        if before - mine:
            gone = before - mine
            for dpid in gone:
                self.works.stop(dpid)
            outputs += self.works.begin(frozenset(gone), self.handover.given_up(gone), now)
        taken = mine - before
        if not taken:
            return outputs + self.handover.read_later()
        # The sessions of the taken switches are not known until their entries are read. Until then an unknown token
        # does not count as unknown.
        self._recover_until = now + RECOVERY
        self.sessions.readiness.recovering = True
        for dpid in taken & self.switches.keys():
            self.switches[dpid].fills = 0  # its rules come from another controller; correct rules stay
        self.sessions.readiness.offline |= {dpid for dpid in taken if not self.switches.is_filled(dpid)}
        self.handover.taken(taken, before & mine)
        return outputs

    def _read(self, read: EntriesRead, now: float) -> list[Output]:
        if self.handover.is_again(read.dpid):
            if self.switches.is_filled(read.dpid):
                return self.works.begin(read.dpid, self._read_again(read), now)
            # The switch connected again meanwhile, and no other code would fill it.
            self.handover.lost(read.dpid)
            self._unread.add(read.dpid)
            self.resync.stop_filling(read.dpid)
        return super()._entries_read(read, now)

    def _read_again(self, read: EntriesRead) -> Work:
        yield 0
        own = yield from self._own(read)
        now = yield from self.handover.read(read, own)
        done = self._recovered(now) if not self._unread else self.handover.read_later()
        return [ForgetReading(read.dpid), *done]  # in this order, because `done` may read the switch again

    def _take_over(self, read: EntriesRead) -> Work:
        return (yield from super()._take_over(read)) + self.handover.read_later()

    def _down(self, down: SwitchDown, now: float) -> list[Output]:
        self.handover.lost(down.dpid)
        return self.peers.in_place()[SwitchDown](down, now)

    def _recovered(self, now: float) -> list[Output]:
        return super()._recovered(now) + self.handover.read_later(now_or_never=True)
