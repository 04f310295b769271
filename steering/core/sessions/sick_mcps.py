"""MCPs that answer and serve nothing: first SYNs and joins that they leave unanswered, or sessions that only at them fall
back to plain TCP, above a ratio.

What counts are outcomes at one port (sessions.syn_outcomes): there an MCP is sick when enough fail and none of another source
is served meanwhile, and it gets no new sessions from there, unless the policy wants otherwise. It is sick everywhere when it is at
several ports and serves nobody at any other. So a host whose SYNs cannot be answered takes an MCP from its own port at most.
An MCP that is avoided gives no new evidence: after a while, which doubles each time, it is tried again. Its sessions are left
alone. What was seen more often than copies of SYN/ACKs are shown proves nothing, nor does what comes from a network
whose meter of them drops some at the MCP's switch: a busy neighbour would take the MCP from the network's other ports.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from steering.core.outputs import Output
from steering.core.part import NEVER, McpsChange, Part
from steering.core.selection.mcp_health import McpHealth
from steering.core.sessions.syn_outcomes import WINDOW, McpAtPort, SynOutcomes, Tally
from steering.model.ids import DatapathId, McpId, WaypointId
from steering.model.policy import Policy

PERIOD = 0.1  # seconds between looks
RECENT = 1.0  # seconds for which outcomes of much traffic count, which tells sooner than the window
FIRST_REST, LONGEST_REST = 5.0, 60.0  # seconds without new sessions, then it is tried again
MOST = 10_000  # outcomes of one MCP in a window: of more, some answers were not shown
TOLD_LATE = 1.5  # seconds until a switch has told what its meters dropped
PORTS = 2  # at which an MCP is sick before it can be sick everywhere

Place = tuple[McpId, WaypointId]


class Diagnosis(NamedTuple):
    """`words`: what was seen. `since`: when the first of the SYNs came that this was seen of."""

    words: str
    since: float


class SickAtPort:
    """An MCP that is sick, or was lately, for those who come in at one port."""

    __slots__ = ("diagnosis", "found_at", "rest", "until", "well_from")

    def __init__(self) -> None:
        self.diagnosis, self.found_at = Diagnosis("", 0.0), 0.0
        self.rest = FIRST_REST
        self.until: float | None = None  # it is avoided until then
        self.well_from = float("inf")  # since when it is tried again


class SickMcps(Part):
    """`bad`: MCPs that are sick, by id, and what was seen. `health` is of each MCP; `name_of` gives a port's name in words,
    `switch_of` the switch of an MCP. `lost`: copies of SYN/ACKs that meters dropped so far, by switch and name of the
    access network."""

    def __init__(
        self,
        outcomes: SynOutcomes,
        health: Mapping[McpId, McpHealth],
        policy: Policy,
        name_of: Callable[[WaypointId], str],
        switch_of: Callable[[McpId], DatapathId | None],
        lost: Mapping[tuple[DatapathId | None, str], int],
    ) -> None:
        self._outcomes = outcomes
        self._health = health
        self._policy = policy
        self._name_of = name_of
        self._switch_of = switch_of
        self._lost = lost
        self._lost_before: dict[tuple[DatapathId | None, str], int] = {}
        self._lost_at: dict[tuple[DatapathId | None, str], float] = {}  # when a switch told of some last
        self._due = 0.0
        self._sick: dict[Place, SickAtPort] = {}
        self._told = False  # the MCPs were told of some that are sick
        self.bad: dict[McpId, str] = {}

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        self._policy = policy
        self._tell(now)
        return []

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        for number in {*change.gone, *change.others}:
            self._outcomes.forget(number)
            for place in [one for one in self._sick if one[0] == number]:
                del self._sick[place]
        self._tell(now)
        return []

    def due(self) -> float:
        return self._due

    def tick(self, now: float) -> list[Output]:
        """Look at what was left unanswered."""
        self._due = now + PERIOD
        self._note_losses(now)
        for (mcp, edge), pair in self._outcomes.look(now):
            known = self._sick.get((mcp, edge))
            if mcp not in self._health or (known is not None and known.until is not None):
                continue
            found = self._diagnosis(mcp, edge, pair, now)
            if found is not None and not (self._too_busy(mcp, now) or self._lost_answers(mcp, edge, now)):
                known = self._sick.setdefault((mcp, edge), SickAtPort())
                known.diagnosis, known.found_at, known.until = found, now, now + known.rest
                known.rest = min(LONGEST_REST, 2 * known.rest)
        for place, known in list(self._sick.items()):
            self._rests(place, known, now)
        self._tell(now)
        return []

    def _rests(self, place: Place, known: SickAtPort, now: float) -> None:
        """One that was avoided for long enough is tried again, and well when it served for a window."""
        if known.until is not None and now >= known.until:
            known.until, known.well_from = None, now
            self._outcomes.forget(*place)
        elif known.until is None and now - known.well_from >= WINDOW:
            pair = self._outcomes.at.get(place)
            if pair is not None and pair.syns.since(known.well_from)[1]:
                del self._sick[place]
            else:
                known.well_from = now

    def _note_losses(self, now: float) -> None:
        """Where a switch told that it dropped copies of SYN/ACKs, what was found a moment ago proves nothing either."""
        for place, lost in self._lost.items():
            if self._lost_before.get(place) != lost:
                self._lost_before[place], self._lost_at[place] = lost, now
                for mcp, edge in [one for one in self._sick if self._place(*one) == place]:
                    known = self._sick[mcp, edge]
                    if known.until is not None and now < known.found_at + TOLD_LATE:
                        del self._sick[mcp, edge]
                        self._outcomes.forget(mcp, edge)

    def _lost_answers(self, mcp: McpId, edge: WaypointId, now: float) -> bool:
        """Whether copies of answers to those who come in at a port were dropped while the outcomes of today came."""
        return now - self._lost_at.get(self._place(mcp, edge), -NEVER) <= WINDOW + TOLD_LATE

    def _place(self, mcp: McpId, edge: WaypointId) -> tuple[DatapathId | None, str]:
        return self._switch_of(mcp), self._name_of(edge)

    def _too_busy(self, mcp: McpId, now: float) -> bool:
        """Whether so much was seen of an MCP that answers may have been missed."""
        pairs = (pair for (number, _), pair in self._outcomes.at.items() if number == mcp)
        return sum(sum(pair.syns.since(now - WINDOW)) for pair in pairs) > MOST

    def _tell(self, now: float) -> None:
        """What follows for each MCP."""
        if not self._sick and not self._told:
            return  # they are well, and were when they were told last
        self._told = bool(self._sick)
        at: dict[McpId, dict[WaypointId, Diagnosis]] = {}
        for (mcp, edge), known in self._sick.items():
            at.setdefault(mcp, {})[edge] = known.diagnosis
        self.bad.clear()  # alarms read this very mapping
        self.bad.update((mcp, self._words(found)) for mcp, found in at.items())
        for mcp, health in self._health.items():
            avoided = {edge for edge in at.get(mcp, ()) if self._sick[mcp, edge].until is not None}
            if not self._policy.avoid_sick:
                avoided = set()
            health.sick_at = frozenset(avoided)
            health.sick = len(avoided) >= PORTS and not self._serves_elsewhere(mcp, at[mcp], avoided)

    def _serves_elsewhere(
        self, mcp: McpId, at: Mapping[WaypointId, Diagnosis], avoided: set[WaypointId]
    ) -> bool:
        """Whether it has served anybody at another port since it is sick at these."""
        since = min(at[edge].since for edge in avoided)
        others = (
            pair
            for (number, edge), pair in self._outcomes.at.items()
            if number == mcp and edge not in avoided
        )
        return any(pair.syns.last_served > since for pair in others)

    def _words(self, found: Mapping[WaypointId, Diagnosis]) -> str:
        """What was seen, and where."""
        edge = next(iter(found))
        more = f", and at {len(found) - 1} more" if len(found) > 1 else ""
        return f"{found[edge].words} from {self._name_of(edge)}{more}"

    def _diagnosis(self, mcp: McpId, edge: WaypointId, pair: McpAtPort, now: float) -> Diagnosis | None:
        """What an MCP has at one port; None where it is well, or nothing can be said."""
        terms = self._policy.alarms
        for span in (WINDOW, RECENT):
            bad, good = pair.syns.since(now - span)
            since = self._all_fail(pair.syns, bad, good, terms.sick_count)
            if since is not None:
                return Diagnosis(f"{bad} of {bad + good} SYNs were not answered", since)
        bad, good = pair.answers.since(now - WINDOW)
        since = self._all_fail(pair.answers, bad, good, terms.fallback_count * terms.sick_ratio)
        if since is None or bad + good < terms.fallback_count:
            return None
        fell, kept = self._elsewhere(mcp, edge, now)
        if fell + kept < terms.fallback_count or fell >= terms.sick_ratio / 2 * (fell + kept):
            return None
        words = f"{bad} of {bad + good} sessions fell back to plain TCP, elsewhere {fell} of {fell + kept},"
        return Diagnosis(words, since)

    def _all_fail(self, tally: Tally, bad: int, good: int, least: float) -> float | None:
        """Since when as many fail as are too many, and nobody else is served; None where it is not so."""
        if bad < max(least, self._policy.alarms.sick_ratio * (bad + good)) or not bad:
            return None
        since = tally.first_failure(bad)
        return None if tally.serves_others(since) else since

    def _elsewhere(self, mcp: McpId, edge: WaypointId, now: float) -> tuple[int, int]:
        """First answers of all other MCPs to those who come in at the same port, without MPTCP and with it: where as many
        fall back there, it is not this MCP's doing."""
        fell = kept = 0
        for (number, place), pair in self._outcomes.at.items():
            if number != mcp and place == edge:
                bad, good = pair.answers.since(now - WINDOW)
                fell, kept = fell + bad, kept + good
        return fell, kept
