"""Reads the counters of single session entries (OFPMP_AGGREGATE). Each request names the exact match and cookie of one
entry, so a switch does not search its other entries, and a few requests cost little.

All entries of one ReadCounters are requested in one write. When the last answer is there, the engine gets one
CountersRead. Entries without an answer in time are left out.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from struct import Struct

from steering.core.inputs import CountersRead, Input, ObservedEntry
from steering.core.outputs import ReadCounters
from steering.model.ids import DatapathId
from steering.model.session import Entry
from steering.openflow.line import Writer
from steering.openflow.messages.templates import entry_count

MOST = 65_536  # most requests without an answer
PATIENCE = 5.0  # seconds that answers are waited for

_ANSWER = Struct("!QQI4x")  # packets, bytes, entries


class _Inquiry:
    """Requests that were sent together."""

    __slots__ = ("dpid", "found", "xids")

    def __init__(self, dpid: DatapathId) -> None:
        self.dpid = dpid
        self.xids: set[int] = set()  # transaction ids of the requests that were not answered yet
        self.found: list[ObservedEntry] = []


class EntryCounters:
    """Sends the requests to switches, and gives the counters to `feed`."""

    def __init__(
        self, lines: Mapping[DatapathId, Writer], xids: Iterator[int], feed: Callable[[Input], None]
    ) -> None:
        self._lines = lines
        self._xids = xids
        self._feed = feed
        self._asked: dict[tuple[DatapathId, int], tuple[_Inquiry, Entry]] = {}
        self._deadlines: deque[tuple[float, _Inquiry]] = deque()

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, output: ReadCounters, now: float) -> None:
        """Send the requests of `output`. Entries of a switch that is not connected, and entries beyond MOST, are left
        out: the caller has to ask again."""
        dpid, entries = output.dpid, output.entries
        line = self._lines.get(dpid)
        if line is None or not entries or len(self._asked) + len(entries) > MOST:
            return
        inquiry = _Inquiry(dpid)
        messages = []
        for entry in entries:
            xid = next(self._xids)
            inquiry.xids.add(xid)
            self._asked[dpid, xid] = (inquiry, entry)
            messages.append(entry_count(entry, xid))
        self._deadlines.append((now + PATIENCE, inquiry))
        line.write(b"".join(messages))

    def answer(self, dpid: DatapathId, xid: int, body: bytes) -> bool:
        """Take an answer; False for one that was not asked for. An answer of a wrong length gives no counters. Neither
        does an answer of a switch that has no such entry: the switch may have rebooted."""
        asked = self._asked.pop((dpid, xid), None)
        if asked is None:
            return False
        inquiry, entry = asked
        if len(body) == _ANSWER.size:
            packets, size, entries = _ANSWER.unpack(body)
            if entries:
                inquiry.found.append(ObservedEntry(entry, packets, size))
        inquiry.xids.discard(xid)
        if not inquiry.xids:
            self._feed(CountersRead(dpid, inquiry.found))
        return True

    def switch_down(self, dpid: DatapathId) -> None:
        """The switch is gone: its requests will not be answered."""
        for _, inquiry in self._deadlines:
            if inquiry.dpid == dpid:
                self._give_up(inquiry)

    def _give_up(self, inquiry: _Inquiry) -> None:
        for xid in inquiry.xids:
            del self._asked[inquiry.dpid, xid]
        inquiry.xids.clear()

    def expire(self, now: float) -> None:
        """Give up requests that were not answered in time."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, inquiry = self._deadlines.popleft()
            if inquiry.xids:
                self._give_up(inquiry)
                self._feed(CountersRead(inquiry.dpid, inquiry.found))
