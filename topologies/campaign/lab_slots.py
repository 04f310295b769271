"""Which labs may run side by side: a few at a time, or one alone. Labs that run together slow each other down."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class LabSlots:
    """Lets in as many guests as are allowed, or one guest that must be alone. Guests wait in the order in which they
    came."""

    def __init__(self, most: int) -> None:
        self._changed = threading.Condition()
        self._most = most
        self._queue: list[object] = []
        self._inside = 0
        self._alone = False

    @contextmanager
    def entered(self, alone: bool) -> Iterator[None]:
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: self._queue[0] is ticket and self._open(alone))
            self._queue.remove(ticket)
            self._inside += 1
            self._alone = alone
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._alone = False
                self._changed.notify_all()

    def _open(self, alone: bool) -> bool:
        if self._alone or not self._most:
            return False
        return not self._inside if alone else self._inside < self._most

    def allow(self, most: int) -> None:
        """Allow `most` guests at a time from now on. With 0 the call returns once nobody is inside."""
        with self._changed:
            self._most = most
            self._changed.notify_all()
            if not most:
                self._changed.wait_for(lambda: not self._inside)
