"""Checks data against the part of JSON Schema that policies/schema.json uses; an unknown word is an error."""

import re
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
NOTES = frozenset({"title", "description", "default", "$schema", "$defs"})
CHECKED = frozenset(
    "$ref anyOf oneOf type const enum pattern minimum maximum exclusiveMinimum properties required items "
    "additionalProperties patternProperties propertyNames minItems maxItems minProperties maxProperties".split()
)

Json = dict[str, Any]


def faults(schema: Json, value: Any, defs: dict[str, Json], at: str = "") -> Iterator[str]:
    """Where `value` is not what `schema` says, as `path: what`."""
    assert set(schema) <= NOTES | CHECKED, f"{at}: this check does not know {set(schema) - NOTES - CHECKED}"
    if "$ref" in schema:
        yield from faults(defs[schema["$ref"].rsplit("/", 1)[1]], value, defs, at)
    for word in ("anyOf", "oneOf"):
        fitting = [one for one in schema.get(word, ()) if not list(faults(one, value, defs, at))]
        if word in schema and (not fitting or (word == "oneOf" and len(fitting) > 1)):
            yield f"{at}: fits {len(fitting)} of {word}"
    kind = schema.get("type")
    if kind and (not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{at}: is no {kind}"
    elif "const" in schema and value != schema["const"]:
        yield f"{at}: is not {schema['const']}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{at}: is not in {schema['enum']}"
    elif isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{at}: does not fit {schema['pattern']}"
    elif isinstance(value, dict):
        yield from _object(schema, value, defs, at)
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{at}: has {len(value)} items"
        for index, item in enumerate(value):
            yield from faults(schema.get("items", {}), item, defs, f"{at}[{index}]")
    elif isinstance(value, int | float) and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and value > schema.get("exclusiveMinimum", value - 1)
    ):
        yield f"{at}: is out of range"


def _object(schema: Json, value: Json, defs: dict[str, Json], at: str) -> Iterator[str]:
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        yield f"{at}: has {len(value)} keys"
    yield from (f"{at}: lacks {name}" for name in schema.get("required", ()) if name not in value)
    for name, item in value.items():
        yield from faults(schema.get("propertyNames", {}), name, defs, f"{at}.{name} (key)")
        patterns = [p for p in schema.get("patternProperties", {}) if re.search(p, name)]
        if name in schema.get("properties", {}):
            yield from faults(schema["properties"][name], item, defs, f"{at}.{name}")
        elif patterns:
            yield from faults(schema["patternProperties"][patterns[0]], item, defs, f"{at}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{at}: does not know {name}"
        elif isinstance(more := schema.get("additionalProperties"), dict):
            yield from faults(more, item, defs, f"{at}.{name}")
