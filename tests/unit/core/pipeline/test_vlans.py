"""Attachments that are a port and a tag: two tags of one port are two ports, and no tag gets further than its edge."""

from dataclasses import replace

import pytest

from steering.core.inputs import PortStatus, SwitchUp
from steering.core.outputs import SendFrame
from steering.core.packet_inputs import NeighbourSeen, RouterSolicited
from steering.core.snapshots.site import PortUse, use_of
from steering.model.ids import PortNumber
from steering.model.network import FIRST_TAGGED, PortRef, VlanLine
from steering.model.rules import (
    COOKIE_KIND_MASK,
    FOREIGN_TAG,
    FOREIGN_TAG_COOKIE,
    VIRTUAL_MAC,
    Meter,
    PacketClass,
    Table,
)
from steering.model.supervision import ThingKind
from tests.support.fakes.packet import SYN, Packet, arp_request, neighbour_solicitation, packet_of
from tests.support.sites import SERVER, UE_LTE, UE_WLAN, off_path_site, packed
from tests.support.switched import SERVER_MAC, UE_MAC, V6, WLAN_MAC, Lab, to_gateway

A, OUTER, B, UP = (PortNumber(FIRST_TAGGED + n) for n in range(4))


def tagged(dpid: int, number: int, port: int, *tags: int, outer: int = 0) -> PortRef:
    return PortRef(dpid, number, VlanLine(PortNumber(port), tags, PortNumber(outer)))


def vlan_site():
    """LTE is tag 20 of s1:1, WLAN the inner tag 7 of its tag 30, and the gateway tag 100 of s4:1."""
    site = off_path_site()
    lte, wlan = site.access_networks
    (gateway,) = site.gateways
    return replace(
        site,
        access_networks=(
            replace(lte, ports=(tagged(1, A, 1, 20),)),
            replace(wlan, ports=(tagged(1, B, 1, 30, 7, outer=OUTER),)),
        ),
        gateways=(replace(gateway, ports=(tagged(4, UP, 1, 100),)),),
    )


@pytest.fixture
def lab() -> Lab:
    made = Lab(vlan_site())
    for dpid, port, address, mac in (
        (1, A, UE_LTE, UE_MAC), (1, B, UE_WLAN, WLAN_MAC), (4, UP, SERVER, SERVER_MAC),
    ):  # fmt: skip
        for text in (address, V6[address]):
            made.do(NeighbourSeen(dpid, port, packed(text), bytes.fromhex(mac.replace(":", ""))))
    return made


def refused(lab: Lab, dpid: int = 1) -> int:
    """Packets that the entries for unknown tags have counted: those whose counters the controller asks for."""
    switch = lab.network[dpid]
    mask = COOKIE_KIND_MASK | FOREIGN_TAG
    rules = [r for r in switch.rules(Table.GUARD) if r.cookie & mask == FOREIGN_TAG_COOKIE]
    assert any(rule.match == (("vlan_vid", (0x1000, 0x1000)),) for rule in rules)
    return sum(switch.packets[rule.key] for rule in rules)


def test_a_packet_comes_in_with_one_tag_and_leaves_with_another(lab: Lab) -> None:
    sent = lab.send(1, 1, replace(to_gateway(UE_LTE, 40_000), tags=(20,)))
    (out,) = sent.deliveries
    assert (out.dpid, out.port, out.packet.tags, out.packet.eth_dst) == (4, 1, (100,), SERVER_MAC)
    back = replace(to_gateway(SERVER, 5201, dst=UE_LTE, mac=SERVER_MAC, dport=40_000), tags=(100,))
    (out,) = lab.send(4, 1, back).deliveries
    assert (out.dpid, out.port, out.packet.tags) == (1, 1, (20,))


def test_two_tags_are_pushed_inner_first(lab: Lab) -> None:
    back = replace(to_gateway(SERVER, 5201, dst=UE_WLAN, mac=SERVER_MAC, dport=1), tags=(100,))
    (out,) = lab.send(4, 1, back).deliveries
    assert (out.dpid, out.port, out.packet.tags) == (1, 1, (30, 7))
    (out,) = lab.send(1, 1, replace(to_gateway(UE_WLAN, 2, mac=WLAN_MAC), tags=(30, 7))).deliveries
    assert (out.port, out.packet.tags) == (1, (100,))


def test_two_tags_of_one_port_reach_one_another(lab: Lab) -> None:
    across = to_gateway(UE_LTE, 40_000, dst=UE_WLAN)
    (out,) = lab.send(1, 1, replace(across, tags=(20,))).deliveries
    assert (out.dpid, out.port, out.packet.tags) == (1, 1, (30, 7))


def test_a_host_without_a_tag_reaches_a_tag_of_its_own_port() -> None:
    """A switch puts nothing out of the port where it came in, unless it looks as if it came in elsewhere."""
    site = vlan_site()
    lte, wlan = site.access_networks
    lab = Lab(replace(site, access_networks=(replace(lte, ports=(PortRef(1, 1),)), wlan)))
    lab.do(NeighbourSeen(1, B, packed(UE_WLAN), bytes.fromhex(WLAN_MAC.replace(":", ""))))
    (out,) = lab.send(1, 1, to_gateway(UE_LTE, 40_000, dst=UE_WLAN)).deliveries
    assert (out.port, out.packet.tags) == (1, (30, 7))


@pytest.mark.parametrize("tags", [(21,), (30,), (7,), (20, 7), (30, 8), (7, 30), (30, 7, 1), (100,)])
def test_any_other_tag_is_refused_and_counted(lab: Lab, tags: tuple[int, ...]) -> None:
    before = refused(lab)
    sent = lab.send(1, 1, replace(to_gateway(UE_LTE, 40_000), tags=tags))
    assert not sent.deliveries and not sent.copies
    assert refused(lab) == before + 1


@pytest.mark.parametrize("tags", [(), (20,), (21,), (30,), (7,), (30, 7), (30, 8)])
def test_no_lldp_of_whoever_is_attached_comes_up_whatever_its_tags(lab: Lab, tags: tuple[int, ...]) -> None:
    """All links of a switch share one meter, so one attached device could take them all away."""
    lldp = Packet(UE_MAC, "01:80:c2:00:00:0e", 0x88CC, tags=tags)
    assert not lab.send(1, 1, lldp).copies
    assert lab.send(1, 2, replace(lldp, tags=())).copies, "a switch's does"


def test_an_outer_tag_that_is_an_attachment_of_its_own_is_none_of_these() -> None:
    site = vlan_site()
    lte, wlan = site.access_networks
    lab = Lab(replace(site, access_networks=(replace(lte, ports=(tagged(1, OUTER, 1, 30),)), wlan)))
    for dpid, port, address, mac in ((1, OUTER, UE_LTE, UE_MAC), (4, UP, SERVER, SERVER_MAC)):
        lab.do(NeighbourSeen(dpid, port, packed(address), bytes.fromhex(mac.replace(":", ""))))
    before = refused(lab)
    assert lab.send(1, 1, replace(to_gateway(UE_LTE, 40_000), tags=(30,))).deliveries
    assert refused(lab) == before


def test_no_tag_is_no_attachment_either(lab: Lab) -> None:
    sent = lab.send(1, 1, to_gateway(UE_LTE, 40_000))
    assert not sent.deliveries and not sent.copies


@pytest.mark.row("N-7.2a")
def test_an_address_belongs_to_its_tag(lab: Lab) -> None:
    """The same port, the neighbour's address: the source check is the tag's."""
    sent = lab.send(1, 1, replace(to_gateway(UE_WLAN, 1), tags=(20,)))
    assert not sent.deliveries and not sent.copies
    sent = lab.send(1, 1, replace(to_gateway(UE_LTE, 1), tags=(30, 7)))
    assert not sent.deliveries and not sent.copies


def test_what_comes_up_bears_the_tagged_port_and_its_meter(lab: Lab) -> None:
    for tags, source, mac, port in (((20,), UE_LTE, UE_MAC, A), ((30, 7), UE_WLAN, WLAN_MAC, B)):
        sent = lab.send(1, 1, replace(to_gateway(source, 40_000, SYN, mac=mac), tags=tags))
        (copy,) = sent.copies
        assert (copy.packet_class, copy.in_port) == (PacketClass.SYN, port)
        assert copy.meter == Meter.SYN_BASE + port and not copy.packet.tags
    bands = {band.meter for band in lab.fills[1].meters}
    for base in (Meter.SYN_BASE, Meter.NEIGHBOUR_BASE, Meter.HOST_MISS_BASE, Meter.FIN_PORT_BASE):
        assert {base + A, base + B} <= bands and base + 1 not in bands


def test_gateways_answer_with_the_tags_of_who_asked(lab: Lab) -> None:
    sent = lab.send(1, 1, replace(arp_request(UE_MAC, UE_LTE, "10.1.0.1"), tags=(20,)))
    (answer,) = sent.deliveries
    assert (answer.port, answer.packet.tags, answer.packet.arp_sha) == (1, (20,), VIRTUAL_MAC)
    assert [copy.in_port for copy in sent.copies] == [A]
    asked = neighbour_solicitation(WLAN_MAC, "fd00:2::2", "fd00:2::1")
    (answer,) = lab.send(1, 1, replace(asked, tags=(30, 7))).deliveries
    assert (answer.port, answer.packet.tags, answer.packet.ipv6_nd_tll) == (1, (30, 7), VIRTUAL_MAC)
    assert not lab.send(1, 1, replace(arp_request(UE_MAC, UE_LTE, "10.1.0.1"), tags=(30, 7))).deliveries


def test_what_the_controller_sends_is_tagged(lab: Lab) -> None:
    for port, tags in ((A, (20,)), (B, (30, 7))):
        (sent,) = lab.give(RouterSolicited(1, port, bytes(6), bytes(16)))
        assert isinstance(sent, SendFrame) and sent.port == 1
        assert packet_of(sent.frame).tags == tags
    assert sent.frame[12:20] == bytes.fromhex("88a8 001e 8100 0007".replace(" ", ""))


def test_a_tagged_port_is_up_and_down_with_what_carries_it(lab: Lab) -> None:
    def lost() -> set[object]:
        lab.later(2.0)
        return {
            thing.key
            for thing in lab.engine.presence.missing_at(lab.now)
            if thing.kind is ThingKind.ATTACHMENT
        }

    lab.give(SwitchUp(1, {PortNumber(1): True, PortNumber(2): True}))
    here = {PortRef(1, A), PortRef(1, B)}
    assert not lost() & here
    lab.give(PortStatus(1, PortNumber(1), False, False))
    assert lost() >= here
    lab.give(PortStatus(1, PortNumber(1), True, False))
    assert not lost() & here


def test_its_name_is_the_site_files() -> None:
    assert str(tagged(1, B, 1, 30, 7, outer=OUTER)) == "1:1.30.7"


def test_an_mcp_that_comes_may_stand_at_a_tag_of_a_port_that_is_there(lab: Lab) -> None:
    lab.give(SwitchUp(1, {PortNumber(1): True, PortNumber(2): True}))
    assert use_of(lab.engine, tagged(1, 0xF00, 1, 40)) is PortUse.FREE
    assert use_of(lab.engine, tagged(1, 0xF00, 9, 40)) is PortUse.NO_PORT
    assert use_of(lab.engine, tagged(1, 0xF00, 2, 40)) is PortUse.LINK
