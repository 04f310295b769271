"""Computes the utilisation of ports from their counters (OFPMP_PORT_STATS), for the engine.

One request, every POLL seconds, asks a switch for all its ports. A port whose speed neither the site nor the switch
tells has no utilisation.
"""

from collections.abc import Callable, Iterator, Mapping
from struct import Struct
from types import MappingProxyType

from steering.core.inputs import PortLoad
from steering.model.ids import DatapathId, PortNumber
from steering.openflow.line import Writer
from steering.openflow.messages.encode import message
from steering.openflow.messages.reader import Multipart
from steering.openflow.polls.statistics_requests import StatisticsRequests

POLL = 5.0  # seconds between requests
_MULTIPART_REQUEST = 18
_REQUEST = Struct(">HH4xI4x")
_ANY = 0xFFFF_FFFF
_ROW = Struct(
    ">I4xQQQQQQQQQQQQII"
)  # port, rx/tx packets, rx/tx bytes, eight more counters, duration s and ns
_ROW_LENGTH = 112


def request(xid: int) -> bytes:
    """The request for the counters of all ports."""
    return message(_MULTIPART_REQUEST, xid, _REQUEST.pack(Multipart.PORT_STATS, 0, _ANY))


def parse(body: bytes) -> list[tuple[PortNumber, int, int, float]]:
    """(port, bytes received, bytes sent, seconds the port exists) of each whole row; an incomplete last row is ignored."""
    found = []
    for at in range(0, len(body) - _ROW_LENGTH + 1, _ROW_LENGTH):
        row = _ROW.unpack_from(body, at)
        found.append((row[0], row[3], row[4], row[13] + row[14] / 1e9))
    return found


class PortPoll:
    """Asks, and compares each answer with the one before."""

    def __init__(
        self,
        lines: Mapping[DatapathId, Writer],
        xids: Iterator[int],
        feed: Callable[[PortLoad], None],
        declared: Mapping[tuple[DatapathId, PortNumber], int] = MappingProxyType({}),
    ) -> None:
        """`declared`: (datapath, port) -> bits/s as the site says. The site's speed counts first, since a switch knows
        only its own end of a line."""
        self._lines = lines
        self._xids = xids
        self._feed = feed
        self._declared = declared
        self._next = 0.0
        self.asked = StatisticsRequests()
        self._before: dict[tuple[DatapathId, PortNumber], tuple[int, int, float]] = {}

    def tick(self, now: float) -> None:
        if now < self._next:
            return
        self._next = now + POLL
        self.asked.ask_all(self._lines, self._xids, request, now)

    def answer(self, dpid: DatapathId, body: bytes, speeds: Mapping[PortNumber, int]) -> None:
        """Take the counters of a switch. `speeds`: port -> kbit/s as the switch says, 0 for unknown."""
        for port, received, sent, age in parse(body):
            speed = self._declared.get((dpid, port)) or speeds.get(port, 0) * 1000
            if not speed:
                continue  # ports that the switch has not described are ignored
            before = self._before.get((dpid, port))
            self._before[dpid, port] = (received, sent, age)
            if before is None or age <= before[2]:
                continue
            moved = max(received - before[0], sent - before[1], 0)
            use = moved * 8 / (age - before[2]) / speed
            self._feed(PortLoad(dpid, port, min(use, 1.0)))

    def forget(self, dpid: DatapathId) -> None:
        """The switch is gone."""
        self.asked.forget(dpid)
        for key in [key for key in self._before if key[0] == dpid]:
            del self._before[key]
