"""Gives names their 16-bit numbers: labels carry the numbers of waypoints, cookies the numbers of MCPs.

Labels and cookies outlive the controller in switches. Therefore a name keeps the number that it once got, and no other
name gets that number. The number of a new name is the first 16 bits of the name's hash, or the next free number where
another name has these bits. Thus the number depends neither on the order in a file nor on the order of discovery. A
controller that lost its state gives the same numbers again, except to names whose hashes share the first 16 bits.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

NUMBERS = 0xFFFF  # 0 is no number: NO_MCP, NO_WAYPOINT
MOST_RETIRED = 4_096  # names whose things are gone, and whose numbers entries in switches may still carry

NumbersByName = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers given so far. `mcps`: by name. `waypoints`: by model.network.waypoint_key."""

    mcps: NumbersByName = field(default_factory=dict)
    waypoints: NumbersByName = field(default_factory=dict)


def stable_id(name: str) -> int:
    """The 16-bit number, never 0, that a name gets unless another name has that number."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big") or 1


def numbered(names: Iterable[str], kept: NumbersByName) -> dict[str, int]:
    """The numbers of all `names`, at most NUMBERS. `kept`: the numbers given so far.

    The result also has names of `kept` that are not in `names`: the last MOST_RETIRED, or fewer if numbers run short.
    """
    live = set(names)
    retired = [name for name in kept if name not in live]
    room = min(MOST_RETIRED, NUMBERS - len(live))
    retired = retired[max(0, len(retired) - room) :]
    found = {name: kept[name] for name in (*retired, *sorted(live & kept.keys()))}
    taken = set(found.values())
    for name in sorted(live - kept.keys()):
        number = stable_id(name)
        while number in taken:
            number = number % NUMBERS + 1
        taken.add(number)
        found[name] = number
    return found
