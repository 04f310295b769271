"""Reads from the counters of meters (OFPMP_METER) how many SYNs come in at each port, and how many packets meters drop.

Switches are asked every second: a flood that is noticed later has set up hundreds of sessions.
"""

from collections.abc import Callable, Iterator, Mapping
from struct import Struct

from steering.core.inputs import CopiesLost, HostSynsLost, SynRate
from steering.model.ids import DatapathId, PortNumber
from steering.model.rules import Meter
from steering.openflow.line import Writer
from steering.openflow.messages.encode import message
from steering.openflow.messages.reader import LARGEST_PORT, Multipart
from steering.openflow.polls.statistics_requests import StatisticsRequests
from steering.openflow.ports.known_ports import MAX_PORTS

POLL = 1.0  # seconds between requests
_MULTIPART_REQUEST = 18
_REQUEST = Struct(">HH4xI4x")
_ALL = 0xFFFF_FFFF
_ROW = Struct(">IH6xIQQII")  # meter, length, flows, packets, bytes, duration s and ns; its bands follow

_BAND = Struct(">Q8x")  # packets, bytes


def request(xid: int) -> bytes:
    """The request for the counters of all meters."""
    return message(_MULTIPART_REQUEST, xid, _REQUEST.pack(Multipart.METER, 0, _ALL))


def parse(body: bytes) -> Iterator[tuple[int, int, float, int]]:
    """(meter, packets that came in, age of the meter in seconds, packets that its first band dropped) of each whole
    row. Rows after an incomplete one are ignored."""
    at = 0
    while at + _ROW.size <= len(body):
        meter, length, _, packets, _, seconds, nanoseconds = _ROW.unpack_from(body, at)
        if length < _ROW.size:
            return
        dropped = 0
        if length >= _ROW.size + _BAND.size and at + _ROW.size + _BAND.size <= len(body):
            (dropped,) = _BAND.unpack_from(body, at + _ROW.size)
        yield meter, packets, seconds + nanoseconds / 1e9, dropped
        at += length


class MeterPoll:
    """Asks, and compares each answer with the one before."""

    def __init__(
        self,
        lines: Mapping[DatapathId, Writer],
        xids: Iterator[int],
        feed: Callable[[SynRate], None],
        lost: Callable[[CopiesLost | HostSynsLost], None],
    ) -> None:
        self._lines = lines
        self._xids = xids
        self._feed = feed
        self._lost = lost
        self._dropped: dict[DatapathId, dict[int, int]] = {}  # meter (of copies or SYNs) -> packets dropped
        self._next = 0.0
        self.asked = StatisticsRequests()
        # Switch -> port -> packets, and age of the meter in seconds.
        self._before: dict[DatapathId, dict[PortNumber, tuple[int, float]]] = {}

    def tick(self, now: float) -> None:
        if now < self._next:
            return
        self._next = now + POLL
        self.asked.ask_all(self._lines, self._xids, request, now)

    def answer(self, dpid: DatapathId, body: bytes) -> None:
        """Take the counters of a switch. A meter that was changed begins to count anew: then no rate is reported, and
        only its drops since. A switch may name any meter; at most as many are remembered as a switch may have ports."""
        known, dropped = self._before.setdefault(dpid, {}), self._dropped.setdefault(dpid, {})
        lost: list[tuple[int, int]] = []
        of_hosts: list[tuple[int, int]] = []
        for meter, packets, age, drops in parse(body):
            port = PortNumber(meter - Meter.SYN_BASE)
            of_syns = 0 < port <= LARGEST_PORT
            is_hosts = Meter.HOST_SYN_BASE <= meter < Meter.RESERVED_BASE
            is_copies = Meter.SYN_ACK_BASE <= meter < Meter.HOST_MISS_BASE
            if of_syns or meter == Meter.FIN or is_copies or is_hosts:
                last = dropped.get(meter, drops)
                if meter in dropped or len(dropped) < 2 * MAX_PORTS:
                    dropped[meter] = drops
                if fresh := drops - last if drops >= last else drops:
                    (of_hosts if is_hosts else lost).append((meter, fresh))
            if not of_syns:
                continue
            before = known.get(port)
            if before is None and len(known) >= MAX_PORTS:
                continue
            known[port] = (packets, age)
            if before is not None and packets >= before[0] and age > before[1]:
                self._feed(SynRate(dpid, port, (packets - before[0]) / (age - before[1])))

        if lost:
            self._lost(CopiesLost(dpid, tuple(lost)))
        if of_hosts:
            self._lost(HostSynsLost(dpid, tuple(of_hosts)))

    def forget(self, dpid: DatapathId) -> None:
        """The switch is gone."""
        self.asked.forget(dpid)
        self._before.pop(dpid, None)
        self._dropped.pop(dpid, None)
