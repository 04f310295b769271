"""Asks switches, now and then, what their session entries have counted: a share of the entries at a time, so that no
answer is long and no switch's entries are all looked at together.

A SYN that comes while a switch answers waits behind the answer in the same connection, and for the work that the
answer is. So shares are small, the next one is asked for when one has been read, a tick has a bound for all, and a
switch rests seven times as long as it took to answer: whatever it or this controller is slow at, they are busy with it
an eighth of the time.
"""

from collections import deque
from collections.abc import Mapping
from math import inf

from steering.core.inputs import Input, SweepRead
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output, SweepEntries
from steering.core.part import Handler, Part
from steering.core.sessions.mcp_reports import McpReports
from steering.core.sessions.teardown import Teardown
from steering.core.subflow_priority import SubflowPriorities
from steering.model.ids import DatapathId
from steering.model.policy import Policy

ENTRIES = 128  # of one share, about: a SYN of the same switch may wait behind them
EACH_TICK = 1_024  # entries asked for in a tick
QUESTION = 16  # entries that a question costs as much as, at least
MOST_OF_A_TICK = EACH_TICK // 2  # and at most: who says that it holds ever more leaves others the other half
MOST_SHARES = 1_024  # a switch looks through all its entries for each
RESTS = 7  # times as long as it took to answer
PATIENCE = 10.0  # seconds for an answer, before others are asked; a switch does not rest longer either


class CounterSweep(Part):
    """A round asks every switch for all of its shares. The next round begins `timers.sweep` seconds after this one
    began, or when this one is over."""

    def __init__(
        self,
        sitemap: SiteMap,
        policy: Policy,
        switches: Switches,
        teardown: Teardown,
        preferring: SubflowPriorities,
        reports: McpReports,
    ) -> None:
        self._map = sitemap
        self._period = policy.timers.sweep
        self._switches = switches
        self._teardown = teardown
        self._preferring = preferring
        self._reports = reports
        self._next = -inf
        self._to_ask: deque[SweepEntries] = deque()  # together every entry once; split when their turn comes
        self._left = 0  # entries that may still be asked for in this tick
        self._sated: set[DatapathId] = set()  # switches that are asked for no more in this tick
        self._open: dict[DatapathId, SweepEntries] = {}  # switches that were asked, and for what
        self._late: set[DatapathId] = (
            set()
        )  # of these, whose question is of a round that is over: it counted there
        self._not_before: dict[DatapathId, float] = {}  # when a switch is asked again at the earliest
        self._held: dict[DatapathId, int] = {}  # entries of a switch: as the last round found, or more
        self._share: dict[DatapathId, int] = {}  # entries in the open answer, so far
        self._counted: dict[DatapathId, int] = {}  # and in this round

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
                return []  # nothing has begun yet
            self._begin()
        self._left = EACH_TICK
        self._sated.clear()
        return self._ask(now)

    def _begin(self) -> None:
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
        """Entries of a switch of which nothing is known."""
        return self._teardown.entries_at_most // len(self._map.switches)

    def _miss(self, share: SweepEntries) -> None:
        """Nobody tells how much is in a share: it counts as what was thought, or the next round would ask for all in one."""
        thought = max(self._held.get(share.dpid, 0), self._even_share) // share.shares
        self._counted[share.dpid] = self._counted.get(share.dpid, 0) + thought

    def _miss_open(self, dpid: DatapathId) -> None:
        if dpid in self._open and dpid not in self._late:
            self._miss(self._open[dpid])

    def _ask(self, now: float) -> list[Output]:
        """The next share; several of switches that hold few entries. A switch is asked for one at a time."""
        outputs: list[Output] = []
        expected = 0
        for _ in range(len(self._to_ask)):
            if expected >= ENTRIES or self._left <= 0:
                break
            share = self._to_ask.popleft()
            if not self._switches.is_filled(share.dpid):
                self._miss(share)
                continue
            if share.dpid in self._sated or self._not_before.get(share.dpid, -inf) > now:
                self._to_ask.append(share)  # others need not wait for it
                continue
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
        """A part of a share that is small enough; the rest of it is asked for later."""
        while share.shares < MOST_SHARES and self._held[share.dpid] > ENTRIES * share.shares:
            shares = 2 * share.shares
            self._to_ask.append(share._replace(share=share.share + share.shares, shares=shares))
            share = share._replace(shares=shares)
        return share

    def _read(self, read: SweepRead, now: float) -> list[Output]:
        """A piece of an answer, to our own question or to one of the reports."""
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
        # Switches hold more than was thought: what is left of them is split further.
        self._held[read.dpid] = max(self._held.get(read.dpid, 0), found * asked.shares)
        self._not_before[read.dpid] = now + min(RESTS * (now - read.asked_at), PATIENCE)
        return self._ask(now)
