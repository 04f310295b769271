"""ICMP errors about TCP segments as a router sends them, and as somebody forges them."""

import struct
from ipaddress import ip_address
from typing import NamedTuple

from steering.wire.checksum import internet_checksum, pseudo_header_v6

_TOO_BIG = {4: (3, 4), 6: (2, 0)}  # fragmentation needed, RFC 1191; packet too big, RFC 8201
_UNREACHABLE = {4: (3, 1), 6: (1, 3)}  # host; address


class QuotedSegment(NamedTuple):
    """What an error is about: addresses as text, ports, and the sequence number."""

    src: str
    sport: int
    dst: str
    dport: int
    sequence: int


def too_big(router: str, about: QuotedSegment, mtu: int) -> bytes:
    """An IP packet that says that `about` does not fit through a link of `mtu` bytes."""
    return _error(router, about, _TOO_BIG, mtu)


def unreachable(router: str, about: QuotedSegment) -> bytes:
    """An IP packet that says that the host which `about` goes to cannot be reached."""
    return _error(router, about, _UNREACHABLE, 0)


def _error(router: str, about: QuotedSegment, kinds: dict[int, tuple[int, int]], number: int) -> bytes:
    src, dst = ip_address(about.src).packed, ip_address(about.dst).packed
    sender = ip_address(router).packed
    tcp = struct.pack("!HHIIBBHHH", about.sport, about.dport, about.sequence, 0, 0x50, 0x10, 100, 0, 0)
    if len(src) == 4:
        quoted = _ipv4(src, dst, 6, 1480) + tcp
        message = struct.pack("!BBHHH", *kinds[4], 0, 0, number) + quoted
        message = _summed(message, internet_checksum(message))
        return _ipv4(sender, src, 1, len(message)) + message
    quoted = _ipv6(src, dst, 6, 1460) + tcp
    message = struct.pack("!BBHI", *kinds[6], 0, number) + quoted
    message = _summed(message, internet_checksum(pseudo_header_v6(sender, src, len(message), 58) + message))
    return _ipv6(sender, src, 58, len(message)) + message


def _summed(message: bytes, checksum: int) -> bytes:
    return message[:2] + checksum.to_bytes(2, "big") + message[4:]


def _ipv4(src: bytes, dst: bytes, protocol: int, length: int) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 1, 0x4000, 63, protocol, 0, src, dst)
    return head[:10] + internet_checksum(head).to_bytes(2, "big") + head[12:]


def _ipv6(src: bytes, dst: bytes, following: int, length: int) -> bytes:
    return struct.pack("!IHBB16s16s", 6 << 28, length, following, 63, src, dst)
