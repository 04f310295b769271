"""Slicing a captured frame down to its TCP segment: bounded, no copy until the end.

Link layers: Ethernet with up to two VLAN tags (802.1Q, 802.1ad), raw IP, Linux cooked v1 and v2.
Network layers: IPv4 with options, IPv6 with extension headers. Fragments are refused, except the IPv6
"atomic" one (offset 0, nothing follows), which is a whole datagram (RFC 6946).
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

# Next-header values that are walked over: hop-by-hop, routing, destination options, mobility, HIP, shim6.
_EXTENSIONS = frozenset((0, 43, 60, 135, 139, 140))
_FRAGMENT_HEADER = 44
_AUTHENTICATION_HEADER = 51

_TCP = Struct(">HHIIBBH")
TCP_HEADER_LENGTH = 20


class LinkType(IntEnum):
    """Link-layer types of capture files (tcpdump.org/linktypes.html)."""

    ETHERNET = 1
    RAW_OLD = 12  # DLT_RAW as some systems write it into files
    RAW = 101
    COOKED_V1 = 113
    IPV4 = 228
    IPV6 = 229
    COOKED_V2 = 276


class Flags(IntEnum):
    """TCP flag bits of the header's byte 13."""

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
    """One TCP segment. `src`/`dst` 4 or 16 bytes by `family` (4 or 6); `payload` as far as it was captured."""

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
    link_tag: bytes = b""  # link addresses, or interface and direction: tells the two legs of a relay apart


@dataclass(frozen=True, slots=True)
class Located:
    """Offsets of the layers in a frame. `end` is where the datagram ends by its own length field, which may
    lie past the captured bytes."""

    family: int
    ip: int
    tcp: int
    end: int


def read_segment(frame: Buffer, link: int = LinkType.ETHERNET) -> Segment:
    """The TCP segment in a captured frame of link type `link`.

    The frame may be cut after the TCP header. Raises WireError for everything else.
    """
    at = locate_tcp(frame, link)
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
        link_tag=_link_tag(frame, link),
    )


def locate_tcp(frame: Buffer, link: int = LinkType.ETHERNET) -> Located:
    """Find the TCP header. At least its fixed 20 bytes are there, and its data offset fits the datagram."""
    ethertype, ip = _locate_ip(frame, link)
    if ethertype == ETH_IPV4:
        at = _locate_in_ipv4(frame, ip)
    elif ethertype == ETH_IPV6:
        at = _locate_in_ipv6(frame, ip)
    else:
        raise WireError(WireRefusal.NOT_IP)
    data = tcp_payload_offset(frame, at.tcp)
    if data > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    if data > at.end:
        raise WireError(WireRefusal.BAD_IP_LENGTH)
    return at


def tcp_payload_offset(frame: Buffer, tcp: int) -> int:
    """Offset of the first byte after the TCP header at `tcp`."""
    if tcp + TCP_HEADER_LENGTH > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    length = (frame[tcp + 12] >> 4) * 4
    if length < TCP_HEADER_LENGTH:
        raise WireError(WireRefusal.BAD_DATA_OFFSET)
    return tcp + length


def _link_tag(frame: Buffer, link: int) -> bytes:
    if link == LinkType.ETHERNET:
        return bytes(frame[:12])
    if link == LinkType.COOKED_V1:
        return bytes(frame[:2]) + bytes(frame[6:14])  # packet type, source address
    if link == LinkType.COOKED_V2:
        return bytes(frame[4:8]) + bytes(frame[10:20])  # interface, packet type, source address
    return b""


def _locate_ip(frame: Buffer, link: int) -> tuple[int, int]:
    """(EtherType, offset of the network layer)."""
    if link == LinkType.ETHERNET:
        return _skip_tags(frame, 12)
    if link == LinkType.COOKED_V1:
        return _skip_tags(frame, 14)
    if link == LinkType.COOKED_V2:
        ethertype = _u16(frame, 0)
        # A tagged frame keeps its tag after the cooked header.
        return _skip_tags(frame, 18 + 2, ethertype)
    if link in (LinkType.RAW, LinkType.RAW_OLD, LinkType.IPV4, LinkType.IPV6):
        if not len(frame):
            raise WireError(WireRefusal.TRUNCATED)
        return {4: ETH_IPV4, 6: ETH_IPV6}.get(frame[0] >> 4, 0), 0
    raise WireError(WireRefusal.UNKNOWN_LINK_TYPE)


def _skip_tags(frame: Buffer, at: int, ethertype: int | None = None) -> tuple[int, int]:
    """Read the EtherType at `at` (or take the one given, with `at` just after it) and step over VLAN tags."""
    if ethertype is None:
        ethertype = _u16(frame, at)
        at += 2
    tags = 0
    while ethertype in VLAN_TAGS:
        tags += 1
        if tags > MAX_TAGS:
            raise WireError(WireRefusal.TOO_MANY_TAGS)
        ethertype = _u16(frame, at + 2)
        at += 4
    return ethertype, at


def _locate_in_ipv4(frame: Buffer, ip: int) -> Located:
    if ip + 20 > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    if frame[ip] >> 4 != 4:
        raise WireError(WireRefusal.BAD_IP_VERSION)
    header = (frame[ip] & 0x0F) * 4
    if header < 20:
        raise WireError(WireRefusal.BAD_IHL)
    if _u16(frame, ip + 6) & 0x3FFF:
        raise WireError(WireRefusal.FRAGMENT)
    if frame[ip + 9] != IPPROTO_TCP:
        raise WireError(WireRefusal.NOT_TCP)
    total = _u16(frame, ip + 2)
    if total < header + TCP_HEADER_LENGTH:
        raise WireError(WireRefusal.BAD_IP_LENGTH)
    return Located(4, ip, ip + header, ip + total)


def _locate_in_ipv6(frame: Buffer, ip: int) -> Located:
    if ip + 40 > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    if frame[ip] >> 4 != 6:
        raise WireError(WireRefusal.BAD_IP_VERSION)
    following, at = _skip_extensions(frame, frame[ip + 6], ip + 40)
    if following != IPPROTO_TCP:
        raise WireError(WireRefusal.NOT_TCP)
    end = ip + 40 + _u16(frame, ip + 4)
    if end < at + TCP_HEADER_LENGTH:
        raise WireError(WireRefusal.BAD_IP_LENGTH)
    return Located(6, ip, at, end)


def _skip_extensions(frame: Buffer, following: int, at: int) -> tuple[int, int]:
    """(next header after the extension headers, its offset)."""
    for _ in range(MAX_EXTENSION_HEADERS + 1):
        if following in _EXTENSIONS:
            size = (_u16(frame, at) & 0xFF) * 8 + 8
        elif following == _FRAGMENT_HEADER:
            if _u16(frame, at + 2) & 0xFFF9:
                raise WireError(WireRefusal.FRAGMENT)
            size = 8
        elif following == _AUTHENTICATION_HEADER:
            size = (_u16(frame, at) & 0xFF) * 4 + 8
        else:
            return following, at
        following = frame[at]
        at += size
    raise WireError(WireRefusal.TOO_MANY_HEADERS)


def _u16(frame: Buffer, at: int) -> int:
    if at + 2 > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    return frame[at] << 8 | frame[at + 1]
