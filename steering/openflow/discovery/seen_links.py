"""Bounds how many different links are ever believed.

Each link that was seen once takes memory until the controller ends: the record of its loss, the last change of its edge in the graph, and
its place among the expected things. If the site allows switches that it does not name, anybody can bring any number of datapath ids, and
relay announcements between them. Links between named switches have a bound of their own, so strangers cannot use it up.
"""

from collections import Counter
from collections.abc import Collection

from steering.model.ids import DatapathId
from steering.model.network import PortRef

MOST_OF_SWITCH = (
    8_192  # directions that begin at one named switch: twice as many as it may have ports at once
)
MOST_OF_STRANGERS = 32_768  # directions of links that begin or end at a switch that the site does not name


class SeenLinks:
    """The directions of links that were seen. `named`: the switches that the site names, None for all."""

    def __init__(self, named: Collection[DatapathId] | None) -> None:
        self._named = None if named is None else frozenset(named)
        self._seen: set[tuple[PortRef, PortRef]] = set()
        self._of_switch: Counter[DatapathId] = Counter()  # of named switches only, which bounds it
        self._of_strangers = 0

    def takes(self, near: PortRef, far: PortRef) -> bool:
        """Whether the link from `near` to `far` was seen before, or may be one more."""
        if (near, far) in self._seen:
            return True
        if self._named is None or (near.dpid in self._named and far.dpid in self._named):
            if self._of_switch[near.dpid] >= MOST_OF_SWITCH:
                return False
            self._of_switch[near.dpid] += 1
        elif self._of_strangers >= MOST_OF_STRANGERS:
            return False
        else:
            self._of_strangers += 1
        self._seen.add((near, far))
        return True
