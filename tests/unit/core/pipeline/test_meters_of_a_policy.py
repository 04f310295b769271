"""A policy's meters reach the switches when the policy changes, and nothing else of them does (N-7.2c)."""

from dataclasses import replace

import pytest

from steering.core.inputs import PolicyReplaced, SwitchDown, SynRate
from steering.core.outputs import SyncRules
from steering.model.policy import Meters, Policy
from steering.model.rules import Meter
from tests.support.sites import Driver


def told(driver: Driver, policy: Policy) -> dict[tuple[int, int], int]:
    """(dpid, meter) -> rate, of what goes out when a policy comes."""
    given = driver.give(PolicyReplaced(policy))
    return {(o.dpid, band.meter): band.rate for o in given if isinstance(o, SyncRules) for band in o.meters}


@pytest.mark.row("N-7.2c")
def test_changed_meters_go_to_filled_switches_and_the_others_are_left_alone() -> None:
    driver, meters = Driver(), Meters()
    assert told(driver, Policy()) == {}
    driver.give(SwitchDown(2))
    changed = told(driver, Policy(meters=replace(meters, syn_per_port=17, fin=5)))
    assert changed[1, Meter.SYN_BASE + 1] == 17 and changed[4, Meter.SYN_BASE + 1] == 17
    assert changed[1, Meter.FIN] == changed[1, Meter.FIN_PORT_BASE + 1] == 5 and 2 not in {
        dpid for dpid, _ in changed
    }
    ends = {Meter.FIN, Meter.FIN_BASE, Meter.FIN_BASE + 1, Meter.FIN_PORT_BASE + 1}
    assert {meter for _, meter in changed} <= ends | {Meter.SYN_BASE + port for port in range(1, 9)}
    driver.up(2)
    assert Meter.SYN_BASE + 1 in {band.meter for band in driver.fills[2].meters if band.rate == 17}
    assert told(driver, Policy(meters=replace(meters, syn_per_port=17, fin=5))) == {}


@pytest.mark.row("N-7.2c")
def test_a_flooded_ports_meter_is_whole_with_another_rate_and_cut_again_by_its_next_count() -> None:
    driver, meters = Driver(), Meters()
    flood = SynRate(1, 1, 1e6)
    assert driver.give(flood) and not driver.give(flood)
    assert told(driver, Policy(meters=replace(meters, fin=5))) and not driver.give(flood)  # cut as it was
    assert told(driver, Policy(meters=replace(meters, syn_per_port=170)))[1, Meter.SYN_BASE + 1] == 170
    (cut,) = driver.give(flood)
    assert [band.rate for band in cut.meters] == [17]
