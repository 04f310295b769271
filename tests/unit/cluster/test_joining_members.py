"""Members that join a cell: of two with different site files one stays, and each is marked until it listens."""

import pytest

from steering.cluster.cell import member_text, run_of
from steering.cluster.coordination import ClusterRefusal, Coordination
from steering.model.cluster import ClusterMember
from steering.store.etcd.access import EtcdError
from tests.support.fakes.cell_keys import FakeCell, FakeEtcd, FakeKeys, FakeMember


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


def two_of_one_name() -> tuple[FakeCell, FakeMember, FakeMember]:
    """b was frozen, and another process was started under its name. That one is a member and decides for a share."""
    made = FakeCell("a", "b", "c", stream="192.0.2.1:6700")
    frozen = made.members.pop("b")
    frozen.end_lease()
    for other in made.members.values():
        other.coordination.lost("b")
    made.look()
    made.members["b"] = later = FakeMember(made.etcd, "b", 3, "192.0.2.1:6700")
    for other in (made.members["a"], made.members["c"]):
        other.coordination.found("b")
        later.coordination.found(other.name)
    made.look()
    assert len(later.owns()) == 1
    return made, frozen, later


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("hears_first", [False, True])
def test_who_thaws_and_finds_another_process_of_its_name_leaves_it_all(hears_first: bool) -> None:
    """Both would ask for their switches with the same generation, and a switch accepts that of either."""
    made, frozen, later = two_of_one_name()
    before = dict(made.etcd.kept)
    if hears_first:
        frozen.watch()
        assert not frozen.owns()
    frozen.coordination.show_life()
    for _ in range(3):
        frozen.look()
    assert made.etcd.kept == before and not frozen.owns() and len(later.owns()) == 1
    later.end_lease()
    frozen.coordination.show_life()
    frozen.watch()
    assert "ctl/b" in made.etcd.kept, "the name is free again"
    made.members["b"] = frozen
    hear_all(made)
    made.look()
    assert len(frozen.owns()) == 1


def hear_all(made: FakeCell) -> None:
    for one in made.members.values():
        for other in made.members.values():
            if other is not one:
                one.coordination.found(other.name)


def test_a_member_whose_etcd_was_restored_from_a_copy_takes_its_own_key_again() -> None:
    etcd = FakeEtcd()
    one = member(FakeKeys(etcd), "a")
    one.join()
    one.follows()
    text, revision, _ = etcd.kept["ctl/a"]
    etcd.kept["ctl/a"] = (text, revision, 99)  # with a lease that is not this member's any more
    one.show_life()
    assert etcd.kept["ctl/a"][2] == one.lease and not one._membership.is_replaced


def test_a_key_that_an_earlier_version_wrote_is_anothers() -> None:
    assert run_of('{"address": "x:1", "capacity": 1, "site": ""}') == run_of("none") == run_of("[]") == ""
    assert run_of('{"run": 5}') == "" and run_of('{"run": "5"}') == "5"


@pytest.mark.parametrize("is_own", [False, True])
def test_who_is_told_that_its_name_is_taken_looks_whether_it_took_it_itself(is_own: bool) -> None:
    """An endpoint of etcd put its key and died before it answered, so the next one was asked the same."""
    etcd = FakeEtcd()
    keys, other = FakeKeys(etcd), member(FakeKeys(etcd), "a")
    one = member(keys, "a")

    def put() -> None:
        membership = (one if is_own else other)._membership
        etcd.kept["ctl/a"] = (member_text(one.me, "site", membership._run), 77, etcd.leases)
        etcd.kept["starts/a"] = ("1", 77, etcd.leases)

    keys.meanwhile = [lambda: None, put]
    if is_own:
        one.join()
        assert one.lease == etcd.kept["ctl/a"][2]
        one.follows()
        assert "starts/a" not in etcd.kept
    else:
        with pytest.raises(ClusterRefusal, match="has just taken the name a"):
            one.join()
