"""A subflow that is silent is not lost for that: its host is asked for before a join of another address gets the slot."""

import pytest

from steering.core.network.address_claims import PATIENCE
from steering.core.sessions import lost_subflows
from steering.core.sessions.lost_subflows import ASKED_AGAIN
from steering.model.session import Refusal
from tests.support.full_session import POLICY, SILENT, asks, at_port, full, joined, silent_for, wlan
from tests.support.sites import Driver, join, refused
from tests.support.swept_subflows import ports


def test_a_host_that_has_a_new_address_is_asked_for_at_its_old_one_and_joined_the_second_time() -> None:
    driver = full("10.2.0.50")
    silent_for(driver, SILENT, 40_000)
    at_port(driver)
    outputs = joined(driver, 50_003)
    assert asks(outputs, "10.2.0.50") and ports(driver) == [40_000, 50_001, 50_002]
    assert driver.counters.refusals[Refusal.SUBFLOWS_FULL] == 0
    for _ in range(10):
        driver.later(0.1)
    assert joined(driver, 50_003) and ports(driver) == [40_000, 50_002, 50_003]


def test_a_silent_backup_whose_host_answers_keeps_its_slot_and_the_join_is_refused_then() -> None:
    driver = full("10.2.0.50")
    silent_for(driver, SILENT, 40_000)
    assert asks(joined(driver, 50_003, "10.2.0.66"), "10.2.0.50")
    at_port(driver, "10.2.0.50")  # it answers
    for _ in range(10):
        driver.later(0.1)
    assert refused(joined(driver, 50_003, "10.2.0.66")) and ports(driver) == [40_000, 50_001, 50_002]
    assert driver.counters.refusals[Refusal.SUBFLOWS_FULL] == 1


@pytest.mark.parametrize("answers", [False, True])
def test_a_silent_host_that_nobody_heard_of_since_its_port_came_back_is_asked_for_too(answers: bool) -> None:
    driver = full("10.2.0.50")
    silent_for(driver, SILENT, 40_000)
    wlan(driver, False)
    wlan(driver, True)
    new = join("10.1.0.2", 50_003, address_id=2)
    assert asks(driver.syn(1, 1, new), "10.2.0.50") and ports(driver) == [40_000, 50_001, 50_002]
    assert refused(driver.syn(1, 1, new)), "it has not had the time to answer"
    if answers:
        at_port(driver, "10.2.0.50")
    driver.now += PATIENCE
    driver.syn(1, 1, new)
    assert ports(driver) == ([40_000, 50_001, 50_002] if answers else [40_000, 50_002, 50_003])


def test_what_a_question_told_long_ago_counts_no_more() -> None:
    driver = full("10.2.0.50")
    silent_for(driver, SILENT, 40_000)
    wlan(driver, False)
    wlan(driver, True)
    new = join("10.1.0.2", 50_003, address_id=2)
    for _ in range(3):
        assert asks(driver.syn(1, 1, new), "10.2.0.50") and ports(driver) == [40_000, 50_001, 50_002]
        driver.now += ASKED_AGAIN + 0.1


def test_nobody_is_asked_for_while_something_comes_from_there() -> None:
    driver = full("10.2.0.50")
    silent_for(driver, SILENT - 1.0, 40_000)
    assert refused(joined(driver, 50_003, "10.2.0.66"))
    silent_for(driver, 1.0, 40_000, 50_002)
    assert refused(joined(driver, 50_003, "10.2.0.66"))


@pytest.mark.parametrize("most", [1, 2])
def test_of_whom_was_asked_is_remembered_within_a_bound(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_subflows, "ASKED", most)
    driver = Driver(policy=POLICY)
    driver.session()
    hosts = ("10.2.0.50", "10.2.0.51")
    for port, address in zip((50_001, 50_002), hosts, strict=True):
        at_port(driver, address)
        joined(driver, port, address)
    silent_for(driver, SILENT, 40_000)
    asked = []
    for _ in range(2):
        outputs = joined(driver, 50_003)
        asked.append([address for address in hosts if asks(outputs, address)])
        for address in hosts:
            at_port(driver, address)  # both answer
    assert asked == [list(hosts), list(hosts) if most == 1 else []]
