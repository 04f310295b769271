"""Reading a switch's entries back: on connect all of ours, on a sweep the session entries' counters.

The parts of an answer are parsed as they come, bounded in number, and end as one EntriesRead. On connect the
cookies of static and host rules of other epochs are remembered, as a delete can only name a cookie exactly.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from steering.core.inputs import EntriesRead, Input, ObservedEntry, ObservedHost
from steering.core.outputs import ReadEntries
from steering.model.rules import COOKIE_KIND_MASK, EPOCH_MASK, OWNER, CookieKind, Table
from steering.openflow.encode import flow_stats_request
from steering.openflow.errors import MalformedMessage
from steering.openflow.flowstats import parse
from steering.openflow.reader import MULTIPART_LENGTH, Disconnect, Multipart, read_multipart

MAX_ENTRIES = 2_000_000  # of one switch
PART_TIMEOUT = 30.0  # seconds without a part of the answer
MAX_EPOCHS = 4_096
ALL_TABLES = 0xFF
_OWNER_MASK = 0xFF << 56

log = logging.getLogger(__name__)


class Line(Protocol):
    def write(self, data: bytes) -> None: ...

    def disconnect(self, reason: Disconnect) -> None: ...


class _Reading:
    __slots__ = ("cookies", "deadline", "entries", "hosts", "sweep")

    def __init__(self, sweep: bool, deadline: float) -> None:
        self.sweep = sweep
        self.deadline = deadline
        self.entries: list[ObservedEntry] = []
        self.hosts: list[ObservedHost] = []
        self.cookies: set[int] = set()


class Readback:
    def __init__(self, lines: Mapping[int, Line], xids: Iterator[int], feed: Callable[[Input], None]) -> None:
        self._lines = lines
        self._xids = xids
        self._feed = feed
        self._readings: dict[tuple[int, int], _Reading] = {}
        self._cookies: dict[int, set[int]] = {}  # of static and host rules, by switch, up to the epoch

    def ask(self, output: ReadEntries, now: float) -> None:
        """Send the request; the answer comes as EntriesRead."""
        line = self._lines.get(output.dpid)
        if line is None:
            return
        xid = next(self._xids)
        self._readings[(output.dpid, xid)] = _Reading(output.sweep, now + PART_TIMEOUT)
        if output.sweep:
            cookie = OWNER << 56 | CookieKind.SESSION << 52
            line.write(flow_stats_request(xid, Table.SESSION, cookie, COOKIE_KIND_MASK))
        else:
            line.write(flow_stats_request(xid, ALL_TABLES, OWNER << 56, _OWNER_MASK))

    def part(self, dpid: int, xid: int, message: bytes, now: float) -> None:
        """A multipart reply; what was not asked for is ignored."""
        reading = self._readings.get((dpid, xid))
        head = read_multipart(message)
        if reading is None or head is None or head[0] != Multipart.FLOW:
            return
        reading.deadline = now + PART_TIMEOUT
        try:
            observed = parse(dpid, message[MULTIPART_LENGTH:])
        except MalformedMessage as refused:
            log.warning("switch %016x: its entries cannot be read: %s", dpid, refused)
            self._lines[dpid].disconnect(Disconnect.BAD_ENTRIES)
            return
        if observed.ignored:
            log.warning("switch %016x: %d entries that are ours by cookie only", dpid, observed.ignored)
        reading.entries += observed.entries
        reading.hosts += observed.hosts
        reading.cookies |= observed.cookies
        if len(reading.entries) + len(reading.hosts) > MAX_ENTRIES or len(reading.cookies) > MAX_EPOCHS:
            self._lines[dpid].disconnect(Disconnect.TOO_MANY_ENTRIES)
            return
        if head[1]:
            return
        del self._readings[(dpid, xid)]
        if not reading.sweep:
            self._cookies[dpid] = reading.cookies
        self._feed(EntriesRead(dpid, reading.entries, reading.hosts, reading.sweep))

    def older_than(self, dpid: int, epoch: int) -> list[int]:
        """Cookies, with COOKIE_KIND_MASK | EPOCH_MASK, of rules of other epochs that the last reading saw."""
        seen = self._cookies.pop(dpid, set())
        return sorted(cookie for cookie in seen if (cookie & EPOCH_MASK) >> 32 != epoch & 0xFFFF)

    def switch_down(self, dpid: int) -> None:
        self._cookies.pop(dpid, None)
        for key in [key for key in self._readings if key[0] == dpid]:
            del self._readings[key]

    def expire(self, now: float) -> None:
        """A switch that does not answer has to connect again."""
        for dpid in {key[0] for key, reading in self._readings.items() if reading.deadline <= now}:
            line = self._lines.get(dpid)
            if line is not None:
                line.disconnect(Disconnect.READ_TIMEOUT)
