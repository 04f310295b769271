"""How many sessions fall back to plain TCP, by access network or by MCP: too many, or not any more.

Pure: fed by totals that only grow. Answers are looked at in windows. A window that has enough answers raises at once when
too many of them are fallbacks, and clears at its end when they are fewer by the hysteresis. One with too few answers goes
on until it has them: of little traffic nothing is said early.
"""

from collections.abc import Mapping
from typing import NamedTuple

from steering.model.policy import AlarmTerms


class AnswerTotals(NamedTuple):
    """First answers seen so far, and those of them that were fallbacks."""

    answers: int
    fallbacks: int


class _Window(NamedTuple):
    begun: float
    answers: int
    fallbacks: int


class FallbackWatch:
    """`bad`: those with too many fallbacks, and what was seen of them."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}
        self.bad: dict[str, str] = {}

    def look(self, totals: Mapping[str, AnswerTotals], terms: AlarmTerms, now: float) -> None:
        """The totals at time `now`, by name; names that are in it no more are forgotten."""
        for name in [name for name in self._windows if name not in totals]:
            del self._windows[name]
            self.bad.pop(name, None)
        for name, total in totals.items():
            window = self._windows.setdefault(name, _Window(now, 0, 0))
            answers = total.answers - window.answers
            fallbacks = total.fallbacks - window.fallbacks
            if answers < terms.fallback_count:
                continue
            if fallbacks >= terms.fallback_ratio * answers:
                self.bad[name] = f"{fallbacks} of {answers} sessions fell back to plain TCP"
            elif now - window.begun < terms.window:
                continue
            elif fallbacks < terms.fallback_ratio * terms.clear * answers:
                self.bad.pop(name, None)
            self._windows[name] = _Window(now, *total)
