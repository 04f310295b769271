"""A switch that comes back is compared slice by slice: it gets what it lacks and loses what is nobody's, though sessions
begin and end between two slices."""

import pytest

from steering.core.inputs import Continue, EntriesRead, ObservedEntry, SwitchDown, SwitchUp
from steering.core.outputs import FillSwitch, GoOn, RemoveEntries, Steer
from steering.core.restart import comparison
from steering.core.sessions.transitions import Event
from steering.model.network import PortRole
from steering.model.policy import Limits, Policy
from steering.model.session import Entry
from tests.support.sites import UE_LTE, Driver, capable

MANY = 700
SWITCH = 1


def crowd() -> Driver:
    limits = Limits(sessions=5_000, half_open=5_000, half_open_per_source=5_000)
    driver = Driver(policy=Policy(limits=limits))
    for number in range(MANY):
        driver.syn(SWITCH, 1, capable(UE_LTE, 20_000 + number))
    return driver


def wanted(driver: Driver) -> set[Entry]:
    return {
        entry
        for session in driver.table
        for entry in session.entries(PortRole.GATEWAY)
        if entry.dpid == SWITCH
    }


class Returning:
    """The switch connects again and tells what it holds; then slice after slice, with a look between them."""

    def __init__(self, driver: Driver, holds: set[Entry]) -> None:
        self.driver = driver
        self.holds = set(holds)
        self.slices = 0
        self.largest = 0
        driver.give(SwitchDown(SWITCH))
        driver.give(SwitchUp(SWITCH, driver.engine.switches[SWITCH].ports))
        read = EntriesRead(SWITCH, [ObservedEntry(entry, 3) for entry in sorted(holds)], [])
        self.outputs = self.take(driver.engine.handle(read, driver.now))

    def take(self, outputs):
        """What leaves for the switch changes what it holds."""
        for output in outputs:
            before = len(self.holds)
            if isinstance(output, Steer):
                self.holds |= {entry for entry in output.entries if entry.dpid == SWITCH}
            elif isinstance(output, RemoveEntries):
                self.holds -= set(output.entries)
            elif isinstance(output, FillSwitch) and output.dpid == SWITCH:
                self.holds = (self.holds | set(output.entries)) - set(output.stale)
            self.largest = max(self.largest, abs(len(self.holds) - before))
        return outputs

    def run(self, meanwhile=lambda number: ()) -> None:
        while any(isinstance(output, GoOn) for output in self.outputs):
            self.slices += 1
            self.take(meanwhile(self.slices))
            self.outputs = self.take(self.driver.engine.handle(Continue(), self.driver.now))


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_a_switch_gets_what_it_lost_and_keeps_what_it_has(kept: int) -> None:
    """Of every three entries it has kept so many."""
    driver = crowd()
    should = sorted(wanted(driver))
    back = Returning(driver, {entry for n, entry in enumerate(should) if n % 3 < kept})
    back.run()
    assert back.holds == set(should) and back.slices >= MANY // comparison.COMPARED
    assert back.largest <= comparison.SENT + comparison.COMPARED


def test_entries_of_sessions_that_ended_meanwhile_go(monkeypatch) -> None:
    monkeypatch.setattr(comparison, "SENT", 2)
    driver = crowd()
    held = wanted(driver)
    driver.give(SwitchDown(SWITCH))
    for session in list(driver.table)[: MANY // 2]:
        driver.life.happened(session, Event.OVER)  # nobody told the switch
    back = Returning(driver, held)
    back.run()
    assert back.holds == wanted(driver) and len(back.holds) < len(held)


@pytest.mark.parametrize("lost", [True, False])
def test_sessions_that_begin_and_end_between_slices_are_as_they_are_at_the_end(lost: bool) -> None:
    driver = crowd()
    before = list(driver.table)
    back = Returning(driver, set() if lost else wanted(driver))

    def meanwhile(number: int):
        found = []
        if number % 2 and before:
            found += driver.engine.sessions.teardown.end(before.pop(7 * number % len(before)))
        return found

    back.run(meanwhile)
    assert len(before) < MANY and back.holds == wanted(driver)


def test_a_switch_that_goes_away_again_is_not_filled_by_what_it_told_before() -> None:
    driver = crowd()
    back = Returning(driver, set())
    driver.give(SwitchDown(SWITCH))
    outputs = driver.give(Continue())
    assert not [one for one in outputs if isinstance(one, FillSwitch)]
    again = Returning(driver, wanted(driver))
    again.run()
    assert again.holds == wanted(driver) and back.slices == 0
