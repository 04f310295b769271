"""A rush hour begins while the real controller runs: its clock stands just before, and goes on by itself (D-3.2c)."""

import http.client
import json
import math
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.controller_process import Running
from tests.support.rest_calls import ask
from tests.support.waiting import wait_for

POLICY = """\
policy: 1
rules:
  - name: rush-hour
    when: {time: {days: mon-fri, from: "17:00", to: "22:00"}}
    then: {action: bypass}
  - name: quiet-hours
    then: {action: proxy}
"""
LEAD_S = 4


def offset_to(moment: datetime) -> int:
    """What has to be added to the clock so that it shows a day of the week and time like `moment`'s, or up to a second
    more: never a minute before, whichever of the two is later."""
    now = datetime.now()
    there = (now + timedelta(days=moment.weekday() - now.weekday())).replace(
        hour=moment.hour, minute=moment.minute, second=moment.second, microsecond=0
    )
    # By the seconds of the clock: between two days of a week summer time may begin or end.
    return math.ceil(there.timestamp() - now.timestamp())


def body(answer: http.client.HTTPResponse) -> Any:
    return json.loads(answer.read())


@pytest.mark.row("D-3.2c")
def test_a_rush_hour_begins_by_the_clock_and_an_offset_moves_it(tmp_path: Path) -> None:
    made = Running(tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY)
    with made as running:

        def rule() -> Any:
            question = {"source": "10.1.0.2", "destination": "10.9.0.2", "port": 443}
            return body(ask(running, "POST", "/v1/whatif", question))["rule"]

        def put(moment: datetime) -> Any:
            answer = ask(running, "PUT", "/v1/policy/clock", {"offset_s": offset_to(moment)}, If_Match="*")
            assert answer.status == 200
            return body(answer)

        boundary = datetime(2026, 11, 16, 17, 0)  # a Monday
        began = time.monotonic()
        told, first = put(boundary - timedelta(seconds=LEAD_S)), rule()
        if time.monotonic() - began < LEAD_S - 1:  # else this machine may have been too slow to see it before
            assert (told["time"], told["rules"]) == ("mon 16:59", [{"name": "rush-hour", "open": False}])
            assert first == "quiet-hours"
        wait_for(lambda: rule() == "rush-hour")
        assert time.monotonic() - began > LEAD_S - 2, "it came before its time"
        assert running.json("/v1/policy/clock")["time"] == "mon 17:00"
        assert put(boundary + timedelta(hours=5))["rules"] == [{"name": "rush-hour", "open": False}]
        assert rule() == "quiet-hours"
        assert "put_clock" in running.log() or "/v1/policy/clock" in running.log()
