"""Makes the rules of tables GUARD, SOURCE and ND of one switch: the source check, and which packets are copied.

The source check is that of BCP 38 (RFC 2827). The answers for virtual gateways are made in `gateway_answers`.
"""

from collections.abc import Iterable, Iterator

from steering.core.pipeline.gateway_answers import advertised, gateway_answers
from steering.core.pipeline.guarded_port import GuardedPort
from steering.core.pipeline.match_fields import (
    ICMP,
    ICMPV6,
    IPV4,
    IPV6,
    LLDP,
    TCP,
    UDP,
    from_prefix,
    match,
    prefix_value,
)
from steering.core.pipeline.priorities import (
    ALLOW,
    ALLOW_COPIED,
    ALLOW_RESET,
    BOUND,
    COPIED_TO,
    CORE,
    DENY,
    DHCP,
    DISCOVER,
    EXPIRED,
    PROBED,
    RESET_TO,
    TINY,
    UNBOUND,
    WALL,
)
from steering.model.ids import PortNumber
from steering.model.network import Network, PortRole
from steering.model.prefix_table import PrefixTable
from steering.model.rules import (
    ROLE_MASK,
    ROLE_SHIFT,
    VIRTUAL_MAC,
    FieldValue,
    Meter,
    PacketClass,
    Resubmit,
    Rule,
    Table,
    ToController,
    access_meter,
    port_meter,
    static_cookie,
)
from steering.model.source import Prefix
from steering.wire.dhcp import CLIENT_PORT, SERVER_PORT

ICMP_ERRORS = (
    3,
    11,
    12,
)  # RFC 792: unreachable (with "fragmentation needed"), time exceeded, parameter problem
ICMPV6_ERRORS = (1, 2, 3, 4)  # RFC 4443: the same, and packet too big
ICMP_COPY = 1500  # most bytes of an ICMP error that are copied: the MCP needs all of it
FIN = (0x001, 0x001)
RST = (0x004, 0x004)
_ENDS = ((FIN, ALLOW_COPIED, COPIED_TO), (RST, ALLOW_RESET, RESET_TO))
FIRST_FRAGMENT = (1, 3)


def guard_rules(epoch: int, core_ports: Iterable[int], ports: Iterable[GuardedPort]) -> Iterator[Rule]:
    """All rules of GUARD, SOURCE and ND of one switch, without those for tags."""
    yield from core_rules(epoch, core_ports)
    for guarded in ports:
        yield from port_rules(epoch, guarded)


def core_rules(epoch: int, core_ports: Iterable[int]) -> Iterator[Rule]:
    """Rules that every switch has: discovery, packets from other switches, and ND."""
    plain = static_cookie(epoch)
    copy_lldp = ToController(Meter.LLDP, 0xFFFF)
    discover = static_cookie(epoch, PacketClass.LLDP)
    yield Rule(Table.GUARD, DISCOVER, match(eth_type=LLDP), (copy_lldp,), cookie=discover)
    for port in core_ports:
        yield Rule(Table.GUARD, CORE, match(in_port=port), goto=Table.LABEL, cookie=plain)
    yield advertised(epoch)


def port_rules(epoch: int, guarded: GuardedPort) -> Iterator[Rule]:
    """The rules of an attachment port."""
    cookie = static_cookie(epoch)
    yield Rule(Table.GUARD, DISCOVER + 1, match(in_port=guarded.port, eth_type=LLDP), cookie=cookie)
    yield from gateway_answers(epoch, guarded)
    yield from _expired(epoch, guarded)
    yield from _tiny(epoch, guarded)
    yield from _probed(epoch, guarded)
    yield from _admitted(epoch, guarded)
    if guarded.dhcp:
        snooped = (ToController(port_meter(Meter.SOURCE_BASE, guarded.port), 0xFFFF),)
        seen = static_cookie(epoch, PacketClass.DHCP)
        for came, to in ((CLIENT_PORT, SERVER_PORT), (SERVER_PORT, CLIENT_PORT), (SERVER_PORT, SERVER_PORT)):
            fields = match(in_port=guarded.port, eth_type=IPV4, ip_proto=UDP, udp_src=came, udp_dst=to)
            yield Rule(Table.GUARD, DHCP, fields, snooped, cookie=seen)
    if guarded.bound:
        up = (ToController(port_meter(Meter.SOURCE_BASE, guarded.port), 0xFFFF),)
        asked = static_cookie(epoch, PacketClass.SOURCE_MISS)
        yield Rule(Table.SOURCE, UNBOUND, match(in_port=guarded.port), up, cookie=asked)


def bound_rule(epoch: int, port: PortNumber, source: Network) -> Rule:
    """The rule of SOURCE that lets a source pass at a port."""
    fields = match(**from_prefix(source), in_port=port)
    return Rule(Table.SOURCE, BOUND, fields, (Resubmit(Table.SESSION),), cookie=static_cookie(epoch))


def _expired(epoch: int, guarded: GuardedPort) -> Iterator[Rule]:
    """Copy packets whose TTL is used up. In dec_ttl, Open vSwitch would drop them without a packet-in."""
    cookie = static_cookie(epoch, PacketClass.TTL_EXPIRED)
    for prefix in guarded.allowed:
        for ttl in (0, 1):
            fields = match(**from_prefix(prefix), in_port=guarded.port, eth_dst=VIRTUAL_MAC, nw_ttl=ttl)
            copy = (ToController(port_meter(Meter.TTL_EXPIRED_BASE, guarded.port)),)
            yield Rule(Table.GUARD, EXPIRED + prefix.prefixlen, fields, copy, cookie=cookie)


def _tiny(epoch: int, guarded: GuardedPort) -> Iterator[Rule]:
    """Drop first fragments that end within the TCP header, which hide what the segment is (RFC 1858, RFC 3128).

    Open vSwitch reads the ports and flags of such a fragment as 0, so a SYN would pass CLASSIFY. No real link needs
    so small fragments. The counter of the entry says how many were dropped. Larger first fragments with a SYN are
    dropped by the controller.
    """
    for kind in (IPV4, IPV6):
        fields = match(
            in_port=guarded.port, eth_type=kind, ip_proto=TCP, ip_frag=FIRST_FRAGMENT, tcp_src=0, tcp_dst=0
        )
        yield Rule(Table.GUARD, TINY, fields, cookie=static_cookie(epoch))


def _probed(epoch: int, guarded: GuardedPort) -> Iterator[Rule]:
    """Send an MCP's answers to probes of its TCP port to the controller. They show that the MCP is alive, as ARP does, and
    share the port's meter with ARP. Who floods this meter only hides the answers of the same MCP."""
    up = (ToController(port_meter(Meter.NEIGHBOUR_BASE, guarded.port)),)
    for own, gateway, port in guarded.probed:
        v4 = own.version == 4
        fields = match(
            in_port=guarded.port, eth_type=IPV4 if v4 else IPV6, ip_proto=TCP, tcp_src=port,
            **{"ipv4_src" if v4 else "ipv6_src": str(own), "ipv4_dst" if v4 else "ipv6_dst": str(gateway)},
        )  # fmt: skip
        yield Rule(Table.GUARD, PROBED, fields, up, cookie=static_cookie(epoch, PacketClass.PROBE))


def _icmp_errors(epoch: int, guarded: GuardedPort, prefix: Prefix) -> Iterator[Rule]:
    """Copy ICMP errors to the controller; the errors themselves go on. An MCP may open a server leg with a host's address.
    An error about this leg is addressed to the host, and the controller passes the copy to the MCP."""
    cookie = static_cookie(epoch, PacketClass.ICMP_ERROR)
    copy = (ToController(port_meter(Meter.ICMP_ERROR_BASE, guarded.port), ICMP_COPY),)
    role = (guarded.role << ROLE_SHIFT, ROLE_MASK)
    base = from_prefix(prefix) | {"in_port": guarded.port, "eth_dst": VIRTUAL_MAC}
    base["ip_proto"], field, kinds = (
        (ICMP, "icmpv4_type", ICMP_ERRORS) if prefix.version == 4 else (ICMPV6, "icmpv6_type", ICMPV6_ERRORS)
    )
    for kind in kinds:
        fields = match(**base, **{field: kind})
        yield Rule(
            Table.GUARD, ALLOW_COPIED + prefix.prefixlen, fields, copy, guarded.next_table, role, cookie
        )


def _admitted(epoch: int, guarded: GuardedPort) -> Iterator[Rule]:
    role = (guarded.role << ROLE_SHIFT, ROLE_MASK)
    plain, copied = static_cookie(epoch), static_cookie(epoch, PacketClass.FIN)
    base: dict[str, FieldValue] = {"in_port": guarded.port, "eth_dst": VIRTUAL_MAC}
    for prefix in guarded.denied:
        fields = from_prefix(prefix) | base
        yield Rule(Table.GUARD, DENY + prefix.prefixlen, match(**fields), cookie=plain)
    for prefix, target in guarded.kept_out:
        fields = from_prefix(prefix) | {"in_port": guarded.port, f"ipv{target.version}_dst": str(target)}
        yield Rule(Table.GUARD, WALL + prefix.prefixlen, match(**fields), cookie=plain)
    shares = _Shares(guarded)
    for prefix in guarded.allowed:
        fields = from_prefix(prefix) | base
        length = prefix.prefixlen
        yield Rule(Table.GUARD, ALLOW + length, match(**fields), (), guarded.next_table, role, plain)
        ends = fields | {"ip_proto": TCP}
        for flags, level, towards in _ENDS if guarded.role.is_mcp else _ENDS[:1]:
            # A reset from an MCP ends the session that the MCP served. Other resets may be forged: they are not copied.
            ends["tcp_flags"] = flags
            for fields, priority, meter in shares.of(prefix, ends, level, towards):
                copy = (ToController(meter),)
                yield Rule(Table.GUARD, priority, match(**fields), copy, guarded.next_table, role, copied)
        if not guarded.role.is_mcp:
            yield from _icmp_errors(epoch, guarded, prefix)


class _Shares:
    """Chooses the meters for the copies of FINs and resets that come in at a port. Each access network has own meters,
    so that traffic of one network's hosts does not cost another network its copies."""

    def __init__(self, guarded: GuardedPort) -> None:
        self._port = guarded.port
        self._is_access = guarded.role is PortRole.ACCESS
        self._towards: dict[int, list[tuple[dict[str, FieldValue], int]]] = {4: [], 6: []}
        for network, number in guarded.accesses:
            to: dict[str, FieldValue] = {}
            if network.prefixlen:
                to[f"ipv{network.version}_dst"] = prefix_value(network)
            self._towards[network.version].append((to, access_meter(Meter.FIN_BASE, number)))
        self._networks = PrefixTable((network, (network, number)) for network, number in guarded.accesses)

    def of(
        self, prefix: Prefix, ends: dict[str, FieldValue], level: int, towards: int
    ) -> Iterator[tuple[dict[str, FieldValue], int, int]]:
        """Match, priority and meter of the rules that copy such segments from one prefix. `ends`: their match."""
        length = prefix.prefixlen
        if self._is_access:
            yield ends, level + length, port_meter(Meter.FIN_PORT_BASE, self._port)
            return
        for network, number in self._networks.all_of(prefix.network_address.packed):
            if network.prefixlen <= length:  # a server leg with a host's address
                yield ends, level + length, access_meter(Meter.FIN_BASE, number)
                return
        yield ends, level + length, Meter.FIN
        for to, meter in self._towards[prefix.version]:
            yield ends | to, towards + length, meter
