"""Frames of every link type that captures have, down to their TCP segment."""

import pytest

from steering.trace.frames import read_frame
from steering.trace.links import MAX_SHIMS, LinkType
from steering.wire.craft import ethernet_frame, ip_datagram, tcp_segment
from steering.wire.errors import WireError, WireRefusal
from steering.wire.segment import Flags, Segment
from tests.support.link_layers import FAMILIES_OF_IPV6, NAMES, dressed

UE, SERVER = bytes([10, 1, 0, 2]), bytes([10, 9, 0, 2])
UE6, SERVER6 = bytes.fromhex("fd000001" + "0" * 23 + "2"), bytes.fromhex("fd000009" + "0" * 23 + "2")
WITH_A_TAG = (
    *(LinkType.ETHERNET, LinkType.COOKED_V1, LinkType.COOKED_V2),
    *(LinkType.PPP_PPPD, LinkType.PPP_DIRECTION),
)


def _datagram(src: bytes, dst: bytes) -> bytes:
    options, flags = bytes.fromhex("1e040101"), Flags.SYN | Flags.ECE | Flags.CWR
    return ip_datagram(
        src,
        dst,
        tcp_segment(src, dst, 1, 2, seq=3, ack=4, flags=flags, window=5, options=options, payload=b"data"),
    )


def _refusal(frame: bytes, link: int) -> WireRefusal:
    with pytest.raises(WireError) as caught:
        read_frame(frame, link)
    return caught.value.reason


@pytest.mark.parametrize(("src", "dst"), [(UE, SERVER), (UE6, SERVER6)])
@pytest.mark.parametrize("name", NAMES)
def test_every_link_type(name: str, src: bytes, dst: bytes) -> None:
    link, frame = dressed(name, _datagram(src, dst))
    got = read_frame(frame, link)
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
    assert bool(got.link_tag) == (link in WITH_A_TAG)


def test_the_names_cover_every_link_type() -> None:
    alone = {LinkType.IPV4, LinkType.IPV6}  # each holds one family only, without a header
    assert {dressed(name, _datagram(UE, SERVER))[0] for name in NAMES} | alone == set(LinkType)
    for link, src in ((LinkType.IPV4, UE), (LinkType.IPV6, UE6)):
        assert read_frame(_datagram(src, src), link).payload == b"data"


@pytest.mark.parametrize("family", FAMILIES_OF_IPV6)
@pytest.mark.parametrize("name", ["null, little-endian", "null, big-endian", "loop", "enc"])
def test_ipv6_has_another_family_number_on_each_system(name: str, family: str) -> None:
    link, frame = dressed(name, _datagram(UE6, SERVER6), family)
    assert read_frame(frame, link).family == 6


def test_padding_of_short_frames_is_not_payload() -> None:
    frame = ethernet_frame(ip_datagram(UE, SERVER, tcp_segment(UE, SERVER, 1, 2)))
    assert read_frame(frame + bytes(6)).payload == b""


@pytest.mark.parametrize("name", NAMES)
def test_every_truncation(name: str) -> None:
    link, frame = dressed(name, _datagram(UE6, SERVER6))
    for size in range(len(frame) - 4):
        assert _refusal(frame[:size], link) is WireRefusal.TRUNCATED
    got = read_frame(frame[:-4], link)
    assert (got.payload, got.cut) == (b"", 4)


@pytest.mark.parametrize("link", [2, 105, 147, -1])
def test_unknown_link_type(link: int) -> None:
    assert _refusal(bytes(100), link) is WireRefusal.UNKNOWN_LINK_TYPE


@pytest.mark.parametrize("link", [LinkType.RAW, LinkType.NULL, LinkType.ENC, LinkType.PPP, LinkType.MPLS])
def test_raw_without_an_ip_version(link: LinkType) -> None:
    frame = bytes(100) if link is not LinkType.MPLS else bytes.fromhex("00000140") + bytes([0x70]) * 96
    assert _refusal(frame, link) is WireRefusal.NOT_IP


@pytest.mark.parametrize(
    "head",
    [
        "8863 1109 0000 0010",  # PPPoE discovery
        "8864 1101 0001 0010 0021",  # a code that session data does not have
        "8864 2100 0001 0010 0021",  # a version that does not exist
        "8864 1100 0001 0010 c021",  # PPP's own link control
        "8864 1100 0001 0010 002d",  # Van Jacobson's compressed TCP
        "0026 4242 03",  # spanning tree
        "0806",
    ],
)
def test_what_is_no_ip_behind_ethernet(head: str) -> None:
    frame = bytes(12) + bytes.fromhex(head) + _datagram(UE, SERVER)
    assert _refusal(frame, LinkType.ETHERNET) is WireRefusal.NOT_IP


@pytest.mark.parametrize("shim", ["8100 0001", "8847 0001 0040"], ids=["tags", "labels"])
def test_tags_and_labels_are_bounded(shim: str) -> None:
    tag = bytes.fromhex(shim)
    datagram = _datagram(UE, SERVER)

    def frame(count: int) -> bytes:
        if tag[:2] == b"\x81\0":
            return bytes(12) + tag * count + b"\x08\0" + datagram
        return bytes(12) + tag[:2] + tag[2:] * (count - 1) + bytes.fromhex("00030140") + datagram

    assert read_frame(frame(MAX_SHIMS)).payload == b"data"
    assert _refusal(frame(MAX_SHIMS + 1), 1) is WireRefusal.TOO_MANY_TAGS
    endless = bytes(12) + (tag * 5000 if tag[:2] == b"\x81\0" else tag[:2] + tag[2:] * 5000)
    assert _refusal(endless, 1) is WireRefusal.TOO_MANY_TAGS


@pytest.mark.parametrize(("src", "length"), [(UE, 2), (UE6, 4)])
@pytest.mark.parametrize("name", ["ethernet", "raw", "cooked v2", "pppoe", "three tags"])
def test_a_frame_of_ip_length_zero_was_captured_before_its_segmentation(
    name: str, src: bytes, length: int
) -> None:
    datagram = bytearray(_datagram(src, src))
    datagram[length : length + 2] = b"\0\0"
    link, frame = dressed(name, bytes(datagram))
    assert read_frame(frame, link).payload == b"data"
    assert (read_frame(frame[:-1], link, len(frame)).payload, read_frame(frame, link).cut) == (b"dat", 0)
    assert read_frame(frame[:-4], link, len(frame) + 65_000).cut == 65_004
    for size in range(len(frame) - 4):
        assert _refusal(frame[:size], link) is WireRefusal.TRUNCATED
