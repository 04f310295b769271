"""Links by authenticated announcements: found, aged, held down, and never drawn by somebody else."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.inputs import LinkDown, LinkUp
from steering.model.link_trip import LinkTrip
from steering.model.network import PortRef
from steering.openflow.link_discovery import MOST_REPEATED, Discovery, Rejection
from steering.openflow.link_trips import MORE, MULTIPLE, RELEARN, ROUNDS, LinkTrips
from steering.wire.errors import WireError
from steering.wire.lldp import Announcement, announce, read_announcement

KEY = b"k" * 32
A, B, C, HOST_PORT = PortRef(1, 2), PortRef(2, 2), PortRef(3, 1), PortRef(1, 1)


def discovery(**timing: Any) -> Discovery:
    made = Discovery(KEY, 77, [HOST_PORT], **({"interval": 1.0} | timing))
    made.switch_up(1, {1: True, 2: True, 3: False, 0xFFFFFFFE: True}, 0.0)
    made.switch_up(2, {2: True, 3: True}, 0.0)
    made.switch_up(3, {1: True}, 0.0)
    return made


def frame_of(made: Discovery, port: PortRef, now: float) -> bytes:
    return dict(made.announcements(now))[port]


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


def rounds(made: Discovery, now: float, trips: dict[PortRef, tuple[PortRef, float]], count: int) -> list[Any]:
    """So many rounds in which each port's announcement comes out at its far end so many seconds later."""
    told: list[Any] = []
    for number in range(count):
        frames = dict(made.announcements(now + number))
        for near, (far, trip) in trips.items():
            found = made.heard(far, frames[near], now + number + trip)
            assert not isinstance(found, Rejection)
            told += found
    return told


def test_a_link_whose_announcements_take_a_multiple_of_before_is_told_once_and_again_when_they_do_not() -> (
    None
):
    made = discovery()
    assert rounds(made, 1.0, {A: (B, 0.002)}, 2 * ROUNDS) == [LinkUp(A, B)]
    carried = 0.002 * MULTIPLE + MORE + 0.001
    (told,) = rounds(made, 100.0, {A: (B, carried)}, 2 * ROUNDS)
    assert told == LinkTrip(A, B, told.trip, told.usual, True)
    assert (round(told.trip, 4), round(told.usual, 4)) == (round(carried, 4), 0.002)
    (told,) = rounds(made, 200.0, {A: (B, 0.002)}, 2 * ROUNDS)
    assert told == LinkTrip(A, B, told.trip, told.usual, False)


def test_single_trips_that_take_long_are_a_busy_controllers() -> None:
    made = discovery()
    rounds(made, 1.0, {A: (B, 0.002)}, ROUNDS)
    for number in range(10):
        assert rounds(made, 100.0 * (number + 1), {A: (B, 0.5)}, ROUNDS - 1) == []
        assert rounds(made, 100.0 * (number + 1) + ROUNDS, {A: (B, 0.002)}, 1) == []


def test_a_link_that_grows_step_by_step_is_told_all_the_same() -> None:
    made = discovery()
    rounds(made, 1.0, {A: (B, 0.002)}, ROUNDS)
    told = [one for n in range(20) for one in rounds(made, 20.0 * n + 50, {A: (B, 0.002 + n / 1e3)}, ROUNDS)]
    assert [type(one) for one in told] == [LinkTrip], "the past is the least of all, not the last"


def test_where_most_of_many_links_take_longer_it_is_the_controller_that_does() -> None:
    ports = dict.fromkeys(range(1, 6), True)
    made = Discovery(KEY, 77, [], interval=1.0)
    for dpid in (1, 2):
        made.switch_up(dpid, ports, 0.0)
    ends = [(PortRef(a, n), PortRef(3 - a, n)) for a in (1, 2) for n in ports]
    rounds(made, 1.0, {near: (far, 0.002) for near, far in ends}, ROUNDS)
    assert rounds(made, 100.0, {near: (far, 0.5) for near, far in ends}, 2 * ROUNDS) == []
    rounds(made, 200.0, {near: (far, 0.002) for near, far in ends}, 2 * ROUNDS)
    trips = {near: (far, 0.5 if number < 2 else 0.002) for number, (near, far) in enumerate(ends)}
    told = rounds(made, 300.0, trips, 2 * ROUNDS)
    assert [(one.a, one.is_outlier) for one in told] == [(near, True) for near, _ in ends[:2]]


def longer(made: Discovery) -> None:
    """The link from A to B takes longer than it did, which is told."""
    rounds(made, 1.0, {A: (B, 0.002)}, ROUNDS)
    (told,) = rounds(made, 1.0 + ROUNDS, {A: (B, 0.05)}, ROUNDS + 2)
    assert told.is_outlier


def test_a_link_that_is_lost_takes_no_longer_and_does_again_if_it_comes_back_so() -> None:
    made = discovery()
    longer(made)
    assert made.port_status(A, False) == [LinkTrip(A, B, 0.0, 0.0, False), LinkDown(A, B)]
    assert made.port_status(A, False) == [], "once"
    made.port_status(A, True)
    again, up = rounds(made, 100.0, {A: (B, 0.05)}, ROUNDS)
    assert again == LinkTrip(A, B, again.trip, again.usual, True), "to blink makes a link no right one"
    assert round(again.usual, 4) == 0.002 and up == LinkUp(A, B)


def test_a_link_that_is_not_heard_any_more_takes_no_longer_whether_it_was_up_or_held() -> None:
    made = discovery()
    longer(made)
    assert made.expire(100.0) == [LinkTrip(A, B, 0.0, 0.0, False), LinkDown(A, B)]
    (held,) = rounds(made, 101.0, {A: (B, 0.05)}, 3)
    assert held.is_outlier
    assert made.expire(200.0) == [LinkTrip(A, B, 0.0, 0.0, False)]
    assert made.expire(300.0) == []


def test_a_link_that_ends_elsewhere_takes_no_longer() -> None:
    made = discovery()
    longer(made)
    assert rounds(made, 100.0, {A: (C, 0.05)}, 1) == [LinkTrip(A, B, 0.0, 0.0, False), LinkDown(A, B)]


@pytest.mark.parametrize(
    ("first", "then", "told"),
    [(0, 5, 0), (6, 4, 4)],
    ids=["they do not hide that most do", "their own trips do not count"],
)
def test_links_that_are_lost_are_none_of_the_many_of_which_most_take_longer(
    first: int, then: int, told: int
) -> None:
    """Of 16 so many take longer; these, or else 8 that do not, are lost. Then so many of the others take longer."""
    ports = dict.fromkeys(range(1, 9), True)
    made = Discovery(KEY, 77, [], interval=1.0)
    for dpid in (1, 2):
        made.switch_up(dpid, ports, 0.0)
    ends = [(PortRef(a, n), PortRef(3 - a, n)) for n in ports for a in (1, 2)]
    rounds(made, 1.0, {near: (far, 0.002) for near, far in ends}, ROUNDS)
    trips = {near: (far, 0.05 if number < first else 0.002) for number, (near, far) in enumerate(ends)}
    assert len(rounds(made, 10.0, trips, 2 * ROUNDS)) == first
    gone = first or 8
    for near, _ in ends[:gone:2]:
        made.port_status(near, False)
    left = {near: (far, 0.05 if n < then else 0.002) for n, (near, far) in enumerate(ends[gone:])}
    assert len(rounds(made, 100.0, left, 2 * ROUNDS)) == told


def mesh(size: int) -> tuple[Discovery, dict[PortRef, PortRef]]:
    """Each switch has a link to each other; port n leads to switch n. The far end of each port."""
    made = Discovery(KEY, 77, [], interval=1.0)
    switches = range(1, size + 1)
    for dpid in switches:
        made.switch_up(dpid, dict.fromkeys(set(switches) - {dpid}, True), 0.0)
    return made, {PortRef(a, b): PortRef(b, a) for a in switches for b in switches if a != b}


def by_connection(
    ends: dict[PortRef, PortRef], into: float, out: float
) -> dict[PortRef, tuple[PortRef, float]]:
    """Frames to switch 1 take so many seconds more, and so many those from it."""
    return {
        near: (far, 0.002 + into * (near.dpid == 1) + out * (far.dpid == 1)) for near, far in ends.items()
    }


@pytest.mark.parametrize(("into", "out"), [(0.05, 0.05), (0.05, 0.0), (0.0, 0.05)])
@pytest.mark.parametrize("lost", [None, PortRef(1, 2), PortRef(2, 1)])
def test_where_all_links_of_a_switch_take_longer_it_is_its_connection_that_does(
    into: float, out: float, lost: PortRef | None
) -> None:
    """Also where a frame is lost on the way meanwhile, so that a link is known a round later than others."""
    made, ends = mesh(4)
    rounds(made, 1.0, by_connection(ends, 0.0, 0.0), ROUNDS)
    slow = by_connection(ends, into, out)
    told = rounds(made, 100.0, {near: to for near, to in slow.items() if near != lost}, 1)
    told += rounds(made, 101.0, slow, 2 * ROUNDS)
    told += rounds(made, 100.0 + RELEARN, slow, 2 * ROUNDS)  # as each is taken as it is
    told += rounds(made, 1_000.0, by_connection(ends, 0.0, 0.0), 2 * ROUNDS)
    assert told == []


@pytest.mark.parametrize("size", [3, 4])
def test_one_link_of_a_switch_that_takes_longer_is_told(size: int) -> None:
    made, ends = mesh(size)
    rounds(made, 1.0, by_connection(ends, 0.0, 0.0), ROUNDS)
    one = {PortRef(1, 2), PortRef(2, 1)}
    trips = {near: (far, 0.052 if near in one else 0.002) for near, far in ends.items()}
    told = rounds(made, 100.0, trips, 2 * ROUNDS)
    assert {change.a for change in told} == one and all(change.is_outlier for change in told)


def test_a_switch_of_two_links_has_too_few_to_tell_its_connection_from_them() -> None:
    made, ends = mesh(3)
    rounds(made, 1.0, by_connection(ends, 0.0, 0.0), ROUNDS)
    told = rounds(made, 100.0, by_connection(ends, 0.05, 0.0), 2 * ROUNDS)
    assert {change.a for change in told} == {PortRef(1, 2), PortRef(1, 3)}


def test_what_is_kept_of_a_link_is_bounded_and_a_link_that_stays_longer_is_taken_as_it_is() -> None:
    trips = LinkTrips()
    for number in range(1_000):
        trips.add(0.002, float(number))
    assert len(trips._last) == ROUNDS and not trips.is_outlier
    for number in range(ROUNDS):
        trips.add(0.5, 1_000.0 + number)
    assert trips.is_outlier
    trips.add(0.5, 1_000.0 + ROUNDS + RELEARN)
    assert not trips.is_outlier and trips.usual == 0.5


def test_each_announcement_bears_the_time_at_which_it_leaves() -> None:
    made, times = discovery(), iter((1.0, 1.5, 2.0, 2.5))
    sent = [
        read_announcement(KEY, frame).sequence for _, frame in made.announcements(1.0, lambda: next(times))
    ]
    assert sent == [1_000_000, 1_500_000, 2_000_000, 2_500_000]
