"""The site: what *is* in the network. Switch ports, access networks, gateways, MCPs, links."""

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from steering.model.aaa import Aaa
from steering.model.ids import DatapathId, McpId, PortNumber, WaypointId
from steering.model.source import SourceModes

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, order=True)
class PortRef:
    """A switch port: 64-bit datapath id and OpenFlow port number."""

    dpid: DatapathId
    port: PortNumber

    def __str__(self) -> str:
        return f"{self.dpid:x}:{self.port}"


class PortRole(IntEnum):
    """What hangs at a port; the qualifier of every session entry."""

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


HOME = "home"  # the operator of this site, as MCPs name theirs


class Trust(StrEnum):
    OPERATOR = "operator"
    THIRD_PARTY = "third-party"


class McpType(StrEnum):
    ON_PATH = "on-path"
    OFF_PATH = "off-path"


class Interception(StrEnum):
    """`steered`: the controller brings traffic to it; `self`: it stands in line on the natural path."""

    STEERED = "steered"
    SELF = "self"


class HostLearning(StrEnum):
    """How it is known which host has an address: ARP and neighbour discovery prove nothing by themselves."""

    LEARNED = "learned"  # whoever said so last
    PROBED = "probed"  # whoever said so first, for as long as the address answers where it is
    STATIC = "static"  # the site file says it for each host


@dataclass(frozen=True, slots=True)
class StaticHost:
    """A host that the site file names: its address, its port, and its MAC of 6 bytes, None for any."""

    address: Address
    port: PortRef
    mac: bytes | None = None


@dataclass(frozen=True, slots=True)
class AccessNetwork:
    """`capacity`: bits/s that each of its ports carries each way, None: what the switches say of them.
    `static_hosts` count where `hosts` is static. `addresses_per_host`: how many one MAC may have at a port."""

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


@dataclass(frozen=True, slots=True)
class Gateway:
    """A way to servers. Without `next_hops` destinations are on the link and resolved one by one."""

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
class Mcp:
    """A Multipath Conversion Point. `inside` faces hosts, `outside` servers; one port may be both."""

    name: str
    type: McpType
    inside: PortRef
    outside: PortRef
    interception: Interception
    addresses: tuple[Address, ...]
    gateways: tuple[Address, ...]
    source_modes: SourceModes
    capacity_sessions: int
    tcp_ports: tuple[tuple[int, int], ...] = ((1, 65535),)  # service ports it listens on, ranges inclusive
    pools: tuple[Network, ...] = ()  # what its server legs come from (N-5.4.2); identifiers in `ipv6-prefix`
    nat64: IPv6Network | None = None  # /96: IPv4 servers as IPv6 hosts see them
    referral_ports: tuple[tuple[int, int], ...] = ()  # never taken in `ipv6-prefix` (N-5.4.1.2)
    location: str = ""  # where in the network it stands, in the operator's words: small-cell, ip-gateway
    access_networks: frozenset[str] = frozenset()  # those it can be reached from, empty for all
    public_addresses: tuple[Address, ...] = ()  # of its own those that the Internet leads to (D-6.2d)
    operator: str = HOME  # who runs it: what it inspects may be private (D-7.3)

    id: McpId = field(init=False)  # what a cookie carries

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", mcp_id(self.name))


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
    """An address that several MCPs stand behind (N-5.2.1): they own it, the controller tells who serves whom.

    `mcps` are ids. `port`: the one TCP port that is served, None for all.
    """

    address: Address
    mcps: tuple[McpId, ...]
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
    access_networks: tuple[AccessNetwork, ...]
    gateways: tuple[Gateway, ...]
    mcps: tuple[Mcp, ...]
    links: tuple[Link, ...] = ()  # static links; empty: discovered by LLDP
    switches: dict[str, DatapathId] = field(default_factory=dict)  # name -> datapath id
    discover: bool = True
    link_ports: tuple[PortRef, ...] | None = None  # the only ports where links are discovered; None: anywhere
    aaa: Aaa = field(default_factory=Aaa)
    virtual: tuple[VirtualAddress, ...] = ()
    switch_certificates: dict[str, str] = field(default_factory=dict)  # a switch's name -> its certificate's
    unknown_switches: bool = False  # whether datapath ids that the site does not name are used

    def switch_name(self, dpid: DatapathId) -> str:
        """The operator's name of a switch, or its id in hex."""
        return next((name for name, known in self.switches.items() if known == dpid), f"{dpid:016x}")


@dataclass(frozen=True, slots=True)
class Waypoint:
    """An attachment port as a destination; `id` is what a label carries."""

    id: WaypointId
    name: str
    role: PortRole
    port: PortRef


def stable_id(name: str) -> int:
    """16 bits of a name, never 0.

    Labels and cookies outlive the controller, so the numbers in them may not depend on the order
    of a file or on who was seen first. A collision is a finding of `steering check`.
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big") or 1


def mcp_id(name: str) -> McpId:
    """The number of the MCP of this name."""
    return McpId(stable_id(name))


def waypoint_id(name: str, port: PortRef) -> WaypointId:
    """The waypoint number of attachment `name` at `port`."""
    return WaypointId(stable_id(f"{name}@{port}"))


def waypoints(site: Site) -> tuple[Waypoint, ...]:
    """Every attachment port of the site as a waypoint."""
    found: list[Waypoint] = []
    for access in site.access_networks:
        found += [
            Waypoint(waypoint_id(access.name, p), access.name, PortRole.ACCESS, p) for p in access.ports
        ]
    for gateway in site.gateways:
        found += [
            Waypoint(waypoint_id(gateway.name, p), gateway.name, PortRole.GATEWAY, p) for p in gateway.ports
        ]
    for mcp in site.mcps:
        if mcp.inside == mcp.outside:
            found.append(Waypoint(waypoint_id(mcp.name, mcp.inside), mcp.name, PortRole.MCP, mcp.inside))
        else:
            found.append(
                Waypoint(waypoint_id(mcp.name, mcp.inside), mcp.name, PortRole.MCP_INSIDE, mcp.inside)
            )
            found.append(
                Waypoint(waypoint_id(mcp.name, mcp.outside), mcp.name, PortRole.MCP_OUTSIDE, mcp.outside)
            )
    return tuple(found)


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
    """Whether an MCP of the same name is another one to its sessions: elsewhere, with other addresses, or with other
    ways to use hosts' addresses."""
    return (
        (old.inside, old.outside, old.interception, old.addresses, old.gateways, old.source_modes, old.pools)
        != (new.inside, new.outside, new.interception, new.addresses, new.gateways, new.source_modes, new.pools)
    ) or old.nat64 != new.nat64  # fmt: skip
