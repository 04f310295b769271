"""Rules of every form that the core uses, and entries, for the tests of `openflow` and those against a real Open vSwitch."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from hypothesis import strategies as st

from steering.model.rules import (
    IN_PORT,
    OWNER,
    VIRTUAL_MAC,
    WAYPOINT_MASK,
    CookieKind,
    DecTtl,
    Move,
    OutputAction,
    PacketClass,
    Resubmit,
    Rule,
    SetBits,
    SetField,
    Table,
    ToController,
    UnwildcardFlow,
    host_cookie,
    label_mac,
    static_cookie,
)
from steering.model.session import PENDING, PLAIN, Entry, Watch, pack_cookie

V4, V6 = "10.0.0.1", "fd00::1"
ROLE = (0x10000, 0xF0000)
ASKED = (0x100000, 0x100000)


def made(
    table: int,
    priority: int,
    *actions: Any,
    goto: int | None = None,
    write: tuple[int, int] | None = None,
    cookie: int | None = None,
    **match: Any,
) -> Rule:
    """A rule with its match sorted; `write` is what it writes into the metadata."""
    cookie = static_cookie(7) if cookie is None else cookie
    return Rule(table, priority, tuple(sorted(match.items())), actions, goto, write, cookie)


def _answers() -> list[Rule]:
    turn = (Move("eth_src", "eth_dst", 48), SetField("eth_src", VIRTUAL_MAC))
    arp_turn = (
        *turn,
        SetField("arp_op", 2),
        Move("arp_sha", "arp_tha", 48),
        SetField("arp_sha", VIRTUAL_MAC),
    )
    arp = (*arp_turn, Move("arp_spa", "arp_tpa", 32), SetField("arp_spa", V4), OutputAction(IN_PORT))
    turn4 = (*turn, Move("ipv4_src", "ipv4_dst", 32), SetField("ipv4_src", V4), SetField("nw_ttl", 64))
    turn6 = (*turn, Move("ipv6_src", "ipv6_dst", 128), SetField("ipv6_src", V6))
    icmp: dict[str, Any] = {
        "in_port": 1,
        "eth_type": 0x0800,
        "ip_proto": 1,
        "icmpv4_type": 8,
        "icmpv4_code": 0,
    }
    icmp6: dict[str, Any] = {"in_port": 1, "eth_type": 0x86DD, "ip_proto": 58, "icmpv6_code": 0}
    nd, echo = {**icmp6, "icmpv6_type": 135}, {**icmp6, "icmpv6_type": 128}
    advert = (SetField("nd_options_type", 2), SetField("nd_reserved", 0xE000_0000))
    tell = (*advert, SetField("ipv6_nd_tll", VIRTUAL_MAC), OutputAction(IN_PORT))
    turn_back = (*turn6, SetField("icmpv6_type", 136), Resubmit(Table.ND))
    echo4 = (*turn4, SetField("icmpv4_type", 0), OutputAction(IN_PORT))
    echo6 = (*turn6, SetField("nw_ttl", 64), SetField("icmpv6_type", 129), OutputAction(IN_PORT))
    return [
        made(Table.GUARD, 100, *arp, in_port=1, eth_type=0x0806, arp_op=1, arp_tpa=V4),
        made(Table.GUARD, 101, *echo4, ipv4_dst=V4, **icmp),
        made(Table.GUARD, 102, *turn_back, ipv6_nd_target=V6, nw_ttl=255, **nd),
        made(Table.GUARD, 103, *echo6, ipv6_dst=V6, **echo),
        made(Table.ND, 104, *tell, eth_type=0x86DD, ip_proto=58, icmpv6_type=136, icmpv6_code=0),
    ]


def every_form() -> list[Rule]:
    """One rule for each form; no two share table and priority."""
    syn, host = static_cookie(7, PacketClass.SYN), host_cookie(7)
    tcp: dict[str, Any] = {"eth_type": 0x0800, "ip_proto": 6}
    tcp6: dict[str, Any] = {"eth_type": 0x86DD, "ip_proto": 6}
    sent = (ToController(2, 0xFFFF),)
    label = (SetField("eth_dst", label_mac(0x1234, 5)), DecTtl())
    deliver = (SetField("eth_dst", "0a:00:00:00:00:01"), SetField("eth_src", VIRTUAL_MAC), OutputAction(3))
    waypoint = (77, WAYPOINT_MASK)
    net4, net6 = ("10.0.0.0", "255.0.0.0"), ("fd00::", "ffff:ffff::")
    return [
        *_answers(),
        made(Table.GUARD, 200, ToController(1), eth_type=0x88CC),
        made(Table.GUARD, 201, in_port=2, eth_type=0x0806, arp_spa=net4, arp_sha="0a:00:00:00:00:09"),
        made(Table.GUARD, 202, in_port=2, **{**tcp6, "ip_proto": 58}, icmpv6_type=136, ipv6_nd_tll="0a:00:00:00:00:09"),
        made(Table.GUARD, 203, in_port=2, **{**tcp6, "ip_proto": 58}, icmpv6_type=135, ipv6_nd_sll="0a:00:00:00:00:09"),
        made(Table.GUARD, 204, ToController(1), in_port=1, eth_type=0x0800, nw_ttl=1),
        made(Table.GUARD, 205, ToController(1), in_port=1, eth_type=0x86DD, nw_ttl=0, ipv6_src=net6),
        made(Table.GUARD, 206, goto=Table.SESSION, write=ROLE, in_port=1, eth_type=0x0800, ipv4_src=net4),
        made(Table.GUARD, 207, goto=Table.LABEL, in_port=3),
        made(Table.GUARD, 208, in_port=1, eth_dst=("33:33:00:00:00:00", "ff:ff:00:00:00:00")),
        made(Table.GUARD, 209, SetBits("eth_dst", 24, 16, 0x5354), SetBits("in_port", 0, 32, 0), goto=Table.LABEL,
             in_port=3, eth_dst=("02:12:34:00:00:00", "ff:ff:ff:00:00:00")),
        made(Table.SESSION, 65000, goto=Table.CLASSIFY, metadata=ROLE, tcp_flags=(0x02, 0x12), **tcp),
        replace(made(Table.SESSION, 65000, goto=Table.CLASSIFY, write=ASKED, metadata=ROLE, **tcp), hard_timeout=600),
        made(Table.CLASSIFY, 100, *sent, metadata=ASKED, in_port=1, tcp_flags=(0x02, 0x12), tcp_dst=443, cookie=syn, **tcp),
        made(Table.CLASSIFY, 101, ToController(3), goto=Table.ROUTE, ipv6_dst=net6, tcp_flags=(0x12, 0x12), **tcp6),
        made(Table.CLASSIFY, 0, goto=Table.ROUTE),
        made(Table.ROUTE, 100, UnwildcardFlow(), *label, goto=Table.LABEL, ipv4_dst=net4, **tcp),
        made(Table.ROUTE, 101, *label, goto=Table.LABEL, eth_type=0x86DD, ipv6_dst=net6),
        made(Table.LABEL, 100, OutputAction(4), eth_dst=label_mac(0x1234, 5)),
        made(Table.LABEL, 101, goto=Table.HOST, write=waypoint, eth_dst=label_mac(77)),
        made(Table.HOST, 1000, *deliver, metadata=waypoint, eth_type=0x0800, ipv4_dst="10.0.0.9", cookie=host),
        made(Table.HOST, 1001, *deliver, metadata=waypoint, eth_type=0x86DD, ipv6_dst="fd00::9", cookie=host),
        made(Table.HOST, 500, *deliver, metadata=waypoint, eth_type=0x0800),
        made(Table.HOST, 501, *deliver, metadata=waypoint, eth_type=0x86DD),
        made(Table.HOST, 1, ToController(4, 0xFFFF), metadata=waypoint),
    ]  # fmt: skip


def _entry(family: int) -> st.SearchStrategy[Entry]:
    address = st.binary(min_size=4 if family == 4 else 16, max_size=4 if family == 4 else 16)
    port, sixteen = st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)
    flags = st.sampled_from([0, PENDING, PLAIN])
    cookie = st.builds(pack_cookie, st.integers(0, 2), flags, sixteen, st.integers(0, 0xFFFF_FFFF))
    return st.builds(
        Entry, st.just(0xABC), st.integers(0, 15), st.just(family), address, address, port, port, sixteen,
        st.integers(0, 255), cookie, st.sampled_from(Watch),
    )  # fmt: skip


ENTRIES = st.sampled_from([4, 6]).flatmap(_entry)
SOME_ENTRIES = [
    Entry(0xABC, 1, 4, ip_address("10.1.0.2").packed, ip_address("10.9.0.2").packed, 40000, 443, 0x1234, 1,
          pack_cookie(0, PENDING, 9, 0)),
    Entry(0xABC, 3, 6, ip_address("fd00::2").packed, ip_address("fd00:9::2").packed, 443, 40000, 0xFFFF, 0,
          OWNER << 56 | CookieKind.SESSION << 52 | 2 << 48 | 0xFFFF << 32 | 0xDEADBEEF),
]  # fmt: skip
WATCHED_ENTRIES = [
    entry._replace(watch=watch) for entry in SOME_ENTRIES for watch in (Watch.COPY, Watch.PUNT)
]

# SOME_ENTRIES as Open vSwitch 3.1 reported them.
REAL = bytes.fromhex(
    "0098010000000000003d09009c40000000000000000000005e14000900000000000000000000000000000000000000000001"
    "003f80000a020800800016040a010002800018040a090002800014010680001a029c4080001c0201bb800005100000000000"
    "01000000000000000f0000000004002000000000001900108000060602535412340100000018000800000000000100080400"
    "000000b0010000000000001e84809c40000000000000000000005e12ffffdeadbeef00000000000000000000000000000000"
    "0001005780000a0286dd80003410fd00000000000000000000000000000280003610fd000009000000000000000000000002"
    "800014010680001a0201bb80001c029c4080000510000000000003000000000000000f000000000400200000000000190010"
    "80000606025354ffff00000000180008000000000001000804000000"
)
