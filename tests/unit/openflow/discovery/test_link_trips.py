"""Links whose announcements take longer than before, told apart from a busy controller and from a slow connection."""

from typing import Any

import pytest

from steering.core.inputs import LinkDown, LinkUp
from steering.model.link_trip import LinkTrip
from steering.model.network import PortRef
from steering.openflow.discovery.link_discovery import Discovery, Rejection
from steering.openflow.discovery.link_trips import MORE, MULTIPLE, RELEARN, ROUNDS, LinkTrips
from steering.wire.lldp import read_announcement
from tests.support.announced_links import KEY, A, B, C, discovery


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
