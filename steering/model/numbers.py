"""Numbers of 16 bits that names get: labels carry those of waypoints, cookies those of MCPs.

Both outlive the controller in switches, so a name keeps the number that it was given, and nobody else gets it. Which number a new
name gets depends on neither the order of a file nor the order in which things were seen: the first 16 bits of its hash or, where
another name has those already, the next that are free. So a controller whose state was lost gives the same numbers, except
to names that shared a hash with one that came later.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

NUMBERS = 0xFFFF  # 0 is no number: NO_MCP, NO_WAYPOINT
MOST_RETIRED = 4_096  # names whose things are gone, and whose numbers entries in switches may still carry

Numbered = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers that were given. `mcps`: by name. `waypoints`: by name and port, as model.network.waypoint_key has them."""

    mcps: Numbered = field(default_factory=dict)
    waypoints: Numbered = field(default_factory=dict)


def stable_id(name: str) -> int:
    """The number of 16 bits that a name gets unless another has it, never 0."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big") or 1


def numbered(names: Iterable[str], kept: Numbered) -> dict[str, int]:
    """The numbers of all these names, and of those in `kept` that are not among them; of the latter the last MOST_RETIRED, or as many
    as there is room for. There may be at most NUMBERS names."""
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
