"""Members of a cell that are cut off from each other: who decides for what meanwhile, and that it is nobody's twice."""

import pytest

from tests.support.fakes.cell_keys import FakeCell

NAMES = ("a", "b", "c")


def cell() -> FakeCell:
    made = FakeCell(*NAMES)
    assert sorted(made.owners().values()) == list(NAMES)
    return made


@pytest.mark.row("D-6.7.1")
def test_of_three_one_that_is_silent_is_followed_at_once_without_etcd() -> None:
    made = cell()
    share = next(share for share, owner in made.owners().items() if owner == "b")
    for name in ("a", "c"):
        made.members[name].keys.is_cut = True
        made.members[name].coordination.lost("b")
    assert sum(share in made.members[name].owns() for name in ("a", "c")) == 1


@pytest.mark.parametrize("victim", NAMES)
def test_who_hears_nobody_takes_nothing_while_the_others_live(victim: str) -> None:
    """Also where it is the eldest member, which would allot all to itself."""
    made = cell()
    before = made.owners()
    one = made.members[victim]
    one.coordination.lost(*(name for name in NAMES if name != victim))
    for _ in range(10):
        one.look()
    assert made.owners() == before and len(one.owns()) == 1


@pytest.mark.parametrize("victim", NAMES)
def test_the_others_take_its_share_and_give_it_one_when_they_hear_it_again(victim: str) -> None:
    made = cell()
    others = [name for name in NAMES if name != victim]
    made.members[victim].coordination.lost(*others)
    for name in others:
        made.members[name].coordination.lost(victim)
    made.look()
    assert set(made.owners().values()) == set(others) and not made.members[victim].owns()
    for name in others:  # one after the other
        made.members[name].coordination.found(victim)
        made.members[victim].coordination.found(name)
        made.look()
        owned = [share for one in made.members.values() for share in one.owns()]
        assert sorted(owned) == sorted(made.owners()), "each share has one owner"
    assert sorted(made.owners().values()) == list(NAMES)


def test_without_etcd_who_hears_nobody_keeps_what_it_has_and_takes_nothing() -> None:
    made = cell()
    one = made.members["c"]
    had = one.owns()
    one.keys.is_cut = True
    one.coordination.lost("a", "b")
    made.look()
    assert one.owns() == had


def test_when_the_leases_of_all_others_have_ended_who_is_left_decides_for_everything() -> None:
    made = cell()
    one = made.members["c"]
    one.coordination.lost("a", "b")
    for name in ("a", "b"):
        made.members.pop(name).end_lease()
    made.look()
    assert one.owns() == set(made.owners()) and set(made.owners().values()) == {"c"}
