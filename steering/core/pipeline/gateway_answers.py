"""Makes the rules of tables GUARD and ND that answer ARP, ND and echo for the virtual gateways of one switch.

The switch answers, and the controller only gets metered copies, so all this works without a controller.
"""

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network

from steering.core.pipeline.guarded_port import GuardedPort
from steering.core.pipeline.match_fields import ARP, ICMP, ICMPV6, IPV6, from_prefix, match, prefix_value
from steering.core.pipeline.priorities import ADVERTISED, ADVERTISED_TAGGED, ANSWER, LISTEN
from steering.model.network import Address
from steering.model.rules import (
    IN_PORT,
    VIRTUAL_MAC,
    FieldValue,
    Meter,
    Move,
    OutputAction,
    PacketClass,
    Resubmit,
    Rule,
    RuleAction,
    SetField,
    Table,
    ToController,
    port_meter,
    static_cookie,
)

ECHO, ECHO_REPLY, ECHO_V6, ECHO_REPLY_V6 = 8, 0, 128, 129
SOLICIT_ROUTER, SOLICIT, ADVERTISE = 133, 135, 136
ROUTER_SOLICITED_OVERRIDE = 0xE000_0000  # flags of a neighbour advertisement
ON_LINK_TTL = 255  # RFC 4861 section 7.1.1: the packet has crossed no router
LINK_LOCAL_GATEWAY = IPv6Address("fe80::1")
LINK_LOCAL = IPv6Network("fe80::/10")


def gateway_answers(epoch: int, guarded: GuardedPort) -> Iterator[Rule]:
    """The rules by which an attachment port answers for its virtual gateways."""
    yield from _arp(epoch, guarded)
    yield from _neighbour_discovery(epoch, guarded)
    yield from _echo(epoch, guarded)


def advertised(epoch: int) -> Rule:
    """The rule of ND that every switch has: it completes an answer that goes back out of an untagged port."""
    return _advertised(epoch, ADVERTISED, (OutputAction(IN_PORT),))


def _advertised(epoch: int, priority: int, back: tuple[RuleAction, ...], **fields: FieldValue) -> Rule:
    actions = (
        SetField("nd_options_type", 2),
        SetField("nd_reserved", ROUTER_SOLICITED_OVERRIDE),
        SetField("ipv6_nd_tll", VIRTUAL_MAC),
        *back,
    )
    what = match(eth_type=IPV6, icmpv6_type=ADVERTISE, ip_proto=ICMPV6, **fields)
    return Rule(Table.ND, priority, what, actions, cookie=static_cookie(epoch))


def _arp(epoch: int, guarded: GuardedPort) -> Iterator[Rule]:
    cookie = static_cookie(epoch, PacketClass.NEIGHBOUR)
    learn = ToController(port_meter(Meter.NEIGHBOUR_BASE, guarded.port))
    for prefix in guarded.on_link:
        if prefix.version == 4:
            sender: dict[str, FieldValue] = {"in_port": guarded.port, "eth_type": ARP}
            if prefix.prefixlen:
                sender["arp_spa"] = prefix_value(prefix)
            length = prefix.prefixlen
            yield Rule(Table.GUARD, LISTEN + length, match(**sender), (learn,), cookie=cookie)
            for gateway in guarded.gateways:
                if gateway.version == 4:
                    fields = match(**sender, arp_op=1, arp_tpa=str(gateway))
                    actions = (learn, *_arp_answer(gateway), *guarded.back)
                    yield Rule(Table.GUARD, ANSWER + length, fields, actions, cookie=cookie)


def _arp_answer(gateway: Address) -> tuple[RuleAction, ...]:
    return (
        Move("eth_src", "eth_dst", 48),
        SetField("eth_src", VIRTUAL_MAC),
        SetField("arp_op", 2),
        Move("arp_sha", "arp_tha", 48),
        Move("arp_spa", "arp_tpa", 32),
        SetField("arp_sha", VIRTUAL_MAC),
        SetField("arp_spa", str(gateway)),
    )


def _neighbour_discovery(epoch: int, guarded: GuardedPort) -> Iterator[Rule]:
    if all(prefix.version == 4 for prefix in guarded.on_link):
        return
    cookie = static_cookie(epoch, PacketClass.NEIGHBOUR)
    learn = ToController(port_meter(Meter.NEIGHBOUR_BASE, guarded.port))
    base: dict[str, FieldValue] = {
        "in_port": guarded.port,
        "eth_type": IPV6,
        "ip_proto": ICMPV6,
        "nw_ttl": ON_LINK_TTL,
    }
    targets = [*(g for g in guarded.gateways if g.version == 6), LINK_LOCAL_GATEWAY]
    for prefix in [LINK_LOCAL, *(p for p in guarded.on_link if p.version == 6)]:
        length = prefix.prefixlen
        sent = base | from_prefix(prefix)
        for kind in (SOLICIT_ROUTER, SOLICIT, ADVERTISE):
            fields = match(**sent, icmpv6_type=kind)
            yield Rule(Table.GUARD, LISTEN + length, fields, (learn,), cookie=cookie)
        for target in targets:
            fields = match(**sent, icmpv6_type=SOLICIT, ipv6_nd_target=str(target))
            actions = (learn, *_nd_answer(target))
            yield Rule(Table.GUARD, ANSWER + length, fields, actions, cookie=cookie)
    if guarded.line is not None:
        yield _advertised(epoch, ADVERTISED_TAGGED, guarded.back, in_port=guarded.port)
    # Router solicitations may come from the unspecified address. So do the solicitations of duplicate address
    # detection, which only concern the hosts of the link and are dropped here.
    unspecified = match(**base, ipv6_src="::", icmpv6_type=SOLICIT_ROUTER)
    yield Rule(Table.GUARD, LISTEN + 128, unspecified, (learn,), cookie=cookie)


def _nd_answer(gateway: Address) -> tuple[RuleAction, ...]:
    """The first half of the answer to a neighbour solicitation. The option type can only be set when the packet is an
    advertisement already: table ND does that."""
    return (
        Move("eth_src", "eth_dst", 48),
        SetField("eth_src", VIRTUAL_MAC),
        Move("ipv6_src", "ipv6_dst", 128),
        SetField("ipv6_src", str(gateway)),
        SetField("icmpv6_type", ADVERTISE),
        Resubmit(Table.ND),
    )


def _echo(epoch: int, guarded: GuardedPort) -> Iterator[Rule]:
    cookie = static_cookie(epoch)
    for prefix in guarded.on_link:
        for gateway in guarded.gateways:
            if gateway.version != prefix.version:
                continue
            v4 = gateway.version == 4
            fields = from_prefix(prefix) | {
                "in_port": guarded.port,
                "eth_dst": VIRTUAL_MAC,
                "ipv4_dst" if v4 else "ipv6_dst": str(gateway),
                "ip_proto": ICMP if v4 else ICMPV6,
                "icmpv4_type" if v4 else "icmpv6_type": ECHO if v4 else ECHO_V6,
            }
            actions = (
                Move("eth_src", "eth_dst", 48),
                SetField("eth_src", VIRTUAL_MAC),
                Move("ipv4_src", "ipv4_dst", 32) if v4 else Move("ipv6_src", "ipv6_dst", 128),
                SetField("ipv4_src" if v4 else "ipv6_src", str(gateway)),
                SetField("nw_ttl", 64),
                SetField("icmpv4_type" if v4 else "icmpv6_type", ECHO_REPLY if v4 else ECHO_REPLY_V6),
                *guarded.back,
            )
            yield Rule(Table.GUARD, ANSWER + prefix.prefixlen, match(**fields), actions, cookie=cookie)
