"""How many known hosts have meters of their own at once: of a switch, in all, and who is told to have none."""

from dataclasses import replace

from steering.core.counters import HostMeterRefusal
from steering.core.inputs import SynRate
from steering.core.pipeline.known_hosts import ADDRESSES, HOLD, HOSTS, PORTS
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import HostLearning, PortRef
from steering.model.rules import HOST_SYN_METERS
from tests.support.known_hosts import (
    FLOOD,
    LTE,
    OUTSIDER,
    counted,
    host,
    known,
    made,
    own_rules,
    seen,
    sources,
)
from tests.support.sites import UE_LTE, off_path_site
from tests.support.switched import Lab


def with_ports(ports: int, *wlan: PortRef) -> Lab:
    """So many ports of the LTE network at switch 1, from port 101 on, beside its first; with these ports of the WLAN, or
    without it."""
    site = off_path_site()
    more = tuple(PortRef(DatapathId(1), PortNumber(101 + number)) for number in range(ports))
    lte = replace(site.access_networks[0], ports=(LTE, *more), hosts=HostLearning.LEARNED)
    others = (replace(site.access_networks[1], ports=wlan, hosts=HostLearning.LEARNED),) if wlan else ()
    return Lab(replace(site, access_networks=(lte, *others)))


def hosts_behind(lab: Lab, ports: int, hosts: int) -> None:
    """So many hosts, each with a MAC of its own, behind each of the first ports."""
    for port in range(ports):
        for number in range(hosts):
            place = PortRef(DatapathId(1), PortNumber(101 + port))
            seen(lab, f"fd00:1::{port + 16:x}:{number:x}", f"02:00:00:01:{port:02x}:{number:02x}", place)


def meters_at(lab: Lab, ports: int) -> list[set[int]]:
    """The host meters that the rules of each port lead to."""
    found: dict[object, set[int]] = {101 + port: set() for port in range(ports)}
    for rule in own_rules(lab):
        found[dict(rule.match)["in_port"]] |= {action.meter for action in rule.actions}
    return list(found.values())


def test_short_ports_of_a_switch_share_the_numbers_that_it_has() -> None:
    ports = HOST_SYN_METERS // HOSTS + 4
    lab = with_ports(ports)
    hosts_behind(lab, ports, HOSTS)
    for _ in range(2):
        for port in range(ports):
            counted(lab, FLOOD, 101 + port)
    given = meters_at(lab, ports)
    assert {len(meters) for meters in given} == {HOST_SYN_METERS // ports}
    assert len(set().union(*given)) == sum(map(len, given)), "none of two"
    assert lab.counters.host_meters_refused[HostMeterRefusal.SWITCH] > 0


def test_so_many_ports_are_helped_at_once_and_the_next_when_one_is_quiet() -> None:
    lab = with_ports(PORTS + 1)
    hosts_behind(lab, PORTS + 1, 2)
    for port in range(PORTS + 1):
        counted(lab, FLOOD, 101 + port)
    assert [len(meters) for meters in meters_at(lab, PORTS + 1)] == [2] * PORTS + [0]
    assert lab.counters.host_meters_refused == {HostMeterRefusal.IN_ALL: 2}
    lab.now += HOLD
    counted(lab, 0.0, 101)
    counted(lab, FLOOD, 101 + PORTS)
    assert [len(meters) for meters in meters_at(lab, PORTS + 1)] == [0] + [2] * PORTS


def test_ports_that_nobody_counts_any_more_leave_room_for_others() -> None:
    lab = with_ports(PORTS + 1)
    hosts_behind(lab, PORTS + 1, 2)
    for port in range(PORTS):
        counted(lab, FLOOD, 101 + port)
    lab.now += HOLD - 1
    counted(lab, FLOOD, 101 + PORTS)
    assert meters_at(lab, PORTS + 1)[PORTS] == set(), "they may be short still"
    lab.now += 1
    counted(lab, FLOOD, 101 + PORTS)
    assert [len(meters) for meters in meters_at(lab, PORTS + 1)] == [0] * PORTS + [2]
    counted(lab, FLOOD, 101)
    assert len(set().union(*meters_at(lab, PORTS + 1))) == 4, "their numbers are given on"


def test_a_switch_leaves_half_of_the_ports_to_the_others() -> None:
    half = PORTS // 2
    second = [PortRef(DatapathId(2), PortNumber(1 + number)) for number in range(half)]
    third = PortRef(DatapathId(5), PortNumber(9))
    lab = with_ports(PORTS, *second, third)
    hosts_behind(lab, PORTS, 1)
    for number, place in enumerate((*second, third)):
        seen(lab, f"10.2.0.{10 + number}", f"02:00:00:00:02:{number:02x}", place)
    for port in range(PORTS):
        counted(lab, FLOOD, 101 + port)
    assert [len(meters) for meters in meters_at(lab, PORTS)] == [1] * half + [0] * (PORTS - half)
    for place in (*second, third):
        lab.do(SynRate(place.dpid, place.port, FLOOD))
    assert {dict(rule.match)["in_port"] for rule in own_rules(lab, dpid=2)} == {one.port for one in second}
    assert not own_rules(lab, dpid=5), "so many in all"


def test_no_machine_has_a_second_meter_before_each_has_one() -> None:
    """Sixteen MACs, or one machine that uses so many, with four addresses and a session each, had all meters of their port."""
    lab = made()
    honest, rogues = range(10, 40), range(100, 100 + HOSTS)
    known(lab, *honest)
    for number in rogues:
        seen(lab, host(number), f"02:66:66:66:66:{number % 16:02x}")
        lab.session(host(number), key=number.to_bytes(8, "big"))
    for _ in range(3):
        counted(lab, FLOOD)
        sources = {dict(rule.match).get("ipv4_src") for rule in own_rules(lab)}
        assert {host(number) for number in honest} <= sources
        assert len(own_rules(lab)) == HOSTS
        for number in rogues:
            seen(lab, host(number), f"02:66:66:66:66:{number % 16:02x}")
    assert lab.counters.host_meters_refused[HostMeterRefusal.PORT] > 0


def test_a_served_host_keeps_its_addresses_of_both_families_beside_made_up_macs() -> None:
    """A host that connects by IPv4 and IPv6 at once lost its SYNs of the second family, and MPTCP with it."""
    lab = made()
    lab.session()
    for number in range(2 * HOSTS):
        seen(lab, f"fd00:1::6:{number:x}", f"02:66:66:66:66:{number:02x}")
    for _ in range(2):
        counted(lab, FLOOD)
        assert {UE_LTE, "fd00:1::2"} <= sources(lab) and len(own_rules(lab)) == HOSTS


def test_addresses_of_both_families_leave_half_of_what_is_left_to_hosts_without_a_session() -> None:
    lab = made()
    rogues, honest = range(100, 140), range(10, 50)
    known(lab, *honest)
    for number in rogues:
        seen(lab, host(number), f"02:66:66:66:66:{number:02x}")
        seen(lab, f"fd00:1::6:{number:x}", f"02:66:66:66:66:{number:02x}")
        lab.session(host(number), key=number.to_bytes(8, "big"))
    counted(lab, FLOOD)
    assert {host(number) for number in rogues} <= sources(lab)
    left = HOSTS - len(rogues)
    assert len({host(number) for number in honest} & sources(lab)) == left // 2


def test_who_is_left_without_is_counted_by_the_reason() -> None:
    lab = made()
    known(lab, *range(10, 10 + HOSTS))
    counted(lab, FLOOD)
    assert lab.counters.host_meters_refused == {HostMeterRefusal.PORT: 2}, "both addresses of each lab's host"
    lab = made()
    for number in range(ADDRESSES + 3):
        seen(lab, host(10 + number), OUTSIDER)
    counted(lab, FLOOD)
    assert lab.counters.host_meters_refused == {HostMeterRefusal.MACHINE: 3}
