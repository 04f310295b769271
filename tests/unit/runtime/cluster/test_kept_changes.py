"""Which changes of the kept state a controller has not made itself, so that it has to read the state anew."""

import pytest

from steering.runtime.cluster.kept_changes import KeptChanges
from steering.store.etcd.etcd_store import CHUNK, EtcdStore
from steering.store.etcd.keys import Keys
from steering.store.etcd.watch import KeyChange
from tests.support.fakes.etcd import FakeEtcd


def changes(*revisions: int) -> list[KeyChange]:
    return [KeyChange("kept/orders.json", str(revision), revision) for revision in revisions]


def nothing(key: str, text: str | None) -> bool:
    return False


def test_all_that_changes_at_a_standby_was_changed_by_others() -> None:
    kept = KeptChanges("b", lambda key, text: True)
    kept.decided_by("a", 5)
    assert kept.of_others(changes(4, 9), decides=False) == changes(4, 9)


@pytest.mark.row("D-6.7.1")
def test_who_takes_over_has_not_changed_what_its_watch_tells_of_the_time_before() -> None:
    """The owner of before wrote it, and died with the member of etcd that is watched here."""
    kept = KeptChanges("b", nothing)
    kept.decided_by("a", 5)
    kept.decided_by("b", 20)
    assert kept.of_others(changes(19, 21), decides=True) == changes(19)
    kept.decided_by("b", 30)  # it got other standbys
    assert kept.of_others(changes(19, 29), decides=True) == changes(19)


def test_who_takes_over_and_has_not_told_etcd_yet_has_changed_what_it_wrote_and_no_more() -> None:
    kept = KeptChanges("b", lambda key, text: text == "8")
    kept.decided_by("a", 5)
    assert kept.of_others(changes(7, 8), decides=True) == changes(7)


@pytest.mark.parametrize("owners", [["b"], ["a", "b", "a", "b"]])
def test_who_decides_from_the_start_or_again_begins_anew_for_what_is_earlier_only(owners: list[str]) -> None:
    kept = KeptChanges("b", nothing)
    for number, owner in enumerate(owners):
        kept.decided_by(owner, 10 * number + 10)
    assert kept.of_others(changes(39, 41), decides=True) == (changes(39) if len(owners) > 1 else [])


@pytest.mark.parametrize("text", ["short", "long " * CHUNK], ids=["short", "in chunks"])
def test_a_store_knows_what_it_has_written_itself(text: str) -> None:
    etcd = FakeEtcd()
    keys = Keys(etcd.gateway(), "/steering/cell/kept/")
    store, other = EtcdStore(keys), EtcdStore(keys)

    def there(name: str) -> str | None:
        found = keys.get(f"kept/{name}")
        return None if found is None else found.text

    assert not store.wrote("kept/a", None), "another one may have removed it"
    store.write("a", text)
    assert store.wrote("kept/a", there("a")) and not other.wrote("kept/a", there("a"))
    other.write("a", text)
    assert not store.wrote("kept/a", there("a")), "the same text, written by another one"
    store.remove("a")
    assert store.wrote("kept/a", None) and there("a") is None
    assert store.create("a", text) and store.wrote("kept/a", there("a"))
