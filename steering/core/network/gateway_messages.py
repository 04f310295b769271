"""What virtual gateways send: router advertisements, and ICMP errors for packets whose TTL ran out."""

from steering.core.inputs import TtlExpired
from steering.core.network.neighbours import VIRTUAL
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output, SendFrame
from steering.core.part import Part
from steering.model.network import AccessNetwork, PortRef
from steering.wire.icmp import time_exceeded
from steering.wire.neighbour import ALL_NODES, ALL_NODES_MAC, router_advertisement

ADVERTISE = 60.0  # seconds between unsolicited router advertisements


class Advertisements(Part):
    """Unsolicited router advertisements (RFC 4861 section 6.2.4)."""

    def __init__(self, sitemap: SiteMap) -> None:
        self._map = sitemap
        self._due = 0.0

    def due(self) -> float:
        return self._due

    def tick(self, now: float) -> list[Output]:
        self._due = now + ADVERTISE
        return [output for port in self._map.attachments for output in advertisement(self._map, port)]


def advertisement(sitemap: SiteMap, port: PortRef) -> list[Output]:
    """A router advertisement out of one port, to all nodes: RFC 4861 6.2.6 allows that as an answer."""
    attachment = sitemap.attachments.get(port)
    if attachment is None or not isinstance(attachment.part, AccessNetwork):
        return []
    prefixes = [(p.network_address.packed, p.prefixlen) for p in attachment.part.prefixes if p.version == 6]
    if not prefixes:
        return []
    frame = router_advertisement(VIRTUAL, prefixes, ALL_NODES_MAC, ALL_NODES)
    return [SendFrame(port.dpid, port.port, frame)]


def ttl_expired(sitemap: SiteMap, seen: TtlExpired) -> list[Output]:
    """Time exceeded, from the gateway of the port where the packet came in."""
    attachment = sitemap.at.get((seen.dpid, seen.port))
    if attachment is None:
        return []
    version = 4 if seen.frame[12:14] == b"\x08\x00" else 6
    gateway = next((g for g in attachment.part.gateways if g.version == version), None)
    if gateway is None:
        return []
    frame = time_exceeded(seen.frame, gateway.packed, VIRTUAL)
    return [SendFrame(seen.dpid, seen.port, frame)] if frame else []
