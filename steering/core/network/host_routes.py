"""Rules that lead packets to hosts: an entry at the host's own switch, and routes of its own where it needs them.

The route for a network's prefix leads to the network's first port. A host behind another port needs own routes.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from steering.core.network.address_queries import stands_for_network
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.network.source_bindings import SourceRules
from steering.core.outputs import Output, SyncRules
from steering.model.ids import DatapathId, WaypointId
from steering.model.network import AccessNetwork, Waypoint
from steering.model.rules import Rule


class NeighbourRules(SourceRules, Protocol):
    """Makes the rules that lead to hosts, MCPs and next hops (core.pipeline.host_rules)."""

    def host(self, at: Waypoint, address: bytes, mac: bytes) -> Rule:
        """The rule for an address, at the switch of its waypoint's port."""

    def transit(self, at: Waypoint, mac: bytes) -> tuple[Rule, ...]:
        """The rules that send all packets for a waypoint to one MAC."""

    def way(self, dpid: DatapathId, at: Waypoint, address: bytes) -> tuple[Rule, ...]:
        """The rules at the switch `dpid` that lead packets for an address to the waypoint `at`."""

    def onward(self, home: Waypoint, at: Waypoint, address: bytes) -> Rule:
        """The rule at the switch of the waypoint `home` that leads packets for an address on to the waypoint `at`."""


class HostRoutes:
    """Makes the rules that lead to hosts. `hosts`: waypoint -> address -> MAC, of all known hosts. The neighbour table
    keeps it up to date."""

    def __init__(
        self, sitemap: SiteMap, made: NeighbourRules, hosts: Mapping[WaypointId, Mapping[bytes, bytes]]
    ) -> None:
        self._map = sitemap
        self._made = made
        self._hosts = hosts
        # Attachments whose hosts need own routes. They are of access networks, so a change of MCPs does not touch them.
        self._elsewhere = [a for a in sitemap.attachments.values() if not stands_for_network(a)]

    def entry(self, attachment: Attachment, address: bytes) -> Rule:
        """The rule for a host's address at the host's own switch."""
        at = attachment.waypoint
        return self._made.host(at, address, self._hosts[at.id][address])

    def added(self, attachment: Attachment, address: bytes) -> list[Output]:
        """The outputs when a host is behind a port from now on."""
        return self._changed(attachment, address, add=True)

    def removed(self, attachment: Attachment, address: bytes) -> list[Output]:
        """The outputs when a host is no longer behind a port."""
        return self._changed(attachment, address, add=False)

    def _changed(self, attachment: Attachment, address: bytes, add: bool) -> list[Output]:
        """Own routes, if the host is not behind its network's first port. The switches of gateways and MCPs get them,
        since most traffic comes from there. All other switches lead to the first port, and its switch leads on."""
        if stands_for_network(attachment):
            return []
        home, at = self._home(attachment), attachment.waypoint
        found = [(dpid, self._made.way(dpid, at, address)) for dpid in sorted(self._map.origins)]
        found.append((home.port.dpid, (self._made.onward(home, at, address),)))
        return [SyncRules(dpid, rules if add else (), () if add else rules) for dpid, rules in found]

    def out_of(self, dpid: DatapathId) -> Iterator[Rule]:
        """The own routes of hosts that a switch should hold."""
        if dpid in self._map.origins:
            yield from self.from_origin(dpid)
        for attachment in self._elsewhere:
            if self._home(attachment).port.dpid == dpid:
                for address in self._hosts[attachment.waypoint.id]:
                    yield self._made.onward(self._home(attachment), attachment.waypoint, address)

    def from_origin(self, dpid: DatapathId) -> Iterator[Rule]:
        """The own routes of hosts that the switch of a gateway or an MCP should hold."""
        for attachment in self._elsewhere:
            for address in self._hosts[attachment.waypoint.id]:
                yield from self._made.way(dpid, attachment.waypoint, address)

    def _home(self, attachment: Attachment) -> Waypoint:
        """The waypoint of the network's first port, where the route for its prefix leads."""
        assert isinstance(attachment.part, AccessNetwork)
        return self._map.attachments[attachment.part.ports[0]].waypoint
