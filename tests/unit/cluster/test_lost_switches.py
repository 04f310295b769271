"""A share goes to a member that has its switches, and comes to none that has lost them."""

import pytest

from steering.cluster.cell import ClusterCell, lacks_text
from steering.cluster.shares import Allotment, share_names
from steering.model.cluster import (
    MOST_LACKED,
    MOST_MEMBERS,
    ClusterMember,
    Grant,
    ShareAssignment,
    SwitchLack,
)
from tests.support.fakes.cell_keys import FakeCell, FakeMember

NAMES = ("a", "b", "c")
MEMBERS = tuple(ClusterMember(name, f"{name}:1") for name in NAMES)
GONE, SHAKY, NEW = SwitchLack(2, 2, 2), SwitchLack(0, 2, 2), SwitchLack(0, 0, 2)


def share_of(cell: FakeCell, name: str) -> str:
    return next(share for share, owner in cell.owners().items() if owner == name)


def lacks_all(member: FakeMember, lack: SwitchLack = GONE) -> None:
    member.coordination.lacks = dict.fromkeys(member.coordination.cell.shares, lack)


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("victim", NAMES)
def test_an_owner_that_has_lost_its_switches_yields_its_share_and_gets_none_until_they_are_steady(
    victim: str,
) -> None:
    cell = FakeCell(*NAMES)
    share = share_of(cell, victim)
    heirs = [one.controller for one in cell.members[victim].coordination.cell.shares[share].standbys]
    granted = cell.members[heirs[0]].coordination.duty_of(share).generation
    lacks_all(cell.members[victim])
    cell.look()
    assert cell.owners()[share] == heirs[0] and victim not in cell.owners().values()
    assert cell.members[heirs[0]].coordination.duty_of(share).generation == granted, "by what it had"
    before = cell.owners()
    lacks_all(cell.members[victim], SHAKY)
    cell.look()
    assert cell.owners() == before, "its switches are back since a moment ago"
    cell.members[victim].coordination.lacks = {}
    cell.look()
    assert sorted(cell.owners().values()) == list(NAMES)
    assert not [key for key in cell.etcd.kept if key.startswith("lacks/")]


@pytest.mark.parametrize("others", [GONE, SHAKY, NEW])
def test_switches_that_nobody_has_are_no_reason_to_move(others: SwitchLack) -> None:
    """A switch that is off, or restarts: the owner may be the last one that it connects to again, and others
    may just have started."""
    cell = FakeCell(*NAMES)
    before = cell.owners()
    for one in cell.members.values():
        lacks_all(one, GONE if one.name == "a" else others)
    cell.look()
    assert cell.owners() == before


def test_the_standby_follows_that_has_them() -> None:
    cell = FakeCell(*NAMES)
    share = share_of(cell, "a")
    first, second = (one.controller for one in cell.members["a"].coordination.cell.shares[share].standbys)
    cell.members[first].coordination.lacks = {share: SwitchLack(1, 1, 1)}
    cell.members["a"].coordination.lacks = {share: SwitchLack(2, 2, 2)}
    cell.look()
    assert cell.owners()[share] == second


def test_what_a_member_lacked_ends_with_its_lease_and_is_told_with_the_next_one() -> None:
    cell = FakeCell(*NAMES)
    member = cell.members["b"]
    lacks_all(member)
    cell.look()
    assert "b" in cell.members["a"].coordination.cell.lacks
    member.end_lease()
    cell.members["a"].watch()
    assert "b" not in cell.members["a"].coordination.cell.lacks
    member.watch()
    assert member.coordination._present()
    cell.look()
    assert "b" in cell.members["a"].coordination.cell.lacks


def test_who_is_cut_off_from_etcd_as_well_can_say_nothing_and_keeps_nothing_back() -> None:
    cell = FakeCell(*NAMES)
    lacks_all(cell.members["c"])
    cell.members["c"].keys.is_cut = True
    cell.look()
    assert "c" in cell.owners().values(), "until its lease ends"
    cell.members["c"].end_lease()
    cell.look()
    assert "c" not in cell.owners().values()


@pytest.mark.parametrize("has", NAMES)
def test_a_share_that_nobody_has_goes_to_who_has_its_switches(has: str) -> None:
    lacks = {name: {"s0000": SHAKY} for name in NAMES if name != has}
    assert Allotment(MEMBERS, share_names(1), {}, lacks).wanted()["s0000"].owner == has


def test_who_has_just_started_gets_its_part_before_its_switches_have_connected() -> None:
    now = {share: ShareAssignment(Grant("a", n)) for n, share in enumerate(share_names(4), 1)}
    lacks = {"b": dict.fromkeys(share_names(4), NEW)}
    assert len(Allotment(MEMBERS[:2], share_names(4), now, lacks).moves()) == 2


def test_of_some_shares_those_are_moved_whose_switches_the_taker_has() -> None:
    now = {share: ShareAssignment(Grant("a", n)) for n, share in enumerate(share_names(4), 1)}
    lacks = {"b": {share: SHAKY for share in share_names(4) if share != "s0002"}}
    moves = Allotment(MEMBERS[:2], share_names(4), now, lacks).moves()
    assert [(one.share, one.taker) for one in moves] == [("s0002", "b")]


def test_what_is_told_of_lacks_is_bounded_and_what_is_none_is_left_out() -> None:
    cell = FakeCell("a", shares=2)
    cell.members["a"].coordination.lacks = {f"s{n:04}": GONE for n in range(2 * MOST_LACKED)}
    cell.look(2)
    revision = cell.etcd.revision
    cell.look(2)
    assert cell.etcd.revision == revision, "told once"
    assert len(cell.members["a"].coordination.cell.lacks["a"]) == MOST_LACKED
    read = ClusterCell()
    largest = {f"s{n:04}": SwitchLack(999_999, 999_999, 999_999) for n in range(MOST_LACKED)}
    read.take("lacks/a", lacks_text(largest), 1)
    assert read.lacks == {"a": largest} and not read.damaged
    for number, text in enumerate(
        ("[]", "x", '{"s1": [1, 1, 1]}', '{"s0001": [1, 2]}', '{"s0001": [-1, 2, 3]}', '{"s0001": [1, 2, true]}', '{"s0001": 5}'), 1
    ):  # fmt: skip
        read.take("lacks/a", text, 1)
        assert not read.lacks and read.damaged == number, text
    read.take("lacks/a", lacks_text({f"s{n:04}": GONE for n in range(MOST_LACKED + 1)}), 1)
    assert not read.lacks
    for number in range(MOST_MEMBERS + 10):
        read.take(f"lacks/c{number}", "{}", 1)
    assert len(read.lacks) == MOST_MEMBERS
