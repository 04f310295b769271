"""Finds access networks and MCPs where too many sessions fall back to plain TCP.

`by_access` and `by_mcp` add the counters up by name. FallbackWatch gets these totals, which only grow, and counts first
answers in windows. As soon as a window has enough answers and too many of them are fallbacks, the state is bad. At the end
of a window with clearly fewer fallbacks, the state is good again. A window with too few answers goes on until it has
enough, so that little traffic is not judged early.
"""

from collections.abc import Mapping
from typing import NamedTuple

from steering.core.counters import Counters
from steering.core.network.site_index import SiteMap
from steering.model.network import AccessNetwork
from steering.model.policy import AlarmTerms


class AnswerTotals(NamedTuple):
    """The number of first answers so far, and how many of them were fallbacks."""

    answers: int
    fallbacks: int


NONE_YET = AnswerTotals(0, 0)


class _Window(NamedTuple):
    begun: float
    answers: int
    fallbacks: int


def by_access(site: SiteMap, counters: Counters) -> dict[str, AnswerTotals]:
    """The totals of each access network with first answers, by name. A session counts where its first SYN came in."""
    found: dict[str, AnswerTotals] = {}
    for entrance, answers in counters.answers_at.items():
        attachment = site.by_waypoint.get(entrance)
        if attachment is not None and isinstance(attachment.part, AccessNetwork):
            known = found.get(attachment.name, NONE_YET)
            found[attachment.name] = AnswerTotals(
                known.answers + answers, known.fallbacks + counters.fallbacks_at[entrance]
            )
    return found


def by_mcp(site: SiteMap, counters: Counters) -> dict[str, AnswerTotals]:
    """The totals of each MCP with first answers, by name."""
    return {
        site.mcps[number].name: AnswerTotals(answers, counters.fallbacks_of[number])
        for number, answers in counters.answers_of.items()
        if number in site.mcps
    }


class FallbackWatch:
    """Judges the fallbacks of several names. `bad`: the names with too many fallbacks, each with a text."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}
        self.bad: dict[str, str] = {}

    def look(self, totals: Mapping[str, AnswerTotals], terms: AlarmTerms, now: float) -> None:
        """Take the totals by name at time `now` (seconds). Names that are missing in `totals` are forgotten."""
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
