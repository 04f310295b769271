"""The ways to hosts: their entries at their own switches, and the routes of those that stand elsewhere.

A network's own route leads to its first port. A host behind another port needs routes of its own.
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
    """The maker of the rules that lead to neighbours (core.pipeline.host_rules)."""

    def host(self, at: Waypoint, address: bytes, mac: bytes) -> Rule:
        """The rule for an address, at the switch of its waypoint's port."""

    def transit(self, at: Waypoint, mac: bytes) -> tuple[Rule, ...]:
        """The rules that give everything for a waypoint to one MAC."""

    def way(self, dpid: DatapathId, at: Waypoint, address: bytes) -> tuple[Rule, ...]:
        """The rules at an edge switch that lead to the switch of an address."""

    def onward(self, home: Waypoint, at: Waypoint, address: bytes) -> Rule:
        """The rule at the switch of one waypoint that leads what is for an address on to another."""


class HostRoutes:
    """Makes the rules that lead to hosts. `hosts`: waypoint -> address -> MAC, as they are known now; kept by whoever
    makes this."""

    def __init__(
        self, sitemap: SiteMap, made: NeighbourRules, hosts: Mapping[WaypointId, Mapping[bytes, bytes]]
    ) -> None:
        self._map = sitemap
        self._made = made
        self._hosts = hosts
        # Of access networks, which no change of MCPs concerns: those whose hosts need routes of their own.
        self._elsewhere = [a for a in sitemap.attachments.values() if not stands_for_network(a)]

    def entry(self, attachment: Attachment, address: bytes) -> Rule:
        """The rule for a host's address at its own switch."""
        at = attachment.waypoint
        return self._made.host(at, address, self._hosts[at.id][address])

    def added(self, attachment: Attachment, address: bytes) -> list[Output]:
        """A host is behind a port from now on."""
        return self._changed(attachment, address, add=True)

    def removed(self, attachment: Attachment, address: bytes) -> list[Output]:
        """A host is not there any more."""
        return self._changed(attachment, address, add=False)

    def _changed(self, attachment: Attachment, address: bytes, add: bool) -> list[Output]:
        """A host behind a port other than its network's first needs routes of its own where most of its traffic comes
        from: at gateways and MCPs. All other switches lead to the first port, whose switch leads on."""
        if stands_for_network(attachment):
            return []
        home, at = self._home(attachment), attachment.waypoint
        found = [(dpid, self._made.way(dpid, at, address)) for dpid in sorted(self._map.origins)]
        found.append((home.port.dpid, (self._made.onward(home, at, address),)))
        return [SyncRules(dpid, rules if add else (), () if add else rules) for dpid, rules in found]

    def out_of(self, dpid: DatapathId) -> Iterator[Rule]:
        """The rules that lead from a switch to hosts that their network's own route does not lead to."""
        if dpid in self._map.origins:
            yield from self.from_origin(dpid)
        for attachment in self._elsewhere:
            if self._home(attachment).port.dpid == dpid:
                for address in self._hosts[attachment.waypoint.id]:
                    yield self._made.onward(self._home(attachment), attachment.waypoint, address)

    def from_origin(self, dpid: DatapathId) -> Iterator[Rule]:
        """The rules of a switch of a gateway or an MCP that lead to such hosts' own ports."""
        for attachment in self._elsewhere:
            for address in self._hosts[attachment.waypoint.id]:
                yield from self._made.way(dpid, attachment.waypoint, address)

    def _home(self, attachment: Attachment) -> Waypoint:
        """Where the network's own route leads: to its first port."""
        assert isinstance(attachment.part, AccessNetwork)
        return self._map.attachments[attachment.part.ports[0]].waypoint
