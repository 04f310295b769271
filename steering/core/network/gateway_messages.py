"""Frames that the virtual gateways send: ARP and ND questions, router advertisements, ICMP time exceeded."""

from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Output, SendFrame
from steering.core.packet_inputs import TtlExpired
from steering.core.part import Part
from steering.model.network import AccessNetwork, PortRef
from steering.model.rules import VIRTUAL_MAC
from steering.wire.icmp import time_exceeded
from steering.wire.neighbour import (
    ALL_NODES,
    ALL_NODES_MAC,
    GATEWAY_LINK_LOCAL,
    arp_request,
    neighbour_solicitation,
    router_advertisement,
)

VIRTUAL = bytes.fromhex(VIRTUAL_MAC.replace(":", ""))  # the gateways' MAC address
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
    """A router advertisement out of one port, to all nodes. RFC 4861 section 6.2.6 allows this as an answer to a
    solicitation."""
    attachment = sitemap.attachments.get(port)
    if attachment is None or not isinstance(attachment.part, AccessNetwork):
        return []
    prefixes = [(p.network_address.packed, p.prefixlen) for p in attachment.part.prefixes if p.version == 6]
    if not prefixes:
        return []
    frame = router_advertisement(VIRTUAL, prefixes, ALL_NODES_MAC, ALL_NODES)
    return [SendFrame(port.dpid, port.port, frame)]


def ttl_expired(sitemap: SiteMap, seen: TtlExpired) -> list[Output]:
    """An ICMP time exceeded message for a packet, from the gateway of the port where the packet came in."""
    attachment = sitemap.at.get((seen.dpid, seen.port))
    if attachment is None:
        return []
    version = 4 if seen.frame[12:14] == b"\x08\x00" else 6
    gateway = next((g for g in attachment.part.gateways if g.version == version), None)
    if gateway is None:
        return []
    frame = time_exceeded(seen.frame, gateway.packed, VIRTUAL)
    return [SendFrame(seen.dpid, seen.port, frame)] if frame else []


def question_to(attachment: Attachment, address: bytes) -> list[Output]:
    """An ARP request or neighbour solicitation for an address, out of the port of an attachment. Empty for IPv4 where
    the attachment has no IPv4 gateway address to ask from."""
    version = 4 if len(address) == 4 else 6
    port = attachment.waypoint.port
    source = next((g.packed for g in attachment.part.gateways if g.version == version), None)
    if version == 6:
        frame = neighbour_solicitation(VIRTUAL, source or GATEWAY_LINK_LOCAL, address)
    elif source is None:
        return []
    else:
        frame = arp_request(VIRTUAL, source, address)
    return [SendFrame(port.dpid, port.port, frame)]
