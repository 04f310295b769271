"""Members that join a cell: of two with different site files one stays, and each is marked until it listens."""

import pytest

from steering.cluster.coordination import ClusterRefusal, Coordination
from steering.model.cluster import ClusterMember
from steering.store.etcd.access import EtcdError
from tests.support.fakes.cell_keys import FakeEtcd, FakeKeys


def member(keys: FakeKeys, name: str, site: str = "site") -> Coordination:
    return Coordination(keys, ClusterMember(name, f"{name}:1"), site)


@pytest.mark.parametrize(
    "step", [0, 1], ids=["before it says how many shares there are", "before it is there"]
)
def test_of_two_that_join_at_once_with_different_site_files_the_later_one_is_refused(step: int) -> None:
    etcd = FakeEtcd()
    early, keys = member(FakeKeys(etcd), "early"), FakeKeys(etcd)
    keys.meanwhile = [*[lambda: None] * step, early.join]
    with pytest.raises(ClusterRefusal, match="the site file differs from that of early"):
        member(keys, "late", "another").join()
    assert not keys.meanwhile and [key for key in etcd.kept if "late" in key] == []
    member(keys, "third").join()


def test_who_was_there_first_stays_when_another_one_joins_with_another_site_file() -> None:
    etcd = FakeEtcd()
    keys = FakeKeys(etcd)
    member(keys, "early").join()
    with pytest.raises(ClusterRefusal, match="the site file differs from that of early"):
        member(FakeKeys(etcd), "late", "another").join()


def test_a_member_is_marked_until_it_listens_and_not_when_it_comes_again() -> None:
    etcd = FakeEtcd()
    keys = FakeKeys(etcd)
    one = member(keys, "a")
    one.join()
    assert {"ctl/a", "starts/a"} <= etcd.kept.keys()
    keys.is_cut = True
    with pytest.raises(EtcdError):
        one.follows()
    keys.is_cut = False
    one.follows()
    one.follows()
    assert "ctl/a" in etcd.kept and "starts/a" not in etcd.kept
    etcd.end_lease(one.lease)
    one.cell.revisions.pop("ctl/a", None)  # its watch has told that
    assert one._membership.begin(one.me)
    assert "ctl/a" in etcd.kept and "starts/a" not in etcd.kept


def test_a_mark_ends_with_its_member() -> None:
    etcd = FakeEtcd()
    one = member(FakeKeys(etcd), "a")
    one.join()
    one.leave()
    assert not etcd.kept.keys() & {"ctl/a", "starts/a"}
