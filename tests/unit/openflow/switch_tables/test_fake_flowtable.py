"""The fake switches themselves: OpenFlow semantics, and what they refuse."""

import pytest

from steering.core.outputs import NATURAL, FillSwitch, Release, RemoveEntries, SendFrame, Steer
from steering.model.network import Link, PortRef
from steering.model.rules import (
    IN_PORT,
    VIRTUAL_MAC,
    DecTtl,
    MeterBand,
    Move,
    OutputAction,
    PacketClass,
    Resubmit,
    Rule,
    SetField,
    Table,
    ToController,
    label_mac,
    static_cookie,
)
from steering.model.session_rule import session_rule
from tests.support.fakes.flowtable import Ambiguous, FakeFlowTable, Loop
from tests.support.fakes.network import FakeNetwork
from tests.support.fakes.packet import (
    SYN_ACK,
    arp_reply,
    arp_request,
    echo_request,
    neighbour_solicitation,
    packet_of,
    tcp,
)
from tests.support.fakes.ruleforms import RuleRefused
from tests.support.openflow_forms import ROLE, SOME_ENTRIES, V4, V6, every_form, made

HOST = "0a:00:00:00:00:99"
SYN = tcp("10.1.0.2", 40000, "10.9.0.2", 443, eth_src=HOST, eth_dst=VIRTUAL_MAC)
# A TCP SYN 10.0.0.9:1001 -> 10.9.0.1:80, TTL 33.
FRAME = bytes.fromhex(
    "0253470000010a000000009908004500002800070000210685b70a0000090a09000103e900500000000100000002500203e893ac0000"
)


def table(*rules: Rule) -> FakeFlowTable:
    switch = FakeFlowTable(0xABC)
    for rule in rules:
        switch.install(rule)
    return switch


def test_highest_priority_wins_and_a_miss_drops():
    switch = table(
        made(Table.GUARD, 1, OutputAction(1)),
        made(Table.GUARD, 2, OutputAction(2), eth_type=0x0800),
        made(5, 9, OutputAction(3)),
    )
    assert switch.output_of(7, SYN) == ([(2, SYN)], [])
    assert switch.output_of(7, arp_request(HOST, "10.1.0.2", "10.1.0.1"))[0][0][0] == 1
    assert table().output_of(7, SYN) == ([], [])


def test_two_that_match_are_ambiguous():
    switch = table(
        made(0, 1, OutputAction(1), in_port=7),
        made(0, 1, OutputAction(2), eth_type=0x0800),
        made(0, 9, in_port=8),
    )
    with pytest.raises(Ambiguous):
        switch.output_of(7, SYN)
    assert switch.output_of(6, SYN)[0] == [(2, SYN)]
    assert switch.output_of(8, SYN)[0] == []


def test_actions_then_metadata_then_goto():
    punt = static_cookie(7, PacketClass.HOST_MISS)
    label = (SetField("eth_dst", label_mac(5)), DecTtl())
    switch = table(
        made(0, 1, OutputAction(1), *label, OutputAction(2), goto=4, write=ROLE, eth_type=0x0800),
        made(4, 1, goto=5, write=(5, 0xFFFF), eth_dst=label_mac(5)),
        made(5, 1, ToController(3), metadata=(0x10005, 0xFFFFF), cookie=punt),
    )
    (first, second), (copy,) = switch.output_of(7, SYN)
    assert first == (1, SYN)
    assert (second[0], second[1].eth_dst, second[1].nw_ttl) == (2, label_mac(5), 63)
    assert (copy.packet_class, copy.metadata, copy.meter, copy.in_port) == (
        PacketClass.HOST_MISS,
        0x10005,
        3,
        7,
    )
    assert copy.packet == second[1]


def test_ttl_one_ends_here():
    switch = table(
        made(0, 1, OutputAction(1), DecTtl(), OutputAction(2), goto=4, eth_type=0x0800),
        made(4, 1, OutputAction(3)),
    )
    old = tcp("10.1.0.2", 1, "10.9.0.2", 2, eth_src=HOST, eth_dst=VIRTUAL_MAC, ttl=1)
    assert [port for port, _ in switch.output_of(7, old)[0]] == [1]
    assert [port for port, _ in switch.output_of(7, SYN)[0]] == [1, 2, 3]


def test_the_ingress_port_by_its_name_only():
    assert table(made(0, 1, OutputAction(7))).output_of(7, SYN)[0] == []
    assert table(made(0, 1, OutputAction(IN_PORT))).output_of(7, SYN)[0] == [(7, SYN)]


def test_resubmit_returns_and_is_bounded():
    switch = table(
        made(0, 1, Resubmit(6), OutputAction(2)),
        made(6, 1, SetField("eth_src", VIRTUAL_MAC), OutputAction(1)),
    )
    outputs, _ = switch.output_of(7, SYN)
    assert [port for port, _ in outputs] == [1, 2] and outputs[1][1].eth_src == VIRTUAL_MAC
    with pytest.raises(Loop):
        table(made(0, 1, Resubmit(0))).output_of(7, SYN)


def test_masks():
    switch = table(
        made(0, 3, OutputAction(1), eth_type=0x0800, ip_proto=6, tcp_flags=(2, 0x12)),
        made(0, 2, OutputAction(2), eth_type=0x0800, ipv4_src=("10.1.0.0", "255.255.0.0")),
        made(0, 1, OutputAction(3), eth_dst=("02:53:00:00:00:00", "ff:ff:00:00:00:00")),
    )
    answer = tcp("10.1.9.9", 443, "10.1.0.2", 1, SYN_ACK, eth_src=HOST, eth_dst=VIRTUAL_MAC)
    assert switch.output_of(7, SYN)[0][0][0] == 1
    assert switch.output_of(7, answer)[0][0][0] == 2
    assert switch.output_of(7, arp_reply(HOST, "10.1.0.2", VIRTUAL_MAC, V4))[0][0][0] == 3


def test_virtual_gateway_answers():
    switch = table(*(rule for rule in every_form() if 100 <= rule.priority < 110))
    ((port, answer),), _ = switch.output_of(1, arp_request(HOST, "10.0.0.9", V4))
    assert port == 1 and answer == arp_reply(VIRTUAL_MAC, V4, HOST, "10.0.0.9")
    ((_, answer),), _ = switch.output_of(1, neighbour_solicitation(HOST, "fd00::9", V6))
    assert (answer.icmpv6_type, answer.eth_dst, answer.ipv6_src, answer.ipv6_dst) == (
        136,
        HOST,
        V6,
        "fd00::9",
    )
    assert (answer.ipv6_nd_tll, answer.ipv6_nd_sll, answer.nd_reserved) == (VIRTUAL_MAC, None, 0xE0000000)
    for source, own, kind in (("10.0.0.9", V4, "icmpv4_type"), ("fd00::9", V6, "icmpv6_type")):
        ((_, answer),), _ = switch.output_of(1, echo_request(source, own, eth_src=HOST, eth_dst=VIRTUAL_MAC))
        assert (answer.src, answer.dst, getattr(answer, kind)) == (own, source, 0 if own == V4 else 129)


@pytest.mark.parametrize(
    "rule",
    [
        made(0, 1, no_such_field=1),
        made(0, 1, ipv4_dst="10.0.0.1"),
        made(0, 1, eth_type=0x0800, ipv6_dst="fd00::1"),
        made(0, 1, eth_type=0x0800, tcp_dst=80),
        made(0, 1, nw_ttl=1),
        made(0, 1, metadata=(0x10000, 0xFFFF)),
        made(0, 1, eth_type=(0x0800, 0xFF00)),
        made(4, 1, goto=4),
        made(0, 1, goto=max(Table) + 1),
        made(0, 1, DecTtl()),
        made(0, 1, SetField("ipv4_dst", "10.0.0.1")),
        made(0, 1, SetField("ip_proto", 6), eth_type=0x0800),
        made(0, 1, Move("arp_sha", "arp_tha", 48), eth_type=0x0800),
        made(0, 1, ToController(0)),
        made(0, 1, "drop"),
        made(0, 1, SetField("icmpv6_type", 136), SetField("ipv6_nd_tll", VIRTUAL_MAC), eth_type=0x86DD, ip_proto=58, icmpv6_type=135),
        Rule(0, 1, (("in_port", 1), ("eth_type", 0x0800))),
    ],
)  # fmt: skip
def test_refused(rule):
    with pytest.raises(RuleRefused):
        FakeFlowTable().install(rule)


def test_entries_come_and_go_by_cookie():
    entry = SOME_ENTRIES[0]
    switch = FakeFlowTable(entry.dpid)
    switch.apply(Steer((entry, entry._replace(dpid=1)), None))
    token = entry._replace(cookie=entry.cookie | 0x1234)
    switch.add_entry(token)
    assert switch.entries() == [token]
    switch.apply(RemoveEntries((entry,)))
    assert switch.entries() == [token]
    switch.apply(RemoveEntries((token,)))
    assert switch.entries() == [] == switch.rules()


def test_counters_are_read_back():
    entry = SOME_ENTRIES[0]
    switch = table(made(0, 1, goto=1, write=ROLE))
    switch.add_entry(entry)
    switch.output_of(1, SYN)
    switch.output_of(1, SYN)
    switch.add_entry(entry._replace(cookie=entry.cookie | 7))
    ((seen, packets, _),) = switch.read().entries
    assert (seen.cookie & 7, packets) == (7, 2)
    host = next(rule for rule in every_form() if rule.table == Table.HOST and rule.priority == 1000)
    switch.install(host)
    assert [(h.waypoint, h.address, h.port) for h in switch.read().hosts] == [(77, bytes([10, 0, 0, 9]), 3)]


def test_filling_a_switch():
    old, new = (
        made(0, 1, OutputAction(1), cookie=static_cookie(6)),
        made(0, 2, ToController(1), cookie=static_cookie(7)),
    )
    entry = SOME_ENTRIES[0]
    stale = entry._replace(sport=1)
    switch = table(old)
    switch.add_entry(stale)
    fill = FillSwitch(switch.dpid, (MeterBand(1, 10, 10),), (), (entry,), (stale,), (new,), 7)
    switch.apply(fill)
    assert switch.rules() == [new, session_rule(entry)]
    with pytest.raises(RuleRefused):
        switch.apply(fill._replace(meters=()))
    switch.clear()
    assert switch.rules() == [] and switch.entries() == []


LINE = [Link(PortRef(1, 2), PortRef(2, 2)), Link(PortRef(2, 3), PortRef(3, 2))]


def line_of_switches() -> FakeNetwork:
    """1 - 2 - 3; what comes in at 1:1 leaves at 3:1."""
    net = FakeNetwork(LINE)
    for dpid, out in ((1, 2), (2, 3), (3, 1)):
        for table in (0, 4, 3):
            net[dpid].install(made(table, 1, OutputAction(out)))  # made up: at no level of the real pipeline
    return net


def test_across_switches():
    net = line_of_switches()
    result = net.send(1, 1, SYN)
    assert result.deliveries == [(3, 1, SYN)] and result.hops == [(1, 1), (2, 2), (3, 2)]
    net.cut(LINE[1])
    assert net.send(1, 1, SYN).deliveries == []


def test_a_loop_is_an_error():
    net = FakeNetwork([Link(PortRef(1, 2), PortRef(2, 2))])
    for dpid in (1, 2):
        net[dpid].install(made(0, 1, OutputAction(IN_PORT)))
    net[1].install(made(0, 2, OutputAction(2), in_port=1))
    with pytest.raises(Loop):
        net.send(1, 1, SYN)


def test_packets_of_the_controller():
    net = line_of_switches()
    steered = net.apply([Release(1, 1, FRAME, 0x1234, 5, 1)])
    ((_, _, packet),) = steered.deliveries
    assert (packet.eth_dst, packet.nw_ttl, packet.frame) == (label_mac(0x1234, 5), 32, FRAME)
    ((_, _, packet),) = net.apply(Release(1, 1, FRAME, NATURAL, 0, 1)).deliveries
    assert packet == packet_of(FRAME)
    assert net.apply(SendFrame(3, 1, FRAME)).deliveries == [(3, 1, packet_of(FRAME))]
    assert net.apply(SendFrame(1, 2, FRAME)).hops == [(2, 2), (3, 2)]
    result = net.apply(Steer((SOME_ENTRIES[0]._replace(dpid=2),), Release(1, 1, FRAME, 1, 0, 1)))
    assert len(net[2].entries()) == 1 and len(result.deliveries) == 1


def test_frames_become_packets():
    packet = packet_of(FRAME)
    assert (packet.src, packet.dst, packet.tcp_src, packet.tcp_dst, packet.tcp_flags, packet.nw_ttl) == (
        "10.0.0.9", "10.9.0.1", 1001, 80, 2, 33,
    )  # fmt: skip
