"""The OpenAPI description: committed, not drifted, true of what is answered."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from webob import Request

from steering.northbound import openapi
from steering.northbound.resources.routes import ROUTES
from steering.northbound.schema.answers import SCHEMAS
from tests.support.fixed_view import TOKEN, name_in, served
from tests.support.rest_schema import faults

COMMITTED = Path(openapi.__file__).with_name("openapi.json")
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def answer(path: str) -> Any:
    return json.loads(Request.blank(path, headers=BEARER).get_response(served()).body)


def test_the_committed_description_has_not_drifted() -> None:
    assert COMMITTED.read_text() == openapi.text(), (
        "renew it: python -m steering.northbound.openapi > steering/northbound/openapi.json"
    )


def test_it_is_served_as_committed() -> None:
    assert answer("/v1/openapi.json") == json.loads(COMMITTED.read_text())


def test_every_route_is_described_once() -> None:
    paths = openapi.document()["paths"]
    described = {(method, path) for path, methods in paths.items() for method in methods}
    assert described == {(route.method.lower(), route.path) for route in ROUTES}
    assert len({route.name for route in ROUTES}) == len(ROUTES)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_leads_somewhere() -> None:
    document = openapi.document()
    found = set(references(document))
    assert found
    for pointer in found:
        place: Any = document
        for step in pointer.removeprefix("#/").split("/"):
            place = place[step]
        assert place


@pytest.mark.parametrize(
    "route",
    [
        route
        for route in ROUTES
        if route.schema and route.method == "GET" and route.name not in ("mappings", "binding")
    ],
    ids=lambda route: route.name,
)
def test_answers_are_what_the_schemas_say(route: Any) -> None:
    ids = {
        "session": ["m-1", "m-2"],
        "session_paths": ["m-1"],
        "policy_version": ["3"],
        "aborted": ["m-1"],
    }.get(route.name, ["d-1"])
    for wanted in ids:
        body = answer(route.path.format(id=wanted, name=name_in(route.path)))
        assert not list(faults(SCHEMAS[route.schema], body, SCHEMAS))


def test_errors_are_what_the_schema_says() -> None:
    assert not list(faults(SCHEMAS["Problem"], answer("/v1/nothing"), SCHEMAS))


def test_the_schema_check_sees() -> None:
    assert list(faults(SCHEMAS["Health"], {"status": "fine"}, SCHEMAS))
    assert list(faults(SCHEMAS["Sessions"], {"sessions": [{}], "total": True, "next": None}, SCHEMAS))
    assert list(faults(SCHEMAS["Abort"], {"id": "1", "more": 1}, SCHEMAS))


def objects(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if "properties" in value and value.get("type") == "object":
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from objects(item)


def test_every_object_is_closed() -> None:
    found = list(objects(SCHEMAS))
    assert len(found) > 20
    assert all("additionalProperties" in schema for schema in found)
