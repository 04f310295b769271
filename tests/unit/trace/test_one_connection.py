"""One connection is never two, and two are never one."""

from dataclasses import replace
from itertools import permutations

import pytest

from steering.trace.connections import Hmac
from steering.wire.crypto import join_ack_hmac, join_syn_ack_hmac
from steering.wire.mptcp import Dss, MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck, RemoveAddr
from steering.wire.segment import Flags
from tests.support.streams import (
    ACKED,
    KEY_A,
    KEY_B,
    NONCE_A,
    NONCE_B,
    RST_ACK,
    TOKEN_A,
    TOKEN_B,
    UE,
    UE2,
    Stream,
    connections_of,
    mapped,
    only,
    seen_at,
)

SYN, SYN_ACK, ACK = Flags.SYN, Flags.SYN | Flags.ACK, Flags.ACK
KEY_C = bytes.fromhex("0102030405060708")


def _plain(isn: tuple[int, int], talk: int = 1) -> Stream:
    stream = Stream(isn=isn)
    stream.say(SYN)
    stream.say(SYN_ACK, back=True)
    stream.say(ACK)
    for _ in range(talk):
        stream.say(ACK, data=50)
        stream.say(ACK, data=50, back=True)
    return stream


def test_a_retransmitted_syn_is_the_same_connection_wherever_it_comes() -> None:
    stream = Stream().open().talk().close()
    right = connections_of(stream.sent)
    for place in range(len(stream.sent) + 1):
        assert connections_of([*stream.sent[:place], stream.sent[0], *stream.sent[place:]]) == right


def test_a_server_with_syn_cookies_chooses_another_number_and_key_for_each_answer() -> None:
    for chosen in (0, 1):
        stream = Stream()
        stream.say(SYN, MpCapable(1))
        answers = [(900_000_000, KEY_C), (1_700_000_000, KEY_B)]
        for number, key in answers if chosen else answers[::-1]:
            stream.say(SYN_ACK, MpCapable(1, key), back=True, seq=number)
            stream.say(SYN, MpCapable(1), seq=1000)
        stream.following = [1001, 1_700_000_001]
        stream.say(ACK, MpCapable(1, KEY_A, KEY_B))
        stream.talk().close()
        got = only(stream.sent)
        assert (got.version, got.responder_token, got.keys_differ, got.fallback) == (1, TOKEN_B, False, False)


def test_a_forged_answer_behind_the_handshake_changes_nothing() -> None:
    stream = Stream().open().talk()
    right = connections_of(stream.sent)
    stream.say(SYN_ACK, MpCapable(1, KEY_C), back=True, seq=77, ack=1001)
    stream.talk()
    assert connections_of(stream.sent) == right


@pytest.mark.parametrize("gap", [20_000, 1 << 30, (1 << 32) - 5_000])
@pytest.mark.parametrize("end", ["fin", "rst", "silence"])
def test_a_port_used_again_is_another_connection(gap: int, end: str) -> None:
    old = Stream().open().talk()
    if end == "fin":
        old.close()
    elif end == "rst":
        old.say(RST_ACK)
    new = _plain(((1000 + gap) % 2**32, (900_000_000 + 3 * gap) % 2**32))
    first, second = connections_of(old.sent + new.sent)
    assert (first.version, first.initiator_token, first.fallback) == (1, TOKEN_A, False)
    assert (second.version, second.fallback, second.begun_before) == (None, False, False)


def test_a_port_used_again_with_the_same_number_is_another_connection() -> None:
    old = Stream().open().talk().close()
    new = Stream(isn=(1000, 2_000_000_000))
    new.say(SYN, MpCapable(1))
    new.say(SYN_ACK, back=True)
    new.say(ACK)
    new.say(ACK, data=10)
    first, second = connections_of(old.sent + new.sent)
    assert (first.fallback, first.initiator_token) == (False, TOKEN_A)
    assert (second.version, second.fallback, second.initiator_token) == (1, True, None)


@pytest.mark.parametrize("reuses", [2, 20])
@pytest.mark.parametrize("interleaved", [False, True])
def test_two_points_that_see_a_port_used_again_and_again(reuses: int, interleaved: bool) -> None:
    streams = [
        Stream(isn=(1000 + 70_000 * number, 900_000_000 + 70_000 * number)).open().talk().close()
        for number in range(reuses)
    ]
    sent = [segment for stream in streams for segment in stream.sent]
    here, there = seen_at(sent, b"here"), seen_at(sent, b"there")
    right = connections_of(sent)
    assert len(right) == reuses
    if interleaved:
        late = 3  # segments of the second point come a little later
        both = [
            segment
            for at in range(len(sent) + late)
            for segment in (*here[at : at + 1], *(there[at - late : at - late + 1] if at >= late else ()))
        ]
    else:
        both = here + there
    assert connections_of(both) == right


def test_copies_at_a_second_point_go_to_the_leg_whose_numbers_they_have() -> None:
    old = Stream(tags=(b"far", b"raf")).open().talk().close()
    new = _plain((1_500_000_000, 2_500_000_000))
    copies = [replace(segment, link_tag=b"far" if segment.sport != 80 else b"raf") for segment in new.sent]
    near = seen_at(new.sent, b"near")
    mixed = near[:2] + [one for pair in zip(near[2:], copies[2:], strict=True) for one in pair]
    first, second = connections_of(old.sent + mixed)
    assert (first.version, first.fallback, second.version) == (1, False, None)
    assert [second] == connections_of(mixed)
    reset = replace(new.say(RST_ACK, back=True), link_tag=b"raf")  # only the second point has it
    first, second = connections_of([*old.sent, *mixed, reset])
    assert first.subflows[0].reset is None and second.subflows[0].reset is not None


def test_both_legs_of_a_relay_at_two_points_are_two_connections() -> None:
    inside = Stream(isn=(5, 6)).open().talk()
    outside = _plain((1_500_000_000, 2_500_000_000))
    order = [*zip(inside.sent, outside.sent, strict=False)]
    both = [segment for pair in order for segment in pair] + inside.sent[len(order) :]
    twice = [copy for one in both for copy in (*seen_at([one], b"1"), *seen_at([one], b"2"))]
    for capture in (both, twice):
        mptcp, plain = connections_of(capture)
        assert (mptcp.version, mptcp.fallback, plain.version, plain.fallback) == (1, False, None, False)


def test_a_segment_from_before_does_not_end_or_change_a_connection() -> None:
    stream = Stream()
    stream.say(SYN, MpCapable(1))
    stream.say(ACK, seq=400, ack=12)  # of an earlier connection with these ports
    stream.say(SYN_ACK, MpCapable(1, KEY_B), back=True)
    assert not only(stream.sent).fallback
    stream.say(ACK, MpCapable(1, KEY_A, KEY_B))
    stream.talk()
    got = only(stream.sent)
    assert (got.fallback, got.initiator_token) == (False, TOKEN_A)


def _join(stream: Stream, nonce: bytes, address_id: int) -> Stream:
    given = (1, KEY_A, KEY_B, nonce, NONCE_B)
    stream.say(SYN, MpJoinSyn(address_id, TOKEN_B, nonce))
    stream.say(SYN_ACK, MpJoinSynAck(0, join_syn_ack_hmac(*given), NONCE_B), back=True)
    stream.say(ACK, MpJoinAck(join_ack_hmac(*given)))
    stream.say(ACK, ACKED, back=True)
    return stream


def test_address_id_0_and_ids_that_are_used_again_are_subflows_of_their_own() -> None:
    first = Stream().open().talk()
    ids = (0, 5, 5, 0, 255)
    joins = [
        _join(Stream(client=(UE2, 50000 + at), isn=(at + 1, at + 9)), NONCE_A, number)
        for at, number in enumerate(ids)
    ]
    joins[1].say(ACK, RemoveAddr((5,)))
    got = only([*first.sent, *(segment for join in joins for segment in join.sent)])
    assert [subflow.address_id for subflow in got.subflows] == [0, *ids]
    assert [subflow.hmac for subflow in got.subflows[1:]] == [Hmac.OK] * len(ids)


def test_a_join_of_the_same_port_and_id_again_is_another_subflow() -> None:
    first = Stream().open().talk()
    once = _join(Stream(client=(UE2, 50000), isn=(1, 2)), NONCE_A, 5)
    once.say(RST_ACK, back=True)
    again = _join(Stream(client=(UE2, 50000), isn=(90_000, 80_000)), NONCE_B, 5)
    got = only(first.sent + once.sent + again.sent)
    assert [(subflow.address_id, subflow.hmac) for subflow in got.subflows[1:]] == [(5, Hmac.OK)] * 2
    assert [subflow.reset is None for subflow in got.subflows] == [True, False, True]


def test_more_than_eight_addresses_join_one_connection() -> None:
    first = Stream().open().talk()
    joins = [
        _join(Stream(client=(bytes([10, 7, 0, at]), 40000), isn=(at, at)), bytes([0, 0, 0, at]), at)
        for at in range(1, 41)
    ]
    got = only([*first.sent, *(segment for join in joins for segment in join.sent)])
    assert len(got.subflows) == 41
    assert {subflow.hmac for subflow in got.subflows[1:]} == {Hmac.OK}


def test_joins_from_the_port_of_the_first_subflow_are_joins() -> None:
    first = Stream().open().talk().close()
    join = _join(Stream(client=(UE, 40000), isn=(2_000_000_000, 3_000_000_000)), NONCE_A, 0)
    join.say(ACK, mapped(10), data=10)
    got = only(first.sent + join.sent)
    assert [subflow.join for subflow in got.subflows] == [False, True]
    assert not got.fallback and Dss not in map(type, got.subflows)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("mptcp", [False, True])
@pytest.mark.parametrize("copies", [1, 2])
def test_a_connection_that_both_ends_open_at_once_is_one(first: bool, mptcp: bool, copies: int) -> None:
    stream = Stream()
    for back in (first, not first):
        stream.say(SYN, *([MpCapable(1)] if mptcp else []), back=back)
    for back in (first, not first):
        stream.say(SYN_ACK, *([MpCapable(1)] if mptcp else []), back=back, seq=stream.isn[back])
    for back in (first, not first):
        stream.say(ACK, data=10, back=back)
    got = only(stream.sent * copies)
    assert (got.version, got.fallback) == ((1, True) if mptcp else (None, False))
    assert got.subflows[0].src == (stream.server if first else stream.client)[0]
    # The first SYN/ACK is the initiator's own: it answers the other SYN, and refuses nothing.
    assert not only(stream.sent[:3]).fallback


@pytest.mark.parametrize("order", list(permutations(range(4))))
@pytest.mark.parametrize("missing", [0, 1])
def test_it_is_one_in_whatever_order_its_handshake_is_captured(order: tuple[int, ...], missing: int) -> None:
    """As where interfaces are captured one by one; of two SYNs or SYN/ACKs one alone is enough to know it."""
    stream = Stream()
    for back in (False, True):
        stream.say(SYN, MpCapable(1), back=back)
    for back, key in ((False, KEY_A), (True, KEY_B)):
        stream.say(SYN_ACK, MpCapable(1, key), back=back, seq=stream.isn[back])
    opening = [stream.sent[at] for at in order][: 4 - missing]
    stream.talk()
    got = only([*opening, *stream.sent[4:]])
    assert (got.version, got.fallback) == (1, False)


def test_the_keys_of_both_answers_are_those_of_a_connection_that_both_ends_open() -> None:
    stream = Stream()
    for back in (False, True):
        stream.say(SYN, MpCapable(1), back=back)
    for back, key in ((False, KEY_A), (True, KEY_B)):
        stream.say(SYN_ACK, MpCapable(1, key), back=back, seq=stream.isn[back])
    stream.talk()
    join = _join(Stream(client=(UE2, 50000), isn=(90_000, 80_000)), NONCE_B, 5)
    got = only([*stream.sent, *join.sent])
    assert (got.initiator_token, got.responder_token, got.fallback) == (TOKEN_A, TOKEN_B, False)
    assert [one.hmac for one in got.subflows] == [Hmac.UNSEEN, Hmac.OK]


def test_two_attempts_in_both_directions_are_two_connections() -> None:
    there, here = Stream(), Stream(client=Stream().server, server=Stream().client, isn=(5_000, 6_000))
    there.say(SYN)
    here.say(SYN)
    for stream in (there, here):
        stream.say(SYN_ACK, back=True)
        stream.say(ACK)
    assert len(connections_of([*there.sent[:1], *here.sent, *there.sent[1:]])) == 2
