"""Switches that connect at once are filled slice by slice; whoever is filled already is served meanwhile."""

from collections.abc import Iterator

import pytest

from steering.core.inputs import Continue, EntriesRead, PolicyReplaced, SwitchDown, SwitchUp, SynSeen
from steering.core.outputs import FillSwitch, GoOn, Output, Steer, SyncRules
from steering.core.packet_inputs import NeighbourSeen
from steering.core.pipeline.labels import Labels
from steering.core.pipeline.pieces import PORTION, PendingRules
from steering.model.policy import Policy
from tests.support.sites import UE_LTE, Driver, capable

BUDGET = 60


@pytest.fixture
def driver() -> Driver:
    made = Driver()
    made.engine.reconcile.budget = BUDGET
    return made


def reconnect(driver: Driver, dpids: list[int]) -> Iterator[list[Output]]:
    """All these connect and tell that they hold nothing; then the outputs of each slice."""
    ports = {dpid: dict(driver.engine.switches[dpid].ports) for dpid in dpids}
    for dpid in dpids:
        driver.give(SwitchDown(dpid))
        driver.give(SwitchUp(dpid, ports[dpid]))
    for dpid in dpids:
        yield driver.engine.handle(EntriesRead(dpid, [], []), driver.now)
    while driver.engine.reconcile.busy:
        yield driver.engine.handle(Continue(), driver.now)


def fills_of(slices: list[list[Output]]) -> list[FillSwitch]:
    return [output for outputs in slices for output in outputs if isinstance(output, FillSwitch)]


def test_a_slice_makes_as_much_as_it_may_and_fills_one_switch_at_most(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [0]
    label, portion = Labels.rules, PendingRules.portion

    def one_label(*args):
        made[0] += 1
        return label(*args)

    def one_portion(*args):
        rules, number = portion(*args)
        made[0] += number
        return rules, number

    monkeypatch.setattr(Labels, "rules", one_label)
    monkeypatch.setattr(PendingRules, "portion", one_portion)
    slices: list[list[Output]] = []
    work: list[int] = []
    for outputs in reconnect(driver, [1, 2, 3, 4, 5]):
        slices.append(outputs)
        work.append(made[0] - sum(work))
    assert max(work) <= BUDGET + PORTION < sum(work) / 2
    assert [fill.dpid for fill in fills_of(slices)] == [1, 2, 3, 4, 5]
    assert max(len(fills_of([outputs])) for outputs in slices) == 1
    assert all(isinstance(outputs[-1], GoOn) for outputs in slices[5:-1])


def test_syns_at_filled_switches_are_answered_while_others_are_being_filled(driver: Driver) -> None:
    answered, filled = [], set()
    for number, outputs in enumerate(reconnect(driver, [1, 3, 4, 2, 5])):
        filled |= {fill.dpid for fill in fills_of([outputs])}
        if {1, 3, 4} <= filled and not {2, 5} <= filled:
            opening = capable(UE_LTE, 41_000 + number)
            answer = driver.engine.handle(SynSeen(1, 1, opening, driver.frame(opening)), driver.now)
            answered.append(any(isinstance(output, Steer) for output in answer))
    assert len(answered) > 1 and all(answered)


def test_a_session_that_ended_meanwhile_gets_no_entries_with_the_filling(driver: Driver) -> None:
    session, other = driver.session(), driver.session(sport=40_001, key=bytes(7) + b"\x07")
    slices = reconnect(driver, [2, 3, 1])
    for _ in range(3):
        next(slices)
    assert not driver.engine.switches[1].filled
    driver.engine.sessions.teardown.end(session)
    (fill,) = [one for one in fills_of(list(slices)) if one.dpid == 1]
    keys = {entry.sport for entry in fill.entries} | {entry.dport for entry in fill.entries}
    assert 40_001 in keys and 40_000 not in keys and other.subflows


def test_a_switch_that_goes_away_before_it_is_filled_is_filled_when_it_is_back(driver: Driver) -> None:
    slices = list(zip(range(4), reconnect(driver, [1, 2, 3]), strict=False))
    assert len(fills_of([outputs for _, outputs in slices])) < 3
    driver.engine.handle(SwitchDown(3), driver.now)
    rest = []
    while driver.engine.reconcile.busy:
        rest.append(driver.engine.handle(Continue(), driver.now))
    assert 3 not in {fill.dpid for fill in fills_of(rest)} and not driver.engine.switches[3].filled
    again = fills_of(list(reconnect(driver, [3])))
    assert [fill.dpid for fill in again] == [3] and driver.engine.switches[3].filled
    assert {rule.cookie >> 32 & 0xFFFF for rule in again[0].admission} == {again[0].epoch}


def test_a_switch_that_connects_anew_before_it_is_filled_is_not_filled_for_the_connection_before(
    driver: Driver,
) -> None:
    """It tells once more what it holds, and is filled by that alone; until then nothing is changed at it."""
    ports = dict(driver.engine.switches[3].ports)
    slices = reconnect(driver, [1, 2, 3])
    seen = [next(slices) for _ in range(3)]  # 3 has told what it holds, and waits for its turn
    assert 3 not in {fill.dpid for fill in fills_of(seen)}
    driver.engine.handle(SwitchUp(3, ports), driver.now)
    rest = []
    while driver.engine.reconcile.busy:
        rest.append(driver.engine.handle(Continue(), driver.now))
    assert 3 not in {fill.dpid for fill in fills_of(rest)} and not driver.engine.switches[3].filled
    rest = [driver.engine.handle(EntriesRead(3, [], []), driver.now)]
    while driver.engine.reconcile.busy:
        rest.append(driver.engine.handle(Continue(), driver.now))
    assert [fill.dpid for fill in fills_of(rest)] == [3] and driver.engine.switches[3].filled


def test_what_changes_while_a_switch_is_being_filled_is_in_its_filling(driver: Driver) -> None:
    driver.engine.reconcile.budget = 20
    slices = reconnect(driver, [1])
    before = [next(slices) for _ in range(3)]
    assert not fills_of(before) and driver.engine.reconcile.busy
    outputs = driver.engine.handle(PolicyReplaced(Policy(eligible_ports=((443, 443),))), driver.now)
    assert not [one for one in outputs if isinstance(one, SyncRules) and one.dpid == 1 and one.add]
    learned = bytes.fromhex("0200000000aa")
    driver.engine.handle(NeighbourSeen(1, 1, bytes([10, 1, 0, 77]), learned), driver.now)
    (fill,) = fills_of(list(slices))
    assert any(("tcp_dst", 443) in rule.match for rule in fill.admission)
    assert any(("ipv4_dst", "10.1.0.77") in rule.match for rule in fill.forwarding)
    fresh = Driver(policy=Policy(eligible_ports=((443, 443),))).fills[1]
    assert {rule.key for rule in fill.admission} == {rule.key for rule in fresh.admission}


def test_changes_and_fillings_share_the_slices(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits for the other to end."""
    reconcile = driver.engine.reconcile
    order: list[str] = []

    def noted(what: str, work):
        def do(*args):
            order.append(what)
            return work(*args)

        return do

    reconcile.budget = 1
    slices = reconnect(driver, [1])
    next(slices)
    monkeypatch.setattr(reconcile, "_change", noted("change", reconcile._change))
    monkeypatch.setattr(reconcile, "_fill_on", noted("fill", reconcile._fill_on))
    reconcile.touch("guard", driver.engine.switches)
    list(slices)
    changes = [at for at, what in enumerate(order) if what == "change"]
    fills = [at for at, what in enumerate(order) if what == "fill"]
    assert len(changes) >= 8 and changes[0] < fills[1] < changes[-1]
