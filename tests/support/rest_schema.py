"""Checks JSON data against the subset of JSON Schema that the northbound's schemas use."""

from collections.abc import Iterator
from typing import Any

KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KNOWN = frozenset(
    "$ref anyOf type enum properties required items additionalProperties description "
    "minimum maximum minLength maxLength default title format".split()
)


def faults(schema: dict[str, Any], value: Any, schemas: dict[str, Any], at: str = "$") -> Iterator[str]:
    """Where `value` is not what `schema` says, as `path: what`; `schemas` resolves references."""
    assert set(schema) <= KNOWN, f"{at}: this check does not know {set(schema) - KNOWN}"
    if "$ref" in schema:
        yield from faults(schemas[schema["$ref"].rsplit("/", 1)[1]], value, schemas, at)
        return
    if "anyOf" in schema:
        if all(list(faults(one, value, schemas, at)) for one in schema["anyOf"]):
            yield f"{at}: {value!r} is none of the alternatives"
        return
    kind = schema.get("type")
    if isinstance(kind, list):
        if not any(isinstance(value, KINDS[one]) for one in kind):
            yield f"{at}: {value!r} is none of {kind}"
        return
    if kind and (not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{at}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is not in {schema['enum']}"
    if kind == "object":
        yield from _in_object(schema, value, schemas, at)
    if kind == "array":
        for index, item in enumerate(value):
            yield from faults(schema["items"], item, schemas, f"{at}[{index}]")


def _in_object(
    schema: dict[str, Any], value: dict[str, Any], schemas: dict[str, Any], at: str
) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}: {name} is missing"
    for name, item in value.items():
        if name in schema.get("properties", {}):
            yield from faults(schema["properties"][name], item, schemas, f"{at}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{at}: {name} is not declared"
        elif "additionalProperties" in schema:
            yield from faults(schema["additionalProperties"], item, schemas, f"{at}.{name}")
