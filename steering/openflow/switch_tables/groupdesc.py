"""Which groups of ours a switch holds (OFPMP_GROUP_DESC): those of an earlier controller that are not wanted any more
are deleted at the end of a filling. A switch that does not tell keeps them; they do no harm.
"""

from collections.abc import Iterator, Mapping
from struct import Struct

from steering.model.ids import DatapathId
from steering.model.rules import GROUP_BASE, GROUP_PORTS
from steering.openflow.line import Writer
from steering.openflow.messages.encode import group_descriptions_request
from steering.openflow.polls.statistics_requests import StatisticsRequests

_ROW = Struct("!HBxI")  # length, type, group; its buckets follow


def parse(body: bytes) -> Iterator[int]:
    """The numbers of the groups in whole rows that are ours; what follows a torn one is left."""
    at = 0
    while at + _ROW.size <= len(body):
        length, _, number = _ROW.unpack_from(body, at)
        if length < _ROW.size or at + length > len(body):
            return
        if number & ~GROUP_PORTS == GROUP_BASE:
            yield number
        at += length


class HeldGroups:
    """One question for each connection of a switch."""

    def __init__(self, lines: Mapping[DatapathId, Writer], xids: Iterator[int]) -> None:
        self._lines = lines
        self._xids = xids
        self.asked = StatisticsRequests()
        self._held: dict[DatapathId, set[int]] = {}  # at most GROUP_PORTS of a switch

    def ask(self, dpid: DatapathId) -> None:
        """A switch connected."""
        line = self._lines.get(dpid)
        if line is not None:
            xid = next(self._xids)
            self.asked.ask(dpid, xid, 0.0)
            self._held[dpid] = set()
            line.write(group_descriptions_request(xid))

    def answer(self, dpid: DatapathId, body: bytes) -> None:
        """A part of the answer, which was asked for. What comes after `take` is too late."""
        if dpid in self._held:
            self._held[dpid].update(parse(body))

    def take(self, dpid: DatapathId) -> list[int]:
        """What the switch told by now, once."""
        return sorted(self._held.pop(dpid, ()))

    def switch_down(self, dpid: DatapathId) -> None:
        self.asked.forget(dpid)
        self._held.pop(dpid, None)
