"""How long this machine keeps waiting who wants to run: what a bound in seconds that is promised to users has to leave aside."""

import threading
import time
from bisect import bisect_right
from typing import Self

STEP_S = 0.01


class Lateness:
    """By how much a thread that wants to run each STEP_S was late, while the context lasts.

    Times are of the machine's monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        self._times: list[float] = []  # at which the thread ran
        self._sums: list[float] = []  # what it was late until then
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.ran(time.monotonic())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)

    def during(self, begin: float, end: float) -> float:
        """Between two times, both while the context lasts. Who asks may be let run again before the thread is: it is late then,
        too."""
        return self._until(end) - self._until(begin)

    def during_wall(self, begin: float, end: float) -> float:
        """The same between two times of the clock that captures have, in seconds since 1970."""
        shift = time.time() - time.monotonic()
        return self.during(begin - shift, end - shift)

    def _until(self, at: float) -> float:
        place = bisect_right(self._times, at) - 1
        return 0.0 if place < 0 else self._sums[place] + max(0.0, at - self._times[place] - STEP_S)

    def ran(self, now: float) -> None:
        """The thread runs, as it wanted STEP_S after the last time."""
        self._sums.append(self._until(now))
        self._times.append(now)

    def _run(self) -> None:
        while not self._over.wait(STEP_S):
            self.ran(time.monotonic())


class Silence:
    """The longest time between two things that were heard. `longest_s`: as it was. `own_s`: the longest by what is left of each
    without what the machine was late meanwhile, so that one long silence of a busy machine hides none of its own."""

    def __init__(self, late: Lateness, since: float) -> None:
        self._late, self._heard = late, since
        self.longest_s = self.own_s = 0.0

    def ends(self, now: float) -> float:
        """Something was heard, or nobody listens any more; this silence's own seconds."""
        gap = now - self._heard
        own = gap - self._late.during(self._heard, now)
        self.longest_s, self.own_s = max(self.longest_s, gap), max(self.own_s, own)
        self._heard = now
        return own
