"""Numbers of names: no two share one, and a name keeps its own."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from steering.model.numbers import MOST_RETIRED, NUMBERS, numbered, stable_id

NAMES = st.sets(st.integers(0, 400).map("n{}".format), max_size=60)


def twin(name: str, prefix: str = "x") -> str:
    """Another name with the same hash."""
    return next(other for n in count() if stable_id(other := f"{prefix}{n}") == stable_id(name))


def test_a_name_has_the_number_of_its_hash() -> None:
    assert numbered(["core", "edge"], {}) == {"core": stable_id("core"), "edge": stable_id("edge")}


def test_of_two_names_with_one_hash_the_one_that_was_there_keeps_it() -> None:
    for old, new in (("core", twin("core")), (twin("core", "a"), "core")):
        known = numbered([old], {})
        both = numbered([new, old], known)
        assert both[old] == stable_id(old) and both[new] != both[old]
        assert numbered([old, new], both) == both, "the order does not matter"
        # Whoever came first goes: the other keeps the number that entries in switches carry.
        assert numbered([new], both) == both


def test_what_is_gone_keeps_its_number_so_that_nobody_else_gets_it() -> None:
    known = numbered(["core"], {})
    later = numbered([twin("core")], known)
    assert later["core"] == known["core"] and len(set(later.values())) == 2
    assert numbered(["core"], later)["core"] == known["core"]


def test_only_so_many_are_kept_of_what_is_gone_and_the_oldest_goes_first() -> None:
    known = {f"old{n}": n + 1 for n in range(MOST_RETIRED + 10)}
    found = numbered(["core"], known)
    assert len(found) == MOST_RETIRED + 1 and "old9" not in found and "old10" in found


def test_all_numbers_can_be_given() -> None:
    names = [f"n{n}" for n in range(NUMBERS)]
    found = numbered(names, {"gone": 5})
    assert sorted(found.values()) == list(range(1, NUMBERS + 1)) and "gone" not in found


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_numbers_never_collide_and_never_change(sites: list[set[str]]) -> None:
    known: dict[str, int] = {}
    for names in sites:
        found = numbered(names, known)
        assert len(set(found.values())) == len(found) and names <= found.keys()
        assert all(found[name] == number for name, number in known.items())
        known = found
