"""The site, which is the network as it *is*: switch ports, access networks, gateways, MCPs, links."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from steering.model.aaa import Aaa
from steering.model.ids import DatapathId, McpId, PortNumber, WaypointId
from steering.model.numbers import Numbers, numbered, stable_id
from steering.model.source import SourceModes

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


FIRST_TAGGED, MOST_TAGGED = 0xC00, 0x3FE
"""First number, and how many numbers, for the tagged ports of one switch. The numbers are above those of real ports, and
below _FEW_PORTS of model.rules, so that each tagged port has meters of its own."""


class VlanLine(NamedTuple):
    """The switch port that carries a tagged port, and its VLAN tags (802.1Q, outermost first).

    `outer`, for a port with two tags: the number of the tagged port with the outer tag alone. That port has a number even
    if nothing is attached there.
    """

    port: PortNumber
    tags: tuple[int, ...]
    outer: PortNumber = PortNumber(0)

    def __str__(self) -> str:
        return ".".join(map(str, (self.port, *self.tags)))


@dataclass(frozen=True, slots=True, order=True)
class PortRef:
    """A switch port: 64-bit datapath id and OpenFlow port number.

    A tagged port has a number of its own, from FIRST_TAGGED on. Thus everything that is kept for each port works for
    tagged ports too. `line` says which switch port and tags carry the tagged port.
    """

    dpid: DatapathId
    port: PortNumber
    line: VlanLine | None = field(default=None, compare=False)

    @property
    def place(self) -> str:
        """The port's number and tags as in the site file: `3`, or `3.20.7`."""
        return str(self.line or self.port)

    def __str__(self) -> str:
        return f"{self.dpid:x}:{self.place}"


class PortRole(IntEnum):
    """What is attached to a port. Every session entry matches on this role too."""

    CORE = 0
    ACCESS = 1
    MCP = 2
    GATEWAY = 3
    MCP_INSIDE = 4
    MCP_OUTSIDE = 5

    @property
    def is_mcp(self) -> bool:
        return self in (PortRole.MCP, PortRole.MCP_INSIDE, PortRole.MCP_OUTSIDE)


class NetworkAccessType(StrEnum):
    """The kind of an access network (Network Access Type, D-6.3e)."""

    CELLULAR = "cellular"
    WLAN = "wlan"
    FIXED = "fixed"
    SATELLITE = "satellite"
    OTHER = "other"


HOME = "home"  # the name for the operator of this site


class Trust(StrEnum):
    """Who runs an access network: this operator, or somebody else."""

    OPERATOR = "operator"
    THIRD_PARTY = "third-party"


class McpType(StrEnum):
    """Whether the natural paths of sessions pass the MCP's switch."""

    ON_PATH = "on-path"
    OFF_PATH = "off-path"


class Interception(StrEnum):
    """How an MCP gets its traffic. `steered`: the controller leads traffic to the MCP. `self`: the MCP stands in line on
    the natural path."""

    STEERED = "steered"
    SELF = "self"


class HostLearning(StrEnum):
    """How the controller learns which host has an address. ARP and neighbour discovery alone prove nothing."""

    LEARNED = "learned"  # the host that claimed the address last
    PROBED = "probed"  # the host that claimed the address first, as long as it answers probes
    STATIC = "static"  # the site file lists each host
    DHCP = "dhcp"  # IPv4: the host to which the network's DHCP server gave the address; IPv6: as `probed`


@dataclass(frozen=True, slots=True)
class StaticHost:
    """A host of the site file: its address, its port, and its MAC of 6 bytes, or None for any MAC."""

    address: Address
    port: PortRef
    mac: bytes | None = None


@dataclass(frozen=True, slots=True)
class AccessNetwork:
    """An access network: hosts with addresses of `prefixes` behind `ports`.

    `capacity`: bits/s of each port in each direction; None: the speed that the switches report. `static_hosts` are used
    if `hosts` is static, `dhcp_ports` (the ports of its DHCP server) if `hosts` is dhcp. `addresses_per_host`: how many
    addresses one MAC may have at a port. `binds_prefixes`: IPv6 sources are bound to a port by their /64, not one by one.
    """

    name: str
    type: NetworkAccessType
    trust: Trust
    prefixes: tuple[Network, ...]
    ports: tuple[PortRef, ...]
    gateways: tuple[Address, ...]  # the virtual gateway's addresses, one for each prefix
    capacity: int | None = None
    hosts: HostLearning = HostLearning.PROBED
    static_hosts: tuple[StaticHost, ...] = ()
    addresses_per_host: int = 64
    binds_prefixes: bool = False
    dhcp_ports: tuple[PortRef, ...] = ()

    @property
    def binds_sources(self) -> bool:
        """Whether a port may send with the addresses of its own hosts only."""
        return self.hosts is not HostLearning.LEARNED

    @property
    def binds_addresses(self) -> bool:
        """Whether a host of IPv6 may send with its own addresses only, not with any of its /64."""
        return self.binds_sources and not self.binds_prefixes


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway to servers. `gateways`: the virtual gateway's addresses, one for each prefix. Without `next_hops` all
    destinations are on the link, and the MAC of each is resolved by itself."""

    name: str
    prefixes: tuple[Network, ...]
    ports: tuple[PortRef, ...]
    gateways: tuple[Address, ...]
    next_hops: tuple[Address, ...] = ()
    link_hops: tuple[
        tuple[PortRef, Address], ...
    ] = ()  # link-local ones, each with the port that it is behind
    hosts: HostLearning = HostLearning.PROBED


@dataclass(frozen=True, slots=True)
class Probe:
    """How the controller probes whether an MCP is alive.

    A probe is sent every `interval` seconds. An MCP counts as gone after `misses` unanswered probes in a row, or after
    `misses` missed reports in a row. `port`: a TCP port that is open at the MCP's first address while the MCP serves;
    None: the probe is an ARP request or neighbour solicitation.
    """

    port: int | None = None
    interval: float = 0.2
    misses: int = 3


@dataclass(frozen=True, slots=True)
class Mcp:
    """A Multipath Conversion Point. Its port `inside` leads to hosts, `outside` to servers. Both may be the same
    port."""

    name: str
    type: McpType
    inside: PortRef
    outside: PortRef
    interception: Interception
    addresses: tuple[Address, ...]
    gateways: tuple[Address, ...]
    source_modes: SourceModes
    capacity_sessions: int
    tcp_ports: tuple[tuple[int, int], ...] = (
        (1, 65535),
    )  # service ports on which it listens; ranges include both ends
    pools: tuple[
        Network, ...
    ] = ()  # source addresses of its server legs (N-5.4.2); in `ipv6-prefix` interface identifiers
    nat64: IPv6Network | None = None  # /96, under which IPv6 hosts address IPv4 servers
    referral_ports: tuple[
        tuple[int, int], ...
    ] = ()  # service ports that it never takes in `ipv6-prefix` (N-5.4.1.2)
    location: str = ""  # its place in the network, in the operator's words, such as small-cell or ip-gateway
    access_networks: frozenset[str] = frozenset()  # access networks from which it can be reached; empty: all
    public_addresses: tuple[Address, ...] = ()  # its addresses that can be reached from the Internet (D-6.2d)
    operator: str = HOME  # who runs it: the data that it sees may be private (D-7.3)
    probe: Probe = Probe()
    number: McpId | None = None  # the number that the controller gave it; None: computed from its name

    id: McpId = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", mcp_id(self.name) if self.number is None else self.number)


@dataclass(frozen=True, slots=True)
class Link:
    """A link between two switch ports, with both directions. `weight`: routing cost, without a unit. `capacity`: bits/s in
    each direction; None: the speed that the switches report. `bfd`: the switches at both ends run BFD on the link, and the
    link counts as down when BFD fails."""

    a: PortRef
    b: PortRef
    weight: float = 1.0
    capacity: int | None = None
    bfd: bool = False


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """An address that several MCPs have (N-5.2.1). The controller chooses which of them serves a session.

    `mcps`: their ids. `port`: the one TCP port that is served, None for all.
    """

    address: Address
    mcps: tuple[McpId, ...]
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """The content of the site file."""

    access_networks: tuple[AccessNetwork, ...]
    gateways: tuple[Gateway, ...]
    mcps: tuple[Mcp, ...]
    links: tuple[Link, ...] = ()  # static links; empty: links are discovered by LLDP
    switches: dict[str, DatapathId] = field(default_factory=dict)  # name -> datapath id
    discover: bool = True
    link_ports: tuple[PortRef, ...] | None = (
        None  # the only ports at which links are discovered; None: all ports
    )
    aaa: Aaa = field(default_factory=Aaa)
    virtual: tuple[VirtualAddress, ...] = ()
    switch_certificates: dict[str, str] = field(
        default_factory=dict
    )  # name of a switch -> name in its certificate
    unknown_switches: bool = False  # whether switches are used that the site does not name
    numbers: Numbers = field(default_factory=Numbers)  # numbers given so far; anything else gets a new one

    def switch_name(self, dpid: DatapathId) -> str:
        """The site's name of a switch, or its datapath id in hex."""
        return next((name for name, known in self.switches.items() if known == dpid), f"{dpid:016x}")


@dataclass(frozen=True, slots=True)
class Waypoint:
    """An attachment port as a destination. Labels carry its `id`."""

    id: WaypointId
    name: str
    role: PortRole
    port: PortRef


def mcp_id(name: str) -> McpId:
    """The number that the MCP `name` gets, unless another MCP has that number."""
    return McpId(stable_id(name))


def waypoint_id(name: str, port: PortRef) -> WaypointId:
    """The waypoint number that attachment `name` at `port` gets, unless another attachment has that number."""
    return WaypointId(stable_id(waypoint_key(name, port)))


def waypoint_key(name: str, port: PortRef) -> str:
    """The key of an attachment port in `Numbers.waypoints`."""
    return f"{name}@{port}"


def waypoint_numbers(site: Site) -> dict[str, int]:
    """The waypoint numbers of a site by waypoint_key: of its attachments, and of attachments that are gone."""
    return numbered((waypoint_key(name, port) for name, _, port in _places(site)), site.numbers.waypoints)


def waypoints(site: Site) -> tuple[Waypoint, ...]:
    """Every attachment port of the site as a waypoint."""
    numbers = waypoint_numbers(site)
    return tuple(
        Waypoint(WaypointId(numbers[waypoint_key(name, port)]), name, role, port)
        for name, role, port in _places(site)
    )


def with_mcps(
    site: Site, mcps: tuple[Mcp, ...], switches: Mapping[str, DatapathId], numbers: Numbers | None
) -> Site:
    """A site with other MCPs, and with the names of switches that the MCPs bring along. Waypoints keep their numbers.
    `numbers`: the numbers of the new site; None: those of `site`, to which new names add free ones."""
    given = numbers or Numbers(site.numbers.mcps, waypoint_numbers(site))
    return replace(site, mcps=mcps, switches={**site.switches, **switches}, numbers=given)


def _places(site: Site) -> Iterator[tuple[str, PortRole, PortRef]]:
    for access in site.access_networks:
        yield from ((access.name, PortRole.ACCESS, port) for port in access.ports)
    for gateway in site.gateways:
        yield from ((gateway.name, PortRole.GATEWAY, port) for port in gateway.ports)
    for mcp in site.mcps:
        if mcp.inside == mcp.outside:
            yield mcp.name, PortRole.MCP, mcp.inside
        else:
            yield mcp.name, PortRole.MCP_INSIDE, mcp.inside
            yield mcp.name, PortRole.MCP_OUTSIDE, mcp.outside


def occupied_ports(site: Site) -> tuple[PortRef, ...]:
    """Every port where something is attached, and every port that carries a tagged port. None of these leads to another
    switch."""
    found = [port for _, _, port in _places(site)]
    carriers = [PortRef(port.dpid, port.line.port) for port in found if port.line is not None]
    return (*found, *carriers)


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment port: its waypoint, and the access network, gateway or MCP that is attached there."""

    waypoint: Waypoint
    part: AccessNetwork | Gateway | Mcp
    role: PortRole

    @property
    def name(self) -> str:
        return self.part.name


def is_other(old: Mcp, new: Mcp) -> bool:
    """Whether sessions cannot stay at a changed MCP, because its ports, addresses or source modes are others."""
    return (
        (old.inside, old.outside, old.interception, old.addresses, old.gateways, old.source_modes, old.pools)
        != (new.inside, new.outside, new.interception, new.addresses, new.gateways, new.source_modes, new.pools)
    ) or old.nat64 != new.nat64  # fmt: skip
