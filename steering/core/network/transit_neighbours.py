"""MCPs and next hops behind their ports: their MACs, and when each answered last.

The site file gives their addresses. The MAC that answers for one of these gets all traffic of the port. All are asked
every REFRESH seconds: silence shows that one has failed.
"""

from collections.abc import Collection, Iterator

from steering.core.network.address_queries import transit_addresses
from steering.core.network.gateway_messages import question_to
from steering.core.network.host_routes import NeighbourRules
from steering.core.network.probed_addresses import ProbedAddresses
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Output, SyncRules
from steering.core.part import NEVER
from steering.model.ids import McpId, WaypointId
from steering.model.rules import Rule

REFRESH = 1.0  # seconds between two questions to an MCP or next hop
SILENT = 3.5  # seconds without an answer after which an MCP or next hop gets nothing new


class TransitNeighbours:
    """The MCPs and next hops, by waypoint. Methods return the outputs: frames to send and rules to change."""

    def __init__(self, sitemap: SiteMap, made: NeighbourRules) -> None:
        self._map = sitemap
        self._made = made
        self._macs: dict[WaypointId, bytes] = {}
        self._answered: dict[WaypointId, float] = {}
        self._probed = ProbedAddresses()
        self._wanted = {w: transit_addresses(a) for w, a in sitemap.by_waypoint.items()}

    def mac_of(self, waypoint: WaypointId) -> bytes | None:
        """The MAC of the MCP or next hop behind a waypoint; None while it is not known."""
        return self._macs.get(waypoint)

    def heard(self, waypoint: WaypointId) -> float:
        """When an MCP or next hop behind a waypoint last sent ARP or ND; minus infinity for never."""
        return self._answered.get(waypoint, -NEVER)

    def wanted_at(self, waypoint: WaypointId) -> Collection[bytes]:
        """The addresses of the MCP or next hop behind a waypoint. An answer for any of them gives its MAC."""
        return self._wanted.get(waypoint, ())

    def question(self, waypoint: WaypointId) -> list[Output]:
        """Ask an MCP or next hop for one of its addresses."""
        for address in self._probed.in_turn(waypoint, self.wanted_at(waypoint)):
            if asked := question_to(self._map.by_waypoint[waypoint], address):
                return asked
        return []

    def questions(self) -> list[Output]:
        """Ask every MCP and next hop for all of its addresses."""
        return [
            asked
            for waypoint, addresses in self._wanted.items()
            for address in addresses
            for asked in question_to(self._map.by_waypoint[waypoint], address)
        ]

    def speaks(self, waypoint: WaypointId, now: float) -> bool:
        """Whether the MAC of an MCP or next hop is known, and it answered within SILENT seconds."""
        return waypoint in self._macs and now - self._answered.get(waypoint, now) <= SILENT

    def unresolved(self, now: float) -> frozenset[McpId]:
        """Ids of the MCPs that are not known, or are silent, at one of their ports."""
        heard = {w for w in self._macs if now - self._answered.get(w, now) <= SILENT}
        return frozenset(
            mcp.id
            for mcp in self._map.site.mcps
            if not {self._map.inside[mcp.id].id, self._map.outside[mcp.id].id} <= heard
        )

    def answered(self, attachment: Attachment, address: bytes, mac: bytes, now: float) -> list[Output]:
        """The MCP or next hop behind an attachment answered with the MAC of one of its addresses."""
        at = attachment.waypoint
        self._answered[at.id] = now
        self._probed.answered(at.id, address)
        if self._macs.get(at.id) == mac:
            return []
        self._macs[at.id] = mac
        return [SyncRules(at.port.dpid, self._made.transit(at, mac), ())]

    def adopt(self, waypoint: WaypointId, mac: bytes, now: float) -> None:
        """Take the entry of an MCP or next hop that was read from a switch, unless an answer was heard since."""
        self._macs.setdefault(waypoint, mac)
        self._answered.setdefault(waypoint, now)

    def came(self, attachment: Attachment) -> Collection[bytes]:
        """An attachment is new or has changed. Returns the addresses of the MCP or next hop behind it."""
        wanted = self._wanted[attachment.waypoint.id] = transit_addresses(attachment)
        return wanted

    def left(self, attachment: Attachment) -> list[Output]:
        """Forget the MCP or next hop behind an attachment, which has left the site or changed."""
        at = attachment.waypoint
        mac = self._macs.pop(at.id, None)
        self._answered.pop(at.id, None)
        if at.id not in self._map.by_waypoint:
            del self._wanted[at.id]
        return [] if mac is None else [SyncRules(at.port.dpid, (), self._made.transit(at, mac))]

    def port_down(self, waypoint: WaypointId) -> None:
        """The port lost carrier: a device that is connected to it later may have another MAC."""
        self._macs.pop(waypoint, None)

    def rules(self, attachment: Attachment) -> Iterator[Rule]:
        """The rules that lead to the MCP or next hop behind an attachment."""
        mac = self._macs.get(attachment.waypoint.id)
        if mac is not None:
            yield from self._made.transit(attachment.waypoint, mac)
