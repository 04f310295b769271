"""What a handshake agrees on, and what takes the agreement back: doubtful forms of MP_CAPABLE, keys, DSS."""

from dataclasses import replace

import pytest

from steering.trace.connections import ConnectionTracker
from steering.wire.crypto import token
from steering.wire.errors import WireRefusal
from steering.wire.mptcp import AddAddr, Dss, DssMapping, MpCapable, MpPrio, MptcpOption
from steering.wire.segment import Flags
from tests.support.streams import ACKED, KEY_A, KEY_B, TOKEN_A, TOKEN_B, UE2, Stream, mapped, only

SYN, SYN_ACK, ACK = Flags.SYN, Flags.SYN | Flags.ACK, Flags.ACK
OTHER = bytes.fromhex("0102030405060708")

MALFORMED = {
    "too short": "1e030100",
    "length 6": "1e0601010000 0000",
    "a key where none belongs": "1e0c0101 1122334455667788",
    "length zero": "1e000101",
    "length one": "1e010101",
    "past the end": "1e140101",
    "no length": "0101011e",
    "no algorithm": "1e040100",
    "an extension": "1e040141",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_plain_answer_after_a_malformed_offer_is_one_plain_connection(name: str) -> None:
    stream = Stream()
    stream.say(SYN, raw=bytes.fromhex(MALFORMED[name]))
    stream.say(SYN_ACK, back=True)
    stream.say(ACK)
    stream.say(ACK, data=10)
    stream.close()
    got = only(stream.sent)
    assert (got.version, got.fallback, got.begun_before) == (None, False, False)
    assert (got.initiator_token, got.responder_token, got.keys_differ) == (None, None, False)


def test_damage_in_an_option_list_is_counted_and_what_stands_before_it_is_read() -> None:
    stream = Stream()
    stream.say(SYN, MpCapable(1), raw=bytes.fromhex("02000000"))
    stream.say(SYN_ACK, MpCapable(1, KEY_B), back=True)
    tracker = ConnectionTracker()
    for segment in stream.sent:
        tracker.feed(segment)
    (got,) = tracker.connections()
    assert (got.version, got.responder_token) == (1, TOKEN_B)
    assert tracker.refused == {WireRefusal.OPTION_LENGTH_ZERO: 1}


def test_a_plain_answer_to_version_2_is_a_fallback() -> None:
    stream = Stream()
    stream.say(SYN, MpCapable(2))
    stream.say(SYN_ACK, back=True)
    stream.say(ACK)
    stream.say(ACK, data=10)
    got = only(stream.sent)
    assert (got.version, got.fallback, got.begun_before, got.responder_token) == (2, True, False, None)


def test_version_2_that_both_agree_on_has_no_tokens_and_is_no_fallback() -> None:
    stream = Stream()
    stream.say(SYN, MpCapable(2))
    stream.say(SYN_ACK, back=True, raw=bytes.fromhex("1e0c0201") + KEY_B)
    stream.say(ACK, raw=bytes.fromhex("1e140201") + KEY_A + KEY_B)
    stream.talk()
    got = only(stream.sent)
    assert (got.version, got.fallback, got.initiator_token, got.responder_token) == (2, False, None, None)


def test_version_1_answers_an_offer_of_version_2() -> None:
    stream = Stream()
    stream.say(SYN, MpCapable(2))
    stream.say(SYN_ACK, MpCapable(1, KEY_B), back=True)
    stream.say(ACK, MpCapable(1, KEY_A, KEY_B))
    got = only(stream.sent)
    assert (got.version, got.fallback, got.initiator_token, got.responder_token) == (
        1,
        False,
        TOKEN_A,
        TOKEN_B,
    )


def test_stray_mptcp_options_do_not_make_plain_tcp_mptcp() -> None:
    stream = Stream()
    stream.say(SYN)
    stream.say(SYN_ACK, back=True)
    stream.say(ACK, MpCapable(1, KEY_A, KEY_B))
    stream.talk()
    got = only(stream.sent)
    assert (got.version, got.fallback, got.begun_before, got.initiator_token) == (None, False, False, None)
    without_answer = only([stream.sent[0], *stream.sent[2:]])
    assert (without_answer.version, without_answer.begun_before) == (None, False)
    assert only(stream.sent[3:]).begun_before  # where the handshake is missing, they are all that there is


@pytest.mark.parametrize("version", [0, 1])
def test_a_third_ack_that_repeats_another_key_is_told_and_the_syn_ack_counts(version: int) -> None:
    stream = Stream()
    stream.say(SYN, MpCapable(version, KEY_A if version == 0 else b""))
    stream.say(SYN_ACK, MpCapable(version, KEY_B), back=True)
    stream.say(ACK, MpCapable(version, KEY_A, OTHER))
    got = only(stream.sent)
    assert (got.keys_differ, got.responder_token) == (True, token(version, KEY_B))
    assert got.initiator_token == token(version, KEY_A)


def test_in_version_0_the_key_of_the_syn_counts() -> None:
    stream = Stream()
    stream.say(SYN, MpCapable(0, KEY_A))
    stream.say(SYN_ACK, MpCapable(0, KEY_B), back=True)
    stream.say(ACK, MpCapable(0, OTHER, KEY_B))
    got = only(stream.sent)
    assert (got.keys_differ, got.initiator_token) == (True, token(0, KEY_A))


@pytest.mark.parametrize("forged_first", [False, True])
def test_a_third_ack_with_the_right_keys_wins_over_a_forged_one(forged_first: bool) -> None:
    stream = Stream()
    stream.say(SYN, MpCapable(1))
    stream.say(SYN_ACK, MpCapable(1, KEY_B), back=True)
    keys = [(OTHER, OTHER), (KEY_A, KEY_B)]
    for sender, receiver in keys if forged_first else keys[::-1]:
        stream.say(ACK, MpCapable(1, sender, receiver))
    got = only(stream.sent)
    assert (got.keys_differ, got.initiator_token, got.responder_token) == (False, TOKEN_A, TOKEN_B)


@pytest.mark.parametrize("initiator", [False, True])
@pytest.mark.parametrize("responder", [False, True])
def test_flag_c_of_either_side(initiator: bool, responder: bool) -> None:
    stream = Stream()
    stream.say(SYN, MpCapable(1, deny_join=initiator))
    stream.say(SYN_ACK, MpCapable(1, KEY_B, deny_join=responder), back=True)
    stream.say(ACK, MpCapable(1, KEY_A, KEY_B))
    got = only(stream.sent)
    assert (got.initiator_denies_joins, got.responder_denies_joins) == (initiator, responder)
    assert only(stream.sent[:1]).initiator_denies_joins == initiator


def test_flag_c_of_a_third_ack_alone() -> None:
    stream = Stream()
    stream.say(ACK, MpCapable(1, KEY_A, KEY_B, deny_join=True))
    assert only(stream.sent).initiator_denies_joins


@pytest.mark.parametrize("back", [False, True])
def test_acknowledgements_without_any_option_behind_the_handshake_are_a_fallback(back: bool) -> None:
    stream = Stream().open()
    stream.say(ACK, mapped(100), back=back, data=100)
    assert not only(stream.sent).fallback
    stream.say(ACK, back=not back)
    got = only(stream.sent)
    assert (got.fallback, got.initiator_token, got.responder_token) == (True, TOKEN_A, TOKEN_B)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("option", [ACKED, AddAddr(1, bytes(4), hmac=bytes(8)), MpPrio(True)])
def test_any_option_behind_the_handshake_shows_that_the_path_lets_mptcp_through(
    back: bool, option: MptcpOption
) -> None:
    stream = Stream().open()
    stream.say(ACK, mapped(100), back=back, data=100)
    stream.say(ACK, back=not back)
    stream.say(ACK, option, back=not back)
    assert not only(stream.sent).fallback


def test_after_a_join_an_acknowledgement_without_options_is_no_fallback() -> None:
    first = Stream().open()
    join = Stream(client=(UE2, 50000), isn=(7, 8)).join()
    first.say(ACK, mapped(100), data=100)
    first.say(ACK, back=True)
    assert not only(first.sent + join.sent).fallback


@pytest.mark.parametrize("back", [False, True])
def test_segments_whose_data_the_capture_cut_off_have_data(back: bool) -> None:
    stream = Stream().open()
    bare = stream.say(ACK, back=back, data=100)
    cut = replace(bare, payload=b"", cut=100)
    assert only([*stream.sent[:-1], cut]).fallback
    assert not only([*stream.sent[:-1], replace(bare, payload=b"")]).fallback
    infinite = replace(cut, options=mapped(0).encode(1))
    assert only([*stream.sent[:-1], infinite]).fallback
    assert not only([*stream.sent[:-1], replace(infinite, cut=0)]).fallback


@pytest.mark.parametrize(
    ("option", "data", "fallback"),
    [
        (Dss(bytes(4), DssMapping(bytes(4), 1, 0)), 0, False),
        (Dss(bytes(4), DssMapping(bytes(8), 1, 0)), 100, True),
        (Dss(None, DssMapping(bytes(4), 1, 0, checksum=0)), 100, True),
        (Dss(bytes(4), DssMapping(bytes(4), 1, 0), data_fin=True), 0, False),
        (Dss(bytes(4), DssMapping(bytes(4), 0, 1), data_fin=True), 0, False),
        (Dss(bytes(8), DssMapping(bytes(8), 1, 101), data_fin=True), 100, False),
        (Dss(bytes(4), data_fin=True), 0, False),
        (Dss(data_fin=True), 0, False),
        (Dss(), 0, False),
    ],
)
def test_a_mapping_of_length_zero_is_infinite_on_data_only(option: Dss, data: int, fallback: bool) -> None:
    for back in (False, True):
        stream = Stream().open().talk()
        stream.say(ACK, option, back=back, data=data)
        got = only(stream.sent)
        assert (got.fallback, got.responder_token) == (fallback, TOKEN_B)


def test_an_infinite_mapping_on_the_last_subflow_is_a_fallback_of_the_connection() -> None:
    first = Stream().open().talk().close()
    join = Stream(client=(UE2, 50000), isn=(7, 8)).join()
    assert not only(first.sent + join.sent).fallback
    join.say(ACK, mapped(0), data=100)
    assert only(first.sent + join.sent).fallback


@pytest.mark.parametrize("taken", [0, 8, 20])  # bytes of the SYN's data
@pytest.mark.parametrize("bare", [False, True])
def test_data_of_the_syn_is_not_the_first_data_that_needs_a_mapping(taken: int, bare: bool) -> None:
    stream = Stream()
    syn = stream.say(SYN, MpCapable(1), data=20)
    stream.following[0] = syn.seq + 1 + taken
    stream.say(SYN_ACK, MpCapable(1, KEY_B), back=True)
    stream.say(ACK, mapped(100), back=True, data=100)  # before the third ACK (RFC 8684 B.3)
    stream.say(ACK, MpCapable(1, KEY_A, KEY_B))
    stream.say(ACK, *(() if bare else (mapped(30),)), data=30)
    stream.say(ACK, ACKED, back=True)
    stream.say(ACK, ACKED)
    got = only(stream.sent)
    assert (got.version, got.fallback, got.responder_token) == (1, bare, TOKEN_B)
    late_syn = [stream.sent[1], stream.sent[0], *stream.sent[2:]]
    assert only(late_syn) == got


@pytest.mark.parametrize("version", [0, 1])
def test_checksums_change_nothing_of_what_is_read(version: int) -> None:
    stream = Stream()
    key = KEY_A if version == 0 else b""
    stream.say(SYN, MpCapable(version, key, checksum_required=True))
    stream.say(SYN_ACK, MpCapable(version, KEY_B, checksum_required=True), back=True)
    third = MpCapable(version, KEY_A, KEY_B, checksum_required=True)
    stream.say(ACK, third)
    if version:
        stream.say(ACK, MpCapable(1, KEY_A, KEY_B, 10, 0xBEEF, checksum_required=True), data=10)
    else:
        stream.say(ACK, Dss(None, DssMapping(bytes(4), 1, 10, 0xBEEF)), data=10)
    stream.say(ACK, ACKED, back=True)
    got = only(stream.sent)
    assert (got.version, got.fallback, got.keys_differ) == (version, False, False)
    assert (got.initiator_token, got.responder_token) == (token(version, KEY_A), token(version, KEY_B))
