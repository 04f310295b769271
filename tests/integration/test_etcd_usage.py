"""Records of used bytes in a real etcd: written where nobody changed them since, told to all, deleted, and written again into an
etcd that is set up anew."""

import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from steering.cluster.usage_exchange import USAGE_PAGE, UsageExchange
from steering.model.network import NetworkAccessType
from steering.store.etcd.access import EtcdAccess, EtcdError
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.keys import Keys
from steering.store.etcd.watch import EtcdWatch, KeyChange
from tests.support.cluster_members import eventually
from tests.support.etcd import EtcdMembers
from tests.support.usage_counts import CountingMember

PREFIX = "/steering/test/usage/"
CELLULAR = NetworkAccessType.CELLULAR
ANNA = ("anna", CELLULAR)


class Member(CountingMember):
    """A controller's part in it. Its watch has a thread; `write` waits for what that tells, as a greenthread does."""

    def __init__(self, access: EtcdAccess, name: str) -> None:
        super().__init__(name)
        keys = Keys(EtcdGateway(access), PREFIX, USAGE_PAGE)
        self.exchange = UsageExchange(keys, name, self)
        self.watch = EtcdWatch(keys, "", quiet=0.5)
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self.watch.run, args=(self._take,), daemon=True)
        self._thread.start()

    def _take(self, changes: list[KeyChange]) -> None:
        with self._turn:
            self.exchange.take(changes, self.watch.is_anew)

    def write(self) -> None:
        with self._turn:
            try:
                self.exchange.write()
            except EtcdError:
                pass

    def counts(self, size: int) -> None:
        with self._turn:
            assert self.used.add(ANNA, size)

    def knows(self, size: int) -> bool:
        self.write()
        return self.used.of(ANNA) == size and not self.used.unwritten()

    def ends(self) -> None:
        self.watch.stop()
        self._thread.join(20)


def know(members: Collection[Member], size: int) -> None:
    """All of them write, until all know of so many bytes."""
    eventually(lambda: sum(one.knows(size) for one in members) == len(members))


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdMembers]:
    with EtcdMembers(tmp_path) as members:
        yield members


@pytest.mark.row("N-5.6.1k3", "D-6.7.1")
@pytest.mark.timeout(200)
def test_all_know_what_each_has_counted_until_it_is_deleted(etcd: EtcdMembers) -> None:
    a, b = (Member(etcd.access, name) for name in ("a", "b"))
    a.counts(100)
    b.counts(20)
    know((a, b), 120)
    a.ends()  # and never comes back
    b.counts(3)
    later = Member(etcd.access, "c")
    know((b, later), 123)
    again = Member(etcd.access, "a")
    again.counts(7)
    know((again, b, later), 130)
    Keys(EtcdGateway(etcd.access), PREFIX).delete("", all_below=True)
    know((again, b, later), 0)
    b.counts(5)
    know((again, b, later), 5)
    for one in (again, b, later):
        one.ends()


@pytest.mark.row("D-6.7.1")
@pytest.mark.timeout(200)
def test_an_etcd_that_is_set_up_anew_gets_what_each_had_counted(etcd: EtcdMembers, tmp_path: Path) -> None:
    members = [Member(etcd.access, name) for name in ("a", "b")]
    for one in members:
        one.counts(50)
    know(members, 100)
    etcd.kill(0)
    (tmp_path / "m0").rename(tmp_path / "before")
    etcd.start(0)
    keys = Keys(EtcdGateway(etcd.access), PREFIX)

    def are_there() -> bool:
        for one in members:
            one.write()
        return {one.key.partition("/")[0] for one in keys.below("").found} == {"a", "b"}

    eventually(are_there)
    know(members, 100)
    fresh = Member(etcd.access, "c")
    know((fresh,), 100)
    for one in (*members, fresh):
        one.ends()


@pytest.mark.timeout(100)
def test_a_key_is_replaced_only_where_nobody_changed_it_since(etcd: EtcdMembers) -> None:
    keys = Keys(EtcdGateway(etcd.access), PREFIX, 2)
    first = keys.replace("a/1", 0, "one")
    assert first and keys.replace("a/1", 0, "two") == 0 and keys.replace("a/1", first + 1, "two") == 0
    second = keys.replace("a/1", first, "two")
    found = keys.get("a/1")
    assert found is not None and found[1:] == ("two", second)
    keys.delete("a/1")
    assert keys.replace("a/1", second, "three") == 0 and keys.get("a/1") is None
    for number in range(5):
        keys.replace(f"a/{number}", 0, str(number))
    assert [one.text for one in keys.below("a/").found] == list("01234"), "in several answers"
