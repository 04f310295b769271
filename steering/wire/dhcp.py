"""DHCP (RFC 2131) as far as a switch port is bound by it: who asks, and which address it was given for how long.

Reading is bounded: one untagged Ethernet frame, at most MAX_OPTIONS options, no copy.
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
    """RFC 2132 9.6."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class DhcpMessage(NamedTuple):
    """`kind`; whether a server sent it; the number that the client gave its question (4 bytes) and its MAC (6 bytes), the address it has (`own`) and the one it is given
    (`given`), 4 bytes each, zero for none; the lease in seconds, 0 where none is told; the address that the client asks for
    or declines (`requested`) and the server's own, empty where none is told; the client's identifier, if it has one."""

    kind: DhcpType
    from_server: bool
    transaction: bytes
    client: bytes
    own: bytes
    given: bytes
    lease: int
    requested: bytes
    server: bytes
    identifier: bytes


def read_dhcp(frame: bytes) -> DhcpMessage:
    """Read a DHCP message in IPv4 without fragments. Raises WireError for everything else and for anything malformed."""
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
        raise WireError(WireRefusal.BAD_VALUE)  # not of Ethernet
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
    """The frame in which the client of a server's answer says that the address is in use (RFC 2131 4.4.4)."""
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
    """The options that count here."""
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
