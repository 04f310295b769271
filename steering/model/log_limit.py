"""Limits the log lines about each subject, and counts those that are left out. Pure: time is an argument."""

from collections.abc import Hashable

MAX_SUBJECTS = 65_536


class LogLimit:
    """Allows `burst` lines about a subject in each `interval` seconds.

    Its memory is bounded: when it knows MAX_SUBJECTS subjects, it forgets all of them. Then some more lines are written.
    """

    def __init__(self, interval: float, burst: int = 1) -> None:
        self._interval = interval
        self._burst = burst
        self._subjects: dict[
            Hashable, list[float]
        ] = {}  # begin of its interval, lines written in it, lines left out

    def left_out(self, subject: Hashable, now: float) -> int | None:
        """None if a line about `subject` must not be written. Otherwise the number of lines left out since the last
        one. `now`: seconds."""
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
    """The end of a line, which tells how many lines before it were left out; "" for none."""
    return f"; {left_out} more such lines were left out" if left_out else ""
