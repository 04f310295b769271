"""Pieces of JSON Schemas (2020-12) from which the other modules of this package build the schemas of bodies."""

from typing import Any

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}
FLAG: Json = {"type": "boolean"}


def closed(optional: dict[str, Json] | None = None, **properties: Json) -> Json:
    """A closed object: all `properties` are required, those of `optional` may be absent, others are not allowed."""
    return {
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


def listed(items: Json) -> Json:
    return {"type": "array", "items": items}


def maybe(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(*values: str) -> Json:
    return {"type": "string", "enum": list(values)}


def reference(name: str) -> Json:
    """A reference to a schema by name, where OpenAPI places it."""
    return {"$ref": f"#/components/schemas/{name}"}


def described(schema: Json, description: str) -> Json:
    return {**schema, "description": description}
