"""Checks JSON from another controller against the schemas of the API, since another controller is not trusted."""

import json
from typing import Any

from steering.model.view import Pause, no_pause
from steering.northbound.schema.answers import SCHEMAS
from steering.northbound.schema.member_events import EVENTS

Json = dict[str, Any]

LOOKED_AT_ONCE = 64  # elements of a list that are checked between two pauses
_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_OF_PEERS = SCHEMAS | EVENTS


def answer_of(data: bytes, schema: str, pause: Pause = no_pause) -> Json | None:
    """The object in a JSON text that fits the schema of this name, one of the API or of `member_events`. None for anything
    else. `pause` lets other threads run."""
    try:
        found = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return found if _fits(found, _OF_PEERS[schema], pause) else None


def _no_number(word: str) -> float:
    raise ValueError(word)


def _fits(value: Any, schema: Json, pause: Pause) -> bool:
    """Whether a value fits a schema. Only the JSON Schema keywords that `shapes` uses are known; what a schema leaves open
    is accepted."""
    if "$ref" in schema:
        return _fits(value, SCHEMAS[schema["$ref"].rsplit("/", 1)[1]], pause)
    if "anyOf" in schema:
        return any(_fits(value, one, pause) for one in schema["anyOf"])
    kind = schema.get("type")
    if kind is None:
        return True
    if type(value) not in _KINDS[kind]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if kind == "array":
        return _elements_fit(value, schema["items"], pause)
    return kind != "object" or _members_fit(value, schema, pause)


def _elements_fit(values: list[Any], schema: Json, pause: Pause) -> bool:
    for at, one in enumerate(values, 1):
        if not _fits(one, schema, pause):
            return False
        if not at % LOOKED_AT_ONCE:
            pause()
    return True


def _members_fit(value: Json, schema: Json, pause: Pause) -> bool:
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    if any(name not in value for name in schema.get("required", ())):
        return False
    for name, item in value.items():
        wanted = known.get(name, more)
        if wanted is False or (isinstance(wanted, dict) and not _fits(item, wanted, pause)):
            return False
    return True
