"""The plan of a lab's network, as data: switches, wires, hosts, and the site file that describes the same network.

`steering lab` and `mn --custom` both build from a plan. A port is written as in the site file: `s1:1` is port 1 (by
its OpenFlow number) of switch s1. `nat:1` is the second interface of the host `nat`.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_interface, ip_network


class Kind(StrEnum):
    """The role of a host. DUAL and M_SERVER speak MPTCP, PLAIN and SERVER have MPTCP switched off, BRIDGE, NAT and
    ROUTER only forward.

    A CPE has its LAN at eth0 and its uplinks at the interfaces after that. Its relay opens first subflows by the
    first uplink.
    """

    DUAL = "dual-homed MPTCP host"
    PLAIN = "host without MPTCP"
    SERVER = "server without MPTCP"
    M_SERVER = "server with MPTCP"
    CPE = "CPE with an MCP of its own"
    MCP = "MCP"
    NAT = "NAT"
    BRIDGE = "bridge"
    ROUTER = "router"


@dataclass(frozen=True)
class Nic:
    """An interface: the other end of its wire, its addresses with prefix lengths, and the rate of the wire.

    `mbit` limits both directions; with None the wire is not shaped. An interface that is not `up` has a wire but no
    address until the scenario gives it one.
    """

    peer: str
    addresses: tuple[str, ...] = ()
    mbit: float | None = None
    up: bool = True


@dataclass(frozen=True)
class Box:
    """A host and its interfaces, eth0 first.

    `relay`: further options of the `steering relay` of an MCP or a CPE. `inward`: the prefixes that are reached by
    eth0 where eth1 leads everywhere else.
    """

    name: str
    kind: Kind
    nics: tuple[Nic, ...]
    relay: tuple[str, ...] = ()
    inward: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wire:
    """A link between two switch ports. One with a rate or with BFD stands in the site file."""

    a: str
    b: str
    mbit: float | None = None
    weight: float = 1.0
    bfd: bool = False


@dataclass(frozen=True)
class Attachment:
    """An access network or a gateway of the site file. A gateway has no `type`, and may have `next_hops`."""

    name: str
    prefixes: tuple[str, ...]
    ports: tuple[str, ...]
    type: str | None = None
    trust: str = "operator"
    mbit: float | None = None  # of each port, as the site file says
    hosts: str = "probed"  # `learned`: its hosts may send with any address of its prefixes
    next_hops: tuple[str, ...] = ()
    virtual: tuple[str, ...] = ()  # addresses of the virtual gateway, where they are not the prefixes' first


@dataclass(frozen=True)
class Point:
    """An MCP of the site file. One that stands in line has an `outside` port.

    `type`: off-path by default, or on-path for an MCP in line. `location`: where in the network it is. `accesses`: the
    access networks from which it can be reached. `public`: those of its addresses that outsiders may reach.
    """

    name: str
    port: str
    addresses: tuple[str, ...]
    outside: str | None = None
    sessions: int = 10_000
    type: str = "off-path"
    location: str = ""
    accesses: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    source: str = (
        "source_mode: transparent"  # the line of the site file, with `pools` and other keys of the mode
    )
    probe: str = (
        "{misses: 25}"  # as the site file has it: the hosts of a lab share a machine that may be busy
    )


@dataclass(frozen=True)
class SharedAddress:
    """A virtual address of the site file: the MCPs behind it, and the one port that they serve there."""

    address: str
    mcps: tuple[str, ...]
    port: int


@dataclass(frozen=True)
class Plan:
    """The plan of a whole lab. `services`: the TCP ports that servers serve and MCPs relay.

    `slow`: switches whose messages reach the controller late, with the delay in milliseconds. `named_links`: whether the
    site file names every wire and the controller finds no others, as several owners of switches need it.
    """

    name: str
    switches: tuple[str, ...]
    wires: tuple[Wire, ...]
    boxes: tuple[Box, ...]
    accesses: tuple[Attachment, ...]
    gateways: tuple[Attachment, ...]
    points: tuple[Point, ...] = ()
    services: tuple[int, ...] = (5001,)
    policy: str = "policy: 1\n"
    slow: tuple[tuple[str, int], ...] = ()
    virtual: tuple[SharedAddress, ...] = ()
    named_links: bool = False

    def box(self, name: str) -> Box:
        """The host of that name. Raises KeyError."""
        for box in self.boxes:
            if box.name == name:
                return box
        raise KeyError(name)

    def of_kind(self, *kinds: Kind) -> tuple[Box, ...]:
        """Hosts of these kinds, in the plan's order."""
        return tuple(box for box in self.boxes if box.kind in kinds)

    def server_prefixes(self) -> tuple[str, ...]:
        """The prefixes behind gateways. MCPs intercept connections to them."""
        return tuple(prefix for gateway in self.gateways for prefix in gateway.prefixes)


def split_port(port: str) -> tuple[str, int]:
    """`s1:2` -> ("s1", 2)."""
    name, _, number = port.rpartition(":")
    return name, int(number)


def address_of(box: Box, family: int, nic: int = 0) -> str:
    """The address of one of a host's interfaces, without its prefix length. Raises LookupError."""
    for text in box.nics[nic].addresses:
        interface = ip_interface(text)
        if interface.version == family:
            return str(interface.ip)
    raise LookupError(f"{box.name}: interface {nic} has no IPv{family} address")


def first_host(prefix: str) -> str:
    """The first address of a prefix, which is its virtual gateway."""
    network = ip_network(prefix, strict=False)
    return str(network[1])


def site_text(plan: Plan) -> str:
    """The plan as a site file. Links are left to the controller's discovery, but for what is to be said of those that
    are shaped, or run BFD, and where the plan names them all."""
    known = ", ".join(f"{switch}: {switch[1:]}" for switch in plan.switches)
    lines = ["site: 1", f"switches: {{{known}}}", "access_networks:"]
    for access in plan.accesses:
        lines.append(
            f"  - {{name: {access.name}, type: {access.type}, trust: {access.trust}, "
            f"prefixes: [{_list(access.prefixes)}], ports: [{_list(access.ports)}]"
            f"{'' if access.mbit is None else f', capacity_mbit: {access.mbit}'}"
            f"{'' if access.hosts == 'probed' else f', hosts: {access.hosts}'}}}"
        )
    said = [wire for wire in plan.wires if plan.named_links or wire.mbit is not None or wire.bfd]
    if said:
        lines += ["links:"] if plan.named_links else ["discover: true", "links:"]
        lines += [
            f"  - {{ports: ['{w.a}', '{w.b}'], weight: {w.weight}"
            f"{'' if w.mbit is None else f', capacity_mbit: {w.mbit}'}{', bfd: true' if w.bfd else ''}}}"
            for w in said
        ]
    lines.append("gateways:")
    for gateway in plan.gateways:
        behind = f", next_hops: [{_list(gateway.next_hops)}]" if gateway.next_hops else ""
        behind += f", gateways: [{_list(gateway.virtual)}]" if gateway.virtual else ""
        lines.append(
            f"  - {{name: {gateway.name}, prefixes: [{_list(gateway.prefixes)}], "
            f"ports: [{_list(gateway.ports)}]{behind}}}"
        )
    if plan.points:
        lines.append("mcps:")
    for point in plan.points:
        kind, where, how = point.type, f"port: {point.port}", "steered"
        if point.outside:
            kind, how = "on-path", "self"
            where = f"ports: {{inside: {point.port}, outside: {point.outside}}}"
        if point.location:
            where += f", location: {point.location}"
        if point.accesses:
            where += f", access_networks: [{_list(point.accesses)}]"
        where += f", probe: {point.probe}"
        if point.public:
            where += f", public_addresses: [{_list(point.public)}]"
        lines.append(
            f"  - {{name: {point.name}, type: {kind}, {where}, interception: {how}, "
            f"addresses: [{_list(point.addresses)}], "
            f"{point.source}, capacity: {{sessions: {point.sessions}}}}}"
        )
    if plan.virtual:
        lines.append("virtual_addresses:")
    for shared in plan.virtual:
        lines.append(f"  - {{address: {shared.address}, mcps: [{_list(shared.mcps)}], port: {shared.port}}}")
    return "\n".join(lines) + "\n"


def _list(items: tuple[str, ...]) -> str:
    return ", ".join(items)
