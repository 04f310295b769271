"""What every implementation of `steering.store.interface.Store` does: a class of tests to be made a child of.

A test module plugs an implementation in with a fixture `store` that gives an empty one, and a fixture `again` that opens
the same state anew, as the next controller does.
"""

from collections.abc import Callable

import pytest

from steering.store.interface import MOST_BYTES, StateError, StateRefusal, Store

Again = Callable[[], Store]


class StoreContract:
    """The contract; `store` and `again` are fixtures of the module that uses it."""

    def test_nothing_is_there_at_first(self, store: Store) -> None:
        assert store.read("a.json") is None and store.names() == [] and store.names("policies") == []

    def test_a_value_is_read_as_it_was_written_also_by_the_next_controller(
        self, store: Store, again: Again
    ) -> None:
        store.write("a.json", '{"a": [1]}')
        store.write("policies/1.json", "one")
        for one in (store, again()):
            assert (one.read("a.json"), one.read("policies/1.json")) == ('{"a": [1]}', "one")

    def test_a_new_value_stands_in_place_of_the_old_one(self, store: Store, again: Again) -> None:
        store.write("a.json", "long " * 1000)
        store.write("a.json", "short")
        assert store.read("a.json") == again().read("a.json") == "short"

    def test_the_white_space_around_a_value_is_not_part_of_it(self, store: Store) -> None:
        store.write("a.json", "  x y \n")
        assert store.read("a.json") == "x y"

    def test_of_two_who_create_one_is_first(self, store: Store, again: Again) -> None:
        assert store.create("a", "first") and not store.create("a", "second")
        assert not again().create("a", "third") and store.read("a") == "first"

    def test_a_removed_value_is_gone_and_may_be_removed_again(self, store: Store, again: Again) -> None:
        store.write("a", "x")
        store.remove("a")
        store.remove("a")
        assert store.read("a") is None and again().names() == [] and store.create("a", "y")

    def test_names_are_listed_by_folder_and_sorted(self, store: Store, again: Again) -> None:
        for name in ("b", "a", "policies/2.json", "policies/1.json"):
            store.write(name, "x")
        for one in (store, again()):
            assert (one.names(), one.names("policies")) == (["a", "b"], ["1.json", "2.json"])

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "../a", "a/../b", "/etc/passwd", ".hidden", "a/b/c", "a\nb", "a/", "x" * 65]
    )
    def test_a_name_that_could_lead_elsewhere_is_none(self, store: Store, name: str) -> None:
        for use in (store.read, store.remove, lambda n: store.write(n, "x"), lambda n: store.create(n, "x")):
            with pytest.raises(ValueError):
                use(name)

    def test_a_value_beyond_the_bound_is_refused_and_the_old_one_stays(self, store: Store) -> None:
        store.write("a", "old")
        with pytest.raises(StateError) as refused:
            store.write("a", "x" * (MOST_BYTES + 1))
        assert refused.value.refusal is StateRefusal.TOO_LARGE and store.read("a") == "old"

    def test_a_reader_may_ask_for_less(self, store: Store) -> None:
        store.write("a", "x" * 100)
        with pytest.raises(StateError) as refused:
            store.read("a", 50)
        assert refused.value.refusal is StateRefusal.TOO_LARGE

    def test_what_is_not_ascii_is_refused_and_the_old_one_stays(self, store: Store) -> None:
        store.write("a", "old")
        with pytest.raises(StateError) as refused:
            store.write("a", "ä")
        assert refused.value.refusal is StateRefusal.NOT_TEXT and store.read("a") == "old"
