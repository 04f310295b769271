"""Validates the data of a document by a pydantic schema: all errors in plain words, and the data without the wrong
parts."""

import typing
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from steering.policy.language.fields import kind_of
from steering.policy.language.findings import Code, Path, PlacelessFinding, nearest, quoted

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Salvage(Generic[Model]):
    """A model of the data without the wrong parts. `numbers`: index in the file of each list item that is left.
    `lost`: sections of which something was left out."""

    model: Model | None
    numbers: dict[str, list[int]]
    lost: set[str]


_CODES = frozenset(Code)

_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list ([a, b])",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}

_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}

MAX_PROBLEMS = 2000  # most errors that are taken from pydantic; more than ten times as many as are shown

EmptyMapping = BeforeValidator(lambda value: {} if value is None else value)
"""A section whose keys are all commented out is an empty section."""
EmptyList = BeforeValidator(lambda value: [] if value is None else value)


class StrictModel(BaseModel):
    """The base class of every part of a file. It refuses unknown keys, and converts no values."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def check(schema: type[Model], data: dict[str, Any]) -> tuple[Model | None, list[PlacelessFinding]]:
    """The validated model, or None and all problems of `data`."""
    try:
        return schema.model_validate(data), []
    except ValidationError as error:
        details = error.errors(include_url=False)[:MAX_PROBLEMS]
        return None, [
            _problem(schema, detail, data) for detail in details if not _echo(schema, detail, details)
        ]


def _problem(schema: type[BaseModel], detail: ErrorDetails, data: dict[str, Any]) -> PlacelessFinding:
    path, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    at_key = (
        bool(path) and path[-1] == "[key]"
    )  # pydantic marks so that the problem is about a key of a mapping
    path = _as_written(path[:-1] if at_key else path, data)
    shown = quoted(path[-1]) if path else "the file"
    if kind == "extra_forbidden":
        suggestion = nearest(path[-1], _keys_at(schema, path[:-1]))
        return PlacelessFinding(path, Code.UNKNOWN_KEY, f"unknown key {shown}", suggestion, at_key=True)
    if kind == "missing":
        return PlacelessFinding(path[:-1], Code.MISSING_KEY, f"key {shown} is missing")
    where = _where(path)
    if kind in _CODES:
        return PlacelessFinding(
            path, Code(kind), f"{where}: {context['words']}", context["suggestion"], at_key
        )
    if kind in _WANTED:
        return PlacelessFinding(
            path, Code.WRONG_TYPE, f"{where} must be {_WANTED[kind]}, not {kind_of(detail['input'])}"
        )
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return PlacelessFinding(
            path, Code.OUT_OF_RANGE, f"{where} must be {words} {context[key]:g}, not {detail['input']:g}"
        )
    if kind == "too_short":
        return PlacelessFinding(
            path, Code.OUT_OF_RANGE, f"{where} must hold at least {context['min_length']}"
        )
    if kind == "too_long":
        return PlacelessFinding(path, Code.OUT_OF_RANGE, f"{where} may hold {context['max_length']} at most")
    return PlacelessFinding(path, Code.BAD_VALUE, f"{where}: {detail['msg']}")


def _as_written(path: Path, data: Any) -> Path:
    """The path as in the file: where a single value stands for a list, it has no index."""
    kept: list[str | int] = []
    for part in path:
        if isinstance(part, int) and not isinstance(data, list):
            continue
        kept.append(part)
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list):
            data = data[part] if isinstance(part, int) and part < len(data) else None
    return tuple(kept)


def _where(path: Path) -> str:
    """`ports (item 2)` for ("mcps", 0, "ports", 1): the last key, and the index in its list counted from 1."""
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    item = f" (item {path[-1] + 1})" if path and isinstance(path[-1], int) else ""
    return f"{quoted(key).strip(chr(39))}{item}"


def salvage(
    schema: type[Model], data: dict[str, Any], problems: list[PlacelessFinding], given: dict[str, Any]
) -> Salvage[Model]:
    """The data without the list items, mapping entries and keys in which problems lie.

    A misspelt key counts as the key that was meant. Of a key that means nothing only the key is left out, so that
    further mistakes of its item are found too. `given`: values that replace required ones, such as the version."""
    data, problems = _as_meant(data, problems)
    numbers = {key: list(range(len(value))) for key, value in data.items() if isinstance(value, list)}
    lost: set[str] = set()
    out: set[tuple[str, int]] = set()
    kept = dict(data)
    paths = [problem.path for problem in problems]
    for _ in range(2):  # a key that was meant may have a wrong value
        for path in filter(None, paths):
            section, rest = str(path[0]), path[1:]
            lost.add(section)
            if rest and isinstance(rest[0], int) and section in numbers:
                out.add((section, rest[0]))
            elif rest and isinstance(kept.get(section), dict):
                kept[section] = {key: value for key, value in kept[section].items() if key != rest[0]}
            else:
                kept.pop(section, None)
        left = {
            section: [n for n in places if (section, n) not in out] for section, places in numbers.items()
        }
        trimmed = {section: [data[section][n] for n in left[section]] for section in left if section in kept}
        try:
            return Salvage(schema.model_validate(kept | trimmed | given), left, lost)
        except ValidationError as error:
            details = error.errors(include_url=False)[:MAX_PROBLEMS]
            paths = [_in_file(_as_written(detail["loc"], kept | trimmed), left) for detail in details]
    return Salvage(None, left, lost)


def _in_file(path: Path, left: dict[str, list[int]]) -> Path:
    """A path in the data that are left, as a path in the file."""
    if len(path) > 1 and isinstance(path[1], int) and path[0] in left:
        return (path[0], left[str(path[0])][path[1]], *path[2:])
    return path


def _as_meant(
    data: dict[str, Any], problems: list[PlacelessFinding]
) -> tuple[dict[str, Any], list[PlacelessFinding]]:
    """The data without unknown keys, and the problems that remain.

    A rule with an unknown key stays as it is and is left out as a whole later, since what it would match is not
    known."""
    copy = deepcopy(data)
    unsolved = []
    for problem in problems:
        holder: Any = copy
        for part in problem.path[:-1]:
            inside = isinstance(holder, dict) or (isinstance(holder, list) and isinstance(part, int))
            holder = holder[part] if inside else None
        known = (
            problem.suggestion is not None and isinstance(holder, dict) and problem.suggestion not in holder
        )
        if (
            problem.code is not Code.UNKNOWN_KEY
            or not isinstance(holder, dict)
            or problem.path[-1] not in holder
            or problem.path[0] == "rules"
        ):
            unsolved.append(problem)
            continue
        value = holder.pop(problem.path[-1])
        if known:
            holder[problem.suggestion] = value
    return copy, unsolved


def _echo(schema: type[BaseModel], detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether a missing key is reported as a misspelling already, so that it is no second mistake."""
    if detail["type"] != "missing":
        return False
    parent = detail["loc"][:-1]
    known = _keys_at(schema, parent)
    return any(
        other["type"] == "extra_forbidden"
        and other["loc"][:-1] == parent
        and nearest(other["loc"][-1], known) == detail["loc"][-1]
        for other in details
    )


def _keys_at(schema: type[BaseModel], path: Path) -> list[str]:
    """The keys that the mapping at `path` may have."""
    current: type[BaseModel] | None = schema
    for part in path:
        if current is None:
            return []
        if isinstance(part, str):
            field = next((f for name, f in current.model_fields.items() if part == (f.alias or name)), None)
            current = _model_in(field.annotation) if field else None
    return [field.alias or name for name, field in current.model_fields.items()] if current else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model inside an annotation such as `list[X]` or `X | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in typing.get_args(annotation) if (found := _model_in(inner))), None)
