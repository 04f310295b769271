"""What the etcd of one process keeps outlives the process, whole, or is refused."""

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from steering.store.etcd.access import EtcdError, EtcdFault
from steering.store.etcd.gateway_forms import KeyEvent
from steering.store.etcd.kept_keys import KeyFolder
from steering.store.etcd.keys import Keys
from steering.store.etcd.small_etcd import SmallEtcd
from steering.store.interface import StateError, StateRefusal
from steering.store.state_directory import StateDirectory
from tests.support.served_etcd import ServedEtcd, put


def kept(folder: Path) -> tuple[SmallEtcd, KeyFolder]:
    """A store of what the folder holds of keys below /k/."""
    keeper = KeyFolder(StateDirectory(folder), lambda key: key.startswith("/k/"))
    store = SmallEtcd(keeper.keep)
    store.load(keeper.load())
    return store, keeper


def test_what_is_kept_outlives_the_process_and_nothing_else_does(tmp_path: Path) -> None:
    store, _ = kept(tmp_path)
    put(store, "/k/a", "1")
    put(store, "/k/a", "2")
    put(store, "/other", "x")
    put(store, "/k/gone", "x")
    lease = store.call("lease/grant", {"TTL": 60})["ID"]
    put(store, "/k/leased", "x", lease=lease)
    put(store, "/k/b", "without")
    put(store, "/k/b", "with", lease=lease)
    gone = {"key": b64encode(b"/k/gone").decode()}
    also = {"key": b64encode(b"/k/c").decode(), "value": b64encode(b"3").decode()}
    store.call("kv/txn", {"success": [{"request_delete_range": gone}, {"request_put": also}]})
    again, _ = kept(tmp_path)
    assert [again.get(key) for key in ("/k/a", "/k/c", "/k/gone", "/k/leased", "/k/b", "/other")] == [
        "2", "3", None, None, None, None,
    ]  # fmt: skip


def test_a_change_of_several_keys_is_whole_after_a_crash_in_its_midst(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, keeper = kept(tmp_path)
    writes = keeper._write
    left = [1]

    def crash(change: Any) -> None:
        if not left[0]:
            raise StateError(StateRefusal.INPUT_OUTPUT, "the machine is gone")
        left[0] -= 1
        writes(change)

    monkeypatch.setattr(keeper, "_write", crash)
    puts = [
        {"request_put": {"key": b64encode(key).decode(), "value": b64encode(b"x").decode()}}
        for key in (b"/k/a", b"/k/b")
    ]
    assert store.call("kv/txn", {"success": puts})["succeeded"]
    again, _ = kept(tmp_path)
    assert (again.get("/k/a"), again.get("/k/b")) == ("x", "x")
    assert not (tmp_path / "keys" / "pending").exists()


def test_a_change_that_cannot_be_kept_is_refused_and_changes_nothing() -> None:
    def full(events: Sequence[KeyEvent]) -> None:
        raise StateError(StateRefusal.NO_SPACE, "the disk is full")

    with ServedEtcd(full) as served:
        keys = Keys(served.gateway(), "/k/")
        with pytest.raises(EtcdError) as refused:
            keys.put("a", "1")
        assert refused.value.fault is EtcdFault.NO_SPACE and keys.get("a") is None
        assert keys.put("b", "1", keys.grant(60)), "what is leased is not for the disk"


@pytest.mark.parametrize("text", ["{}", "[1]", '[["/k/a"]]', '[["/k/a", 1]]', "[" * 5_000, "no"])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    store, _ = kept(tmp_path)
    put(store, "/k/a", "1")
    (file,) = (tmp_path / "keys").iterdir()
    file.write_text(text)
    with pytest.raises(StateError):
        kept(tmp_path)
