"""Weights of links that an operator has set (D-1.d). They are stored, since a controller that starts again must not lead
traffic back to a link from which an operator has moved it."""

import json
import math

from steering.store.interface import Store
from steering.store.json_text import damaged, read_json

FILE = "links.json"
MOST_LINKS = 65_536
MOST_WEIGHT = 1_000_000


class LinkWeights:
    """`weights`: link name -> weight; callers only read it. The constructor raises StateError for a stored value that this
    program did not write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.weights = _read(store)

    def put(self, name: str, weight: float | None) -> None:
        """Set the weight of a link; None: the site file's weight counts again. Raises StateError, and then nothing is
        changed."""
        changed = {other: one for other, one in self.weights.items() if other != name}
        if weight is not None:
            changed[name] = weight
        self._store.write(FILE, json.dumps(changed))
        self.weights = changed


def _read(store: Store) -> dict[str, float]:
    told = read_json(store, FILE)
    if told is None:
        return {}
    if not isinstance(told, dict) or len(told) > MOST_LINKS or not all(map(_is_weight, told.values())):
        raise damaged(FILE)
    return {name: float(weight) for name, weight in told.items()}


def _is_weight(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 < value <= MOST_WEIGHT  # type: ignore[arg-type,operator]
