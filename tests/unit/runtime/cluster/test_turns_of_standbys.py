"""Standbys begin anew one after the other, so that one is ready all the time."""

from itertools import pairwise

import pytest

from steering.cluster.cell import ClusterCell
from steering.cluster.shares import share_names
from steering.model.cluster import ClusterMember, Grant, ShareAssignment
from steering.runtime.cluster.standby_turns import SELDOM, SETTLED, TURN, line_of, turn_of

WALL = 1_800_000_000.0  # seconds since 1970, when each hears of a change


def turns(ages: list[float], wall: float) -> list[float]:
    """When each of so many standbys begins anew, in seconds after the change, in the order of their places. `ages`: seconds
    since each started. Their monotonic clocks have nothing in common."""
    begun = []
    for place, age in enumerate(ages):
        now = 1_000.0 * (place + 1)
        begun.append(turn_of(place, len(ages), now, now - age, wall) - now)
    return begun


@pytest.mark.parametrize("wall", [WALL + n * 0.7 for n in range(40)])
@pytest.mark.parametrize(
    "ages",
    [
        [100.0] * 5,
        [1.0] * 5,
        [0.0, 5.0],  # the second one would be due when the first one is
        [0.0, 5.0, 10.0, 15.0, 20.0],
        [40.0, 3.0, 17.0, 29.9, 100.0],
    ],
    ids=["five old", "five new", "second older", "each older", "mixed"],
)
def test_no_two_begin_in_one_turn(ages: list[float], wall: float) -> None:
    begun = turns(ages, wall)
    assert all(later - one >= TURN - 1 for one, later in pairwise(sorted(begun)))
    for age, due in zip(ages, begun, strict=True):
        earliest = max(SETTLED, SELDOM - age)
        assert earliest - 0.001 <= due <= earliest + TURN * len(ages), (
            "neither too early nor after another round"
        )


def test_those_that_hear_of_it_later_do_not_begin_with_others() -> None:
    first = turn_of(0, 2, 50.0, -100.0, WALL)
    second = turn_of(1, 2, 53.0, -100.0, WALL + 3.0)
    assert abs(second - first) >= TURN - 1


@pytest.mark.parametrize("age", [0.0, SELDOM - 1, 2 * SELDOM])
def test_one_alone_waits_for_nobody(age: float) -> None:
    assert turn_of(0, 1, 100.0, 100.0 - age, WALL) == 100.0 + max(SETTLED, SELDOM - age)


@pytest.mark.parametrize("rewritten", [None, "s0000", "s0001"])
def test_the_line_is_of_all_members_but_who_decides_and_the_same_at_each(rewritten: str | None) -> None:
    names = ["c1", "c2", "c3", "c4", "c5"]
    cell = ClusterCell()
    cell.members = {name: ClusterMember(name, f"{name}:1") for name in reversed(names)}
    # The second share has other standbys, and c2 as its owner, which begins anew as well.
    lines = (("c1", "c2", "c3"), ("c2", "c1", "c4"))
    for share, line in zip(share_names(2), lines, strict=True):
        owner, *standbys = (Grant(name, number) for number, name in enumerate(line, 1))
        cell.shares[share] = ShareAssignment(owner, tuple(standbys))
    if rewritten is not None:
        cell.shares[rewritten] = cell.shares.pop(rewritten)
    assert [line_of(cell, me) for me in names[1:]] == [["c2", "c3", "c4", "c5"]] * 4


def test_who_does_not_know_of_itself_yet_is_in_the_line() -> None:
    assert line_of(ClusterCell(), "c1") == ["c1"]
