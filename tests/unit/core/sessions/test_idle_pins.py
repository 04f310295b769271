"""A session that was silent for the idle limit stays pinned, is nobody's load, and there is a bound on such (D-6.2c)."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from steering.core.inputs import AbortSession, PolicyReplaced, SweepRead
from steering.core.outputs import RemoveEntries
from steering.core.sessions.idle_pins import Holdings
from steering.core.sessions.records import Session
from steering.model.mechanism import Mechanism
from steering.model.network import PortRef
from steering.model.policy import Limits, Policy, Timers
from steering.model.session import SessionState
from tests.support.fakes.packet import ACK
from tests.support.sites import (
    KEY,
    SERVER,
    UE_LTE,
    UE_WLAN,
    Driver,
    access,
    answer,
    capable,
    join,
    off_path_site,
    steered,
)
from tests.support.switched import Lab, to_gateway

IDLE, SWEEP = 100.0, 10.0
POLICY = Policy(timers=Timers(idle=IDLE, sweep=SWEEP), limits=Limits(idle_pins=2))
TWO_PORTS = (access("lte", [PortRef(1, 1), PortRef(2, 1)], "10.1.0.0/24"),)
V6 = {UE_LTE: "fd00:1::2", SERVER: "fd00:9::2"}
PLAIN = b""


def opened(lab: Lab, key: bytes = KEY, src: str = UE_LTE, dst: str = SERVER) -> Session:
    """A session, in the switches too."""
    opening = capable(src, 40_000, dst)
    lab.steer(lab.syn(1, 1, opening))
    (session,) = lab.table
    place = lab.engine.map.inside[session.mcp].port
    lab.steer(lab.syn_ack(place.dpid, place.port, answer(opening, key)))
    lab.life.heard(session)
    return session


def silence(lab: Driver, seconds: float = IDLE + 3 * SWEEP) -> list[RemoveEntries]:
    """Nobody sends for so long, and each sweep finds that."""
    removed = []
    for _ in range(int(seconds / SWEEP)):
        outputs = lab.later(SWEEP)
        removed += [output for output in outputs if isinstance(output, RemoveEntries)]
        if isinstance(lab, Lab):
            lab.network.apply(outputs)
    return removed


def goes_to(lab: Lab, src: str = UE_LTE, dst: str = SERVER) -> tuple[int, int]:
    """Where a segment in the middle of the session's data comes out; none of it is shown to the controller."""
    sent = lab.send(1, 1, to_gateway(src, 40_000, ACK, dst))
    assert not sent.copies
    (out,) = sent.deliveries
    return out.dpid, out.port


def swept(lab: Lab) -> None:
    """A sweep reads what the switches counted."""
    for switch in lab.network.switches.values():
        lab.give(SweepRead(switch.dpid, switch.read().entries, True, True, lab.now))


@pytest.mark.row("D-6.2c")
@pytest.mark.parametrize("key", [KEY, PLAIN])
@pytest.mark.parametrize("src, dst", [(UE_LTE, SERVER), (V6[UE_LTE], V6[SERVER])])
def test_a_segment_after_the_idle_limit_goes_to_its_mcp_and_wakes_the_session(
    key: bytes, src: str, dst: str
) -> None:
    lab = Lab(policy=POLICY)
    session = opened(lab, key, src, dst)
    before, place = session.state, goes_to(lab, src, dst)
    swept(lab)
    assert silence(lab) == [] and session.state is SessionState.IDLE
    assert lab.table.active[session.mcp] == 0 and not any(lab.table.ledger._counts)
    assert goes_to(lab, src, dst) == place != (4, 1)
    swept(lab)
    assert session.state is before and lab.table.active[session.mcp] == 1


@pytest.mark.row("D-6.2c")
def test_with_the_mechanism_off_it_goes_to_the_gateway() -> None:
    lab = Lab(policy=POLICY, disabled=frozenset({Mechanism.IDLE_PINS}))
    opened(lab)
    assert silence(lab)
    assert goes_to(lab) == (4, 1)


def test_nothing_is_idle_before_the_limit() -> None:
    lab = Lab(policy=POLICY)
    session = opened(lab)
    silence(lab, IDLE - SWEEP)
    assert session.state is SessionState.ESTABLISHED


def test_there_is_a_bound_of_each_access_network_and_the_oldest_gives_way() -> None:
    driver = Driver(policy=POLICY)
    for port in range(3):
        driver.session(sport=40_000 + port, key=bytes([port]) * 8)
        driver.now += 1
    removed = silence(driver)
    assert sorted(s.flow.source_port for s in driver.table) == [40_001, 40_002]
    assert {entry.sport for output in removed for entry in output.entries} >= {40_000}
    assert driver.counters.idle_pins_evicted == {"lte": 1}


def test_a_full_table_makes_room_of_idle_ones_when_no_record_lingers() -> None:
    driver = Driver(policy=replace(POLICY, limits=Limits(sessions=2)))
    for port in range(2):
        driver.session(sport=40_000 + port, key=bytes([port]) * 8)
        driver.now += 1
    silence(driver)
    assert steered(driver.syn(1, 1, capable(UE_LTE, 40_009)))
    assert sorted(s.flow.source_port for s in driver.table) == [40_001, 40_009]
    assert driver.counters.idle_pins_evicted == {"lte": 1}


def test_a_join_wakes_it_and_both_subflows_lead_to_its_mcp() -> None:
    driver = Driver(policy=POLICY)
    session = driver.session()
    silence(driver)
    entries = steered(driver.syn(2, 1, join(UE_WLAN, 50_000))).entries
    assert session.state is SessionState.ESTABLISHED and driver.table.active[session.mcp] == 1
    inside = driver.engine.map.inside[session.mcp].id
    assert {e.waypoint for e in entries if e.role == 1} == {inside}


def test_an_abort_ends_it_with_its_entries() -> None:
    driver = Driver(policy=POLICY)
    session = driver.session()
    silence(driver)
    held = {entry[:7] for entry in session.entries(3)}
    outputs = driver.give(AbortSession(session.id)) + driver.later(60.0)
    assert {e[:7] for o in outputs if isinstance(o, RemoveEntries) for e in o.entries} >= held
    assert not len(driver.table) and not len(driver.table.idle)


def test_a_switch_that_comes_back_gets_its_entries_too() -> None:
    driver = Driver(policy=POLICY)
    session = driver.session()
    silence(driver)
    fill = driver.up(1)
    assert [e.sport for e in fill.entries] == [40_000] and session.state is SessionState.IDLE


def test_another_bound_holds_from_the_next_one_on() -> None:
    driver = Driver(policy=POLICY)
    for port in range(2):
        driver.session(sport=40_000 + port, key=bytes([port]) * 8)
    silence(driver)
    driver.give(PolicyReplaced(replace(POLICY, limits=Limits(idle_pins=1), version=2)))
    driver.session(sport=40_002, key=b"\2" * 8)
    silence(driver)
    assert driver.table.idle.count("lte") <= 2 and driver.counters.idle_pins_evicted["lte"] == 1


def test_whoever_has_most_idle_pins_loses_one_first() -> None:
    driver = Driver(policy=replace(POLICY, limits=Limits(idle_pins=6)))
    neighbour = driver.session(sport=39_000, key=b"\xff" * 8)  # the oldest of all
    for port in range(50):
        driver.now += 0.1
        driver.session(src="10.1.0.66", sport=40_000 + port, key=bytes([port]) * 8)
    silence(driver)
    left = sorted(s.flow.source_port for s in driver.table)
    assert left == [39_000, *range(40_045, 40_050)] and neighbour.state is SessionState.IDLE
    assert driver.counters.idle_pins_evicted == {"lte": 45}


def test_a_port_with_many_sources_pushes_none_of_another_port_out() -> None:
    driver = Driver(
        site=off_path_site(access_networks=TWO_PORTS),
        policy=replace(POLICY, limits=Limits(idle_pins=6), max_stretch=9),
    )
    driver.session(sport=39_000, key=b"\xff" * 8, dpid=2)
    for n in range(50):
        driver.now += 0.1
        driver.session(src=f"10.1.0.{n + 50}", sport=40_000, key=bytes([n]) * 8)
    silence(driver)
    assert 39_000 in {s.flow.source_port for s in driver.table} and len(driver.table) == 6


def test_who_has_most_is_known_through_any_changes() -> None:
    holdings, plain = Holdings[int](), Counter[int]()
    dice = Random(9)
    for _ in range(5_000):
        who = dice.randrange(12)
        by = 1 if dice.random() < 0.55 or not plain[who] else -1
        plain[who] += by
        holdings.change(who, by)
        if +plain:
            assert plain[holdings.largest] == max(plain.values())
        assert len(holdings) == len(+plain) and holdings.count(who) == plain[who]


def test_nothing_is_left_of_what_is_idle_no_more() -> None:
    driver = Driver(policy=POLICY)
    for port in range(2):
        driver.session(sport=40_000 + port, key=bytes([port]) * 8)
    silence(driver)
    idle = driver.table.idle
    for session in list(driver.table):
        driver.give(AbortSession(session.id))
    driver.later(60.0)
    assert not (idle._networks or idle._counts or idle._ports or idle._places) and idle.first_to_go() is None
