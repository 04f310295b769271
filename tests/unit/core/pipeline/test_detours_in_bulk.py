"""What the rules of detours cost does not grow with how often ways around links are looked at: counts, on any machine."""

import pytest

from steering.core.inputs import PortStatus
from steering.core.outputs import SyncRules
from steering.core.pipeline import reconcile
from steering.core.pipeline.failover import DETOURS, Failover
from steering.model.ids import DatapathId
from steering.model.policy import Policy
from tests.bench.resync import site
from tests.support.sites import Driver

SWITCHES = 40


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The switches that a rule of a detour was made for, one item a rule."""
    seen: list[int] = []
    make = Failover._rule

    def counted(self: Failover, dpid: int, *hop: int) -> object:
        seen.append(dpid)
        return make(self, dpid, *hop)  # type: ignore[arg-type]

    monkeypatch.setattr(Failover, "_rule", counted)
    return seen


def held(driver: Driver) -> int:
    """Rules of detours that switches hold."""
    pieces = driver.engine.reconcile._pieces
    return sum(len(of.get(DETOURS, {})) for of in pieces.values())


@pytest.mark.row("D-6.7.7")
def test_each_switch_gets_its_detours_once_however_many_lead_through_it(made: list[int]) -> None:
    driver = Driver(site(SWITCHES), Policy(max_stretch=1000.0))
    assert held(driver) > 5 * SWITCHES, "many lead through each"
    assert len(made) <= 2 * held(driver)
    made.clear()
    lost = driver.site.links[0]
    changed = driver.give(PortStatus(lost.a.dpid, lost.a.port, False, False))
    assert any(isinstance(one, SyncRules) and one.groups for one in changed), "groups follow their detours"
    assert len(made) <= held(driver)


def test_when_all_is_done_switches_hold_the_groups_and_rules_of_every_detour(made: list[int]) -> None:
    driver = Driver(site(SWITCHES), Policy(max_stretch=1000.0))
    for number in (0, 7, 21):
        lost = driver.site.links[number]
        driver.give(PortStatus(lost.a.dpid, lost.a.port, False, False))
        driver.give(PortStatus(lost.a.dpid, lost.a.port, True, False))
        for _ in range(4):
            driver.later(3.0)
        engine = driver.engine
        assert not engine.reconcile.busy
        failover = engine.natural._failover
        for dpid in range(1, SWITCHES + 1):
            wanted = failover.rules(dpid)
            rules, _ = wanted.portion()
            while rules is None:
                rules, _ = wanted.portion()
            assert engine.reconcile._pieces[dpid].get(DETOURS, {}) == rules
            groups = engine.reconcile._groups[dpid]
            assert groups == failover.groups(dpid, groups)


class Flapping(Failover):
    """There are always ways to look at, since links keep coming."""

    busy = True

    def advance(self) -> tuple[set[DatapathId], int]:
        return {DatapathId(1)}, 0


def test_ways_that_were_found_are_handed_over_while_links_keep_coming(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconcile, "WAYS", 3)
    driver = Driver(site(20), Policy(max_stretch=1000.0))
    under_test = driver.engine.reconcile
    assert not under_test.busy
    under_test._failover.__class__ = Flapping
    handed: list[bool] = []
    for _ in range(8):
        under_test._go_around()
        touched = under_test._first.pop(DatapathId(1), {}) | under_test._then.pop(DatapathId(1), {})
        handed.append(DETOURS in touched)
    assert handed == [False, False, False, True] * 2


def test_ways_that_are_handed_over_early_end_as_the_same_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = Driver(site(SWITCHES), Policy(max_stretch=1000.0)).engine.reconcile
    monkeypatch.setattr(reconcile, "WAYS", 7)
    in_parts = Driver(site(SWITCHES), Policy(max_stretch=1000.0)).engine.reconcile
    assert at_once._pieces == in_parts._pieces and at_once._groups == in_parts._groups
