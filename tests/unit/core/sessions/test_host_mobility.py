"""A host that changes its switch within an access network keeps its pins."""

import sys
from dataclasses import replace
from types import FrameType

import pytest

from steering.core.inputs import PortStatus, SynAckSeen, Tick
from steering.core.network.address_claims import PATIENCE
from steering.core.outputs import Prefer, Release, RemoveEntries, Steer, SyncRules
from steering.core.packet_inputs import NeighbourSeen, SourceMissed
from steering.core.sessions.host_mobility import LOOKED_AT
from steering.model.network import PortRef
from steering.model.policy import Distribution, Policy, PolicyRule, RuleConditions, Terms
from steering.model.rules import VIRTUAL_MAC, Table
from steering.wire.craft import tcp_frame
from tests.support.fakes.packet import ACK, tcp
from tests.support.sites import (
    KEY,
    SERVER,
    UE_LTE,
    UE_WLAN,
    Driver,
    answer,
    capable,
    join,
    link,
    off_path_site,
    packed,
    steered,
)
from tests.support.switched import MCP_MAC, SERVER_MAC, UE_MAC, V6, Lab, to_gateway

MAC = bytes.fromhex(UE_MAC.replace(":", ""))


def two_cells():
    """The LTE network has a second port, at s2, where the WLAN is too."""
    site = off_path_site()
    lte = replace(site.access_networks[0], ports=(PortRef(1, 1), PortRef(2, 7)))
    links = (*site.links, link("2:9", "3:9"))
    return replace(site, access_networks=(lte, site.access_networks[1]), links=links)


@pytest.mark.row("D-3.3a")
def test_entries_follow_a_host_to_its_new_switch_and_lead_to_the_same_mcp() -> None:
    driver = Driver(two_cells())
    session = driver.session(key=KEY)
    driver.syn(2, 1, join(UE_WLAN, 40001))
    (old,) = [e for e in session.entries(3) if e.dpid == 1]
    outputs = driver.give(NeighbourSeen(2, 7, packed(UE_LTE), MAC))
    assert steered(outputs).entries == (old._replace(dpid=2),) and steered(outputs).release is None
    assert [o.entries for o in outputs if isinstance(o, RemoveEntries)] == [(old,)]
    assert session.token >= 0 and {s.dpid for s in session.subflows} == {2}
    assert not [o for o in driver.give(NeighbourSeen(2, 7, packed(UE_LTE), MAC)) if not hasattr(o, "add")]


def test_segments_without_a_syn_reach_the_mcp_from_there() -> None:
    lab = Lab(two_cells())
    session = lab.session()
    for entry in session.entries(3):
        lab.network.switches[entry.dpid].add_entry(entry)
    lab.do(NeighbourSeen(2, 7, packed(UE_LTE), MAC))
    assert not lab.send(2, 7, to_gateway(UE_LTE, 40000, ACK)).deliveries, "its old place may still answer"
    lab.now += PATIENCE + 0.1
    lab.do(Tick())
    ((at, port, packet),) = lab.send(2, 7, to_gateway(UE_LTE, 40000, ACK)).deliveries
    assert (at, port, packet.eth_dst) == (3, 1, MCP_MAC)


def test_a_strangers_address_moves_nothing() -> None:
    driver = Driver(two_cells())
    driver.session()
    assert not [
        o for o in driver.give(NeighbourSeen(2, 7, packed("10.1.0.77"), MAC)) if hasattr(o, "entries")
    ]
    driver.engine.sessions.teardown.end(next(iter(driver.table)))
    assert driver.table.subflows_of(packed(UE_LTE)) == []


NEW_PLACES = {"of another switch": PortRef(2, 7), "of the same switch": PortRef(1, 7)}


def two_ports(other: PortRef):
    """The LTE network has a second port, at s2 or at s1."""
    site = off_path_site()
    lte = replace(site.access_networks[0], ports=(PortRef(1, 1), other))
    links = (*site.links, link("2:9", "3:9"))
    return replace(site, access_networks=(lte, site.access_networks[1]), links=links)


def moved_to(lab: Lab, place: PortRef, address: str) -> None:
    """The host is heard there, and no more where it was."""
    lab.do(NeighbourSeen(place.dpid, place.port, packed(address), MAC))
    lab.now += PATIENCE + 0.1
    lab.do(Tick())


@pytest.mark.row("D-3.3a")
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("place", NEW_PLACES.values(), ids=NEW_PLACES)
def test_both_directions_of_its_pins_lead_by_its_new_port(place: PortRef, family: int) -> None:
    lab = Lab(two_ports(place))
    host, server = (UE_LTE, SERVER) if family == 4 else (V6[UE_LTE], V6[SERVER])
    opening = capable(host, 40000, server)
    outputs = lab.syn(1, 1, opening)
    lab.steer(outputs)
    said = answer(opening, KEY)
    lab.steer(lab.give(SynAckSeen(3, 1, said)))
    up = to_gateway(host, 40000, ACK, dst=server)
    down = tcp(server, 5201, host, 40000, ACK, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)
    back = tcp(server, 5201, host, 40000, ACK, eth_src=SERVER_MAC, eth_dst=VIRTUAL_MAC)
    for at in (PortRef(1, 1), place):
        if at == place:
            moved_to(lab, place, host)
        assert [one[:2] for one in lab.send(at.dpid, at.port, up).deliveries] == [(3, 1)], "to the MCP"
        assert [one[:2] for one in lab.send(3, 1, down).deliveries] == [(at.dpid, at.port)], "to the host"
        assert [one[:2] for one in lab.send(4, 1, back).deliveries] == [(3, 1)], "of the server, to the MCP"


@pytest.mark.row("D-3.3a")
@pytest.mark.parametrize("place", NEW_PLACES.values(), ids=NEW_PLACES)
def test_its_subflows_fail_with_its_new_port_and_not_with_its_old_one(place: PortRef) -> None:
    rules = (PolicyRule("all", RuleConditions(), Terms(distribution=Distribution.ACTIVE_BACKUP)),)
    driver = Driver(two_ports(place), policy=Policy(rules=rules))
    driver.give(NeighbourSeen(1, 1, packed(UE_LTE), MAC))
    session = driver.session(key=KEY)
    driver.syn(2, 1, join(UE_WLAN, 40001))
    assert told(driver) == {"wlan": True}
    driver.give(NeighbourSeen(place.dpid, place.port, packed(UE_LTE), MAC))
    driver.later(PATIENCE + 0.1)
    assert {(s.dpid, s.port) for s in session.subflows} == {(place.dpid, place.port), (2, 1)}
    driver.give(PortStatus(1, 1, False))
    assert told(driver) == {}, "nothing of it goes by there"
    driver.give(PortStatus(place.dpid, place.port, False))
    assert told(driver) == {"wlan": False}


@pytest.mark.row("D-3.3a")
@pytest.mark.parametrize("place", NEW_PLACES.values(), ids=NEW_PLACES)
def test_a_subflow_that_failed_with_its_port_works_again_where_its_host_is_heard(place: PortRef) -> None:
    rules = (PolicyRule("all", RuleConditions(), Terms(distribution=Distribution.ACTIVE_BACKUP)),)
    driver = Driver(two_ports(place), policy=Policy(rules=rules))
    driver.give(NeighbourSeen(1, 1, packed(UE_LTE), MAC))
    driver.session(key=KEY)
    driver.syn(2, 1, join(UE_WLAN, 40001))
    assert told(driver) == {"wlan": True}
    driver.give(PortStatus(1, 1, False))
    assert told(driver) == {"wlan": False}, "it carries alone"
    driver.give(NeighbourSeen(place.dpid, place.port, packed(UE_LTE), MAC))
    assert told(driver) == {"wlan": True}


def test_where_a_host_of_one_subflow_moves_no_session_is_looked_at() -> None:
    driver = Driver(two_cells())
    driver.session(key=KEY)
    driver.later(0.05)
    driver.give(NeighbourSeen(2, 7, packed(UE_LTE), MAC))
    assert not driver.table.changed, "nothing is there to be ranked against"


def told(driver: Driver) -> dict[str, bool]:
    """What MCPs are told at the next tick: access -> whether its subflow is a backup."""
    tick = driver.later(0.05)
    return {i.access: i.wish.backup for one in tick if isinstance(one, Prefer) for i in one.intents}


def calls_of(what) -> int:
    """How many Python functions are called meanwhile."""
    counted = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        what()
    finally:
        sys.setprofile(None)
    return counted


def test_being_heard_where_it_is_costs_no_more_for_a_host_with_many_subflows() -> None:
    driver = Driver(two_cells())
    driver.give(NeighbourSeen(1, 1, packed(UE_LTE), MAC))
    costs = []
    for begin in (0, 2 * LOOKED_AT, 6 * LOOKED_AT):
        for number in range(begin, begin + 2 * LOOKED_AT):
            driver.session(sport=40000 + number, key=number.to_bytes(8, "big"))
        costs.append(calls_of(lambda: driver.give(NeighbourSeen(1, 1, packed(UE_LTE), MAC))))
    assert len(set(costs)) == 1


@pytest.mark.row("D-3.3a", "D-6.2c")
@pytest.mark.parametrize("old_port_is_down", [True, False])
def test_no_segment_of_a_host_that_moved_passes_its_new_port_before_its_pins_are_there(
    old_port_is_down: bool,
) -> None:
    driver = Driver(two_cells())
    driver.give(NeighbourSeen(1, 1, packed(UE_LTE), MAC))
    driver.session(key=KEY)
    if old_port_is_down:
        driver.give(PortStatus(1, 1, False))
    frame = tcp_frame(packed(UE_LTE), packed(SERVER), 40000, 5201, flags=ACK)
    outputs = driver.give(SourceMissed(2, 7, packed(UE_LTE), frame))  # its first segment there, which waits
    outputs += driver.give(NeighbourSeen(2, 7, packed(UE_LTE), MAC))
    outputs += driver.later(PATIENCE + 0.1)
    pins = [at for at, one in enumerate(outputs) if isinstance(one, Steer)]
    opened = [
        at
        for at, one in enumerate(outputs)
        if (isinstance(one, SyncRules) and one.dpid == 2 and any(r.table is Table.SOURCE for r in one.add))
        or (isinstance(one, Release) and one.dpid == 2)
    ]
    assert opened and pins and pins[0] < opened[0], (pins, opened)
