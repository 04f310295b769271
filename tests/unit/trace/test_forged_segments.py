"""Segments of somebody who knows a connection's addresses and ports and not its numbers: they change nothing of it."""

from collections.abc import Callable

import pytest

from steering.trace.resets import Reset
from steering.wire.mptcp import Dss, DssMapping
from steering.wire.segment import Flags
from tests.support.streams import (
    ACKED,
    FIN_ACK,
    KEY_B,
    RST_ACK,
    Stream,
    connections_of,
    fastclose,
    mapped,
    only,
)

SYN, ACK = Flags.SYN, Flags.ACK
FAR = 1 << 30
INFINITE = Dss(bytes(4), DssMapping(bytes(4), 1, 0))


def _fins(stream: Stream) -> None:
    for back in (False, True):
        stream.say(FIN_ACK, back=back, seq=stream.following[back] + FAR, ack=7)


def _acknowledgement(stream: Stream) -> None:
    stream.say(ACK, seq=stream.following[0] + FAR, ack=stream.following[1] + FAR)


def _infinite_mapping(stream: Stream) -> None:
    stream.say(ACK, INFINITE, seq=stream.following[0] + FAR, data=10)


def _bare_data(stream: Stream) -> None:
    for _ in range(3):  # a copy of it says no more than the first
        stream.say(ACK, seq=stream.following[0] + FAR, data=10)


@pytest.mark.parametrize("forge", [_fins, _acknowledgement, _infinite_mapping, _bare_data])
@pytest.mark.parametrize("back", [False, True])
def test_a_segment_far_from_all_numbers_changes_nothing(forge: Callable[[Stream], None], back: bool) -> None:
    stream = Stream().open().talk()
    forge(stream)
    stream.talk()
    stream.say(RST_ACK, back=back)
    found = only(stream.sent)
    assert found.subflows[0].reset == Reset(None, False) and not found.fallback


def test_after_a_forged_reset_the_last_segments_are_still_of_the_same_connection() -> None:
    stream = Stream().open().talk()
    stream.say(RST_ACK, seq=stream.following[0] + FAR)
    stream.close()
    stream.say(ACK, ACKED)
    assert only(stream.sent).subflows[0].reset is None


@pytest.mark.parametrize("forged", [8, 100])
def test_syns_with_other_numbers_take_no_segment_from_a_live_connection(forged: int) -> None:
    stream = Stream().open().talk()
    for number in range(forged):
        stream.say(SYN, seq=1_500_000_000 + number * 20_000_000)
    stream.talk()
    stream.say(RST_ACK, fastclose(KEY_B))
    first, *others = connections_of(stream.sent)
    assert first.subflows[0].reset == Reset(None, False) and first.subflows[0].fastclose
    assert len(others) == forged and all(one.version is None for one in others)


@pytest.mark.parametrize("only_one_way", [False, True])
def test_where_the_capture_lacks_a_long_part_the_connection_goes_on(only_one_way: bool) -> None:
    stream = Stream().open().talk()
    stream.following[0] += FAR  # what the capture lost
    for _ in range(2):
        stream.say(ACK, mapped(100), data=100)
        stream.say(ACK, ACKED, back=True)
    stream.say(RST_ACK)
    sent = [one for one in stream.sent if not only_one_way or one.sport != 80]
    assert only(sent).subflows[0].reset == Reset(None, False)
