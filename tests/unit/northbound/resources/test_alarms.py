"""Alarms as an operator is told of them: log lines, events, metrics, and what stands in the status."""

import logging
from typing import Any

import pytest

from steering.core.inputs import PortStatus
from steering.model.supervision import AlarmKind
from steering.northbound.http.events import EventHub
from steering.northbound.resources.alarm_teller import AlarmTeller
from tests.support.fixed_view import FixedView
from tests.support.rest_replies import asking
from tests.support.sites import Driver


def change(number: int, word: str = "raised") -> dict[str, Any]:
    return {"number": number, "change": word, "alarm": "link-lost", "name": "s1:2-s3:2", "text": "no link"}


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    found = [(record.levelname, record.getMessage()) for record in caplog.records]
    caplog.clear()
    return found


def test_each_change_is_one_log_line_and_one_event_whether_somebody_listens_or_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    view, hub = FixedView(), EventHub("0" * 8)
    teller = AlarmTeller(view, hub)
    view.alarms_told = [change(1)]
    teller.look()
    assert said(caplog) == [("WARNING", "alarm raised: link-lost s1:2-s3:2: no link")]
    stream = hub.open(lambda event: True, "", [])
    view.alarms_told.append(change(2, "cleared"))
    teller.look()
    teller.look()
    assert said(caplog) == [("INFO", "alarm cleared: link-lost s1:2-s3:2: no link")]
    (event,) = stream.queue
    told = {"change": "cleared", "alarm": "link-lost", "name": "s1:2-s3:2", "text": "no link"}
    assert (event.kind, event.data) == ("alarm", told)


def test_what_came_too_fast_is_told_as_a_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    view = FixedView()
    view.alarms_told = [change(300)]
    AlarmTeller(view, EventHub("0" * 8)).look()
    assert said(caplog)[0] == ("WARNING", "299 more alarms were raised or cleared meanwhile")


def test_an_alarm_is_in_the_status_and_among_the_metrics_while_it_is_raised() -> None:
    driver = Driver()
    driver.later(1)
    ask = asking(driver)
    lines = ask("/metrics").splitlines()
    for kind in AlarmKind:
        assert f'steering_alarms{{kind="{kind}"}} 0.0' in lines
    assert not [line for line in lines if line.startswith("steering_alarm{")]
    driver.give(PortStatus(1, 2, False))
    for _ in range(5):
        driver.later(1)
    (alarm,) = ask("/v1/status")["alarms"]
    assert (alarm["alarm"], alarm["name"]) == ("link-lost", "s1:2-s3:2") and alarm["raised_s"] > 0
    lines = ask("/metrics").splitlines()
    assert 'steering_alarms{kind="link-lost"} 1.0' in lines
    assert 'steering_alarm{kind="link-lost",name="s1:2-s3:2"} 1.0' in lines
