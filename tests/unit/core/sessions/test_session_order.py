"""All sessions are looked at once, in order, though others begin and end meanwhile; a pass costs what lives."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.sessions.session_order import MOST_BLOCKS, SIZE, SessionOrder
from tests.support.sites import Driver


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


@pytest.mark.parametrize("most", [64, 128, 512, SIZE])
def test_a_pass_over_what_ended_long_ago_costs_little_and_the_next_one_nothing(most: int) -> None:
    order, by_id = ordered([1, 200 * SIZE], 200 * SIZE + 5)
    calls = 0
    after: int | None = 0
    while after is not None:
        _, after = order.following(after, most)
        calls += 1
    assert 200 / MOST_BLOCKS <= calls < 60
    assert order._blocks == [0, 200]
    by_id.clear()
    assert all_of(order, most=most) == [] and len(order._blocks) == 1


class Looked(dict):
    """Counts what is looked for."""

    looks = 0

    def __contains__(self, number: object) -> bool:
        self.looks += 1
        return super().__contains__(number)


@pytest.mark.parametrize("most", [64, SIZE])
@pytest.mark.parametrize("every", [1, 7, SIZE - 1, 40 * SIZE])
def test_no_call_looks_at_more_than_some_blocks_and_a_pass_at_each_number_once(every: int, most: int) -> None:
    _, by_id = ordered(range(1, 50 * SIZE, every), 0)
    looked = Looked(by_id)
    order = SessionOrder(looked)  # type: ignore[arg-type]
    for number in range(1, 50 * SIZE + 1):
        order.note(number)
    after: int | None = 0
    while after is not None:
        before = looked.looks
        _, after = order.following(after, most)
        assert looked.looks - before <= MOST_BLOCKS * SIZE
    assert looked.looks <= 51 * SIZE


@pytest.mark.parametrize("who", ["teardown", "preferring"])
def test_whoever_works_through_all_sessions_looks_at_some_blocks_in_one_go(who: str) -> None:
    driver = Driver()
    engine, order = driver.engine, driver.table.order
    order._blocks = list(range(30))
    order._by_id = looked = Looked()  # type: ignore[assignment]
    engine.sessions.teardown.begin_scan()
    engine.preferring._looked_at = 0
    part = {"teardown": engine.sessions.teardown, "preferring": engine.preferring}[who]
    ticks = 0
    while len(order._blocks) > 1:
        before = looked.looks
        part.tick(driver.now)
        assert 0 < looked.looks - before <= MOST_BLOCKS * SIZE
        ticks += 1
    assert ticks == -(-29 // MOST_BLOCKS)
