"""Connects discovery with the switches: sends its announcements as packet-outs, and makes inputs of the engine from
received ones."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

from steering.core.counters import Counters
from steering.core.inputs import Input, LinkUp
from steering.core.outputs import SendFrame
from steering.model.ids import DatapathId, PortNumber
from steering.model.link_trip import LinkTrip
from steering.model.network import PortRef
from steering.openflow.discovery.link_discovery import Discovery, LinkChange, Rejection

log = logging.getLogger(__name__)


class Links:
    """Drives `discovery`; does nothing where the site's links are static (None)."""

    def __init__(
        self,
        discovery: Discovery | None,
        counters: Counters,
        feed: Callable[[Input], None],
        name: Callable[[PortRef], str],
    ) -> None:
        self._discovery = discovery
        self._counters = counters
        self._feed = feed
        self._name = name

    def heard(self, dpid: DatapathId, port: PortNumber, frame: bytes, now: float) -> None:
        """A switch passed an LLDP frame up."""
        if self._discovery is None:
            return
        found = self._discovery.heard(PortRef(dpid, port), frame, now)
        if isinstance(found, Rejection):
            self._counters.malformed[found.value] += 1
        else:
            self._tell(found)

    def switch_up(self, dpid: DatapathId, ports: Mapping[PortNumber, bool], now: float) -> None:
        if self._discovery is not None:
            self._tell(self._discovery.switch_up(dpid, ports, now))

    def switch_down(self, dpid: DatapathId) -> None:
        if self._discovery is not None:
            self._discovery.switch_down(dpid)

    def port_status(self, dpid: DatapathId, port: PortNumber, up: bool) -> None:
        if self._discovery is not None:
            self._tell(self._discovery.port_status(PortRef(dpid, port), up))

    def announcements(self, now: float, clock: Callable[[], float]) -> Iterator[SendFrame]:
        """Frames to send now, each stamped with the time of `clock`. The call also reports links that are lost because
        no frame came over them."""
        if self._discovery is None:
            return
        self._tell(self._discovery.expire(now))
        for port, frame in self._discovery.announcements(now, clock):
            yield SendFrame(port.dpid, port.port, frame)

    def _tell(self, changes: Iterable[LinkChange]) -> None:
        for change in changes:
            word = "up" if type(change) is LinkUp else "down"
            if isinstance(change, LinkTrip):
                word = "takes longer than it did" if change.is_outlier else "takes what it takes"
            log.info("link %s -> %s %s", self._name(change.a), self._name(change.b), word)
            self._feed(change)
