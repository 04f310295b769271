"""Links by authenticated announcements: found, aged, held down, and never drawn by somebody else."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.inputs import LinkDown, LinkUp
from steering.model.link_trip import LinkTrip
from steering.model.network import PortRef
from steering.openflow.discovery.link_discovery import LATE, LOST_WITHIN, MOST_REPEATED, Discovery, Rejection
from steering.openflow.discovery.link_trips import ROUNDS
from steering.wire.errors import WireError
from steering.wire.lldp import Announcement, announce, read_announcement
from tests.support.announced_links import HOST_PORT, KEY, A, B, C, discovery, frame_of


def test_an_announcement_is_read_back() -> None:
    said = Announcement(0xFFEE_DDCC_BBAA_9988, 0xFFFFFF00, 2**63, 12)
    frame = announce(KEY, said, b"\x02\0\0\0\0\1")
    assert frame[12:14] == b"\x88\xcc" and read_announcement(KEY, frame) == said
    assert read_announcement(KEY, frame + bytes(20)) == said


@given(st.integers(14, 91), st.integers(1, 255))
def test_any_changed_byte_is_refused(at: int, change: int) -> None:
    frame = bytearray(announce(KEY, Announcement(1, 2, 3, 4), b"\x02\0\0\0\0\1"))
    frame[at] ^= change
    with pytest.raises(WireError):
        read_announcement(KEY, bytes(frame))


@given(st.binary(max_size=120))
def test_rubbish_raises_only_its_own_error(data: bytes) -> None:
    with pytest.raises(WireError):
        read_announcement(KEY, data)


def test_it_announces_on_ports_that_are_up_and_no_attachment() -> None:
    made = discovery()
    assert {port for port, _ in made.announcements(1.0)} == {A, B, PortRef(2, 3), C}


def test_it_announces_once_an_interval() -> None:
    made = discovery(interval=1.0)
    assert list(made.announcements(1.0))
    assert not list(made.announcements(1.9))
    assert list(made.announcements(2.0))


def test_a_link_whose_frame_is_missing_is_announced_more_often_until_it_is_heard() -> None:
    """A link that is full loses frames, and is not dead."""
    made = discovery(interval=0.9)
    frames = dict(made.announcements(1.0))
    made.heard(B, frames[A], 1.01)
    made.heard(A, frames[B], 1.01)
    sent: list[tuple[float, PortRef]] = []
    for tick in range(1, 60):  # of 50 ms
        now = 1.0 + tick / 20
        made.expire(now)
        for port, frame in made.announcements(now):
            sent.append((now, port))
            if port == B:
                made.heard(A, frame, now + 0.01)
    of = {port: [at for at, p in sent if p == port] for port in (A, B, C)}
    assert len(of[B]) == len(of[C]) == 3  # the rounds
    late = [at for at in of[A] if 1.01 + 1.25 * 0.9 < at <= 1.01 + 3 * 0.9]
    assert len(late) >= 9 and late[0] < 2.25
    assert not [at for at in of[A] if at > 3.8 and at not in of[B]]  # lost: in the rounds only


@given(
    silent_from=st.floats(4.0, 8.0),
    late=st.floats(0.001, LATE - 0.05),
    begin=st.floats(0.0, 1.0),
    random=st.randoms(use_true_random=False),
)
def test_a_silent_link_is_told_as_lost_within_its_time_however_late_frames_and_ticks_are(
    silent_from: float, late: float, begin: float, random: Random
) -> None:
    """`late`: seconds that a frame takes through the controller, at most. What is left of LATE is a tick's."""
    made = Discovery(KEY, 77, [])
    for dpid in (1, 2):
        made.switch_up(dpid, {2: True}, 0.0)
    under_way: list[tuple[float, PortRef, bytes]] = []
    now, told = begin, []
    while now < silent_from + LOST_WITHIN + 1.0:
        now += random.uniform(0.01, LATE - late)
        for at, port, frame in [one for one in under_way if one[0] <= now]:
            under_way.remove((at, port, frame))
            made.heard(port, frame, at)
        told += [(now, change) for change in made.expire(now) if isinstance(change, LinkDown)]
        for port, frame in made.announcements(now):
            if now < silent_from:
                under_way.append((now + random.uniform(0.0, late), B if port == A else A, frame))
    assert {change for _, change in told} == {LinkDown(A, B), LinkDown(B, A)} and len(told) == 2
    assert all(silent_from < at <= silent_from + LOST_WITHIN for at, _ in told)


def test_a_full_link_that_loses_every_second_frame_stays_up() -> None:
    made = discovery(interval=0.9)
    made.heard(B, dict(made.announcements(1.0))[A], 1.01)
    random = Random(7)
    for tick in range(1, 20 * 600):
        now = 1.0 + tick / 20
        assert made.expire(now) == []
        for port, frame in made.announcements(now):
            if port == A and random.random() < 0.5:
                made.heard(B, frame, now + 0.01)


def test_most_links_that_are_announced_more_often_at_a_time() -> None:
    made = Discovery(KEY, 77, [], interval=0.9)
    many = MOST_REPEATED + 10
    for dpid in (1, 2):
        made.switch_up(dpid, dict.fromkeys(range(1, many + 1), True), 0.0)
    frames = dict(made.announcements(1.0))
    for port in range(1, many + 1):
        made.heard(PortRef(2, port), frames[PortRef(1, port)], 1.01)
    assert len(list(made.announcements(1.9))) == 2 * many
    first, second = ({port for port, _ in made.announcements(now)} for now in (2.2, 2.31))
    assert (len(first), len(second)) == (MOST_REPEATED, 10) and not first & second


def test_a_link_that_cannot_be_heard_is_not_announced_more_often() -> None:
    """The switch at its end is not connected: nothing can be missing."""
    made = discovery(interval=0.9)
    made.heard(B, dict(made.announcements(1.0))[A], 1.01)
    made.switch_down(2)
    assert [port for now in (1.9, 2.3, 2.4, 2.5) for port, _ in made.announcements(now)].count(A) == 1


def test_of_frames_that_were_sent_again_few_trips_are_taken() -> None:
    """A link that is full for some seconds is no wormhole, however many frames come late of it."""
    made = discovery(interval=1.0)
    full = ROUNDS + 20.0
    under_way: list[tuple[float, bytes]] = []
    told: list[LinkTrip] = []
    late = 0
    for tick in range(20, int(20 * (full + 4.5))):
        now = tick / 20
        trip = 0.001 if now < full else 1.2
        under_way += [(now + trip, frame) for port, frame in made.announcements(now) if port == A]
        for at, frame in [one for one in under_way if one[0] <= now]:
            under_way.remove((at, frame))
            changes = made.heard(B, frame, at)
            assert isinstance(changes, list)
            late += now > full + 1
            told += [change for change in changes if isinstance(change, LinkTrip)]
    assert late > ROUNDS and told == []


def test_a_link_is_up_when_first_heard_one_direction_at_a_time() -> None:
    made = discovery()
    frames = dict(made.announcements(1.0))
    assert made.heard(B, frames[A], 1.01) == [LinkUp(A, B)]
    assert made.heard(A, frames[B], 1.01) == [LinkUp(B, A)]


def test_hearing_on_keeps_it_up_silence_takes_it_down() -> None:
    made = discovery()
    for now in (1.0, 2.0, 3.0):
        assert made.heard(B, frame_of(made, A, now), now + 0.1) == ([LinkUp(A, B)] if now == 1.0 else [])
    assert made.expire(6.0) == []
    assert made.expire(6.2) == [LinkDown(A, B)]
    assert made.expire(7.0) == []


def test_a_lost_link_is_held_down() -> None:
    made = discovery(hold=3.0)
    made.heard(B, frame_of(made, A, 1.0), 1.0)
    assert made.port_status(B, False) == [LinkDown(A, B)]
    made.port_status(B, True)
    told = {now: made.heard(B, frame_of(made, A, now), now) for now in (2.0, 3.0, 4.0, 5.0)}
    assert told == {2.0: [], 3.0: [], 4.0: [], 5.0: [LinkUp(A, B)]}


def test_silence_in_the_hold_begins_it_again() -> None:
    made = discovery(hold=3.0)
    made.heard(B, frame_of(made, A, 1.0), 1.0)
    made.port_status(A, False)
    made.port_status(A, True)
    made.heard(B, frame_of(made, A, 2.0), 2.0)
    for now in (9.0, 10.0, 11.0):
        assert made.heard(B, frame_of(made, A, now), now) == []
    assert made.heard(B, frame_of(made, A, 12.0), 12.0) == [LinkUp(A, B)]


def test_a_link_that_ends_elsewhere_goes_down_and_is_held() -> None:
    made = discovery()
    made.heard(B, frame_of(made, A, 1.0), 1.0)
    assert made.heard(C, frame_of(made, A, 2.0), 2.0) is Rejection.ELSEWHERE, "somebody may carry it there"
    late = 1.1 + 3 * made.interval  # its own end has not heard it for so long
    assert made.heard(C, frame_of(made, A, late), late) == [LinkDown(A, B)]
    assert made.heard(C, frame_of(made, A, late + 3.0), late + 3.0) == [LinkUp(A, C)]


def test_a_replay_is_refused() -> None:
    made = discovery()
    old = frame_of(made, A, 1.0)
    made.heard(B, old, 1.0)
    assert made.heard(C, old, 1.1) is Rejection.REPLAYED
    late = discovery()
    assert late.heard(B, old, 3.5) is Rejection.REPLAYED


def test_a_frame_of_another_run_or_key_is_refused() -> None:
    made = discovery()
    other_run = announce(KEY, Announcement(1, 2, 78, 1_000_000), b"\x02\0\0\0\0\1")
    other_key = announce(b"x" * 32, Announcement(1, 2, 77, 1_000_000), b"\x02\0\0\0\0\1")
    assert made.heard(B, other_run, 1.0) is Rejection.FOREIGN
    assert made.heard(B, other_key, 1.0) is Rejection.FORGED


def test_nothing_heard_at_an_attachment_or_an_unknown_port_is_believed() -> None:
    made = discovery()
    frame = frame_of(made, A, 1.0)
    assert made.heard(HOST_PORT, frame, 1.0) is Rejection.MISPLACED
    assert made.heard(PortRef(9, 1), frame, 1.0) is Rejection.MISPLACED
    assert made.heard(A, frame, 1.0) is Rejection.MISPLACED


def test_a_switch_without_connection_keeps_its_links_for_a_while() -> None:
    made = discovery(orphan=60.0)
    made.heard(B, frame_of(made, A, 1.0), 1.0)
    made.switch_down(2)
    assert made.expire(50.0) == []
    assert made.switch_up(2, {2: True}, 55.0) == []
    assert made.expire(57.0) == []
    assert made.expire(58.5) == [LinkDown(A, B)]


def test_a_switch_that_comes_back_with_the_port_down_loses_the_link() -> None:
    made = discovery()
    made.heard(B, frame_of(made, A, 1.0), 1.0)
    made.switch_down(2)
    assert made.switch_up(2, {2: False}, 2.0) == [LinkDown(A, B)]


def test_a_switch_that_never_comes_back_loses_its_links() -> None:
    made = discovery(orphan=60.0)
    made.heard(B, frame_of(made, A, 1.0), 1.0)
    made.switch_down(1)
    assert made.expire(61.5) == [LinkDown(A, B)]


# ---- how long announcements take ----------------------------------------------------------------
