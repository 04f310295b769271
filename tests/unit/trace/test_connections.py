"""How segments become connections: the doubtful cases that real captures do not hold."""

from dataclasses import replace

import pytest

from steering.trace.connections import Connection, ConnectionTracker, Hmac
from steering.trace.resets import Reset
from steering.wire.crypto import token
from steering.wire.errors import WireRefusal
from steering.wire.mptcp import Dss, DssMapping, MpCapable, MpJoinSyn, MpJoinSynAck, MpTcprst
from steering.wire.segment import Flags
from tests.support.tcp_talk import (
    ACK,
    FIN_ACK,
    KEY_A,
    KEY_B,
    NONCE_A,
    NONCE_B,
    RST,
    SERVER,
    SYN,
    SYN_ACK,
    TOKEN_A,
    TOKEN_B,
    UE,
    UE2,
    Talk,
)


def _only(tracker: ConnectionTracker) -> Connection:
    (connection,) = tracker.connections()
    return connection


@pytest.fixture
def second(tracker: ConnectionTracker) -> Talk:
    return Talk(tracker, client=(UE2, 50000), isn=(2_000_000_000, 3_000_000_000))


def test_nothing(tracker: ConnectionTracker) -> None:
    assert tracker.connections() == []


@pytest.mark.row("D-2.3", "D-2.5")
def test_the_same_host_with_mptcp_and_with_plain_tcp(first: Talk, second: Talk) -> None:
    second.client = (UE, 40001)
    first.open()
    second.say(SYN)
    second.say(SYN_ACK, back=True)
    second.say(ACK)
    mptcp, plain = first.tracker.connections()
    assert (mptcp.version, mptcp.initiator_token, mptcp.responder_token) == (1, TOKEN_A, TOKEN_B)
    assert (plain.version, plain.initiator_token, plain.responder_token) == (None, None, None)
    assert not plain.fallback and not mptcp.fallback


def test_key_of_the_initiator_only_in_the_first_data(first: Talk) -> None:
    first.open(third=False)
    assert _only(first.tracker).initiator_token is None
    first.say(ACK | Flags.PSH, MpCapable(1, KEY_A, KEY_B, 100))
    assert _only(first.tracker).initiator_token == TOKEN_A


def test_third_ack_alone_gives_both_tokens(first: Talk) -> None:
    first.say(ACK, MpCapable(1, KEY_A, KEY_B))
    got = _only(first.tracker)
    assert (got.version, got.initiator_token, got.responder_token) == (1, TOKEN_A, TOKEN_B)


def test_syn_ack_alone_gives_the_direction_and_a_token(first: Talk) -> None:
    first.say(SYN_ACK, MpCapable(1, KEY_B), back=True)
    first.say(SYN, MpCapable(1))  # out of order
    got = _only(first.tracker)
    assert (got.responder_token, got.initiator_token) == (TOKEN_B, None)
    assert (got.subflows[0].src, got.subflows[0].sport) == (UE, 40000)


def test_version_0_syn_gives_the_initiator_token(first: Talk) -> None:
    first.say(SYN, MpCapable(0, KEY_A))
    got = _only(first.tracker)
    assert (got.version, got.initiator_token, got.responder_token) == (0, token(0, KEY_A), None)


def test_the_syn_ack_decides_the_version(first: Talk) -> None:
    first.say(SYN, MpCapable(1))
    first.say(SYN_ACK, MpCapable(0, KEY_B), back=True)
    first.say(ACK, MpCapable(0, KEY_A, KEY_B))
    got = _only(first.tracker)
    assert (got.version, got.responder_token) == (0, token(0, KEY_B))


@pytest.mark.parametrize("option", [MpCapable(1, extension=True), MpCapable(1, crypto=2)])
def test_an_offer_that_nobody_understands_is_plain(first: Talk, option: MpCapable) -> None:
    first.say(SYN, option)
    first.say(SYN_ACK, back=True)
    got = _only(first.tracker)
    assert (got.version, got.fallback) == (None, False)


def test_fallback_by_a_plain_syn_ack(first: Talk) -> None:
    first.say(SYN, MpCapable(1))
    first.say(SYN)  # the client's last try, without the option
    first.say(SYN_ACK, back=True)
    first.say(ACK)
    got = _only(first.tracker)
    assert (got.version, got.fallback, got.responder_token) == (1, True, None)


def test_fallback_by_a_plain_third_ack(first: Talk) -> None:
    first.open(third=False)
    first.say(ACK)
    assert _only(first.tracker).fallback
    # It was only reordered or cut: MPTCP goes on.
    first.say(ACK, Dss(data_ack=bytes(4)))
    got = _only(first.tracker)
    assert (got.fallback, got.responder_token) == (False, TOKEN_B)


def test_infinite_mapping_is_a_fallback_with_tokens(first: Talk) -> None:
    first.open()
    first.say(ACK, Dss(bytes(4), DssMapping(bytes(4), 1, 7)), payload=b"GET / \n")
    assert not _only(first.tracker).fallback
    first.say(ACK, Dss(bytes(4), DssMapping(bytes(4), 1, 0)), payload=b"GET / \n")
    got = _only(first.tracker)
    assert (got.fallback, got.responder_token) == (True, TOKEN_B)


@pytest.mark.parametrize("version", [0, 1])
def test_join(first: Talk, second: Talk, version: int) -> None:
    first.open(version)
    second.join(token(version, KEY_B), version)
    got = _only(first.tracker).subflows[1]
    assert (got.join, got.address_id, got.backup, got.hmac) == (True, 3, True, Hmac.OK)
    assert (got.src, got.sport, got.dst, got.dport) == (UE2, 50000, SERVER, 80)


def test_reverse_join(first: Talk, second: Talk) -> None:
    first.open()
    second.client, second.server = (SERVER, 41000), (UE2, 5201)
    second.join(TOKEN_A)
    got = _only(first.tracker).subflows[1]
    assert (got.hmac, got.src, got.dst) == (Hmac.OK, SERVER, UE2)


def test_join_before_the_handshake_was_captured(first: Talk, second: Talk) -> None:
    second.join()
    first.open()
    (got,) = first.tracker.connections()
    assert [subflow.hmac for subflow in got.subflows] == [Hmac.UNSEEN, Hmac.OK]


def test_wrong_hmac(first: Talk, second: Talk) -> None:
    first.open()
    second.join(spoil=bytes(20))
    assert _only(first.tracker).subflows[1].hmac is Hmac.BAD


def test_wrong_hmac_of_the_syn_ack(first: Talk, second: Talk) -> None:
    first.open()
    second.say(SYN, MpJoinSyn(3, TOKEN_B, NONCE_A))
    second.say(SYN_ACK, MpJoinSynAck(4, bytes(8), NONCE_B), back=True)
    assert _only(first.tracker).subflows[1].hmac is Hmac.BAD


def test_hmac_without_the_initiators_key_is_unseen(first: Talk, second: Talk) -> None:
    first.open(third=False)
    second.join()
    assert _only(first.tracker).subflows[1].hmac is Hmac.UNSEEN


def test_joins_of_an_unknown_connection_are_one_entry(tracker: ConnectionTracker) -> None:
    for port in (1, 2):
        Talk(tracker, client=(UE, port), isn=(port * 10**9, port)).join()
    Talk(tracker, client=(UE, 3), isn=(3 * 10**9, 3)).join(b"abcd")
    ours, other = tracker.connections()
    assert (ours.version, ours.initiator_token, ours.responder_token) == (None, None, TOKEN_B)
    assert [subflow.sport for subflow in ours.subflows] == [1, 2]
    assert all(subflow.join and subflow.hmac is Hmac.UNSEEN for subflow in ours.subflows)
    assert other.responder_token == b"abcd"


def test_join_without_its_syn_has_no_token(first: Talk) -> None:
    first.say(SYN_ACK, MpJoinSynAck(4, bytes(8), NONCE_B), back=True)
    got = _only(first.tracker)
    assert (got.version, got.responder_token, got.subflows[0].join) == (None, None, True)


def test_token_collision_is_settled_by_the_hmac(tracker: ConnectionTracker) -> None:
    # Two connections with one responder key (a replay, or two MCPs): the initiators' keys differ.
    Talk(tracker, client=(UE, 1), isn=(1, 10**9)).open()
    other = Talk(tracker, client=(UE, 2), isn=(2 * 10**9, 3 * 10**9))
    other.say(SYN, MpCapable(1))
    other.say(SYN_ACK, MpCapable(1, KEY_B), back=True)
    other.say(ACK, MpCapable(1, KEY_B, KEY_B))
    Talk(tracker, client=(UE2, 3), isn=(5, 6)).join()
    ours, theirs = tracker.connections()
    assert len(ours.subflows) == 2 and len(theirs.subflows) == 1


def test_refused_join(first: Talk, second: Talk) -> None:
    first.open()
    second.say(SYN, MpJoinSyn(3, TOKEN_B, NONCE_A))
    second.say(RST, MpTcprst(2, transient=True), back=True)
    assert _only(first.tracker).subflows[1].reset == Reset(2, True)


def test_plain_reset_and_the_one_that_tells_more(first: Talk) -> None:
    first.open()
    first.say(RST)
    assert _only(first.tracker).subflows[0].reset == Reset(None, False)
    first.say(RST, MpTcprst(6))
    assert _only(first.tracker).subflows[0].reset == Reset(6, False)
    first.say(RST, MpTcprst(1))
    assert _only(first.tracker).subflows[0].reset == Reset(6, False)


def test_a_reset_after_both_fins_is_a_normal_end(first: Talk) -> None:
    first.open()
    first.say(FIN_ACK)
    first.say(FIN_ACK, back=True)
    first.say(RST)
    assert _only(first.tracker).subflows[0].reset is None


def test_retransmissions_and_copies_change_nothing(first: Talk, second: Talk) -> None:
    first.open()
    second.join()
    before = first.tracker.connections()
    for segment in first.sent + second.sent:
        first.tracker.feed(segment)
        first.tracker.feed(replace(segment, link_tag=b"another interface"))
    assert first.tracker.connections() == before


def test_a_port_used_again_is_another_connection(first: Talk) -> None:
    first.open()
    first.say(FIN_ACK)
    first.say(FIN_ACK, back=True)
    again = Talk(first.tracker, isn=(5_000, 900_010_000))
    again.say(SYN)
    again.say(SYN_ACK, back=True)
    again.say(ACK)
    old, new = first.tracker.connections()
    assert (old.version, new.version, new.fallback) == (1, None, False)


def test_relay_legs_with_near_sequence_numbers_are_told_apart_by_link(tracker: ConnectionTracker) -> None:
    inside = Talk(tracker, tags=(b"ue>mcp", b"mcp>ue"))
    outside = Talk(tracker, isn=(1010, 900_000_010), tags=(b"mcp>net", b"net>mcp"))
    inside.say(SYN, MpCapable(1))
    outside.say(SYN, MpCapable(1))
    outside.say(SYN_ACK, back=True)
    inside.say(SYN_ACK, MpCapable(1, KEY_B), back=True)
    outside.say(ACK)
    inside.say(ACK, MpCapable(1, KEY_A, KEY_B))
    # By its numbers this segment would be the outside leg's.
    tracker.feed(replace(outside.sent[-1], flags=RST, link_tag=b"ue>mcp"))
    ours, plain = tracker.connections()
    assert (ours.fallback, ours.responder_token) == (False, TOKEN_B)
    assert ours.subflows[0].reset == Reset(None, False)
    assert (plain.fallback, plain.subflows[0].reset) == (True, None)


def test_fast_open_data_is_acknowledged_by_the_syn_ack(first: Talk) -> None:
    first.say(SYN)
    first.tracker.feed(
        replace(first.sent[0], flags=SYN_ACK, src=SERVER, dst=UE, sport=80, dport=40000, ack=1501)
    )
    assert len(_only(first.tracker).subflows) == 1


def test_malformed_options_are_counted(first: Talk) -> None:
    first.say(SYN)
    first.tracker.feed(replace(first.sent[0], options=bytes.fromhex("1e000000")))
    assert first.tracker.refused == {WireRefusal.OPTION_LENGTH_ZERO: 1}
    assert _only(first.tracker).version is None


def test_the_number_of_connections_is_bounded() -> None:
    tracker = ConnectionTracker(limit=3)
    for port in range(5):
        Talk(tracker, client=(UE, port)).open()
    assert len(tracker.connections()) == 3
    assert tracker.ignored == 6


def test_one_pair_of_endpoints_with_many_connections_stays_cheap(tracker: ConnectionTracker) -> None:
    # Each segment is compared with a bounded number of legs, however often the ports are used again.
    for number in range(2000):
        Talk(tracker, isn=(number * 100_000, 7)).say(SYN)
    Talk(tracker, isn=(1999 * 100_000, 7)).say(SYN_ACK, back=True)
    assert len(tracker.connections()) == 2000


@pytest.mark.parametrize("back", [False, True])
def test_first_data_without_an_option_is_a_fallback_that_keeps_the_tokens(back: bool) -> None:
    tracker = ConnectionTracker()
    talk = Talk(tracker)
    talk.open()
    (before,) = tracker.connections()
    talk.say(ACK, payload=b"GET /", back=back)
    (after,) = tracker.connections()
    assert (before.fallback, after.fallback) == (False, True)
    assert (after.initiator_token, after.responder_token) == (TOKEN_A, TOKEN_B)


@pytest.mark.parametrize("back", [False, True])
def test_first_data_with_its_mapping_is_none(back: bool) -> None:
    tracker = ConnectionTracker()
    talk = Talk(tracker)
    talk.open()
    talk.say(ACK, Dss(None, DssMapping(bytes(4), 1, 5)), payload=b"GET /", back=back)
    (found,) = tracker.connections()
    assert not found.fallback


def test_a_connection_that_began_before_the_capture_is_not_called_plain() -> None:
    tracker = ConnectionTracker()
    Talk(tracker).say(ACK, Dss(bytes(4)))
    Talk(tracker, client=(UE2, 40000)).say(ACK, payload=b"plain")
    began, plain = tracker.connections()
    assert (began.begun_before, began.version, began.fallback) == (True, None, False)
    assert not plain.begun_before
