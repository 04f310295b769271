"""Constrained shortest paths (CSPF over networkx, D-6.4g): paths over links with enough unreserved capacity for a rate.

A link's capacity is that of the site file, else the speed that the switch reports for the port. Only the part `share` of it
may be reserved, so that other traffic is never starved.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from steering.core.network.graph import Graph
from steering.model.ids import DatapathId
from steering.model.network import PortRef, Site

if TYPE_CHECKING:
    import networkx as nx

Hop = tuple[PortRef, PortRef]  # a directed link
Hops = tuple[Hop, ...]
PathEnds = tuple[DatapathId, DatapathId]  # datapath ids of both ends of a path
STEPS = 16  # most steps of the binary search in `widest`, enough for any network


class LinkCapacity:
    """Capacities and reserved rates of links in bits/s, by the port where a directed link begins."""

    def __init__(self, site: Site, graph: Graph) -> None:
        self._graph = graph
        self._declared: dict[PortRef, int] = {}
        for link in site.links:
            if link.capacity is not None:
                self._declared[link.a] = self._declared[link.b] = link.capacity
        self.speeds: dict[PortRef, int] = {}  # of ports, as switches reported them
        self.taken: dict[PortRef, int] = {}
        self.share = 1.0
        self._links: nx.MultiDiGraph[DatapathId] | None = None
        self._version = -1

    def of(self, port: PortRef) -> int:
        """The capacity of the link that begins at a port, 0 if it is not known."""
        return self._declared.get(port) or self.speeds.get(port, 0)

    def free(self, port: PortRef) -> int:
        """The rate that may still be reserved on the link that begins at a port."""
        return int(self.of(port) * self.share) - self.taken.get(port, 0)

    def take(self, routes: Iterable[Hops], rate: int) -> None:
        for hops in routes:
            for a, _ in hops:
                self.taken[a] = self.taken.get(a, 0) + rate

    def give_back(self, routes: Iterable[Hops], rate: int) -> None:
        for hops in routes:
            for a, _ in hops:
                left = self.taken.get(a, 0) - rate
                if left > 0:
                    self.taken[a] = left
                else:
                    self.taken.pop(a, None)

    def route(self, pairs: Sequence[PathEnds], rate: int) -> tuple[Hops, ...] | None:
        """A shortest path for each pair, such that every link has room for `rate` on all paths together. None if there are
        no such paths."""
        extra: dict[PortRef, int] = {}
        found: list[Hops] = []
        for source, target in pairs:
            hops = self._path(source, target, rate, extra)
            if hops is None:
                return None
            found.append(hops)
            for a, _ in hops:
                extra[a] = extra.get(a, 0) + rate
        return tuple(found)

    def widest(self, pairs: Sequence[PathEnds]) -> int:
        """The greatest rate for which `route` finds paths, 0 if there is none."""
        free = {self.free(a) for a in {link.a for link in self._graph.links()}}
        rates = sorted({value // times for value in free if value > 0 for times in range(1, len(pairs) + 1)})
        low, high = 0, len(rates)  # rates at indexes below `low` have paths, those from `high` on have none
        for _ in range(STEPS):
            if low >= high:
                break
            middle = (low + high) // 2
            if rates[middle] and self.route(pairs, rates[middle]) is not None:
                low = middle + 1
            else:
                high = middle
        return rates[low - 1] if low else 0

    def _path(
        self, source: DatapathId, target: DatapathId, rate: int, extra: Mapping[PortRef, int]
    ) -> Hops | None:
        if source == target:
            return ()
        import networkx as nx  # imported here, because it takes a tenth of the start and few sites reserve

        links = self._known()
        if source not in links or target not in links:
            return None

        def best(edges: Mapping[PortRef, dict[str, float]]) -> tuple[float, PortRef] | None:
            fit = [(data["weight"], a) for a, data in edges.items() if self.free(a) - extra.get(a, 0) >= rate]
            return min(fit, default=None)

        def weight(_u: DatapathId, _v: DatapathId, edges: Mapping[PortRef, dict[str, float]]) -> float | None:
            found = best(edges)
            return None if found is None else found[0]

        try:
            switches: list[DatapathId] = nx.dijkstra_path(links, source, target, weight=weight)
        except nx.NetworkXNoPath:
            return None
        hops: list[Hop] = []
        for here, there in pairwise(switches):
            chosen = best(links[here][there])
            assert chosen is not None, "Dijkstra took no link without room"
            hops.append((chosen[1], links[here][there][chosen[1]]["to"]))
        return tuple(hops)

    def _known(self) -> "nx.MultiDiGraph[DatapathId]":
        import networkx as nx

        if self._links is None or self._version != self._graph.version:
            self._version = self._graph.version
            self._links = nx.MultiDiGraph()
            for link in sorted(self._graph.links(), key=lambda one: (one.a, one.b)):
                self._links.add_edge(link.a.dpid, link.b.dpid, key=link.a, weight=link.weight, to=link.b)
        return self._links
