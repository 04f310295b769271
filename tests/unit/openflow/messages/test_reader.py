"""The byte stream of a switch: cut right, and ended for the right reason."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.openflow.messages.reader import (
    Disconnect,
    PortState,
    clean_hello,
    port_description_is_sound,
    read_error,
    read_multipart,
    read_port_descriptions,
    read_port_status,
    split,
)


def message(kind: int, body: bytes = b"", version: int = 4, xid: int = 9) -> bytes:
    return struct.pack(">BBHI", version, kind, 8 + len(body), xid) + body


def test_whole_messages_and_the_rest() -> None:
    stream = message(10, b"one") + message(21) + message(10, b"three")
    messages, rest, refused = split(stream[:-2])
    assert [(m.type, m.xid, m.data[8:]) for m in messages] == [(10, 9, b"one"), (21, 9, b"")]
    assert rest == message(10, b"three")[:-2] and refused is None


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(1, 60), max_size=8))
def test_it_does_not_matter_how_the_stream_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(message(2, body) for body in bodies)
    got, rest = [], b""
    while stream:
        size = cuts.pop() if cuts else len(stream)
        messages, rest, refused = split(rest + stream[:size])
        stream = stream[size:]
        got += messages
        assert refused is None
    assert [m.data[8:] for m in got] == bodies and rest == b""


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (struct.pack(">BBHI", 4, 2, 7, 0), Disconnect.BAD_LENGTH),
        (message(2, version=5), Disconnect.BAD_VERSION),
        (message(0, version=0), Disconnect.BAD_VERSION),
        (message(0, version=7), Disconnect.BAD_VERSION),
        (message(30), Disconnect.BAD_TYPE),
    ],
)
def test_a_bad_header_ends_the_stream_after_the_good_messages(bad: bytes, reason: Disconnect) -> None:
    messages, rest, refused = split(message(2) + bad + message(2))
    assert (len(messages), rest, refused) == (1, b"", reason)


def test_hello_and_error_may_be_of_another_version() -> None:
    messages, _, refused = split(message(0, version=6) + message(1, version=1))
    assert len(messages) == 2 and refused is None


@given(st.binary(max_size=200))
def test_any_bytes_end(stream: bytes) -> None:
    messages, rest, refused = split(stream)
    assert len(rest) < 65_536 and sum(len(m.data) for m in messages) + len(rest) <= len(stream)
    assert refused is None or rest == b""


def element(kind: int, length: int, body: bytes) -> bytes:
    return struct.pack(">HH", kind, length) + body


@pytest.mark.parametrize(
    ("elements", "cleaned"),
    [
        (b"", b""),
        (element(1, 8, b"\0\0\0\x10"), element(1, 8, b"\0\0\0\x10")),
        (element(1, 12, b"\0\0\0\x10" + bytes(8)), element(1, 8, b"\0\0\0\x10")),
        (element(9, 5, b"x" + bytes(3)) + element(1, 8, b"\0\0\0\x12"), element(1, 8, b"\0\0\0\x12")),
        (element(1, 4, bytes(4)), b""),
    ],
)
def test_a_hello_comes_out_safe_for_os_ken(elements: bytes, cleaned: bytes) -> None:
    assert clean_hello(message(0, elements)) == message(0, cleaned)


@pytest.mark.parametrize(
    "elements", [b"\0", element(1, 0, bytes(4)), element(1, 3, bytes(4)), element(1, 9, bytes(4))]
)
def test_a_hello_whose_elements_lead_nowhere_is_refused(elements: bytes) -> None:
    assert clean_hello(message(0, elements)) is None


@given(st.binary(max_size=64))
def test_a_cleaned_hello_has_one_bitmap_at_most(body: bytes) -> None:
    cleaned = clean_hello(message(0, body))
    assert cleaned is None or len(cleaned) in (8, 16)


def port_status(reason: int, port: int, config: int, state: int, speed: int = 0) -> bytes:
    body = struct.pack(
        ">B7xI4x6s2x16sIIIIIIII", reason, port, bytes(6), b"p", config, state, 0, 0, 0, 0, speed, 77
    )
    return message(12, body)


@pytest.mark.parametrize(
    ("reason", "config", "state", "up"),
    [(0, 0, 0, True), (2, 0, 4, True), (1, 0, 0, False), (2, 1, 0, False), (2, 0, 1, False)],
)
def test_port_status(reason: int, config: int, state: int, up: bool) -> None:
    assert read_port_status(port_status(reason, 7, config, state)) == PortState(
        7, up, reason == 1, state == 4, "p"
    )


def test_the_speed_of_a_port_that_changes_is_read() -> None:
    state = read_port_status(port_status(2, 7, 0, 4, 10_000))
    assert state is not None and state.speed == 10_000


def test_a_name_of_a_port_cannot_control_a_terminal() -> None:
    body = struct.pack(">I4x6s2x16sIIIIIIII", 1, bytes(6), b"eth\x1b[2J\xff\0rest", 0, 4, 0, 0, 0, 0, 0, 0)
    (port,) = read_port_descriptions(message(19, bytes(8) + body))
    assert port.name == "eth?[2J\ufffd"


def test_short_bodies_are_noticed() -> None:
    assert read_port_status(port_status(0, 7, 0, 0)[:-1]) is None
    assert read_error(message(1, b"\0\5\0")) == (0xFFFE, 0)
    assert read_error(message(1, b"\0\5\0\1")) == (5, 1)
    assert read_multipart(message(19, bytes(7))) is None
    assert read_multipart(message(19, b"\0\1\0\1" + bytes(4))) == (1, True)
    assert port_description_is_sound(message(19, bytes(8 + 128)))
    assert not port_description_is_sound(message(19, bytes(8 + 127)))
