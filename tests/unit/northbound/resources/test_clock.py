"""The clock of rules with windows over REST: seen, put off, bounded, and an operator's alone (D-3.2c)."""

import json
from typing import Any

import pytest
from webob import Request

from steering.core.inputs import TimeOfDay
from steering.core.snapshots.view import EngineView
from steering.model.identity import Role
from steering.model.policy import Policy, PolicyRule, RuleConditions, Terms, TimeWindow
from steering.northbound.schema.representation import JsonView
from tests.support.driven import Driven
from tests.support.fixed_view import TOKEN, north, token_of
from tests.support.sites import Driver

CLOCK = "/v1/policy/clock"
RUSH = TimeWindow(frozenset({1, 2, 3, 4, 5}), 17 * 60, 22 * 60)
POLICY = Policy(
    rules=(
        PolicyRule("rush", RuleConditions(times=(RUSH,)), Terms()),
        PolicyRule("rest", RuleConditions(), Terms()),
    )
)


class Rest:
    def __init__(self) -> None:
        self.driver = Driver(policy=POLICY)
        view = JsonView(EngineView(self.driver.engine, lambda: self.driver.now, "0.1.0"))
        self.control = Driven(self.driver)
        self.application = north(view, control=self.control).application

    def __call__(self, method: str, body: Any = None, token: str = TOKEN, **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        request = Request.blank(CLOCK, method=method, headers=sent)
        if body is not None:
            request.body, request.content_type = json.dumps(body).encode(), "application/json"
        return request.get_response(self.application)


@pytest.mark.row("D-3.2c")
@pytest.mark.parametrize(
    ("minute", "time", "is_open"),
    [
        (16 * 60 + 59, "mon 16:59", False),
        (17 * 60, "mon 17:00", True),
        (4 * 1440 + 22 * 60 - 1, "fri 21:59", True),
        (5 * 1440 + 18 * 60, "sat 18:00", False),
    ],
)
def test_the_clock_tells_its_time_and_which_windows_are_open(minute: int, time: str, is_open: bool) -> None:
    rest = Rest()
    rest.driver.give(TimeOfDay(minute))
    told = rest("GET").json
    assert (told["minute"], told["time"], told["offset_s"]) == (minute, time, 0)
    assert told["rules"] == [{"name": "rush", "open": is_open}]


@pytest.mark.row("D-3.2c")
def test_who_has_seen_the_offset_may_change_it() -> None:
    rest = Rest()
    seen = rest("GET")
    assert rest("PUT", {"offset_s": 60}).status_code == 428
    done = rest("PUT", {"offset_s": -3600}, If_Match=seen.headers["ETag"])
    assert (done.status_code, done.json["offset_s"], rest.control.offset) == (200, -3600, -3600)
    assert rest("PUT", {"offset_s": 1}, If_Match=seen.headers["ETag"]).status_code == 412
    assert rest("PUT", {"offset_s": 0}, If_Match=done.headers["ETag"]).status_code == 200


@pytest.mark.parametrize("offset", [604_800, -604_800, 1.5, "60", None, True])
def test_an_offset_is_less_than_a_week(offset: Any) -> None:
    rest = Rest()
    assert rest("PUT", {"offset_s": offset}, If_Match="*").status_code == 422
    assert rest.control.offset == 0


def test_only_an_operator_changes_it_and_readers_see_it() -> None:
    rest = Rest()
    assert rest("GET", token=token_of(Role.READER)).status_code == 200
    for role in set(Role) - {Role.OPERATOR}:
        assert rest("PUT", {"offset_s": 5}, token=token_of(role), If_Match="*").status_code == 403
    assert rest.control.offset == 0
