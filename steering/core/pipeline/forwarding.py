"""Makes the rules of tables SESSION (the fixed ones), CLASSIFY, ROUTE, LABEL and HOST of one switch.

Their number does not grow with sessions: labels are O(waypoints), routes O(prefixes), hosts O(hosts).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from steering.core.pipeline.match_fields import IPV4, IPV6, TCP, from_prefix, match, prefix_value
from steering.core.pipeline.priorities import (
    HOST,
    KNOWN,
    LABELLED,
    MISS,
    NO_ENTRY,
    ONWARD,
    PLAIN,
    PUNT,
    REVERSE_JOIN,
    ROUTED,
    SYN_ACKS,
    SYNS,
    TRANSIT,
)
from steering.core.pipeline.vlans import leaving
from steering.model.ids import PortNumber, WaypointId
from steering.model.network import Network, PortRole, VlanLine, Waypoint
from steering.model.rules import (
    ASKED,
    ROLE_MASK,
    ROLE_SHIFT,
    VIRTUAL_MAC,
    WAYPOINT_MASK,
    DecTtl,
    FieldValue,
    Meter,
    PacketClass,
    Resubmit,
    Rule,
    RuleAction,
    SetField,
    Table,
    ToController,
    UnwildcardFlow,
    access_meter,
    host_cookie,
    label_mac,
    port_meter,
    static_cookie,
)
from steering.model.source import Prefix

SYN = (0x002, 0x012)
SYN_ACK = (0x012, 0x012)
PORTS_MATCHED = 64  # most eligible service ports that rules match one by one; else the engine compares ports


@dataclass(frozen=True, slots=True)
class Route:
    """A prefix leads to a waypoint. `role`: only for packets that came in at a port of this role (in-line MCPs)."""

    prefix: Prefix
    waypoint: WaypointId
    role: PortRole | None = None


def role_match(role: PortRole) -> tuple[int, int]:
    return (role << ROLE_SHIFT, ROLE_MASK)


def asked_match(role: PortRole | None = None) -> tuple[int, int]:
    """The metadata match for a SYN that the controller decides on (ASKED). `role`: only of ports of this role."""
    return (ASKED, ASKED) if role is None else (role << ROLE_SHIFT | ASKED, ROLE_MASK | ASKED)


def asked_rules(epoch: int, roles: Iterable[PortRole], seconds: int) -> Iterator[Rule]:
    """Rules of SESSION that mark SYNs as ASKED and lead them past session entries.

    So a SYN never matches a session entry: the controller distinguishes a retransmission from a reused 5-tuple.
    `seconds`: the rules' time-out unless they are renewed, 0 for none. Without these rules no SYN is punted: it matches
    its session's entry or takes the natural path.
    """
    cookie, asked = static_cookie(epoch), (ASKED, ASKED)
    for role in roles:
        for eth_type in (IPV4, IPV6):
            fields = match(metadata=role_match(role), eth_type=eth_type, ip_proto=TCP, tcp_flags=SYN)
            yield Rule(Table.SESSION, SYNS, fields, (), Table.CLASSIFY, asked, cookie, 0, seconds)


def session_rules(epoch: int) -> Iterator[Rule]:
    """The fixed rule of SESSION: a packet without a session entry goes on to CLASSIFY."""
    yield Rule(Table.SESSION, NO_ENTRY, (), goto=Table.CLASSIFY, cookie=static_cookie(epoch))


def classify_rules(
    epoch: int,
    punted: Iterable[int],
    mcp_roles: Iterable[PortRole],
    towards: Iterable[tuple[Network, int]],
    service_ports: tuple[int, ...],
    mcps: Iterable[Network] = (),
) -> Iterator[Rule]:
    """Punt SYNs of `punted` ports, copy SYN/ACKs that MCPs send `towards` access networks.

    `service_ports`: the eligible destination ports, empty for all. SYNs to the addresses of `mcps` are punted for any
    destination port, so that no join with an unknown token reaches an MCP.
    """
    addressed = tuple(mcps) if service_ports else ()
    punt, copy = static_cookie(epoch, PacketClass.SYN), static_cookie(epoch, PacketClass.SYN_ACK)
    for port in punted:
        action = (ToController(Meter.SYN_BASE + port, 0xFFFF),)
        for eth_type in (IPV4, IPV6):
            syn: dict[str, FieldValue] = {
                "in_port": port, "metadata": asked_match(), "eth_type": eth_type, "ip_proto": TCP, "tcp_flags": SYN,
            }  # fmt: skip
            if not service_ports:
                yield Rule(Table.CLASSIFY, PUNT, match(**syn), action, cookie=punt)
            for prefix in addressed:
                if _to(prefix)["eth_type"] == eth_type:
                    yield Rule(Table.CLASSIFY, PUNT, match(**syn | _to(prefix)), action, cookie=punt)
            for number in service_ports:
                yield Rule(Table.CLASSIFY, PUNT, match(**syn, tcp_dst=number), action, cookie=punt)
    networks = tuple(towards)
    for role in mcp_roles:
        for prefix, number in networks:
            fields = _to(prefix) | {"metadata": role_match(role), "ip_proto": TCP, "tcp_flags": SYN_ACK}
            copied = (ToController(access_meter(Meter.SYN_ACK_BASE, number)),)
            yield Rule(
                Table.CLASSIFY, SYN_ACKS + prefix.prefixlen, match(**fields), copied, Table.ROUTE, None, copy
            )
    yield Rule(Table.CLASSIFY, PLAIN, (), goto=Table.ROUTE, cookie=static_cookie(epoch))


def known_host_rules(
    epoch: int,
    port: PortNumber,
    address: bytes,
    mac: bytes,
    meter: int,
    service_ports: tuple[int, ...],
    mcps: Iterable[Network] = (),
) -> Iterator[Rule]:
    """Punt the SYNs of one host of a port through the host's own meter. The host is matched by its address (4 or 16
    bytes) and its MAC. `service_ports`: see `classify_rules`. `mcps`: the same, only of the host's address family."""
    v4 = len(address) == 4
    syn: dict[str, FieldValue] = {
        "in_port": port, "metadata": asked_match(), "eth_type": IPV4 if v4 else IPV6, "ip_proto": TCP, "tcp_flags": SYN,
        "eth_src": mac.hex(":"), "ipv4_src" if v4 else "ipv6_src": str(ip_address(address)),
    }  # fmt: skip
    action, cookie = (ToController(meter, 0xFFFF),), static_cookie(epoch, PacketClass.SYN)
    if not service_ports:
        yield Rule(Table.CLASSIFY, KNOWN, match(**syn), action, cookie=cookie)
    for prefix in mcps if service_ports else ():
        yield Rule(Table.CLASSIFY, KNOWN, match(**syn | _to(prefix)), action, cookie=cookie)
    for number in service_ports:
        yield Rule(Table.CLASSIFY, KNOWN, match(**syn, tcp_dst=number), action, cookie=cookie)


def reverse_join_rules(
    epoch: int, addresses: Iterable[tuple[PortRole, Network]], towards: Iterable[tuple[Network, int]]
) -> Iterator[Rule]:
    """Copy SYNs that MCPs send from their own `addresses` to hosts. These are joins that an MCP opens
    (core.handshakes.server_sessions)."""
    cookie, networks = static_cookie(epoch, PacketClass.SYN), tuple(towards)
    for role, own in addresses:
        for prefix, number in networks:
            if prefix.version == own.version:
                fields = _to(prefix) | from_prefix(own) | {"metadata": role_match(role), "ip_proto": TCP}
                copied = (ToController(access_meter(Meter.SYN_ACK_BASE, number)),)
                yield Rule(
                    Table.CLASSIFY, REVERSE_JOIN + prefix.prefixlen, match(**fields, tcp_flags=SYN), copied,
                    Table.ROUTE, None, cookie,
                )  # fmt: skip


def _to(prefix: Prefix) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {"eth_type": IPV4 if prefix.version == 4 else IPV6}
    if prefix.prefixlen:
        fields["ipv4_dst" if prefix.version == 4 else "ipv6_dst"] = prefix_value(prefix)
    return fields


def route_rules(epoch: int, routes: Iterable[Route], unwildcard: bool = True) -> Iterator[Rule]:
    """Rules of ROUTE: from a prefix to a label. For TCP the whole 5-tuple is un-wildcarded. Otherwise a cached megaflow of
    natural traffic would also match steered segments (docs/design/measured.rst, the megaflow cache)."""
    cookie = static_cookie(epoch)
    for route in routes:
        fields = _to(route.prefix)
        priority = ROUTED + 4 * route.prefix.prefixlen
        if route.role is not None:
            fields["metadata"] = role_match(route.role)
            priority += 2
        actions: tuple[RuleAction, ...] = (SetField("eth_dst", label_mac(route.waypoint)), DecTtl())
        yield Rule(Table.ROUTE, priority, match(**fields), actions, Table.LABEL, None, cookie)
        if unwildcard:
            actions = (UnwildcardFlow(), *actions)
            yield Rule(
                Table.ROUTE, priority + 1, match(**fields, ip_proto=TCP), actions, Table.LABEL, None, cookie
            )


def label_rules(
    epoch: int, reached: bool, waypoints: Iterable[Waypoint], way: RuleAction | None
) -> Iterator[Rule]:
    """Rules of LABEL: a label leaves by the action `way`. At the waypoints' own switch (`reached`), the label becomes a
    waypoint number and the packet goes on to HOST."""
    cookie = static_cookie(epoch)
    for waypoint in waypoints:
        fields = match(eth_dst=label_mac(waypoint.id))
        if reached:
            number = (waypoint.id, WAYPOINT_MASK)
            yield Rule(Table.LABEL, LABELLED, fields, goto=Table.HOST, metadata=number, cookie=cookie)
        elif way is not None:
            yield Rule(Table.LABEL, LABELLED, fields, (way,), cookie=cookie)


def miss_rules(epoch: int, waypoints: Iterable[Waypoint]) -> Iterator[Rule]:
    """Rules of HOST for unknown hosts: the packet goes to the controller, which asks for the host's MAC."""
    cookie = static_cookie(epoch, PacketClass.HOST_MISS)
    for waypoint in waypoints:
        fields = match(metadata=(waypoint.id, WAYPOINT_MASK))
        yield Rule(
            Table.HOST,
            MISS,
            fields,
            (ToController(port_meter(Meter.HOST_MISS_BASE, waypoint.port.port), 0xFFFF),),
            cookie=cookie,
        )


def host_rule(
    epoch: int, waypoint: int, address: str, mac: str, port: PortNumber, line: VlanLine | None = None
) -> Rule:
    """The rule of HOST for one known host."""
    v4 = ":" not in address
    fields = match(
        metadata=(waypoint, WAYPOINT_MASK),
        eth_type=IPV4 if v4 else IPV6,
        **{"ipv4_dst" if v4 else "ipv6_dst": address},
    )
    return Rule(Table.HOST, HOST, fields, _deliver(mac, port, line), cookie=host_cookie(epoch))


def onward_rule(epoch: int, home: int, port: PortNumber, address: str, waypoint: int) -> Rule:
    """The rule that leads packets on from waypoint `home` (at `port`) to the `waypoint` of an address. A packet may have to
    leave by the port where it came in, so its ingress port is set to `port`."""
    v4 = ":" not in address
    fields = match(
        metadata=(home, WAYPOINT_MASK),
        eth_type=IPV4 if v4 else IPV6,
        **{"ipv4_dst" if v4 else "ipv6_dst": address},
    )
    actions = (SetField("ingress", port), SetField("eth_dst", label_mac(waypoint)), Resubmit(Table.LABEL))
    return Rule(Table.HOST, ONWARD, fields, actions, cookie=static_cookie(epoch))


def transit_rules(
    epoch: int, waypoint: int, mac: str, port: PortNumber, line: VlanLine | None = None
) -> Iterator[Rule]:
    """Rules of HOST that send all packets for a waypoint to one MAC: an MCP's, or that of a gateway's next hop."""
    for eth_type in (IPV4, IPV6):
        fields = match(metadata=(waypoint, WAYPOINT_MASK), eth_type=eth_type)
        yield Rule(Table.HOST, TRANSIT, fields, _deliver(mac, port, line), cookie=static_cookie(epoch))


def _deliver(mac: str, port: PortNumber, line: VlanLine | None) -> tuple[RuleAction, ...]:
    return (SetField("eth_dst", mac), SetField("eth_src", VIRTUAL_MAC), *leaving(port, line))
