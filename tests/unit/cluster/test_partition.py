"""Members of a cell that are cut off from each other: who decides for what meanwhile, and that it is nobody's twice."""

from collections import Counter

import pytest

from steering.cluster.coordination import LEASE, OUTLIVED
from steering.cluster.rebalance import TAKEN_WITHIN
from steering.cluster.silent_members import DOUBTED
from steering.cluster.unheard_members import LEFT_OUT
from steering.model.cluster import RebalanceRefusal
from tests.support.fakes.cell_keys import FakeCell, FakeMember

NAMES = ("a", "b", "c")
STREAM = "192.0.2.1:6700"


def cell(stream: str = "") -> FakeCell:
    made = FakeCell(*NAMES, stream=stream)
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


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("victim", NAMES)
def test_who_begins_anew_while_nobody_hears_it_gets_no_share_before_somebody_does(victim: str) -> None:
    """It would decide for switches, and no join of a session of another one would come through there."""
    made = cell(STREAM)
    others = [name for name in NAMES if name != victim]
    made.members[victim].coordination.lost(*others)
    for name in others:
        made.members[name].coordination.lost(victim)
    made.look()
    one = made.begins_anew(victim)
    made.look()
    assert set(made.owners().values()) == set(others) and not one.owns()
    for name in others:
        made.members[name].coordination.found(victim)
        one.coordination.found(name)
    made.look()
    assert sorted(made.owners().values()) == list(NAMES)


def test_members_that_never_hear_each_other_have_owners_all_the_same() -> None:
    """Where streams are refused from the beginning, the first member decides for all."""
    made = FakeCell("a", shares=2, stream=STREAM)
    made.members["b"] = FakeMember(made.etcd, "b", 2, STREAM)
    made.look()
    assert len(made.owners()) == 2 and set(made.owners().values()) == {"a"}
    made.members.pop("a").end_lease()
    made.look()
    assert set(made.owners().values()) == {"b"}


def test_the_load_is_not_levelled_by_order_while_a_member_is_not_heard() -> None:
    made = FakeCell("a", "b", stream=STREAM)
    made.members["a"].coordination.lost("b")
    one = made.begins_anew("b")
    made.look()
    with pytest.raises(RebalanceRefusal, match="not heard: b"):
        made.members["a"].coordination.rebalance(dry_run=True)
    one.coordination.found("a")
    made.members["a"].coordination.found("b")
    assert made.members["a"].coordination.rebalance(dry_run=True)


def test_an_order_to_level_the_load_ends_in_time_where_a_member_stays_unheard() -> None:
    """Its lease lives. Another order would be refused for as long as this one does not end."""
    made = FakeCell("a", "b", stream=STREAM)
    one = made.members["a"].coordination
    one.lost("b")
    other = made.begins_anew("b").coordination
    made.look()
    other.found("a")
    one.found("b")
    assert one.rebalance(dry_run=False)
    one.lost("b")
    made.begins_anew("b")
    made.look()
    assert one.cell.rebalance is not None and set(made.owners().values()) == {"a"}
    made.members["a"].now += TAKEN_WITHIN
    made.look()
    assert one.cell.rebalance is None and set(made.owners().values()) == {"a"}


@pytest.mark.row("D-6.7.1")
def test_the_first_member_takes_no_share_back_before_it_is_known_who_was_cut_off() -> None:
    """Others that no longer hear it have taken its share; its own streams ended a moment ago."""
    made = cell(STREAM)
    one = made.members["a"]
    one.coordination.is_in_doubt = lambda: True
    for name in ("b", "c"):
        made.members[name].coordination.lost("a")
    made.look()
    assert not one.owns() and set(made.owners().values()) == {"b", "c"}
    one.coordination.lost("b", "c")
    one.coordination.is_in_doubt = lambda: False
    made.look()
    assert not one.owns() and set(made.owners().values()) == {"b", "c"}


def test_a_member_that_is_heard_again_by_one_and_not_yet_by_the_other_gets_no_share() -> None:
    """The other one would move it back: streams come back one after the other."""
    made = cell(STREAM)
    one = made.members["a"]
    one.coordination.lost("b", "c")
    for name in ("b", "c"):
        made.members[name].coordination.lost("a")
    made.look()
    before = made.owners()
    one.coordination.found("c")
    made.members["c"].coordination.found("a")
    made.look()
    assert made.owners() == before
    one.coordination.found("b")
    made.members["b"].coordination.found("a")
    made.look()
    assert len(one.owns()) == 1


def hear(made: FakeCell, *names: str) -> None:
    for name in names:
        for other in names:
            if other != name:
                made.members[name].coordination.found(other)


def later(made: FakeCell, seconds: float) -> None:
    made.look()
    for one in made.members.values():
        one.now += seconds
    made.look()


@pytest.mark.parametrize("victim", NAMES)
def test_a_member_that_nobody_hears_keeps_the_others_from_levelling_for_a_bounded_time(victim: str) -> None:
    """Its certificate is broken, and its lease lives. Also where it is the first member, which assigns the shares."""
    made = FakeCell(*NAMES, shares=8, stream=STREAM)
    others = [name for name in NAMES if name != victim]
    made.members[victim].coordination.lost(*others)
    for name in others:
        made.members[name].coordination.lost(victim)
    made.look(20)
    made.begins_anew(victim)
    made.members[others[0]].coordination.drain(others[0], True)
    made.look(20)
    made.members[others[0]].coordination.drain(others[0], False)
    later(made, LEFT_OUT - 1)
    assert set(made.owners().values()) == {others[1]}
    assert not made.members[others[1]].coordination.unheard.late
    later(made, 1)
    assert Counter(made.owners().values()) == dict.fromkeys(others, 4) and not made.members[victim].owns()
    assert all(made.members[name].coordination.unheard.late == {victim} for name in others)
    assert made.members[victim].coordination.unheard.late == set(others), "it knows whom it does not hear"
    before = dict(made.etcd.kept)
    later(made, 100)
    assert made.etcd.kept == before, "nothing goes back and forth"
    hear(made, *NAMES)
    made.look(20)
    assert sorted(Counter(made.owners().values()).values()) == [2, 3, 3]
    assert not any(one.coordination.unheard.late for one in made.members.values())


def test_a_member_that_one_of_two_hears_is_levelled_with_by_that_one_alone() -> None:
    made = FakeCell("c", shares=9, stream=STREAM)
    for name in ("a", "b"):
        made.members[name] = FakeMember(made.etcd, name, 9, STREAM)
        hear(made, name, "c")
    later(made, LEFT_OUT - 1)
    assert set(made.owners().values()) == {"c"}
    later(made, 1)
    before = dict(made.etcd.kept)
    later(made, 100)
    assert made.etcd.kept == before and set(made.owners().values()) == set(NAMES)
    assert made.members["c"].coordination.unheard.late == set()


def cut(made: FakeCell, one: str, other: str) -> None:
    """Only the connection between these two is cut."""
    made.members[one].coordination.lost(other)
    made.members[other].coordination.lost(one)


def changes(made: FakeCell, seconds: float) -> int:
    """How often shares change owners in that time."""
    found, before = 0, made.owners()
    for _ in range(round(seconds / 0.5)):
        for one in made.members.values():
            one.now += 0.5
            one.look()
            found += sum(before[share] != owner for share, owner in made.owners().items())
            before = made.owners()
    return found


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("shares", [3, 7])
@pytest.mark.parametrize("pair", ["ab", "ac", "bc"])
def test_two_that_do_not_hear_each_other_do_not_take_shares_from_each_other_for_ever(
    pair: str, shares: int
) -> None:
    """The third one hears both, and etcd says that both live."""
    made = FakeCell(*NAMES, shares=shares, stream=STREAM)
    cut(made, *pair)
    assert 0 < changes(made, LEFT_OUT / 2) <= 2 * shares
    assert changes(made, LEFT_OUT) <= shares, "they level the load, each without the other"
    assert changes(made, 4 * LEFT_OUT) == 0
    owned = [share for one in made.members.values() for share in one.owns()]
    assert sorted(owned) == sorted(made.owners()), "each share has one owner"
    hear(made, *NAMES)
    made.look(20)
    assert set(made.owners().values()) == set(NAMES) and changes(made, LEFT_OUT) == 0


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("pair", ["ab", "ac", "bc"])
def test_a_connection_between_two_that_breaks_again_and_again_does_not_move_shares_each_time(
    pair: str,
) -> None:
    made = FakeCell(*NAMES, shares=6, stream=STREAM)
    for number in range(4):
        cut(made, *pair)
        moved = changes(made, 2 * OUTLIVED * LEASE)
        assert (moved > 0) is (number == 0)
        hear(made, *NAMES)
        made.look(20)
    later(made, DOUBTED)
    cut(made, *pair)
    assert changes(made, 2 * OUTLIVED * LEASE), "who was heard for long and is silent now is gone"


@pytest.mark.parametrize("shares", [1, 2])
def test_the_only_two_that_do_not_hear_each_other_agree_on_who_decides(shares: int) -> None:
    made = FakeCell("a", "b", shares=shares, stream=STREAM)
    cut(made, "a", "b")
    assert changes(made, LEFT_OUT / 2) <= 2 * shares and changes(made, 4 * LEFT_OUT) == 0
    last = next(iter(set(made.owners().values())))
    made.members.pop(last).end_lease()
    made.look()
    assert last not in made.owners().values(), "whose lease ends is dead all the same"


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("is_cut", [False, True])
def test_a_silent_member_is_back_only_when_etcd_itself_shows_that_it_lives(is_cut: bool) -> None:
    """While etcd is away nobody knows whether its lease has ended."""
    made = cell(STREAM)
    one = made.members["a"]
    one.coordination.lost("b")
    one.watch()
    assert one.coordination.silence.gone == {"b"}
    one.keys.is_cut = is_cut
    one.now += OUTLIVED * LEASE
    one.look()
    assert one.coordination.silence.gone == {"b"}, "it is looked at for the first time"
    one.now += OUTLIVED * LEASE
    one.look()
    assert one.coordination.silence.gone == ({"b"} if is_cut else set())
    assert one.coordination.silence.silent == {"b"} and not one.coordination.silence.is_cut_off


def thawed(names: str) -> FakeCell:
    """b was frozen until its lease had ended, and the others have its shares. It has thawed, does not hear a yet, and is a member again."""
    made = FakeCell(*names, shares=2 * len(names), stream=STREAM)
    one = made.members.pop("b")
    one.end_lease()
    for other in made.members.values():
        other.coordination.lost("b")
    made.look()
    assert set(made.owners().values()) == set(names) - {"b"}
    made.members["b"] = one
    one.watch()
    one.coordination.lost("a")
    one.coordination.show_life()
    return made


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("names", ["ab", "abc"])
def test_a_member_that_was_frozen_takes_nothing_from_those_that_it_does_not_hear_yet(names: str) -> None:
    """It is given new generations as soon as it is a member again, and streams come back one after the other."""
    made = thawed(names)
    one, before = made.members["b"], made.owners()
    made.look()
    assert made.owners() == before and not one.owns()
    one.coordination.found("a")
    one.coordination.lost("a")
    made.look()
    assert made.owners() == before and not one.owns(), "that stream did not last"
    hear(made, *names)
    made.look(20)
    assert set(made.owners().values()) == set(names)
    one.now += OUTLIVED * LEASE
    one.coordination.lost("a")
    assert one.coordination.silence.gone == {"a"}, "who is silent much later is gone as before"


@pytest.mark.row("D-6.7.1")
def test_who_dies_as_another_one_thaws_is_followed_when_its_lease_has_ended() -> None:
    made = thawed("ab")
    made.look()
    assert set(made.owners().values()) == {"a"}
    made.members.pop("a").end_lease()
    made.look()
    assert set(made.owners().values()) == {"b"} and len(made.members["b"].owns()) == 4
