"""Counts packets for the controller that meters have dropped.

Copies are counted by kind of segment and by access network, so that an operator learns which access network is affected.
The original segments are never metered: only the controller misses something. SYNs are no copies. A dropped SYN is lost,
and its host repeats it. SYNs are counted by attachment (N-7.2c).
"""

from collections.abc import Mapping

from steering.core.counters import Counters
from steering.core.inputs import CopiesLost, Input
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import Handler, Part
from steering.model.ids import DatapathId
from steering.model.rules import Meter

SYN_ACK = "syn-ack"
OTHERS = "others"  # FINs between MCPs, their pools and servers


class LostCopies(Part):
    """Takes the counters of the switches' meters."""

    def __init__(self, sitemap: SiteMap, counters: Counters) -> None:
        self._map = sitemap
        self._counters = counters

    def takes(self) -> Mapping[type[Input], Handler]:
        return {CopiesLost: self.lost}

    def lost(self, told: CopiesLost, now: float) -> list[Output]:
        """Meters of a switch have dropped copies and SYNs."""
        for meter, copies in told.lost:
            port = self._map.at.get((told.dpid, meter - Meter.SYN_BASE))  # type: ignore[arg-type]
            if port is not None:
                self._counters.syns_dropped[port.name] += copies
                continue
            known = self._of(told.dpid, meter)
            if known is not None:
                self._counters.copies_lost[known] += copies
                if known[0] == SYN_ACK:
                    self._counters.answers_lost[told.dpid, known[1]] += copies
        return []

    def _of(self, dpid: DatapathId, meter: int) -> tuple[str, str] | None:
        """The kind of segment and the access network of a meter for copies. None for any other meter."""
        if meter == Meter.FIN:
            return "fin", OTHERS
        accesses = self._map.site.access_networks
        for base, kind in ((Meter.SYN_ACK_BASE, SYN_ACK), (Meter.FIN_BASE, "fin")):
            if 0 <= meter - base < len(accesses) and meter < base + 0x800:
                return kind, accesses[meter - base].name
        attachment = self._map.at.get((dpid, meter - Meter.FIN_PORT_BASE))  # type: ignore[arg-type]
        return None if attachment is None else ("fin", attachment.name)
