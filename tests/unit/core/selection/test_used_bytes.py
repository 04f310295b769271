"""Used bytes: the sum of all controllers' records and of what is in no record yet, bounded, in parts that stay the same."""

import pytest

from steering.core.selection import used_bytes
from steering.core.selection.used_bytes import MOST, UsedBytes, UseKey, part_of
from steering.model.kept import USAGE_PAIRS, USAGE_PARTS, KeptUse
from steering.model.network import NetworkAccessType

CELLULAR, WLAN = NetworkAccessType.CELLULAR, NetworkAccessType.WLAN
ANNA: UseKey = ("anna", CELLULAR)


def of_part(part: int, count: int) -> list[str]:
    """So many subscribers whose use of cellular is in one part."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        if part_of((f"who{number}", CELLULAR)) == part:
            found.append(f"who{number}")
        number += 1
    return found


@pytest.mark.row("N-5.6.1k3", "D-6.7.1")
def test_a_record_takes_the_place_of_the_one_before_it() -> None:
    used = UsedBytes()
    used.add(ANNA, 400)
    assert used.told("b", 1, [KeptUse("anna", "cellular", 500)]) == [(ANNA, 400, 900)]
    assert used.told("b", 1, [KeptUse("anna", "cellular", 500)]) == []
    assert used.told("c", 1, [KeptUse("anna", "cellular", 50), KeptUse("anna", "mail", 9)]) == [
        (ANNA, 900, 950)
    ]
    assert used.told("b", 1, [KeptUse("anna", "wlan", 1)]) == [(ANNA, 950, 450), (("anna", WLAN), 0, 1)]
    assert used.told("b", 1, []) == [(("anna", WLAN), 1, 0)]
    assert used.of(ANNA) == 450 and used.kept() == (KeptUse("anna", "cellular", 400),)


def test_what_is_written_counts_once_and_what_came_since_is_left() -> None:
    used = UsedBytes()
    part = part_of(ANNA)
    used.told("a", part, [KeptUse("anna", "cellular", 1_000)])
    used.add(ANNA, 20)
    record = used.record("a", part)
    assert record == (KeptUse("anna", "cellular", 1_020),)
    used.add(ANNA, 3)
    assert used.unwritten() == [part]
    used.written("a", part, record)
    assert used.of(ANNA) == 1_023 and used.kept() == (KeptUse("anna", "cellular", 3),)
    used.written("a", part, used.record("a", part))
    assert used.of(ANNA) == 1_023 and not used.unwritten() and not used.kept()


def test_no_more_pairs_are_counted_than_there_may_be_until_some_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(used_bytes, "METERED", 1)
    used = UsedBytes()
    part = part_of(ANNA)
    assert used.add(ANNA, 1) and not used.add(("bert", CELLULAR), 1) and used.add(ANNA, 1)
    assert used.restore([KeptUse("bert", "cellular", 1), KeptUse("anna", "mail", 1)]) == 2
    used.written("a", part, used.record("a", part))
    assert used.add(("bert", CELLULAR), 1) and not used.add(ANNA, 1) and used.of(ANNA) == 2


def test_no_more_pairs_of_records_are_known_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can fill the memory with records, and nobody's own bytes are lost where there is no room."""
    monkeypatch.setattr(used_bytes, "KNOWN", 2)
    used = UsedBytes()
    two = [KeptUse("anna", "cellular", 5), KeptUse("bert", "cellular", 5)]
    assert len(used.told("b", 1, two)) == 2 and used.told("b", 2, two) == [] and used.refused == 2
    assert used.told("b", 1, [KeptUse("anna", "cellular", 6)]) == [(ANNA, 5, 6), (("bert", CELLULAR), 5, 0)]
    assert len(used.told("c", 1, two)) == 1
    used.add(("carl", CELLULAR), 8)
    part = part_of(("carl", CELLULAR))
    used.written("a", part, used.record("a", part))
    assert used.of(("carl", CELLULAR)) == 8 and used.unwritten() == [part]


def test_a_record_that_has_pairs_without_room_here_is_not_written_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A controller that starts and is told of its own records last would give their subscribers their quotas once more."""
    monkeypatch.setattr(used_bytes, "KNOWN", 2)
    used = UsedBytes()
    one, other = of_part(3, 2)
    used.told("b", 1, [KeptUse("anna", "cellular", 5), KeptUse("bert", "cellular", 5)])
    mine = [KeptUse(one, "cellular", 100)]
    assert used.told("a", 3, mine) == [] and used.add((other, CELLULAR), 1)
    assert used.record("a", 3) == () and used.of((other, CELLULAR)) == 1
    used.told("b", 1, ())
    used.told("a", 3, mine)
    assert set(used.record("a", 3)) == {*mine, KeptUse(other, "cellular", 1)}


def test_a_record_has_at_most_so_many_pairs_and_the_others_count_here_alone() -> None:
    used = UsedBytes()
    some = of_part(3, USAGE_PAIRS + 2)
    for who in some:
        used.add((who, CELLULAR), 1)
    record = used.record("a", 3)
    assert len(record) == USAGE_PAIRS and used.refused == 2
    used.written("a", 3, record)
    assert all(used.of((who, CELLULAR)) == 1 for who in some) and len(used.kept()) == 2
    assert used.record("a", 3) == record


def test_no_number_grows_beyond_what_a_record_may_have() -> None:
    used = UsedBytes()
    part = part_of(ANNA)
    used.told("a", part, [KeptUse("anna", "cellular", MOST - 1)])
    used.add(ANNA, 5)
    used.written("a", part, used.record("a", part))
    assert used.record("a", part) == (KeptUse("anna", "cellular", MOST),) and used.of(ANNA) == MOST + 4


def test_a_pair_is_in_the_same_part_in_all_runs_and_parts_are_about_even() -> None:
    assert [part_of(ANNA), part_of((b"\n\1\0\2", WLAN))] == [121, 173]
    sizes = [0] * USAGE_PARTS
    for number in range(65_536):
        sizes[part_of((number.to_bytes(4, "big"), CELLULAR))] += 1
    assert max(sizes) < USAGE_PAIRS
