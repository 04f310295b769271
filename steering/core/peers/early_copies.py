"""Copies of segments that came before all controllers knew of a switch's new owner.

A switch obeys its new owner at once. The other controllers learn of the new owner from etcd a moment later, and the former owner learns of
it from the switch's role. A copy that the new owner passes on in this moment is refused, because its sender is not known as the owner. A
copy for the new owner is sent to the former one. No copy comes twice: without the key of its SYN/ACK, no join of a session can ever be
recognised, and without its FIN, a session stays until it is idle. So copies are kept for a moment, and tried again when owners change.
"""

from collections import OrderedDict, deque
from typing import Generic, TypeVar

MOST = 1_024  # most copies of one controller; the oldest are forgotten first
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
        """Remove and return all copies that are not too old, in the order in which they came. Each comes with its controller, and with the
        time until which it may be kept. If a copy is of no use yet, the caller keeps it again: more owners may change."""
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
