"""ICMP errors (RFC 792, 1812, 4443): reads the flow that an error is about, and writes the error "time exceeded".

The virtual gateway answers a packet whose TTL has run out with "time exceeded". Some packets get no answer, because
answers to them could be used for amplification: ICMP errors, later fragments, packets to groups, and packets whose
source is not one host.
"""

from struct import Struct
from typing import NamedTuple

from .checksum import internet_checksum, pseudo_header_v6
from .errors import WireError, WireRefusal
from .segment import ETH_IPV4, ETH_IPV6, MAX_EXTENSION_HEADERS

_ETHERNET_LENGTH = 14
_IPV4 = Struct(">BBHHHBBH4s4s")
_IPV6 = Struct(">IHBB16s16s")
_ICMP, _ICMPV6, _FRAGMENT = 1, 58, 44
_EXTENSIONS = frozenset((0, 43, 60, 135, 139, 140))
_ICMP_ERRORS = frozenset((3, 4, 5, 11, 12))  # RFC 792, RFC 1122 3.2.2
_TTL = 64
_INTERNETWORK_CONTROL = 0xC0  # precedence of an ICMP error, RFC 1812 4.3.2.5
_QUOTE_V4 = 576 - 28  # RFC 1812 4.3.2.3: the whole error stays within 576 bytes
_QUOTE_V6 = 1280 - 48  # RFC 4443 2.4(c): within the minimum IPv6 MTU


_UNREACHABLE, _TIME_EXCEEDED, _PARAMETER_PROBLEM = 3, 11, 12
_QUOTING_V4 = frozenset((_UNREACHABLE, _TIME_EXCEEDED, _PARAMETER_PROBLEM))
_QUOTING_V6 = frozenset(
    (1, 2, 3, 4)
)  # RFC 4443 3: unreachable, packet too big, time exceeded, parameter problem
_TCP = 6


class QuotedFlow(NamedTuple):
    """The TCP flow of the packet that an ICMP error is about, in the direction of that packet. Addresses have 4 or 16
    bytes."""

    src: bytes
    dst: bytes
    sport: int
    dport: int


def quoted_flow(frame: bytes) -> QuotedFlow:
    """The flow of the TCP segment that an ICMP error quotes (RFC 792; RFC 4443 2.4).

    `frame` is untagged Ethernet with IPv4 or IPv6, perhaps cut. Raises WireError:

    * truncated, not-ip, bad-ip-version, bad-ihl, too-many-headers: a header is missing or malformed;
    * fragment: the error itself, or the packet that it quotes, is a later fragment;
    * not-tcp: the packet is no ICMP error, or the error quotes no TCP;
    * bad-value: the error's destination is not the source of the quoted packet.
    """
    ip = _ETHERNET_LENGTH
    if len(frame) < ip + 20:
        raise WireError(WireRefusal.TRUNCATED)
    ethertype = frame[12] << 8 | frame[13]
    if ethertype == ETH_IPV4:
        at, protocol = _transport_v4(frame, ip)
        if protocol != _ICMP or at + 8 > len(frame) or frame[at] not in _QUOTING_V4:
            raise WireError(WireRefusal.NOT_TCP)
        inner = at + 8
        at, protocol = _transport_v4(frame, inner)
        addresses = frame[inner + 12 : inner + 16], frame[inner + 16 : inner + 20]
    elif ethertype == ETH_IPV6:
        at, protocol = _transport_v6(frame, ip)
        if protocol != _ICMPV6 or at + 8 > len(frame) or frame[at] not in _QUOTING_V6:
            raise WireError(WireRefusal.NOT_TCP)
        inner = at + 8
        at, protocol = _transport_v6(frame, inner)
        addresses = frame[inner + 8 : inner + 24], frame[inner + 24 : inner + 40]
    else:
        raise WireError(WireRefusal.NOT_IP)
    if protocol != _TCP:
        raise WireError(WireRefusal.NOT_TCP)
    to = frame[ip + 16 : ip + 20] if ethertype == ETH_IPV4 else frame[ip + 24 : ip + 40]
    if to != addresses[0]:  # an error has to go to the sender of the packet that it is about
        raise WireError(WireRefusal.BAD_VALUE)
    if at + 4 > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    return QuotedFlow(*addresses, frame[at] << 8 | frame[at + 1], frame[at + 2] << 8 | frame[at + 3])


def _transport_v4(frame: bytes, ip: int) -> tuple[int, int]:
    """The offset of the transport header of an IPv4 packet, and its protocol."""
    if ip + 20 > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    if frame[ip] >> 4 != 4:
        raise WireError(WireRefusal.BAD_IP_VERSION)
    header = (frame[ip] & 0x0F) * 4
    if header < 20:
        raise WireError(WireRefusal.BAD_IHL)
    if (frame[ip + 6] << 8 | frame[ip + 7]) & 0x1FFF:
        raise WireError(WireRefusal.FRAGMENT)
    return ip + header, frame[ip + 9]


def _transport_v6(frame: bytes, ip: int) -> tuple[int, int]:
    """The offset of the transport header of an IPv6 packet, after its extension headers, and its protocol."""
    if ip + 40 > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    if frame[ip] >> 4 != 6:
        raise WireError(WireRefusal.BAD_IP_VERSION)
    at, following = ip + 40, frame[ip + 6]
    for _ in range(MAX_EXTENSION_HEADERS + 1):
        if following not in _EXTENSIONS and following != _FRAGMENT:
            return at, following
        if at + 8 > len(frame):
            raise WireError(WireRefusal.TRUNCATED)
        if following == _FRAGMENT:
            if (frame[at + 2] << 8 | frame[at + 3]) & 0xFFF8:
                raise WireError(WireRefusal.FRAGMENT)
            size = 8
        else:
            size = frame[at + 1] * 8 + 8
        following = frame[at]
        at += size
    raise WireError(WireRefusal.TOO_MANY_HEADERS)


def time_exceeded(frame: bytes, gateway_ip: bytes, gateway_mac: bytes) -> bytes | None:
    """The frame with "time exceeded" that answers `frame`, to be sent out of the port where `frame` came in.

    `frame` is untagged Ethernet with IPv4 or IPv6, perhaps cut. `gateway_ip` has 4 or 16 bytes and is of the frame's
    family. Returns None where the RFCs forbid an answer. Raises WireError for a frame without a whole IP header, and
    bad-value for a `gateway_ip` of the other family.
    """
    if len(frame) < _ETHERNET_LENGTH + 20:
        raise WireError(WireRefusal.TRUNCATED)
    ethertype = frame[12] << 8 | frame[13]
    if ethertype == ETH_IPV4 and len(gateway_ip) == 4:
        reply = _answer_v4(frame, gateway_ip)
    elif ethertype == ETH_IPV6 and len(gateway_ip) == 16:
        reply = _answer_v6(frame, gateway_ip)
    elif ethertype in (ETH_IPV4, ETH_IPV6):
        raise WireError(WireRefusal.BAD_VALUE)
    else:
        raise WireError(WireRefusal.NOT_IP)
    if reply is None or frame[0] & 1:
        return None
    return frame[6:12] + gateway_mac + frame[12:14] + reply


def _answer_v4(frame: bytes, gateway: bytes) -> bytes | None:
    """The IPv4 packet of the answer."""
    ip = _ETHERNET_LENGTH
    if frame[ip] >> 4 != 4:
        raise WireError(WireRefusal.BAD_IP_VERSION)
    header = (frame[ip] & 0x0F) * 4
    if header < 20:
        raise WireError(WireRefusal.BAD_IHL)
    if ip + header > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    _, _, total, _, fragment, _, protocol, _, src, dst = _IPV4.unpack_from(frame, ip)
    if total < header:
        raise WireError(WireRefusal.BAD_IP_LENGTH)
    if fragment & 0x1FFF or dst[0] >= 224 or not 0 < src[0] < 224 or src[0] == 127:
        return None
    packet = frame[ip : ip + min(total, _QUOTE_V4)]
    if protocol == _ICMP and (len(packet) <= header or packet[header] in _ICMP_ERRORS):
        return None
    message = b"\x0b\0\0\0\0\0\0\0" + packet
    message = message[:2] + internet_checksum(message).to_bytes(2, "big") + message[4:]
    head = _IPV4.pack(0x45, _INTERNETWORK_CONTROL, 20 + len(message), 0, 0, _TTL, _ICMP, 0, gateway, src)
    return head[:10] + internet_checksum(head).to_bytes(2, "big") + head[12:] + message


def _answer_v6(frame: bytes, gateway: bytes) -> bytes | None:
    """The IPv6 packet of the answer."""
    ip = _ETHERNET_LENGTH
    if len(frame) < ip + 40:
        raise WireError(WireRefusal.TRUNCATED)
    if frame[ip] >> 4 != 6:
        raise WireError(WireRefusal.BAD_IP_VERSION)
    _, length, following, _, src, dst = _IPV6.unpack_from(frame, ip)
    if src[0] == 0xFF or dst[0] == 0xFF or not any(src):
        return None
    packet = frame[ip : ip + 40 + length]
    if not _answerable_v6(packet, following):
        return None
    message = b"\x03\0\0\0\0\0\0\0" + packet[:_QUOTE_V6]
    total = internet_checksum(pseudo_header_v6(gateway, src, len(message), _ICMPV6) + message)
    message = message[:2] + total.to_bytes(2, "big") + message[4:]
    return _IPV6.pack(6 << 28, len(message), _ICMPV6, _TTL, gateway, src) + message


def _answerable_v6(packet: bytes, following: int) -> bool:
    """Whether an IPv6 packet may be answered: it is no ICMPv6 error, no redirect and no later fragment.

    False for a packet whose upper-layer header was cut off or comes after too many extension headers.
    """
    at = 40
    for _ in range(MAX_EXTENSION_HEADERS + 1):
        if following == _ICMPV6:
            return at < len(packet) and packet[at] >= 128 and packet[at] != 137
        if following not in _EXTENSIONS and following != _FRAGMENT:
            return True
        if at + 8 > len(packet):
            return False
        if following == _FRAGMENT:
            if (packet[at + 2] << 8 | packet[at + 3]) & 0xFFF8:
                return False
            size = 8
        else:
            size = packet[at + 1] * 8 + 8
        following = packet[at]
        at += size
    return False
