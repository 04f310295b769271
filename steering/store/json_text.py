"""Reads JSON of stored values. JSON that is damaged or nested too deep is refused with a StateRefusal."""

import json
from typing import Any

from steering.store.interface import StateError, StateRefusal, Store

MOST_DEPTH = 32  # most lists and objects within each other; values of this program have at most six
ADVICE = "restore it, or remove it to begin without"


def decoded(name: str, text: str, advice: str = ADVICE) -> Any:
    """The data of a JSON text. Raises StateError."""
    try:
        data = json.loads(text)
    except RecursionError:
        raise StateError(
            StateRefusal.TOO_DEEP, f"{name} is none of ours, nested too deep: {advice}"
        ) from None
    except ValueError:
        raise StateError(StateRefusal.DAMAGED, f"{name} is none of ours, no JSON: {advice}") from None
    if is_deep(data):
        raise StateError(StateRefusal.TOO_DEEP, f"{name} is none of ours, nested too deep: {advice}")
    return data


def read_json(store: Store, name: str, advice: str = ADVICE) -> Any:
    """The data of a stored JSON value, None where there is none. Raises StateError."""
    text = store.read(name)
    return None if text is None else decoded(name, text, advice)


def damaged(name: str, advice: str = ADVICE) -> StateError:
    """The error to raise for a value that is JSON, but not one that this program writes."""
    return StateError(StateRefusal.DAMAGED, f"{name} is none of ours: {advice}")


def is_deep(data: Any, most: int = MOST_DEPTH) -> bool:
    """Whether more than `most` lists and objects are nested in each other. The function itself does not recurse."""
    level = [data]
    for _ in range(most + 1):
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True
