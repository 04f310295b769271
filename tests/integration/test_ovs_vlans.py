"""802.1Q frames through a real Open vSwitch: tags popped where they come in, pushed where they leave, others refused.

This kernel makes no VLAN interfaces; a veth carries tagged frames all the same, and its far end shows them with the tag
beside the frame (PACKET_AUXDATA), or within it where there are two.
"""

import re
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from steering.core.outputs import NATURAL, Release
from steering.core.pipeline.forwarding import host_rule
from steering.core.pipeline.guarded_port import GuardedPort
from steering.core.pipeline.ingress_guard import guard_rules
from steering.core.pipeline.vlans import vlan_rules
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import FIRST_TAGGED, PortRef, PortRole, VlanLine
from steering.model.rules import (
    COOKIE_KIND_MASK,
    FOREIGN_TAG,
    FOREIGN_TAG_COOKIE,
    VIRTUAL_MAC,
    WAYPOINT_MASK,
    DecTtl,
    Meter,
    MeterBand,
    PacketClass,
    SetField,
    Table,
    label_mac,
)
from steering.openflow.messages.encode import delete_by_cookie, flow_mod, meter_mod
from steering.openflow.messages.packetin import parse_packet_in
from steering.openflow.messages.templates import release
from tests.integration.frames import ACK, GATEWAY, HOST, OWN, SERVER, arp, frame, mac, tcp
from tests.integration.ovs import Switch, run, switch
from tests.support.fakes.packet import packet_of
from tests.support.openflow_forms import ROLE, made

A, OUTER, B = (PortNumber(FIRST_TAGGED + n) for n in range(3))
ONE = PortRef(DatapathId(1), A, VlanLine(PortNumber(1), (20,)))
TWO = PortRef(DatapathId(1), B, VlanLine(PortNumber(1), (30, 7), OUTER))
SINGLE, DOUBLE = (0x8100, 20), ((0x88A8, 30), (0x8100, 7))
_PACKET_AUXDATA, _SOL_PACKET, _VALID = 8, 263, 1 << 4  # TP_STATUS_VLAN_VALID
_TPID_VALID = 1 << 6


def tagged(frame: bytes, *tags: tuple[int, int]) -> bytes:
    """Tags as (TPID, id), outermost first."""
    return frame[:12] + b"".join(struct.pack("!HH", *tag) for tag in tags) + frame[12:]


def leaving(ovs: Switch, number: int, wait: float = 30.0) -> bytes | None:
    """The next frame that leaves at a port, as it is on the wire."""
    end = ovs.end(number)
    until = time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        end.settimeout(left)
        try:
            frame, ancillary, _, origin = end.recvmsg(4096, 256)
        except TimeoutError:
            return None
        if origin[2] == socket.PACKET_OUTGOING:  # type: ignore[attr-defined]
            continue
        for level, kind, data in ancillary:
            if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
                status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data[:20])
                if status & _VALID:
                    kept = tpid if status & _TPID_VALID else 0x8100
                    frame = tagged(frame, (kept, tci))
        return frame
    return None


@pytest.fixture(scope="module")
def bridge() -> Iterator[Switch]:
    before = run("ovs-vsctl", "--if-exists", "get", "Open_vSwitch", ".", "other_config:vlan-limit").strip()
    run("ovs-vsctl", "set", "Open_vSwitch", ".", "other_config:vlan-limit=2")
    try:
        with switch(ports=2) as one:
            for number in (1, 2):
                one.end(number).setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            for meter in (Meter.FIN, Meter.LLDP, *(base + n for base in _BASES for n in (A, B))):
                assert one.send(meter_mod(MeterBand(meter, 1000, 1000))) == []
            yield one
    finally:
        back = ["set", "Open_vSwitch", ".", f"other_config:vlan-limit={before}"] if before else [
            "remove", "Open_vSwitch", ".", "other_config", "vlan-limit"
        ]  # fmt: skip
        run("ovs-vsctl", *back)


_BASES = (
    Meter.SYN_BASE,
    Meter.FIN_PORT_BASE,
    Meter.NEIGHBOUR_BASE,
    Meter.TTL_EXPIRED_BASE,
    Meter.ICMP_ERROR_BASE,
)


@pytest.fixture
def ovs(bridge: Switch) -> Switch:
    """Two tags of port 1 as access ports, a server behind port 2, and hosts of both tags as destinations."""
    assert bridge.send(delete_by_cookie(0, 0)) == []
    networks = (ip_network("10.0.0.0/24"), ip_network("fd00::/64"))
    gateways = tuple(map(ip_address, GATEWAY.values()))
    ports = tuple(
        GuardedPort(port.port, PortRole.ACCESS, gateways, networks, networks, line=port.line)
        for port in (ONE, TWO)
    )
    rules = [*vlan_rules(7, (ONE, TWO, PortRef(DatapathId(1), PortNumber(2)))), *guard_rules(7, (), ports)]
    rules += [made(Table.SESSION, 0, goto=Table.CLASSIFY), made(Table.CLASSIFY, 0, goto=Table.ROUTE)]
    for family, eth_type in ((4, 0x0800), (6, 0x86DD)):
        for waypoint, address, port in (
            (6, SERVER[family], PortRef(DatapathId(1), PortNumber(2))),
            *_back(family),
        ):
            label = (SetField("eth_dst", label_mac(waypoint)), DecTtl())
            rules.append(
                made(
                    Table.ROUTE,
                    2,
                    *label,
                    goto=Table.LABEL,
                    eth_type=eth_type,
                    **{f"ipv{family}_dst": address},
                )
            )
            rules.append(host_rule(7, waypoint, address, HOST, port.port, port.line))
    for waypoint in (6, 7, 8):
        rules.append(
            made(
                Table.LABEL, 1, goto=Table.HOST, write=(waypoint, WAYPOINT_MASK), eth_dst=label_mac(waypoint)
            )
        )
    rules.append(made(Table.GUARD, 1, goto=Table.SESSION, write=ROLE, in_port=2))
    for rule in rules:
        assert bridge.send(flow_mod(rule)) == [], rule
    bridge.forget()
    bridge.packet_ins()
    while leaving(bridge, 1, 0.05) or leaving(bridge, 2, 0.05):
        pass
    return bridge


HOSTS = {7: {4: "10.0.0.20", 6: "fd00::20"}, 8: {4: "10.0.0.37", 6: "fd00::37"}}


def _back(family: int) -> list[tuple[int, str, PortRef]]:
    return [(waypoint, HOSTS[waypoint][family], port) for waypoint, port in ((7, ONE), (8, TWO))]


def to_host(waypoint: int, family: int) -> bytes:
    """A segment for a host behind a tag."""
    whole = tcp(family, 1001, ACK)
    at, size = (30, 4) if family == 4 else (38, 16)
    return whole[:at] + ip_address(HOSTS[waypoint][family]).packed + whole[at + size :]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("tags", [(SINGLE,), DOUBLE], ids=["one", "two"])
def test_a_tag_is_popped_at_the_ingress_edge(
    ovs: Switch, tags: tuple[tuple[int, int], ...], family: int
) -> None:
    ovs.inject(1, tagged(tcp(family, 1001, ACK), *tags))
    out = leaving(ovs, 2)
    assert out is not None and packet_of(out).tags == ()
    assert (packet_of(out).dst, packet_of(out).tcp_src) == (SERVER[family], 1001)


@pytest.mark.parametrize("family", [4, 6])
def test_tags_are_pushed_at_the_egress_edge(ovs: Switch, family: int) -> None:
    for waypoint, tags in ((7, (20,)), (8, (30, 7))):
        ovs.inject(2, to_host(waypoint, family))
        out = leaving(ovs, 1)
        assert out is not None and packet_of(out).tags == tags
    assert out[12:20] == struct.pack("!HHHH", 0x88A8, 30, 0x8100, 7)


def test_from_one_tag_of_a_port_to_another(ovs: Switch) -> None:
    ovs.inject(1, tagged(to_host(8, 4), SINGLE))
    out = leaving(ovs, 1)
    assert out is not None and packet_of(out).tags == (30, 7)


@pytest.mark.parametrize(
    "tags",
    [((0x8100, 21),), ((0x8100, 7),), ((0x88A8, 30),), (SINGLE, (0x8100, 7)), ((0x88A8, 30), (0x8100, 8))],
)
def test_any_other_tag_is_refused_and_counted(ovs: Switch, tags: tuple[tuple[int, int], ...]) -> None:
    ovs.inject(1, tagged(tcp(4, 1001, ACK), *tags))
    assert leaving(ovs, 2, 0.3) is None and ovs.packet_ins() == []

    mask = COOKIE_KIND_MASK | FOREIGN_TAG

    def refused() -> int:
        found = [re.search(r"cookie=0x([0-9a-f]+).*n_packets=(\d+)", line) for line in ovs.dump()]
        return sum(int(one[2]) for one in found if one and int(one[1], 16) & mask == FOREIGN_TAG_COOKIE)

    until = time.monotonic() + 30  # the switch tells of its counters now and then
    while not refused() and time.monotonic() < until:
        time.sleep(0.1)
    assert refused() == 1


def test_what_has_no_tag_is_nobodys(ovs: Switch) -> None:
    ovs.inject(1, tcp(4, 1001, ACK))
    assert leaving(ovs, 2, 0.3) is None


@pytest.mark.parametrize(("tags", "port"), [((SINGLE,), A), (DOUBLE, B)], ids=["one", "two"])
def test_the_gateway_answers_with_the_tags_and_the_copy_bears_the_tagged_port(
    ovs: Switch, tags: tuple[tuple[int, int], ...], port: int
) -> None:
    asked = arp(1, HOST, OWN[4], "00:00:00:00:00:00", GATEWAY[4], "ff:ff:ff:ff:ff:ff")
    ovs.inject(1, tagged(asked, *tags))
    wanted = arp(2, VIRTUAL_MAC, GATEWAY[4], HOST, OWN[4], HOST)
    assert leaving(ovs, 1) == tagged(wanted, *tags)
    (copy,) = map(parse_packet_in, ovs.packet_ins(1))
    assert (copy.packet_class, copy.in_port, copy.frame) == (PacketClass.NEIGHBOUR, port, asked)


def test_a_neighbour_advertisement_goes_back_with_the_tags(ovs: Switch) -> None:
    body = struct.pack("!BBHI", 135, 0, 0, 0) + ip_address(GATEWAY[6]).packed + b"\x01\x01" + mac(HOST)
    asked = frame(OWN[6], "ff02::1:ff00:1", 58, body, 2, to="33:33:ff:00:00:01", ttl=255)
    ovs.inject(1, tagged(asked, *DOUBLE))
    out = leaving(ovs, 1)
    assert out is not None
    answer = packet_of(out)
    assert (answer.tags, answer.icmpv6_type, answer.ipv6_nd_tll) == ((30, 7), 136, VIRTUAL_MAC)


def test_a_released_segment_goes_on_as_if_it_came_in_at_the_tagged_port(ovs: Switch) -> None:
    for waypoint in (NATURAL, 6):
        assert ovs.send(release(Release(DatapathId(1), A, tcp(4, 1002, ACK), waypoint, 0, 1))) == []
        out = leaving(ovs, 2)
        assert out is not None and packet_of(out).tcp_src == 1002
    assert ovs.send(release(Release(DatapathId(1), A, to_host(7, 4), 7, 0, 1))) == []
    out = leaving(ovs, 1)
    assert out is not None and packet_of(out).tags == (20,)
    assert replace(packet_of(out), tags=()).dst == HOSTS[7][4]
