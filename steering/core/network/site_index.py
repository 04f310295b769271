"""Look-ups over a site: the attachment at a port, the gateways towards an address, the owner of an address."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from steering.model.decision import FilterReason
from steering.model.ids import DatapathId, McpId, PortNumber
from steering.model.network import (
    AccessNetwork,
    Attachment,
    Gateway,
    Mcp,
    Network,
    PortRef,
    Site,
    VlanLine,
    waypoints,
)
from steering.model.prefix_table import PrefixTable
from steering.model.source import Identifiers, Prefix, given_under

__all__ = ["Attachment", "SiteMap"]

CACHED_ADDRESSES = 65_536


class SiteMap:
    """Indexes of one site. When the site gets other MCPs, the indexes are rebuilt in this same object, so that every
    part that holds it sees the new ones."""

    def __init__(self, site: Site) -> None:
        self.replace(site)

    def replace(self, site: Site) -> None:
        """Rebuild the indexes for another site."""
        self.site = site
        parts: dict[str, AccessNetwork | Gateway | Mcp] = {}
        parts |= {p.name: p for p in site.access_networks}
        parts |= {p.name: p for p in site.gateways}
        parts |= {p.name: p for p in site.mcps}
        self.attachments = {w.port: Attachment(w, parts[w.name], w.role) for w in waypoints(site)}
        self.at_switch: dict[DatapathId, tuple[Attachment, ...]] = {}
        for port, attachment in self.attachments.items():
            self.at_switch[port.dpid] = (*self.at_switch.get(port.dpid, ()), attachment)
        # Switch -> physical port -> the tagged ports (VLANs) that the physical port carries.
        self.carried: dict[DatapathId, dict[PortNumber, tuple[PortRef, ...]]] = {}
        for port in self.attachments:
            if port.line is not None:
                lines = self.carried.setdefault(port.dpid, {})
                lines[port.line.port] = (*lines.get(port.line.port, ()), port)
        # Plain tuples hash faster than PortRef, and every punted segment is looked up here.
        self.at = {(port.dpid, port.port): a for port, a in self.attachments.items()}
        self.by_waypoint = {a.waypoint.id: a for a in self.attachments.values()}
        self.mcps = {mcp.id: mcp for mcp in site.mcps}
        self.mcp_addresses = {address.packed: mcp for mcp in site.mcps for address in mcp.addresses}
        self.virtual = {v.address.packed: v for v in site.virtual}
        self.inside = {m.id: self.attachments[m.inside].waypoint for m in site.mcps}
        self.outside = {m.id: self.attachments[m.outside].waypoint for m in site.mcps}
        self._reached = {
            mcp.id: frozenset(
                p.dpid for a in site.access_networks if a.name in mcp.access_networks for p in a.ports
            )
            for mcp in site.mcps
            if mcp.access_networks
        }
        self.switches = set(self.at_switch)
        # Switches with a gateway or an MCP: most traffic for hosts comes from there.
        self.origins = {p.dpid for p, a in self.attachments.items() if not isinstance(a.part, AccessNetwork)}
        exits: dict[Network, dict[PortRef, None]] = {}
        for gateway in site.gateways:
            for prefix in gateway.prefixes:
                exits.setdefault(prefix, {}).update(dict.fromkeys(gateway.ports))
        self._exits = PrefixTable((prefix, tuple(ports)) for prefix, ports in exits.items())
        self._accesses = PrefixTable((p, a) for a in site.access_networks for p in a.prefixes)
        self._pools = [prefix for mcp in site.mcps for prefix in self.given(mcp)]
        self._in_pool = PrefixTable((prefix, True) for prefix in self._pools)
        self._nat64 = {mcp.nat64.network_address.packed[:12] for mcp in site.mcps if mcp.nat64 is not None}
        self._cache: dict[bytes, tuple[PortRef, ...]] = {}

    def with_carried(self, dpid: DatapathId, ports: Mapping[PortNumber, bool]) -> dict[PortNumber, bool]:
        """Ports of a switch, and whether they are up. Adds the tagged ports: each is up if its physical port is."""
        lines = self.carried.get(dpid, {})
        tagged = {one.port: ports[port] for port, found in lines.items() if port in ports for one in found}
        return dict(ports) | tagged

    def line_of(self, dpid: DatapathId, port: PortNumber) -> VlanLine | None:
        """The VLAN and the physical port of a tagged port; None for any other port."""
        attachment = self.at.get((dpid, port)) if dpid in self.carried else None
        return None if attachment is None else attachment.waypoint.port.line

    @property
    def hosts_move(self) -> bool:
        """Whether some access network has several ports."""
        return any(len(set(a.ports)) > 1 for a in self.site.access_networks)

    def exits_to(self, address: bytes) -> tuple[PortRef, ...]:
        """The ports of the gateways whose prefix is the longest match for an address (4 or 16 bytes). Empty for addresses
        of access networks, MCPs and their pools. For an address under a NAT64 prefix, the embedded IPv4 address is
        looked up."""
        known = self._cache.get(address)
        if known is None:
            if len(self._cache) >= CACHED_ADDRESSES:
                self._cache.clear()
            known = self._cache[address] = self._look_up(address)
        return known

    def beyond_reach(self, dpid: DatapathId) -> dict[McpId, FilterReason]:
        """The MCPs, by id, that serve no access network at a switch."""
        return {number: FilterReason.ACCESS for number, edges in self._reached.items() if dpid not in edges}

    def reaches(self, name: str, mcp: McpId) -> bool:
        """Whether the access network or gateway of a name may use an MCP. True for an MCP that is not known."""
        known = self.mcps.get(mcp)
        return known is None or not known.access_networks or name in known.access_networks

    def _look_up(self, address: bytes) -> tuple[PortRef, ...]:
        if self.is_mcp_address(address) or self.access_of(address) is not None:
            return ()
        if self._in_pool.of(address):
            return ()
        if self.behind_nat64(address):
            return self._look_up(address[12:])
        return self._exits.of(address) or ()

    def is_mcp_address(self, address: bytes) -> bool:
        """Whether an address is an MCP's own, or a virtual address of MCPs."""
        return address in self.mcp_addresses or address in self.virtual

    def is_on_link(self, attachment: Attachment, address: bytes) -> bool:
        """Whether a host with an address may be behind an attachment (N-7.2a): the address is in a prefix of the
        attachment, and is not that of a virtual gateway or an MCP."""
        part = attachment.part
        if isinstance(part, Mcp) or self.is_mcp_address(address):
            return False
        value = ip_address(address)
        if value in part.gateways or not any(value in prefix for prefix in part.prefixes):
            return False
        return isinstance(part, AccessNetwork) or self.access_of(address) is None

    def access_of(self, address: bytes) -> AccessNetwork | None:
        """The access network whose prefix holds an address."""
        return self._accesses.of(address)

    def origin_of(self, address: bytes) -> bytes:
        """The origin of an address: the part that a host cannot choose. It is the IPv4 address, or the IPv6 /64. It is the
        whole IPv6 address where the access network binds hosts to their addresses."""
        if len(address) == 4:
            return address
        access = self._accesses.of(address)
        return address if access is not None and access.binds_addresses else address[:8]

    def behind_nat64(self, address: bytes) -> bool:
        """Whether an address is under the NAT64 prefix of an MCP: it embeds the address of an IPv4 server (RFC 6052,
        /96)."""
        return bool(self._nat64) and len(address) == 16 and address[:12] in self._nat64

    def given(self, mcp: Mcp) -> list[Prefix]:
        """The source prefixes of an MCP's server legs. Empty where the MCP keeps the addresses of hosts."""
        return given_under(mcp.source_modes, mcp.pools, self.access_prefixes())

    def identifiers_under(self, prefixes: tuple[Network, ...]) -> Iterator[Identifiers]:
        """The interface identifiers under these prefixes that MCPs use as sources. No host may send from them."""
        for prefix in self._pools:
            if isinstance(prefix, Identifiers) and prefix.prefix in prefixes:
                yield prefix

    def access_prefixes(self) -> list[Network]:
        return [prefix for access in self.site.access_networks for prefix in access.prefixes]

    def numbered_accesses(self) -> tuple[tuple[Network, int], ...]:
        """Each prefix of an access network, with the network's position in the site file."""
        accesses = enumerate(self.site.access_networks)
        return tuple((prefix, number) for number, access in accesses for prefix in access.prefixes)

    def gateway_prefixes(self) -> list[Network]:
        return [prefix for gateway in self.site.gateways for prefix in gateway.prefixes]
