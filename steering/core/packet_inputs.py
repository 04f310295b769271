"""Packets that switches show, but for TCP segments: who has an address, DHCP, ICMP, and packets that no entry lets on."""

from typing import NamedTuple

from steering.model.ids import DatapathId, PortNumber, WaypointId
from steering.wire.dhcp import DhcpMessage
from steering.wire.icmp import QuotedFlow


class NeighbourSeen(NamedTuple):
    """ARP or ND told that an address (4 or 16 bytes) has a MAC (6 bytes)."""

    dpid: DatapathId
    port: PortNumber
    address: bytes
    mac: bytes


class DhcpSeen(NamedTuple):
    """A DHCP message came in at a port of a network whose hosts are told by DHCP."""

    dpid: DatapathId
    port: PortNumber
    message: DhcpMessage
    frame: bytes


class RouterSolicited(NamedTuple):
    dpid: DatapathId
    port: PortNumber
    mac: bytes
    address: bytes  # link-local source, or 16 zero bytes


class SourceMissed(NamedTuple):
    """A packet came with a source, 4 or 16 bytes, that is not bound to its port, which drops it."""

    dpid: DatapathId
    port: PortNumber
    address: bytes
    frame: bytes


class HostMissed(NamedTuple):
    """A packet reached its egress edge but the host's MAC is unknown. `address`: its destination."""

    dpid: DatapathId
    waypoint: WaypointId
    address: bytes
    frame: bytes


class IcmpErrorSeen(NamedTuple):
    """A copy of an ICMP error; the switch has forwarded it already. `flow` is that of the packet it is about."""

    dpid: DatapathId
    port: PortNumber
    flow: QuotedFlow
    frame: bytes


class TtlExpired(NamedTuple):
    dpid: DatapathId
    port: PortNumber
    frame: bytes


PacketInput = (
    NeighbourSeen | DhcpSeen | RouterSolicited | SourceMissed | HostMissed | IcmpErrorSeen | TtlExpired
)
