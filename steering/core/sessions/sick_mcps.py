"""Finds sick MCPs: they answer probes, but leave too many SYNs and joins unanswered, or too many sessions fall back to plain
TCP at this MCP only.

The outcomes of SYNs are judged for each pair of MCP and port (sessions.syn_outcomes). An MCP is sick at a port if enough SYNs
fail and no other source is served there meanwhile. Then it gets no new sessions from this port, unless the policy says
otherwise. It is sick everywhere if it is sick at several ports and serves no source at any other. So a host that sends
unanswerable SYNs can at most take an MCP away from its own port.

While an MCP is avoided, there are no new outcomes. So it is tried again after a while, which doubles each time. Its sessions
are left alone. Missing answers prove nothing if an MCP has more outcomes than copies of SYN/ACKs can arrive, or if a meter
at the MCP's switch drops such copies for the access network. Otherwise a busy port would take the MCP from the network's
other ports.
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
RECENT = 1.0  # seconds for which outcomes count if there are many: a shorter time than the window
FIRST_REST, LONGEST_REST = 5.0, 60.0  # seconds without new sessions, then it is tried again
MOST = 10_000  # most outcomes of one MCP in a window: with more, copies of some answers are missing
TOLD_LATE = 1.5  # most seconds until it is known that a meter dropped copies
PORTS = 2  # least ports at which an MCP is sick before it counts as sick everywhere

McpPort = tuple[McpId, WaypointId]


class Diagnosis(NamedTuple):
    """Why an MCP counts as sick. `words`: a text. `since`: time of the first SYN that failed. `by_silence`: SYNs were not
    answered; False: sessions fell back."""

    words: str
    since: float
    by_silence: bool = True


class SickAtPort:
    """An MCP that is sick at one port, or was lately."""

    __slots__ = ("diagnosis", "found_at", "rest", "until", "well_from")

    def __init__(self) -> None:
        self.diagnosis, self.found_at = Diagnosis("", 0.0), 0.0
        self.rest = FIRST_REST
        self.until: float | None = None  # time until which it is avoided; None while it is tried again
        self.well_from = float("inf")  # since when it is tried again


class SickMcps(Part):
    """The sick MCPs.

    * `bad`: the sick MCPs by id, with a text.
    * `health`: of each MCP. This part sets `sick` and `sick_at`.
    * `name_of`: returns the name of the attachment at a waypoint. `switch_of`: returns the switch of an MCP.
    * `lost`: copies of SYN/ACKs that meters dropped so far, by switch and name of the access network.
    """

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
        self._lost_at: dict[tuple[DatapathId | None, str], float] = {}  # when this number last grew
        self._due = 0.0
        self._sick: dict[McpPort, SickAtPort] = {}
        self._told = False  # `health` was set while some MCPs were sick
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
        """Judge the outcomes since the last check."""
        self._due = now + PERIOD
        self._note_losses(now)
        for place in self._outcomes.take_late():
            late = self._sick.get(place)
            if late is not None and late.diagnosis.by_silence:
                del self._sick[place]
        busy: dict[McpId, bool] = {}  # that an MCP falls sick at a thousand ports is one look at its outcomes
        for (mcp, entrance), pair in self._outcomes.look(now):
            known = self._sick.get((mcp, entrance))
            if mcp not in self._health or (known is not None and known.until is not None):
                continue
            found = self._diagnosis(mcp, entrance, pair, now)
            if found is None or self._lost_answers(mcp, entrance, now):
                continue
            if mcp not in busy:
                busy[mcp] = self._too_busy(mcp, now)
            if not busy[mcp]:
                known = self._sick.setdefault((mcp, entrance), SickAtPort())
                known.diagnosis, known.found_at, known.until = found, now, now + known.rest
                known.rest = min(LONGEST_REST, 2 * known.rest)
        for place, known in list(self._sick.items()):
            self._rests(place, known, now)
        self._tell(now)
        return []

    def _rests(self, place: McpPort, known: SickAtPort, now: float) -> None:
        """Try an MCP again that was avoided long enough. It is well if it has served a SYN after one window."""
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
        """Note where meters dropped more copies of SYN/ACKs. A diagnosis there that is younger than TOLD_LATE is revoked."""
        for place, lost in self._lost.items():
            if self._lost_before.get(place) != lost:
                self._lost_before[place], self._lost_at[place] = lost, now
                for mcp, entrance in [one for one in self._sick if self._place(*one) == place]:
                    known = self._sick[mcp, entrance]
                    if known.until is not None and now < known.found_at + TOLD_LATE:
                        del self._sick[mcp, entrance]
                        self._outcomes.forget(mcp, entrance)

    def _lost_answers(self, mcp: McpId, entrance: WaypointId, now: float) -> bool:
        """Whether copies of answers for the access network of a port were dropped during the present window."""
        return now - self._lost_at.get(self._place(mcp, entrance), -NEVER) <= WINDOW + TOLD_LATE

    def lost_since(self, mcp: McpId, access: str, since: float) -> bool:
        """Whether copies of an MCP's answers to an access network were dropped since a time. A switch tells that TOLD_LATE."""
        return self._lost_at.get((self._switch_of(mcp), access), -NEVER) >= since

    def _place(self, mcp: McpId, entrance: WaypointId) -> tuple[DatapathId | None, str]:
        return self._switch_of(mcp), self._name_of(entrance)

    def _too_busy(self, mcp: McpId, now: float) -> bool:
        """Whether an MCP has so many outcomes that copies of its answers may be missing."""
        pairs = (pair for (number, _), pair in self._outcomes.at.items() if number == mcp)
        return sum(sum(pair.syns.since(now - WINDOW)) for pair in pairs) > MOST

    def _tell(self, now: float) -> None:
        """Set `bad`, and the health of each MCP."""
        if not self._sick and not self._told:
            return  # no MCP is sick, and none was at the last call
        self._told = bool(self._sick)
        at: dict[McpId, dict[WaypointId, Diagnosis]] = {}
        for (mcp, entrance), known in self._sick.items():
            at.setdefault(mcp, {})[entrance] = known.diagnosis
        self.bad.clear()  # not replaced, because alarms refer to this object
        self.bad.update((mcp, self._words(found)) for mcp, found in at.items())
        for mcp, health in self._health.items():
            avoided = {
                entrance for entrance in at.get(mcp, ()) if self._sick[mcp, entrance].until is not None
            }
            if not self._policy.avoid_sick:
                avoided = set()
            health.sick_at = frozenset(avoided)
            health.sick = len(avoided) >= PORTS and not self._serves_elsewhere(mcp, at[mcp], avoided)

    def _serves_elsewhere(
        self, mcp: McpId, at: Mapping[WaypointId, Diagnosis], avoided: set[WaypointId]
    ) -> bool:
        """Whether an MCP has served a SYN at another port since it became sick at the ports `avoided`."""
        since = min(at[entrance].since for entrance in avoided)
        others = (
            pair
            for (number, entrance), pair in self._outcomes.at.items()
            if number == mcp and entrance not in avoided
        )
        return any(pair.syns.last_served > since for pair in others)

    def _words(self, found: Mapping[WaypointId, Diagnosis]) -> str:
        """The text about a sick MCP: the finding, and at which port."""
        entrance = next(iter(found))
        more = f", and at {len(found) - 1} more" if len(found) > 1 else ""
        return f"{found[entrance].words} from {self._name_of(entrance)}{more}"

    def _diagnosis(self, mcp: McpId, entrance: WaypointId, pair: McpAtPort, now: float) -> Diagnosis | None:
        """The diagnosis of an MCP at one port. None if it is well, or if there are too few outcomes."""
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
        fell, kept = self._elsewhere(mcp, entrance, now)
        if fell + kept < terms.fallback_count or fell >= terms.sick_ratio / 2 * (fell + kept):
            return None
        words = f"{bad} of {bad + good} sessions fell back to plain TCP, elsewhere {fell} of {fell + kept},"
        return Diagnosis(words, since, by_silence=False)

    def _all_fail(self, tally: Tally, bad: int, good: int, least: float) -> float | None:
        """The time of the first failure, if too many SYNs fail and no other source is served since then. Else None."""
        if bad < max(least, self._policy.alarms.sick_ratio * (bad + good)) or not bad:
            return None
        since = tally.first_failure(bad)
        return None if tally.serves_others(since) else since

    def _elsewhere(self, mcp: McpId, entrance: WaypointId, now: float) -> tuple[int, int]:
        """The first answers of all other MCPs at the same port: without MPTCP, and with it. If sessions fall back at other MCPs,
        too, this MCP is not the cause."""
        fell = kept = 0
        for number in self._health.keys() - {mcp}:
            pair = self._outcomes.at.get((number, entrance))
            if pair is not None:
                bad, good = pair.answers.since(now - WINDOW)
                fell, kept = fell + bad, kept + good
        return fell, kept
