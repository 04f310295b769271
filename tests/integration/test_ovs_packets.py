"""Real frames through a real Open vSwitch: the virtual gateways' answers, copies under a meter, releases."""

import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from struct import pack
from typing import Any

import pytest

from steering.core.outputs import ANEW, NATURAL, Release
from steering.core.pipeline.forwarding import host_rule
from steering.core.pipeline.guarded_port import GuardedPort
from steering.core.pipeline.ingress_guard import bound_rule, guard_rules
from steering.model.network import PortRole
from steering.model.rules import (
    GROUP_BASE,
    IN_PORT,
    VIRTUAL_MAC,
    WAYPOINT_MASK,
    Bucket,
    DecTtl,
    FailoverGroup,
    GroupAction,
    Meter,
    MeterBand,
    OutputAction,
    PacketClass,
    SetBits,
    SetField,
    Table,
    ToController,
    UnwildcardFlow,
    label_mac,
    static_cookie,
)
from steering.model.session import Entry, Watch, pack_cookie
from steering.openflow.messages.encode import delete_by_cookie, flow_mod, group_mod, meter_mod
from steering.openflow.messages.packetin import parse_packet_in
from steering.openflow.messages.templates import entry_add, release
from steering.openflow.polls import meterstats
from tests.integration.frames import (
    ACK,
    GATEWAY,
    HOST,
    OWN,
    SERVER,
    SYN,
    SYN_ACK,
    arp,
    frame,
    mac,
    tcp,
    transport,
)
from tests.integration.ovs import Switch, switch
from tests.support.fakes.flowtable import FakeFlowTable
from tests.support.fakes.packet import packet_of
from tests.support.openflow_forms import ROLE, made
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def bridge() -> Iterator[Switch]:
    with switch(ports=3) as one:
        for number in (*Meter, Meter.SYN_BASE + 1):
            assert one.send(meter_mod(MeterBand(number, 1000, 1000))) == []
        yield one


@pytest.fixture
def ovs(bridge: Switch) -> Switch:
    assert bridge.send(delete_by_cookie(0, 0)) == []
    bridge.packet_ins()
    for number in (1, 2, 3):
        bridge.received(number, 1000, 0.01)
    return bridge


@pytest.fixture
def gateway(ovs: Switch) -> Switch:
    """The guard that the engine would install at an access port."""
    networks = (ip_network("10.0.0.0/24"), ip_network("fd00::/64"))
    addresses = tuple(map(ip_address, GATEWAY.values()))
    port = GuardedPort(1, PortRole.ACCESS, addresses, networks, networks)
    assert ovs.send(b"".join(flow_mod(rule) for rule in guard_rules(7, (), (port,)))) == []
    ovs.forget()
    return ovs


def test_arp_is_answered_and_learned(gateway):
    asked = arp(1, HOST, OWN[4], "00:00:00:00:00:00", GATEWAY[4], "ff:ff:ff:ff:ff:ff")
    gateway.inject(1, asked)
    assert gateway.received(1) == [arp(2, VIRTUAL_MAC, GATEWAY[4], HOST, OWN[4], HOST)]
    (copy,) = map(parse_packet_in, gateway.packet_ins(1))
    assert (copy.packet_class, copy.in_port, copy.frame) == (PacketClass.NEIGHBOUR, 1, asked)


@pytest.mark.row("N-7.2a")
@pytest.mark.parametrize("family", [4, 6])
def test_a_source_that_is_not_bound_comes_up_and_goes_on_once_it_is(ovs, family):
    networks = (ip_network("10.0.0.0/24"), ip_network("fd00::/64"))
    port = GuardedPort(1, PortRole.ACCESS, (), networks, networks, bound=True)
    onward = made(Table.SESSION, 0, OutputAction(2), metadata=ROLE)
    assert ovs.send(b"".join(map(flow_mod, (*guard_rules(7, (), (port,)), onward)))) == []
    ovs.forget()
    packet = tcp(family, 1001, ACK)
    ovs.inject(1, packet)
    (copy,) = map(parse_packet_in, ovs.packet_ins(1))
    assert (copy.packet_class, copy.in_port, copy.frame) == (PacketClass.SOURCE_MISS, 1, packet)
    assert ovs.received(2, 1, 0.05) == []
    bound = bound_rule(7, 1, ip_network(OWN[family]))
    assert ovs.send(flow_mod(bound) + release(Release(1, 1, copy.frame, ANEW, 0, 0))) == []
    assert ovs.received(2) == [packet]
    ovs.forget()
    ovs.inject(1, packet)
    assert ovs.received(2) == [packet] and ovs.packet_ins() == []


@pytest.mark.parametrize(
    "options", [b"\x01\x01" + mac(HOST), b"\x01\x01" + mac(HOST) + b"\x0e\x01nonce!", b""]
)
def test_neighbour_solicitation_is_answered(gateway, options):
    """RFC 4861 7.2.4: solicited, override, router; the source option becomes a target option."""
    solicitation = pack("!BBHI", 135, 0, 0, 0) + ip_address(GATEWAY[6]).packed + options
    asked = frame(OWN[6], "ff02::1:ff00:1", 58, solicitation, 2, to="33:33:ff:00:00:01", ttl=255)
    gateway.inject(1, asked)
    (answer,) = gateway.received(1)
    assert answer[:12] == mac(HOST) + mac(VIRTUAL_MAC) and answer[21] == 255
    assert answer[22:54] == ip_address(GATEWAY[6]).packed + ip_address(OWN[6]).packed
    told = transport(answer)
    assert (
        told[:2] == b"\x88\0" and told[4:8] == b"\xe0\0\0\0" and told[8:24] == ip_address(GATEWAY[6]).packed
    )
    assert told[24:] == (b"\x02\x01" + mac(VIRTUAL_MAC) + options[8:] if options else b"")
    (copy,) = map(parse_packet_in, gateway.packet_ins(1))
    assert (copy.packet_class, copy.frame) == (PacketClass.NEIGHBOUR, asked)


@pytest.mark.parametrize(("family", "proto", "ask", "say"), [(4, 1, 8, 0), (6, 58, 128, 129)])
def test_echo_is_answered(gateway, family, proto, ask, say):
    message = pack("!BBHHH", ask, 0, 0, 5, 6) + b"thirteen byte"
    gateway.inject(1, frame(OWN[family], GATEWAY[family], proto, message, 2, ttl=3))
    (answer,) = gateway.received(1)
    assert answer[:12] == mac(HOST) + mac(VIRTUAL_MAC)
    back = packet_of(answer)
    assert (back.src, back.dst, back.nw_ttl) == (GATEWAY[family], OWN[family], 64)
    assert transport(answer)[:2] == bytes([say, 0]) and transport(answer)[4:] == message[4:]


@pytest.mark.parametrize("family", [4, 6])
def test_expiry_comes_up(gateway, family):
    for ttl in (2, 1):
        gateway.inject(1, tcp(family, 1000, ACK, ttl=ttl))
    (copy,) = map(parse_packet_in, gateway.packet_ins(1))
    assert (copy.packet_class, copy.in_port) == (PacketClass.TTL_EXPIRED, 1)
    assert packet_of(copy.frame).nw_ttl == 1


@pytest.mark.parametrize("family", [4, 6])
def test_icmp_errors_of_one_port_take_none_of_anothers(ovs, family):
    """Whoever forges them behind one port has no more copied than its meter lets up, and costs no other port one."""
    rate, count = 20, 300
    networks = (ip_network("10.0.0.0/24"), ip_network("fd00::/64"))
    for port in (1, 2):
        ovs.send(meter_mod(MeterBand(Meter.ICMP_ERROR_BASE + port, rate, rate), "delete"))
        assert ovs.send(meter_mod(MeterBand(Meter.ICMP_ERROR_BASE + port, rate, rate))) == []
    ports = tuple(GuardedPort(port, PortRole.GATEWAY, (), (), networks) for port in (1, 2))
    assert ovs.send(b"".join(flow_mod(rule) for rule in guard_rules(7, (), ports))) == []
    quoted = tcp(family, 1001)[14:]
    kind, proto = (b"\x03\x04", 1) if family == 4 else (b"\x02\x00", 58)
    message = frame(OWN[family], SERVER[family], proto, kind + bytes(4) + pack("!H", 1300) + quoted, 2)
    began = time.perf_counter()
    for _ in range(count):
        ovs.inject(1, message)
    ovs.inject(2, message)
    copies: list[Any] = []
    while not any(copy.in_port == 2 for copy in copies):
        found = ovs.packet_ins(1)
        assert found, "no copy for port 2"
        copies += map(parse_packet_in, found)
    took = time.perf_counter() - began
    assert {(copy.packet_class, copy.frame) for copy in copies} == {(PacketClass.ICMP_ERROR, message)}
    by_port = [sum(copy.in_port == port for copy in copies) for port in (1, 2)]
    assert by_port[1] == 1
    assert 0 < by_port[0] <= rate * took + 2 * rate


def pipeline() -> list:
    """Port 1 access; label 5 leads out of port 2, label 6 to the host SERVER behind port 3, label 8 back."""
    punt, copied = static_cookie(7, PacketClass.SYN), static_cookie(7, PacketClass.SYN_ACK)
    missed = static_cookie(7, PacketClass.HOST_MISS)
    label = (SetField("eth_dst", label_mac(6)), DecTtl())
    mac_text = "0a:00:00:00:00:01"
    rules = [
        made(Table.GUARD, 1, goto=Table.SESSION, write=ROLE, in_port=1),
        made(Table.SESSION, 0, goto=Table.CLASSIFY),
        made(Table.CLASSIFY, 0, goto=Table.ROUTE),
        made(Table.LABEL, 1, OutputAction(2), eth_dst=label_mac(5)),
        made(Table.LABEL, 1, OutputAction(IN_PORT), eth_dst=label_mac(8)),
        made(Table.LABEL, 1, goto=Table.HOST, write=(6, WAYPOINT_MASK), eth_dst=label_mac(6)),
        made(
            Table.HOST,
            1,
            ToController(Meter.HOST_MISS_BASE, 0xFFFF),
            metadata=(6, WAYPOINT_MASK),
            cookie=missed,
        ),
    ]
    for family, eth_type in ((4, 0x0800), (6, 0x86DD)):
        is_tcp: dict[str, Any] = {"eth_type": eth_type, "ip_proto": 6}
        rules += [
            made(Table.CLASSIFY, 2, ToController(Meter.SYN_BASE + 1, 0xFFFF), in_port=1, tcp_flags=(2, 0x12), cookie=punt, **is_tcp),
            made(Table.CLASSIFY, 2, ToController(Meter.SYN_ACK_BASE), goto=Table.ROUTE, tcp_flags=(0x12, 0x12), cookie=copied, **is_tcp),
            made(Table.ROUTE, 2, UnwildcardFlow(), *label, goto=Table.LABEL, metadata=ROLE, **is_tcp),
            host_rule(7, 6, SERVER[family], mac_text, 3),
        ]  # fmt: skip
    return rules


@pytest.fixture
def routed(ovs: Switch) -> Switch:
    for rule in pipeline():
        assert ovs.send(flow_mod(rule)) == [], rule
    ovs.forget()
    return ovs


@pytest.mark.parametrize("family", [4, 6])
def test_a_syn_is_punted_whole_and_released(routed, family):
    syn = tcp(family, 1001) + bytes(6)
    routed.inject(1, syn)
    (copy,) = map(parse_packet_in, routed.packet_ins(1))
    assert (copy.packet_class, copy.in_port, copy.table_id, copy.frame) == (
        PacketClass.SYN,
        1,
        Table.CLASSIFY,
        syn,
    )
    assert copy.metadata == ROLE[0]
    assert routed.received(3, 1, 0.05) == []
    assert routed.send(release(Release(1, 1, copy.frame, 5, 0, 1))) == []
    (steered,) = map(packet_of, routed.received(2))
    assert (steered.eth_dst, steered.nw_ttl) == (label_mac(5), 63)
    assert routed.send(release(Release(1, 1, copy.frame, NATURAL, 0, 1))) == []
    (natural,) = map(packet_of, routed.received(3))
    assert (natural.eth_dst, natural.eth_src, natural.nw_ttl) == ("0a:00:00:00:00:01", VIRTUAL_MAC, 63)
    assert routed.send(release(Release(1, 1, copy.frame, 8, 0, 1))) == []
    (turned,) = map(packet_of, routed.received(1))  # an MCP at the very port the segment came from
    assert (turned.eth_dst, turned.nw_ttl) == (label_mac(8), 63)


@pytest.mark.parametrize("family", [4, 6])
def test_an_entry_steers_its_own_flow_only(routed, family):
    src, dst = ip_address(OWN[family]).packed, ip_address(SERVER[family]).packed
    entry = Entry(1, 1, family, src, dst, 1001, 443, 5, 0, pack_cookie(0, 0, 9, 5))
    other_role = entry._replace(role=2, sport=1002)
    assert routed.send(entry_add(entry) + entry_add(other_role)) == []
    for sport, port in ((1001, 2), (1002, 3), (1003, 3)):
        routed.inject(1, tcp(family, sport, ACK))
        (seen,) = routed.received(port)
        assert packet_of(seen).nw_ttl == 63
        transport(seen)
    assert routed.packet_ins() == []


@pytest.mark.row("D-6.4h", "D-6.7.1")
@pytest.mark.parametrize("family", [4, 6])
def test_a_watched_entry_shows_its_segments_as_they_came(routed, family):
    """COPY forwards too, PUNT does not, and when watching ends so do the copies."""
    src, dst = ip_address(OWN[family]).packed, ip_address(SERVER[family]).packed
    entry = Entry(1, 1, family, src, dst, 1001, 443, 5, 0, pack_cookie(0, 0, 9, 5))
    ack = tcp(family, 1001, ACK) + bytes(400)
    routed.send(meter_mod(MeterBand(Meter.WATCH, 1000, 100), "delete"))
    assert routed.send(meter_mod(MeterBand(Meter.WATCH, 1000, 100))) == []
    for watch, forwarded, shown in ((Watch.COPY, 1, 1), (Watch.PUNT, 0, 1), (Watch.NOTHING, 1, 0)):
        assert routed.send(entry_add(entry._replace(watch=watch))) == []
        routed.forget()  # the datapath may go on as before for a moment: some copies more, no harm
        routed.inject(1, ack)
        assert len(routed.received(2, forwarded)) == forwarded
        copies = [parse_packet_in(one) for one in routed.packet_ins(shown)]
        assert (len(copies), routed.received(2, 1, 0.2)) == (shown, [])
        for copy in copies:
            assert (copy.packet_class, copy.in_port) == (PacketClass.WATCHED, 1)
            assert copy.frame == ack[: len(copy.frame)] and len(copy.frame) >= 256


def test_an_unknown_host_comes_up_with_its_waypoint(routed):
    assert routed.send(delete_by_cookie(0x5E30 << 48, 0xFFF0 << 48)) == []
    routed.inject(1, tcp(4, 1001, ACK))
    (copy,) = map(parse_packet_in, routed.packet_ins(1))
    assert (copy.packet_class, copy.metadata & WAYPOINT_MASK) == (PacketClass.HOST_MISS, 6)


def test_a_metered_copy_meters_no_forwarding(routed, capsys):
    """400 SYN/ACKs at ten times the meter's rate: every one goes on, few are copied."""
    rate, count = 40, 400
    assert routed.send(meter_mod(MeterBand(Meter.SYN_ACK_BASE, rate, 4), "modify")) == []
    start = time.perf_counter()
    frames: list[bytes] = []
    for number in range(count):
        routed.inject(1, tcp(4, 2000 + number, SYN_ACK))
        # A switch that has no processor for a while would lose what does not fit its port's buffer.
        if number - len(frames) > 50:
            frames += routed.received(3, 25)
        time.sleep(max(0.0, start + (number + 1) / (10 * rate) - time.perf_counter()))
    frames += routed.received(3, count - len(frames))
    arrived = [packet_of(one).tcp_src or 0 for one in frames]
    copies: list[bytes] = []

    def dropped() -> int:
        routed.write(meterstats.request(9))
        ((_, body),) = routed.multiparts(1)
        return {meter: drops for meter, _, _, drops in meterstats.parse(body)}[Meter.SYN_ACK_BASE]

    def all_are_told() -> bool:
        copies.extend(routed.packet_ins())
        return dropped() + len(copies) >= count

    wait_for(all_are_told)  # the switch tells how many were not copied
    took = time.perf_counter() - start
    with capsys.disabled():
        print(f"\n{count} SYN/ACKs in {took:.2f} s: {len(arrived)} forwarded, {len(copies)} copied")
    assert sorted(arrived) == list(range(2000, 2000 + count))
    assert 0 < len(copies) <= rate * took + 4 + rate
    assert {parse_packet_in(copy).packet_class for copy in copies} == {PacketClass.SYN_ACK}


@pytest.mark.parametrize("family", [4, 6])
def test_the_fake_table_says_what_the_switch_does(routed, family):
    """The same rules and packets through both."""
    fake = FakeFlowTable(1)
    for rule in pipeline():
        fake.install(rule)
    for flags in (SYN, SYN_ACK, ACK):
        data = tcp(family, 3000, flags)
        routed.inject(1, data)
        outputs, copies = fake.output_of(1, packet_of(data))
        ups = [parse_packet_in(one) for one in routed.packet_ins(len(copies))]
        real = []
        for port in (1, 2, 3):
            wanted = sum(out == port for out, _ in outputs)
            frames = routed.received(port, wanted) + routed.received(port, 1, 0.05)
            real += [(port, packet_of(one)) for one in frames]
        assert real == outputs
        assert [(up.packet_class, up.metadata) for up in ups] == [
            (c.packet_class, c.metadata) for c in copies
        ]


DETOUR = 0x1234


def around() -> tuple[FailoverGroup, list]:
    """Port 2, or back to port 1 under the number of a detour; and what ends a detour that comes in at port 3."""
    forget = SetBits("in_port", 0, 32, 0)
    back = Bucket(1, (SetBits("eth_dst", 24, 16, DETOUR), forget, OutputAction(1)))
    group = FailoverGroup(GROUP_BASE | 2, (Bucket(2, (OutputAction(2),)), back))
    number = (f"02:{DETOUR >> 8:02x}:{DETOUR & 0xFF:02x}:00:00:00", "ff:ff:ff:00:00:00")
    return group, [
        made(Table.GUARD, 51_000, SetBits("eth_dst", 24, 16, 0x5354), forget, goto=Table.LABEL, in_port=3, eth_dst=number),
        made(Table.GUARD, 50_000, goto=Table.LABEL, in_port=1),
        made(Table.LABEL, 1_000, GroupAction(group.group), eth_dst=label_mac(7)),
    ]  # fmt: skip


def test_a_group_leads_around_a_port_without_carrier_as_the_fake_table_says(ovs):
    group, rules = around()
    assert ovs.send(group_mod(group) + group_mod(group, "modify") + b"".join(map(flow_mod, rules))) == []
    fake = FakeFlowTable(1)
    fake.groups[group.group] = group
    for rule in rules:
        fake.install(rule)
    plain = mac(label_mac(7)) + mac(HOST) + b"\x08\x00" + bytes(46)
    detoured = b"\x02" + DETOUR.to_bytes(2, "big") + plain[3:]

    def seen(port: int, data: bytes) -> list[tuple[int, str]]:
        ovs.forget()
        ovs.inject(port, data)
        wanted = [(n, one.eth_dst) for n, one in fake.output_of(port, packet_of(data))[0]]
        real = []
        for n in {1, 2, 3} - fake.dead:
            ours: list[str] = []
            until = time.monotonic() + 30
            while len(ours) < sum(at == n for at, _ in wanted) and time.monotonic() < until:
                ours += [one[:6].hex(":") for one in ovs.received(n, 1, 1.0) if one[6:12] == mac(HOST)]
            more = ovs.received(n, 9, 0.05)
            ours += [one[:6].hex(":") for one in more if one[6:12] == mac(HOST)]
            real += [(n, one) for one in ours]
        assert real == wanted
        return real

    assert seen(1, plain) == [(2, label_mac(7))] == seen(3, detoured)
    fake.dead.add(2)
    ovs.carrier(2, False)
    try:
        assert seen(1, plain) == [(1, "02:12:34:00:07:00")] == seen(3, detoured), "also where it came from"
    finally:
        ovs.carrier(2, True)
