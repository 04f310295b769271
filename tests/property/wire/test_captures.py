"""Known good captures that were split, copied and put a little out of order, and captures that were damaged."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steering.cli.capture import CaptureError, read_capture
from steering.trace.connections import Connection, ConnectionTracker
from steering.trace.frames import read_frame
from steering.trace.resets import Reset
from steering.wire.errors import WireError
from steering.wire.mptcp import MpTcprst
from steering.wire.segment import Segment
from tests.support.golden_captures import CAPTURES, frames_of, path_of
from tests.support.streams import RST_ACK, TOKEN_A, Stream, connections_of, seen_at

SEGMENTS = {name: [read_frame(frame, link) for link, frame in frames_of(name)] for name in CAPTURES}
RIGHT: dict[str, list[Connection]] = {name: connections_of(sent) for name, sent in SEGMENTS.items()}
NAMES = st.sampled_from(sorted(CAPTURES))
SHIFTS = st.lists(st.integers(0, 4), min_size=1, max_size=40)


def _late(sent: list[Segment], shifts: list[int]) -> list[Segment]:
    """Each segment comes up to four places later, as captures of several interfaces have them; RSTs stay behind
    what stood before them: a host believes a RST by what came before it."""
    keyed = []
    last = 0
    for at, segment in enumerate(sent):
        place = at + shifts[at % len(shifts)]
        if segment.flags & 4:
            place = max(place, last)
        last = max(last, place)
        keyed.append((place, at, segment))
    return [segment for _, _, segment in sorted(keyed, key=lambda one: one[:2])]


def _sorted(connections: list[Connection]) -> list[Connection]:
    """Without the order of the first segments, which the file gives."""
    alike = [replace(one, subflows=tuple(sorted(one.subflows, key=repr))) for one in connections]
    return sorted(alike, key=repr)


@given(NAMES, SHIFTS)
def test_a_little_out_of_order_gives_the_same_connections(name: str, shifts: list[int]) -> None:
    assert _sorted(connections_of(_late(SEGMENTS[name], shifts))) == _sorted(RIGHT[name])


@given(NAMES, st.lists(st.integers(0, 10_000), max_size=60))
def test_copies_of_any_segments_change_nothing(name: str, copied: list[int]) -> None:
    sent = SEGMENTS[name]
    places = {number % len(sent) for number in copied}
    twice = [one for at, segment in enumerate(sent) for one in [segment] * (2 if at in places else 1)]
    assert connections_of(twice) == RIGHT[name]


@given(NAMES, st.integers(0, 30))
def test_a_second_point_changes_nothing(name: str, late: int) -> None:
    sent = SEGMENTS[name]
    other = [None] * late + seen_at(sent, b"other")
    here: list[Segment | None] = [*sent, *[None] * late]
    both = [one for pair in zip(here, other, strict=True) for one in pair if one is not None]
    assert connections_of(both) == RIGHT[name]


@given(NAMES, st.data())
def test_captures_of_several_connections_mixed_at_random_are_the_same_ones(
    name: str, data: st.DataObject
) -> None:
    # The two hand-made captures of version 0 have the same keys.
    other = data.draw(NAMES.filter(lambda one: one != name and one[:2] != "v0"))
    queues = [list(SEGMENTS[name]), list(SEGMENTS[other])]
    picks = data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=50))
    mixed: list[Segment] = []
    while queues[0] or queues[1]:
        for pick in picks:
            if queues[pick]:
                mixed.append(queues[pick].pop(0))
        mixed += [queue.pop(0) for queue in queues if queue]
    assert _sorted(connections_of(mixed)) == _sorted(RIGHT[name] + RIGHT[other])


@given(SHIFTS, st.booleans())
def test_a_reset_at_the_end_is_seen_whatever_came_late(shifts: list[int], back: bool) -> None:
    stream = Stream().open().talk().talk()
    stream.say(RST_ACK, MpTcprst(2), back=back)
    (got,) = connections_of(_late(stream.sent, shifts))
    assert (got.initiator_token, got.subflows[0].reset) == (TOKEN_A, Reset(2, False))


DAMAGES = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=30)


@pytest.mark.parametrize("name", ["v1_join", "v1_fastclose", "v1_server_initiated_reverse_join"])
@given(damages=DAMAGES, cut=st.one_of(st.none(), st.integers(0, 1 << 20)))
@settings(max_examples=60)
def test_a_damaged_capture_is_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, name: str, damages: list[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray(path_of(name).read_bytes())
    for at, value in damages:
        data[at % len(data)] = value
    path: Path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data if cut is None else data[: cut % len(data)])
    tracker = ConnectionTracker(limit=50)
    try:
        for link, frame, length in read_capture(path):
            try:
                tracker.feed(read_frame(frame, link, length))
            except WireError:
                continue
    except CaptureError as error:
        assert "\n" not in str(error)
    assert sum(len(one.subflows) for one in tracker.connections()) <= 50
