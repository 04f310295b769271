"""SOCKS messages (RFC 1928, RFC 1929): both sides, byte by byte, and hostile input."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.wire import socks
from steering.wire.errors import WireError, WireRefusal
from steering.wire.socks import Answer, Method, Reply, SocksError

hexa = bytes.fromhex


@pytest.mark.row("S-25")
@pytest.mark.parametrize(
    ("written", "read", "found"),
    [
        ("05 02 00 02", socks.read_greeting, (frozenset({0, 2}), 4)),
        ("01 04 75736572 02 7077", socks.read_credentials, ((b"user", b"pw"), 9)),
        ("05 01 00 01 0a090002 1389", socks.read_request, (IPv4Address("10.9.0.2"), 5001, 10)),
        (
            "05 01 00 04 fd000009000000000000000000000002 01bb",
            *(socks.read_request, (IPv6Address("fd00:9::2"), 443, 22)),
        ),
        ("05 00", socks.read_method, (0, 2)),
        ("01 00", socks.read_verdict, (0, 2)),
        ("05 05 00 01 00000000 0000", socks.read_answer, (Answer(5, IPv4Address(0), 0), 10)),
    ],
)
def test_messages_read_and_waited_for(written: str, read: Callable[[bytes], Any], found: Any) -> None:
    message = hexa(written)
    assert read(message) == found
    assert read(message + b"data") == found
    assert [read(message[:n]) for n in range(len(message))] == [None] * len(message)


@pytest.mark.parametrize(
    ("written", "reason", "reply"),
    [
        ("04", WireRefusal.UNKNOWN_VERSION, None),
        ("05 02", WireRefusal.UNKNOWN_COMMAND, Reply.COMMAND_NOT_SUPPORTED),
        ("05 03", WireRefusal.UNKNOWN_COMMAND, Reply.COMMAND_NOT_SUPPORTED),
        ("05 01 01", WireRefusal.BAD_VALUE, Reply.FAILURE),
        ("05 01 00 03", WireRefusal.DOMAIN_NAME, Reply.ADDRESS_NOT_SUPPORTED),
        ("05 01 00 02", WireRefusal.BAD_VALUE, Reply.ADDRESS_NOT_SUPPORTED),
        ("05 01 00 01 0a090002 0000", WireRefusal.BAD_VALUE, Reply.FAILURE),
    ],
)
def test_refused_requests_name_their_reply(written: str, reason: WireRefusal, reply: Reply | None) -> None:
    with pytest.raises(SocksError) as caught:
        socks.read_request(hexa(written))
    assert (caught.value.reason, caught.value.reply) == (reason, reply)


def test_a_greeting_without_methods_is_refused() -> None:
    with pytest.raises(SocksError):
        socks.read_greeting(hexa("0500"))


@given(st.ip_addresses(), st.integers(1, 65535), st.binary(max_size=9))
def test_request_and_answer_round_trip(address: Any, port: int, after: bytes) -> None:
    request = socks.write_request(address, port)
    assert socks.read_request(request + after) == (address, port, len(request))
    answer = Answer(Reply.SUCCEEDED, address, port)
    assert socks.read_answer(socks.write_answer(answer) + after) == (answer, len(request))


@given(st.binary(min_size=1, max_size=255), st.binary(min_size=1, max_size=255))
def test_credentials_round_trip(name: bytes, password: bytes) -> None:
    message = socks.write_credentials(name, password)
    assert len(message) <= socks.MAX_MESSAGE
    assert socks.read_credentials(message) == ((name, password), len(message))


def test_methods_round_trip() -> None:
    offered = socks.write_greeting(Method.NONE, Method.PASSWORD)
    assert socks.read_greeting(offered) == (frozenset({0, 2}), len(offered))
    assert socks.read_method(socks.write_method(Method.PASSWORD)) == (2, 2)
    assert socks.read_verdict(socks.write_verdict(False)) == (1, 2)


@given(st.binary(max_size=600))
def test_hostile_input_is_read_or_refused_and_nothing_else(data: bytes) -> None:
    readers: tuple[Callable[[bytes], Any], ...] = (
        *(socks.read_greeting, socks.read_credentials, socks.read_request),
        *(socks.read_method, socks.read_verdict, socks.read_answer),
    )
    for read in readers:
        for start in (b"", b"\x05", b"\x01", b"\x05\x01\x00"):
            try:
                found = read(start + data)
                assert found is None or found[-1] <= len(start + data)
            except SocksError as refused:
                assert refused.reply is None or refused.reply in Reply


def test_what_has_no_place_in_a_message_is_refused() -> None:
    for name, password in ((b"", b"x"), (b"x", b""), (bytes(256), b"x")):
        with pytest.raises(WireError):
            socks.write_credentials(name, password)
    with pytest.raises(WireError):
        socks.write_request(IPv4Address("10.9.0.2"), 1 << 16)
