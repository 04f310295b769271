"""etcd keeps the stores' contract, and what only etcd can do to a value: long ones, writers at once, no majority."""

from itertools import count
from pathlib import Path

import pytest

from steering.store.etcd.access import EtcdAccess, EtcdError, EtcdFault, parse_endpoints
from steering.store.etcd.etcd_store import CHUNK, EtcdStore
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.keys import MOST_VALUE, Delete, Keys, Put
from steering.store.interface import StateError, StateRefusal, Store
from steering.store.policy_history import History
from tests.support.controller_process import free_port
from tests.support.etcd import EtcdMembers
from tests.support.store_contract import Again, StoreContract

_cells = count()


@pytest.fixture
def keys(etcd: EtcdMembers) -> Keys:
    """Keys of a cell of the test's own."""
    return Keys(EtcdGateway(etcd.access), f"/steering/{next(_cells)}/")


class TestEtcdStore(StoreContract):
    @pytest.fixture
    def store(self, keys: Keys) -> Store:
        return EtcdStore(keys)

    @pytest.fixture
    def again(self, keys: Keys, etcd: EtcdMembers) -> Again:
        return lambda: EtcdStore(Keys(EtcdGateway(etcd.access), keys.prefix))


def test_a_value_longer_than_a_request_is_kept_whole_and_leaves_no_chunks(keys: Keys) -> None:
    store = EtcdStore(keys)
    long = "a policy of many words\n" * (2 * MOST_VALUE // 23)
    store.write("policies/1.json", long)
    store.write("policies/1.json", "b" * (CHUNK + 1))
    assert store.read("policies/1.json") == "b" * (CHUNK + 1)
    assert len(keys.below("chunks/").found) == 2
    store.remove("policies/1.json")
    assert not keys.below("").found


def test_the_history_of_policies_holds_its_longest_text(keys: Keys) -> None:
    """A version is larger than a request of etcd may be."""
    text = "# \N{SNOWMAN}" + "x" * (2 << 20)
    history = History(EtcdStore(keys))
    history.apply(text, "operator", 1.0)
    assert history.current() is not None and history.read(1).text == text


def test_of_two_writers_at_once_the_readers_see_one_whole_value(keys: Keys) -> None:
    store = EtcdStore(keys)
    store.write("a", "x" * (CHUNK + 5))
    before = keys.get("kept/a")
    store.write("a", "y" * (CHUNK + 5))
    assert not store._put("a", "z" * (CHUNK + 5), before)  # it began before the other one ended
    assert store.read("a") == "y" * (CHUNK + 5) and len(keys.below("chunks/").found) == 2


def test_what_a_writer_left_behind_is_swept_when_it_is_old(keys: Keys) -> None:
    store = EtcdStore(keys)
    store.write("a", "x" * (CHUNK + 5))
    keys.put("chunks/a/1000-dead/00000", "half")
    keys.put("chunks/a/99999999999-alive/00000", "under way")
    assert store.sweep() == 1
    assert len(keys.below("chunks/").found) == 3 and store.read("a") == "x" * (CHUNK + 5)


@pytest.mark.parametrize(
    "head", ["", "[]", "7", '{"bytes": 3}', '{"bytes": 3, "sha256": "", "text": "long"}', "[" * 5_000]
)
def test_a_head_that_is_none_of_ours_is_refused(keys: Keys, head: str) -> None:
    keys.put("kept/a", head)
    with pytest.raises(StateError) as refused:
        EtcdStore(keys).read("a")
    assert refused.value.refusal is StateRefusal.DAMAGED


def test_a_changed_value_is_noticed(keys: Keys) -> None:
    store = EtcdStore(keys)
    store.write("a", "text")
    kept = keys.get("kept/a")
    assert kept is not None
    keys.put("kept/a", kept.text.replace('"text": "text"', '"text": "lies"'))
    with pytest.raises(StateError, match="damaged"):
        store.read("a")


def test_a_transaction_changes_all_or_nothing(keys: Keys) -> None:
    assert keys.commit({"a": 0}, [Put("a", "1"), Put("b", "1")])
    assert not keys.commit({"a": 0, "b": 0}, [Put("a", "2"), Delete("b")])
    found = {one.key: one.text for one in keys.below("").found}
    assert found == {"a": "1", "b": "1"}


def test_a_lease_takes_its_keys_along(keys: Keys) -> None:
    lease = keys.grant(60)
    keys.put("ctl/a", "here", lease)
    assert keys.keep_alive(lease)
    keys.revoke(lease)
    assert keys.get("ctl/a") is None and not keys.keep_alive(lease)


def test_many_keys_come_in_pages_of_one_revision(keys: Keys) -> None:
    for begin in range(0, 1_100, 100):
        keys.commit({}, [Put(f"k/{n:05}", str(n)) for n in range(begin, begin + 100)])
    listing = keys.below("k/")
    assert [one.text for one in listing.found] == [str(n) for n in range(1_100)]
    assert len(keys.below("k/", most=10).found) == 10


def test_bounds_are_refused_by_name(keys: Keys) -> None:
    with pytest.raises(EtcdError) as value:
        keys.put("a", "x" * (MOST_VALUE + 1))
    with pytest.raises(EtcdError) as operations:
        keys.commit({}, [Put(str(n), "") for n in range(101)])
    assert {value.value.fault, operations.value.fault} == {EtcdFault.TOO_LARGE}


def test_the_next_endpoint_is_asked_where_one_does_not_answer(etcd: EtcdMembers) -> None:
    dead = parse_endpoints(f"http://127.0.0.1:{free_port()}")
    keys = Keys(EtcdGateway(EtcdAccess(dead + etcd.access.endpoints)), "/steering/turn/")
    keys.put("a", "1")
    assert keys.get("a") is not None


def test_without_any_endpoint_a_store_says_so() -> None:
    access = EtcdAccess(parse_endpoints(f"http://127.0.0.1:{free_port()}"), timeout=0.5)
    store = EtcdStore(Keys(EtcdGateway(access), "/steering/none/"))
    for use in (lambda: store.read("a"), lambda: store.write("a", "x"), store.names):
        with pytest.raises(StateError) as refused:
            use()
        assert refused.value.refusal is StateRefusal.UNREACHABLE


def test_a_password_is_asked_for_and_a_token_renewed(tmp_path: Path) -> None:
    members = EtcdMembers(tmp_path)
    members.start()
    try:
        root = EtcdGateway(members.access)
        root.call("auth/user/add", {"name": "root", "password": "secret"})
        root.call("auth/role/add", {"name": "root"})
        root.call("auth/user/grant", {"user": "root", "role": "root"})
        root.call("auth/enable", {})
        known = EtcdAccess(members.access.endpoints, user="root", password="secret")
        gateway = EtcdGateway(known)
        keys = Keys(gateway, "/steering/auth/")
        keys.put("a", "1")
        gateway._token = "too-old"
        assert keys.get("a") is not None
        for wrong in (members.access, EtcdAccess(known.endpoints, user="root", password="wrong")):
            with pytest.raises(EtcdError) as refused:
                Keys(EtcdGateway(wrong), "/steering/auth/").get("a")
            assert refused.value.fault is EtcdFault.REFUSED
        assert "secret" not in repr(known)
    finally:
        members.close()
