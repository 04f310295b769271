"""Indexes of many dicts are what one dict would be, and never grow in one go."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from steering.core.sessions.indexes import FULL, PLANNED, HashedIndex, NumberedIndex

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=120)
MOST_STEP = 16 << 20  # bytes


@given(STEPS)
def test_by_hash_it_is_a_mapping(steps: list[tuple[bool, int]]) -> None:
    index: HashedIndex[bytes, int] = HashedIndex(PLANNED * 3)
    wanted: dict[bytes, int] = {}
    for number, (put, which) in enumerate(steps):
        key = which.to_bytes(12, "big")
        if put:
            index[key] = wanted[key] = number
        else:
            assert index.pop(key, None) == wanted.pop(key, None)
        assert (key in index) == (key in wanted) and index.get(key) == wanted.get(key)
        assert len(index) == len(wanted)
    assert dict(index) == wanted and sorted(index.all_values()) == sorted(wanted.values())


@given(STEPS)
def test_by_number_it_is_a_mapping_in_ascending_order(steps: list[tuple[bool, int]]) -> None:
    """Numbers far apart, so that there are many dicts; each is given once."""
    index: NumberedIndex[str] = NumberedIndex(10)
    wanted: dict[int, str] = {}
    for count, (put, which) in enumerate(steps, start=1):
        number = count * (FULL // 3)
        if put:
            index[number] = wanted[number] = str(count)
        else:
            gone = which * (FULL // 3)
            assert index.pop(gone, None) == wanted.pop(gone, None)
        assert index.get(number) == wanted.get(number) and (number in index) == (number in wanted)
        assert len(index) == len(wanted)
    assert list(index) == list(wanted) == list(reversed(index))[::-1] and dict(index.items()) == wanted
    assert list(index.all_values()) == list(wanted.values())


@given(st.sets(st.integers(1, 4 * FULL)), st.integers(0, FULL), st.integers(1, 2 * FULL))
def test_what_follows_a_number_comes_in_its_order_some_at_a_time(
    numbers: set[int], after: int, most: int
) -> None:
    index: NumberedIndex[int] = NumberedIndex(10)
    for number in sorted(numbers):
        index[number] = number
    found, at, last, looks = [], after, 4 * FULL, 0
    while at < last:
        some, at = index.following(at, last, most)
        assert len(some) <= most
        found += some
        looks += 1
    assert found == sorted(one for one in numbers if one > after)
    assert looks <= 4 * FULL // most + 1
    assert index.following(last, last, most) == ([], last)


def test_stretches_of_numbers_without_a_record_cost_nothing() -> None:
    index: NumberedIndex[int] = NumberedIndex(10)
    index[1] = index[100 * FULL] = 7
    assert index.following(1, 100 * FULL, 2 * FULL) == ([7], 100 * FULL)


def test_no_dict_of_a_million_records_is_large() -> None:
    """None is copied when it grows but one of its own size: 0.6 MB, and at most half of its places are free."""
    flows: HashedIndex[bytes, None] = HashedIndex(1_000_000)
    numbers: NumberedIndex[None] = NumberedIndex(1_000_000)
    for number in range(1_000_000):
        flows[number.to_bytes(12, "big")] = None
        numbers[number] = None
    sizes = [sys.getsizeof(shard) for shard in flows._shards]
    assert max(sizes) < MOST_STEP // 10 and sum(sizes) < 33 * 1_000_000
    sizes = [sys.getsizeof(shard) for shard in numbers._shards.values()]
    assert max(sizes) < MOST_STEP // 10 and sum(sizes) < 28 * 1_000_000


def test_dicts_of_old_numbers_are_used_again() -> None:
    index: NumberedIndex[None] = NumberedIndex(FULL)
    first = len(index._unused)
    for number in range(10 * FULL):
        index[number] = None
        if number >= FULL:
            del index[number - FULL]
    assert len(index._shards) <= 2
    assert len(index._shards) + len(index._unused) == first
