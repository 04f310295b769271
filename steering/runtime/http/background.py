"""Runs long work of REST in a thread beside the thread that serves switches: one piece at a time.

Only one Python thread computes at a time. When the switches' thread wants to go on, a computing thread gives way after
Python's switch interval, which is 5 ms by default. With many computing threads, the switches' thread would wait for
several of them.
"""

import sys
from collections.abc import Callable
from typing import TypeVar

from eventlet import tpool
from eventlet.semaphore import Semaphore

GIVES_WAY = (
    0.0005  # seconds that the switches' thread waits for a computing thread (Python's switch interval)
)

T = TypeVar("T")


class Background:
    """Runs one function at a time in a thread. Callers wait in their greenthreads for their turn."""

    def __init__(self) -> None:
        self._one = Semaphore(1)

    def __call__(self, function: Callable[..., T], *args: object) -> T:
        """Run `function`. Returns what the function returns, or raises what it raises."""
        with self._one:
            done: T = tpool.execute(function, *args)
            return done


def give_way() -> None:
    """Set Python's switch interval to GIVES_WAY, so that computing threads give way soon."""
    sys.setswitchinterval(GIVES_WAY)
