"""The fast reader of segments that switches send to the controller (packet-in). It reads the frame in one pass.

The reader takes the addresses, the ports and the first MPTCP option that opens a subflow (MP_CAPABLE or MP_JOIN, RFC
8684 3.1 and 3.2, RFC 6824 for version 0). `mptcp` and `decode` read all options.
"""

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from .crypto import token
from .errors import WireError, WireRefusal
from .options import COMMON, KEYED
from .segment import (
    ETH_IPV4,
    IPPROTO_TCP,
    TCP_HEADER_LENGTH,
    Buffer,
    locate_tcp,
    tcp_payload_offset,
)

__all__ = ["Handshake", "Kind", "read_handshake", "token"]


class Kind(IntEnum):
    """The kind of a TCP segment, by its options."""

    PLAIN = 0  # no usable MPTCP option: plain TCP (D-2.5)
    CAPABLE = 1
    JOIN = 2
    OPAQUE = 3  # carries TCP-MD5 (19) or TCP-AO (29): must never be relayed (D-6.7.6)


class Handshake(NamedTuple):
    """What one segment says. Addresses have 4 or 16 bytes, keys 8 bytes or b"", token and nonce 4 bytes or b""."""

    family: int  # 4 or 6
    src: bytes
    dst: bytes
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int  # TCP flag byte
    kind: Kind
    version: int  # of MP_CAPABLE; else 0, because MP_JOIN has no version field
    key: bytes  # the sender's key, where the option carries it
    peer_key: bytes  # the receiver's key, where the option carries it (third ACK, first data)
    token: bytes  # of a JOIN SYN: the receiver's token
    address_id: int
    backup: bool
    nonce: bytes
    deny_join: bool  # C flag of MP_CAPABLE, version 1 and later
    uncommon: bool  # an option is not in wire.options.COMMON: a relay would not pass it on (D-6.7.3)
    options_length: int  # used bytes of the header's option space, with padding (D-6.7.4)
    payload_offset: int  # in the frame


# Untagged Ethernet, IPv4 without options, TCP: EtherType, version and IHL, total length, fragment field,
# protocol, addresses, ports, sequence and acknowledgement number, data offset, flags. One unpack reads it all.
_COMMON = Struct(">HBxH2xHxB2x4s4sHHIIBB")
_COMMON_OFFSET = 12
_COMMON_LENGTH = 54  # Ethernet 14, IPv4 20, TCP 20
_TCP = Struct(">HHIIBB")
_IPV4_PAIR = Struct(">4s4s")
_IPV6_PAIR = Struct(">16s16s")

_MPTCP = 30

_SYN = 0x02
_SYN_ACK = 0x12

_KEY = Struct("8s")
_KEYS = Struct("8s8s")
_TOKEN_NONCE = Struct("4s4s")
_NONCE = Struct("4s")

_new = tuple.__new__

_PLAIN = Kind.PLAIN
_CAPABLE = Kind.CAPABLE
_JOIN = Kind.JOIN
_OPAQUE = Kind.OPAQUE

# kind, version, key, peer key, token, address id, backup, nonce, deny join, uncommon
_Opening = tuple[Kind, int, bytes, bytes, bytes, int, bool, bytes, bool, bool]
_NOTHING: _Opening = (_PLAIN, 0, b"", b"", b"", 0, False, b"", False, False)
_HIDDEN: _Opening = (_OPAQUE, 0, b"", b"", b"", 0, False, b"", False, True)


def read_handshake(frame: Buffer) -> Handshake:
    """Read an Ethernet frame with a TCP segment. The frame may be cut anywhere after the TCP header.

    A malformed MPTCP option is ignored, as RFC 8684 3 asks of a host: the segment is then PLAIN. Raises WireError for
    a frame that is not TCP over IP, for a fragment, for an incomplete header and for a malformed option LIST.
    """
    if len(frame) < _COMMON_LENGTH:
        return _read_any(frame)
    (ethertype, version_ihl, total, fragment, protocol, src, dst, sport, dport, seq, ack, offset, flags) = (
        _COMMON.unpack_from(frame, _COMMON_OFFSET)
    )
    end = 34 + (offset >> 4) * 4
    if (
        ethertype != ETH_IPV4
        or version_ihl != 0x45
        or fragment & 0x3FFF
        or protocol != IPPROTO_TCP
        or not _COMMON_LENGTH <= end <= len(frame)
        or total < end - 14
    ):
        return _read_any(frame)
    # All arguments are written out, and tuple's own constructor builds the object: this saves a third of the time.
    head = (4, src, dst, sport, dport, seq, ack, flags)
    return _new(Handshake, head + _opening(frame, _COMMON_LENGTH, end, flags) + (end - _COMMON_LENGTH, end))


def _read_any(frame: Buffer) -> Handshake:
    """Read a frame with VLAN tags, IPv4 options, IPv6 or extension headers, or refuse it."""
    at = locate_tcp(frame)
    end = tcp_payload_offset(frame, at.tcp)
    if at.family == 4:
        addresses = _IPV4_PAIR.unpack_from(frame, at.ip + 12)
    else:
        addresses = _IPV6_PAIR.unpack_from(frame, at.ip + 8)
    sport, dport, seq, ack, _, flags = _TCP.unpack_from(frame, at.tcp)
    start = at.tcp + TCP_HEADER_LENGTH
    head = (at.family, *addresses, sport, dport, seq, ack, flags)
    return _new(Handshake, head + _opening(frame, start, end, flags) + (end - start, end))


def _opening(frame: Buffer, at: int, end: int, flags: int) -> _Opening:
    """Read the options in frame[at:end]. The whole list is checked, also after the first MPTCP option."""
    found = _NOTHING
    uncommon = opaque = False
    while at < end:
        kind = frame[at]
        if kind == 1:
            at += 1
            continue
        if kind == 0:
            break
        if at + 1 >= end:
            raise WireError(WireRefusal.OPTION_OVERRUN)
        length = frame[at + 1]
        if length < 2:
            raise WireError(WireRefusal.OPTION_LENGTH_ONE if length else WireRefusal.OPTION_LENGTH_ZERO)
        following = at + length
        if following > end:
            raise WireError(WireRefusal.OPTION_OVERRUN)
        if kind == _MPTCP:
            if found is _NOTHING and length >= 4:
                found = _mptcp(frame, at, length, flags)
        elif kind not in COMMON:
            uncommon = True
            opaque |= kind in KEYED
        at = following
    if uncommon:
        return _HIDDEN if opaque else (*found[:-1], True)
    return found


def _mptcp(frame: Buffer, at: int, length: int, flags: int) -> _Opening:
    """Read the MPTCP option at `at`. It has at least 4 bytes and lies inside the header."""
    subtype = frame[at + 2] >> 4
    if subtype == 0:
        return _capable(frame, at, length, flags)
    if subtype == 1:
        return _join(frame, at, length, flags)
    return _NOTHING


def _capable(frame: Buffer, at: int, length: int, flags: int) -> _Opening:
    version = frame[at + 2] & 0x0F
    bits = frame[at + 3]
    if bits & 0x41 != 0x01:
        return _NOTHING  # an unknown extension (B), or no known crypto algorithm (H)
    deny = version > 0 and bits & 0x20 != 0
    handshake = flags & _SYN_ACK
    if handshake == _SYN:
        if version and length == 4:
            # Also for versions of the future: the responder may answer with a version that is known.
            return (_CAPABLE, version, b"", b"", b"", 0, False, b"", deny, False)
        if version == 0 and length == 12:
            return (_CAPABLE, 0, *_KEY.unpack_from(frame, at + 4), b"", b"", 0, False, b"", False, False)
        return _NOTHING
    if version > 1:
        return _NOTHING  # the hash of this version is unknown, so no token can be computed
    if handshake == _SYN_ACK:
        if length == 12:
            return (_CAPABLE, version, *_KEY.unpack_from(frame, at + 4), b"", b"", 0, False, b"", deny, False)
    elif length == 20 or (version == 1 and length in (22, 24)):
        return (_CAPABLE, version, *_KEYS.unpack_from(frame, at + 4), b"", 0, False, b"", deny, False)
    return _NOTHING


def _join(frame: Buffer, at: int, length: int, flags: int) -> _Opening:
    handshake = flags & _SYN_ACK
    if handshake == _SYN:
        if length == 12:
            token_, nonce = _TOKEN_NONCE.unpack_from(frame, at + 4)
            return (_JOIN, 0, b"", b"", token_, frame[at + 3], frame[at + 2] & 1 != 0, nonce, False, False)
    elif handshake == _SYN_ACK:
        if length == 16:
            (nonce,) = _NONCE.unpack_from(frame, at + 12)
            return (_JOIN, 0, b"", b"", b"", frame[at + 3], frame[at + 2] & 1 != 0, nonce, False, False)
    elif length == 24:
        return (_JOIN, 0, b"", b"", b"", 0, False, b"", False, False)
    return _NOTHING
