"""Slicing Ethernet frames."""

import pytest

from steering.wire.craft import ethernet_frame, ip_datagram, tcp_segment
from steering.wire.errors import WireError, WireRefusal
from steering.wire.segment import Flags, Segment, locate_tcp, read_segment

UE, SERVER = bytes([10, 1, 0, 2]), bytes([10, 9, 0, 2])
UE6, SERVER6 = bytes.fromhex("fd000001" + "0" * 23 + "2"), bytes.fromhex("fd000009" + "0" * 23 + "2")


def _frame(src: bytes, dst: bytes) -> bytes:
    options, flags = bytes.fromhex("1e040101"), Flags.SYN | Flags.ECE | Flags.CWR
    segment = tcp_segment(
        src, dst, 1, 2, seq=3, ack=4, flags=flags, window=5, options=options, payload=b"data"
    )
    return ethernet_frame(ip_datagram(src, dst, segment))


@pytest.mark.parametrize(("src", "dst"), [(UE, SERVER), (UE6, SERVER6)])
def test_both_families(src: bytes, dst: bytes) -> None:
    assert read_segment(_frame(src, dst)) == Segment(
        family=4 if len(src) == 4 else 6,
        src=src,
        dst=dst,
        sport=1,
        dport=2,
        seq=3,
        ack=4,
        flags=0xC2,
        window=5,
        options=bytes.fromhex("1e040101"),
        payload=b"data",
    )


def test_padding_of_short_frames_is_not_payload() -> None:
    frame = ethernet_frame(ip_datagram(UE, SERVER, tcp_segment(UE, SERVER, 1, 2)))
    assert read_segment(frame + bytes(6)).payload == b""


@pytest.mark.parametrize(("src", "dst"), [(UE, SERVER), (UE6, SERVER6)])
def test_every_truncation(src: bytes, dst: bytes) -> None:
    frame = _frame(src, dst)
    for size in range(len(frame) - 4):
        with pytest.raises(WireError) as caught:
            read_segment(frame[:size])
        assert caught.value.reason is WireRefusal.TRUNCATED
    got = read_segment(frame[:-3])
    assert (got.payload, got.cut) == (b"d", 3)


@pytest.mark.parametrize(("src", "length"), [(UE, 16), (UE6, 18)])
def test_a_punted_frame_of_ip_length_zero_is_refused(src: bytes, length: int) -> None:
    frame = bytearray(_frame(src, src))
    frame[length : length + 2] = b"\0\0"
    with pytest.raises(WireError) as caught:
        locate_tcp(bytes(frame))
    assert caught.value.reason is WireRefusal.BAD_IP_LENGTH


def test_a_punted_frame_has_two_tags_at_most() -> None:
    datagram = _frame(UE, SERVER)[14:]
    tags = [(0x88A8, 1), (0x8100, 2), (0x8100, 3)]
    assert read_segment(ethernet_frame(datagram, tags=tags[:2])).payload == b"data"
    with pytest.raises(WireError) as caught:
        read_segment(ethernet_frame(datagram, tags=tags))
    assert caught.value.reason is WireRefusal.TOO_MANY_TAGS
