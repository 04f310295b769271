"""All stores keep the contract: the state directory, the one in memory, and that of etcd (here one in memory)."""

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
