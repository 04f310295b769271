"""Long work: a slice at a time, one after the other."""

import pytest

from steering.core.long_work import AT_ONCE, LongWork, Work
from steering.core.outputs import GoOn, Output, ReadEntries
from steering.model.ids import DatapathId

DONE = ReadEntries(DatapathId(9))


def work(log: list[tuple[str, float]], name: str, records: int) -> Work:
    now = yield 0
    for _ in range(records):
        log.append((name, now))
        now = yield 1
    return [DONE]


def ended(works: LongWork, outputs: list[Output]) -> list[list[Output]]:
    """The outputs of each slice until there are no more."""
    found = [outputs]
    while GoOn() in found[-1]:
        found.append(works.go_on(7.0))
    return found


def test_what_is_short_is_done_at_once() -> None:
    works, log = LongWork(), list[tuple[str, float]]()
    assert works.begin("a", work(log, "a", 3), 5.0) == [DONE] and not works
    assert log == [("a", 5.0)] * 3


def test_what_is_long_goes_on_in_slices_with_the_time_of_each() -> None:
    works, log = LongWork(), list[tuple[str, float]]()
    slices = ended(works, works.begin("a", work(log, "a", 3 * AT_ONCE), 5.0))
    assert len(slices) == 4 and slices[-1] == [DONE]
    assert log == [("a", 5.0)] * AT_ONCE + [("a", 7.0)] * 2 * AT_ONCE


def test_one_begins_when_all_before_it_have_ended() -> None:
    works, log = LongWork(), list[tuple[str, float]]()
    first = works.begin("a", work(log, "a", 2 * AT_ONCE), 5.0)
    assert works.begin("b", work(log, "b", 2), 5.0) == []
    assert [o for outputs in ended(works, first) for o in outputs if o == DONE] == [DONE, DONE]
    assert [name for name, _ in log] == ["a"] * 2 * AT_ONCE + ["b"] * 2


def test_what_is_begun_again_begins_anew_behind_the_others() -> None:
    works, log = LongWork(), list[tuple[str, float]]()
    first = works.begin("a", work(log, "a", 2 * AT_ONCE), 5.0)
    works.begin("b", work(log, "b", 1), 5.0)
    works.begin("a", work(log, "A", 1), 5.0)
    ended(works, first)
    assert [name for name, _ in log] == ["a"] * AT_ONCE + ["b", "A"]


def test_what_is_stopped_ends_where_it_is() -> None:
    works, log = LongWork(), list[tuple[str, float]]()
    works.begin("a", work(log, "a", 2 * AT_ONCE), 5.0)
    works.stop("a")
    works.stop("a")
    assert not works and works.go_on(6.0) == [] and len(log) == AT_ONCE
    assert works.begin("b", work(log, "b", 1), 6.0) == [DONE], "it is not waited for"


def test_an_error_ends_the_work_that_it_comes_from_and_the_others_go_on_at_the_next_tick() -> None:
    def broken() -> Work:
        yield 0
        yield AT_ONCE
        raise ValueError("a record that nobody can read")

    works, log = LongWork(), list[tuple[str, float]]()
    assert works.begin("broken", broken(), 5.0) == [GoOn()]
    assert works.begin("b", work(log, "b", AT_ONCE), 5.0) == [] and works.resume(6.0) == [GoOn()]
    with pytest.raises(ValueError, match="nobody can read"):
        works.go_on(6.0)
    assert ended(works, works.resume(7.0))[-1] == [DONE] and len(log) == AT_ONCE
    assert not works and works.resume(8.0) == []


def test_an_error_costs_nothing_of_what_a_work_before_it_brought() -> None:
    def broken() -> Work:
        yield 0
        raise ValueError("a record that nobody can read")

    works, log = LongWork(), list[tuple[str, float]]()
    assert works.begin("a", work(log, "a", AT_ONCE), 5.0) == [GoOn()]
    works.begin("broken", broken(), 5.0)
    assert works.go_on(6.0) == [DONE, GoOn()]
    with pytest.raises(ValueError, match="nobody can read"):
        works.go_on(6.0)
    assert not works


def test_works_go_on_at_the_next_tick_where_an_error_elsewhere_took_their_go_on_away() -> None:
    works, log = LongWork(), list[tuple[str, float]]()
    works.begin("a", work(log, "a", 2 * AT_ONCE), 5.0)  # what it returned was lost with the rest of its turn
    assert ended(works, works.resume(6.0))[-1] == [DONE]
    assert not works and works.resume(8.0) == []
