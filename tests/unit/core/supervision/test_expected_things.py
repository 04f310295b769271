"""What the site expects against what is there, and since when something is missing."""

from dataclasses import replace
from typing import Any

import pytest

from steering.core.inputs import LinkDown, LinkUp, McpAdmin, PortStatus, SwitchDown, SwitchUp, Tick
from steering.core.snapshots.view import EngineView
from steering.core.supervision import expected_things as under_test
from steering.model.network import PortRef
from steering.model.snapshot import StatusSnapshot
from tests.support.sites import Driver, off_path_site

A, B, C = PortRef(1, 2), PortRef(3, 2), PortRef(3, 7)


def status(driver: Driver) -> StatusSnapshot:
    return EngineView(driver.engine, lambda: driver.now, "0").status()


def missing(driver: Driver) -> list[tuple[str, str, str | None, float]]:
    return [(one.kind.value, one.name, one.port, one.missing_s) for one in status(driver).missing]


def counts(driver: Driver) -> dict[str, tuple[int, int]]:
    return {one.kind.value: (one.seen, one.expected) for one in status(driver).expected}


@pytest.fixture
def driver() -> Driver:
    found = Driver()
    found.later(1)
    return found


def test_all_of_a_whole_network_is_there(driver: Driver) -> None:
    assert missing(driver) == []
    assert counts(driver) == {"switch": (5, 5), "link": (4, 4), "attachment": (5, 5), "mcp": (2, 2)}


def test_a_lost_link_is_missing_since_its_loss_and_until_both_its_directions_are_back(driver: Driver) -> None:
    driver.give(PortStatus(1, 2, False))
    driver.later(1)
    driver.later(30)
    assert missing(driver) == [("link", "s1:2-s3:2", None, 30.0)]
    assert counts(driver)["link"] == (3, 4)
    driver.give(PortStatus(1, 2, True))
    assert missing(driver) == []


def test_a_link_of_the_site_file_is_missing_however_long_it_was_lost(driver: Driver) -> None:
    driver.give(PortStatus(1, 2, False))
    driver.later(1)
    driver.later(2 * under_test.FORGOTTEN)
    driver.later(1)
    assert missing(driver) == [("link", "s1:2-s3:2", None, 2 * under_test.FORGOTTEN + 1)]


def test_a_port_without_carrier_its_mcp_and_a_lost_switch_are_missing_the_longest_lost_first(
    driver: Driver,
) -> None:
    driver.give(SwitchDown(2))
    driver.later(5)
    driver.give(PortStatus(3, 1, False))
    driver.later(1)
    driver.later(2)
    assert missing(driver) == [
        ("switch", "s2", None, 2.0 + 1.0),
        ("attachment", "core", "s3:1", 2.0),
        ("mcp", "core", "s3:1", 2.0),
    ]


def test_an_mcp_that_is_drained_is_there_and_one_that_is_silent_is_not(driver: Driver) -> None:
    core, edge = driver.site.mcps
    driver.give(McpAdmin(core.id, True))
    driver.later(1)
    assert missing(driver) == []
    for _ in range(6):
        driver.now += 1
        driver.give(Tick())  # and nobody answers
    assert [name for _, name, _, _ in missing(driver)] == ["edge"]
    assert edge.name == "edge"


def test_what_was_never_there_is_told_apart() -> None:
    driver = Driver()
    driver.engine.switches[4].ports[1] = False
    driver.later(1)
    driver.later(10)
    (one,) = status(driver).missing
    assert (one.name, one.never_seen, one.missing_s) == ("internet", True, 10.0)
    driver.give(PortStatus(4, 1, True))
    driver.later(1)
    driver.give(PortStatus(4, 1, False))
    driver.later(1)
    (one,) = status(driver).missing
    assert (one.name, one.never_seen) == ("internet", False)


def test_a_switch_that_the_site_file_does_not_name_is_told_while_it_is_connected(driver: Driver) -> None:
    driver.give(SwitchUp(0x77, {1: True}))
    assert [one.name for one in status(driver).unknown_switches] == ["0000000000000077"]
    assert counts(driver)["switch"] == (5, 5)
    driver.give(SwitchDown(0x77))
    assert status(driver).unknown_switches == ()


# ---- links that are discovered -------------------------------------------------------------------


def discovered() -> Driver:
    site = off_path_site()
    driver = Driver(replace(site, discover=True, links=()))
    for link in site.links:
        both(driver, LinkUp, link.a, link.b)
    driver.later(1)
    return driver


def both(driver: Driver, change: Any, a: PortRef, b: PortRef) -> None:
    driver.give(change(a, b))
    driver.give(change(b, a))
    driver.later(1)


def test_a_discovered_link_is_expected_from_then_on() -> None:
    driver = discovered()
    assert counts(driver)["link"] == (4, 4)
    both(driver, LinkDown, A, B)
    assert missing(driver) == [("link", "s1:2-s3:2", None, 0.0)]
    both(driver, LinkUp, A, B)
    assert missing(driver) == []


@pytest.mark.parametrize("lost", [(A, B), (B, A)])
def test_a_link_with_one_direction_is_missing(lost: tuple[PortRef, PortRef]) -> None:
    driver = discovered()
    driver.give(LinkDown(*lost))
    assert [name for _, name, _, _ in missing(driver)] == ["s1:2-s3:2"]


def test_a_link_whose_cable_was_moved_is_not_expected_any_more() -> None:
    driver = discovered()
    both(driver, LinkDown, A, B)
    both(driver, LinkUp, A, C)
    assert missing(driver) == [] and counts(driver)["link"] == (4, 4)
    both(driver, LinkDown, A, C)
    assert [name for _, name, _, _ in missing(driver)] == ["s1:2-s3:7"]


def test_a_link_that_was_lost_for_a_day_is_not_expected_any_more() -> None:
    driver = discovered()
    both(driver, LinkDown, A, B)
    driver.later(under_test.FORGOTTEN)
    assert len(missing(driver)) == 1
    driver.later(2)
    assert missing(driver) == [] and counts(driver)["link"] == (3, 3)


def test_links_that_are_expected_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "MOST_LINKS", 2)
    assert counts(discovered())["link"] == (2, 2)
