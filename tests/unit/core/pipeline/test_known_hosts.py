"""Known hosts of a port that gets more SYNs than its meter lets through have meters of their own meanwhile."""

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from steering.core.inputs import HostSynsLost, McpsReplaced, PolicyReplaced, SynRate
from steering.core.pipeline.forwarding import known_host_rules
from steering.core.pipeline.known_hosts import ADDRESSES, BURST, HOLD, HOSTS, RATE, RULES, RULES_EACH
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import HostLearning, PortRef
from steering.model.policy import Meters, Policy
from steering.model.rules import HOST_SYN_METERS, Meter, PacketClass, port_meter
from steering.model.token_bucket import TokenBucket
from tests.support.fakes.packet import SYN, Packet
from tests.support.known_hosts import (
    FLOOD,
    LIMIT,
    LTE,
    OUTSIDER,
    counted,
    host,
    known,
    mac,
    made,
    own_rules,
    seen,
    sources,
)
from tests.support.sites import UE_LTE, mcp
from tests.support.switched import UE_MAC, Lab, to_gateway

PORT = port_meter(Meter.SYN_BASE, 1)
AGAIN = (0.0, 1.0, 2.0)  # seconds at which Linux sends a SYN with MP_CAPABLE, before one without


def meter_of(lab: Lab, packet: Packet) -> int:
    """The meter that a SYN passes on its way to the controller; 0 where it is not sent there."""
    copies = [c for c in lab.send(1, 1, packet).copies if c.packet_class is PacketClass.SYN]
    return copies[0].meter if copies else 0


def syn(number: int, port: int = 443, via: str = "") -> Packet:
    return to_gateway(host(number), 40_000, SYN, mac=via or mac(number), dport=port)


class Door:
    """LTE's port and its meters, through which a flood and honest hosts send. `flood`: one of its SYNs."""

    def __init__(self, lab: Lab, flood: Packet) -> None:
        self.lab = lab
        self._flood = flood
        self._buckets: dict[tuple[int, int], TokenBucket] = {}

    def bucket(self, packet: Packet, now: float) -> TokenBucket:
        """Of the meter that a SYN passes, as it is set now. A meter that is changed begins anew."""
        band = self.lab.network[1].meters[meter_of(self.lab, packet)]
        return self._buckets.setdefault(
            (band.meter, band.rate), TokenBucket(float(band.rate), float(band.burst), now)
        )

    def flooded(self, now: float) -> None:
        """The flood was there first: whatever its meter lets through is the flood's."""
        bucket = self.bucket(self._flood, now)
        while not bucket.take(now):
            pass

    def lets_in(self, packet: Packet, now: float) -> bool:
        return not self.bucket(packet, now).take(now)


def lost_of(lab: Lab, seconds: int, flood: Packet) -> dict[int, int]:
    """How many SYNs each connection of honest hosts loses before one of them passes, of three that are sent with
    MP_CAPABLE: five connections a second of twenty known hosts, beside a flood that begins at 0."""
    known(lab, *range(10, 30))
    door = Door(lab, flood)
    begins = [number * 0.2 + 0.05 for number in range(5 * seconds)]
    sent = sorted((begin + again, which) for which, begin in enumerate(begins) for again in AGAIN)
    lost: dict[int, int] = {}
    served: set[int] = set()
    second = 1
    for now, which in sent:
        while second <= now:
            # What a known host sends is not counted at the port's meter.
            counted(lab, FLOOD if meter_of(lab, flood) == PORT else 0.0)
            lab.now += 1
            second += 1
        if which not in served:
            door.flooded(now)
            if door.lets_in(syn(10 + which % 20), now):
                served.add(which)
            else:
                lost[which] = lost.get(which, 0) + 1
    return lost


CONNECTIONS = 100  # in 20 seconds
Felt = Callable[[str, object], None]


def _kept(lost: dict[int, int]) -> int:
    """How many of the connections did not lose all three of their SYNs with MP_CAPABLE."""
    return CONNECTIONS - sum(count == len(AGAIN) for count in lost.values())


@pytest.mark.row("N-7.2c")
def test_beside_a_flood_of_strangers_no_known_host_loses_three_syns_in_a_row(record_property: Felt) -> None:
    lost = lost_of(made(), 20, syn(200, via=OUTSIDER))
    record_property("felt", f"of the same port: {_kept(lost)} of {CONNECTIONS} keep MPTCP, of 90 % at least")
    assert max(lost.values(), default=0) < len(AGAIN)
    # Only what was sent before the flood was counted: in its first second.
    assert len(lost) <= 5


@pytest.mark.row("N-7.2c")
def test_without_their_meters_nearly_all_lose_three(record_property: Felt) -> None:
    lost = lost_of(made(disabled=["host-meters"]), 20, syn(200, via=OUTSIDER))
    record_property("felt", f"{_kept(lost)} of {CONNECTIONS} without host meters")
    assert sum(count == len(AGAIN) for count in lost.values()) > 90


def test_who_sends_with_a_hosts_address_and_another_mac_passes_by_the_ports_meter() -> None:
    lab = made()
    lost = lost_of(lab, 5, syn(10, via=OUTSIDER))
    assert max(lost.values(), default=0) < len(AGAIN)
    assert meter_of(lab, syn(10, via=OUTSIDER)) == PORT != meter_of(lab, syn(10))


def test_a_known_host_that_floods_uses_up_a_meter_of_its_own_for_as_long_as_it_floods() -> None:
    lab = made()
    known(lab, 10, 11)
    counted(lab, FLOOD)
    bad = meter_of(lab, syn(10))
    assert bad not in (PORT, meter_of(lab, syn(11)))
    for _ in range(int(3 * HOLD)):
        lab.now += 1
        counted(lab, 0.0)  # nothing of it comes to the port's meter any more
        lab.do(HostSynsLost(DatapathId(1), ((bad, 29_990),)))
        assert meter_of(lab, syn(10)) == bad
    assert lab.counters.syns_dropped["lte"] == int(3 * HOLD) * 29_990


def test_a_meter_that_is_nobodys_is_not_counted() -> None:
    lab = made()
    lab.do(HostSynsLost(DatapathId(1), ((int(Meter.HOST_SYN_BASE), 7),)))
    assert not lab.counters.syns_dropped


def test_on_a_quiet_day_and_after_a_flood_no_host_has_a_meter() -> None:
    lab = made()
    known(lab, 10)
    counted(lab, float(LIMIT))
    assert not own_rules(lab) and meter_of(lab, syn(10)) == PORT
    counted(lab, LIMIT + 1.0)
    assert host(10) in sources(lab)
    lab.now += HOLD / 2
    counted(lab, 1.0)
    assert own_rules(lab)
    lab.now += HOLD / 2
    counted(lab, 1.0)
    assert not own_rules(lab) and meter_of(lab, syn(10)) == PORT


def test_hosts_with_a_session_come_first_and_no_more_than_so_many_have_a_meter() -> None:
    lab = made()
    known(lab, *range(10, 130))
    lab.session(host(10))  # the one that was silent for longest
    lab.answered(
        host(11), 40_001, b"\2" * 8
    )  # the host's third ACK is missing: anybody could have sent that SYN
    counted(lab, FLOOD)
    assert len(own_rules(lab)) == HOSTS
    assert host(10) in sources(lab) and host(11) not in sources(lab) and host(129) in sources(lab)
    bands = [lab.network[1].meters[meter_of(lab, syn(number))] for number in (10, 129)]
    assert [(band.rate, band.burst) for band in bands] == [(RATE, BURST)] * 2 and RATE * HOSTS <= LIMIT


def test_those_that_have_a_meter_keep_it_when_others_are_heard_and_who_leaves_makes_room() -> None:
    lab = made()
    known(lab, *range(10, 10 + HOSTS))
    lab.session(host(12))
    counted(lab, FLOOD)
    before = {number: meter_of(lab, syn(number)) for number in range(11, 10 + HOSTS)}
    known(lab, *range(120, 160))
    counted(lab, FLOOD)
    assert {number: meter_of(lab, syn(number)) for number in before} == before
    lab.session(host(130), 40_002, b"\3" * 8)
    counted(lab, FLOOD)
    assert len(own_rules(lab)) == HOSTS and host(130) in sources(lab) and host(12) in sources(lab)
    meters = {meter_of(lab, syn(number)) for number in (12, 130)}
    assert len(meters) == 2 and PORT not in meters


def test_what_all_of_them_let_through_is_not_more_than_the_ports_meter() -> None:
    lab = made(Policy(meters=Meters(syn_per_port=5 * RATE)))
    known(lab, *range(10, 30))
    counted(lab, FLOOD)
    assert len(own_rules(lab)) == 5


def test_where_few_service_ports_are_steered_no_other_syn_is_shown() -> None:
    lab = made(Policy(eligible_ports=((80, 80), (440, 470))))
    known(lab, *range(10, 60))
    counted(lab, FLOOD)
    each = 32 + len(lab.site.mcps)
    assert len(own_rules(lab)) == RULES // each * each
    assert meter_of(lab, syn(59)) not in (0, PORT) and meter_of(lab, syn(59, port=22)) == 0
    lab.do(PolicyReplaced(Policy(eligible_ports=((80, 80),))))
    counted(lab, FLOOD)
    assert len(sources(lab)) == 50 + 2, "and both addresses of the host that every lab has"
    assert len(own_rules(lab)) == len(sources(lab)) * (1 + len(lab.site.mcps))


def test_a_switch_that_comes_back_has_them_again_with_its_next_count() -> None:
    lab = made()
    known(lab, 10)
    counted(lab, FLOOD)
    lab.network.apply(lab.up(1))
    assert not own_rules(lab)
    counted(lab, FLOOD)
    assert host(10) in sources(lab) and meter_of(lab, syn(10)) != PORT


def test_a_host_of_ipv6_has_one_and_so_has_one_that_gets_another_mac() -> None:
    lab = made()
    counted(lab, FLOOD)
    assert {UE_LTE, "fd00:1::2"} == sources(lab)
    assert meter_of(lab, to_gateway("fd00:1::2", 40_000, SYN, mac=UE_MAC, dst="fd00:9::2")) != PORT
    known(lab, 10)
    counted(lab, FLOOD)
    seen(lab, host(10), "02:00:00:00:01:99")
    counted(lab, FLOOD)
    assert meter_of(lab, syn(10)) == PORT != meter_of(lab, syn(10, via="02:00:00:00:01:99"))


def test_where_sources_are_bound_it_works_as_well() -> None:
    lab = made(hosts=HostLearning.PROBED)
    known(lab, 10, 11)
    counted(lab, FLOOD)
    assert len({meter_of(lab, syn(10)), meter_of(lab, syn(11)), PORT}) == 3
    assert meter_of(lab, syn(77, via=OUTSIDER)) == 0


def test_servers_behind_a_gateway_have_none() -> None:
    lab = made()
    lab.do(SynRate(DatapathId(4), PortNumber(1), FLOOD))
    assert not own_rules(lab, 4)


def test_numbers_of_meters_are_used_again_and_do_not_run_out() -> None:
    lab = made()
    known(lab, 10)
    seen = set()
    for _ in range(HOST_SYN_METERS // 2):
        counted(lab, FLOOD)
        seen.add(meter_of(lab, syn(10)))
        lab.now += HOLD
        counted(lab, 0.0)
    assert PORT not in seen and not own_rules(lab)
    assert min(seen) >= Meter.HOST_SYN_BASE and max(seen) < Meter.RESERVED_BASE


def test_one_machine_with_many_addresses_takes_no_more_than_a_few_meters() -> None:
    lab = made()
    known(lab, *range(10, 10 + HOSTS - 2 * ADDRESSES))
    for number in range(HOSTS):
        seen(lab, f"fd00:1::6:{number:x}", OUTSIDER)
    counted(lab, FLOOD)
    taken = [rule for rule in own_rules(lab) if dict(rule.match)["eth_src"] == OUTSIDER]
    assert len(taken) == ADDRESSES
    assert {host(number) for number in range(10, 10 + HOSTS - 2 * ADDRESSES)} <= sources(lab)


def host_meters(lab: Lab) -> set[int]:
    """Of switch 1, which keeps every meter that it ever had."""
    return {meter for meter in lab.network[1].meters if Meter.HOST_SYN_BASE <= meter < Meter.RESERVED_BASE}


def test_floods_one_after_the_other_leave_no_more_meters_than_the_greatest_of_them_needs() -> None:
    lab = made()
    for hosts in (5, 20, 15, 20):
        known(lab, *range(10, 10 + hosts))
        counted(lab, FLOOD)
        lab.now += HOLD
        counted(lab, 0.0)
        assert not own_rules(lab)
    assert len(host_meters(lab)) == 20 + 2, "and both addresses of the host that every lab has"


def test_whoever_comes_in_the_place_of_another_gets_its_meter_with_a_whole_burst() -> None:
    lab = made(Policy(meters=Meters(syn_per_port=2 * RATE)))
    known(lab, 10, 11)
    counted(lab, FLOOD)
    before = host_meters(lab)
    lab.session(host(20))
    known(lab, 20)
    change = lab.give(SynRate(LTE.dpid, LTE.port, FLOOD))
    lab.network.apply(change)
    assert host_meters(lab) == before and meter_of(lab, syn(20)) in before
    assert sources(lab) & {host(10), host(11)} == {host(11)} and host(20) in sources(lab)
    assert [(band.rate, band.burst) for one in change for band in one.meters] == [(RATE, BURST)]


OF_ONE_PORT = Policy(eligible_ports=((443, 443),))


def to_mcp(number: int, address: str, via: str = "") -> Packet:
    """A SYN of a known host in explicit mode: to an MCP's own address and a port that is not steered."""
    return to_gateway(host(number), 40_000, SYN, dst=address, mac=via or mac(number), dport=22)


def test_syns_to_an_mcps_own_address_pass_by_the_ports_meter_too() -> None:
    lab = made(OF_ONE_PORT)
    known(lab, 10)
    counted(lab, FLOOD)
    for address in ("10.8.0.2", "10.8.1.2"):
        assert meter_of(lab, to_mcp(10, address)) == meter_of(lab, syn(10)) not in (0, PORT)
        assert meter_of(lab, to_mcp(10, address, via=OUTSIDER)) == PORT
    of_ipv6 = to_gateway("fd00:1::2", 40_000, SYN, dst="fd00:8::2", dport=22)
    assert meter_of(lab, of_ipv6) not in (0, PORT)


def test_they_follow_the_sites_mcps() -> None:
    lab = made(OF_ONE_PORT)
    known(lab, 10)
    counted(lab, FLOOD)
    fresh = mcp("fresh", PortRef(DatapathId(4), PortNumber(9)), "10.8.2.2")
    lab.do(McpsReplaced((*lab.site.mcps[:1], fresh)))
    counted(lab, FLOOD)
    assert meter_of(lab, to_mcp(10, "10.8.2.2")) == meter_of(lab, to_mcp(10, "10.8.0.2")) not in (0, PORT)
    assert meter_of(lab, to_mcp(10, "10.8.1.2")) == 0
    assert len(own_rules(lab)) == 2 * (1 + 2) + (1 + 1), "two hosts of IPv4, one of IPv6"


@pytest.mark.parametrize(("addresses", "covered"), [(RULES_EACH - 1, True), (RULES_EACH, False)])
def test_with_more_addresses_of_mcps_than_fit_hosts_keep_their_meters_for_servers(
    addresses: int, covered: bool
) -> None:
    lab = made(OF_ONE_PORT)
    own = [f"10.8.7.{number}" for number in range(1, 1 + addresses)]
    lab.do(McpsReplaced((mcp("great", PortRef(DatapathId(3), PortNumber(1)), *own),)))
    known(lab, *range(10, 90))
    counted(lab, FLOOD)
    assert len(own_rules(lab)) <= RULES
    assert len(sources(lab)) == (RULES // RULES_EACH if covered else HOSTS)
    assert meter_of(lab, syn(89)) not in (0, PORT)
    assert (meter_of(lab, to_mcp(89, own[-1])) != PORT) == covered


class Made:
    """How often rules of a host are made: each of its rules, and the end of them, is one step."""

    steps = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        self.steps += event == "call" and frame.f_code is known_host_rules.__code__

    def while_counted(self, lab: Lab) -> int:
        """While a port's SYNs are counted."""
        self.steps = 0
        sys.setprofile(self)
        try:
            counted(lab, FLOOD)
        finally:
            sys.setprofile(None)
        return self.steps


def test_only_rules_of_hosts_that_changed_are_made_again() -> None:
    lab = made()
    known(lab, *range(10, 30))
    assert Made().while_counted(lab) == 2 * (20 + 2)
    before = own_rules(lab)
    assert Made().while_counted(lab) == 0 and own_rules(lab) == before
    known(lab, 30)
    seen(lab, host(10), mac(99))
    assert Made().while_counted(lab) == 2 * 2
    assert len(own_rules(lab)) == 20 + 2 + 1
    assert meter_of(lab, syn(10)) == PORT != meter_of(lab, syn(10, via=mac(99)))
    lab.network.apply(lab.up(1))
    assert Made().while_counted(lab) == 2 * (20 + 2 + 1), "the switch has none of them any more"
