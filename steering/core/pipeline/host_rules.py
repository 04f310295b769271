"""Makes the rules for known hosts, MCPs and next hops: entries at their own switch, and routes at other switches."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from steering.core.pipeline.forwarding import Route, host_rule, onward_rule, route_rules, transit_rules
from steering.core.pipeline.ingress_guard import bound_rule
from steering.model.ids import DatapathId
from steering.model.mechanism import Mechanism
from steering.model.network import Network, Waypoint
from steering.model.rules import Rule


class HostRules:
    """Makes the rules for the neighbour table (implements core.network.host_routes.NeighbourRules)."""

    def __init__(self, epochs: Mapping[DatapathId, int], disabled: frozenset[Mechanism]) -> None:
        self._epochs = epochs
        self._unwildcard = Mechanism.UN_WILDCARDING not in disabled

    def host(self, at: Waypoint, address: bytes, mac: bytes) -> Rule:
        """The rule that sends packets for an address (4 or 16 bytes) to a MAC at the waypoint's port."""
        epoch = self._epochs[at.port.dpid]
        return host_rule(epoch, at.id, str(ip_address(address)), mac.hex(":"), at.port.port, at.port.line)

    def source(self, at: Waypoint, source: Network) -> Rule:
        """The rule that lets packets with a source pass at the waypoint's port."""
        return bound_rule(self._epochs[at.port.dpid], at.port.port, source)

    def transit(self, at: Waypoint, mac: bytes) -> tuple[Rule, ...]:
        """The rules that send all packets for a waypoint to one MAC: an MCP's, or a next hop's."""
        port = at.port
        return tuple(transit_rules(self._epochs[port.dpid], at.id, mac.hex(":"), port.port, port.line))

    def onward(self, home: Waypoint, at: Waypoint, address: bytes) -> Rule:
        """The rule at the network's first port (`home`) for a host that is behind another port (`at`)."""
        return onward_rule(
            self._epochs[home.port.dpid], home.id, home.port.port, str(ip_address(address)), at.id
        )

    def way(self, dpid: DatapathId, at: Waypoint, address: bytes) -> tuple[Rule, ...]:
        """The rules at an edge switch that lead to a host which is not behind its network's first port."""
        route = Route(ip_network(address), at.id)
        return tuple(route_rules(self._epochs[dpid], (route,), self._unwildcard))
