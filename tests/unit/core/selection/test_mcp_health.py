"""What `health` of an MCP means to an operator."""

from dataclasses import replace

import pytest

from steering.core.inputs import McpReport, PortStatus, SwitchUp, Tick
from steering.core.selection.mcp_health import FRESH, SILENT, STALL, Health, McpFault
from steering.model.network import PortRef
from tests.support.sites import Driver, off_path_site


def health(driver: Driver, number: int) -> Health:
    return driver.engine.chooser.state(driver.site.mcps[number].id, driver.now)


def live_through(driver: Driver, seconds: float) -> None:
    """Time goes by for a controller that is never busy for long."""
    for _ in range(round(seconds / STALL)):
        driver.later(STALL)


def test_an_mcp_that_answers_its_neighbours_and_was_never_asked_otherwise_is_up() -> None:
    driver = Driver()
    assert health(driver, 0) is health(driver, 1) is Health.UP


def test_health_is_unknown_for_the_first_probe_interval_at_most() -> None:
    driver = Driver.__new__(Driver)
    Driver.mcps_answer, answers = lambda self: None, Driver.mcps_answer  # type: ignore[method-assign]
    try:
        driver.__init__()  # type: ignore[misc]
        driver.give(Tick())
        assert health(driver, 0) is Health.UNKNOWN
        driver.later(1.1)
        assert health(driver, 0) is Health.DOWN
    finally:
        Driver.mcps_answer = answers  # type: ignore[method-assign]
    driver.mcps_answer()
    assert health(driver, 0) is Health.UP


def test_one_that_falls_silent_is_down_and_its_own_report_counts_more_than_its_neighbours() -> None:
    driver = Driver()
    for _ in range(5):
        driver.now += 1
        driver.give(Tick())
    assert health(driver, 0) is Health.DOWN
    driver.mcps_answer()
    assert health(driver, 0) is Health.UP
    driver.give(McpReport(driver.site.mcps[0].id, False, None))
    driver.later(1)
    assert health(driver, 0) is Health.DOWN


def test_one_that_reported_and_reports_no_more_is_down_whatever_its_neighbours_say() -> None:
    driver = Driver()
    driver.give(McpReport(driver.site.mcps[0].id, True, 0.5))
    driver.later(1)
    assert health(driver, 0) is Health.UP
    live_through(driver, SILENT + 1)
    assert health(driver, 0) is Health.DOWN and health(driver, 1) is Health.UP


def test_a_port_without_link_is_an_mcp_that_is_down() -> None:
    driver = Driver()
    driver.give(PortStatus(3, 1, False))
    assert health(driver, 0) is Health.DOWN


def test_of_an_mcp_with_two_ports_neither_speaks_for_the_other() -> None:
    core, edge = off_path_site().mcps
    driver = Driver(off_path_site(mcps=(replace(core, outside=PortRef(3, 5)), edge)))
    found = driver.engine.chooser.health[core.id]
    driver.give(PortStatus(3, 5, False))
    assert found.fault is McpFault.PORT_DOWN
    driver.give(PortStatus(3, 1, True))  # a status that changes nothing
    assert found.fault is McpFault.PORT_DOWN
    driver.give(SwitchUp(3, {5: False, 1: True, 2: True, 3: True}))
    assert found.fault is McpFault.PORT_DOWN
    driver.give(PortStatus(3, 5, True))
    assert found.fault is None


@pytest.mark.row("D-6.7.1")
def test_the_time_of_a_report_is_now_also_when_this_controller_was_busy_before() -> None:
    driver = Driver()
    core = driver.site.mcps[0]
    driver.give(McpReport(core.id, True, 0.1, 0.2))
    driver.later(0.05)
    driver.now += 30.0
    driver.give(McpReport(core.id, True, 0.1, 0.2))
    for _ in range(18):
        driver.later(0.05)
    assert driver.engine.chooser.health[core.id].fault is McpFault.FROZEN


@pytest.mark.row("D-6.7.1")
def test_the_pace_that_an_mcp_promises_counts_also_where_it_is_a_slow_one() -> None:
    """As of very many relays, which share the reports that a controller takes in a second."""
    driver = Driver()
    core, pace = driver.site.mcps[0], 2 * SILENT
    found = driver.engine.chooser.health[core.id]
    driver.give(McpReport(core.id, True, 0.5, pace))
    live_through(driver, 3 * pace)
    assert health(driver, 0) is Health.UP and found.load(driver.now) == 0.5
    live_through(driver, pace)
    assert found.fault is McpFault.FROZEN


def test_a_load_without_a_promised_report_is_forgotten() -> None:
    driver = Driver()
    core = driver.site.mcps[0]
    driver.give(McpReport(core.id, True, 0.5))
    live_through(driver, FRESH + 1)
    assert driver.engine.chooser.health[core.id].load(driver.now) == 0.0


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("pace", [None, 0.2])
def test_time_in_which_this_controller_stood_still_is_no_silence_of_an_mcp(pace: float | None) -> None:
    """As while its machine is moved: the MCP could not report to it meanwhile."""
    driver = Driver()
    core = driver.site.mcps[0]
    session = driver.session()
    for one in driver.site.mcps:
        driver.give(McpReport(one.id, True, 0.1, pace))
    driver.later(0.05)
    driver.later(SILENT + 1)
    driver.later(0.05)
    assert driver.engine.chooser.health[core.id].fault is None
    assert driver.table.by_id.get(session.id) is session and not len(driver.engine.sessions.aborted)
