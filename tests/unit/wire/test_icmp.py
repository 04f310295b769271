"""Time exceeded: the answer, its bounds, and the packets that get none."""

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.wire.checksum import internet_checksum, pseudo_header_v6
from steering.wire.errors import WireError, WireRefusal
from steering.wire.icmp import QuotedFlow, quoted_flow, time_exceeded

MAC = bytes.fromhex("025347000001")
HOST = bytes.fromhex("0a0000000007")
V4, V4_HOST, V4_FAR = bytes((10, 1, 0, 1)), bytes((10, 1, 0, 7)), bytes((10, 9, 0, 9))
V6 = bytes.fromhex("fd000001000000000000000000000001")
V6_HOST = bytes.fromhex("fd000001000000000000000000abcdef")
V6_FAR = bytes.fromhex("fd000009000000000000000000000009")


def ipv4(
    payload: bytes = bytes(8),
    protocol: int = 17,
    src: bytes = V4_HOST,
    dst: bytes = V4_FAR,
    fragment: int = 0,
) -> bytes:
    head = bytes((0x45, 0)) + (20 + len(payload)).to_bytes(2, "big") + bytes(2) + fragment.to_bytes(2, "big")
    return MAC + HOST + b"\x08\x00" + head + bytes((1, protocol, 0, 0)) + src + dst + payload


def ipv6(payload: bytes = bytes(8), following: int = 17, src: bytes = V6_HOST, dst: bytes = V6_FAR) -> bytes:
    head = b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + bytes((following, 1)) + src + dst
    return MAC + HOST + b"\x86\xdd" + head + payload


def test_an_ipv4_answer_quotes_the_packet_and_is_right() -> None:
    frame = ipv4(b"A" * 40)
    answer = time_exceeded(frame, V4, MAC)
    assert answer is not None
    seen = dpkt.ethernet.Ethernet(answer)
    assert (seen.dst, seen.src) == (HOST, MAC)
    packet = seen.data
    assert (packet.src, packet.dst, packet.p, packet.ttl) == (V4, V4_HOST, 1, 64)
    assert internet_checksum(answer[14:34]) == 0 and internet_checksum(answer[34:]) == 0
    assert (packet.data.type, packet.data.code) == (11, 0)
    assert answer[42:] == frame[14:]


def test_an_ipv4_answer_stays_within_576_bytes() -> None:
    answer = time_exceeded(ipv4(bytes(1400)), V4, MAC)
    assert answer is not None and len(answer) == 14 + 576


def test_padding_is_not_quoted() -> None:
    answer = time_exceeded(ipv4() + bytes(18), V4, MAC)
    assert answer is not None and len(answer) == 14 + 20 + 8 + 28


def test_an_ipv6_answer_quotes_the_packet_and_is_right() -> None:
    frame = ipv6(b"A" * 40)
    answer = time_exceeded(frame, V6, MAC)
    assert answer is not None
    packet = dpkt.ethernet.Ethernet(answer).data
    assert (packet.src, packet.dst, packet.nxt) == (V6, V6_HOST, 58)
    message = answer[54:]
    assert message[:2] == b"\x03\0" and message[8:] == frame[14:]
    assert internet_checksum(pseudo_header_v6(V6, V6_HOST, len(message), 58) + message) == 0


def test_an_ipv6_answer_stays_within_the_minimum_mtu() -> None:
    answer = time_exceeded(ipv6(bytes(1400)), V6, MAC)
    assert answer is not None and len(answer) == 14 + 1280


ECHO6, ERROR6, REDIRECT6 = b"\x80" + bytes(7), b"\x03" + bytes(7), b"\x89" + bytes(7)


@pytest.mark.parametrize(
    "frame",
    [
        ipv4(b"\x03" + bytes(7), protocol=1),
        ipv4(b"\x0b" + bytes(7), protocol=1),
        ipv4(b"", protocol=1),
        ipv4(fragment=1),
        ipv4(src=bytes(4)),
        ipv4(src=bytes((127, 0, 0, 1))),
        ipv4(src=bytes((224, 0, 0, 1))),
        ipv4(src=b"\xff" * 4),
        ipv4(dst=bytes((224, 0, 0, 251))),
        ipv4(dst=b"\xff" * 4),
        b"\x01" + ipv4()[1:],
        ipv6(ERROR6, 58),
        ipv6(REDIRECT6, 58),
        ipv6(b"", 58),
        ipv6(src=bytes(16)),
        ipv6(src=b"\xff" + bytes(15)),
        ipv6(dst=b"\xff\x02" + bytes(13) + b"\x01"),
        ipv6(bytes((58, 0)) + bytes(6) + ERROR6, 60),
        ipv6(bytes((17, 0, 0, 8)) + bytes(12), 44),
        ipv6(bytes((60, 0)) + bytes(6), 60),
        ipv6(bytes((60, 0, 0, 0, 0, 0, 0, 0)) * 12, 60),
        b"\x33" + ipv6()[1:],
    ],
)
def test_these_get_no_answer(frame: bytes) -> None:
    assert time_exceeded(frame, V4 if frame[12:14] == b"\x08\x00" else V6, MAC) is None


@pytest.mark.parametrize(
    "frame",
    [
        ipv4(b"\x08" + bytes(7), protocol=1),
        ipv4(fragment=0x2000),
        ipv6(ECHO6, 58),
        ipv6(bytes((58, 0)) + bytes(6) + ECHO6, 60),
        ipv6(bytes((17, 0, 0, 1)) + bytes(12), 44),
    ],
)
def test_these_get_one(frame: bytes) -> None:
    assert time_exceeded(frame, V4 if frame[12:14] == b"\x08\x00" else V6, MAC) is not None


@pytest.mark.parametrize(
    ("frame", "gateway", "reason"),
    [
        (ipv4()[:33], V4, WireRefusal.TRUNCATED),
        (ipv4(), V6, WireRefusal.BAD_VALUE),
        (ipv6(), V4, WireRefusal.BAD_VALUE),
        (MAC + HOST + b"\x08\x06" + bytes(40), V4, WireRefusal.NOT_IP),
        (ipv6()[:50], V6, WireRefusal.TRUNCATED),
        (ipv4()[:14] + b"\x44" + ipv4()[15:], V4, WireRefusal.BAD_IHL),
        (ipv4()[:14] + b"\x65" + ipv4()[15:], V4, WireRefusal.BAD_IP_VERSION),
        (ipv4()[:16] + b"\0\x13" + ipv4()[18:], V4, WireRefusal.BAD_IP_LENGTH),
    ],
)
def test_rubbish_is_refused_by_name(frame: bytes, gateway: bytes, reason: WireRefusal) -> None:
    with pytest.raises(WireError) as caught:
        time_exceeded(frame, gateway, MAC)
    assert caught.value.reason is reason


@given(
    st.sampled_from([ipv4(), ipv6(), ipv6(bytes((58, 0)) + bytes(6) + ECHO6, 60)]),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255))),
    st.integers(0, 90),
)
def test_it_ends_and_raises_only_its_own_error(seed: bytes, edits: list[tuple[int, int]], cut: int) -> None:
    frame = bytearray(seed)
    for at, value in edits:
        if at < len(frame):
            frame[at] = value
    for gateway in (V4, V6):
        try:
            answer = time_exceeded(bytes(frame[:cut]), gateway, MAC)
        except WireError:
            continue
        assert answer is None or len(answer) <= 14 + 1280


def segment_v4(src: bytes = V4_HOST, dst: bytes = V4_FAR, protocol: int = 6, fragment: int = 0) -> bytes:
    """The first bytes of a TCP segment, as an error quotes them: IP header and 8 bytes."""
    return ipv4(bytes((0x9C, 0x40, 0x14, 0x51, 0, 0, 0, 7)), protocol, src, dst, fragment)[14:]


def error_v4(quoted: bytes, kind: int = 3, to: bytes = V4_HOST) -> bytes:
    return ipv4(bytes((kind, 4, 0, 0, 0, 0, 5, 20)) + quoted, 1, V4, to)


def error_v6(quoted: bytes, kind: int = 2, to: bytes = V6_HOST) -> bytes:
    return ipv6(bytes((kind, 0, 0, 0, 0, 0, 5, 20)) + quoted, 58, V6, to)


@pytest.mark.parametrize("kind", [3, 11, 12])
def test_an_ipv4_error_tells_the_flow_that_it_is_about(kind: int) -> None:
    assert quoted_flow(error_v4(segment_v4(), kind)) == QuotedFlow(V4_HOST, V4_FAR, 40000, 5201)


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
@pytest.mark.parametrize("extensions", [b"", bytes((6, 0)) + bytes(6)])
def test_an_ipv6_error_tells_the_flow_that_it_is_about(kind: int, extensions: bytes) -> None:
    ports = bytes((0x9C, 0x40, 0x14, 0x51, 0, 0, 0, 7))
    quoted = ipv6(extensions + ports, 60 if extensions else 6)[14:]
    assert quoted_flow(error_v6(quoted, kind)) == QuotedFlow(V6_HOST, V6_FAR, 40000, 5201)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (error_v4(segment_v4(), kind=8), WireRefusal.NOT_TCP),
        (error_v4(segment_v4(), kind=5), WireRefusal.NOT_TCP),
        (error_v4(segment_v4(protocol=17)), WireRefusal.NOT_TCP),
        (error_v4(segment_v4(fragment=1)), WireRefusal.FRAGMENT),
        (error_v4(segment_v4(src=V4_FAR)), WireRefusal.BAD_VALUE),
        (error_v4(segment_v4()[:22]), WireRefusal.TRUNCATED),
        (error_v4(b""), WireRefusal.TRUNCATED),
        (error_v4(b"\x65" + bytes(40)), WireRefusal.BAD_IP_VERSION),
        (error_v4(b"\x41" + bytes(40)), WireRefusal.BAD_IHL),
        (ipv4(segment_v4(), 6), WireRefusal.NOT_TCP),
        (error_v6(bytes(50)), WireRefusal.BAD_IP_VERSION),
        (error_v6(ipv6(bytes(8), 6)[14:], kind=128), WireRefusal.NOT_TCP),
        (error_v6(ipv6(bytes(8) * 20, 17)[14:]), WireRefusal.NOT_TCP),
        (error_v6(ipv6((bytes((60, 0)) + bytes(6)) * 20, 60)[14:]), WireRefusal.TOO_MANY_HEADERS),
        (MAC + HOST + b"\x08\x06" + bytes(40), WireRefusal.NOT_IP),
        (MAC, WireRefusal.TRUNCATED),
    ],
)
def test_what_is_no_error_about_a_segment_is_refused_by_name(frame: bytes, reason: WireRefusal) -> None:
    with pytest.raises(WireError) as refused:
        quoted_flow(frame)
    assert refused.value.reason is reason


@given(st.binary(max_size=200), st.sampled_from([b"\x08\x00", b"\x86\xdd"]), st.integers(0, 120))
def test_quoted_flow_ends_and_raises_only_its_own_error(data: bytes, kind: bytes, cut: int) -> None:
    good = error_v4(segment_v4()) if kind == b"\x08\x00" else error_v6(ipv6(bytes(8), 6)[14:])
    for frame in (MAC + HOST + kind + data, good[:cut], good[:cut] + data):
        try:
            quoted_flow(frame)
        except WireError as refused:
            assert refused.reason in WireRefusal
