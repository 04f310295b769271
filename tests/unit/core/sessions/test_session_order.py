"""All sessions are looked at once, in order, though others begin and end meanwhile; a pass costs what lives."""

import random

from hypothesis import given
from hypothesis import strategies as st

from steering.core.sessions.session_order import MOST_EMPTY, SIZE, SessionOrder


class Numbered:
    """Stands for a session: the order looks at numbers alone."""

    def __init__(self, number: int) -> None:
        self.id = number


def ordered(numbers, upto: int) -> tuple[SessionOrder, dict]:
    """Of `upto` sessions that began, those with `numbers` live."""
    by_id = {number: Numbered(number) for number in numbers}
    order = SessionOrder(by_id)  # type: ignore[arg-type]
    for number in range(1, upto + 1):
        order.note(number)
    return order, by_id


def all_of(order: SessionOrder, after: int | None = 0, most: int = SIZE) -> list[int]:
    seen: list[int] = []
    while after is not None:
        sessions, after = order.following(after, most)
        assert len(sessions) <= most
        seen += [session.id for session in sessions]
    return seen


@given(st.sets(st.integers(1, 5 * SIZE)), st.integers(0, 5 * SIZE), st.sampled_from((7, 64, SIZE)))
def test_a_pass_finds_every_session_above_a_number_in_order(numbers: set[int], after: int, most: int) -> None:
    order, _ = ordered(numbers, 5 * SIZE)
    assert all_of(order, after, most) == sorted(number for number in numbers if number > after)
    assert all_of(order, after, most) == sorted(number for number in numbers if number > after), "and again"


def test_what_begins_and_ends_meanwhile_does_not_disturb_a_pass() -> None:
    chance = random.Random(5)
    order, by_id = ordered(range(1, 4 * SIZE), 4 * SIZE)
    stays = set(chance.sample(sorted(by_id), 2_000))
    after: int | None = 0
    seen: list[int] = []
    youngest = 4 * SIZE
    while after is not None:
        sessions, after = order.following(after)
        seen += [session.id for session in sessions]
        for number in chance.sample(sorted(set(by_id) - stays), min(500, len(set(by_id) - stays))):
            del by_id[number]
        if youngest < 8 * SIZE:
            youngest += 1
            by_id[youngest] = Numbered(youngest)
            order.note(youngest)
    assert seen == sorted(set(seen)) and stays <= set(seen)


def test_a_pass_over_what_ended_long_ago_costs_little_and_the_next_one_nothing() -> None:
    order, by_id = ordered([1, 200 * SIZE], 200 * SIZE + 5)
    calls = 0
    after: int | None = 0
    while after is not None:
        _, after = order.following(after)
        calls += 1
    assert 200 / MOST_EMPTY < calls < 20
    assert order._blocks == [0, 200]
    by_id.clear()
    assert all_of(order) == [] and len(order._blocks) == 1
