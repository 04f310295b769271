"""Crafted segments: checksums against a plain implementation of RFC 1071, and the resets steering sends."""

from collections.abc import Callable

import pytest

from steering.wire.checksum import internet_checksum
from steering.wire.craft import (
    ethernet_frame,
    fastclose_after,
    fastclose_for,
    finish_for,
    ip_datagram,
    reset_for,
    tcp_frame,
    tcp_segment,
)
from steering.wire.errors import WireError, WireRefusal
from steering.wire.mptcp import MpTcprst, ResetReason
from steering.wire.segment import Flags, read_segment

UE, SERVER = bytes([10, 1, 0, 2]), bytes([10, 9, 0, 2])
UE6, SERVER6 = bytes.fromhex("fd000001" + "0" * 23 + "2"), bytes.fromhex("fd000009" + "0" * 23 + "2")


def _plain_sum(data: bytes) -> int:
    """The sum of 16-bit words with the carry added back, word by word."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_checksum() -> None:
    # The example of RFC 1071 3: the sum of 0001 f203 f4f5 f6f7 is ddf2.
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF ^ 0xDDF2
    for data in (
        b"",
        bytes(4),
        b"\xff\xff",
        b"\xff\xff\xff\xff",
        b"\x01",
        b"\xff\xfe\x00\x01",
        bytes(range(251)),
    ):
        assert internet_checksum(data) == 0xFFFF ^ _plain_sum(data)


@pytest.mark.parametrize(("src", "dst"), [(UE, SERVER), (UE6, SERVER6)])
@pytest.mark.parametrize("payload", [b"", b"odd", bytes(range(200))])
def test_segments_have_right_checksums(src: bytes, dst: bytes, payload: bytes) -> None:
    segment = tcp_segment(src, dst, 1, 2, seq=1 << 32, flags=Flags.ACK, options=bytes(8), payload=payload)
    length = len(segment).to_bytes(4, "big")
    assert _plain_sum(src + dst + length + b"\0\0\0\x06" + segment) == 0xFFFF
    datagram = ip_datagram(src, dst, segment)
    assert len(src) == 16 or _plain_sum(datagram[:20]) == 0xFFFF
    got = read_segment(ethernet_frame(datagram))
    assert (got.src, got.dst, got.seq, got.options, got.payload) == (src, dst, 0, bytes(8), payload)


def test_what_cannot_be_built() -> None:
    for options, reason in ((bytes(3), WireRefusal.BAD_VALUE), (bytes(44), WireRefusal.OPTIONS_TOO_LONG)):
        with pytest.raises(WireError) as caught:
            tcp_segment(UE, SERVER, 1, 2, options=options)
        assert caught.value.reason is reason
    with pytest.raises(WireError):
        tcp_segment(UE, SERVER6, 1, 2)


@pytest.mark.parametrize(("src", "dst"), [(UE, SERVER), (UE6, SERVER6)])
@pytest.mark.parametrize("tags", [(), ((0x8100, 100),), ((0x88A8, 5), (0x8100, 6))])
def test_reset_of_a_join(src: bytes, dst: bytes, tags: tuple[tuple[int, int], ...]) -> None:
    option = bytes.fromhex("1e0c1001169a4894784013b4")
    frame = tcp_frame(src, dst, 40000, 80, seq=0xFFFFFFFF, options=option, tags=tags)
    answer = reset_for(frame, ResetReason.ADMINISTRATIVELY_PROHIBITED)
    got = read_segment(answer)
    assert (got.src, got.sport, got.dst, got.dport) == (dst, 80, src, 40000)
    assert (got.seq, got.ack, got.flags) == (0, 0, Flags.RST | Flags.ACK)
    assert got.options == bytes.fromhex("1e048003")
    assert answer[:12] == frame[6:12] + frame[:6]
    assert answer[12 : 12 + 4 * len(tags)] == frame[12 : 12 + 4 * len(tags)]
    assert _plain_sum(answer[-24:] + dst + src + b"\0\x06\0\x18") == 0xFFFF


def test_reset_counts_payload_that_was_not_captured() -> None:
    frame = tcp_frame(UE, SERVER, 1, 2, seq=10, payload=bytes(300), flags=Flags.SYN | Flags.FIN)
    got = read_segment(reset_for(frame[:100], ResetReason.LACK_OF_RESOURCES, transient=True))
    assert got.ack == 10 + 300 + 2
    assert got.options == MpTcprst(2, transient=True).encode(1)


def test_reset_of_an_acknowledging_segment() -> None:
    got = read_segment(reset_for(tcp_frame(UE, SERVER, 1, 2, seq=10, ack=99, flags=Flags.ACK)))
    assert (got.seq, got.ack, got.flags, got.options) == (99, 0, Flags.RST, b"")


def test_a_reset_is_never_answered() -> None:
    with pytest.raises(WireError) as caught:
        reset_for(tcp_frame(UE, SERVER, 1, 2, flags=Flags.RST | Flags.ACK))
    assert caught.value.reason is WireRefusal.IS_RESET


OWN_KEY = bytes.fromhex("c9860dfe1c8da533")


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize(("src", "dst"), [(UE, SERVER), (UE6, SERVER6)])
@pytest.mark.parametrize("tags", [(), ((0x8100, 100),)])
def test_fastclose_towards_either_end(src: bytes, dst: bytes, tags: tuple[tuple[int, int], ...]) -> None:
    flags = Flags.ACK | Flags.FIN
    frame = tcp_frame(src, dst, 40000, 80, seq=0xFFFFFFF0, ack=99, flags=flags, payload=bytes(300), tags=tags)
    cut = frame[:100]
    back, on = fastclose_for(cut, OWN_KEY), fastclose_after(cut, OWN_KEY)
    for made, ends, numbers in (
        (back, (dst, 80, src, 40000), (99, (0xFFFFFFF0 + 301) % (1 << 32))),
        (on, (src, 40000, dst, 80), (0xFFFFFFF0, 99)),
    ):
        got = read_segment(made)
        assert (got.src, got.sport, got.dst, got.dport) == ends
        assert (got.seq, got.ack) == numbers
        assert (got.flags, got.window, got.payload) == (Flags.RST | Flags.ACK, 0, b"")
        assert got.options == bytes.fromhex("1e0c7000c9860dfe1c8da533")
        assert _plain_sum(made[-32:] + dst + src + b"\0\x06\0\x20") == 0xFFFF
        assert made[12 : 12 + 4 * len(tags)] == frame[12 : 12 + 4 * len(tags)]
    assert back[:12] == frame[6:12] + frame[:6] and on[:12] == frame[:12]


@pytest.mark.parametrize("make", [fastclose_for, fastclose_after])
@pytest.mark.parametrize(
    ("flags", "reason"),
    [(Flags.RST | Flags.ACK, WireRefusal.IS_RESET), (Flags.SYN, WireRefusal.BAD_VALUE)],
)
def test_what_no_fastclose_answers(
    make: Callable[[bytes, bytes], bytes], flags: int, reason: WireRefusal
) -> None:
    with pytest.raises(WireError) as caught:
        make(tcp_frame(UE, SERVER, 1, 2, flags=flags), OWN_KEY)
    assert caught.value.reason is reason


def test_a_finish_completes_a_handshake_and_ends_its_own_side() -> None:
    frame = tcp_frame(SERVER, UE, 443, 64_000, seq=2**32 - 1, ack=11, flags=Flags.SYN | Flags.ACK)
    got = read_segment(finish_for(frame))
    assert (got.src, got.dst, got.sport, got.dport) == (UE, SERVER, 64_000, 443)
    assert (got.seq, got.ack, got.flags, got.payload) == (11, 0, Flags.FIN | Flags.ACK, b"")
    for flags in (Flags.RST | Flags.ACK, Flags.SYN):
        with pytest.raises(WireError):
            finish_for(tcp_frame(SERVER, UE, 443, 64_000, flags=flags))
