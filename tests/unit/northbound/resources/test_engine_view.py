"""The northbound over a real engine: its bodies are what the schemas say, and true."""

from dataclasses import replace

import pytest

from steering.core.inputs import AbortSession, Reserve
from steering.model.network import McpType
from steering.model.reservation import Level, ReservationRequest
from steering.northbound.resources.routes import ROUTES
from steering.northbound.schema.answers import SCHEMAS
from tests.support.rest_replies import asking
from tests.support.rest_schema import faults
from tests.support.sites import TOKEN as SESSION_TOKEN
from tests.support.sites import UE_WLAN, Driver, join, off_path_site


@pytest.fixture
def driver() -> Driver:
    """One session from LTE, joined from WLAN."""
    found = Driver()
    found.session()
    found.syn(2, 1, join(UE_WLAN, 40001))
    return found


def test_bodies_are_what_the_schemas_say(driver: Driver) -> None:
    ask = asking(driver)
    (listed,) = ask("/v1/sessions")["sessions"]
    decision = ask(f"/v1/sessions/{listed['id']}")["decision"]
    driver.give(
        Reserve(listed["id"], ReservationRequest(Level.SUBFLOW, session=int(listed["id"]), subflows=1))
    )
    other = driver.session(sport=40_001, key=b"another!")
    driver.give(AbortSession(other.id))
    for route in ROUTES:
        if route.method != "GET" or route.media_type == "text/event-stream":
            continue
        if route.name in (
            "mappings",
            "binding",
            "policy_version",
        ):  # test_mappings.py, test_bindings.py, test_pages.py
            continue
        wanted = {"decision": decision, "aborted": str(other.id), "policy_version": "3"}.get(
            route.name, listed["id"]
        )
        name = "core" if "mcps" in route.path else "s1:2-s3:2" if "links" in route.path else "lte"
        body = ask(route.path.format(id=wanted, name=name))
        if route.schema is not None:
            assert not list(faults(SCHEMAS[route.schema], body, SCHEMAS)), route.path


@pytest.mark.row("D-2.1", "D-4.2c")
def test_a_session_is_one_entry_with_its_subflows_each_natural_or_redirected(driver: Driver) -> None:
    ask = asking(driver)
    (listed,) = ask("/v1/sessions")["sessions"]
    assert (listed["token"], listed["subflows"], listed["mcp"]) == (SESSION_TOKEN.hex(), 2, "core")
    subflows = ask(f"/v1/sessions/{listed['id']}")["subflows"]
    assert [(found["access_network"], found["kind"], found["path"]) for found in subflows] == [
        ("lte", "initial", "natural"),
        ("wlan", "join", "redirected"),
    ]


@pytest.mark.row("N-5.1b")
def test_the_decision_behind_a_session_tells_each_candidates_stretch(driver: Driver) -> None:
    ask = asking(driver)
    (listed,) = ask("/v1/sessions")["sessions"]
    driver.now += 30
    decision = ask(f"/v1/decisions/{ask('/v1/sessions/' + listed['id'])['decision']}")
    assert (decision["winner"], decision["age_s"]) == ("core", 30.0)
    stretches = {candidate["mcp"]: candidate["stretch"] for candidate in decision["candidates"]}
    assert stretches == {"core": 1.0, "edge": 2.0}


@pytest.mark.row("D-4.b")
def test_a_misdeclared_type_is_reported() -> None:
    core, edge = off_path_site().mcps
    lying = Driver(off_path_site(mcps=(replace(core, type=McpType.ON_PATH), edge)))
    types = {
        found["name"]: (found["type"], found["type_computed"]) for found in asking(lying)("/v1/mcps")["mcps"]
    }
    assert types == {"core": ("on-path", "off-path"), "edge": ("off-path", "off-path")}


def test_metrics_follow_the_engine(driver: Driver) -> None:
    exposition = asking(driver)("/metrics").splitlines()
    for line in (
        'steering_sessions{state="established"} 1.0',
        'steering_sessions{state="linger"} 0.0',
        "steering_subflows 2.0",
        'steering_joins_total{result="pinned"} 1.0',
        "steering_sessions_started_total 1.0",
        "steering_switches_connected 5.0",
        'steering_mcp_sessions{mcp="core"} 1.0',
    ):
        assert line in exposition
