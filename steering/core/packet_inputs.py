"""Inputs for packets that are no TCP segments: ARP and ND, DHCP, ICMP, and packets that no flow entry forwards."""

from typing import NamedTuple

from steering.model.ids import DatapathId, PortNumber, WaypointId
from steering.wire.dhcp import DhcpMessage
from steering.wire.icmp import QuotedFlow


class NeighbourSeen(NamedTuple):
    """An ARP or ND message says that an address (4 or 16 bytes) has a MAC (6 bytes)."""

    dpid: DatapathId
    port: PortNumber
    address: bytes
    mac: bytes


class DhcpSeen(NamedTuple):
    """A DHCP message came in at a port of an access network that learns its hosts by DHCP."""

    dpid: DatapathId
    port: PortNumber
    message: DhcpMessage
    frame: bytes


class RouterSolicited(NamedTuple):
    """A host sent a router solicitation (RFC 4861 4.1)."""

    dpid: DatapathId
    port: PortNumber
    mac: bytes
    address: bytes  # link-local source, or 16 zero bytes


class SourceMissed(NamedTuple):
    """A packet came in with a source address (4 or 16 bytes) that is not bound to its port. The switch drops it."""

    dpid: DatapathId
    port: PortNumber
    address: bytes
    frame: bytes


class HostMissed(NamedTuple):
    """A packet reached the switch of its destination, but the destination's MAC is unknown. `address`: the destination."""

    dpid: DatapathId
    waypoint: WaypointId
    address: bytes
    frame: bytes


class IcmpErrorSeen(NamedTuple):
    """A copy of an ICMP error. The switch has forwarded the original. `flow`: of the packet that the error is about."""

    dpid: DatapathId
    port: PortNumber
    flow: QuotedFlow
    frame: bytes


class TtlExpired(NamedTuple):
    """A packet whose TTL or hop limit ran out at its first switch."""

    dpid: DatapathId
    port: PortNumber
    frame: bytes


PacketInput = (
    NeighbourSeen | DhcpSeen | RouterSolicited | SourceMissed | HostMissed | IcmpErrorSeen | TtlExpired
)
