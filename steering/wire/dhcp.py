"""DHCP (RFC 2131) as far as switch ports are bound by it: which client got which address for how long.

The module reads messages, and writes the message by which a client declines an address.
Reading is bounded: one untagged Ethernet frame, at most MAX_OPTIONS options.
"""

from enum import IntEnum
from typing import NamedTuple

from .checksum import internet_checksum
from .craft import ethernet_frame, ip_datagram
from .errors import WireError, WireRefusal

SERVER_PORT, CLIENT_PORT = 67, 68
MAX_OPTIONS = 64
INFINITE = 0xFFFF_FFFF  # seconds of a lease without an end
_UDP = 17
_FIXED = 236  # bytes before the options
_COOKIE = b"\x63\x82\x53\x63"
_PAD, _END, _REQUESTED, _LEASE, _TYPE, _SERVER, _IDENTIFIER = 0, 255, 50, 51, 53, 54, 61
_READ = frozenset((_REQUESTED, _LEASE, _TYPE, _SERVER, _IDENTIFIER))
_LEAST = 300  # bytes of a message; some servers drop what is shorter (RFC 1542 2.1)
_NOBODY, _ALL = bytes(4), b"\xff" * 4
_REQUEST, _REPLY = 1, 2


class DhcpType(IntEnum):
    """The message type (RFC 2132 section 9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class DhcpMessage(NamedTuple):
    """One DHCP message."""

    kind: DhcpType
    from_server: bool
    transaction: bytes  # xid: the number that the client chose for its request, 4 bytes
    client: bytes  # chaddr: the client's MAC, 6 bytes
    own: bytes  # ciaddr: the address that the client has, 4 bytes, zero for none
    given: bytes  # yiaddr: the address that the server gives to the client, 4 bytes, zero for none
    lease: int  # seconds; 0 where the message names no lease time
    requested: bytes  # option 50: the address that the client asks for or declines, 4 bytes, b"" for none
    server: bytes  # option 54: the server's own address, 4 bytes, b"" for none
    identifier: bytes  # option 61: the client's identifier, b"" for none


def read_dhcp(frame: bytes) -> DhcpMessage:
    """Read a DHCP message in an unfragmented IPv4 packet. Raises WireError for any other or malformed frame."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00" or frame[14] >> 4 != 4:
        raise WireError(WireRefusal.NOT_IP)
    head = (frame[14] & 0xF) * 4
    if head < 20:
        raise WireError(WireRefusal.BAD_IHL)
    if int.from_bytes(frame[20:22], "big") & 0x3FFF:
        raise WireError(WireRefusal.FRAGMENT)
    udp = 14 + head
    end = udp + int.from_bytes(frame[udp + 4 : udp + 6], "big")
    if frame[23] != _UDP or end > len(frame):
        raise WireError(WireRefusal.TRUNCATED)
    message = frame[udp + 8 : end]
    if len(message) < _FIXED + 4 or message[_FIXED : _FIXED + 4] != _COOKIE:
        raise WireError(WireRefusal.TRUNCATED)
    if message[0] not in (_REQUEST, _REPLY) or message[1:3] != b"\x01\x06":
        raise WireError(WireRefusal.BAD_VALUE)  # no request or reply, or the hardware is not Ethernet
    found = _options(message)
    kind = found.get(_TYPE, b"")
    if len(kind) != 1 or not DhcpType.DISCOVER <= kind[0] <= DhcpType.INFORM:
        raise WireError(WireRefusal.BAD_VALUE)
    lease = found.get(_LEASE, b"")
    if len(lease) not in (0, 4):
        raise WireError(WireRefusal.BAD_OPTION_LENGTH)
    return DhcpMessage(
        DhcpType(kind[0]), message[0] == _REPLY, message[4:8], message[28:34], message[12:16], message[16:20],
        int.from_bytes(lease, "big"), _address(found.get(_REQUESTED)), _address(found.get(_SERVER)),
        found.get(_IDENTIFIER, b""),
    )  # fmt: skip


def decline(given: DhcpMessage) -> bytes:
    """The frame in which the client of a server's answer `given` declines the address, because it is in use (RFC 2131
    4.4.4)."""
    options = b"".join(
        bytes((kind, len(value))) + value
        for kind, value in (
            (_TYPE, bytes((DhcpType.DECLINE,))),
            (_REQUESTED, given.given),
            (_SERVER, given.server),
            (_IDENTIFIER, given.identifier),
        )
        if value
    )
    head = bytes((_REQUEST, 1, 6, 0)) + given.transaction + bytes(4 + 16) + given.client
    message = (head.ljust(_FIXED, b"\0") + _COOKIE + options + bytes((_END,))).ljust(_LEAST, b"\0")
    ports = CLIENT_PORT.to_bytes(2, "big") + SERVER_PORT.to_bytes(2, "big")
    length = (8 + len(message)).to_bytes(2, "big")
    checked = _NOBODY + _ALL + bytes((0, _UDP)) + length + ports + length + b"\0\0" + message
    checksum = internet_checksum(checked) or 0xFFFF
    udp = ports + length + checksum.to_bytes(2, "big") + message
    datagram = ip_datagram(_NOBODY, _ALL, udp, protocol=_UDP)
    return ethernet_frame(datagram, dst_mac=b"\xff" * 6, src_mac=given.client)


def _address(value: bytes | None) -> bytes:
    return value if value is not None and len(value) == 4 else b""


def _options(message: bytes) -> dict[int, bytes]:
    """The values of the options in _READ, by option code."""
    found: dict[int, bytes] = {}
    at = _FIXED + 4
    for _ in range(MAX_OPTIONS):
        while at < len(message) and message[at] == _PAD:
            at += 1
        if at >= len(message) or message[at] == _END:
            return found
        if at + 2 > len(message) or at + 2 + message[at + 1] > len(message):
            raise WireError(WireRefusal.OPTION_OVERRUN)
        if message[at] in _READ:
            found[message[at]] = message[at + 2 : at + 2 + message[at + 1]]
        at += 2 + message[at + 1]
    raise WireError(WireRefusal.OPTIONS_TOO_LONG)
