"""Counts the packets that each switch has refused because nobody uses their VLAN tag: the counter of the entry that
refuses them (OFPMP_AGGREGATE)."""

from collections.abc import Callable, Iterator, Mapping
from struct import Struct

from steering.core.inputs import TagsRefused
from steering.model.ids import DatapathId
from steering.model.rules import COOKIE_KIND_MASK, FOREIGN_TAG, FOREIGN_TAG_COOKIE, Table
from steering.openflow.line import Writer
from steering.openflow.messages.encode import aggregate_by_cookie
from steering.openflow.polls.statistics_requests import StatisticsRequests

POLL = 5.0  # seconds between requests
MOST = 4_096  # switches whose last counter is kept; of more, the one that answered longest ago goes
_ANSWER = Struct("!QQI4x")  # packets, bytes, entries


def request(xid: int) -> bytes:
    return aggregate_by_cookie(xid, Table.GUARD, FOREIGN_TAG_COOKIE, COOKIE_KIND_MASK | FOREIGN_TAG)


class ForeignTagsPoll:
    """Asks each switch, and reports the packets since its answer before."""

    def __init__(
        self, lines: Mapping[DatapathId, Writer], xids: Iterator[int], feed: Callable[[TagsRefused], None]
    ) -> None:
        self._lines = lines
        self._xids = xids
        self._feed = feed
        self._next = 0.0
        self.asked = StatisticsRequests()
        self._before: dict[DatapathId, int] = {}

    def tick(self, now: float) -> None:
        if now >= self._next:
            self._next = now + POLL
            self.asked.ask_all(self._lines, self._xids, request, now)

    def answer(self, dpid: DatapathId, xid: int, body: bytes) -> bool:
        """Take a switch's counter; False where it was not asked for. A counter that is smaller than before began anew,
        as the switch was filled anew. An answer of a wrong length is ignored."""
        if not self.asked.answers(dpid, xid, len(body), more=False):
            return False
        if len(body) != _ANSWER.size:
            return True
        packets, _, entries = _ANSWER.unpack(body)
        before = self._before.pop(dpid, 0)
        if len(self._before) >= MOST:
            del self._before[next(iter(self._before))]
        self._before[dpid] = packets
        more = packets - before if packets >= before else packets
        if entries and more:
            self._feed(TagsRefused(dpid, more))
        return True

    def forget(self, dpid: DatapathId) -> None:
        """The switch is gone. Its last counter is kept: the switch may come back with the same entries."""
        self.asked.forget(dpid)
