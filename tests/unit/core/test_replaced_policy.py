"""What a replaced policy says of times and bounds counts from then on, wherever it is used: nobody keeps the values of the
policy with which the controller began."""

from dataclasses import replace

import pytest

from steering.core.inputs import AbortSession, PolicyReplaced, PortStatus
from steering.core.packet_inputs import NeighbourSeen
from steering.core.selection.mcp_health import STALL, Health
from steering.core.sessions.abort import WAIT
from steering.model.policy import Limits, Policy, Timers
from steering.model.session import Refusal
from tests.support.sites import UE_LTE, UE_WLAN, Driver, capable, join
from tests.support.wired import Wired, proving, resets

UNKNOWN = b"\1\2\3\4"


def replaced(driver: Driver, **more) -> None:
    driver.give(PolicyReplaced(replace(driver.engine.policy, **more)))


@pytest.mark.row("D-6.7.1")
def test_the_hold_down_of_an_mcp_that_comes_back() -> None:
    driver = Driver(policy=Policy(timers=Timers(health_hold=3.0)))
    core = driver.site.mcps[0].id
    replaced(driver, timers=Timers(health_hold=20.0))
    for up in (False, True):
        driver.give(PortStatus(3, 1, up))
    for limit, wanted in ((19.0, Health.DOWN), (2.0, Health.UP)):
        for _ in range(round(limit / STALL)):
            driver.later(STALL)
        assert driver.engine.chooser.state(core, driver.now) is wanted


@pytest.mark.row("N-7.2c")
def test_joins_that_wait_for_their_token() -> None:
    driver = Driver()
    replaced(driver, limits=Limits(held_joins=20), timers=Timers(hold=1.0))
    for number in range(30):
        driver.syn(1, 1, join(f"10.1.0.{number + 2}", 1, UNKNOWN))
    waiting = driver.engine.sessions.waiting
    assert len(waiting) == 10, "half of the places, as they are of one port"
    driver.later(0.9)
    assert len(waiting) == 10
    driver.later(0.2)
    assert not len(waiting)


def test_tokens_of_aborted_sessions() -> None:
    driver = Driver()
    replaced(driver, limits=Limits(half_open=2), timers=Timers(session_linger=60.0))
    for n in range(3):
        driver.give(AbortSession(driver.session(sport=n + 1, key=bytes([n] * 8)).id))
    aborting = driver.engine.sessions.aborted
    driver.later(WAIT + 0.1)
    assert len(aborting._tokens) == 2
    driver.later(61)
    assert not aborting._tokens


@pytest.mark.row("D-6.4h")
def test_a_join_that_has_to_prove_its_keys() -> None:
    lab = Wired(policy=proving())
    lab.established()
    replaced(lab, timers=Timers(half_open=2.0))
    lab.join()
    assert not resets(lab.apply(lab.later(1.9)), 2)
    assert len(resets(lab.apply(lab.later(0.2)), 2)) == 1
    assert lab.counters.refusals[Refusal.AUTHENTICATION] == 1


def test_how_long_a_server_is_known_to_speak_mptcp() -> None:
    driver = Driver()
    replaced(driver, timers=Timers(capability=60.0))
    server, known = (b"\x0a\x09\0\2", 443), driver.engine.sessions.capabilities
    known.learn(server, True, driver.now)
    assert known.known(server, driver.now + 59.0) and known.known(server, driver.now + 61.0) is None


def test_how_many_hosts_a_port_may_have() -> None:
    driver = Driver()
    replaced(driver, limits=Limits(hosts=16))
    for number in range(20):
        mac = bytes([2, 0, 0, 9, 0, number])
        driver.give(NeighbourSeen(1, 1, bytes([10, 1, 0, 100 + number]), mac))
    here = driver.engine.map.at[1, 1].waypoint.id
    assert len(driver.engine.neighbours.hosts_at[here]) == 16


def test_a_session_goes_on_under_another_policy() -> None:
    driver = Driver()
    session = driver.session()
    replaced(driver, timers=Timers(half_open=1.0))
    driver.syn(2, 1, join(UE_WLAN, 1))
    driver.syn(1, 1, capable(UE_LTE, 2))
    assert len(session.subflows) == 2 and len(driver.table) == 2
