"""Which switches this controller has lost, by share, so that a share goes to a member that has them.

A connection comes and goes, and not at all members in one moment. So a switch counts as lost only after a while, and a member
whose connection was lost, or is back since a short time only, is none that a share should go to. A controller that has just
started has lost nothing, as its switches connect when they are ready; it has not shown either that it can have them.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable

from steering.cluster.shares import share_of
from steering.model.cluster import SwitchLack
from steering.model.ids import DatapathId

LOST = (
    4.0  # seconds without a connection until a switch counts as lost: longer than members differ in noticing
)
BACK = (
    10.0  # seconds of a connection that was lost before, until it counts as steady; switches try that often
)
START = 30.0  # seconds in which a switch may connect for the first time
STALL = 2.0  # seconds between two looks above which this process was busy, and for which it reads then what came meanwhile


class SwitchReach:
    """`shares`: how many the cell has."""

    def __init__(self, shares: int) -> None:
        self._shares = shares
        self._first: dict[DatapathId, float] = {}  # never connected, and since when that is waited for
        self._lost: dict[DatapathId, float] = {}  # since when
        self._back: dict[DatapathId, float] = {}  # since when
        self._steady: set[DatapathId] = set()
        self._looked = math.inf
        self._judges_from = 0.0

    def look(
        self, named: Iterable[DatapathId], heard: Collection[DatapathId], now: float
    ) -> dict[str, SwitchLack]:
        """By share, of which switches are lacked. `named`: those of the site; `heard`: those with a connection that carries
        something."""
        if now > self._looked + STALL:
            self._judges_from = now + STALL
        self._looked = now
        lost, unsteady, unproved = Counter[str](), Counter[str](), Counter[str]()
        for dpid in named:
            self._note(dpid, dpid in heard, now)
            if dpid not in self._steady:
                share = share_of(dpid, self._shares)
                unproved[share] += 1
                unsteady[share] += dpid not in self._first
                lost[share] += dpid in self._lost and now >= self._lost[dpid] + LOST
        return {
            share: SwitchLack(lost[share], unsteady[share], count)
            for share, count in sorted(unproved.items())
        }

    def _note(self, dpid: DatapathId, is_heard: bool, now: float) -> None:
        if is_heard and dpid in self._lost:
            del self._lost[dpid]
            self._back[dpid] = now
        elif is_heard and dpid in self._back:
            if now >= self._back[dpid] + BACK:
                del self._back[dpid]
                self._steady.add(dpid)
        elif is_heard:
            self._first.pop(dpid, None)
            self._steady.add(dpid)
        elif now < self._judges_from:
            pass  # this process heard nobody: that is not the switch's silence
        elif dpid in self._steady or dpid in self._back:
            self._steady.discard(dpid)
            self._back.pop(dpid, None)
            self._lost[dpid] = now
        elif dpid not in self._lost and now >= self._first.setdefault(dpid, now) + START:
            del self._first[dpid]
            self._lost[dpid] = now
