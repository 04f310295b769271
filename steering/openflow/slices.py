"""Work of the engine that is too much for one go: a slice each time all others had their turn."""

import logging
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TypeVar

from os_ken.lib import hub

LOOK = 0.25  # seconds between looks whether the application still runs

T = TypeVar("T")

log = logging.getLogger(__name__)


def in_turns(
    items: Iterable[T],
    do: Callable[[T], None],
    turn: float,
    pause: Callable[[], None],
    clock: Callable[[], float] = monotonic,
) -> None:
    """`do` each of `items`; each time `turn` seconds are over, `pause` lets others have theirs."""
    ends = clock() + turn
    for item in items:
        do(item)
        if clock() >= ends:
            pause()
            ends = clock() + turn


class Slices:
    """`go_on` does one slice, and calls `wish` if there is more. Between two slices the hub serves every connection
    that has something to read, so a SYN waits for one slice at most."""

    def __init__(self, go_on: Callable[[], None]) -> None:
        self._go_on = go_on
        self._wished = hub.Event()

    def wish(self) -> None:
        """There is more to do."""
        self._wished.set()

    def run(self, is_active: Callable[[], bool]) -> None:
        """The loop of a thread of its own."""
        while is_active():
            # The application ends only when this thread has: it must not wait for work that never comes.
            if not self._wished.wait(LOOK):
                continue
            self._wished.clear()
            hub.sleep(0)
            try:
                self._go_on()
            except Exception:
                log.exception("the work in slices failed")
