"""The engine of one of several controllers. Without `--cluster` it is not loaded, and the engine is as it ever was."""

from collections.abc import Iterable

from steering.core.counters import Counters
from steering.core.engine import Engine
from steering.core.part import Parts
from steering.core.peers.exchange import PeerExchange
from steering.core.peers.followed_table import FollowedTable
from steering.core.peers.network_facts import NetworkFacts
from steering.core.peers.segment_routes import SegmentRoutes
from steering.core.peers.token_replicas import TokenReplicas
from steering.model.mechanism import Mechanism
from steering.model.network import Site
from steering.model.policy import Policy


class ClusteredEngine(Engine):
    """An engine that decides for a share of the site's switches, and exchanges with the engines of the others."""

    table_type = FollowedTable

    def __init__(
        self,
        site: Site,
        policy: Policy,
        *,
        epoch: int,
        counters: Counters | None = None,
        disabled: Iterable[str] = (),
    ) -> None:
        super().__init__(site, policy, epoch=epoch, counters=counters, disabled=disabled)
        pieces, table = self.sessions, self.sessions.table
        assert isinstance(table, FollowedTable)
        table.follow()
        local = dict(self._handlers)
        routes = SegmentRoutes(self.map)
        self.peers = PeerExchange(
            self.map, table, self.counters,
            local=local, routes=routes,
            replicas=TokenReplicas(Mechanism.JOIN_DESTINATION not in set(map(Mechanism, disabled))),
            facts=NetworkFacts(self.map, self.switches, self.neighbours, self.chooser, routes, local),
            destinations=pieces.destinations, early=pieces.early, waiting=pieces.waiting, readiness=pieces.readiness,
            unread=self._unread,
        )  # fmt: skip
        self.parts = Parts((*self.parts, self.peers))  # last: it tells what came of all others
        self._handlers |= {given: self._filtered(take) for given, take in self.peers.takes().items()}
        self._handlers |= self.peers.in_place()
