"""Where a reader is in the events of each controller of a cluster, and how an event's id says it.

`c2:1a2b3c4d0-17,c1:99aabbcc0-4`: event 17 of c2, by a reader that has seen c1's up to 4. So the last event that was seen is
enough to go on at any other controller.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from steering.model.cluster import MOST_MEMBERS
from steering.northbound.http.parameters import CONTROLLER_NAME, Parameter

_HERE = r"([0-9a-f]{9,24})-([0-9]{1,18})"
_ONE = re.compile(_HERE, re.ASCII)
_PART = re.compile(rf"({CONTROLLER_NAME}):{_HERE}", re.ASCII)
_RUN = re.compile(r"[0-9a-f]{9,24}", re.ASCII)
LAST_NUMBER = 10**18 - 1


class Position(NamedTuple):
    """After event `number` of a `run`: a time in which somebody listened to a controller without a break, so that no event was
    left out."""

    run: str
    number: int

    def __str__(self) -> str:
        return f"{self.run}-{self.number}"

    @property
    def is_one(self) -> bool:
        """Whether a controller could say it."""
        return _RUN.fullmatch(self.run) is not None and 0 <= self.number <= LAST_NUMBER


def _position(text: str) -> Position:
    """Raises ValueError."""
    found = _ONE.fullmatch(text)
    if found is None:
        raise ValueError("a position in a controller's events is wanted")
    return Position(found[1], int(found[2]))


AFTER = Parameter("after", "The last event that another controller has", {"type": "string"}, None, _position)


def positions(text: str) -> dict[str, Position] | None:
    """What an event's id says, by controller; None for what is no such id."""
    found: dict[str, Position] = {}
    parts = text.split(",", MOST_MEMBERS)
    for part in parts[:MOST_MEMBERS]:
        one = _PART.fullmatch(part)
        if one is None or one[1] in found:
            return None
        found[one[1]] = Position(one[2], int(one[3]))
    return None if len(parts) > MOST_MEMBERS else found


def event_id(of: str, seen: Mapping[str, Position]) -> str:
    """The id of an event of controller `of`, which comes first."""
    names = sorted(seen, key=lambda name: (name != of, name))
    return ",".join(f"{name}:{seen[name]}" for name in names)
