"""What the log says of switch ports."""

import logging

import pytest

from steering.core.snapshots.site import port_name
from steering.model.network import PortRef
from steering.openflow.messages.reader import PortState
from steering.openflow.ports.port_lines import INTERVAL, PortLines
from tests.support.sites import Driver

DOWN, UP, GONE = PortState(1, False), PortState(1, True), PortState(1, False, True)
LTE = PortRef(1, 1)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> PortLines:
    caplog.set_level(logging.INFO, "steering.openflow.ports.port_lines")
    engine = Driver().engine
    found = PortLines(lambda port: port_name(engine, port))
    found.switch_up(1, {1: True, 2: True})
    return found


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def test_a_port_is_told_by_the_site_files_names_and_as_it_is(
    lines: PortLines, caplog: pytest.LogCaptureFixture
) -> None:
    lines.changed(LTE, DOWN, 10.0)
    assert said(caplog) == ["port s1:1 (access lte) is down"]
    lines.changed(LTE, UP, 20.0)
    assert said(caplog) == ["port s1:1 (access lte) is up"]
    lines.changed(PortRef(1, 2), PortState(2, False), 30.0)
    assert said(caplog) == ["port s1:2 (link to s3:2) is down"]
    lines.changed(LTE, GONE, 40.0)
    assert said(caplog) == ["port s1:1 (access lte) is gone"]
    lines.changed(PortRef(1, 12), PortState(12, True), 50.0)
    assert said(caplog) == ["port s1:12 is up"]


def test_a_status_that_changes_nothing_is_no_line(lines: PortLines, caplog: pytest.LogCaptureFixture) -> None:
    lines.changed(LTE, UP, 10.0)
    lines.changed(LTE, DOWN, 20.0)
    lines.changed(LTE, DOWN, 30.0)
    assert said(caplog) == ["port s1:1 (access lte) is down"]


def test_of_a_port_that_flaps_the_last_state_is_told_and_not_the_first(
    lines: PortLines, caplog: pytest.LogCaptureFixture
) -> None:
    lines.changed(LTE, DOWN, 10.0)
    lines.changed(LTE, UP, 10.1)
    lines.changed(LTE, DOWN, 10.2)
    lines.changed(LTE, UP, 10.3)
    assert said(caplog) == ["port s1:1 (access lte) is down"]
    lines.due(10.4)
    assert said(caplog) == []
    lines.due(10.0 + INTERVAL)
    assert said(caplog) == ["port s1:1 (access lte) is up after 3 changes"]
    lines.due(20.0)
    assert said(caplog) == []


def test_of_a_switch_that_went_nothing_more_is_told(
    lines: PortLines, caplog: pytest.LogCaptureFixture
) -> None:
    lines.changed(LTE, DOWN, 10.0)
    lines.changed(LTE, UP, 10.1)
    lines.switch_down(1)
    lines.due(20.0)
    lines.changed(LTE, DOWN, 30.0)
    assert said(caplog) == ["port s1:1 (access lte) is down"]


def test_a_switch_that_lies_fills_neither_the_log_nor_the_memory(
    lines: PortLines, caplog: pytest.LogCaptureFixture
) -> None:
    for turn in range(2_000):
        for number in (1, 65, 129):
            lines.changed(PortRef(1, number), PortState(number, turn % 2 == 0), 10.0 + turn / 1_000)
        lines.due(10.0 + turn / 1_000)
    assert len(said(caplog)) <= 2 * 3
