"""How segments become connections: the doubtful cases that real captures do not hold."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import permutations

import pytest

from steering.trace.connections import Connection, ConnectionTracker, Hmac
from steering.trace.resets import Reset
from steering.wire.crypto import join_ack_hmac, join_syn_ack_hmac, token
from steering.wire.errors import WireRefusal
from steering.wire.mptcp import (
    Dss,
    DssMapping,
    MpCapable,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MptcpOption,
    MpTcprst,
)
from steering.wire.segment import Flags, Segment

KEY_A, KEY_B = bytes.fromhex("c9860dfe1c8da533"), bytes.fromhex("1b6ffbbde3984628")
TOKEN_A, TOKEN_B = bytes.fromhex("92c53b6f"), bytes.fromhex("169a4894")
NONCE_A, NONCE_B = bytes.fromhex("784013b4"), bytes.fromhex("c0f227d4")
SYN, SYN_ACK, ACK = Flags.SYN, Flags.SYN | Flags.ACK, Flags.ACK
FIN_ACK, RST = Flags.FIN | Flags.ACK, Flags.RST | Flags.ACK
UE, UE2, SERVER = bytes([10, 1, 0, 2]), bytes([10, 2, 0, 2]), bytes([10, 9, 0, 2])


@dataclass
class Talk:
    """One TCP connection that we make up, fed segment by segment."""

    tracker: ConnectionTracker
    client: tuple[bytes, int] = (UE, 40000)
    server: tuple[bytes, int] = (SERVER, 80)
    isn: tuple[int, int] = (1000, 900_000_000)
    tags: tuple[bytes, bytes] = (b"", b"")
    sent: list[Segment] = field(default_factory=list)

    def say(
        self, flags: int, *options: MptcpOption, back: bool = False, version: int = 1, payload: bytes = b""
    ) -> None:
        """A segment of the client, or of the server (`back`)."""
        src, dst = (self.server, self.client) if back else (self.client, self.server)
        mine, theirs = self.isn[::-1] if back else self.isn
        offset = 0 if flags & Flags.SYN else 1
        raw = b"".join(
            option.encode(option.version if isinstance(option, MpCapable) else version) for option in options
        )
        segment = Segment(
            family=4,
            src=src[0],
            dst=dst[0],
            sport=src[1],
            dport=dst[1],
            seq=mine + offset,
            ack=theirs + 1 if flags & Flags.ACK else 0,
            flags=flags,
            window=1,
            options=raw,
            payload=payload,
            link_tag=self.tags[back],
        )
        self.sent.append(segment)
        self.tracker.feed(segment)

    def open(self, version: int = 1, third: bool = True) -> None:
        self.say(SYN, MpCapable(version, KEY_A if version == 0 else b""))
        self.say(SYN_ACK, MpCapable(version, KEY_B), back=True)
        if third:
            self.say(ACK, MpCapable(version, KEY_A, KEY_B))

    def join(self, towards: bytes = TOKEN_B, version: int = 1, spoil: bytes = b"") -> None:
        """A join that carries `towards`; `spoil` takes the place of the ACK's HMAC."""
        keys = (KEY_A, KEY_B) if towards == token(version, KEY_B) else (KEY_B, KEY_A)
        given = (version, *keys, NONCE_A, NONCE_B)
        self.say(SYN, MpJoinSyn(3, towards, NONCE_A, backup=True))
        self.say(SYN_ACK, MpJoinSynAck(4, join_syn_ack_hmac(*given), NONCE_B), back=True)
        self.say(ACK, MpJoinAck(spoil or join_ack_hmac(*given)))


def _only(tracker: ConnectionTracker) -> Connection:
    (connection,) = tracker.connections()
    return connection


@pytest.fixture
def tracker() -> ConnectionTracker:
    return ConnectionTracker()


@pytest.fixture
def first(tracker: ConnectionTracker) -> Talk:
    return Talk(tracker)


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
