"""Nobody takes an address by saying that it is his: the old place is asked, and moves that are real work all the same."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from steering.core.inputs import PortStatus, Tick
from steering.core.network.address_claims import CLAIMS_EACH, PATIENCE, REFUSED_FOR
from steering.core.outputs import RemoveEntries, SendFrame, Steer, SyncRules
from steering.core.packet_inputs import NeighbourSeen
from steering.core.pipeline.priorities import ONWARD
from steering.model.network import HostLearning, PortRef, Site, StaticHost
from steering.model.rules import Rule, Table
from steering.model.session import Refusal
from tests.support.sites import KEY, UE_LTE, Driver, link, off_path_site, packed

VICTIM, THIEF = bytes.fromhex("020000000101"), bytes.fromhex("020000000666")
OLD, NEW = (1, 1), (2, 7)
V6 = "fd00:1::2"


def two_ports(hosts: HostLearning = HostLearning.PROBED, **more: object) -> Site:
    """The LTE network has a second port, at another switch."""
    site = off_path_site()
    lte = replace(site.access_networks[0], ports=(PortRef(*OLD), PortRef(*NEW)), hosts=hosts, **more)
    return replace(
        site, access_networks=(lte, site.access_networks[1]), links=(*site.links, link("2:9", "3:9"))
    )


class Ground:
    """A driver that remembers which port the switches deliver an address to."""

    def __init__(self, site: Site, disabled: frozenset[str] = frozenset()) -> None:
        self.driver = Driver(site, disabled=disabled)
        self.at: dict[bytes, set[tuple[int, str]]] = {}
        self.asked: list[SendFrame] = []
        self.outputs: list[object] = []

    def say(self, port: tuple[int, int], address: str, mac: bytes) -> None:
        self._take(self.driver.give(NeighbourSeen(*port, packed(address), mac)))

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.driver.now += 0.05
            self._take(self.driver.give(Tick()))

    def _take(self, outputs: list[object]) -> None:
        self.outputs += outputs
        for output in outputs:
            if isinstance(output, SendFrame):
                self.asked.append(output)
            if isinstance(output, SyncRules):
                for rule in output.delete:
                    self._host(output.dpid, rule, False)
                for rule in output.add:
                    self._host(output.dpid, rule, True)

    def _host(self, dpid: int, rule: Rule, add: bool) -> None:
        if rule.table is not Table.HOST or rule.priority == ONWARD:
            return
        fields = dict(rule.match)
        text = fields.get("ipv4_dst") or fields.get("ipv6_dst")
        if not isinstance(text, str):
            return
        macs = [a.value for a in rule.actions if getattr(a, "name", "") == "eth_dst"]
        known = self.at.setdefault(ip_address(text).packed, set())
        known.difference_update({one for one in known if one[0] == dpid})
        if add:
            known.add((dpid, macs[0].replace(":", "")))

    def holder(self, address: str) -> set[tuple[int, str]]:
        return self.at.get(packed(address), set())

    def count(self, refusal: Refusal) -> int:
        return self.driver.engine.counters.refusals[refusal]


@pytest.mark.row("N-7.2a")
@pytest.mark.parametrize("address", [UE_LTE, V6])
def test_an_address_that_answers_where_it_is_keeps_it(address: str) -> None:
    ground = Ground(two_ports())
    ground.say(OLD, address, VICTIM)
    for _ in range(5):
        ground.say(NEW, address, THIEF)
        ground.say(OLD, address, VICTIM)  # it answers the question
        ground.wait(PATIENCE + 0.2)
        assert ground.holder(address) == {(1, VICTIM.hex())}
    assert ground.count(Refusal.ADDRESS_TAKEN) == 5


@pytest.mark.parametrize("address", [UE_LTE, V6])
def test_without_the_question_the_thief_gets_it_at_once(address: str) -> None:
    ground = Ground(two_ports(), disabled=frozenset({"address-probes"}))
    ground.say(OLD, address, VICTIM)
    ground.say(NEW, address, THIEF)
    assert ground.holder(address) == {(2, THIEF.hex())}


def test_the_old_place_is_asked_several_times_before_a_claim_is_believed() -> None:
    ground = Ground(two_ports())
    ground.say(OLD, UE_LTE, VICTIM)
    ground.asked.clear()
    ground.say(NEW, UE_LTE, THIEF)
    ground.wait(PATIENCE - 0.1)
    asked = [f for f in ground.asked if (f.dpid, f.port) == OLD and packed(UE_LTE) in f.frame]
    assert len(asked) >= 3 and ground.holder(UE_LTE) == {(1, VICTIM.hex())}


@pytest.mark.row("D-3.3a")
def test_a_host_that_moved_is_believed_within_a_second() -> None:
    ground = Ground(two_ports())
    ground.say(OLD, UE_LTE, VICTIM)
    ground.say(NEW, UE_LTE, VICTIM)
    ground.wait(PATIENCE + 0.1)
    assert PATIENCE < 1
    assert ground.holder(UE_LTE) == {(2, VICTIM.hex())}


def test_a_host_whose_old_port_went_down_is_believed_at_once() -> None:
    ground = Ground(two_ports())
    ground.say(OLD, UE_LTE, VICTIM)
    ground._take(ground.driver.give(PortStatus(*OLD, up=False)))
    ground.say(NEW, UE_LTE, VICTIM)
    assert ground.holder(UE_LTE) == {(2, VICTIM.hex())}


def test_a_neighbour_behind_the_same_port_does_not_take_it_either() -> None:
    ground = Ground(two_ports())
    ground.say(OLD, UE_LTE, VICTIM)
    ground.say(OLD, UE_LTE, THIEF)
    ground.say(OLD, UE_LTE, VICTIM)
    ground.wait(PATIENCE + 0.2)
    assert ground.holder(UE_LTE) == {(1, VICTIM.hex())}


def test_a_server_behind_a_gateway_keeps_its_address() -> None:
    site = two_ports()
    gateway = replace(site.gateways[0], ports=(*site.gateways[0].ports, PortRef(2, 8)))
    ground = Ground(replace(site, gateways=(gateway, *site.gateways[1:])))
    ground.say((4, 1), "10.9.0.2", VICTIM)
    ground.say((2, 8), "10.9.0.2", THIEF)
    ground.say((4, 1), "10.9.0.2", VICTIM)
    ground.wait(PATIENCE + 0.2)
    assert ground.holder("10.9.0.2") == {(4, VICTIM.hex())}


def test_segments_of_a_host_that_may_have_moved_reach_their_mcp_from_either_place() -> None:
    ground = Ground(two_ports())
    ground.say(OLD, UE_LTE, VICTIM)
    session = ground.driver.session(key=KEY)
    (mine,) = [entry for entry in session.entries(3) if entry.dpid == 1]
    ground.outputs.clear()
    ground.say(NEW, UE_LTE, THIEF)
    assert [o.entries for o in ground.outputs if isinstance(o, Steer)] == [(mine._replace(dpid=2),)]
    ground.say(OLD, UE_LTE, VICTIM)
    assert [o.entries for o in ground.outputs if isinstance(o, RemoveEntries)] == [(mine._replace(dpid=2),)]
    assert {subflow.dpid for subflow in session.subflows} == {1}
    ground.wait(REFUSED_FOR + 0.1)
    ground.outputs.clear()
    ground.say(NEW, UE_LTE, VICTIM)
    ground.wait(PATIENCE + 0.1)
    assert {subflow.dpid for subflow in session.subflows} == {2}
    assert [o.entries for o in ground.outputs if isinstance(o, RemoveEntries)] == [(mine,)]


def test_entries_that_were_lent_go_when_nobody_comes_back_to_the_claim() -> None:
    ground = Ground(two_ports())
    ground.say(OLD, UE_LTE, VICTIM)
    session = ground.driver.session(key=KEY)
    (mine,) = [entry for entry in session.entries(3) if entry.dpid == 1]
    ground.say(NEW, UE_LTE, THIEF)
    ground._take(ground.driver.give(PortStatus(*OLD, up=False)))
    ground.outputs.clear()
    ground.wait(4)
    assert [o.entries for o in ground.outputs if isinstance(o, RemoveEntries)] == [(mine._replace(dpid=2),)]


def test_claims_of_one_port_are_bounded_and_leave_room_for_others() -> None:
    site = two_ports()
    lte = replace(site.access_networks[0], ports=(*site.access_networks[0].ports, PortRef(3, 7)))
    ground = Ground(replace(site, access_networks=(lte, *site.access_networks[1:])))
    for n in range(2 * CLAIMS_EACH):
        ground.say(OLD, f"10.1.0.{100 + n}", VICTIM[:4] + n.to_bytes(2, "big"))
    for n in range(2 * CLAIMS_EACH):
        ground.say(NEW, f"10.1.0.{100 + n}", THIEF)
    assert len(ground.driver.engine.neighbours._claims) == CLAIMS_EACH
    last = f"10.1.0.{100 + 2 * CLAIMS_EACH - 1}"
    ground.say((3, 7), last, VICTIM)
    ground.wait(PATIENCE + 0.1)
    assert ground.holder(last) == {(3, VICTIM.hex())}


def test_a_host_with_too_many_addresses_gets_no_more_and_pushes_nobody_out() -> None:
    ground = Ground(two_ports(addresses_per_host=4))
    ground.say(OLD, UE_LTE, VICTIM)
    for n in range(10):
        ground.say(OLD, f"10.1.0.{100 + n}", THIEF)
    held = [n for n in range(10) if ground.holder(f"10.1.0.{100 + n}")]
    assert held == [0, 1, 2, 3] and ground.holder(UE_LTE) == {(1, VICTIM.hex())}
    assert ground.count(Refusal.TOO_MANY_ADDRESSES) == 6


def test_a_full_port_gives_room_up_only_where_somebody_is_silent() -> None:
    ground = Ground(two_ports(addresses_per_host=65_536))
    bound = ground.driver.engine.neighbours._bound
    names = [f"fd00:1::{n:x}" for n in range(16, 16 + bound)]
    for n, name in enumerate(names):
        ground.say(OLD, name, n.to_bytes(6, "big"))
    late = "fd00:1::ffff"
    ground.say(OLD, late, THIEF)
    ground.say(OLD, names[0], (0).to_bytes(6, "big"))  # the oldest answers, and stays
    ground.wait(PATIENCE + 0.1)
    assert ground.holder(names[0]) and not ground.holder(late)
    ground.say(OLD, late, THIEF)  # the next oldest is silent
    ground.wait(PATIENCE + 0.1)
    ground.say(OLD, late, THIEF)
    assert not ground.holder(names[1]) and ground.holder(late) == {(1, THIEF.hex())}
    assert ground.count(Refusal.TOO_MANY_HOSTS) == 2


def test_a_claim_that_nobody_refutes_takes_no_more_room_at_a_port_than_another() -> None:
    ground = Ground(two_ports(addresses_per_host=4))
    elsewhere = [f"10.1.0.{100 + n}" for n in range(6)]
    for n, address in enumerate(elsewhere):
        ground.say(OLD, address, VICTIM[:4] + n.to_bytes(2, "big"))
    for address in elsewhere:
        ground.say(NEW, address, THIEF)
    ground.wait(PATIENCE + 0.1)
    taken = [address for address in elsewhere if ground.holder(address) == {(2, THIEF.hex())}]
    assert taken == elsewhere[:4] and ground.count(Refusal.TOO_MANY_ADDRESSES) == 2
    assert ground.holder(elsewhere[5]) == {(1, (VICTIM[:4] + (5).to_bytes(2, "big")).hex())}
    # Its oldest address is silent, too, and gives way.
    ground.wait(PATIENCE + 0.1)
    ground.say(NEW, elsewhere[5], THIEF)
    ground.wait(PATIENCE + 0.1)
    assert ground.holder(elsewhere[5]) == {(2, THIEF.hex())} and not ground.holder(elsewhere[0])


def test_a_claimant_whose_own_port_goes_down_gets_nothing() -> None:
    ground = Ground(two_ports())
    ground.say(OLD, UE_LTE, VICTIM)
    ground.say(NEW, UE_LTE, THIEF)
    ground._take(ground.driver.give(PortStatus(*NEW, up=False)))
    ground.wait(PATIENCE + 0.1)
    assert ground.holder(UE_LTE) == {(1, VICTIM.hex())}
    assert not len(ground.driver.engine.neighbours._claims)


def test_static_hosts_are_where_the_site_file_says_and_nobody_else_is_there() -> None:
    hosts = (
        StaticHost(ip_address(UE_LTE), PortRef(*OLD), VICTIM),
        StaticHost(ip_address("10.1.0.9"), PortRef(*NEW)),
    )
    ground = Ground(two_ports(HostLearning.STATIC, static_hosts=hosts))
    for port, address, mac in (
        (NEW, UE_LTE, VICTIM),
        (OLD, UE_LTE, THIEF),
        (OLD, "10.1.0.9", THIEF),
        (OLD, "10.1.0.77", THIEF),
    ):
        ground.say(port, address, mac)
        assert not ground.holder(address)
    assert ground.count(Refusal.ADDRESS_NOT_BOUND) == 4
    ground.say(OLD, UE_LTE, VICTIM)
    ground.say(NEW, "10.1.0.9", THIEF)
    assert ground.holder(UE_LTE) == {(1, VICTIM.hex())}
    assert ground.holder("10.1.0.9") == {(2, THIEF.hex())}


def test_where_hosts_are_learned_the_last_word_counts() -> None:
    ground = Ground(two_ports(HostLearning.LEARNED))
    ground.say(OLD, UE_LTE, VICTIM)
    ground.say(NEW, UE_LTE, THIEF)
    assert ground.holder(UE_LTE) == {(2, THIEF.hex())}
