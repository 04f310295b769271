"""Rules by behaviour: the engine's output applied to fake switches, then packets sent through them."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from steering.core.inputs import EntriesRead, LinkDown, ObservedHost, PortStatus, SwitchUp
from steering.core.outputs import Steer, SyncRules
from steering.core.packet_inputs import NeighbourSeen
from steering.model.network import Interception, PortRef
from steering.model.rules import VIRTUAL_MAC, PacketClass, Table, UnwildcardFlow
from tests.support.fakes.network import FakeNetwork
from tests.support.fakes.packet import (
    ACK,
    SYN,
    SYN_ACK,
    Packet,
    arp_request,
    echo_request,
    neighbour_solicitation,
    tcp,
    udp,
)
from tests.support.sites import (
    SERVER,
    UE_LTE,
    UE_WLAN,
    Driver,
    access,
    answer,
    capable,
    join,
    link,
    mcp,
    nets,
    off_path_site,
    packed,
)
from tests.support.switched import MCP_MAC, SERVER_MAC, UE_MAC, V6, WLAN_MAC, Lab, to_gateway


@pytest.fixture
def lab():
    return Lab()


@pytest.mark.parametrize("name", [lambda a: a, V6.get], ids=["v4", "v6"])
@pytest.mark.row("D-2.7")
def test_natural_traffic_crosses_both_ways_with_ttl_decremented_once(lab, name):
    ((dpid, port, packet),) = lab.send(1, 1, to_gateway(name(UE_LTE), 1, dst=name(SERVER))).deliveries
    assert (dpid, port, packet.eth_dst, packet.eth_src) == (4, 1, SERVER_MAC, VIRTUAL_MAC)
    assert packet.nw_ttl == 63
    back = to_gateway(name(SERVER), 5201, dst=name(UE_WLAN), mac=SERVER_MAC)
    ((dpid, port, packet),) = lab.send(4, 1, back).deliveries
    assert (dpid, port, packet.eth_dst) == (2, 1, WLAN_MAC)


@pytest.mark.parametrize("name", [lambda a: a, V6.get], ids=["v4", "v6"])
@pytest.mark.row("D-4.d", "D-6.2c", "D-4.c")
def test_steered_subflows_reach_the_mcp_both_ways_and_both_legs_share_one_five_tuple(lab, name):
    ue, wlan, server = name(UE_LTE), name(UE_WLAN), name(SERVER)
    result = lab.send(1, 1, to_gateway(ue, 40000, SYN, server))
    assert [c.packet_class for c in result.copies] == [PacketClass.SYN] and not result.deliveries
    session = None
    lab.steer(lab.syn(1, 1, capable(ue, 40000, dst=server)))
    (session,) = lab.table
    lab.steer(
        lab.syn_ack(
            3, 1, capable(server, 5201, dst=ue, dport=40000, flags=SYN_ACK, key=b"12345678", ack=1001)
        )
    )
    assert session.token >= 0
    lab.steer(lab.syn(2, 1, join(wlan, 40001, session.token.to_bytes(4, "big"), dst=server)))
    for dpid, src, sport, mac in ((1, ue, 40000, UE_MAC), (2, wlan, 40001, WLAN_MAC)):
        ((at, port, packet),) = lab.send(dpid, 1, to_gateway(src, sport, dst=server, mac=mac)).deliveries
        assert (at, port, packet.eth_dst) == (3, 1, MCP_MAC)
        down = tcp(server, 5201, src, sport, ACK, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)
        ((at, port, _),) = lab.send(3, 1, down).deliveries
        assert (at, port) == (dpid, 1)
    # The server leg has the first subflow's 5-tuple; only the port it comes in by tells them apart.
    ((at, port, _),) = lab.send(3, 1, to_gateway(ue, 40000, dst=server, mac=MCP_MAC)).deliveries
    assert (at, port) == (4, 1)
    back = to_gateway(server, 5201, dst=ue, mac=SERVER_MAC, dport=40000)
    ((at, port, packet),) = lab.send(4, 1, back).deliveries
    assert (at, port, packet.eth_dst) == (3, 1, MCP_MAC)
    # Without its downlink entry the return leg would take the natural path: the control.
    (entry,) = [e for e in session.entries(3) if e.dpid == 4]
    lab.network.switches[4].remove_entry(entry)
    ((at, _, _),) = lab.send(4, 1, back).deliveries
    assert at == 1


def test_a_syn_is_punted_even_on_a_pinned_five_tuple(lab):
    lab.steer(lab.syn(1, 1, capable(UE_LTE, 40000)))
    result = lab.send(1, 1, to_gateway(UE_LTE, 40000, SYN))
    assert not result.deliveries and [c.packet_class for c in result.copies] == [PacketClass.SYN]


def test_syn_ack_of_an_mcp_is_copied_and_forwarded(lab):
    packet = tcp(SERVER, 5201, UE_LTE, 40000, SYN_ACK, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)
    result = lab.send(3, 1, packet)
    assert [c.packet_class for c in result.copies] == [PacketClass.SYN_ACK] and len(result.deliveries) == 1


def test_fins_of_all_and_resets_of_mcps_are_copied_and_go_on(lab):
    fin = lab.send(1, 1, to_gateway(UE_LTE, 1, 0x11))
    assert [c.packet_class for c in fin.copies] == [PacketClass.FIN] and len(fin.deliveries) == 1
    rst = lab.send(1, 1, to_gateway(UE_LTE, 1, 0x14))
    assert not rst.copies and len(rst.deliveries) == 1
    down = tcp(SERVER, 5201, UE_LTE, 40000, 0x14, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)
    own = lab.send(3, 1, down)
    assert [c.packet_class for c in own.copies] == [PacketClass.FIN] and len(own.deliveries) == 1


def test_core_entries_do_not_grow_with_sessions():
    """1,000 sessions over a path of five switches, with the MCP in the middle."""
    chain = tuple(link(f"{n}:8", f"{n + 1}:9") for n in range(1, 5))
    gateway = replace(off_path_site().gateways[0], ports=(PortRef(5, 1),))
    lte = off_path_site().access_networks[0]
    middle = mcp("core", PortRef(3, 1), "10.8.0.2")
    site = off_path_site(access_networks=(lte,), gateways=(gateway,), mcps=(middle,), links=chain)
    driver = Driver(site)
    network = FakeNetwork(site.links)
    for fill in driver.fills.values():
        network.apply(driver.up(fill.dpid))
    before = {dpid: len(switch.rules()) for dpid, switch in network.switches.items()}
    for number in range(1000):
        opening = capable("10.1.0.7", 10_000 + number)
        for outputs in (
            driver.syn(1, 1, opening),
            driver.syn_ack(3, 1, answer(opening, b"%8d" % number)),
        ):
            (steer,) = outputs
            network.apply(steer._replace(release=None))
    after = {dpid: len(switch.rules()) for dpid, switch in network.switches.items()}
    assert len(driver.table) == 1000 and len(before) == 5
    assert {dpid: after[dpid] - before[dpid] for dpid in after} == {1: 1000, 2: 0, 3: 0, 4: 0, 5: 1000}


@pytest.mark.row("N-7.2a")
def test_spoofed_sources_go_nowhere(lab):
    for dpid, src in (
        (1, UE_WLAN),
        (1, "10.8.0.2"),
        (1, "fd00:2::2"),
        (4, UE_LTE),
        (4, "10.8.0.2"),
        (4, "fd00:8::2"),
    ):
        dst = SERVER if dpid == 1 else UE_WLAN
        dst = dst if ip_address(src).version == 4 else V6[dst]
        packet = udp(src, 1, dst, 2, eth_src=UE_MAC, eth_dst=VIRTUAL_MAC)
        result = lab.send(dpid, 1, packet)
        assert not result.deliveries and not result.copies
    assert lab.send(1, 1, udp(UE_LTE, 1, SERVER, 2, eth_src=UE_MAC, eth_dst=VIRTUAL_MAC)).deliveries
    assert (
        lab.send(3, 1, udp("10.8.1.2", 1, SERVER, 2, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)).deliveries == []
    )


@pytest.mark.row("N-7.2a")
@pytest.mark.parametrize("src", [UE_LTE, UE_WLAN, "10.8.0.2", "fd00:1::2", "fd00:8::2"])
def test_a_gateway_to_everywhere_brings_no_source_that_lives_inside(src):
    """Its own prefixes hold every address, so what lives inside is denied by name."""
    anywhere = replace(off_path_site().gateways[0], prefixes=nets("0.0.0.0/0", "::/0"))
    lab = Lab(off_path_site(gateways=(anywhere,)))
    outside, dst = ("198.51.100.7", UE_WLAN) if ip_address(src).version == 4 else ("2001:db8::7", V6[UE_WLAN])
    forged = lab.send(4, 1, udp(src, 1, dst, 2, eth_src=SERVER_MAC, eth_dst=VIRTUAL_MAC))
    assert not forged.deliveries and not forged.copies
    assert lab.send(4, 1, udp(outside, 1, dst, 2, eth_src=SERVER_MAC, eth_dst=VIRTUAL_MAC)).deliveries


def test_lldp_of_a_host_ends_at_its_port_and_that_of_a_switch_comes_up(lab):
    lldp = Packet(UE_MAC, "01:80:c2:00:00:0e", 0x88CC)
    from_host = lab.send(1, 1, lldp)
    assert not from_host.deliveries and not from_host.copies
    assert [copy.packet_class for copy in lab.send(1, 2, lldp).copies] == [PacketClass.LLDP]


@pytest.mark.row("N-7.2a")
def test_a_solicitation_that_crossed_a_router_is_neither_answered_nor_believed(lab):
    """RFC 4861 7.1.1: hop limit 255 proves that it comes from this link."""
    genuine = neighbour_solicitation(UE_MAC, "fd00:1::2", "fd00:1::1")
    assert lab.send(1, 1, genuine).deliveries
    routed = lab.send(1, 1, replace(genuine, nw_ttl=254))
    assert not routed.deliveries and not routed.copies


def test_gateways_answer_arp_nd_and_echo_by_entries(lab):
    ((_, port, packet),) = lab.send(1, 1, arp_request(UE_MAC, UE_LTE, "10.1.0.1")).deliveries
    assert (port, packet.arp_sha, packet.arp_spa, packet.arp_tpa) == (1, VIRTUAL_MAC, "10.1.0.1", UE_LTE)
    for target in ("fd00:1::1", "fe80::1"):
        result = lab.send(1, 1, neighbour_solicitation(UE_MAC, "fd00:1::2", target))
        ((_, port, packet),) = result.deliveries
        assert (packet.icmpv6_type, packet.ipv6_nd_tll, packet.ipv6_src) == (136, VIRTUAL_MAC, target)
        assert [c.packet_class for c in result.copies] == [PacketClass.NEIGHBOUR]
    for src, gateway in ((UE_LTE, "10.1.0.1"), ("fd00:1::2", "fd00:1::1")):
        ((_, port, packet),) = lab.send(
            1, 1, echo_request(src, gateway, eth_src=UE_MAC, eth_dst=VIRTUAL_MAC)
        ).deliveries
        assert (port, packet.dst, packet.eth_dst) == (1, src, UE_MAC)
    assert not lab.send(1, 1, arp_request(UE_MAC, UE_WLAN, "10.1.0.1")).deliveries


def test_expired_packets_come_up_and_an_unknown_host_is_asked_for(lab):
    result = lab.send(1, 1, to_gateway(UE_LTE, 1, ttl=1))
    assert [c.packet_class for c in result.copies] == [PacketClass.TTL_EXPIRED] and not result.deliveries
    missed = lab.send(1, 1, udp(UE_LTE, 1, "10.9.0.77", 2, eth_src=UE_MAC, eth_dst=VIRTUAL_MAC))
    assert [c.packet_class for c in missed.copies] == [PacketClass.HOST_MISS]
    assert missed.copies[0].metadata & 0xFFFF == lab.engine.map.at[(4, 1)].waypoint.id


def test_unwildcarding_covers_all_natural_tcp_and_can_be_switched_off():
    def routes(driver):
        return [r for r in driver.fills[1].admission if r.table == Table.ROUTE]

    def unwildcarded(rules):
        return [r for r in rules if any(isinstance(a, UnwildcardFlow) for a in r.actions)]

    rules = routes(Driver())
    assert len(unwildcarded(rules)) * 2 == len(rules)
    assert unwildcarded(routes(Driver(disabled=frozenset({"un-wildcarding"})))) == []


def test_a_lost_link_is_routed_round_and_sessions_keep_their_mcp():
    lab = Lab(off_path_site(links=(*off_path_site().links, link("1:9", "2:9", 5))))
    lab.steer(lab.syn(1, 1, capable(UE_LTE, 40000)))
    before = lab.send(1, 1, to_gateway(UE_LTE, 40000)).deliveries[0]
    for output in lab.give(LinkDown(PortRef(1, 2), PortRef(3, 2))) + lab.give(
        LinkDown(PortRef(3, 2), PortRef(1, 2))
    ):
        lab.network.apply(output)
    result = lab.send(1, 1, to_gateway(UE_LTE, 40000))
    assert result.deliveries[0] == before and (2, 9) in result.hops


def two_ports_site():
    lte = access("lte", [PortRef(1, 1), PortRef(1, 7), PortRef(2, 7)], "10.1.0.0/24", "fd00:1::/64")
    return off_path_site(access_networks=(lte, off_path_site().access_networks[1]))


@pytest.mark.parametrize("there", [(1, 7), (2, 7)])
def test_a_host_that_moves_its_port_is_found_again(there):
    lab = Lab(two_ports_site())
    back = udp(SERVER, 1, UE_LTE, 2, eth_src=SERVER_MAC, eth_dst=VIRTUAL_MAC)
    assert lab.send(4, 1, back).deliveries[0][:2] == (1, 1)
    asked = lab.give(PortStatus(1, 1, False))
    assert {(o.dpid, o.port) for o in asked if hasattr(o, "frame")} == {(1, 7), (2, 7)}
    for output in asked:
        lab.network.apply(output)
    dpid, port = there
    lab.do(NeighbourSeen(dpid, port, packed(UE_LTE), bytes.fromhex(UE_MAC.replace(":", ""))))
    assert lab.send(4, 1, back).deliveries[0][:2] == there


def test_an_in_line_mcp_is_crossed_by_natural_traffic_too():
    inline = replace(
        mcp("core", PortRef(3, 1), "10.8.0.2", "10.8.5.2"),
        interception=Interception.SELF,
        outside=PortRef(3, 8),
    )
    site = off_path_site(mcps=(inline,), links=(link("1:2", "3:2"), link("2:2", "3:4"), link("3:3", "4:2")))
    lab = Lab(site)
    for port in (1, 8):
        lab.do(NeighbourSeen(3, port, packed("10.8.0.2"), bytes([2, 0, 0, 8, 3, port])))
    there = udp(UE_WLAN, 1, SERVER, 2, eth_src=WLAN_MAC, eth_dst=VIRTUAL_MAC)
    assert lab.send(2, 1, there).deliveries[0][:2] == (3, 1)
    on = replace(there, eth_src="02:00:00:08:03:08")
    assert lab.send(3, 8, on).deliveries[0][:2] == (4, 1)
    back = udp(SERVER, 2, UE_WLAN, 1, eth_src=SERVER_MAC, eth_dst=VIRTUAL_MAC)
    assert lab.send(4, 1, back).deliveries[0][:2] == (3, 8)
    assert lab.send(3, 1, replace(back, eth_src="02:00:00:08:03:01")).deliveries[0][:2] == (2, 1)
    # What either side sends to the MCP itself reaches it by that side, also where only the MCP connects the two.
    own = udp(SERVER, 2, "10.8.5.2", 1, eth_src=SERVER_MAC, eth_dst=VIRTUAL_MAC)
    assert lab.send(4, 1, own).deliveries[0][:2] == (3, 8)
    own = udp(UE_WLAN, 1, "10.8.5.2", 2, eth_src=WLAN_MAC, eth_dst=VIRTUAL_MAC)
    assert lab.send(2, 1, own).deliveries[0][:2] == (3, 1)
    opening = capable(UE_WLAN, 7)
    assert not [o for o in lab.syn(2, 1, opening) if isinstance(o, Steer) and o.release]
    lab.steer(lab.syn_ack(3, 1, answer(opening)))
    assert lab.send(2, 1, to_gateway(UE_WLAN, 7, mac=WLAN_MAC)).deliveries[0][:2] == (3, 1)
    returned = tcp(SERVER, 5201, UE_WLAN, 7, ACK, eth_src=SERVER_MAC, eth_dst=VIRTUAL_MAC)
    assert lab.send(4, 1, returned).deliveries[0][:2] == (3, 8)


def test_a_host_at_a_further_port_is_found_again_by_switches_filled_before_it_was_read_back():
    lte = access("lte", [PortRef(1, 1), PortRef(2, 1)], "10.1.0.0/24")
    driver = Driver(off_path_site(access_networks=(lte,)))
    where = driver.engine.map.attachments[PortRef(2, 1)].waypoint.id
    host = ObservedHost(2, where, packed("10.1.0.7"), bytes.fromhex("020000000007"), 1)
    driver.give(SwitchUp(2, {1: True, 2: True}))
    outputs = driver.give(EntriesRead(2, [], [host]))
    routes = {o.dpid: o.add for o in outputs if isinstance(o, SyncRules)}
    assert {1, 4} <= set(routes) and 2 not in routes  # switch 2's own come with its filling
    assert all(dict(rule.match)["ipv4_dst"] == "10.1.0.7" for add in routes.values() for rule in add)
