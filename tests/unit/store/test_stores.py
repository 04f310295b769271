"""All stores keep the contract: the state directory, the one in memory, and that of etcd (here one in memory)."""

import json
from pathlib import Path

import pytest

from steering.store.etcd.etcd_store import CHUNK, EtcdStore
from steering.store.etcd.keys import Keys
from steering.store.interface import StateError, Store
from steering.store.memory import MemoryStore
from steering.store.state_directory import StateDirectory
from tests.support.fakes.etcd import FakeEtcd
from tests.support.store_contract import Again, StoreContract


class TestStateDirectory(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return StateDirectory(tmp_path / "state")

    @pytest.fixture
    def again(self, tmp_path: Path) -> Again:
        return lambda: StateDirectory(tmp_path / "state")


class TestSyncedStateDirectory(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return StateDirectory(tmp_path / "state", synced=True)

    @pytest.fixture
    def again(self, tmp_path: Path) -> Again:
        return lambda: StateDirectory(tmp_path / "state", synced=True)


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()

    @pytest.fixture
    def again(self, store: Store) -> Again:
        return lambda: store


@pytest.fixture
def keys() -> Keys:
    return Keys(FakeEtcd().gateway(), "/steering/cell/kept/")


class TestEtcdStore(StoreContract):
    """On an etcd in memory; the real one is asked in tests/integration."""

    @pytest.fixture
    def store(self, keys: Keys) -> Store:
        return EtcdStore(keys)

    @pytest.fixture
    def again(self, keys: Keys) -> Again:
        return lambda: EtcdStore(keys)


@pytest.mark.parametrize("text", ["short", "long " * CHUNK], ids=["short", "in chunks"])
def test_a_staged_value_is_read_once_its_head_is_in_its_place(keys: Keys, text: str) -> None:
    store = EtcdStore(keys)
    head = store.stage("a", text.strip())
    assert store.read("a") is None and store.names() == [] and store.staged("a", head) == text.strip()
    assert keys.commit({}, [store.placed("a", head)])
    store.discard("a", head)  # it is in its place
    assert store.read("a") == text.strip()


def test_a_staged_value_that_is_discarded_leaves_nothing_and_touches_no_other(keys: Keys) -> None:
    store = EtcdStore(keys)
    store.write("a", "x" * (CHUNK + 5))
    before = keys.below("").found
    head = store.stage("a", "y" * (CHUNK + 5))
    store.discard("a", head)
    assert keys.below("").found == before and store.read("a") == "x" * (CHUNK + 5)
    with pytest.raises(StateError, match="not whole"):
        store.staged("a", head)


DAMAGED = [
    "junk", "[]", '{"bytes": 3, "sha256": "", "chunks": "x", "count": 1.5}', '{"bytes": 3, "sha256": "", "chunks": "x", "count": true}',
]  # fmt: skip


@pytest.mark.parametrize("head", DAMAGED)
def test_a_damaged_head_is_named_and_can_be_written_over_and_removed(keys: Keys, head: str) -> None:
    store = EtcdStore(keys)
    for _ in range(2):
        keys.put("kept/a", head)
        with pytest.raises(StateError, match="none of ours"):
            store.read("a")
        store.write("a", "text")
        assert store.read("a") == "text"
    keys.put("kept/a", head)
    store.remove("a")
    assert store.read("a") is None


def chunks(keys: Keys) -> list[str]:
    return [one.key.removeprefix("chunks/") for one in keys.below("chunks/", names_only=True).found]


def test_a_damaged_head_keeps_nothing_else_from_being_swept(keys: Keys) -> None:
    store = EtcdStore(keys)
    store.write("a", "x" * (CHUNK + 5))
    there = chunks(keys)
    keys.put("kept/z", "junk")
    keys.put("chunks/a/1000-dead/00000", "half")
    assert store.sweep() == 1 and chunks(keys) == there and store.read("a") == "x" * (CHUNK + 5)


@pytest.mark.parametrize("is_placed", [False, True])
def test_what_comes_into_its_place_as_it_is_swept_stays_whole(is_placed: bool) -> None:
    """By its writer's clock, which is a day behind, it is old."""
    etcd = FakeEtcd()
    keys = Keys(etcd.gateway(), "/steering/cell/kept/")
    store, text = EtcdStore(keys), "x" * (CHUNK + 5)
    told = store.stage("a", text)
    number = json.loads(told)["chunks"]
    head = told.replace(number, f"1000-{number}")
    for one in keys.below(f"chunks/a/{number}/").found:
        keys.put(one.key.replace(number, f"1000-{number}"), one.text)
        keys.delete(one.key)
    if is_placed:
        etcd.meanwhile = [lambda: keys.put("kept/a", head)]
    else:
        keys.put("policy/proposal", head)
    assert store.sweep({"policy/proposal": 0}) == 0
    if not is_placed:
        keys.put("kept/a", head)
    assert store.read("a") == text and len(chunks(keys)) == 2
