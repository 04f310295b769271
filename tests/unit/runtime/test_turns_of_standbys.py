"""Standbys begin anew one after the other, so that one is ready all the time."""

from itertools import pairwise

import pytest

from steering.runtime.cluster import SELDOM, SETTLED, TURN, turn_of


@pytest.mark.parametrize("now", [100.0, 100.0 + SELDOM - 1, 100.0 + 2 * SELDOM], ids=["new", "young", "old"])
def test_each_begins_later_than_who_stands_before_it(now: float) -> None:
    turns = [turn_of(place, now, 100.0) for place in range(3)]
    assert turns[0] >= max(now + SETTLED, 100.0 + SELDOM)
    assert [later - one for one, later in pairwise(turns)] == [TURN, TURN]
