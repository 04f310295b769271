"""Positions of a reader in the events of each controller of a cluster, and event ids, which are written from them.

The id `c2:1a2b3c4d0-17,c1:99aabbcc0-4` is that of event 17 of c2, sent to a reader that has seen the events of c1 up to 4. So a
reader that loses its controller can go on at any other one with the id of the last event it saw.
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
    """The place behind event `number` of a `run`. A run is a time in which a controller had listeners without a break, so
    that its numbered events leave out no change."""

    run: str
    number: int

    def __str__(self) -> str:
        return f"{self.run}-{self.number}"

    @property
    def is_one(self) -> bool:
        """Whether run and number have the form that a controller writes."""
        return _RUN.fullmatch(self.run) is not None and 0 <= self.number <= LAST_NUMBER


def _position(text: str) -> Position:
    """Raises ValueError."""
    found = _ONE.fullmatch(text)
    if found is None:
        raise ValueError("a position in a controller's events is wanted")
    return Position(found[1], int(found[2]))


AFTER = Parameter("after", "The last event that another controller has", {"type": "string"}, None, _position)


def positions(text: str) -> dict[str, Position] | None:
    """The positions in an event id, by controller name. None for a text that is no event id."""
    found: dict[str, Position] = {}
    parts = text.split(",", MOST_MEMBERS)
    for part in parts[:MOST_MEMBERS]:
        one = _PART.fullmatch(part)
        if one is None or one[1] in found:
            return None
        found[one[1]] = Position(one[2], int(one[3]))
    return None if len(parts) > MOST_MEMBERS else found


def event_id(of: str, seen: Mapping[str, Position]) -> str:
    """The id of an event of controller `of`. `seen` has the reader's positions; the one of `of` is written first."""
    names = sorted(seen, key=lambda name: (name != of, name))
    return ",".join(f"{name}:{seen[name]}" for name in names)
