"""Every route that changes something: which role may take it, and that it answers what its schema says."""

from typing import Any

import pytest

from steering.model.identity import Role
from steering.northbound.resources.routes import ROUTES
from tests.support.fixed_rest import QUESTION, UPDATE, Rest
from tests.support.fixed_view import WHO, name_in, token_of
from tests.support.rest_replies import problem
from tests.support.rest_schema import faults


@pytest.fixture
def rest() -> Rest:
    return Rest()


@pytest.mark.row("D-7.2", "S-14")
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_role_may_what_its_routes_say_and_nothing_else(route: Any, role: Role, rest: Rest) -> None:
    path = route.path.format(id="m-1", name=name_in(route.path))
    status = rest(route.method, path, token=token_of(role)).status_code
    if role in route.roles:
        assert status not in (401, 403)
    else:
        assert status == 403
        assert rest.control.given == []


# What they answer is shown in test_reservations.py, over an engine that has something to reserve.
RESERVING = {route.name for route in ROUTES if route.path.startswith("/v1/reservations")}
BINDING = {route.name for route in ROUTES if route.path.startswith("/v1/bindings")}  # test_bindings.py
CLUSTER = {route.name for route in ROUTES if route.path.startswith("/v1/cluster")}  # test_cluster.py


def test_who_may_what() -> None:
    may = {role: {route.name for route in ROUTES if role in route.roles} for role in Role}
    assert may[Role.OPERATOR] == {route.name for route in ROUTES}
    assert (
        may[Role.DEVICE] == {"health", "openapi", "mcps", "discovery", "pair", "unpair"} | RESERVING | BINDING
    )
    changing = {route.name for route in ROUTES if route.changes}
    registering = {"register_mcp", "change_mcp", "remove_mcp"}
    assert may[Role.MCP] & changing == {"load", "report_mappings"} | registering
    assert RESERVING - may[Role.READER] == RESERVING & changing
    assert not may[Role.READER] & (changing | {"policy"})


@pytest.mark.row("S-14", "D-7.2")
@pytest.mark.parametrize("path", ["/v1/mcps/edge", "/v1/mcps/edge/load", "/v1/mcps/edge/events"])
def test_an_mcp_is_itself_alone(rest: Rest, path: str) -> None:
    method = "PUT" if path.endswith("load") else "GET"
    said = problem(rest(method, path, {"load": 0.1}, token_of("mcp")), 403)
    assert said == "this token is that of MCP core, for itself alone"
    assert rest.control.given == []


MAPPING = {
    "internal": "10.1.0.2", "external": "192.0.2.1", "first_port": 1024, "last_port": 1535, "begin": 1.0, "end": None,
}  # fmt: skip


BATCH = {
    "version": 1, "generation": "9f3c2a1b00112233", "sequence": 18, "whole": None, "live": 1, "waiting": 0,
    "events": [
        {"event": "began", "id": 77, "token": "1a2b3c4d", "client": ["10.1.0.2", 40000], "server": ["10.9.0.2", 443],
         "at": 1796000000.125},
        {"event": "ended", "id": 12, "token": None, "how": "orderly", "at": 1796000000.25},
    ],
    "state": {"health": "up", "load": 0.01, "sessions": 1, "most_sessions": 4000, "accepted": 77, "fallback": 3,
              "dial_failed": 1, "refused": 0},
}  # fmt: skip


def test_changes_answer_what_the_schemas_say(rest: Rest) -> None:
    from steering.northbound.schema.answers import SCHEMAS

    asked: dict[str, Any] = {
        "load": {"load": 0.5}, "report_mappings": {"mappings": [MAPPING]}, "report_sessions": BATCH, "put_access_network": UPDATE, "put_policy": {"policy": 1},
        "rollback": {"version": 3}, "whatif": QUESTION, "pair": {"addresses": ["10.1.0.2"]},
        "put_acl": {"entries": [{"name": "x", "action": "deny", "source": ["10.1.0.0/28"]}]},
        "register": {"subscriber": "somebody", "addresses": ["10.1.0.2"]},
        "pseudonym": {"subscriber": "somebody"},
        "put_link": {"weight": 2.5},
        "put_clock": {"offset_s": 60},
        "offload": {"from": "lte", "to": "wlan"},
        "put_subscriber_access": {"preferred": ["wlan"], "sequence": 1},
        "register_mcp": {"name": "fresh"}, "change_mcp": {"name": "core"},
    }  # fmt: skip
    for route in ROUTES:
        if route.method == "GET" or "{id}" in route.path or route.name in RESERVING | BINDING | CLUSTER:
            continue
        # One that has no sessions.
        name = "edge" if route.name == "remove_mcp" else name_in(route.path)
        path = route.path.format(name=name, id=WHO)
        response = rest(route.method, path, asked.get(route.name), If_Match="*")
        assert response.status_code == route.status, response.text
        assert route.schema is not None
        assert not list(faults(SCHEMAS[route.schema], response.json, SCHEMAS)), route.name
