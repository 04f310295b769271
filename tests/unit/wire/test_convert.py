"""Convert messages (RFC 8803): bytes by its figures, round trips, and hostile input."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.wire import convert
from steering.wire.convert import (
    Connect,
    ConvertError,
    Cookie,
    Error,
    ErrorCode,
    ExtendedTcpHeader,
    Info,
    Request,
    SupportedExtensions,
    Tlv,
)
from steering.wire.errors import WireError, WireRefusal

hexa = bytes.fromhex
V4 = Connect(IPv4Address("10.9.0.2"), 5001)
V6 = Connect(IPv6Address("fd00:9::2"), 443)
V4_TLV = "0a05 1389 00000000000000000000ffff0a090002"

# Section 6.1 and the figure of each TLV, written out by hand.
MESSAGES: list[tuple[str, tuple[Tlv, ...]]] = [
    ("0102 2263 0101 0000", (Info(),)),
    ("0106 2263" + V4_TLV, (V4,)),
    ("0106 2263 0a05 01bb fd000009000000000000000000000002", (V6,)),
    (
        "0107 2263 0a06 1389 00000000000000000000ffff0a090002 1e040100",
        (Connect(V4.address, 5001, ((30, hexa("0100")),)),),
    ),
    (
        "0107 2263 0a06 1389 00000000000000000000ffff0a090002 0402 0000",
        (Connect(V4.address, 5001, ((4, b""),)),),
    ),
    ("0104 2263 1403 0000 0204 05b4 0402 0303", (ExtendedTcpHeader(hexa("020405b404020303")),)),
    ("0103 2263 1502 0000 1e22 0000", (SupportedExtensions((30, 34)),)),
    ("0108 2263 1602 0000 aabbccdd" + V4_TLV, (Cookie(hexa("aabbccdd")), V4)),
    ("0102 2263 1e01 6100", (Error(ErrorCode.DESTINATION_UNREACHABLE),)),
    ("0102 2263 1e01 0001", (Error(ErrorCode.UNSUPPORTED_VERSION, b"\x01"),)),
    ("0103 2263 1e02 2103 0819 0000", (Error(ErrorCode.UNSUPPORTED_TCP_OPTION, hexa("030819")),)),
]


@pytest.mark.row("N-5.2.1b", "N-5.5b")
@pytest.mark.parametrize(("written", "tlvs"), MESSAGES)
def test_messages_by_the_figures(written: str, tlvs: tuple[Tlv, ...]) -> None:
    message = hexa(written)
    assert convert.encode(*tlvs) == message
    assert convert.decode(message) == tlvs
    assert convert.message_length(message[:4]) == len(message)


def test_error_codes_are_those_of_the_registry() -> None:
    assert [int(code) for code in ErrorCode] == [0, 1, 2, 3, 32, 33, 64, 65, 96, 97]


@pytest.mark.parametrize(
    ("written", "reason", "code"),
    [
        ("0206 2263" + V4_TLV, WireRefusal.UNKNOWN_VERSION, ErrorCode.UNSUPPORTED_VERSION),
        ("0100 2263", WireRefusal.BAD_TLV, ErrorCode.MALFORMED_MESSAGE),
        ("0101 2263", WireRefusal.BAD_TLV, ErrorCode.MALFORMED_MESSAGE),  # asks for nothing
        ("0102 2263 0a00 0000", WireRefusal.BAD_TLV, ErrorCode.MALFORMED_MESSAGE),  # a TLV of no length
        ("0102 2263 0a05 1389", WireRefusal.BAD_TLV, ErrorCode.MALFORMED_MESSAGE),  # longer than the message
        ("0102 2263 0a01 1389", WireRefusal.BAD_TLV, ErrorCode.MALFORMED_MESSAGE),  # no address
        ("0103 2263 0102 0000 00000000", WireRefusal.BAD_TLV, ErrorCode.MALFORMED_MESSAGE),
        ("0107 2263 0101 0000" + V4_TLV, WireRefusal.BAD_TLV, ErrorCode.MALFORMED_MESSAGE),  # both questions
        ("010b 2263" + V4_TLV + V4_TLV, WireRefusal.BAD_TLV, ErrorCode.MALFORMED_MESSAGE),  # two destinations
        ("0102 2263 c001 0000", WireRefusal.UNKNOWN_TLV, ErrorCode.UNSUPPORTED_MESSAGE),
        ("0102 2263 1e01 6100", WireRefusal.UNKNOWN_TLV, ErrorCode.UNSUPPORTED_MESSAGE),  # a converter's word
        ("0106 2263 0a05 0000 00000000000000000000ffff0a090002", WireRefusal.BAD_VALUE, ErrorCode.MALFORMED_MESSAGE),
        ("0106 2263 0a05 1389 00000000000000000000ffff7f000001", WireRefusal.BAD_VALUE, ErrorCode.MALFORMED_MESSAGE),
        ("0106 2263 0a05 1389 00000000000000000000ffffe0000001", WireRefusal.BAD_VALUE, ErrorCode.MALFORMED_MESSAGE),
        ("0106 2263 0a05 1389 00000000000000000000ffffffffffff", WireRefusal.BAD_VALUE, ErrorCode.MALFORMED_MESSAGE),
        ("0106 2263 0a05 1389 00000000000000000000000000000001", WireRefusal.BAD_VALUE, ErrorCode.MALFORMED_MESSAGE),
        ("0106 2263 0a05 1389 ff020000000000000000000000000001", WireRefusal.BAD_VALUE, ErrorCode.MALFORMED_MESSAGE),
        (
            "0107 2263 0a06 1389 00000000000000000000ffff0a090002 1e050100",
            *(WireRefusal.OPTION_OVERRUN, ErrorCode.MALFORMED_MESSAGE),
        ),
        (
            "0107 2263 0a06 1389 00000000000000000000ffff0a090002 01040200",
            *(WireRefusal.BAD_TLV, ErrorCode.MALFORMED_MESSAGE),
        ),
        (
            "0107 2263 0a06 1389 00000000000000000000ffff0a090002 00000000",
            *(WireRefusal.BAD_TLV, ErrorCode.MALFORMED_MESSAGE),
        ),
    ],
)  # fmt: skip
def test_refused_requests_name_their_code(written: str, reason: WireRefusal, code: ErrorCode) -> None:
    with pytest.raises(ConvertError) as caught:
        convert.decode_request(hexa(written))
    assert (caught.value.reason, caught.value.code, caught.value.silent) == (reason, code, False)
    answer = convert.decode(convert.error(caught.value))
    assert isinstance(answer[0], Error) and answer[0].code == code


@pytest.mark.parametrize("start", ["16030100", "474554", "01062264", "05010022"])
def test_what_is_no_convert_message_is_not_answered(start: str) -> None:
    with pytest.raises(ConvertError) as caught:
        convert.message_length(hexa(start))
    assert caught.value.reason is WireRefusal.BAD_MAGIC and convert.error(caught.value) == b""


def test_the_header_is_waited_for() -> None:
    message = convert.encode(V4)
    assert [convert.message_length(message[:n]) for n in range(6)] == [None, None, None, None, 24, 24]


ADDRESSES = (
    st.ip_addresses().filter(convert.reachable).filter(lambda a: a.version == 4 or (a.ipv4_mapped is None))
)
OPTIONS = st.lists(st.tuples(st.integers(2, 255), st.binary(max_size=38)), max_size=6).map(tuple)
TLVS = st.one_of(
    st.just(Info()),
    st.builds(Connect, ADDRESSES, st.integers(1, 65535), OPTIONS),
    st.binary(max_size=10).map(lambda b: ExtendedTcpHeader(b * 4)),
    st.lists(st.integers(1, 255), max_size=20).map(lambda k: SupportedExtensions(tuple(k))),
    st.binary(max_size=16).map(lambda b: Cookie(b * 4)),
    st.builds(Error, st.integers(0, 255), st.binary(max_size=9).map(lambda b: b.rstrip(b"\0"))),
)


@given(st.lists(TLVS, max_size=3))
def test_round_trip(tlvs: list[Tlv]) -> None:
    message = convert.encode(*tlvs)
    assert len(message) % 4 == 0 and convert.message_length(message) == len(message)
    assert convert.decode(message) == tuple(tlvs)


@given(ADDRESSES, st.integers(1, 65535), st.none() | st.binary(min_size=8, max_size=8))
def test_a_request_round_trip(address: IPv4Address | IPv6Address, port: int, cookie: bytes | None) -> None:
    wanted = Connect(address, port)
    message = convert.encode(wanted, *([] if cookie is None else [Cookie(cookie)]))
    assert convert.decode_request(message) == Request(wanted, cookie)


HOSTILE = st.one_of(
    st.binary(max_size=1100),
    st.binary(max_size=1016).map(lambda b: bytes((1, min(255, 1 + len(b) // 4), 0x22, 0x63)) + b),
    st.tuples(st.lists(TLVS, max_size=3), st.integers(0, 200), st.integers(0, 255)).map(
        lambda given: _damaged(convert.encode(*given[0]), given[1], given[2])
    ),
)


def _damaged(message: bytes, at: int, value: int) -> bytes:
    at %= len(message)
    return message[:at] + bytes((value,)) + message[at + 1 :]


@given(HOSTILE)
def test_hostile_input_is_read_or_refused_and_nothing_else(data: bytes) -> None:
    try:
        length = convert.message_length(data)
        if length is not None:
            assert 4 <= length <= 1020
            convert.decode_request(data[:length])
    except ConvertError as refused:
        assert len(convert.error(refused)) <= 12


def test_what_has_no_place_in_a_message_is_refused() -> None:
    for tlv in (
        Connect(V4.address, 0),
        Connect(V4.address, 1 << 16),
        Connect(V4.address, 1, ((1, b""),)),
        Connect(V4.address, 1, ((5, bytes(254)),)),
        Cookie(b"abc"),
        Error(256),
        SupportedExtensions((0,)),
        ExtendedTcpHeader(bytes(1020)),
    ):
        with pytest.raises(WireError) as caught:
            convert.encode(tlv)
        assert caught.value.reason is WireRefusal.BAD_VALUE
    with pytest.raises(WireError):
        convert.encode(*[Cookie(bytes(1000))] * 2)
