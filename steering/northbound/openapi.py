"""The OpenAPI 3.1 description, made from the route table.

`python -m steering.northbound.openapi > steering/northbound/openapi.json` renews the committed copy;
a test fails when the two differ.
"""

import json
import re
import sys
from http import HTTPStatus
from typing import Any

from steering.northbound.http import problems
from steering.northbound.http.exchange import JSON_TYPE, MAX_ID, YAML_TYPE, RestRoute, Uses
from steering.northbound.resources.routes import ROUTES
from steering.northbound.schema.answers import SCHEMAS
from steering.northbound.schema.shapes import reference

Json = dict[str, Any]

API_VERSION = "1"
_EVERYWHERE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.LENGTH_REQUIRED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUEST_URI_TOO_LONG,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)
_OF_USES = {
    Uses.IF_MATCH: (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED),
    Uses.SEQUENCE: (HTTPStatus.CONFLICT,),
    Uses.STATE: (HTTPStatus.CONFLICT,),
    Uses.LOOKUP: (HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    Uses.PEERS: (HTTPStatus.SERVICE_UNAVAILABLE,),
    Uses.STREAM: (HTTPStatus.SERVICE_UNAVAILABLE,),
}
_OF_BODY = (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY)
_PLACEHOLDER = re.compile(r"{(\w+)}")


def errors_of(route: RestRoute) -> list[HTTPStatus]:
    """Every error status that a route may answer with, in order."""
    found = {*_EVERYWHERE}
    for use, statuses in _OF_USES.items():
        if use in route.uses:
            found.update(statuses)
    if route.takes is not None:
        found.update(_OF_BODY)
    if route.changes:
        found.add(HTTPStatus.SERVICE_UNAVAILABLE)  # a change that cannot be stored
    if _PLACEHOLDER.search(route.path) or route.name == "rollback":
        found.add(HTTPStatus.NOT_FOUND)
    return sorted(found)


def _parameters(route: RestRoute) -> list[Json]:
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_ID}
    found: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in _PLACEHOLDER.findall(route.path)
    ]
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
    if Uses.IF_MATCH in route.uses:
        found.append(_header("If-Match", "The ETag of what is replaced, or *", route.name != "put_policy"))
    if Uses.STREAM in route.uses:
        found.append(_header("Last-Event-ID", "The last event that was seen", False))
    return found


def _header(name: str, description: str, required: bool) -> Json:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


def _request(takes: type) -> Json:
    if takes is str:
        content: Json = {
            YAML_TYPE: {"schema": {"type": "string"}},
            JSON_TYPE: {"schema": {"type": "object"}},
        }
    else:
        content = {JSON_TYPE: {"schema": reference(takes.__name__)}}
    return {"required": True, "content": content}


def _body(route: RestRoute) -> Json:
    if route.schema is not None:
        return reference(route.schema)
    return {"type": "object"} if route.media_type == JSON_TYPE else {"type": "string"}


def _operation(route: RestRoute) -> Json:
    answers: Json = {
        str(int(route.status)): {
            "description": route.summary,
            "content": {route.media_type: {"schema": _body(route)}},
        }
    }
    for status in errors_of(route):
        answers[str(int(status))] = {"$ref": f"#/components/responses/{int(status)}"}
    roles = ", ".join(sorted(route.roles))
    operation: Json = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"Roles: {roles}.",
    }
    if found := _parameters(route):
        operation["parameters"] = found
    if route.takes is not None:
        operation["requestBody"] = _request(route.takes)
    operation["responses"] = answers
    return operation


def _paths() -> Json:
    found: Json = {}
    for route in ROUTES:
        found.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return found


def document() -> Json:
    """The whole description as JSON data. HEAD is answered wherever GET is, and not listed."""
    problem = {problems.MEDIA_TYPE: {"schema": reference("Problem")}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "steering",
            "description": "A controller that steers Multipath TCP through MCPs: what it does, and what it is told.",
            "version": API_VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "responses": {
                str(int(status)): {"description": problems.phrase(status), "content": problem}
                for status in sorted({status for route in ROUTES for status in errors_of(route)})
            },
            "schemas": SCHEMAS,
        },
    }


def text() -> str:
    """The description as the committed file holds it."""
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
