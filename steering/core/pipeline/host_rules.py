"""What leads to a neighbour that was learnt: its entry at its own switch, and its way from elsewhere."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from steering.core.pipeline.forwarding import Route, host_rule, onward_rule, route_rules, transit_rules
from steering.core.pipeline.ingress_guard import bound_rule
from steering.model.ids import DatapathId
from steering.model.mechanism import Mechanism
from steering.model.network import Network, Waypoint
from steering.model.rules import Rule


class HostRules:
    """Makes the rules that the table of neighbours wants (core.network.host_routes.NeighbourRules)."""

    def __init__(self, epochs: Mapping[DatapathId, int], disabled: frozenset[Mechanism]) -> None:
        self._epochs = epochs
        self._unwildcard = Mechanism.UN_WILDCARDING not in disabled

    def host(self, at: Waypoint, address: bytes, mac: bytes) -> Rule:
        """What is for an address (4 or 16 bytes) goes to its MAC, where its waypoint's port is."""
        epoch = self._epochs[at.port.dpid]
        return host_rule(epoch, at.id, str(ip_address(address)), mac.hex(":"), at.port.port, at.port.line)

    def source(self, at: Waypoint, source: Network) -> Rule:
        """What comes from a source passes at its waypoint's port."""
        return bound_rule(self._epochs[at.port.dpid], at.port.port, source)

    def transit(self, at: Waypoint, mac: bytes) -> tuple[Rule, ...]:
        """All that is led to a waypoint goes to one MAC: an MCP's, or a next hop's."""
        port = at.port
        return tuple(transit_rules(self._epochs[port.dpid], at.id, mac.hex(":"), port.port, port.line))

    def onward(self, home: Waypoint, at: Waypoint, address: bytes) -> Rule:
        """What was led to a network's first port, for a host that is elsewhere."""
        return onward_rule(
            self._epochs[home.port.dpid], home.id, home.port.port, str(ip_address(address)), at.id
        )

    def way(self, dpid: DatapathId, at: Waypoint, address: bytes) -> tuple[Rule, ...]:
        """From an edge switch to a host that its network's own route does not lead to."""
        route = Route(ip_network(address), at.id)
        return tuple(route_rules(self._epochs[dpid], (route,), self._unwildcard))
