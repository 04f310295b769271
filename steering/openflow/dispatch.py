"""Makes an input of the engine from a packet-in. The cookie of the rule that sent the packet up selects the reader, and
the reader makes the input.

A frame that a switch sends up holds a subscriber's bytes. Only the bounded readers of this project see the frame. Frames
that they refuse are counted.
"""

from collections.abc import Callable

from steering.core.counters import Counters
from steering.core.inputs import FinSeen, Input, ProbeAnswered, SynAckSeen, SynSeen, WatchedSeen
from steering.core.packet_inputs import (
    DhcpSeen,
    HostMissed,
    IcmpErrorSeen,
    NeighbourSeen,
    RouterSolicited,
    SourceMissed,
    TtlExpired,
)
from steering.model.ids import DatapathId, PortNumber, WaypointId
from steering.model.rules import WAYPOINT_MASK, PacketClass
from steering.model.session import Refusal
from steering.openflow.messages.packetin import PacketIn
from steering.wire.dhcp import read_dhcp
from steering.wire.errors import WireError
from steering.wire.errors import WireRefusal as WireRefusal
from steering.wire.handshake import read_handshake
from steering.wire.icmp import quoted_flow
from steering.wire.neighbour import NeighbourKind, read_neighbour
from steering.wire.segment import locate_tcp

_new = tuple.__new__  # makes a NamedTuple without calling its own constructor
_SYN = PacketClass.SYN
_SYN_ACK = PacketClass.SYN_ACK
_FIN = PacketClass.FIN
_LLDP = PacketClass.LLDP
NOT_OURS = (
    "foreign-packet-in"  # a label of the counter `malformed`: no rule of this controller sent the packet up
)


class Dispatch:
    """Reads packet-ins. `lldp` takes discovery frames, which are not for the engine: (dpid, port, frame, now)."""

    def __init__(
        self, counters: Counters, lldp: Callable[[DatapathId, PortNumber, bytes, float], None]
    ) -> None:
        self._counters = counters
        self._lldp = lldp

    def read(self, dpid: DatapathId, packet: PacketIn, now: float) -> Input | None:
        """The input for the engine; None if there is none."""
        kind = packet.packet_class
        if not kind:
            self._counters.malformed[NOT_OURS] += 1
            return None
        self._counters.packet_ins[kind] += 1
        try:
            # The three kinds that come with every connection are checked first, and without a call in between.
            if kind is _SYN:
                frame = packet.frame
                return _new(SynSeen, (dpid, packet.in_port, read_handshake(frame), frame))
            if kind is _SYN_ACK:
                return _new(SynAckSeen, (dpid, packet.in_port, read_handshake(packet.frame)))
            if kind is _FIN:
                frame = packet.frame
                handshake = read_handshake(frame)
                return FinSeen(
                    dpid, packet.in_port, handshake, locate_tcp(frame).end - handshake.payload_offset
                )
            if kind is _LLDP:
                self._lldp(dpid, packet.in_port, packet.frame, now)
                return None
            return _READERS[kind](dpid, packet)
        except WireError as refused:
            self._counters.malformed[refused.reason.value] += 1
            if kind is _SYN:
                self._counters.refusals[Refusal.UNPARSABLE] += 1
            return None


def _neighbour(dpid: DatapathId, packet: PacketIn) -> Input | None:
    message = read_neighbour(packet.frame)
    if message.kind is NeighbourKind.ROUTER_SOLICITATION:
        return RouterSolicited(dpid, packet.in_port, message.mac, message.address)
    # A probe for a duplicate address (RFC 4862 5.4, RFC 5227) is ignored: its sender has no address yet.
    return NeighbourSeen(dpid, packet.in_port, message.address, message.mac) if message.tells else None


def _host_miss(dpid: DatapathId, packet: PacketIn) -> Input | None:
    waypoint = packet.metadata & WAYPOINT_MASK
    return HostMissed(dpid, WaypointId(waypoint), destination(packet.frame), packet.frame)


def _dhcp(dpid: DatapathId, packet: PacketIn) -> Input | None:
    return DhcpSeen(dpid, packet.in_port, read_dhcp(packet.frame), packet.frame)


def _source_miss(dpid: DatapathId, packet: PacketIn) -> Input | None:
    return SourceMissed(dpid, packet.in_port, source(packet.frame), packet.frame)


def _ttl_expired(dpid: DatapathId, packet: PacketIn) -> Input | None:
    return TtlExpired(dpid, packet.in_port, packet.frame)


def _icmp_error(dpid: DatapathId, packet: PacketIn) -> Input | None:
    return IcmpErrorSeen(dpid, packet.in_port, quoted_flow(packet.frame), packet.frame)


def _watched(dpid: DatapathId, packet: PacketIn) -> Input | None:
    return WatchedSeen(dpid, packet.in_port, read_handshake(packet.frame), packet.frame)


def _probe(dpid: DatapathId, packet: PacketIn) -> Input | None:
    return ProbeAnswered(dpid, packet.in_port, read_handshake(packet.frame), packet.frame)


_READERS: dict[PacketClass, Callable[[DatapathId, PacketIn], Input | None]] = {
    PacketClass.NEIGHBOUR: _neighbour,
    PacketClass.HOST_MISS: _host_miss,
    PacketClass.SOURCE_MISS: _source_miss,
    PacketClass.DHCP: _dhcp,
    PacketClass.TTL_EXPIRED: _ttl_expired,
    PacketClass.WATCHED: _watched,
    PacketClass.ICMP_ERROR: _icmp_error,
    PacketClass.PROBE: _probe,
}


def destination(frame: bytes) -> bytes:
    """The destination address of an untagged IP frame, 4 or 16 bytes. Raises WireError for a shorter frame."""
    return _address(frame, 30, 38)


def source(frame: bytes) -> bytes:
    """The source address of an untagged IP frame, 4 or 16 bytes. Raises WireError for a shorter frame."""
    return _address(frame, 26, 22)


def _address(frame: bytes, at4: int, at6: int) -> bytes:
    kind = frame[12:14]
    if kind == b"\x08\x00":
        at, size, least = at4, 4, 34
    elif kind == b"\x86\xdd":
        at, size, least = at6, 16, 54
    else:
        raise WireError(WireRefusal.NOT_IP)
    if len(frame) < least:
        raise WireError(WireRefusal.TRUNCATED)
    return frame[at : at + size]
