"""DHCP (RFC 2131) as far as a switch port is bound by it: who asks, and which address it was given for how long.

Reading is bounded: one untagged Ethernet frame, at most MAX_OPTIONS options, no copy.
"""

from enum import IntEnum
from typing import NamedTuple

from .errors import WireError, WireRefusal

SERVER_PORT, CLIENT_PORT = 67, 68
MAX_OPTIONS = 64
INFINITE = 0xFFFF_FFFF  # seconds of a lease without an end
_UDP = 17
_FIXED = 236  # bytes before the options
_COOKIE = b"\x63\x82\x53\x63"
_PAD, _END, _LEASE, _TYPE = 0, 255, 51, 53
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
    (`given`), 4 bytes each, zero for none; the lease in seconds, 0 where none is told."""

    kind: DhcpType
    from_server: bool
    transaction: bytes
    client: bytes
    own: bytes
    given: bytes
    lease: int


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
        int.from_bytes(lease, "big"),
    )  # fmt: skip


def _options(message: bytes) -> dict[int, bytes]:
    """The two options that count here."""
    found: dict[int, bytes] = {}
    at = _FIXED + 4
    for _ in range(MAX_OPTIONS):
        while at < len(message) and message[at] == _PAD:
            at += 1
        if at >= len(message) or message[at] == _END:
            return found
        if at + 2 > len(message) or at + 2 + message[at + 1] > len(message):
            raise WireError(WireRefusal.OPTION_OVERRUN)
        if message[at] in (_LEASE, _TYPE):
            found[message[at]] = message[at + 2 : at + 2 + message[at + 1]]
        at += 2 + message[at + 1]
    raise WireError(WireRefusal.OPTIONS_TOO_LONG)
