"""Reads a switch's entries back: all entries of this project when the switch connects, and the counters of session
entries in a sweep.

The parts of an answer are parsed as they arrive. The entries of a switch that connects become one EntriesRead, whose
size is bounded. The entries of a sweep go to the engine in pieces.

When a switch connects, the cookies of static and host rules of other epochs are remembered, since a delete has to
name a cookie exactly.
"""

import logging
from collections.abc import Callable, Iterator, Mapping

from steering.core.inputs import EntriesRead, Input, ObservedEntry, ObservedHost, SweepRead
from steering.core.outputs import ReadEntries, SweepEntries
from steering.model.ids import DatapathId
from steering.model.log_limit import LogLimit, and_more
from steering.model.rules import COOKIE_KIND_MASK, EPOCH_MASK, OWNER, CookieKind, Table
from steering.openflow.line import Line
from steering.openflow.messages.encode import flow_stats_request
from steering.openflow.messages.errors import MalformedMessage
from steering.openflow.messages.flowstats import parse, pieces
from steering.openflow.messages.reader import MULTIPART_LENGTH, Disconnect, Multipart, read_multipart
from steering.openflow.switch_tables.held_rules import HeldRules

MAX_ENTRIES = 2_000_000  # most entries of all unfinished answers together
MAX_WAITING = 4_000_000  # most entries of all finished answers that may wait for their turn (core.long_work)
PART_TIMEOUT = 30.0  # most seconds between two parts of an answer
READ_TIMEOUT = 120.0  # most seconds for a whole answer
MAX_EPOCHS = 4_096
LOG_INTERVAL = 60.0  # seconds between log lines about unknown entries of one switch
ALL_TABLES = 0xFF
_OWNER_MASK = 0xFF << 56

log = logging.getLogger(__name__)


class _Reading:
    """An unfinished reading of a switch's entries. `sweep`: the engine's request, where the reading is a sweep."""

    __slots__ = ("asked_at", "cookies", "deadline", "ends", "entries", "held", "hosts", "sweep")

    def __init__(self, now: float, sweep: SweepEntries | None = None, held: HeldRules | None = None) -> None:
        self.held = held
        self.sweep = sweep
        self.asked_at = now
        self.deadline = now + PART_TIMEOUT
        self.ends = now + READ_TIMEOUT
        self.entries: list[ObservedEntry] = []
        self.hosts: list[ObservedHost] = []
        self.cookies: set[int] = set()

    @property
    def size(self) -> int:
        return len(self.entries) + len(self.hosts) + (0 if self.held is None else len(self.held))


class Readback:
    def __init__(
        self, lines: Mapping[DatapathId, Line], xids: Iterator[int], feed: Callable[[Input], None]
    ) -> None:
        self._lines = lines
        self._xids = xids
        self._feed = feed
        self._readings: dict[tuple[DatapathId, int], _Reading] = {}
        self._held = 0  # entries in all readings
        # Switch -> entries in its finished answer, for as long as the engine may hold the answer: until the switch is
        # filled, or the engine says that there is nothing to fill.
        self._waiting: dict[DatapathId, int] = {}
        self._lines_about = LogLimit(LOG_INTERVAL)
        self.adopts = False  # whether static rules of another controller stay where they are right
        self._rules: dict[DatapathId, HeldRules] = {}
        self._cookies: dict[
            DatapathId, set[int]
        ] = {}  # switch -> cookies of its static and host rules, up to the epoch

    def ask(self, output: ReadEntries, now: float) -> None:
        """Send the request. Its answer becomes an EntriesRead."""
        line = self._lines.get(output.dpid)
        if line is not None:
            self._waiting.pop(output.dpid, None)
            xid = next(self._xids)
            held = HeldRules() if self.adopts else None
            self._readings[(output.dpid, xid)] = _Reading(now, held=held)
            line.write(flow_stats_request(xid, ALL_TABLES, OWNER << 56, _OWNER_MASK))

    def sweep(self, output: SweepEntries, now: float) -> None:
        """Send the request. Its answer becomes SweepReads."""
        line = self._lines.get(output.dpid)
        if line is not None:
            xid = next(self._xids)
            self._readings[(output.dpid, xid)] = _Reading(now, output)
            cookie = OWNER << 56 | CookieKind.SESSION << 52 | output.share
            line.write(flow_stats_request(xid, Table.SESSION, cookie, COOKIE_KIND_MASK | output.shares - 1))

    def part(
        self,
        dpid: DatapathId,
        xid: int,
        message: bytes,
        now: float,
        goes_on: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Take a part of an answer. Returns False where the answer was not asked for; the part is ignored then.
        `goes_on` is called between pieces of the part: it may let other work be done, and returns whether the switch is
        still connected."""
        reading = self._readings.get((dpid, xid))
        head = read_multipart(message)
        if reading is None or head is None or head[0] != Multipart.FLOW:
            return False
        reading.deadline = min(now + PART_TIMEOUT, reading.ends)
        for piece in pieces(message[MULTIPART_LENGTH:]):
            if not self._take(dpid, reading, piece, now) or not goes_on():
                return True
        if not head[1] and self._readings.pop((dpid, xid), None) is not None:
            if reading.sweep is not None:
                self._feed(SweepRead(dpid, [], True, reading.sweep.shares == 1, reading.asked_at))
            else:
                self._held -= reading.size
                if not self._may_wait(dpid, reading.size):
                    return True
                self._cookies[dpid] = reading.cookies
                epoch = None
                if reading.held is not None:
                    self._rules[dpid], epoch = reading.held, reading.held.epoch
                self._feed(EntriesRead(dpid, reading.entries, reading.hosts, epoch))
        return True

    def _take(self, dpid: DatapathId, reading: _Reading, piece: bytes, now: float) -> bool:
        """Take some entries of an answer. Returns False when the switch was disconnected because of these entries."""
        before = reading.size
        try:
            observed = parse(dpid, piece)
            if reading.held is not None:
                reading.held.take(piece)
        except MalformedMessage as refused:
            log.warning("switch %016x: its entries cannot be read: %s", dpid, refused)
            self._lines[dpid].disconnect(Disconnect.BAD_ENTRIES)
            return False
        if observed.ignored:
            more = self._lines_about.left_out(dpid, now)
            if more is not None:
                text = "switch %016x: %d entries that are ours by cookie only%s"
                log.warning(text, dpid, observed.ignored, and_more(more))
        if reading.sweep is not None:
            self._feed(SweepRead(dpid, observed.entries, False, reading.sweep.shares == 1, reading.asked_at))
            return True
        reading.entries += observed.entries
        reading.hosts += observed.hosts
        reading.cookies |= observed.cookies
        self._held += reading.size - before
        if len(reading.cookies) > MAX_EPOCHS:
            self._lines[dpid].disconnect(Disconnect.TOO_MANY_ENTRIES)
            return False
        return self._fits(dpid)

    def _fits(self, dpid: DatapathId) -> bool:
        """Bound all unfinished answers together to MAX_ENTRIES: beyond it, the switch with the largest answer is
        disconnected. Returns False when that switch is `dpid`."""
        if self._held <= MAX_ENTRIES:
            return True
        largest = max(self._readings, key=lambda key: self._readings[key].size)[0]
        self._lines[largest].disconnect(Disconnect.TOO_MANY_ENTRIES)
        return largest != dpid

    def _may_wait(self, dpid: DatapathId, size: int) -> bool:
        """Bound all finished answers together to MAX_WAITING. Returns whether the answer of `dpid` may wait."""
        self._waiting[dpid] = size
        if sum(self._waiting.values()) <= MAX_WAITING:
            return True
        largest = max(self._waiting, key=self._waiting.__getitem__)
        self._lines[largest].disconnect(Disconnect.TOO_MANY_ENTRIES)
        return largest != dpid

    def older_than(self, dpid: DatapathId, epoch: int) -> list[int]:
        """The cookies of rules of epochs other than `epoch` in the last reading, under the mask COOKIE_KIND_MASK |
        EPOCH_MASK."""
        seen = self._cookies.pop(dpid, set())
        return sorted(cookie for cookie in seen if (cookie & EPOCH_MASK) >> 32 != epoch & 0xFFFF)

    def held(self, dpid: DatapathId) -> HeldRules | None:
        """The static and host rules of the last reading; None where all rules are to be written anew. A second call
        returns None. The caller fills the switch, so the finished answer does not count as waiting any more."""
        self._waiting.pop(dpid, None)
        return self._rules.pop(dpid, None)

    def forget(self, dpid: DatapathId) -> None:
        """The last reading is finished, and the switch is not filled from it."""
        self._cookies.pop(dpid, None)
        self._rules.pop(dpid, None)
        self._waiting.pop(dpid, None)

    def switch_down(self, dpid: DatapathId) -> None:
        self.forget(dpid)
        for key in [key for key in self._readings if key[0] == dpid]:
            self._held -= self._readings.pop(key).size

    def expire(self, now: float) -> None:
        """Disconnect switches that do not answer in time, so that they connect again."""
        for dpid in {key[0] for key, reading in self._readings.items() if reading.deadline <= now}:
            line = self._lines.get(dpid)
            if line is not None:
                line.disconnect(Disconnect.READ_TIMEOUT)
