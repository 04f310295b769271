"""Half-open sessions are those of the table with one of two states."""

from collections.abc import Iterable

import pytest

from steering.core.sessions.half_open_index import PORTIONS
from steering.core.sessions.transitions import Event
from tests.support.sites import Driver

MANY = 40


def numbers(sessions: Iterable[object]) -> list[int]:
    return [session.id for session in sessions]  # type: ignore[attr-defined]


def test_they_are_found_by_number_in_order_of_age() -> None:
    driver = Driver()
    table, index = driver.table, driver.table.half_open
    made = [driver.answered(sport=10_000 + n, key=n.to_bytes(8, "big")) for n in range(MANY)]
    for session in made[::2]:
        driver.life.heard(session)
    wanted = [session.id for session in table if session.state.value in ("syn-pinned", "answered")]
    assert list(index) == numbers(index.values()) == wanted and len(index) == index.size == len(wanted)
    for session in made:
        lives = session.id in wanted
        assert (session.id in index) is lives and (index.get(session.id) is session) is lives
    assert 0 not in index and index.get(10**9) is None
    with pytest.raises(KeyError):
        index[made[0].id if made[0].id not in wanted else 0]


@pytest.mark.parametrize("most", [1, 3, MANY])
def test_those_that_follow_a_number_come_in_portions(most: int) -> None:
    driver = Driver()
    index = driver.table.half_open
    made = [driver.answered(sport=10_000 + n, key=n.to_bytes(8, "big")) for n in range(MANY)]
    for session in made[5:30]:
        driver.life.happened(session, Event.OVER if session.id % 2 else Event.TAKEN_UP)
    wanted, last = list(index), driver.table.youngest
    found: list[int] = []
    after, calls = 0, 0
    while after < last:
        some, after = index.following(after, last, most)
        assert len(some) <= most
        found += numbers(some)
        calls += 1
    assert found == wanted and calls >= MANY / (most * PORTIONS)
