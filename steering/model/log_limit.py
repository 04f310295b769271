"""So many log lines about one subject and no more, with the number of those left out. Pure: time is an argument."""

from collections.abc import Hashable

MAX_SUBJECTS = 65_536


class LogLimit:
    """`burst` lines about a subject, then one each `interval` seconds.

    Bounded: when too many subjects are remembered, all are forgotten, which costs some lines more.
    """

    def __init__(self, interval: float, burst: int = 1) -> None:
        self._interval = interval
        self._burst = burst
        self._subjects: dict[Hashable, list[float]] = {}  # interval's beginning, lines in it, lines left out

    def left_out(self, subject: Hashable, now: float) -> int | None:
        """None where a line about `subject` is not to be written, else how many were left out since the last."""
        state = self._subjects.get(subject)
        if state is None:
            if len(self._subjects) >= MAX_SUBJECTS:
                self._subjects.clear()
            self._subjects[subject] = [now, 1, 0]
            return 0
        if now - state[0] >= self._interval:
            count = int(state[2])
            state[:] = [now, 1, 0]
            return count
        if state[1] < self._burst:
            state[1] += 1
            return 0
        state[2] += 1
        return None


def and_more(left_out: int) -> str:
    """What a line says at its end of those before it."""
    return f"; {left_out} more such lines were left out" if left_out else ""
