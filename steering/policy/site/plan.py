"""The parts of a site file in one common form, every value with its path. The checks compare them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_network
from typing import Any

from steering.model.ids import DatapathId, PortNumber
from steering.model.network import (
    FIRST_TAGGED,
    MOST_TAGGED,
    Address,
    Interception,
    Network,
    PortRef,
    PortRole,
    VlanLine,
)
from steering.model.numbers import stable_id
from steering.model.source import SourceMode
from steering.policy.language.fields import PortName, first_address
from steering.policy.language.findings import Code, Path, PlacelessFinding, nearest, quoted
from steering.policy.site.schema import AccessNetworkFile, GatewayFile, McpFile, SiteFile, VirtualAddressFile

NEIGHBOURHOOD = {
    4: 24,
    6: 64,
}  # the default gateway of an MCP is the first address of the prefix of this length around its address


class AttachmentKind(StrEnum):
    ACCESS = "access network"
    GATEWAY = "gateway"
    MCP = "MCP"


@dataclass(frozen=True, slots=True)
class PlacedPort:
    path: Path
    written: PortName
    ref: PortRef
    role: PortRole


@dataclass(frozen=True, slots=True)
class PlacedAddress:
    path: Path
    value: Address
    implied: bool = False  # it is a default, and not in the file


@dataclass(frozen=True, slots=True)
class PlacedPrefix:
    path: Path
    value: Network


@dataclass(slots=True)
class PlannedAttachment:
    """An access network, gateway or MCP. `addresses`: an MCP's own. `gateways`: addresses of virtual gateways."""

    kind: AttachmentKind
    name: str
    path: Path
    ports: list[PlacedPort]
    prefixes: list[PlacedPrefix] = field(default_factory=list)
    addresses: list[PlacedAddress] = field(default_factory=list)
    gateways: list[PlacedAddress] = field(default_factory=list)
    next_hops: list[PlacedAddress] = field(default_factory=list)
    pools: list[PlacedPrefix] = field(
        default_factory=list
    )  # prefixes of whole addresses, not interface identifiers

    @property
    def title(self) -> str:
        return f"{self.kind} {quoted(self.name)}"


@dataclass(frozen=True, slots=True)
class PlacedLink:
    path: Path
    ports: tuple[PlacedPort, PlacedPort]
    weight: float
    capacity_mbit: float | None = None
    bfd: bool = False


@dataclass(slots=True)
class Plan:
    """The parts of a site file. `lost`: sections of which something could not be read, so that a name which is
    missing there may still exist."""

    file: SiteFile
    attachments: list[PlannedAttachment] = field(default_factory=list)
    links: list[PlacedLink] = field(default_factory=list)
    link_ports: list[PlacedPort] = field(default_factory=list)
    virtual: list[tuple[int, VirtualAddressFile]] = field(
        default_factory=list
    )  # with their indexes in the file
    switches: dict[str, DatapathId] = field(default_factory=dict)
    tagged: dict[DatapathId, dict[tuple[int, ...], PortNumber]] = field(
        default_factory=dict
    )  # port and tags -> the tagged port's number
    problems: list[PlacelessFinding] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)

    @property
    def discover(self) -> bool:
        """Whether links are discovered. With static links they are not, unless the file says otherwise."""
        return self.file.links is None if self.file.discover is None else self.file.discover


def plan(file: SiteFile, numbers: dict[str, list[int]], lost: set[str]) -> Plan:
    """Resolve names to datapath ids, and fill in default gateways. `numbers`: indexes in the file of list items."""
    made = Plan(file, switches={name: DatapathId(dpid) for name, dpid in file.switches.items()}, lost=lost)
    for number, access in _numbered(file.access_networks, numbers, "access_networks"):
        made.attachments.append(_routed(made, AttachmentKind.ACCESS, access, ("access_networks", number)))
    for number, gateway in _numbered(file.gateways, numbers, "gateways"):
        made.attachments.append(_routed(made, AttachmentKind.GATEWAY, gateway, ("gateways", number)))
    for number, mcp in _numbered(file.mcps, numbers, "mcps"):
        made.attachments.append(_mcp(made, mcp, ("mcps", number)))
    for number, link in _numbered(file.links or [], numbers, "links"):
        path: Path = ("links", number)
        ends = [_place(made, p, PortRole.CORE, (*path, "ports", i)) for i, p in enumerate(link.ports)]
        if ends[0] and ends[1]:
            made.links.append(PlacedLink(path, (ends[0], ends[1]), link.weight, link.capacity_mbit, link.bfd))
    for number, written in enumerate(file.link_ports or []):
        port = _place(made, written, PortRole.CORE, ("link_ports", number))
        if port is not None:
            made.link_ports.append(port)
    made.virtual = list(_numbered(file.virtual_addresses, numbers, "virtual_addresses"))
    return made


def _numbered(items: Sequence[Any], numbers: dict[str, list[int]], section: str) -> Iterable[tuple[int, Any]]:
    return zip(numbers.get(section, range(len(items))), items, strict=False)


def _place(made: Plan, written: PortName, role: PortRole, path: Path) -> PlacedPort | None:
    """The port of a known switch. `sN` is the switch with datapath id N, as in Mininet, unless the file says
    otherwise."""
    dpid = made.switches.get(written.switch)
    if dpid is None:
        digits = written.switch[1:]
        plain = digits.isascii() and digits.isdigit() and len(digits) < 19 and str(int(digits)) == digits
        if written.switch[0] != "s" or not plain or digits == "0":
            suggestion = nearest(written.switch, made.switches)
            message = f"no switch is called {quoted(written.switch)}: give its datapath id under 'switches'"
            if not _was_lost(made, written.switch):
                made.problems.append(PlacelessFinding(path, Code.UNKNOWN_SWITCH, message, suggestion))
            return None
        dpid = made.switches[written.switch] = DatapathId(int(digits))
    if not written.tags:
        return PlacedPort(path, written, PortRef(dpid, PortNumber(written.port)), role)
    if role is PortRole.CORE:
        message = f"port {written} of a link has no tag: switches hand on packets without"
        made.problems.append(PlacelessFinding(path, Code.LINK_PORT, message))
        return None
    ref = _tagged(made, dpid, written)
    if ref is None:
        message = f"switch {quoted(written.switch)} has more than {MOST_TAGGED} tagged ports"
        made.problems.append(PlacelessFinding(path, Code.OUT_OF_RANGE, message))
        return None
    return PlacedPort(path, written, ref, role)


def _tagged(made: Plan, dpid: DatapathId, written: PortName) -> PortRef | None:
    """A tagged port with a number of its own; None where its switch has none left."""
    numbers = made.tagged.setdefault(dpid, {})
    places = [(written.port, *written.tags[: n + 1]) for n in range(len(written.tags))]
    for place in places:
        if place in numbers:
            continue
        if len(numbers) >= MOST_TAGGED:
            return None
        numbers[place] = _free_number(place, set(numbers.values()))
    outer = numbers[places[0]] if len(places) > 1 else PortNumber(0)
    line = VlanLine(PortNumber(written.port), written.tags, outer)
    return PortRef(dpid, numbers[places[-1]], line)


def _free_number(place: tuple[int, ...], taken: set[PortNumber]) -> PortNumber:
    """The number of a tagged port: from the hash of its port and tags, or the next free one. So it does not depend on which
    other tagged ports there are, and in which order: only ports with the same hash do. An MCP whose port gets another
    number, as others come and go at run time, would be taken for another MCP, and its sessions would end."""
    at = stable_id(".".join(map(str, place))) % MOST_TAGGED
    while FIRST_TAGGED + at in taken:
        at = (at + 1) % MOST_TAGGED
    return PortNumber(FIRST_TAGGED + at)


def _was_lost(made: Plan, switch: str) -> bool:
    return "switches" in made.lost and switch not in made.switches


def _places(made: Plan, ports: Sequence[PortName], role: PortRole, path: Path) -> list[PlacedPort]:
    placed = (_place(made, port, role, (*path, n)) for n, port in enumerate(ports))
    return [port for port in placed if port is not None]


def _routed(
    made: Plan, kind: AttachmentKind, item: AccessNetworkFile | GatewayFile, path: Path
) -> PlannedAttachment:
    role = PortRole.ACCESS if kind is AttachmentKind.ACCESS else PortRole.GATEWAY
    ports = _places(made, item.ports, role, (*path, "ports"))
    prefixes = [PlacedPrefix((*path, "prefixes", n), value) for n, value in enumerate(item.prefixes)]
    if item.gateways is None:
        gateways = [
            PlacedAddress(p.path, first_address(p.value), True) for p in prefixes if p.value.prefixlen
        ]
    else:
        gateways = _addresses(item.gateways, (*path, "gateways"))
    hops = _addresses((isinstance(item, GatewayFile) and item.next_hops) or [], (*path, "next_hops"))
    return PlannedAttachment(kind, item.name, path, ports, prefixes, [], gateways, hops)


def _addresses(values: Sequence[Address], path: Path) -> list[PlacedAddress]:
    return [PlacedAddress((*path, n), value) for n, value in enumerate(values)]


def _mcp(made: Plan, item: McpFile, path: Path) -> PlannedAttachment:
    addresses = _addresses(item.addresses, (*path, "addresses"))
    if item.gateways is None:
        gateways = [PlacedAddress(a.path, first_address(neighbourhood(a.value)), True) for a in addresses]
    else:
        gateways = _addresses(item.gateways, (*path, "gateways"))
    ports = _mcp_ports(made, item, path)
    keeps_prefix = item.source_mode.ipv6 is SourceMode.IPV6_PREFIX
    pools = [
        PlacedPrefix((*path, "pools", n), pool)
        for n, pool in enumerate(item.pools)
        if not (keeps_prefix and pool.version == 6)
    ]
    return PlannedAttachment(AttachmentKind.MCP, item.name, path, ports, [], addresses, gateways, pools=pools)


def neighbourhood(value: Address) -> Network:
    """The /24 or /64 around an MCP's address."""
    return ip_network((value, NEIGHBOURHOOD[value.version]), strict=False)


def _mcp_ports(made: Plan, item: McpFile, path: Path) -> list[PlacedPort]:
    wrong = ""
    if (item.port is None) == (item.ports is None):
        wrong = "needs either 'port' or 'ports' (inside, outside)"
    elif item.interception is Interception.SELF and item.ports is None:
        wrong = "stands in line (interception: self): it needs 'ports' with inside and outside"
    elif item.ports is not None and item.ports.inside == item.ports.outside:
        wrong = "has one port as inside and outside: write 'port'"
    if wrong:
        made.problems.append(PlacelessFinding(path, Code.MCP_PORTS, f"MCP {quoted(item.name)} {wrong}"))
    if item.ports is not None:
        inside = _place(made, item.ports.inside, PortRole.MCP_INSIDE, (*path, "ports", "inside"))
        outside = _place(made, item.ports.outside, PortRole.MCP_OUTSIDE, (*path, "ports", "outside"))
        return [p for p in (inside, outside) if p is not None and not wrong]
    only = _place(made, item.port, PortRole.MCP, (*path, "port")) if item.port is not None else None
    return [only] if only is not None and not wrong else []
