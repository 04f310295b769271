"""Controllers agree by a real etcd on who decides for which switches, whoever dies, leaves, drains or is refused."""

import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from steering.cluster.coordination import ClusterRefusal
from steering.cluster.rebalance import TAKEN_WITHIN
from steering.model.cluster import RebalanceRefusal, ShareRole
from steering.model.ids import DatapathId
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.keys import Keys
from tests.support.cluster_members import CellMember, eventually
from tests.support.etcd import EtcdMembers

Start = Callable[..., CellMember]
_cells = count()


@pytest.fixture
def start(etcd: EtcdMembers) -> Iterator[Start]:
    """Starts a member of a cell of the test's own."""
    prefix = f"/steering/{next(_cells)}/cluster/"
    started: list[CellMember] = []

    def starts(name: str, shares: int = 1, site: str = "site", levels: bool = True) -> CellMember:
        started.append(CellMember(etcd, name, shares, site, prefix, levels))
        return started[-1]

    yield starts
    for member in started:
        member.leave()


@pytest.mark.row("D-6.7.1")
def test_a_standby_follows_an_owner_that_dies_by_the_generation_it_had(start: Start) -> None:
    first = start("a")
    eventually(first.owns)
    second = start("b")
    eventually(second.stands_by)
    granted = second.coordination.duty_of("s0000").generation
    first.crash()
    eventually(second.owns)
    assert second.coordination.duty_of("s0000").generation == granted
    # Told to etcd afterwards; and who comes back then stands by with a newer generation than the owner's.
    eventually(lambda: second.coordination.cell.shares["s0000"].owner == ("b", granted))
    again = start("a")
    eventually(again.stands_by)
    known = again.coordination.cell.shares["s0000"]
    assert known.owner == ("b", granted) and known.standbys[0].generation > granted


@pytest.mark.row("D-6.7.1")
def test_a_silent_stream_is_enough_and_etcd_is_told_afterwards(start: Start) -> None:
    first = start("a")
    eventually(first.owns)
    second, third = start("b"), start("c")
    eventually(lambda: first.owns() and second.stands_by() and third.stands_by())
    eventually(lambda: len(standbys(first, "s0000")) == 2)
    heir = standbys(first, "s0000")[0]
    follower = second if heir == "b" else third
    follower.coordination.lost("a")
    assert follower.owns()  # at once
    eventually(lambda: first.coordination.cell.shares["s0000"].owner.controller == heir)
    follower.coordination.found("a")
    eventually(first.stands_by)


def test_a_member_that_leaves_is_gone_at_once_and_its_name_is_free(start: Start) -> None:
    first = start("a")
    eventually(first.owns)
    second = start("b")
    eventually(second.stands_by)
    first.leave()
    assert "a" not in {one.key for one in second.coordination._keys.below("ctl/").found}
    eventually(second.owns)
    start("a")


def test_a_member_that_ends_takes_nothing_over(start: Start) -> None:
    """Its streams end with it, which looks to it as if all others were gone."""
    first = start("a")
    eventually(first.owns)
    second = start("b")
    eventually(lambda: first.owns() and second.stands_by())
    second.leave()
    second.coordination.lost("a")
    assert not second.owns()


def test_shares_are_levelled_when_one_joins_and_given_away_when_it_drains(start: Start) -> None:
    first = start("a", 4)
    eventually(lambda: all(first.owns(f"s000{n}") for n in range(4)))
    second = start("b", 4)
    eventually(lambda: sum(second.owns(f"s000{n}") for n in range(4)) == 2)
    first.coordination.drain("b", True)
    eventually(lambda: all(first.owns(f"s000{n}") for n in range(4)))
    first.coordination.drain("b", False)
    eventually(lambda: sum(second.owns(f"s000{n}") for n in range(4)) == 2)


def test_an_owner_that_a_switch_refused_gets_a_generation_beyond_what_the_switch_knows(start: Start) -> None:
    """Another one claimed the switch, and died before etcd was told."""
    first = start("a")
    eventually(first.owns)
    generation = first.coordination.duty_of("s0000").generation
    first.coordination.refused(DatapathId(1), generation, 500)
    assert first.coordination.duty(DatapathId(1)).role is ShareRole.STANDBY
    eventually(first.owns)
    assert first.coordination.duty_of("s0000").generation > 500
    # A lying switch cannot use up all generations at once.
    first.coordination.refused(DatapathId(1), 501, 2**63)
    eventually(first.owns)
    assert first.coordination.duty_of("s0000").generation < 1_000


def test_who_does_not_fit_is_refused_by_name_and_changes_nothing(start: Start, etcd: EtcdMembers) -> None:
    first = start("a")
    eventually(first.owns)
    for name, shares, site, why in (
        ("b", 1, "another", "the site file differs from that of a"),
        ("b", 3, "site", "number of shares"),
        ("a b", 1, "site", "cannot be a controller's name"),
    ):
        with pytest.raises(ClusterRefusal, match=why):
            start(name, shares, site)
    members = Keys(EtcdGateway(etcd.access), first.coordination._keys.prefix).below("ctl/").found
    assert [one.key for one in members] == ["ctl/a"]


def test_a_name_is_one_controllers_alone(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steering.cluster.coordination.TAKEN", 0)
    start("a")
    with pytest.raises(ClusterRefusal, match="is called a"):
        start("a")


def test_while_etcd_is_gone_all_stays_as_it_was(start: Start, etcd: EtcdMembers) -> None:
    """A lease's loss must not end anything: nobody can tell whether it was the owner or etcd that went away."""
    first = start("a")
    eventually(first.owns)
    second = start("b")
    eventually(second.stands_by)
    etcd.kill(0)
    eventually(lambda: not first.coordination.reached and not second.coordination.reached)
    assert first.owns() and second.stands_by()
    second.coordination.lost("a")
    assert second.owns()  # a standby needs no etcd
    etcd.start(0)
    eventually(lambda: first.coordination.reached and second.coordination.reached)
    eventually(lambda: first.owns() != second.owns())


def standbys(member: CellMember, share: str) -> list[str]:
    """Who stands by for a share, in their order, as far as a member has heard."""
    return [one.controller for one in member.coordination.cell.shares[share].standbys]


def owned(member: CellMember, name: str) -> int:
    return sum(one.owner.controller == name for one in member.coordination.cell.shares.values())


def test_an_order_levels_the_load_one_share_after_the_other(start: Start) -> None:
    first = start("a", shares=4, levels=False)
    eventually(lambda: owned(first, "a") == 4)
    second = start("b", shares=4, levels=False)
    eventually(lambda: all(second.stands_by(f"s000{n}") for n in range(4)))
    eventually(lambda: all(standbys(first, f"s000{n}") == ["b"] for n in range(4)))
    taken = set[str]()
    second.coordination.has_taken = taken.__contains__
    assert owned(first, "a") == 4, "nobody ordered it"
    moves = second.coordination.rebalance(dry_run=True)
    assert [one.taker for one in moves] == ["b", "b"] and first.coordination.cell.rebalance is None
    assert second.coordination.rebalance(dry_run=False) == moves
    eventually(lambda: second.owns(moves[0].share))
    eventually(lambda: first.coordination.cell.rebalance == (moves[0].share, "b"))
    with pytest.raises(RebalanceRefusal):
        first.coordination.rebalance(dry_run=False)
    assert owned(first, "a") == 3, "the next one waits for this one"
    taken.update(one.share for one in moves)
    eventually(lambda: second.owns(moves[1].share))
    eventually(lambda: owned(first, "b") == owned(second, "b") == 2)
    eventually(lambda: first.coordination.cell.rebalance is second.coordination.cell.rebalance is None)
    with pytest.raises(RebalanceRefusal, match="nothing is to be done"):
        first.coordination.rebalance(dry_run=False)


@pytest.mark.parametrize("taker_ends", [True, False])
def test_a_share_that_nobody_takes_ends_the_levelling(start: Start, taker_ends: bool) -> None:
    first = start("a", shares=4, levels=False)
    eventually(lambda: owned(first, "a") == 4)
    second = start("b", shares=4, levels=False)
    eventually(lambda: all(second.stands_by(f"s000{n}") for n in range(4)))
    eventually(lambda: all(standbys(first, f"s000{n}") == ["b"] for n in range(4)))
    second.coordination.has_taken = lambda share: False
    moves = first.coordination.rebalance(dry_run=False)
    eventually(lambda: first.coordination.cell.rebalance == (moves[0].share, "b"))
    if taker_ends:
        second.crash()
        eventually(lambda: owned(first, "a") == 4)
    else:
        times = count(int(time.monotonic()), int(TAKEN_WITHIN) + 1)
        first.coordination._now = lambda: next(times)
    eventually(lambda: first.coordination.cell.rebalance is None)
    eventually(lambda: first.coordination.cell.gave_up == (moves[0].share, "b"))
    if not taker_ends:
        assert owned(first, "b") == 1, "what has moved stays"
        first.coordination._now = time.monotonic
        second.coordination.has_taken = lambda share: True
        first.coordination.rebalance(dry_run=False)
        eventually(lambda: first.coordination.cell.gave_up is None)
