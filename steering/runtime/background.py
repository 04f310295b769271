"""Work of REST that takes long, in a thread beside the switches': one piece at a time.

A thread computes only while the switches' thread does not, and gives way when that one wants to go on: after Python's
switch interval, which is 5 ms unless one says otherwise. With many such threads each would have its turn first.
"""

import sys
from collections.abc import Callable
from typing import TypeVar

from eventlet import tpool
from eventlet.semaphore import Semaphore

GIVES_WAY = 0.0005  # seconds for which the switches' thread waits for one that computes

T = TypeVar("T")


class Background:
    """Callers wait for their turn, and their greenthreads are few."""

    def __init__(self) -> None:
        self._one = Semaphore(1)

    def __call__(self, function: Callable[..., T], *args: object) -> T:
        """What the function returns or raises."""
        with self._one:
            done: T = tpool.execute(function, *args)
            return done


def give_way() -> None:
    """Let threads that compute give way soon."""
    sys.setswitchinterval(GIVES_WAY)
