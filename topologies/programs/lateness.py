"""Measures how long this busy machine keeps a thread waiting that wants to run. Checks subtract this time from what they
measure, since a bound in seconds that is promised to users must not depend on the load of the lab's machine."""

import threading
import time
from bisect import bisect_right
from typing import Self

STEP_S = 0.01


class Lateness:
    """A context in which a thread wakes every STEP_S seconds and notes how late it was.

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
        """The seconds that the thread was late between two times within the context. If the thread has not woken since its last
        step, the time that it is overdue counts too."""
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
    """The longest silence between two things that were heard. `longest_s`: as measured. `own_s`: the longest of all silences
    after the machine's lateness was subtracted from each, so that a long silence of a busy machine hides no other one."""

    def __init__(self, late: Lateness, since: float) -> None:
        self._late, self._heard = late, since
        self.longest_s = self.own_s = 0.0

    def ends(self, now: float) -> float:
        """End a silence at `now`; its seconds without the machine's lateness."""
        gap = now - self._heard
        own = gap - self._late.during(self._heard, now)
        self.longest_s, self.own_s = max(self.longest_s, gap), max(self.own_s, own)
        self._heard = now
        return own
