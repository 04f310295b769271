"""Finds the TCP segment in a frame, in a bounded number of steps and without a copy.

Link layer: Ethernet with up to two VLAN tags (802.1Q, 802.1ad), as switches send frames to the controller. `trace.links`
reads the link layers of capture files. Network layers: IPv4 with options, IPv6 with extension headers. Fragments are
refused, except the IPv6 "atomic" one (offset 0, nothing follows), which is a whole datagram (RFC 6946).
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from .errors import WireError, WireRefusal

Buffer = bytes | memoryview

ETH_IPV4 = 0x0800
ETH_IPV6 = 0x86DD
VLAN_TAGS = frozenset((0x8100, 0x88A8, 0x9100))
MAX_TAGS = 2
IPPROTO_TCP = 6
MAX_EXTENSION_HEADERS = 8

# Next-header values of extension headers that are skipped: hop-by-hop, routing, destination options, mobility, HIP,
# shim6.
_EXTENSIONS = frozenset((0, 43, 60, 135, 139, 140))
_FRAGMENT_HEADER = 44
_AUTHENTICATION_HEADER = 51

_TCP = Struct(">HHIIBBH")
TCP_HEADER_LENGTH = 20


class Flags(IntEnum):
    """The bits of TCP flags, in byte 13 of the header."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20
    ECE = 0x40
    CWR = 0x80


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment. `src` and `dst` have 4 or 16 bytes, by `family` (4 or 6). `payload` is what was captured of it."""

    family: int
    src: bytes
    dst: bytes
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int
    options: bytes
    payload: bytes
    link_tag: bytes = b""  # link addresses, or interface and direction; tells the two legs of a relay apart
    cut: int = 0  # bytes of payload that were on the wire and are not in `payload`


@dataclass(frozen=True, slots=True)
class LayerOffsets:
    """Offsets of the layers in a frame.

    `end` is the end of the datagram by its own length field, which may be after the end of the captured bytes.
    """

    family: int
    ip: int
    tcp: int
    end: int


def read_segment(frame: Buffer) -> Segment:
    """The TCP segment in an Ethernet frame, which may be cut after the TCP header.

    Raises WireError for everything else.
    """
    return segment_at(frame, locate_tcp(frame))


def segment_at(frame: Buffer, at: LayerOffsets, link_tag: bytes = b"") -> Segment:
    """The segment in a frame whose layers are at the offsets `at`."""
    sport, dport, seq, ack, _, flags, window = _TCP.unpack_from(frame, at.tcp)
    data = tcp_payload_offset(frame, at.tcp)
    addresses, size = (at.ip + 12, 4) if at.family == 4 else (at.ip + 8, 16)
    return Segment(
        family=at.family,
        src=bytes(frame[addresses : addresses + size]),
        dst=bytes(frame[addresses + size : addresses + 2 * size]),
        sport=sport,
        dport=dport,
        seq=seq,
        ack=ack,
        flags=flags,
        window=window,
        options=bytes(frame[at.tcp + TCP_HEADER_LENGTH : data]),
        payload=bytes(frame[data : at.end]),
        link_tag=link_tag,
        cut=max(0, at.end - max(data, len(frame))),
    )


def locate_tcp(frame: Buffer) -> LayerOffsets:
    """Find the TCP header in an Ethernet frame. Raises WireError unless the whole header with its options is in the frame
    and in the datagram."""
    ethertype, ip = _skip_tags(frame, 12)
    return locate_tcp_in_ip(frame, ethertype, ip)


def locate_tcp_in_ip(frame: Buffer, ethertype: int, ip: int, unsegmented: int | None = None) -> LayerOffsets:
    """Find the TCP header in the datagram at offset `ip`. Raises WireError as `locate_tcp` does.

    A datagram captured before the network card segmented it has the IP length 0. `unsegmented` is the offset where such
    a datagram ends. If `unsegmented` is None, such a datagram is refused (bad-ip-length).
    """
    if ethertype == ETH_IPV4:
        at = _locate_in_ipv4(frame, ip, unsegmented)
    elif ethertype == ETH_IPV6:
        at = _locate_in_ipv6(frame, ip, unsegmented)
    else:
        raise WireError(WireRefusal.NOT_IP)
    data = tcp_payload_offset(frame, at.tcp)
    if data > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    if data > at.end:
        raise WireError(WireRefusal.BAD_IP_LENGTH)
    return at


def tcp_payload_offset(frame: Buffer, tcp: int) -> int:
    """Offset of the first byte after the TCP header at `tcp`. Raises WireError: truncated, bad-data-offset."""
    if tcp + TCP_HEADER_LENGTH > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    length = (frame[tcp + 12] >> 4) * 4
    if length < TCP_HEADER_LENGTH:
        raise WireError(WireRefusal.BAD_DATA_OFFSET)
    return tcp + length


def _skip_tags(frame: Buffer, at: int) -> tuple[int, int]:
    """Skip VLAN tags from the EtherType at `at`. Returns the EtherType after the tags, and the offset of its payload."""
    ethertype = u16(frame, at)
    at += 2
    tags = 0
    while ethertype in VLAN_TAGS:
        tags += 1
        if tags > MAX_TAGS:
            raise WireError(WireRefusal.TOO_MANY_TAGS)
        ethertype = u16(frame, at + 2)
        at += 4
    return ethertype, at


def _locate_in_ipv4(frame: Buffer, ip: int, unsegmented: int | None) -> LayerOffsets:
    if ip + 20 > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    if frame[ip] >> 4 != 4:
        raise WireError(WireRefusal.BAD_IP_VERSION)
    header = (frame[ip] & 0x0F) * 4
    if header < 20:
        raise WireError(WireRefusal.BAD_IHL)
    if u16(frame, ip + 6) & 0x3FFF:
        raise WireError(WireRefusal.FRAGMENT)
    if frame[ip + 9] != IPPROTO_TCP:
        raise WireError(WireRefusal.NOT_TCP)
    total = u16(frame, ip + 2)
    if not total and unsegmented is not None:
        return LayerOffsets(4, ip, ip + header, unsegmented)
    if total < header + TCP_HEADER_LENGTH:
        raise WireError(WireRefusal.BAD_IP_LENGTH)
    return LayerOffsets(4, ip, ip + header, ip + total)


def _locate_in_ipv6(frame: Buffer, ip: int, unsegmented: int | None) -> LayerOffsets:
    if ip + 40 > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    if frame[ip] >> 4 != 6:
        raise WireError(WireRefusal.BAD_IP_VERSION)
    following, at = _skip_extensions(frame, frame[ip + 6], ip + 40)
    if following != IPPROTO_TCP:
        raise WireError(WireRefusal.NOT_TCP)
    length = u16(frame, ip + 4)
    if not length and unsegmented is not None:
        return LayerOffsets(6, ip, at, unsegmented)
    end = ip + 40 + length
    if end < at + TCP_HEADER_LENGTH:
        raise WireError(WireRefusal.BAD_IP_LENGTH)
    return LayerOffsets(6, ip, at, end)


def _skip_extensions(frame: Buffer, following: int, at: int) -> tuple[int, int]:
    """The type and the offset of the header after the extension headers."""
    for _ in range(MAX_EXTENSION_HEADERS + 1):
        if following in _EXTENSIONS:
            size = (u16(frame, at) & 0xFF) * 8 + 8
        elif following == _FRAGMENT_HEADER:
            if u16(frame, at + 2) & 0xFFF9:
                raise WireError(WireRefusal.FRAGMENT)
            size = 8
        elif following == _AUTHENTICATION_HEADER:
            size = (u16(frame, at) & 0xFF) * 4 + 8
        else:
            return following, at
        following = frame[at]
        at += size
    raise WireError(WireRefusal.TOO_MANY_HEADERS)


def u16(frame: Buffer, at: int) -> int:
    """The number in two bytes of the frame, in network order. Raises WireError(truncated)."""
    if at + 2 > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    return frame[at] << 8 | frame[at + 1]
