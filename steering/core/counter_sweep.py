"""Asks switches, now and then, what their session entries have counted: a share of the entries at a time, so that no
answer is long and no switch's entries are all looked at together."""

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

ENTRIES = 1_024  # of one share, about: some 8 ms of work, once a tick
AT_ONCE = 64  # questions in one tick, where switches hold few entries
MOST_SHARES = 1_024
PATIENCE = 10.0  # seconds for an answer, before others are asked


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
        self._to_ask: deque[SweepEntries] = deque()
        self._open: dict[DatapathId, float] = {}  # switches that were asked, and how long they have to answer
        self._held: dict[DatapathId, int] = {}  # entries that the round before found at a switch
        self._counted: dict[DatapathId, int] = {}  # and this one, so far

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
        return self._ask(now)

    def _begin(self) -> None:
        self._held, self._counted = self._counted, {}
        shares = {dpid: self._shares(dpid) for dpid in self._map.switches}
        for number in range(max(shares.values(), default=0)):
            self._to_ask.extend(SweepEntries(dpid, number, of) for dpid, of in shares.items() if number < of)
        self._teardown.begin_scan()

    def _shares(self, dpid: DatapathId) -> int:
        held, shares = self._held.get(dpid, self._teardown.entries_at_most // len(self._map.switches)), 1
        while shares < MOST_SHARES and held > ENTRIES * shares:
            shares *= 2
        return shares

    def _ask(self, now: float) -> list[Output]:
        """The next shares. A switch is asked for one at a time, and all together for as many entries in a tick as one
        share has at most."""
        outputs: list[Output] = []
        expected = 0
        for _ in range(min(AT_ONCE, len(self._to_ask))):
            share = self._to_ask.popleft()
            if not self._switches.is_filled(share.dpid):
                continue
            if self._open.get(share.dpid, -inf) > now:
                self._to_ask.append(share)  # others need not wait for it
                continue
            self._open[share.dpid] = now + PATIENCE
            outputs.append(share)
            expected += self._held.get(share.dpid, 0) // share.shares
            if expected >= ENTRIES:
                break
        return outputs

    def _read(self, read: SweepRead, now: float) -> list[Output]:
        """A piece of an answer, to our own question or to one of the reports."""
        self._teardown.counted(read.entries, now)
        self._preferring.counted(read.entries)
        if read.dpid in self._open:
            self._counted[read.dpid] = self._counted.get(read.dpid, 0) + len(read.entries)
        if read.last:
            self._open.pop(read.dpid, None)
            if read.whole:
                self._reports.counted(read.dpid, read.asked_at)
        return []
