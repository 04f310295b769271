"""What a lab network looks like, as data: switches, wires, hosts, and the site file that says the same.

Both `steering lab` and `mn --custom` build from a plan. Ports are written `s1:1`, switch and OpenFlow
port, as in the site file; `nat:1` is the second interface of the host `nat`.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_interface, ip_network


class Kind(StrEnum):
    """What a host does. DUAL and M_SERVER speak MPTCP; PLAIN and SERVER have it off; BRIDGE, NAT and ROUTER only forward.

    A CPE has its LAN at eth0 and its uplinks after it, the first carrying what its relay opens.
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
    """An interface: where its wire ends, its addresses with prefix length, and the wire's rate.

    `mbit` limits both directions, None leaves the wire unshaped. An interface that is not `up` has a wire
    and no address until a scenario gives it one.
    """

    peer: str
    addresses: tuple[str, ...] = ()
    mbit: float | None = None
    up: bool = True


@dataclass(frozen=True)
class Box:
    """A host and its interfaces, eth0 first.

    `relay` are further options of an MCP's or a CPE's `steering relay`; `inward` the prefixes it reaches by
    eth0 where eth1 leads to all else.
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
    """An access network (with type), or a gateway (without, behind `next_hops` where it names them), as the site file
    names it."""

    name: str
    prefixes: tuple[str, ...]
    ports: tuple[str, ...]
    type: str | None = None
    trust: str = "operator"
    mbit: float | None = None  # of each port, as the site is told
    next_hops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Point:
    """An MCP as the site file names it; `outside` is given for one that stands in line.

    `type` is off-path unless it stands in line or this says otherwise; `location` is where in the network it is,
    `accesses` the access networks it can be reached from, `public` those of its addresses that others may reach.
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
    source: str = "source_mode: transparent"  # with `pools` and what else goes with the mode


@dataclass(frozen=True)
class SharedAddress:
    """A virtual address as the site file names it: the MCPs behind it, and the one port that is served."""

    address: str
    mcps: tuple[str, ...]
    port: int


@dataclass(frozen=True)
class Plan:
    """A whole lab. `services` are the TCP ports that servers serve and MCPs relay.

    `slow` are switches whose messages to the controller arrive that many milliseconds late.
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
        """Prefixes behind gateways: what MCPs intercept."""
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
    """The virtual gateway of a prefix: its first address."""
    network = ip_network(prefix, strict=False)
    return str(network[1])


def site_text(plan: Plan) -> str:
    """The plan as a site file. Links are left to the controller's discovery, but for what is to be said of those that
    are shaped, or run BFD."""
    known = ", ".join(f"{switch}: {switch[1:]}" for switch in plan.switches)
    lines = ["site: 1", f"switches: {{{known}}}", "access_networks:"]
    for access in plan.accesses:
        lines.append(
            f"  - {{name: {access.name}, type: {access.type}, trust: {access.trust}, "
            f"prefixes: [{_list(access.prefixes)}], ports: [{_list(access.ports)}]"
            f"{'' if access.mbit is None else f', capacity_mbit: {access.mbit}'}}}"
        )
    said = [wire for wire in plan.wires if wire.mbit is not None or wire.bfd]
    if said:
        lines += ["discover: true", "links:"]
        lines += [
            f"  - {{ports: ['{w.a}', '{w.b}'], weight: {w.weight}"
            f"{'' if w.mbit is None else f', capacity_mbit: {w.mbit}'}{', bfd: true' if w.bfd else ''}}}"
            for w in said
        ]
    lines.append("gateways:")
    for gateway in plan.gateways:
        behind = f", next_hops: [{_list(gateway.next_hops)}]" if gateway.next_hops else ""
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
