"""The etcd of one process keeps the contracts that etcd keeps: of stores, of policies, of members; and it is bounded."""

import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from steering.store.etcd import small_etcd
from steering.store.etcd.access import EtcdError, EtcdFault
from steering.store.etcd.etcd_store import CHUNK, EtcdStore
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.gateway_forms import EXHAUSTED, OUT_OF_RANGE, GatewayError
from steering.store.etcd.keys import Delete, Keys, Put
from steering.store.etcd.small_etcd import SmallEtcd
from steering.store.etcd.watch import EtcdWatch, KeyChange
from steering.store.interface import Store
from tests.support.cluster_members import CellMember, eventually
from tests.support.policy_contract import PolicyContract, Start
from tests.support.policy_members import FIRST, PolicyMember
from tests.support.served_etcd import ServedEtcd, put
from tests.support.store_contract import Again, StoreContract

_cells = count()


@pytest.fixture(scope="module")
def etcd() -> Iterator[ServedEtcd]:
    with ServedEtcd() as served:
        yield served


@pytest.fixture
def keys(etcd: ServedEtcd) -> Keys:
    """Keys of a cell of the test's own."""
    return Keys(etcd.gateway(), f"/steering/{next(_cells)}/")


class TestSmallEtcdAsStore(StoreContract):
    @pytest.fixture
    def store(self, keys: Keys) -> Store:
        return EtcdStore(keys)

    @pytest.fixture
    def again(self, keys: Keys, etcd: ServedEtcd) -> Again:
        return lambda: EtcdStore(Keys(etcd.gateway(), keys.prefix))


class TestPoliciesAtSmallEtcd(PolicyContract):
    @pytest.fixture
    def start(self, etcd: ServedEtcd) -> Iterator[Start]:
        cell = f"p{next(_cells)}"
        started: list[PolicyMember] = []

        def starts(name: str, text: str = FIRST, refuses: str = "\0", waits: bool = False) -> PolicyMember:
            started.append(PolicyMember(etcd.gateway(), cell, name, text, refuses, waits))
            return started[-1]

        yield starts
        for member in started:
            member.end()


def test_members_agree_on_owners_and_the_lease_of_a_dead_one_can_be_ended_at_once(etcd: ServedEtcd) -> None:
    prefix = f"/steering/{next(_cells)}/cluster/"
    first = CellMember(etcd, "a", 2, prefix=prefix)
    eventually(lambda: first.owns("s0000") and first.owns("s0001"))
    second = CellMember(etcd, "b", 2, prefix=prefix)
    try:
        eventually(lambda: first.owns("s0000") != first.owns("s0001"))
        eventually(lambda: second.owns("s0000") != second.owns("s0001"))
        lease, first.coordination._membership.lease = first.coordination._membership.lease, 0
        first.leave()  # without a word
        etcd.store.end_lease_of(f"{prefix}ctl/a")
        eventually(lambda: second.owns("s0000") and second.owns("s0001"))
        assert not second.coordination._keys.keep_alive(lease)
    finally:
        second.leave()


# ---- what etcd's own tests show of its keys -------------------------------------------------------


def test_a_value_longer_than_a_request_is_kept_whole_and_leaves_no_chunks(keys: Keys) -> None:
    store = EtcdStore(keys)
    store.write("policies/1.json", "a policy of many words\n" * 100_000)
    store.write("policies/1.json", "b" * (CHUNK + 1))
    assert store.read("policies/1.json") == "b" * (CHUNK + 1) and len(keys.below("chunks/").found) == 2
    store.remove("policies/1.json")
    assert not keys.below("").found


def test_a_transaction_changes_all_or_nothing_at_one_revision(keys: Keys) -> None:
    assert keys.commit({"a": 0}, [Put("a", "1"), Put("b", "1")])
    assert not keys.commit({"a": 0, "b": 0}, [Put("a", "2"), Delete("b")])
    found = keys.below("").found
    assert {one.key: one.text for one in found} == {"a": "1", "b": "1"}
    assert len({one.revision for one in found}) == 1
    assert keys.commit({"a": found[0].revision}, [Delete("", all_below=True)]) and not keys.below("").found


def test_a_key_in_two_operations_of_a_transaction_is_refused(keys: Keys) -> None:
    for twice in (
        [Put("a", "1"), Put("a", "2")],
        [Put("a", "1"), Delete("a")],
        [Put("a/b", "1"), Delete("a/", True)],
    ):
        with pytest.raises(EtcdError) as refused:
            keys.commit({}, twice)
        assert refused.value.fault is EtcdFault.REFUSED and keys.get("a") is None


def test_a_lease_takes_its_keys_along(keys: Keys) -> None:
    lease = keys.grant(60)
    keys.put("ctl/a", "here", lease)
    keys.put("ctl/b", "here", lease)
    keys.put("ctl/b", "without it")
    assert keys.keep_alive(lease)
    keys.revoke(lease)
    assert keys.get("ctl/a") is None and keys.get("ctl/b") is not None and not keys.keep_alive(lease)
    for use in (lambda: keys.put("c", "x", lease), lambda: keys.revoke(lease)):
        with pytest.raises(EtcdError):
            use()


def test_a_lease_ends_when_nobody_keeps_it_alive() -> None:
    now = [0.0]
    store = SmallEtcd(now=lambda: now[0])
    lease = store.call("lease/grant", {"TTL": 3})["ID"]
    key = b64encode(b"/a").decode()
    store.call("kv/put", {"key": key, "value": "", "lease": lease})
    now[0] = 2.9
    assert store.call("lease/keepalive", {"ID": lease})["result"]["TTL"] == "3"
    now[0] = 5.8
    store.expire()
    assert store.get("/a") == ""
    now[0] = 5.9
    store.expire()
    assert store.get("/a") is None and "TTL" not in store.call("lease/keepalive", {"ID": lease})["result"]


def test_many_keys_come_in_pages_of_one_revision(keys: Keys) -> None:
    for begin in range(0, 1_100, 100):
        keys.commit({}, [Put(f"k/{n:05}", str(n)) for n in range(begin, begin + 100)])
    assert [one.text for one in keys.below("k/").found] == [str(n) for n in range(1_100)]
    assert len(keys.below("k/", most=10).found) == 10


def b64(text: bytes) -> str:
    return b64encode(text).decode()


def page_at(store: SmallEtcd, revision: str, limit: int = 0) -> dict[bytes, tuple[bytes, str]]:
    """Values of keys below /k/, with the revisions that changed them."""
    wanted = {"key": b64(b"/k/"), "range_end": b64(b"/k0"), "revision": revision, "limit": limit}
    found = store.call("kv/range", wanted)["kvs"]
    return {b64decode(one["key"]): (b64decode(one.get("value", "")), one["mod_revision"]) for one in found}


def test_a_page_of_an_older_revision_is_as_it_was_then(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SmallEtcd()
    for name in (b"/k/a", b"/k/b", b"/k/d"):
        store.call("kv/put", {"key": b64(name), "value": b64(b"1")})
    at = store.header()["revision"]
    then = page_at(store, at)
    assert list(then) == [b"/k/a", b"/k/b", b"/k/d"]
    for value in (b"2", b"3"):
        store.call("kv/put", {"key": b64(b"/k/a"), "value": b64(value)})
        store.call("kv/put", {"key": b64(b"/k/c"), "value": b64(value)})
        store.call("kv/put", {"key": b64(b"/other"), "value": b64(value)})
    store.call("kv/deleterange", {"key": b64(b"/k/b")})
    assert page_at(store, at) == then and list(page_at(store, at, 2)) == [b"/k/a", b"/k/b"]
    assert [value for value, _ in page_at(store, "0").values()] == [b"3", b"3", b"1"]
    store.call("kv/put", {"key": b64(b"/k/b"), "value": b64(b"4")})
    assert page_at(store, at) == then
    monkeypatch.setattr(small_etcd, "MOST_HISTORY", 400)
    store.call("kv/put", {"key": b64(b"/other"), "value": ""})
    with pytest.raises(GatewayError) as refused:
        page_at(store, at)
    assert refused.value.code == OUT_OF_RANGE


def test_a_list_of_many_pages_comes_to_its_end_while_others_write(etcd: ServedEtcd, keys: Keys) -> None:
    for number in range(40):
        keys.put(f"k{number:02}", "before")
    gateway = etcd.gateway()
    asked = gateway.call

    def call(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = asked(path, body)
        keys.put("k39", "after")
        return answer

    gateway.call = call  # type: ignore[method-assign]
    found = Keys(gateway, keys.prefix, page=8).below("k").found
    assert {one.text for one in found} == {"before"} and len(found) == 40


# ---- watches --------------------------------------------------------------------------------------


class Watched:
    """What a watch of all keys of a cell tells."""

    def __init__(self, gateway: EtcdGateway, prefix: str) -> None:
        self.watch = EtcdWatch(Keys(gateway, prefix), "", quiet=0.3)
        self.changes: list[KeyChange] = []
        self._thread = threading.Thread(target=self.watch.run, args=(self.changes.extend,), daemon=True)
        self._thread.start()

    def told(self) -> list[tuple[str, str | None]]:
        return [(one.key, one.text) for one in self.changes]

    def stop(self) -> None:
        self.watch.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()


def test_a_watch_tells_every_change_once_and_in_order_also_after_silence(
    etcd: ServedEtcd, keys: Keys
) -> None:
    keys.put("before", "1")
    watched = Watched(etcd.gateway(), keys.prefix)
    try:
        wanted: list[tuple[str, str | None]] = [("before", "1")]
        eventually(lambda: watched.watch.begun > 2)  # it was silent, and began anew
        for number in range(200):
            keys.put(f"k{number}", "x")
            wanted.append((f"k{number}", "x"))
        keys.delete("before")
        wanted.append(("before", None))
        eventually(lambda: len(watched.changes) >= len(wanted))
        assert watched.told() == wanted and watched.watch.listed == 1
    finally:
        watched.stop()


def test_a_watch_whose_changes_are_forgotten_lists_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_etcd, "MOST_HISTORY", 2_000)
    with ServedEtcd() as served:
        keys = Keys(served.gateway(), "/c/")
        keys.put("a", "1")
        watched = Watched(served.gateway(), "/c/")
        eventually(lambda: watched.told() == [("a", "1")])
        watched.stop()
        for number in range(100):
            keys.put("b", str(number))
        with pytest.raises(GatewayError) as refused:
            served.store.events(b"/c/", b"/d", 3, 0.0)
        assert refused.value.code == OUT_OF_RANGE
        # One that goes on from there is told so.
        late = EtcdWatch(keys, "", quiet=0.3)
        late._list()
        late.revision = 3
        with pytest.raises(EtcdError) as told:
            list(late._follow())
        assert told.value.fault is EtcdFault.COMPACTED


def test_a_watch_whose_reader_is_gone_leaves_no_thread(etcd: ServedEtcd, keys: Keys) -> None:
    threads = threading.active_count()
    for _ in range(5):
        begin, end = keys.span("")
        keys.gateway.stream("watch", {"create_request": {"key": begin, "range_end": end}}, 1.0).close()
    eventually(lambda: threading.active_count() <= threads)


# ---- bounds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("kv/put", {"key": "", "value": ""}),
        ("kv/put", {"key": "*", "value": ""}),
        ("kv/put", {"key": 7}),
        ("kv/put", {"key": "YQ==", "lease": -1}),
        ("kv/put", {"key": "YQ==", "lease": "1" * 30}),
        ("kv/put", {"key": "YQ==", "lease": 77}),
        ("kv/put", {"key": b64encode(bytes(2_000)).decode()}),
        ("kv/range", {"key": "YQ==", "limit": True}),
        ("kv/txn", {"compare": 1}),
        ("kv/txn", {"compare": [1]}),
        ("kv/txn", {"compare": [{"target": "VALUE", "key": "YQ=="}]}),
        ("kv/txn", {"success": [1]}),
        ("kv/txn", {"success": [{"request_put": 1}]}),
        ("kv/txn", {"success": [{"request_txn": {}}]}),
        ("kv/txn", {"success": [{}]}),
        ("lease/grant", {"TTL": 0}),
        ("lease/grant", {"TTL": 1 << 40}),
        ("lease/revoke", {"ID": 5}),
        ("kv/compaction", {}),
        ("auth/enable", {}),
    ],
)
def test_what_is_no_request_is_refused(path: str, body: dict[str, Any]) -> None:
    store = SmallEtcd()
    with pytest.raises(GatewayError):
        store.call(path, body)
    assert store.header()["revision"] == "1"


def test_keys_bytes_and_leases_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("MOST_KEYS", 2), ("MOST_LEASES", 1)):
        monkeypatch.setattr(small_etcd, name, most)
    store = SmallEtcd()
    put(store, "/a", "")
    put(store, "/b", "")
    with pytest.raises(GatewayError) as refused:
        put(store, "/c", "")
    assert refused.value.code == EXHAUSTED
    store.call("lease/grant", {"TTL": 1})
    with pytest.raises(GatewayError):
        store.call("lease/grant", {"TTL": 1})
    monkeypatch.setattr(small_etcd, "MOST_STORED", 1_000)
    few = SmallEtcd()
    with pytest.raises(GatewayError):
        put(few, "/a", "x" * 1_000)
    for _ in range(100):
        put(few, "/a", "x" * 300)  # what is replaced does not count
    few.call("kv/deleterange", {"key": b64encode(b"/a").decode()})
    assert few._stored == 0


def test_a_key_that_is_written_again_where_there_are_as_many_as_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(small_etcd, "MOST_KEYS", 1)
    store = SmallEtcd()
    put(store, "/a", "1")
    put(store, "/a", "2")
    assert store.get("/a") == "2"
