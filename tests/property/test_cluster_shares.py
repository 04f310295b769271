"""Whatever comes and goes, claims and drains: no generation is ever given twice, and each is newer where it must be."""

from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from steering.cluster.cell import ALL
from steering.cluster.shares import Allotment, claimed, granted, share_names, share_of
from steering.model.cluster import ClusterMember, Grant, ShareAssignment
from steering.model.ids import DatapathId

NAMES = ("a", "b", "c", "d", "e")
SHARES = share_names(6)

blind = st.dictionaries(st.sampled_from(NAMES), st.frozensets(st.sampled_from((*SHARES, ALL)), min_size=1))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("there"), st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)), blind),
        st.tuples(st.just("claim"), st.sampled_from(NAMES), st.sampled_from(SHARES)),
    ),
    max_size=30,
)


class Granted:
    """All grants that were ever made; the cell as etcd has it."""

    def __init__(self) -> None:
        self.shares: dict[str, ShareAssignment] = {}
        self.last = 0
        self._ever: dict[int, tuple[str, str]] = {}

    def put(self, share: str, assignment: ShareAssignment, last: int) -> None:
        before = self.shares.get(share)
        line = (assignment.owner, *assignment.standbys)
        for one in line:
            # A generation belongs to one controller and one share for ever.
            assert self._ever.setdefault(one.generation, (share, one.controller)) == (share, one.controller)
        if before is not None and before.owner.controller != assignment.owner.controller:
            assert assignment.owner.generation > before.owner.generation
        if before is not None:
            assert assignment.owner.generation >= before.owner.generation
        assert all(one.generation > assignment.owner.generation for one in assignment.standbys)
        assert max(one.generation for one in line) <= last >= self.last
        self.shares[share], self.last = assignment, last


@given(steps)
@settings(max_examples=200, deadline=None)
def test_a_generation_is_granted_once(history: list[tuple[Any, ...]]) -> None:
    cell = Granted()
    for what, first, second, *more in history:
        if what == "claim":
            known = cell.shares.get(str(second))
            change = None if known is None else claimed(known, str(first))
            if change is not None:
                cell.put(str(second), change, cell.last)
            continue
        members = [ClusterMember(name, "x:1", draining=name in second) for name in sorted(first)]
        for share, wanted in Allotment(members, SHARES, cell.shares, *more).wanted().items():
            able = {one.id for one in members if not one.draining} or set(first)
            assert wanted.owner in able and wanted.owner not in wanted.standbys
            assert len(wanted.standbys) == min(2, len(able) - 1)
            cell.put(share, *granted(wanted, cell.shares.get(share), cell.last))


def sees(blind: Mapping[str, Collection[str]], name: str, share: str) -> bool:
    return not {share, ALL} & set(blind.get(name, ()))


@pytest.mark.row("D-6.7.1")
@given(st.sets(st.sampled_from(NAMES), min_size=1), blind, blind)
@settings(max_examples=300, deadline=None)
def test_who_reaches_no_switch_of_a_share_gives_it_to_who_reaches_some_and_then_all_rests(
    there: set[str], before: dict[str, frozenset[str]], after: dict[str, frozenset[str]]
) -> None:
    cell, members = Granted(), [ClusterMember(name, "x:1") for name in sorted(there)]
    for told in (before, after):
        for _ in range(2 * len(SHARES) + 2):
            allotment = Allotment(members, SHARES, cell.shares, told)
            changes = 0
            for share, wanted in allotment.wanted().items():
                known = cell.shares.get(share)
                assignment, last = granted(wanted, known, cell.last)
                changes += assignment != known
                cell.put(share, assignment, last)
                line = (wanted.owner, *wanted.standbys)
                seeing = [name for name in line if sees(told, name, share)]
                assert line[: len(seeing)] == tuple(seeing), "those that reach its switches come first"
                assert seeing or not any(sees(told, name, share) for name in there)
        assert not changes and not allotment.moves(), "nothing goes to and fro"


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_loads_follow_capacities(capacities: list[int]) -> None:
    members = [ClusterMember(NAMES[n], "x:1", capacity) for n, capacity in enumerate(capacities)]
    wanted = Allotment(members, share_names(60), {}).wanted(moves=0)
    whole = sum(capacities)
    for member in members:
        has = sum(1 for one in wanted.values() if one.owner == member.id)
        assert abs(has - 60 * member.capacity / whole) <= member.capacity + 1


@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=5).flatmap(
        lambda capacities: st.tuples(
            st.just(capacities), st.lists(st.integers(0, len(capacities) - 1), min_size=1, max_size=40)
        )
    )
)
@example(([1, 1, 10], [0, 0]))  # a share went to the second one, and on to the third one
@settings(max_examples=300, deadline=None, derandomize=True)
def test_levelling_moves_no_share_twice_and_ends_level(cell: tuple[list[int], list[int]]) -> None:
    capacities, owners = cell
    members = [ClusterMember(name, "x:1", one) for name, one in zip(NAMES, capacities, strict=False)]
    names = share_names(len(owners))
    now = {share: ShareAssignment(Grant(NAMES[n], 1)) for share, n in zip(names, owners, strict=True)}
    moves = Allotment(members, names, now).moves()
    assert len({one.share for one in moves}) == len(moves)
    held = [owners.count(n) for n in range(len(members))]
    for one in moves:
        held[NAMES.index(one.giver)] -= 1
        held[NAMES.index(one.taker)] += 1
    loads = [Fraction(count, capacity) for count, capacity in zip(held, capacities, strict=True)]
    then = [Fraction(count + 1, capacity) for count, capacity in zip(held, capacities, strict=True)]
    assert max(loads) <= min(then), "one more share makes no other one's load less than the greatest"


def test_who_joins_gets_its_part_one_share_at_a_time_and_nobody_else_moves() -> None:
    a, b = ClusterMember("a", "x:1"), ClusterMember("b", "x:1")
    now = {share: ShareAssignment(Grant("a", n + 1)) for n, share in enumerate(SHARES)}
    moved: list[str] = []
    for _ in range(10):
        wanted = Allotment((a, b), SHARES, now).wanted()
        change = {share for share, one in wanted.items() if one.owner != now[share].owner.controller}
        assert len(change) <= 1
        moved += change
        last = max(grant.generation for one in now.values() for grant in (one.owner, *one.standbys))
        for share, one in wanted.items():
            now[share], last = granted(one, now[share], last)
    assert len(moved) == len(set(moved)) == 3


def test_who_takes_over_keeps_no_standby_whose_grant_is_older() -> None:
    known = ShareAssignment(Grant("a", 1), (Grant("b", 5), Grant("c", 3), Grant("d", 6)))
    assert claimed(known, "b") == ShareAssignment(Grant("b", 5), (Grant("d", 6),))
    assert claimed(known, "c") == ShareAssignment(Grant("c", 3), (Grant("d", 6),))
    assert claimed(known, "e") is None


def test_one_share_stays_where_it_is() -> None:
    now = {"s0000": ShareAssignment(Grant("b", 1))}
    members = [ClusterMember(name, "x:1") for name in NAMES]
    assert Allotment(members, share_names(1), now).wanted()["s0000"].owner == "b"


def test_switches_have_the_same_share_everywhere() -> None:
    names = {share_of(DatapathId(dpid), 8) for dpid in range(1, 200)}
    assert names == set(share_names(8)) and share_of(DatapathId(7), 1) == "s0000"
