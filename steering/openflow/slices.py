"""Long work of the engine, cut into slices. Between two slices all other work gets its turn."""

from collections.abc import Callable, Iterable
from time import monotonic
from typing import TypeVar

from os_ken.lib import hub

from steering.model.standing_work import StandingWork, WorkFaults

LOOK = 0.25  # seconds between checks whether the application still runs

T = TypeVar("T")


def in_turns(
    items: Iterable[T],
    do: Callable[[T], None],
    turn: float,
    pause: Callable[[], None],
    clock: Callable[[], float] = monotonic,
) -> None:
    """Call `do` with each of `items`. After every `turn` seconds, call `pause`, which lets other work have its turn."""
    ends = clock() + turn
    for item in items:
        do(item)
        if clock() >= ends:
            pause()
            ends = clock() + turn


class Slices:
    """Runs slices. `go_on` does one slice, and calls `wish` if there is more to do. Between two slices the hub serves
    every connection that has something to read, so a SYN waits for one slice at most."""

    def __init__(self, go_on: Callable[[], None], faults: WorkFaults) -> None:
        self._go_on = go_on
        self._faults = faults
        self._wished = hub.Event()

    def wish(self) -> None:
        """Note that there is more to do."""
        self._wished.set()

    def run(self, is_active: Callable[[], bool]) -> None:
        """Do slices until the application ends; runs in a thread of its own."""
        while is_active():
            # The application ends only after this thread. So the thread must not wait for ever for work.
            if not self._wished.wait(LOOK):
                continue
            self._wished.clear()
            hub.sleep(0)
            with self._faults.turn(StandingWork.SLICES):
                self._go_on()
