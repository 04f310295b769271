"""Copies of segments that came before all controllers knew of a switch's new owner.

A switch obeys its new owner at once. Others learn of that from etcd, and who decided for the switch until then learns it from the switch's
role, a moment later. A copy that comes in between is refused, as its sender is not known as the owner, or is sent to the owner of before.
It is the only one: without a SYN/ACK's key no join of its session would ever be known, and without a FIN its session would stay until it is
idle. So copies are kept for a moment, and taken again when owners change.
"""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

MOST = 1_024  # most copies of one controller; of more, the oldest are forgotten
MOST_CONTROLLERS = 16

Copy = TypeVar("Copy")


class EarlyCopies(Generic[Copy]):
    """The copies, by the controller that passed them on, each with the time until which it is kept."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[tuple[float, Copy]]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def keep(self, name: str, copy: Copy, until: float) -> None:
        """Keep a copy that controller `name` has passed on. `until`: SETTLED seconds after it came."""
        copies = self._of.setdefault(name, deque(maxlen=MOST))
        copies.append((until, copy))
        if len(self._of) > MOST_CONTROLLERS:
            self._of.popitem(last=False)

    def take(self, now: float) -> list[tuple[str, Copy, float]]:
        """Remove and return all copies that are not too old, in the order in which they came, each with its controller and the time until
        which it is kept: more owners may change, so what is of no use yet has to be kept again."""
        self.expire(now)
        found = [(name, copy, until) for name, copies in self._of.items() for until, copy in copies]
        self._of.clear()
        return found

    def expire(self, now: float) -> None:
        """Forget the copies whose time is over."""
        for name, copies in list(self._of.items()):
            while copies and copies[0][0] <= now:
                copies.popleft()
            if not copies:
                del self._of[name]
