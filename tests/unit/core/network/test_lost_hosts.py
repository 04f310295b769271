"""Hosts whose port went down are asked for behind all ports of their network, for some time and no more often than is bounded."""

from dataclasses import replace

import pytest

from steering.core.counters import Counters
from steering.core.inputs import PortStatus, Tick
from steering.core.network.address_queries import QUESTIONS_EACH, RETRY
from steering.core.network.lost_hosts import BETWEEN, BURST, MOST, PART, RATE, SOUGHT, LostHosts
from steering.core.outputs import Output, SendFrame
from steering.core.packet_inputs import HostMissed, NeighbourSeen, SourceMissed
from steering.model.network import PortRef, Site
from tests.support.sites import UE_LTE, link, off_path_site, packed
from tests.support.switched import UE_MAC, Lab

HERE, THERE, THIRD = (1, 1), (2, 7), (2, 8)
MAC = bytes.fromhex(UE_MAC.replace(":", ""))
FRAME = bytes(6) + MAC + b"\x08\x00" + bytes(40)
ADDRESS = packed(UE_LTE)


def three_ports() -> Site:
    """The LTE network has three ports, two of them at another switch."""
    site = off_path_site()
    lte = replace(site.access_networks[0], ports=tuple(PortRef(*at) for at in (HERE, THERE, THIRD)))
    return replace(
        site, access_networks=(lte, site.access_networks[1]), links=(*site.links, link("2:9", "3:9"))
    )


@pytest.fixture
def lab() -> Lab:
    """The host's port has just gone down, and it was asked for behind the others."""
    lab = Lab(three_ports())
    assert asked(lab.give(PortStatus(*HERE, up=False))) == [THERE, THIRD]
    return lab


def asked(outputs: list[Output]) -> list[tuple[int, int]]:
    """Where the host's address is asked for, in order."""
    return sorted(
        (one.dpid, one.port) for one in outputs if isinstance(one, SendFrame) and ADDRESS in one.frame
    )


def missed(lab: Lab) -> list[tuple[int, int]]:
    """A packet to the host comes to its network's first port."""
    waypoint = lab.engine.map.attachments[PortRef(*HERE)].waypoint.id
    return asked(lab.give(HostMissed(HERE[0], waypoint, ADDRESS, FRAME)))


def spoofed(lab: Lab, address: bytes = ADDRESS) -> list[tuple[int, int]]:
    """A packet with the host's source address comes in elsewhere."""
    return asked(lab.give(SourceMissed(*THERE, address, FRAME)))


def give_up(lab: Lab) -> None:
    """Time goes by until nobody asks for the host any more."""
    while ADDRESS in lab.engine.neighbours._queries:
        lab.later(RETRY)


@pytest.mark.row("D-3.3a")
def test_it_is_asked_for_behind_all_ports_until_it_was_lost_for_half_a_minute(lab: Lab) -> None:
    lost = lab.now
    assert missed(lab) == [HERE, THERE, THIRD]
    give_up(lab)
    lab.now = lost + SOUGHT - BETWEEN
    assert missed(lab) == [HERE, THERE, THIRD]
    give_up(lab)
    lab.now = lost + SOUGHT
    assert missed(lab) == [HERE], "it was sought for long enough"


def test_one_that_is_lost_anew_is_sought_anew(lab: Lab) -> None:
    lab.now += SOUGHT
    lab.give(NeighbourSeen(*HERE, ADDRESS, MAC))
    lab.give(PortStatus(*HERE, up=False))
    assert missed(lab) == [HERE, THERE, THIRD]


def test_the_other_ports_are_not_asked_when_the_question_is_repeated(lab: Lab) -> None:
    assert missed(lab) == [HERE, THERE, THIRD]
    lab.now += RETRY
    assert asked(lab.give(Tick())) == [HERE]


def test_no_port_is_asked_twice_when_the_question_is_repeated(lab: Lab) -> None:
    assert missed(lab) == [HERE, THERE, THIRD]
    assert spoofed(lab) == [THERE], "where it sends it is asked for, and nowhere else"
    lab.now += RETRY
    assert asked(lab.give(Tick())) == [HERE, THERE]


def test_packets_that_wait_at_an_open_question_do_not_ask_behind_all_ports(lab: Lab) -> None:
    assert missed(lab) == [HERE, THERE, THIRD]
    lab.engine.neighbours._queries.take(ADDRESS)  # it gave way to others
    lab.now += RETRY
    assert missed(lab) == [HERE], "its turn behind all ports was a second ago"
    lab.now += BETWEEN
    assert spoofed(lab) == [THERE]


@pytest.mark.row("N-7.2a")
def test_spoofed_sources_ask_behind_all_ports_no_more_often_than_is_bounded(lab: Lab) -> None:
    """Many other sources push the host's question out, and its next packet opens it again."""
    for _ in range(2):
        asked_elsewhere = []
        for _ in range(4):
            asked_elsewhere += [at for at in spoofed(lab) if at != THERE]
            for number in range(QUESTIONS_EACH):
                spoofed(lab, packed(f"10.1.0.{number + 10}"))
            assert ADDRESS not in lab.engine.neighbours._queries
        assert asked_elsewhere == [HERE, THIRD]
        lab.now += BETWEEN


def test_the_first_lost_gives_way_when_too_many_are() -> None:
    lost = LostHosts(Counters())
    for number in range(MOST + 1):
        lost.add(number.to_bytes(4), "wlan", now=0.0)

    def has_turn(number: int) -> bool:
        return lost.has_turn(number.to_bytes(4), "wlan", 1, now=1.0)

    assert not has_turn(0)
    assert all(has_turn(number) for number in range(1, MOST + 1))


def test_whoever_has_most_lost_hosts_loses_the_first_of_them() -> None:
    lost = LostHosts(Counters())
    lost.add(b"host", "quiet", now=0.0)
    for number in range(2 * MOST):
        lost.add(number.to_bytes(4), "flapping", now=0.0)
    assert len(lost) == MOST
    assert lost.has_turn(b"host", "quiet", 1, now=1.0)
    assert not lost.has_turn(MOST.to_bytes(4), "flapping", 1, now=1.0)
    assert lost.has_turn((MOST + 1).to_bytes(4), "flapping", 1, now=1.0)


def test_nothing_is_left_of_those_that_were_found_or_sought_for_long_enough() -> None:
    lost = LostHosts(Counters())
    for number in range(4):
        lost.add(number.to_bytes(4), "wlan", now=0.0)
        lost.add(number.to_bytes(4), "wlan", now=1.0)
    assert len(lost) == 4
    for number in range(2):
        lost.found(number.to_bytes(4), "wlan")
    assert not any(lost.has_turn(number.to_bytes(4), "wlan", 1, now=1.0 + SOUGHT) for number in range(4))
    assert len(lost) == 0 and not lost._lost


OF_ONE = BURST * PART  # questions of one network at once


def test_all_lost_hosts_together_ask_no_more_often_than_is_bounded() -> None:
    """A port whose hosts come and go, as a switch that reboots, or one that somebody flaps."""
    lab = Lab(three_ports())
    asked_elsewhere, downs = 0, 0
    while asked_elsewhere == 2 * downs:
        lab.give(PortStatus(*HERE, up=True))
        lab.give(NeighbourSeen(*HERE, ADDRESS, MAC))
        downs += 1
        asked_elsewhere += len(asked(lab.give(PortStatus(*HERE, up=False))))
        assert downs < BURST, "there is no bound"
    others = 2  # the host's IPv6 address, once
    assert asked_elsewhere + others == OF_ONE and lab.counters.lost_hosts_unasked == 1
    assert missed(lab) == [HERE], "it is sought, but has no turn"
    give_up(lab)
    assert missed(lab) == [HERE, THERE, THIRD], "when time went by it has"


def test_a_network_whose_hosts_are_lost_without_end_leaves_other_networks_their_part() -> None:
    counters = Counters()
    lost = LostHosts(counters)
    turns = [lost.may_ask("flapping", 10, now=0.0) for _ in range(1_000)]
    assert sum(turns) * 10 == OF_ONE and counters.lost_hosts_unasked == turns.count(False)
    assert lost.may_ask("quiet", 10, now=0.0)
    assert sum(lost.may_ask("flapping", 10, now=1.0) for _ in range(1_000)) * 10 == RATE * PART


def test_many_networks_together_have_the_bound_of_all() -> None:
    lost = LostHosts(Counters())
    networks = [f"network {number}" for number in range(10)]
    turns = sum(lost.may_ask(name, 10, now=0.0) for name in networks for _ in range(1_000))
    assert turns * 10 == BURST


def test_a_network_with_more_ports_than_may_be_asked_at_once_has_turns_too() -> None:
    lost = LostHosts(Counters())
    assert lost.may_ask("wide", int(BURST), now=0.0) and not lost.may_ask("wide", int(BURST), now=0.0)
