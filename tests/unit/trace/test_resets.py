"""Which RST and which MP_FASTCLOSE end a subflow: those that a host would believe."""

from dataclasses import replace

import pytest

from steering.trace.connections import Connection
from steering.trace.resets import Reset
from steering.wire.mptcp import MpJoinSyn, MpTcprst
from steering.wire.segment import Flags
from tests.support.streams import (
    ACKED,
    KEY_A,
    KEY_B,
    NONCE_A,
    RST_ACK,
    TOKEN_A,
    TOKEN_B,
    UE2,
    Stream,
    connections_of,
    fastclose,
    mapped,
    only,
    seen_at,
)

PLAIN = Reset(None, False)
WAITING = Stream().window  # bytes that the receiver takes


def _reset(connection: Connection, subflow: int = 0) -> Reset | None:
    return connection.subflows[subflow].reset


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize(
    ("offset", "believed"),
    [(0, True), (WAITING, True), (-1, False), (-100, False), (WAITING + 1, False), (1 << 31, False)],
)
def test_a_reset_counts_inside_the_window_only(back: bool, offset: int, believed: bool) -> None:
    stream = Stream().open().talk()
    stream.say(RST_ACK, back=back, seq=stream.following[back] + offset)
    assert _reset(only(stream.sent)) == (PLAIN if believed else None)


@pytest.mark.parametrize("isn", [(2**32 - 50, 2**32 - 150), (2**32 - 1, 0), (2**31, 2**31 + 5)])
def test_windows_wrap_as_sequence_numbers_do(isn: tuple[int, int]) -> None:
    for offset, believed in ((0, True), (50, True), (-1, False)):
        stream = Stream(isn=isn).open().talk()
        stream.say(RST_ACK, seq=stream.following[0] + offset)
        assert _reset(only(stream.sent)) == (PLAIN if believed else None)


@pytest.mark.parametrize(("scales", "believed"), [((2, 2), True), ((2, None), False), ((None, 2), False)])
def test_the_window_is_scaled_if_both_syns_say_so(
    scales: tuple[int | None, int | None], believed: bool
) -> None:
    client, server = (b"" if scale is None else bytes((3, 3, scale, 1)) for scale in scales)
    stream = Stream()
    stream.say(Flags.SYN, raw=client)
    stream.say(Flags.SYN | Flags.ACK, back=True, raw=server)
    stream.say(Flags.ACK)
    stream.say(RST_ACK, back=True, seq=stream.following[1] + 3 * WAITING)
    assert _reset(only(stream.sent)) == (PLAIN if believed else None)


@pytest.mark.parametrize("flags", [Flags.RST, RST_ACK])
@pytest.mark.parametrize("seq", [0, 900_000_001])
def test_before_the_syn_ack_a_reset_counts_if_it_acknowledges_the_syn(flags: int, seq: int) -> None:
    stream = Stream()
    stream.say(Flags.SYN, MpJoinSyn(3, TOKEN_B, NONCE_A))
    stream.say(flags, back=True, seq=seq)
    assert _reset(only(stream.sent)) == (PLAIN if flags & Flags.ACK else None)


def test_an_acknowledgement_number_without_its_flag_acknowledges_nothing() -> None:
    stream = Stream()
    stream.say(Flags.SYN)
    reset = stream.say(RST_ACK, back=True, seq=0)
    assert _reset(only([stream.sent[0], replace(reset, flags=Flags.RST)])) is None


@pytest.mark.parametrize("ack", [1000, 0, 1002, 7_000_000])
def test_before_the_syn_ack_a_reset_that_acknowledges_something_else_is_not_believed(ack: int) -> None:
    stream = Stream()
    stream.say(Flags.SYN)
    stream.say(RST_ACK, back=True, seq=0, ack=ack)
    assert _reset(only(stream.sent)) is None


@pytest.mark.parametrize("flags", [Flags.RST, RST_ACK])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("data", [False, True])
def test_a_join_that_lives_on_after_a_reset_is_not_reset(
    flags: int, again: bool, copies: int, data: bool
) -> None:
    first = Stream().open().talk()
    join = Stream(client=(UE2, 50000), isn=(70_000, 5_000_000))
    join.say(Flags.SYN, MpJoinSyn(3, TOKEN_B, NONCE_A))
    join.say(flags, MpTcprst(1), back=True, seq=5_000_001)
    if again:
        join.say(Flags.ACK, ACKED, seq=63_000)  # from before: it is this that the server answers with a RST
        join.say(flags, back=True, seq=5_000_001)
    join.following[0] = 70_000
    join.join()
    if data:
        join.talk()
    (connection,) = connections_of((first.sent + join.sent) * copies)
    assert _reset(connection, 1) is None


def test_a_refused_join_is_reset_also_in_a_second_copy() -> None:
    first = Stream().open().talk()
    join = Stream(client=(UE2, 50000))
    join.say(Flags.SYN, MpJoinSyn(3, TOKEN_B, NONCE_A))
    join.say(RST_ACK, MpTcprst(3), back=True, seq=0)
    for copies in (1, 2):
        assert _reset(only((first.sent + join.sent) * copies), 1) == Reset(3, False)


@pytest.mark.parametrize("back", [False, True])
def test_a_leg_whose_receiver_takes_more_data_was_not_reset(back: bool) -> None:
    stream = Stream().open().talk()
    stream.say(RST_ACK, back=back)  # its number is right, but it was lost on its way
    assert _reset(only(stream.sent)) == PLAIN
    stream.talk()
    assert _reset(only(stream.sent)) is None


def test_segments_on_their_way_do_not_take_a_reset_back() -> None:
    stream = Stream().open().talk()
    stream.say(RST_ACK, MpTcprst(2, transient=True))
    for _ in range(3):
        stream.say(Flags.ACK, mapped(100), back=True, data=100)
    assert _reset(only(stream.sent)) == Reset(2, True)


def test_a_thousand_stray_resets_do_not_hide_the_real_one() -> None:
    stream = Stream().open().talk()
    for number in range(1000):
        stream.say(Flags.RST, back=True, seq=stream.following[1] + 100_000 + number)
    for number in range(1000):
        stream.say(Flags.RST, back=True, seq=stream.following[1] + number)
        stream.talk(2000)
    assert _reset(only(stream.sent)) is None
    stream.say(RST_ACK, MpTcprst(6), back=True)
    assert _reset(only(stream.sent)) == Reset(6, False)


def test_a_reset_where_one_direction_was_captured() -> None:
    for offset, believed in ((0, True), (1 << 30, False)):
        stream = Stream().open().talk()
        stream.say(RST_ACK, back=True, seq=stream.following[1] + offset)
        answers = [segment for segment in stream.sent if segment.sport == 80]
        assert _reset(only(answers)) == (PLAIN if believed else None)


def test_a_reset_alone_is_a_reset() -> None:
    stream = Stream()
    stream.say(RST_ACK, back=True)
    assert _reset(only(stream.sent)) == PLAIN


@pytest.mark.parametrize("flags", [Flags.ACK, RST_ACK])
@pytest.mark.parametrize("back", [False, True])
def test_a_fast_close_needs_the_key_of_its_receiver(flags: int, back: bool) -> None:
    right = KEY_A if back else KEY_B
    for key in (KEY_A, KEY_B, bytes(8)):
        stream = Stream().open().talk()
        stream.say(flags, fastclose(key), back=back)
        subflow = only(stream.sent).subflows[0]
        assert (subflow.fastclose, subflow.fastclose_refused) == (key == right, key != right)
        # TCP knows nothing of keys.
        assert subflow.reset == (PLAIN if flags & Flags.RST else None)


@pytest.mark.parametrize("towards", [TOKEN_A, TOKEN_B])
def test_a_fast_close_on_a_join_is_judged_by_who_opened_it(towards: bytes) -> None:
    for back in (False, True):
        right = KEY_B if (towards == TOKEN_B) != back else KEY_A
        for key in (KEY_A, KEY_B):
            first = Stream().open().talk()
            join = Stream(client=(UE2, 50000), isn=(7, 8)).join(towards)
            join.say(RST_ACK, fastclose(key), back=back)
            subflow = only(first.sent + join.sent).subflows[1]
            assert (subflow.fastclose, subflow.fastclose_refused) == (key == right, key != right)


def test_a_fast_close_whose_key_cannot_be_checked_is_believed() -> None:
    stream = Stream().open().talk()
    stream.say(RST_ACK, fastclose(bytes(8)))
    subflow = only(stream.sent[3:]).subflows[0]
    assert (subflow.fastclose, subflow.fastclose_refused) == (True, False)


@pytest.mark.parametrize("offset", [-500, 1 << 30])
def test_a_fast_close_outside_the_window_is_nothing(offset: int) -> None:
    stream = Stream().open().talk().talk()
    stream.say(Flags.ACK, fastclose(KEY_B), seq=stream.following[0] + offset)
    subflow = only(stream.sent).subflows[0]
    assert (subflow.fastclose, subflow.fastclose_refused) == (False, False)


def test_a_reset_that_two_points_show_is_one() -> None:
    stream = Stream().open().talk()
    stream.say(RST_ACK, MpTcprst(2))
    both = seen_at(stream.sent, b"inside") + seen_at(stream.sent, b"outside")
    assert _reset(only(both)) == Reset(2, False)
