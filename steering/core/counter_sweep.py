"""Reads the counters of session entries from the switches, again and again.

Each question asks for a share of a switch's entries only. A SYN that comes while a switch answers waits behind the answer
in the same connection, and for the controller's work with the answer. Therefore:

* shares are small;
* the next share is asked for when the last one has been read;
* the entries that are asked for in one tick are bounded;
* a switch rests seven times as long as its answer took. Thus a slow switch or controller spends at most an eighth of
  its time with counters.
"""

from collections import deque
from collections.abc import Mapping
from math import inf

from steering.core.inputs import Input, SweepRead
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output, SweepEntries
from steering.core.part import Handler, Part
from steering.core.sessions.counted_switches import CountedSwitches
from steering.core.sessions.mcp_reports import McpReports
from steering.core.sessions.teardown import Teardown
from steering.core.subflow_priority import SubflowPriorities
from steering.model.ids import DatapathId
from steering.model.policy import Policy

ENTRIES = 128  # wanted size of a share: a SYN of the same switch may wait behind so many entries
EACH_TICK = 1_024  # most entries that are asked for in one tick
QUESTION = 16  # least cost of a question, in entries
MOST_OF_A_TICK = EACH_TICK // 2  # most cost of a question: a switch that claims more leaves half to others
MOST_SHARES = 1_024  # of one switch, because the switch looks through all its entries for each share
RESTS = 7  # a switch rests so many times as long as its answer took
PATIENCE = 10.0  # seconds after which a missing answer is given up; also the longest rest of a switch


class CounterSweep(Part):
    """Sweeps in rounds. A round asks every switch for all of its shares. The next round begins `timers.sweep` seconds
    after the begin of this round, or at the end of this round if that is later."""

    def __init__(
        self,
        sitemap: SiteMap,
        policy: Policy,
        switches: Switches,
        teardown: Teardown,
        preferring: SubflowPriorities,
        reports: McpReports,
        whole: CountedSwitches,
    ) -> None:
        self._map = sitemap
        self._period = policy.timers.sweep
        self._switches = switches
        self._teardown = teardown
        self._preferring = preferring
        self._reports = reports
        self._whole = whole
        self._begun = -inf  # begin of this round
        self._missed: set[DatapathId] = set()  # switches of which this round gets no whole answer
        self._next = -inf
        # The shares of this round that were not asked for yet. A share is split when its turn comes.
        self._to_ask: deque[SweepEntries] = deque()
        self._left = 0  # entries that may still be asked for in this tick
        self._sated: set[DatapathId] = set()  # switches that are not asked again in this tick
        self._open: dict[DatapathId, SweepEntries] = {}  # switches that owe an answer, and the share
        # Those of `_open` that were asked in an earlier round, where the answer was counted already.
        self._late: set[DatapathId] = set()
        self._not_before: dict[DatapathId, float] = {}  # earliest time of a switch's next question
        self._held: dict[DatapathId, int] = {}  # estimated entries of a switch: by the last round, or more
        self._share: dict[DatapathId, int] = {}  # entries in the open answer, so far
        self._counted: dict[DatapathId, int] = {}  # entries of a switch in this round, so far

    def takes(self) -> Mapping[type[Input], Handler]:
        return {SweepRead: self._read}

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        self._next += policy.timers.sweep - self._period
        self._period = policy.timers.sweep
        return []

    def due(self) -> float:
        return -inf if self._to_ask else self._next

    def tick(self, now: float) -> list[Output]:
        if not self._to_ask:
            if now < self._next:
                return []
            first, self._next = self._next == -inf, now + self._period
            if first:
                return []  # the controller has just started: there is nothing to count
            self._begin(now)
        self._left = EACH_TICK
        self._sated.clear()
        return self._ask(now)

    def _begin(self, now: float) -> None:
        # A switch that was asked its last share a moment ago counts as read: its answer is under way.
        self._missed |= {dpid for dpid in self._open if self._not_before[dpid] <= now}
        self._whole.round_over(self._begun, self._held.keys() - self._missed)
        self._begun = now
        self._missed.clear()
        for dpid in self._open:
            self._miss_open(dpid)
        self._late = set(self._open)
        unknown = self._even_share
        self._held = {dpid: self._counted.get(dpid, unknown) for dpid in self._map.switches}
        self._counted = {}
        self._to_ask.extend(SweepEntries(dpid, 0, 1) for dpid in self._held)
        self._teardown.begin_scan()

    @property
    def _even_share(self) -> int:
        """Estimated entries of a switch that was never read."""
        return self._teardown.entries_at_most // len(self._map.switches)

    def _miss(self, share: SweepEntries) -> None:
        """A share gets no answer. It counts as many entries as estimated. Otherwise the next round would ask for all of the
        switch's entries in one share."""
        thought = max(self._held.get(share.dpid, 0), self._even_share) // share.shares
        self._counted[share.dpid] = self._counted.get(share.dpid, 0) + thought

    def _miss_open(self, dpid: DatapathId) -> None:
        if dpid in self._open and dpid not in self._late:
            self._miss(self._open[dpid])

    def _ask(self, now: float) -> list[Output]:
        """Ask for the next share, or for several shares if they are small. A switch is asked for one share at a time."""
        outputs: list[Output] = []
        expected = 0
        for _ in range(len(self._to_ask)):
            if expected >= ENTRIES or self._left <= 0:
                break
            share = self._to_ask.popleft()
            if not self._switches.is_filled(share.dpid):
                self._miss(share)
                self._missed.add(share.dpid)
                continue
            if share.dpid in self._sated or self._not_before.get(share.dpid, -inf) > now:
                self._to_ask.append(share)  # at the end, so that other switches need not wait for this one
                continue
            if share.dpid in self._open:
                self._missed.add(share.dpid)
            self._miss_open(share.dpid)
            self._late.discard(share.dpid)
            share = self._split(share)
            self._open[share.dpid] = share
            self._share[share.dpid] = 0
            self._not_before[share.dpid] = now + PATIENCE
            outputs.append(share)
            costs = max(QUESTION, self._held[share.dpid] // share.shares)
            if costs > MOST_OF_A_TICK:
                costs = MOST_OF_A_TICK
                self._sated.add(share.dpid)
            expected += costs
            self._left -= costs
        return outputs

    def _split(self, share: SweepEntries) -> SweepEntries:
        """A part of a share that is small enough. The other parts are asked for later."""
        while share.shares < MOST_SHARES and self._held[share.dpid] > ENTRIES * share.shares:
            shares = 2 * share.shares
            self._to_ask.append(share._replace(share=share.share + share.shares, shares=shares))
            share = share._replace(shares=shares)
        return share

    def _read(self, read: SweepRead, now: float) -> list[Output]:
        """Take a piece of an answer, to a question of this sweep or of the MCPs' reports (sessions.mcp_reports)."""
        self._teardown.counted(read.entries, now)
        self._preferring.counted(read.entries)
        if read.last and read.whole:
            self._reports.counted(read.dpid, read.asked_at)
        asked = self._open.get(read.dpid)
        if asked is None or read.whole != (asked.shares == 1):
            return []
        self._share[read.dpid] += len(read.entries)
        if not read.last:
            return []
        del self._open[read.dpid]
        found = self._share.pop(read.dpid)
        if read.dpid in self._late:
            self._late.discard(read.dpid)
        else:
            self._counted[read.dpid] = self._counted.get(read.dpid, 0) + found
        # If the switch holds more than estimated, its other shares are split further.
        self._held[read.dpid] = max(self._held.get(read.dpid, 0), found * asked.shares)
        self._not_before[read.dpid] = now + min(RESTS * (now - read.asked_at), PATIENCE)
        return self._ask(now)
