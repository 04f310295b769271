"""A flooded port's SYN meter is cut, and let be again."""

import pytest

from steering.core.inputs import SynRate
from steering.core.outputs import SyncRules
from steering.model.rules import Meter
from tests.support.sites import Driver

LIMIT = 1_000  # of policy's default, below


@pytest.fixture
def driver() -> Driver:
    return Driver()


def told(driver: Driver, rate: float, dpid: int = 1, port: int = 1) -> list[int]:
    """The rates that meters are set to."""
    limit = driver.engine.policy.meters.syn_per_port
    outputs = driver.give(SynRate(dpid, port, rate * limit / LIMIT))
    found = [band for o in outputs if isinstance(o, SyncRules) for band in o.meters]
    assert all(band.meter == Meter.SYN_BASE + port and o.dpid == dpid for o in outputs for band in found)
    return [band.rate * LIMIT // limit for band in found]


@pytest.mark.row("N-7.2c")
def test_ten_times_its_rate_cuts_a_ports_meter_and_half_of_that_lets_it_be(driver: Driver) -> None:
    assert told(driver, 9_900) == []
    assert told(driver, 10_000) == [100]
    assert told(driver, 30_000) == told(driver, 6_000) == []
    assert driver.counters.floods == 1
    assert told(driver, 4_900) == [1_000]
    assert told(driver, 0) == []


def test_each_port_is_on_its_own_and_only_those_of_hosts(driver: Driver) -> None:
    assert told(driver, 20_000, 1) == [100]
    assert told(driver, 20_000, 4) == [100]  # a gateway's SYNs are metered too
    assert told(driver, 20_000, 3) == []  # an MCP's port
    assert told(driver, 20_000, 1, 2) == []  # a link
    assert told(driver, 20_000, 77) == []


def test_a_switch_that_comes_back_has_whole_meters_until_it_tells_of_the_flood_again(driver: Driver) -> None:
    assert told(driver, 20_000) == [100]
    driver.up(1)
    assert told(driver, 20_000) == [100]


def test_the_control_cuts_nothing() -> None:
    driver = Driver(disabled=frozenset({"flood-meters"}))
    assert told(driver, 50_000) == [] and driver.counters.floods == 0
