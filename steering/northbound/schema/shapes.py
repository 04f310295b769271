"""Pieces of JSON Schemas (2020-12), from which those of bodies are put together."""

from typing import Any

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}
FLAG: Json = {"type": "boolean"}


def closed(optional: dict[str, Json] | None = None, **properties: Json) -> Json:
    """A closed object; all properties but the `optional` are there."""
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
    """A pointer to a schema of this module as OpenAPI places it."""
    return {"$ref": f"#/components/schemas/{name}"}


def described(schema: Json, description: str) -> Json:
    return {**schema, "description": description}
