"""What-if questions over REST."""

from typing import Any

import pytest

from steering.core.snapshots.view import EngineView
from steering.northbound.schema.representation import JsonView
from tests.support.driven import Driven
from tests.support.fixed_rest import QUESTION, Rest
from tests.support.fixed_view import north, token_of
from tests.support.rest_replies import problem
from tests.support.sites import Driver


@pytest.fixture
def rest() -> Rest:
    return Rest()


def test_a_question_reaches_the_engine_and_installs_nothing() -> None:
    driver = Driver()
    view = JsonView(EngineView(driver.engine, lambda: driver.now, "0.1.0"))
    rest = Rest()
    rest.app = north(view, driver.counters, Driven(driver)).application
    told = rest("POST", "/v1/whatif", QUESTION, token_of("reader")).json
    assert (told["outcome"], told["winner"]) == ("proxy", "core")
    assert {candidate["mcp"] for candidate in told["candidates"]} == {"core", "edge"}
    assert len(driver.table) == 0
    away = rest("POST", "/v1/whatif", {**QUESTION, "access": "wlan", "destination": "10.8.0.99"}).json
    assert (away["outcome"], away["winner"]) == ("natural", None)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"source": "10.1.0"}, "source"),
        ({"source": "fe80::1%1"}, "source"),
        ({"source": 167837698}, "source"),
        ({"source": "0.0.0.0"}, "source"),  # in no access network
        ({"destination": "fd00::1"}, "destination"),  # another family
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"mptcp_version": 2}, "mptcp_version"),
        ({"access": "nowhere"}, "access"),
        ({"access": ""}, "access"),
    ],
)
def test_a_question_that_makes_no_sense(rest: Rest, change: dict[str, Any], path: str) -> None:
    response = rest("POST", "/v1/whatif", QUESTION | change)
    problem(response, 422)
    assert [error["path"] for error in response.json["errors"]] == [path]
