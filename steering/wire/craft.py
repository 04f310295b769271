"""Builds TCP segments over IPv4 and IPv6 with correct checksums, for resets of the controller, for labs and for
tests."""

from collections.abc import Sequence
from struct import pack

from .checksum import internet_checksum
from .errors import WireError, WireRefusal
from .mptcp import MpFastclose, MpTcprst
from .options import OPTION_SPACE
from .segment import (
    ETH_IPV4,
    ETH_IPV6,
    IPPROTO_TCP,
    Buffer,
    Flags,
    Segment,
    locate_tcp,
    read_segment,
)

MAC_A = bytes.fromhex("020000000001")
MAC_B = bytes.fromhex("0200000000ff")
_SEQ_SPACE = 1 << 32


def tcp_segment(
    src: bytes,
    dst: bytes,
    sport: int,
    dport: int,
    *,
    seq: int = 0,
    ack: int = 0,
    flags: int = Flags.SYN,
    window: int = 65535,
    options: bytes = b"",
    payload: bytes = b"",
) -> bytes:
    """A TCP header with options, and its payload. `src` and `dst` (both 4 or both 16 bytes) count in the checksum
    only.

    `options` must fill whole 4-byte words, at most 40 bytes. Raises WireError: bad-value, options-too-long.
    """
    if len(src) != len(dst) or len(src) not in (4, 16) or len(options) % 4:
        raise WireError(WireRefusal.BAD_VALUE)
    if len(options) > OPTION_SPACE:
        raise WireError(WireRefusal.OPTIONS_TOO_LONG)
    words = (20 + len(options)) // 4
    head = pack(">HHIIBBH", sport, dport, seq % _SEQ_SPACE, ack % _SEQ_SPACE, words << 4, flags, window)
    rest = b"\0\0" + options + payload
    length = len(head) + 2 + len(rest)
    pseudo = src + dst + (pack(">BBH", 0, 6, length) if len(src) == 4 else pack(">II", length, 6))
    return head + pack(">H", internet_checksum(pseudo + head + b"\0\0" + rest)) + rest


def ip_datagram(
    src: bytes,
    dst: bytes,
    payload: bytes,
    *,
    protocol: int = IPPROTO_TCP,
    ttl: int = 64,
    ip_options: bytes = b"",
    extensions: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """An IPv4 datagram if `src` has 4 bytes, else an IPv6 datagram.

    `ip_options` (IPv4): whole 4-byte words. `extensions` (IPv6): header type and header bytes of each extension
    header, in order. The first byte of each header, its next-header field, is filled in here.
    """
    if len(src) == 4:
        total = 20 + len(ip_options) + len(payload)
        first = pack(">BBHHHBB", 0x40 | (5 + len(ip_options) // 4), 0, total, 0, 0x4000, ttl, protocol)
        rest = src + dst + ip_options
        return first + pack(">H", internet_checksum(first + b"\0\0" + rest)) + rest + payload
    types = [kind for kind, _ in extensions] + [protocol]
    headers = b"".join(
        bytes((following,)) + body[1:] for following, (_, body) in zip(types[1:], extensions, strict=True)
    )
    fixed = pack(">IHBB", 6 << 28, len(headers) + len(payload), types[0], ttl)
    return fixed + src + dst + headers + payload


def ethernet_frame(
    datagram: bytes,
    *,
    dst_mac: bytes = MAC_B,
    src_mac: bytes = MAC_A,
    tags: Sequence[tuple[int, int]] = (),
) -> bytes:
    """An Ethernet frame around an IP datagram. `tags`: (TPID, TCI) of VLAN tags, outermost first."""
    ethertype = ETH_IPV4 if datagram[0] >> 4 == 4 else ETH_IPV6
    vlan = b"".join(pack(">HH", tpid, tci) for tpid, tci in tags)
    return dst_mac + src_mac + vlan + pack(">H", ethertype) + datagram


def tcp_frame(
    src: bytes,
    dst: bytes,
    sport: int,
    dport: int,
    *,
    seq: int = 0,
    ack: int = 0,
    flags: int = Flags.SYN,
    window: int = 65535,
    options: bytes = b"",
    payload: bytes = b"",
    tags: Sequence[tuple[int, int]] = (),
    dst_mac: bytes = MAC_B,
    src_mac: bytes = MAC_A,
) -> bytes:
    """A frame with Ethernet, IP and TCP headers. For IP options and extension headers, call the three functions
    above."""
    segment = tcp_segment(
        src,
        dst,
        sport,
        dport,
        seq=seq,
        ack=ack,
        flags=flags,
        window=window,
        options=options,
        payload=payload,
    )
    return ethernet_frame(ip_datagram(src, dst, segment), dst_mac=dst_mac, src_mac=src_mac, tags=tags)


def reset_for(frame: Buffer, reason: int | None = None, transient: bool = False) -> bytes:
    """The RST frame that answers the segment in an Ethernet `frame` (RFC 9293 3.10.7.1), sent back to its sender.

    With `reason` the RST carries MP_TCPRST (RFC 8684 3.6): 3 for a denial by policy, 2 and `transient` for an
    admission limit. VLAN tags are kept. `frame` may be cut after its TCP header: the acknowledgement number counts
    the payload by the IP length. Raises WireError for a frame without TCP, and is-reset for a RST, because a reset is
    never answered.
    """
    segment, following = _answerable(frame)
    option = b"" if reason is None else MpTcprst(reason, transient).encode(1)
    if segment.flags & Flags.ACK:
        return _reply(frame, segment, segment.ack, 0, Flags.RST, option)
    return _reply(frame, segment, 0, following, Flags.RST | Flags.ACK, option)


def finish_for(frame: Buffer) -> bytes:
    """The frame that acknowledges the SYN/ACK in an Ethernet `frame` and ends the connection's own side (RFC 9293 3.6), sent back
    to its sender. VLAN tags are kept. Raises WireError as `reset_for` does, and bad-value for a segment without ACK flag."""
    segment, following = _answerable(frame)
    if not segment.flags & Flags.ACK:
        raise WireError(WireRefusal.BAD_VALUE)
    return _reply(frame, segment, segment.ack, following, Flags.FIN | Flags.ACK, b"")


def fastclose_for(frame: Buffer, key: bytes) -> bytes:
    """The RST frame with MP_FASTCLOSE (RFC 8684 3.5) that makes the sender of `frame` end its whole MPTCP
    connection. `key`: the sender's own, 8 bytes, a secret.

    The RST's sequence number is exactly the one that the segment acknowledges: Linux accepts no other number.
    Raises WireError as `reset_for` does, and bad-value for a segment without ACK flag.
    """
    segment, following = _answerable(frame)
    if not segment.flags & Flags.ACK:
        raise WireError(WireRefusal.BAD_VALUE)
    option = MpFastclose(key).encode(1)
    return _reply(frame, segment, segment.ack, following, Flags.RST | Flags.ACK, option)


def fastclose_after(frame: Buffer, key: bytes) -> bytes:
    """The RST frame with MP_FASTCLOSE that replaces `frame` and goes to the same receiver.

    `key`: the receiver's own, 8 bytes, a secret. VLAN tags, addresses and sequence numbers are those of `frame`.
    Raises WireError as `fastclose_for` does.
    """
    return _instead(frame, MpFastclose(key).encode(1))


def reset_after(frame: Buffer) -> bytes:
    """The RST frame that replaces `frame` and goes to the same receiver. Raises WireError as `fastclose_for` does."""
    return _instead(frame, b"")


def challenge(src: bytes, dst: bytes, sport: int, dport: int, seq: int) -> bytes:
    """A frame with a SYN from `src` that makes `dst` tell the state of its connection (RFC 5961 section 4.2).

    If `dst` has the connection, it answers with an ACK that has its current sequence and acknowledgement numbers. If
    `dst` listens on the port, it answers with a SYN/ACK, else with a reset. The connection itself is not changed.
    Addresses have 4 or 16 bytes. Raises WireError as `tcp_segment` does.
    """
    return tcp_frame(src, dst, sport, dport, seq=seq)


def stray_byte(src: bytes, dst: bytes, sport: int, dport: int, seq: int) -> bytes:
    """A frame with one byte of data from `src`, most likely outside the window of `dst` (RFC 9293 section 3.10.7.4).

    If `dst` has the connection, it answers with an ACK that has its current numbers. Otherwise it answers with a reset,
    even if it listens on the port. Linux answers each stray byte, but only one `challenge` in half a second.
    """
    return tcp_frame(src, dst, sport, dport, seq=seq, ack=seq, flags=Flags.ACK, payload=b"\0")


def _instead(frame: Buffer, options: bytes) -> bytes:
    """A reset with the addresses and numbers of the frame's own segment."""
    segment, _ = _answerable(frame)
    if not segment.flags & Flags.ACK:
        raise WireError(WireRefusal.BAD_VALUE)
    rest = tcp_segment(
        segment.src,
        segment.dst,
        segment.sport,
        segment.dport,
        seq=segment.seq,
        ack=segment.ack,
        flags=Flags.RST | Flags.ACK,
        window=0,
        options=options,
    )
    return bytes(frame[: locate_tcp(frame).ip]) + ip_datagram(segment.src, segment.dst, rest)


def _answerable(frame: Buffer) -> tuple[Segment, int]:
    """The segment in a frame, and the sequence number that follows it. Raises WireError(is-reset) for a RST."""
    at = locate_tcp(frame)
    segment = read_segment(frame)
    if segment.flags & Flags.RST:
        raise WireError(WireRefusal.IS_RESET)
    length = at.end - at.tcp - 20 - len(segment.options)
    return segment, segment.seq + length + bool(segment.flags & Flags.SYN) + bool(segment.flags & Flags.FIN)


def _reply(frame: Buffer, segment: Segment, seq: int, ack: int, flags: int, options: bytes) -> bytes:
    """A frame without data back to the sender of `segment`."""
    answer = tcp_segment(
        segment.dst,
        segment.src,
        segment.dport,
        segment.sport,
        seq=seq,
        ack=ack,
        flags=flags,
        window=0,
        options=options,
    )
    datagram = ip_datagram(segment.dst, segment.src, answer)
    return bytes(frame[6:12]) + bytes(frame[0:6]) + bytes(frame[12 : locate_tcp(frame).ip]) + datagram
