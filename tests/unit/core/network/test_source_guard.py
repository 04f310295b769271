"""A port sends with the addresses of its own hosts only, and a host that is there is let through at its first packet."""

from dataclasses import replace

import pytest

from steering.core.inputs import EntriesRead, ObservedHost, PortStatus, SwitchUp, Tick
from steering.core.network.address_claims import PATIENCE
from steering.core.network.address_queries import QUESTIONS_EACH, WAITING_EACH
from steering.core.network.lost_hosts import BETWEEN
from steering.core.outputs import FillSwitch, Output, Release, SendFrame
from steering.core.packet_inputs import HostMissed, NeighbourSeen, SourceMissed
from steering.model.mechanism import Mechanism
from steering.model.network import HostLearning, PortRef, Site
from steering.model.rules import VIRTUAL_MAC, PacketClass
from steering.model.session import Refusal
from steering.wire.craft import tcp_frame
from tests.support.fakes.packet import Packet, udp
from tests.support.sites import SERVER, UE_LTE, link, off_path_site, packed
from tests.support.switched import UE_MAC, V6, Lab

HERE, THERE = (1, 1), (2, 7)
MAC = bytes.fromhex(UE_MAC.replace(":", ""))
OTHER = bytes.fromhex("020000000666")
NEW = {4: "10.1.0.77", 6: "fd00:1::77"}


def two_ports(**more: object) -> Site:
    """The LTE network has a second port, at another switch."""
    site = off_path_site()
    lte = replace(site.access_networks[0], ports=(PortRef(*HERE), PortRef(*THERE)), **more)
    return replace(
        site, access_networks=(lte, site.access_networks[1]), links=(*site.links, link("2:9", "3:9"))
    )


def sent(src: str, mac: str = UE_MAC) -> Packet:
    dst = SERVER if "." in src else V6[SERVER]
    return udp(src, 1, dst, 2, eth_src=mac, eth_dst=VIRTUAL_MAC)


def frame(src: str, sport: int = 1) -> bytes:
    dst = packed(SERVER if "." in src else V6[SERVER])
    virtual = bytes.fromhex(VIRTUAL_MAC.replace(":", ""))
    return tcp_frame(packed(src), dst, sport, 5201, flags=0x10, dst_mac=virtual, src_mac=MAC)


def say(lab: Lab, port: tuple[int, int], address: str, mac: bytes = MAC) -> list[Output]:
    outputs = lab.give(NeighbourSeen(*port, packed(address), mac))
    lab.network.apply([one for one in outputs if not isinstance(one, Release)])
    return outputs


def passes(lab: Lab, port: tuple[int, int], address: str) -> bool:
    return bool(lab.send(*port, sent(address)).deliveries)


@pytest.mark.row("N-7.2a")
@pytest.mark.parametrize("known", [UE_LTE, V6[UE_LTE]])
def test_a_neighbour_at_another_port_sends_nothing_with_anothers_address(known: str) -> None:
    lab = Lab(two_ports())
    assert passes(lab, HERE, known)
    forged = lab.send(*THERE, sent(known))
    assert not forged.deliveries and [copy.packet_class for copy in forged.copies] == [
        PacketClass.SOURCE_MISS
    ]


@pytest.mark.row("N-7.2a")
@pytest.mark.parametrize("how", ["learned", "disabled"])
def test_without_the_guard_it_does(how: str) -> None:
    if how == "learned":
        lab = Lab(two_ports(hosts=HostLearning.LEARNED))
    else:
        lab = Lab(two_ports(), disabled={Mechanism.SOURCE_GUARD})
    assert passes(lab, THERE, UE_LTE)


@pytest.mark.parametrize("family", [4, 6])
def test_a_host_that_said_nothing_is_asked_and_its_first_packet_goes_on(family: int) -> None:
    lab = Lab()
    assert not passes(lab, HERE, NEW[family])
    asked = lab.give(SourceMissed(*HERE, packed(NEW[family]), frame(NEW[family])))
    assert [(one.dpid, one.port) for one in asked if isinstance(one, SendFrame)] == [HERE]
    told = say(lab, HERE, NEW[family])
    ((at, port, packet),) = lab.network.apply([one for one in told if isinstance(one, Release)]).deliveries
    assert (at, port, packet.src) == (4, 1, NEW[family])
    assert passes(lab, HERE, NEW[family])


def test_a_packet_that_came_up_while_its_host_was_learnt_goes_on_at_once() -> None:
    lab = Lab()
    (release,) = lab.give(SourceMissed(*HERE, packed(UE_LTE), frame(UE_LTE)))
    assert lab.network.apply(release).deliveries


def test_what_waits_is_bounded_for_each_address_and_each_port() -> None:
    lab = Lab()
    for number in range(3 * QUESTIONS_EACH):
        address = f"10.1.0.{number + 3}"
        for sport in range(2 * WAITING_EACH):
            lab.give(SourceMissed(*HERE, packed(address), frame(address, sport)))
    assert len(lab.engine.neighbours._queries) == QUESTIONS_EACH
    told = say(lab, HERE, f"10.1.0.{3 * QUESTIONS_EACH + 2}")
    assert sum(isinstance(one, Release) for one in told) == WAITING_EACH
    for _ in range(5):
        lab.later(1.0)
    assert not len(lab.engine.neighbours._queries)


def test_an_address_that_is_elsewhere_is_a_claim_and_its_holder_keeps_it() -> None:
    lab = Lab(two_ports())
    asked = lab.give(SourceMissed(*THERE, packed(UE_LTE), frame(UE_LTE)))
    assert [(one.dpid, one.port) for one in asked if isinstance(one, SendFrame)] == [HERE]
    say(lab, HERE, UE_LTE)
    lab.later(PATIENCE + 0.1)
    assert passes(lab, HERE, UE_LTE) and not passes(lab, THERE, UE_LTE)
    assert lab.engine.counters.refusals[Refusal.ADDRESS_TAKEN] == 1


@pytest.mark.row("D-3.3a")
def test_a_host_that_moved_and_only_sends_is_let_through_within_a_second() -> None:
    lab = Lab(two_ports())
    lab.give(SourceMissed(*THERE, packed(UE_LTE), frame(UE_LTE)))
    lab.now += PATIENCE + 0.1
    lab.do(Tick())
    assert PATIENCE < 1 and passes(lab, THERE, UE_LTE) and not passes(lab, HERE, UE_LTE)


def asked_at(outputs: list[Output]) -> list[tuple[int, int]]:
    return [(one.dpid, one.port) for one in outputs if isinstance(one, SendFrame)]


def missed(lab: Lab, address: str) -> list[Output]:
    """A segment to a host comes to its network's first port, where its host is not known."""
    waypoint = lab.engine.map.attachments[PortRef(*HERE)].waypoint.id
    return lab.give(HostMissed(HERE[0], waypoint, packed(address), frame(SERVER)))


@pytest.mark.row("D-3.3a")
def test_a_host_that_moved_is_asked_for_where_it_sends_though_others_ask_for_it_where_it_was() -> None:
    """Its MCP goes on sending to its old port, where nobody answers; the question that is open there lasted three seconds,
    and the next began at once."""
    lab = Lab(two_ports())
    assert asked_at(missed(lab, NEW[4])) == [HERE]
    assert asked_at(lab.give(SourceMissed(*THERE, packed(NEW[4]), frame(NEW[4])))) == [THERE]
    assert not asked_at(missed(lab, NEW[4])), "it was asked"
    lab.now += 1.0
    assert {HERE, THERE} <= set(asked_at(lab.give(Tick()))), "and is asked again at both"
    told = say(lab, THERE, NEW[4])
    assert sum(isinstance(one, Release) for one in told) == 1, "its own segment goes on"
    assert passes(lab, THERE, NEW[4])


@pytest.mark.row("N-7.2a")
def test_what_a_stranger_sent_with_a_hosts_address_does_not_go_on_as_the_hosts_own() -> None:
    lab = Lab(two_ports())
    lab.give(SourceMissed(*THERE, packed(NEW[4]), frame(NEW[4], sport=666)))
    assert asked_at(lab.give(SourceMissed(*HERE, packed(NEW[4]), frame(NEW[4])))) == [HERE]
    (release,) = [one for one in say(lab, HERE, NEW[4]) if isinstance(one, Release)]
    assert release.frame == frame(NEW[4])


@pytest.mark.row("D-3.3a")
def test_a_host_that_only_receives_is_found_behind_the_port_it_moved_to() -> None:
    """When its old port goes down its new one is not up yet, so nobody hears the first question."""
    lab = Lab(two_ports())
    assert asked_at(lab.give(PortStatus(*HERE, up=False)))[:1] == [THERE]
    assert sorted(asked_at(missed(lab, UE_LTE))) == [HERE, THERE]
    assert not asked_at(missed(lab, UE_LTE))
    say(lab, THERE, UE_LTE)
    assert passes(lab, THERE, UE_LTE)
    lab.give(PortStatus(*HERE, up=True))
    lab.engine.neighbours._forget(packed(UE_LTE))
    lab.now += BETWEEN
    assert asked_at(missed(lab, UE_LTE)) == [HERE], "it was found"


def test_an_mcps_address_and_the_gateways_are_nobodys() -> None:
    lab = Lab()
    for address in ("10.8.0.2", "10.1.0.1", "10.2.0.9"):
        assert lab.give(SourceMissed(*HERE, packed(address), frame(address))) == []
    assert lab.engine.counters.refusals[Refusal.ADDRESS_NOT_BOUND] == 3


def test_a_port_that_went_down_lets_nobody_through_until_its_hosts_answer() -> None:
    lab = Lab()
    lab.do(PortStatus(*HERE, up=False))
    lab.do(PortStatus(*HERE, up=True))
    assert not passes(lab, HERE, UE_LTE)
    say(lab, HERE, UE_LTE)
    assert passes(lab, HERE, UE_LTE)


@pytest.mark.parametrize("hosts_known", [True, False])
def test_sources_pass_again_after_a_switch_or_the_controller_was_away(hosts_known: bool) -> None:
    """A fresh controller finds them by the entries that lead to their hosts."""
    lab = Lab()
    if not hosts_known:
        lab.engine.neighbours._forget(packed(UE_LTE))
    waypoint = lab.engine.map.attachments[PortRef(*HERE)].waypoint.id
    lab.give(SwitchUp(1, {1: True, 2: True}))
    hosts = [] if hosts_known else [ObservedHost(1, waypoint, packed(UE_LTE), MAC, 1)]
    (fill,) = [one for one in lab.give(EntriesRead(1, [], hosts)) if isinstance(one, FillSwitch)]
    lab.network.switches.pop(1)
    lab.network.apply(fill)
    assert passes(lab, HERE, UE_LTE)


def test_by_prefix_all_of_a_hosts_64_passes_and_nobody_else_gets_an_address_of_it() -> None:
    site = two_ports(binds_prefixes=True)
    lte = site.access_networks[0]
    wide = replace(
        lte, prefixes=tuple(p.supernet(new_prefix=48) if p.version == 6 else p for p in lte.prefixes)
    )
    lab = Lab(replace(site, access_networks=(wide, site.access_networks[1])))
    host, private, thief = "fd00:1:0:5::2", "fd00:1:0:5::abcd", "fd00:1:0:5::666"
    say(lab, HERE, host)
    say(lab, HERE, private)
    assert passes(lab, HERE, "fd00:1:0:5::9") and not passes(lab, HERE, "fd00:1:0:6::9")
    say(lab, THERE, thief, OTHER)
    say(lab, HERE, host)  # it answers the question
    lab.now += PATIENCE + 0.1
    lab.do(Tick())
    assert not passes(lab, THERE, thief) and passes(lab, HERE, host)
    say(lab, THERE, private)  # its host moves
    lab.now += PATIENCE + 0.1
    lab.do(Tick())
    assert passes(lab, THERE, thief)


@pytest.mark.row("N-7.2a")
def test_a_routers_advertisement_of_a_host_reaches_nobody() -> None:
    """RFC 6105: no port of a host speaks for a router."""
    lab = Lab()
    for source, target, to in (
        ("fe80::666", "ff02::1", "33:33:00:00:00:01"),
        (V6[UE_LTE], "ff02::1", "33:33:00:00:00:01"),
        ("fe80::666", V6[SERVER], VIRTUAL_MAC),
    ):
        ra = Packet(
            UE_MAC,
            to,
            0x86DD,
            ipv6_src=source,
            ipv6_dst=target,
            ip_proto=58,
            icmpv6_type=134,
            icmpv6_code=0,
            nw_ttl=255,
        )
        seen = lab.send(*HERE, ra)
        assert not seen.deliveries and not seen.copies
