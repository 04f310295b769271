"""Segments that a capture holds in another order than they were sent: they are of the same connection all the same."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations

import pytest

from steering.trace.connections import Connection, ConnectionTracker
from steering.trace.resets import Reset
from steering.wire.mptcp import Dss, DssMapping, MpCapable, MptcpOption, MpTcprst
from steering.wire.segment import Segment
from tests.support.tcp_talk import ACK, FIN_ACK, RST, SYN, SYN_ACK, TOKEN_A, TOKEN_B, Talk


def whole(
    third: bool = True, data: tuple[MptcpOption, ...] = (Dss(None, DssMapping(bytes(4), 1, 5)),)
) -> list[Segment]:
    """A connection from its SYN to both FINs, as it was sent."""
    talk = Talk(ConnectionTracker())
    talk.open(third=third)
    talk.say(ACK, *data, payload=b"GET /")
    talk.say(ACK, *data, payload=b"hello", back=True)
    talk.say(FIN_ACK, Dss(bytes(4)))
    talk.say(FIN_ACK, Dss(bytes(4)), back=True)
    return talk.sent


def connections_of(segments: Iterable[Segment]) -> list[Connection]:
    tracker = ConnectionTracker()
    for segment in segments:
        tracker.feed(segment)
    return tracker.connections()


@pytest.mark.parametrize("data", [(Dss(None, DssMapping(bytes(4), 1, 5)),), ()], ids=["mapped", "bare"])
def test_however_the_beginning_is_reordered_it_is_one_connection(data: tuple[MptcpOption, ...]) -> None:
    sent = whole(data=data)
    right = connections_of(sent)
    assert (len(right), right[0].fallback) == (1, not data)
    for beginning in permutations(sent[:5]):
        assert connections_of([*beginning, *sent[5:]]) == right


@pytest.mark.parametrize("late", [0, 1])
def test_a_syn_or_syn_ack_that_comes_later_than_anything_is_of_the_same_connection(late: int) -> None:
    sent = whole()
    right = connections_of(sent)
    rest = sent[:late] + sent[late + 1 :]
    for place in range(len(rest) + 1):
        assert connections_of([*rest[:place], sent[late], *rest[place:]]) == right


def test_a_capture_of_two_interfaces_one_of_them_late_holds_one_connection() -> None:
    sent = whole()
    right = connections_of(sent)
    copies = [replace(segment, link_tag=b"late") for segment in sent]
    soon = [
        replace(segment, link_tag=b"soon") for segment in sent[2:]
    ]  # its beginning was not captured there
    assert connections_of([*soon, *copies]) == right
    assert connections_of([*soon[1:], copies[0], *copies]) == right


def test_a_reset_that_comes_before_its_syn_is_of_the_same_connection() -> None:
    talk = Talk(ConnectionTracker())
    talk.say(SYN, MpCapable(1))
    talk.say(RST, MpTcprst(2, transient=True), back=True)
    right = connections_of(talk.sent)
    assert right[0].subflows[0].reset == Reset(2, True)
    assert connections_of(talk.sent[::-1]) == right


@pytest.mark.parametrize(
    "end", [[(FIN_ACK, False), (FIN_ACK, True)], [(RST, True)], []], ids=["fin", "rst", "none"]
)
def test_a_port_used_again_after_a_connection_without_its_syn_is_another(
    tracker: ConnectionTracker, end: list[tuple[int, bool]]
) -> None:
    old = Talk(tracker, isn=(40_000, 900_000_000))
    old.say(ACK, Dss(bytes(4)))
    old.say(ACK, Dss(bytes(4)), back=True)
    for flags, back in end:
        old.say(flags, back=back)
    Talk(tracker, isn=(90_000, 7_000)).open()  # a little beyond the old one's, as hosts choose them
    began, new = tracker.connections()
    assert (began.begun_before, new.begun_before, new.initiator_token) == (True, False, TOKEN_A)


@pytest.mark.parametrize("end", [[(FIN_ACK, False), (FIN_ACK, True)], [(RST, True)]], ids=["fin", "rst"])
def test_after_an_ended_connection_a_far_number_before_the_syn_is_the_next_ones(
    tracker: ConnectionTracker, end: list[tuple[int, bool]]
) -> None:
    old = Talk(tracker)
    old.open()
    for flags, back in end:
        old.say(flags, back=back)
    next_one = Talk(ConnectionTracker(), isn=(2_000_000_000, 3_000_000_000))
    next_one.open()
    for segment in (next_one.sent[2], *next_one.sent[:2]):
        tracker.feed(segment)
    before, after = tracker.connections()
    assert (before.initiator_token, after.initiator_token) == (TOKEN_A, TOKEN_A)
    assert (before.begun_before, after.begun_before) == (False, False)


def test_late_segments_of_a_reset_connection_seen_in_one_direction_are_its_own(first: Talk) -> None:
    first.open()
    first.tracker.feed(replace(first.sent[0], seq=70_000, flags=RST, options=b""))
    first.tracker.feed(replace(first.sent[2], seq=2_000_000))
    assert len(first.tracker.connections()) == 1
    alone = ConnectionTracker()
    for segment in (first.sent[0], replace(first.sent[0], flags=RST, options=b""), first.sent[2]):
        alone.feed(segment)
    assert len(alone.connections()) == 1


def test_both_legs_of_a_relay_are_told_apart_where_their_syns_come_late(tracker: ConnectionTracker) -> None:
    inside = Talk(ConnectionTracker(), tags=(b"ue>mcp", b"mcp>ue"))
    outside = Talk(ConnectionTracker(), isn=(2_000_000_000, 3_000_000_000), tags=(b"mcp>net", b"net>mcp"))
    inside.open()
    outside.say(SYN)
    outside.say(SYN_ACK, back=True)
    outside.say(ACK)
    for segment in (inside.sent[2], outside.sent[0], inside.sent[0], *outside.sent[1:], inside.sent[1]):
        tracker.feed(segment)
    ours, plain = tracker.connections()
    assert (ours.initiator_token, ours.responder_token, plain.version) == (TOKEN_A, TOKEN_B, None)
