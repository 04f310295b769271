"""Slicing frames of every link type."""

import pytest

from steering.wire.craft import ethernet_frame, ip_datagram, tcp_segment
from steering.wire.errors import WireError, WireRefusal
from steering.wire.segment import Flags, LinkType, Segment, read_segment

UE, SERVER = bytes([10, 1, 0, 2]), bytes([10, 9, 0, 2])
UE6, SERVER6 = bytes.fromhex("fd000001" + "0" * 23 + "2"), bytes.fromhex("fd000009" + "0" * 23 + "2")
COOKED_V1 = "0000 0001 0006 020000000001 0000"
COOKED_V2 = "0000 00000002 0001 00 06 020000000001 0000"


def _datagram(src: bytes, dst: bytes) -> bytes:
    options, flags = bytes.fromhex("1e040101"), Flags.SYN | Flags.ECE | Flags.CWR
    return ip_datagram(
        src,
        dst,
        tcp_segment(src, dst, 1, 2, seq=3, ack=4, flags=flags, window=5, options=options, payload=b"data"),
    )


def _frame(link: LinkType, datagram: bytes) -> bytes:
    ethertype = bytes.fromhex("0800" if datagram[0] >> 4 == 4 else "86dd")
    match link:
        case LinkType.ETHERNET:
            return ethernet_frame(datagram)
        case LinkType.COOKED_V1:
            return bytes.fromhex(COOKED_V1) + ethertype + datagram
        case LinkType.COOKED_V2:
            return ethertype + bytes.fromhex(COOKED_V2) + datagram
        case _:
            return datagram


@pytest.mark.parametrize(("src", "dst"), [(UE, SERVER), (UE6, SERVER6)])
@pytest.mark.parametrize("link", list(LinkType))
def test_every_link_type(link: LinkType, src: bytes, dst: bytes) -> None:
    got = read_segment(_frame(link, _datagram(src, dst)), link)
    assert got == Segment(
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
        link_tag=got.link_tag,
    )
    assert bool(got.link_tag) == (link in (LinkType.ETHERNET, LinkType.COOKED_V1, LinkType.COOKED_V2))


def test_padding_of_short_frames_is_not_payload() -> None:
    frame = ethernet_frame(ip_datagram(UE, SERVER, tcp_segment(UE, SERVER, 1, 2)))
    assert read_segment(frame + bytes(6)).payload == b""


@pytest.mark.parametrize("link", list(LinkType))
def test_every_truncation(link: LinkType) -> None:
    frame = _frame(link, _datagram(UE6, SERVER6))
    for size in range(len(frame) - 4):
        with pytest.raises(WireError) as caught:
            read_segment(frame[:size], link)
        assert caught.value.reason is WireRefusal.TRUNCATED
    assert read_segment(frame[:-4], link).payload == b""


@pytest.mark.parametrize("link", [0, 2, 105, 147, -1])
def test_unknown_link_type(link: int) -> None:
    with pytest.raises(WireError) as caught:
        read_segment(bytes(100), link)
    assert caught.value.reason is WireRefusal.UNKNOWN_LINK_TYPE


def test_raw_without_an_ip_version() -> None:
    with pytest.raises(WireError) as caught:
        read_segment(bytes(100), LinkType.RAW)
    assert caught.value.reason is WireRefusal.NOT_IP
