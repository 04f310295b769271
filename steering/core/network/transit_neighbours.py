"""MCPs and next hops behind their ports: their MACs, and when each answered last.

Each has addresses that the site file names, and whoever answers for one of them gets all traffic of its port. All are asked
every second, since silence is how their death is seen.
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

REFRESH = 1.0  # MCPs and next hops are asked this often
SILENT = 3.5  # seconds without an answer after which nothing new is led to them


class TransitNeighbours:
    """By waypoint. Methods return what has to be sent or changed."""

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
        """When an MCP or next hop behind a waypoint answered last, or told of itself; minus infinity for never."""
        return self._answered.get(waypoint, -NEVER)

    def wanted_at(self, waypoint: WaypointId) -> Collection[bytes]:
        """The addresses of the MCP or next hop behind a waypoint, any of which tells its MAC."""
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
        """Whether the neighbour of an MCP's or next hop's port is known, and has not fallen silent."""
        return waypoint in self._macs and now - self._answered.get(waypoint, now) <= SILENT

    def unresolved(self, now: float) -> frozenset[McpId]:
        """Ids of MCPs with a port whose neighbour is not known, or has fallen silent."""
        heard = {w for w in self._macs if now - self._answered.get(w, now) <= SILENT}
        return frozenset(
            mcp.id
            for mcp in self._map.site.mcps
            if not {self._map.inside[mcp.id].id, self._map.outside[mcp.id].id} <= heard
        )

    def answered(self, attachment: Attachment, address: bytes, mac: bytes, now: float) -> list[Output]:
        """The MCP or next hop behind an attachment told the MAC of one of its addresses."""
        at = attachment.waypoint
        self._answered[at.id] = now
        self._probed.answered(at.id, address)
        if self._macs.get(at.id) == mac:
            return []
        self._macs[at.id] = mac
        return [SyncRules(at.port.dpid, self._made.transit(at, mac), ())]

    def adopt(self, waypoint: WaypointId, mac: bytes, now: float) -> None:
        """A switch's entry for an MCP or next hop was read back. What was heard since is newer."""
        self._macs.setdefault(waypoint, mac)
        self._answered.setdefault(waypoint, now)

    def came(self, attachment: Attachment) -> Collection[bytes]:
        """An attachment is new, or another one than before. Returns the addresses of what is behind it."""
        wanted = self._wanted[attachment.waypoint.id] = transit_addresses(attachment)
        return wanted

    def left(self, attachment: Attachment) -> list[Output]:
        """What was behind an attachment is there no more."""
        at = attachment.waypoint
        mac = self._macs.pop(at.id, None)
        self._answered.pop(at.id, None)
        if at.id not in self._map.by_waypoint:
            del self._wanted[at.id]
        return [] if mac is None else [SyncRules(at.port.dpid, (), self._made.transit(at, mac))]

    def port_down(self, waypoint: WaypointId) -> None:
        """The port has no carrier: who is behind it then may have another MAC."""
        self._macs.pop(waypoint, None)

    def rules(self, attachment: Attachment) -> Iterator[Rule]:
        """The rules that lead to the MCP or next hop behind an attachment."""
        mac = self._macs.get(attachment.waypoint.id)
        if mac is not None:
            yield from self._made.transit(attachment.waypoint, mac)
