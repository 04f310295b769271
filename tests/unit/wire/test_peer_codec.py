"""Bounds and refusals of the messages between controllers."""

import pytest

from steering.wire.errors import WireError, WireRefusal
from steering.wire.peer_codec import LONGEST_KEY, MOST_TOKENS, decoded, encoded
from steering.wire.peer_messages import (
    VERSION,
    Heartbeat,
    Hello,
    LimitWish,
    SwitchWrite,
    TokenEntries,
    TokenEntry,
)
from steering.wire.peer_stream import HEAD, LONGEST, MESSAGES, cut, framed

SITE = bytes(range(32))
FLOW_MOD = bytes.fromhex("040e000800000001")


def refusal(kind: int, body: bytes) -> WireRefusal:
    with pytest.raises(WireError) as refused:
        decoded(kind, body)
    return refused.value.reason


def changed(message: bytes, at: int, value: int) -> bytes:
    body = bytearray(message[HEAD:])
    body[at] = value
    return bytes(body)


HELLO = encoded(Hello("c1", 7, SITE))


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (0, b"", WireRefusal.UNKNOWN_MESSAGE),
        (99, b"", WireRefusal.UNKNOWN_MESSAGE),
        *((number, bytes(4), WireRefusal.UNKNOWN_MESSAGE) for number in (14, 15, 16)),  # of earlier versions
        (1, changed(HELLO, 0, 0), WireRefusal.BAD_MAGIC),
        (1, HELLO[HEAD:-2], WireRefusal.BAD_VALUE),  # no name
        (1, HELLO[HEAD:] + b"/", WireRefusal.BAD_VALUE),
        (1, HELLO[HEAD:] + b"x" * 62, WireRefusal.BAD_VALUE),  # a name of 64
        (1, HELLO[HEAD : HEAD + 20], WireRefusal.BAD_MESSAGE_LENGTH),
        (2, bytes(7), WireRefusal.BAD_MESSAGE_LENGTH),
        (3, b"", WireRefusal.BAD_VALUE),
        (3, b"\5" + bytes(12), WireRefusal.BAD_VALUE),  # of no family
        (3, b"\4", WireRefusal.BAD_MESSAGE_LENGTH),
        (3, b"\4" + bytes(13), WireRefusal.BAD_MESSAGE_LENGTH),
        (5, b"x", WireRefusal.BAD_MESSAGE_LENGTH),
        (9, bytes(13), WireRefusal.BAD_MESSAGE_LENGTH),
        (10, bytes(4) + b"\2", WireRefusal.BAD_VALUE),
        (11, bytes(200), WireRefusal.BAD_VALUE),
        (17, bytes(5), WireRefusal.BAD_MESSAGE_LENGTH),
        (17, bytes(5) + b"\2\0\0\0", WireRefusal.BAD_MESSAGE_LENGTH),
        (17, bytes(5) + b"\3", WireRefusal.BAD_VALUE),
        (17, bytes(5) + b"\1\xff", WireRefusal.BAD_VALUE),
        (22, bytes(10) + bytes(256), WireRefusal.BAD_MESSAGE_LENGTH),
        (23, bytes(6), WireRefusal.BAD_MESSAGE_LENGTH),
        (23, bytes(5) + b"\1\1x", WireRefusal.BAD_MESSAGE_LENGTH),  # no room for who asks
        (23, bytes(5) + b"\x81\0" + b"x" * 129, WireRefusal.BAD_MESSAGE_LENGTH),  # a role of 129 bytes
        (23, bytes(4) + b"\2\0\0/v1", WireRefusal.BAD_VALUE),  # neither GET nor DELETE
        (23, bytes(7) + b"\xff", WireRefusal.BAD_VALUE),
        (23, bytes(7) + b"/" * 2_049, WireRefusal.BAD_VALUE),
        (27, bytes(8), WireRefusal.BAD_MESSAGE_LENGTH),
        (27, bytes(8) + b"\4", WireRefusal.BAD_MESSAGE_LENGTH),
        (27, bytes(8) + b"\4" + bytes(29), WireRefusal.BAD_MESSAGE_LENGTH),
        (27, bytes(8) + b"\5" + bytes(28), WireRefusal.BAD_VALUE),  # of no family
        (24, bytes(6), WireRefusal.BAD_MESSAGE_LENGTH),
        (24, bytes(4) + b"\0\xc8\2", WireRefusal.BAD_VALUE),
        (24, bytes(4) + b"\0\1\1", WireRefusal.BAD_VALUE),  # no status of HTTP
        (29, bytes(11), WireRefusal.BAD_MESSAGE_LENGTH),
    ],
)
def test_a_body_that_no_sender_writes_is_refused_by_name(kind: int, body: bytes, reason: WireRefusal) -> None:
    assert refusal(kind, body) is reason


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes.fromhex("0400000800000001"),  # HELLO
        bytes.fromhex("0418001800000001") + bytes(16),  # ROLE_REQUEST
        bytes.fromhex("010e000800000001"),  # OpenFlow 1.0
        FLOW_MOD[:7],
        bytes.fromhex("040e000700000001"),
        FLOW_MOD + bytes.fromhex("040e00ff00000001"),
    ],
)
def test_a_peer_writes_nothing_to_a_switch_but_entries_and_packets(data: bytes) -> None:
    with pytest.raises(WireError):
        encoded(SwitchWrite(1, 1, True, data))
    with pytest.raises(WireError):
        decoded(12, bytes(12) + b"\1" + data)


def test_entries_and_packets_are_written() -> None:
    write = SwitchWrite(1, 1, True, FLOW_MOD + bytes.fromhex("040d000900000001aa"))
    assert decoded(12, encoded(write)[HEAD:]) == write


@pytest.mark.parametrize(
    ("version", "oldest", "common"), [(1, 1, 1), (2, 1, 2), (9, 2, VERSION), (9, VERSION + 1, None)]
)
def test_two_versions_meet_at_the_newest_that_both_speak(
    version: int, oldest: int, common: int | None
) -> None:
    hello = decoded(1, encoded(Hello("c1", 7, SITE, version, oldest))[HEAD:])
    assert isinstance(hello, Hello)
    if common is not None:
        assert hello.common() == common
        return
    with pytest.raises(WireError) as refused:
        hello.common()
    assert refused.value.reason is WireRefusal.OLD_PROTOCOL


def test_a_body_is_bounded_on_both_sides() -> None:
    assert cut(framed(2, bytes(LONGEST)))[0] == [(2, bytes(LONGEST))]
    with pytest.raises(WireError) as refused:
        framed(2, bytes(LONGEST + 1))
    assert refused.value.reason is WireRefusal.MESSAGE_TOO_LONG
    with pytest.raises(WireError) as refused:
        cut((LONGEST + 1).to_bytes(2, "big") + b"\2\0")  # before the body is there
    assert refused.value.reason is WireRefusal.MESSAGE_TOO_LONG
    with pytest.raises(WireError) as refused:
        cut(b"\0\0\2\1")
    assert refused.value.reason is WireRefusal.BAD_VALUE


def test_many_messages_are_cut_in_portions() -> None:
    stream = encoded(Heartbeat(1)) * (MESSAGES + 1)
    messages, rest = cut(stream)
    assert len(messages) == MESSAGES
    assert cut(rest) == ([(2, bytes(7) + b"\1")], b"")


def test_as_many_tokens_as_are_said_and_the_longest_key_fit_one_message() -> None:
    long = TokenEntry(2**32 - 1, 2**16 - 1, bytes(16), 2**16 - 1)
    assert len(encoded(TokenEntries((long,) * MOST_TOKENS))) <= HEAD + LONGEST
    for key in (bytes(LONGEST_KEY), "x" * LONGEST_KEY, 2**32 - 1):
        assert decoded(17, encoded(LimitWish(3, key, 1))[HEAD:]) == LimitWish(3, key, 1)
    for too_long in (bytes(LONGEST_KEY + 1), 2**32, -1):
        with pytest.raises(WireError):
            encoded(LimitWish(3, too_long, 1))
