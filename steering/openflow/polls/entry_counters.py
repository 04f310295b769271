"""What single session entries have counted (OFPMP_AGGREGATE): each is asked about by its exact match and cookie, so that
a switch looks at that one alone, and a few answers cost nobody anything.

The entries of one ReadCounters are asked about in one write, and answered as one CountersRead when the last answer
is there. What is not answered in time is left out.
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

MOST = 65_536  # questions without an answer
PATIENCE = 5.0  # seconds

_ANSWER = Struct("!QQI4x")  # packets, bytes, entries


class _Inquiry:
    """Questions that were asked together."""

    __slots__ = ("dpid", "found", "xids")

    def __init__(self, dpid: DatapathId) -> None:
        self.dpid = dpid
        self.xids: set[int] = set()  # that were not answered yet
        self.found: list[ObservedEntry] = []


class EntryCounters:
    """Asks switches, and gives what they answer to `feed`."""

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
        """Send the questions. Nothing is asked of a switch that is not there, or beyond the bound: whoever wants to
        know has to ask again."""
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
        """An answer; False for one that was not asked for. One of another length tells nothing, nor does one of a switch
        that has no such entry: it may have rebooted."""
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
        """The switch is gone: it answers nothing."""
        for _, inquiry in self._deadlines:
            if inquiry.dpid == dpid:
                self._give_up(inquiry)

    def _give_up(self, inquiry: _Inquiry) -> None:
        for xid in inquiry.xids:
            del self._asked[inquiry.dpid, xid]
        inquiry.xids.clear()

    def expire(self, now: float) -> None:
        """Give up what was not answered in time."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, inquiry = self._deadlines.popleft()
            if inquiry.xids:
                self._give_up(inquiry)
                self._feed(CountersRead(inquiry.dpid, inquiry.found))
