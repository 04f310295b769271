"""Indexes of many parts are what one dict would be, and never grow in one go."""

import gc
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.sessions.indexes import PLANNED, SPAN, HashedIndex, NumberedIndex

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
    """Numbers far apart, so that there are many blocks; each is given once."""
    index: NumberedIndex[str] = NumberedIndex()
    wanted: dict[int, str] = {}
    for count, (put, which) in enumerate(steps, start=1):
        number = count * (SPAN // 3)
        if put:
            index[number] = wanted[number] = str(count)
        else:
            gone = which * (SPAN // 3)
            assert index.pop(gone, None) == wanted.pop(gone, None)
        assert index.get(number) == wanted.get(number) and (number in index) == (number in wanted)
        assert len(index) == len(wanted)
    assert list(index) == list(wanted) == list(reversed(index))[::-1] and dict(index.items()) == wanted
    assert list(index.all_values()) == list(wanted.values())


@given(st.sets(st.integers(1, 4 * SPAN)), st.integers(0, SPAN), st.integers(1, 2 * SPAN))
def test_what_follows_a_number_comes_in_its_order_some_at_a_time(
    numbers: set[int], after: int, most: int
) -> None:
    index: NumberedIndex[int] = NumberedIndex()
    for number in sorted(numbers):
        index[number] = number
    found, at, last, looks = [], after, 4 * SPAN, 0
    while at < last:
        some, at = index.following(at, last, most)
        assert len(some) <= most
        found += some
        looks += 1
    assert found == sorted(one for one in numbers if one > after)
    assert looks <= 4 * SPAN // most + 1
    assert index.following(last, last, most) == ([], last)


def test_stretches_of_numbers_without_a_record_cost_one_a_block() -> None:
    index: NumberedIndex[int] = NumberedIndex()
    index[1] = index[100 * SPAN] = 7
    assert index.following(1, 100 * SPAN, SPAN + 101) == ([7], 100 * SPAN)
    assert index.following(1, 100 * SPAN, SPAN + 50) == ([], 53 * SPAN - 1)


def test_no_part_of_an_index_of_a_million_records_is_large() -> None:
    """No dict is copied when it grows but one of its own size: 0.6 MB, and at most half of its places are free."""
    flows: HashedIndex[bytes, None] = HashedIndex(1_000_000)
    numbers: NumberedIndex[bool] = NumberedIndex()
    for number in range(1_000_000):
        flows[number.to_bytes(12, "big")] = None
        numbers[number] = True
    sizes = [sys.getsizeof(shard) for shard in flows._shards]
    assert max(sizes) < MOST_STEP // 10 and sum(sizes) < 33 * 1_000_000
    blocks = numbers._blocks
    sizes = [sys.getsizeof(block) for block in blocks.values()]
    assert sys.getsizeof(blocks) < MOST_STEP // 10 and sum(sizes) + 100 * len(blocks) < 9 * 1_000_000
    assert not any(map(gc.is_tracked, blocks.values()))


def test_a_block_goes_with_its_last_record() -> None:
    index: NumberedIndex[int] = NumberedIndex()
    for number in range(1, 10 * SPAN):
        index[number] = number
        index.pop(number - SPAN)
        index.pop(number - SPAN)  # once more: it is not there
        assert len(index._blocks) <= 2 and len(index) == min(number, SPAN)
    del index[9 * SPAN]
    assert index.get(9 * SPAN) is None and 9 * SPAN not in index
    with pytest.raises(KeyError):
        del index[9 * SPAN]
    with pytest.raises(KeyError):
        index[9 * SPAN]
