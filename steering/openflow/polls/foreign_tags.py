"""How many packets with tags of nobody each switch has refused: what its entry for them has counted (OFPMP_AGGREGATE)."""

from collections.abc import Callable, Iterator, Mapping
from struct import Struct

from steering.core.inputs import TagsRefused
from steering.model.ids import DatapathId
from steering.model.rules import COOKIE_KIND_MASK, FOREIGN_TAG, FOREIGN_TAG_COOKIE, Table
from steering.openflow.line import Writer
from steering.openflow.messages.encode import aggregate_by_cookie
from steering.openflow.polls.statistics_requests import StatisticsRequests

POLL = 5.0  # seconds
_ANSWER = Struct("!QQI4x")  # packets, bytes, entries


def request(xid: int) -> bytes:
    return aggregate_by_cookie(xid, Table.GUARD, FOREIGN_TAG_COOKIE, COOKIE_KIND_MASK | FOREIGN_TAG)


class ForeignTagsPoll:
    """Asks, and tells what came since the answer before."""

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
        """What a switch has counted; False where it was not asked. A switch that was filled anew counts anew; an answer of
        another length tells nothing."""
        if not self.asked.answers(dpid, xid, len(body), more=False):
            return False
        if len(body) != _ANSWER.size:
            return True
        packets, _, entries = _ANSWER.unpack(body)
        before = self._before.get(dpid, 0)
        self._before[dpid] = packets
        more = packets - before if packets >= before else packets
        if entries and more:
            self._feed(TagsRefused(dpid, more))
        return True

    def forget(self, dpid: DatapathId) -> None:
        """The switch is gone. What it had counted stays known: its entries may be the same when it is back."""
        self.asked.forget(dpid)
