"""The OpenAPI 3.1 description, made from the route table.

`python -m steering.northbound.openapi > steering/northbound/openapi.json` renews the committed copy;
a test fails when the two differ.
"""

import json
import sys
from http import HTTPStatus
from typing import Any

from steering.northbound import problems
from steering.northbound.resources import JSON_TYPE, MAX_ID, ROUTES, Route
from steering.northbound.schemas import SCHEMAS, reference

Json = dict[str, Any]

API_VERSION = "1"
_EVERYWHERE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUEST_URI_TOO_LONG,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)


def _parameters(route: Route) -> list[Json]:
    found: list[Json] = []
    if "{id}" in route.path:
        schema = {"type": "string", "minLength": 1, "maxLength": MAX_ID}
        found.append({"name": "id", "in": "path", "required": True, "schema": schema})
    for parameter in route.parameters:
        found.append(
            {
                "name": parameter.name,
                "in": "query",
                "required": False,
                "description": parameter.description,
                "schema": parameter.schema,
            }
        )
    return found


def _body(route: Route) -> Json:
    if route.schema is not None:
        return reference(route.schema)
    return {"type": "object"} if route.media_type == JSON_TYPE else {"type": "string"}


def _operation(route: Route) -> Json:
    answers: Json = {
        "200": {"description": route.summary, "content": {route.media_type: {"schema": _body(route)}}}
    }
    errors = [*_EVERYWHERE, HTTPStatus.NOT_FOUND] if "{id}" in route.path else [*_EVERYWHERE]
    for status in sorted(errors):
        answers[str(int(status))] = {"$ref": f"#/components/responses/{int(status)}"}
    operation: Json = {"operationId": route.name, "summary": route.summary}
    if found := _parameters(route):
        operation["parameters"] = found
    operation["responses"] = answers
    return operation


def document() -> Json:
    """The whole description as JSON data. HEAD is answered wherever GET is, and not listed."""
    problem = {problems.MEDIA_TYPE: {"schema": reference("Problem")}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "steering",
            "description": "Read-only view of a controller that steers Multipath TCP through MCPs.",
            "version": API_VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}],
        "paths": {route.path: {"get": _operation(route)} for route in ROUTES},
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "responses": {
                str(int(status)): {"description": problems.phrase(status), "content": problem}
                for status in sorted([*_EVERYWHERE, HTTPStatus.NOT_FOUND])
            },
            "schemas": SCHEMAS,
        },
    }


def text() -> str:
    """The description as the committed file holds it."""
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
