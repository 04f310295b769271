"""Stores the numbers of MCPs' and waypoints' names (model.numbers) in `numbers.json`, so that the next controller uses the
same ones."""

import json
from typing import Any

from steering.model.numbers import NUMBERS, Numbers, NumbersByName
from steering.store.interface import Store
from steering.store.json_text import damaged, read_json

NAME = "numbers.json"
ADVICE = "restore it, or remove it: names whose hashes differ get the same numbers again"
FORMAT = 1
MOST_NAME = 256  # characters


def read_numbers(store: Store) -> Numbers:
    """The stored numbers. Raises StateError for a value that this program did not write."""
    told = read_json(store, NAME, ADVICE)
    if told is None:
        return Numbers()
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise damaged(NAME, ADVICE)
    return Numbers(_each(told.get("mcps")), _each(told.get("waypoints")))


def write_numbers(store: Store, numbers: Numbers) -> None:
    """Store numbers in place of earlier ones. Raises StateError."""
    kept = {"format": FORMAT, "mcps": dict(numbers.mcps), "waypoints": dict(numbers.waypoints)}
    store.write(NAME, json.dumps(kept, separators=(",", ":")))


def _each(told: Any) -> NumbersByName:
    """The checked numbers of one kind. Raises StateError, also where two names have one number."""
    sound = (
        isinstance(told, dict)
        and len(told) <= NUMBERS
        and all(len(name) <= MOST_NAME for name in told)
        and all(type(number) is int and 0 < number <= NUMBERS for number in told.values())
        and len(set(told.values())) == len(told)
    )
    if not sound:
        raise damaged(NAME, ADVICE)
    return dict(told)
