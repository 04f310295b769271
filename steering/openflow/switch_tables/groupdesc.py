"""Reads which groups of this project a switch holds (OFPMP_GROUP_DESC). Groups of an earlier run that are not wanted any
more are deleted at the end of a filling. A switch that does not answer keeps such groups, which do no harm.
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
    """The numbers of this project's groups in whole rows. Rows after an incomplete one are ignored."""
    at = 0
    while at + _ROW.size <= len(body):
        length, _, number = _ROW.unpack_from(body, at)
        if length < _ROW.size or at + length > len(body):
            return
        if number & ~GROUP_PORTS == GROUP_BASE:
            yield number
        at += length


class HeldGroups:
    """The groups that switches hold. Each switch is asked once in a connection."""

    def __init__(self, lines: Mapping[DatapathId, Writer], xids: Iterator[int]) -> None:
        self._lines = lines
        self._xids = xids
        self.asked = StatisticsRequests()
        self._held: dict[DatapathId, set[int]] = {}  # at most GROUP_PORTS numbers for each switch

    def ask(self, dpid: DatapathId) -> None:
        """A switch connected."""
        line = self._lines.get(dpid)
        if line is not None:
            xid = next(self._xids)
            self.asked.ask(dpid, xid, 0.0)
            self._held[dpid] = set()
            line.write(group_descriptions_request(xid))

    def answer(self, dpid: DatapathId, body: bytes) -> None:
        """Take a part of the answer. Parts that come after `take` are ignored."""
        if dpid in self._held:
            self._held[dpid].update(parse(body))

    def take(self, dpid: DatapathId) -> list[int]:
        """The groups that the switch has reported until now. A second call returns none."""
        return sorted(self._held.pop(dpid, ()))

    def switch_down(self, dpid: DatapathId) -> None:
        self.asked.forget(dpid)
        self._held.pop(dpid, None)
