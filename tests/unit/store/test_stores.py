"""Both stores keep the contract: the state directory, and the one in memory."""

from pathlib import Path

import pytest

from steering.store.interface import Store
from steering.store.memory import MemoryStore
from steering.store.state_directory import StateDirectory
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
