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
"""Numbers of tagged ports of one switch: above all ports that switches have, below what has a meter of its own."""


class VlanLine(NamedTuple):
    """What carries a tagged port: the switch port, and the tags (802.1Q, outermost first). `outer`: for two tags, the
    number of the tagged port that the outer one alone makes, whether or not something is attached there."""

    port: PortNumber
    tags: tuple[int, ...]
    outer: PortNumber = PortNumber(0)

    def __str__(self) -> str:
        return ".".join(map(str, (self.port, *self.tags)))


@dataclass(frozen=True, slots=True, order=True)
class PortRef:
    """A switch port: 64-bit datapath id and OpenFlow port number. A tagged port has a number of its own, FIRST_TAGGED
    and up, so that it is a port to all that is per port, and says which `line` carries it."""

    dpid: DatapathId
    port: PortNumber
    line: VlanLine | None = field(default=None, compare=False)

    @property
    def place(self) -> str:
        """The port at its switch as the site file has it: `3`, or `3.20.7`."""
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
    """Network Access Type (D-6.3e)."""

    CELLULAR = "cellular"
    WLAN = "wlan"
    FIXED = "fixed"
    SATELLITE = "satellite"
    OTHER = "other"


HOME = "home"  # the name for the operator of this site


class Trust(StrEnum):
    OPERATOR = "operator"
    THIRD_PARTY = "third-party"


class McpType(StrEnum):
    ON_PATH = "on-path"
    OFF_PATH = "off-path"


class Interception(StrEnum):
    """`steered`: the controller leads traffic to the MCP. `self`: the MCP stands in line on the natural path."""

    STEERED = "steered"
    SELF = "self"


class HostLearning(StrEnum):
    """How the controller learns which host has an address. ARP and neighbour discovery alone prove nothing."""

    LEARNED = "learned"  # the host that claimed it last
    PROBED = "probed"  # the host that claimed it first, as long as the address answers probes there
    STATIC = "static"  # the site file lists each host
    DHCP = "dhcp"  # IPv4: the host that the network's DHCP server gave the address to; IPv6: as `probed`


@dataclass(frozen=True, slots=True)
class StaticHost:
    """A host of the site file: its address, its port, and its MAC of 6 bytes, or None for any MAC."""

    address: Address
    port: PortRef
    mac: bytes | None = None


@dataclass(frozen=True, slots=True)
class AccessNetwork:
    """`capacity`: bits/s of each of its ports in each direction; None: as the switches say. `static_hosts` are used
    where `hosts` is static. `addresses_per_host`: how many addresses one MAC may have at a port. `binds_prefixes`: an
    IPv6 source is bound to its port by its /64. `dhcp_ports`: those that its DHCP server is behind, where `hosts` is dhcp."""

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
    """A gateway to servers. Without `next_hops` all destinations are on the link, and each is resolved by itself."""

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
    """How an MCP is asked whether it lives: every `interval` seconds; after so many misses in a row it is taken for gone, also
    after so many of the reports that it promised.
    `port`: a TCP port that is open at its first address while it serves, None: ARP or ND."""

    port: int | None = None
    interval: float = 0.2
    misses: int = 3


@dataclass(frozen=True, slots=True)
class Mcp:
    """A Multipath Conversion Point. Its port `inside` leads to hosts, `outside` to servers; both may be the same
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
    number: McpId | None = None  # the number that it was given; None: the one that its name gets

    id: McpId = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", mcp_id(self.name) if self.number is None else self.number)


@dataclass(frozen=True, slots=True)
class Link:
    """Both directions between two switch ports. `weight` is the routing cost, in no unit; `capacity` bits/s each
    way, None: what the switches say of their ports. `bfd`: the switches at both ends run BFD on it, and it is down when
    they say so."""

    a: PortRef
    b: PortRef
    weight: float = 1.0
    capacity: int | None = None
    bfd: bool = False


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """An address that several MCPs share (N-5.2.1). Each of them has the address, and the controller chooses which
    one serves a session.

    `mcps`: their ids. `port`: the one TCP port that is served, None for all.
    """

    address: Address
    mcps: tuple[McpId, ...]
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
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
    numbers: Numbers = field(default_factory=Numbers)  # as they were given; what is not among them gets one

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
    """The number that the MCP of this name gets unless another has it."""
    return McpId(stable_id(name))


def waypoint_id(name: str, port: PortRef) -> WaypointId:
    """The waypoint number that attachment `name` at `port` gets unless another has it."""
    return WaypointId(stable_id(waypoint_key(name, port)))


def waypoint_key(name: str, port: PortRef) -> str:
    """What an attachment port's waypoint number is kept by."""
    return f"{name}@{port}"


def waypoint_numbers(site: Site) -> dict[str, int]:
    """The waypoint numbers of a site: those that its attachments have, and those of attachments that are gone."""
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
    """A site with other MCPs, and the names of switches that come with them. Waypoints keep their numbers; `numbers`: as they
    were given, None: new ones get free ones."""
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
    """Every port where something hangs, and every port that carries a tagged one: none of them leads to a switch."""
    found = [port for _, _, port in _places(site)]
    carriers = [PortRef(port.dpid, port.line.port) for port in found if port.line is not None]
    return (*found, *carriers)


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment port: its waypoint and the part of the site it belongs to."""

    waypoint: Waypoint
    part: AccessNetwork | Gateway | Mcp
    role: PortRole

    @property
    def name(self) -> str:
        return self.part.name


def is_other(old: Mcp, new: Mcp) -> bool:
    """Whether a changed MCP is another one to its sessions: at another port, with other addresses, or with other
    source modes."""
    return (
        (old.inside, old.outside, old.interception, old.addresses, old.gateways, old.source_modes, old.pools)
        != (new.inside, new.outside, new.interception, new.addresses, new.gateways, new.source_modes, new.pools)
    ) or old.nat64 != new.nat64  # fmt: skip
