"""Makes table ROUTE of one switch: where packets go that match no session entry.

Most routes are the same at every switch (`fixed`). Some depend on distances (`near`): routes to gateways, to virtual
addresses of several MCPs, and through in-line MCPs. These are a separate piece, which is made again for a switch
when one of its distances changed.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from ipaddress import ip_network

from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.pipeline.forwarding import Route, route_rules
from steering.core.pipeline.pieces import PendingRules, Rules
from steering.model.ids import DatapathId
from steering.model.network import Network, PortRef, PortRole

MADE = 4_096  # most pieces that are cached

Exits = dict[Network, tuple[float, str, PortRef]]


class NaturalRoutes:
    """Makes the natural routes of switches.

    `unwildcard` (the whole 5-tuple for TCP) and `returning` (routes to MCPs' source pools) are False for negative
    controls. `looks`: how many distances the `near` routes of a switch need.
    """

    def __init__(
        self,
        sitemap: SiteMap,
        graph: Graph,
        epochs: Mapping[DatapathId, int],
        unwildcard: bool,
        returning: bool,
    ) -> None:
        self._map = sitemap
        self._graph = graph
        self._epochs = epochs
        self._unwildcard = unwildcard
        self._returning = returning
        self._made: OrderedDict[tuple[int, tuple[Route, ...] | None], Rules] = OrderedDict()
        self.replaced()

    def replaced(self) -> None:
        """The site has other MCPs now."""
        self._made.clear()
        site = self._map.site
        gateways = {port.dpid for gateway in site.gateways for port in gateway.ports}
        shared = {self._map.mcps[number].inside.dpid for virtual in site.virtual for number in virtual.mcps}
        self._measured_to = gateways | shared
        self._insides = {mcp.inside.dpid for mcp in self._graph.in_line}
        self._outsides = {mcp.outside.dpid for mcp in self._graph.in_line}
        ends = sum(len(gateway.ports) for gateway in site.gateways)
        ways = (1 + len(self._graph.in_line)) * (ends + bool(self._graph.in_line) * len(site.access_networks))
        self.looks = ways + sum(len(virtual.mcps) for virtual in site.virtual)

    def touched(self, target: DatapathId, measured: set[DatapathId]) -> Collection[DatapathId]:
        """The switches whose `near` routes may have changed. `measured`: the switches whose distance to `target`
        changed."""
        edges = self._map.switches
        found = measured & edges if target in self._measured_to | self._insides else set()
        if self._graph.in_line:
            # A path through an in-line MCP may begin at any switch, and goes on from the MCP's outside port.
            if target in self._insides or not self._outsides.isdisjoint(measured):
                return edges
            found |= {target} & edges
        return found

    # ---- pieces ---------------------------------------------------------------------------------

    def fixed(self, dpid: DatapathId) -> Rules | PendingRules:
        """Routes that are the same everywhere: addresses of MCPs, their pools, access networks."""
        return self._remembered(self._epochs[dpid], None, self._fixed_routes)

    def near(self, dpid: DatapathId) -> Rules | PendingRules:
        """Routes that lead to the nearest of several ports, or through an in-line MCP."""
        routes = tuple(self._near_routes(dpid))
        return self._remembered(self._epochs[dpid], routes, lambda: routes)

    def _remembered(
        self, epoch: int, key: tuple[Route, ...] | None, make: Callable[[], Iterable[Route]]
    ) -> Rules | PendingRules:
        known = self._made.get((epoch, key))
        if known is not None:
            return known

        def keep(rules: Rules) -> None:
            if len(self._made) >= MADE:
                self._made.popitem(last=False)
            self._made[epoch, key] = rules

        return PendingRules(route_rules(epoch, make(), self._unwildcard), keep)

    def _fixed_routes(self) -> Iterator[Route]:
        gateways = set(self._map.gateway_prefixes())
        for mcp in self._map.site.mcps:
            for address in mcp.addresses:
                inside, outside = self._map.inside[mcp.id].id, self._map.outside[mcp.id].id
                yield Route(ip_network(address), inside)
                if outside != inside:  # answers of servers to the MCP itself go to its outside port
                    yield Route(ip_network(address), outside, PortRole.GATEWAY)
            if self._returning:  # N-5.4.2.1b: packets to a source pool go to the MCP that uses the pool
                for prefix in self._map.given(mcp):
                    yield Route(prefix, self._map.outside[mcp.id].id)
        for access in self._map.site.access_networks:
            # The route leads to the access network's first port. Hosts behind its other ports have own routes.
            waypoint = self._map.attachments[access.ports[0]].waypoint.id
            for network in access.prefixes:
                if network not in gateways:
                    yield Route(network, waypoint)

    def _near_routes(self, dpid: DatapathId) -> Iterator[Route]:
        graph, site = self._graph, self._map.site
        for virtual in site.virtual:
            # Packets without an entry (ICMP, plain TCP) go to the nearest MCP of the virtual address.
            nearest = min(
                virtual.mcps, key=lambda i: (graph.distance(dpid, self._map.mcps[i].inside.dpid), i)
            )
            yield Route(ip_network(virtual.address), self._map.inside[nearest].id)
        for access in site.access_networks if graph.in_line else ():
            inline = graph.natural_mcp(access.ports[0].dpid, dpid)
            if inline is not None:
                for network in access.prefixes:
                    yield Route(network, self._map.outside[inline.id].id, PortRole.GATEWAY)
        for prefix, (_, _, port) in self._best_exits(dpid).items():
            yield Route(prefix, self._map.attachments[port].waypoint.id)
            inline = graph.natural_mcp(dpid, port.dpid)
            if inline is not None:
                yield Route(prefix, self._map.inside[inline.id].id, PortRole.ACCESS)

    def _best_exits(self, dpid: DatapathId) -> Exits:
        """Prefix -> cost, name and port of the nearest gateway with this prefix."""
        best: Exits = {}
        cost = self._graph.natural_cost
        for gateway in self._map.site.gateways:
            nearest, port = min((cost(dpid, port.dpid), port) for port in gateway.ports)
            for prefix in gateway.prefixes:
                known = best.get(prefix)
                if known is None or (nearest, gateway.name) < known[:2]:
                    best[prefix] = (nearest, gateway.name, port)
        return best
