"""Whatever the bytes: an answer or WireError, soon, and never anything from past the end."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steering.trace.connections import ConnectionTracker
from steering.trace.frames import read_frame
from steering.trace.links import LinkType
from steering.wire.craft import reset_for, tcp_frame
from steering.wire.decode import decode_option, mptcp_options
from steering.wire.errors import WireError, WireRefusal
from steering.wire.handshake import Handshake, Kind, read_handshake
from steering.wire.options import walk_options
from steering.wire.segment import Segment, read_segment
from tests.property.wire.frames import FRAMES, OPTION_LISTS
from tests.support.golden_captures import CAPTURES, ethernet_of, frames_of

LINKS = st.sampled_from([int(link) for link in LinkType])


def _handshake(frame: bytes | memoryview) -> Handshake | WireRefusal:
    try:
        return read_handshake(frame)
    except WireError as error:
        return error.reason


def _segment(frame: bytes, link: int | None = None) -> Segment | WireRefusal:
    """As steering reads what was punted, or, with a link type, as a capture is read."""
    try:
        return read_segment(frame) if link is None else read_frame(frame, link)
    except WireError as error:
        return error.reason


@given(FRAMES)
@example(tcp_frame(bytes(4), bytes(4), 1, 2, options=bytes.fromhex("1e000000")))
@example(tcp_frame(bytes(16), bytes(16), 1, 2, options=bytes.fromhex("fe000000")))
@example(tcp_frame(bytes(4), bytes(4), 1, 2, options=bytes.fromhex("1e010204")))
def test_both_readers_agree(frame: bytes) -> None:
    """The hot reader has a shortcut for the common frame; it must never see another frame than the slow one."""
    hot, slow = _handshake(frame), _segment(frame)
    if isinstance(slow, WireRefusal):
        assert hot is slow
        return
    try:
        walked = walk_options(slow.options)
    except WireError as error:
        assert hot is error.reason
        return
    assert isinstance(hot, Handshake)
    assert hot[:8] == (
        *(slow.family, slow.src, slow.dst, slow.sport, slow.dport),
        *(slow.seq, slow.ack, slow.flags),
    )
    assert hot.options_length == len(slow.options)
    assert hot.payload_offset <= len(frame)
    assert (hot.kind is Kind.OPAQUE) == any(kind in (19, 29) for kind, _ in walked)
    if hot.kind in (Kind.CAPABLE, Kind.JOIN):
        decoded = [type(option).__name__ for option in mptcp_options(slow.options)]
        assert any(name.startswith("MpCapable" if hot.kind is Kind.CAPABLE else "MpJoin") for name in decoded)
    assert len(hot.key) in (0, 8) and len(hot.peer_key) in (0, 8)
    assert len(hot.token) in (0, 4) and len(hot.nonce) in (0, 4)


@given(FRAMES)
def test_memoryview_is_the_same(frame: bytes) -> None:
    assert _handshake(memoryview(frame)) == _handshake(frame)


@given(FRAMES, st.binary(min_size=1, max_size=64))
def test_nothing_past_the_tcp_header_is_looked_at(frame: bytes, other: bytes) -> None:
    got = _handshake(frame)
    if isinstance(got, Handshake):
        assert _handshake(frame[: got.payload_offset]) == got
        assert _handshake(frame[: got.payload_offset] + other) == got
        assert isinstance(_handshake(frame[: got.payload_offset - 1]), WireRefusal)


@given(FRAMES, LINKS)
def test_every_link_type_survives_every_frame(frame: bytes, link: int) -> None:
    got = _segment(frame, link)
    if isinstance(got, Segment):
        assert len(got.options) % 4 == 0 and len(got.options) <= 40
        assert len(got.src) == len(got.dst) == (4 if got.family == 4 else 16)
        assert len(got.payload) + len(got.options) + 40 <= len(frame)


@given(OPTION_LISTS)
def test_the_option_walk_ends_inside_the_list(options: bytes) -> None:
    try:
        walked = walk_options(options)
    except WireError:
        return
    assert sum(len(raw) for _, raw in walked) <= len(options)
    assert all(len(raw) == raw[1] >= 2 and raw[0] == kind for kind, raw in walked)


@given(st.binary(max_size=60), st.sampled_from([0, 1]))
def test_any_bytes_as_an_option(option: bytes, version: int) -> None:
    try:
        decode_option(option, version)
    except WireError:
        pass


@given(st.lists(st.tuples(FRAMES, LINKS), max_size=6))
def test_the_tracker_takes_anything(frames: list[tuple[bytes, int]]) -> None:
    tracker = ConnectionTracker(limit=3)
    for frame, link in frames:
        got = _segment(frame, link)
        if isinstance(got, Segment):
            tracker.feed(got)
    assert sum(len(one.subflows) for one in tracker.connections()) <= 3


@given(FRAMES)
def test_a_reset_can_be_read_back(frame: bytes) -> None:
    try:
        answer = reset_for(frame, 3)
    except WireError:
        return
    asked, got = read_segment(frame), read_segment(answer)
    assert (got.src, got.sport, got.dst, got.dport) == (asked.dst, asked.dport, asked.src, asked.sport)
    assert got.flags & 4 and not asked.flags & 4


@pytest.mark.parametrize("name", CAPTURES)
def test_every_truncation_of_every_captured_frame(name: str) -> None:
    for link, frame in frames_of(name):
        ethernet = ethernet_of(link, frame)
        whole = read_handshake(ethernet)
        for size in range(len(ethernet)):
            got = _handshake(ethernet[:size])
            assert got == (whole if size >= whole.payload_offset else WireRefusal.TRUNCATED)
        for size in range(len(frame)):
            cut = _segment(frame[:size], link)
            assert isinstance(cut, Segment) or cut is WireRefusal.TRUNCATED
