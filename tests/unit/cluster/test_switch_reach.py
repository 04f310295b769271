"""A controller that has lost its switches, and lives: its shares go to one that has not."""

import pytest

from steering.cluster.cell import ALL, BLIND, ClusterCell
from steering.cluster.shares import share_name, share_names, share_of
from steering.cluster.switch_reach import BACK, CALM, FIRST, LONGEST, WAITED, SwitchReach, unreached
from steering.model.cluster import MOST_SHARES, ShareRole
from steering.model.ids import DatapathId
from steering.store.etcd.keys import Keys
from tests.support.fakes.cell_keys import FakeCell, FakeMember

NAMES = ("a", "b", "c")


def cell() -> FakeCell:
    made = FakeCell(*NAMES)
    assert sorted(made.owners().values()) == list(NAMES)
    return made


def loses(made: FakeCell, name: str, *shares: str) -> None:
    made.members[name].coordination.reach.unreached = lambda: shares


def later(made: FakeCell, seconds: float) -> None:
    """Time goes by, and all look every second of it."""
    for _ in range(int(seconds)):
        for one in made.members.values():
            one.now += 1.0
        made.look(rounds=1)
    made.look()


def owned(made: FakeCell, name: str) -> set[str]:
    return {share for share, owner in made.owners().items() if owner == name}


def roles(one: FakeMember) -> dict[str, ShareRole]:
    return {share: one.coordination.duty_of(share).role for share in share_names(3)}


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("name", NAMES)
def test_who_loses_all_its_switches_gives_its_shares_to_who_reaches_them_and_gets_them_back(
    name: str,
) -> None:
    made = cell()
    (share,) = owned(made, name)
    generation = made.members[name].coordination.cell.shares[share].owner.generation
    loses(made, name, *share_names(3))
    later(made, WAITED - 1)
    assert owned(made, name) == {share}, "it may have them again in a moment"
    later(made, 3)
    assert not owned(made, name)
    known = made.members[name].coordination.cell.shares[share]
    assert known.owner.generation > generation, "a standby's, which its switches obey"
    assert known.standbys[-1].controller == name
    loses(made, name)
    later(made, 3)
    assert len(owned(made, name)) == 1
    for one in NAMES:
        assert list(roles(made.members[one]).values()).count(ShareRole.OWNER) == 1


def test_one_share_whose_switches_it_lost_goes_and_it_gets_another_one() -> None:
    made = cell()
    (share,) = owned(made, "a")
    loses(made, "a", share)
    later(made, WAITED + 3)
    assert share not in owned(made, "a") and len(owned(made, "a")) == 1


def test_switches_that_nobody_reaches_are_off_and_stay_where_they_are() -> None:
    made = cell()
    before = made.owners()
    for name in NAMES:
        loses(made, name, *share_names(3))
    later(made, WAITED + 3)
    assert made.owners() == before


def test_a_channel_that_breaks_and_is_back_is_not_told() -> None:
    made = cell()
    before = made.owners()
    for _ in range(5):
        loses(made, "b", *share_names(3))
        later(made, WAITED - 2)
        loses(made, "b")
        later(made, 1)
    assert made.owners() == before and not any(key.startswith(BLIND) for key in made.etcd.kept)


def moves(made: FakeCell, seconds: float) -> int:
    """How often shares get other owners in that time."""
    found = 0
    for _ in range(int(seconds)):
        before = made.owners()
        later(made, 1)
        found += made.owners() != before
    return found


@pytest.mark.row("D-6.7.1")
def test_switches_that_are_lost_again_and_again_do_not_move_each_time() -> None:
    made = cell()
    found = []
    for _ in range(12):
        loses(made, "a", *share_names(3))
        found.append(moves(made, WAITED + 2))
        loses(made, "a")
        found[-1] += moves(made, BACK + 3)
    assert found[0] == 2, "they are lost, and it gets its part again"
    assert sum(found) <= 6 and not any(found[4:])
    assert moves(made, LONGEST) == 1 and len(owned(made, "a")) == 1, "they stay"
    later(made, CALM)
    loses(made, "a", *share_names(3))
    assert moves(made, WAITED + 2) == 1
    loses(made, "a")
    assert moves(made, BACK + 3) == 1, "as at the first time"


def test_who_lost_its_switches_often_says_in_time_that_it_reaches_them_where_the_owner_does_not() -> None:
    cell, away, now = ClusterCell(), set[str](), 0.0
    cell.take("shares", "2", 1)
    cell.take("own/s0000", '[["b", 1], ["a", 2]]', 1)
    reach = SwitchReach("a", lambda: away)

    def told(seconds: float) -> bool:
        nonlocal now
        for _ in range(round(seconds / 0.5)):
            now += 0.5
            reach.look(cell, KeptBy(cell), 1, now)
        return "a" in cell.blind

    for _ in range(8):
        assert not told(LONGEST + 1)
        away.add(share_name(0))
        assert told(WAITED)
        away.clear()
    assert told(LONGEST / 2)
    cell.take("blind/b", '["s0000"]', 1)
    assert not told(0.5), "the owner is worse off"


def test_what_is_told_ends_with_its_member_and_is_told_again_with_a_new_lease() -> None:
    made = cell()
    one = made.members["b"]
    loses(made, "b", *share_names(3))
    later(made, WAITED + 1)
    assert made.etcd.kept[BLIND + "b"][0] == f'["{ALL}"]'
    one.end_lease()
    one.watch()
    assert BLIND + "b" not in made.etcd.kept
    one.coordination._membership.begin(one.coordination.me)
    later(made, 2)
    assert BLIND + "b" in made.etcd.kept and made.members["a"].coordination.cell.blind == {"b": {ALL}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '["s1"]',
        '["s00001"]',
        '"*"',
        "[" * 5_000,
        '["s0000", "' + "s" * 5_000 + '"]',
        "[" + '"s0000",' * 6_000 + '"s0000"]',
    ],
)
def test_what_is_no_list_of_shares_is_left_out_and_counted(text: str) -> None:
    made = ClusterCell()
    made.take(BLIND + "a", '["s0000"]', 1)
    made.take(BLIND + "a", text, 2)
    assert not made.blind and made.damaged == 1
    made.take(BLIND + "../b", '["s0000"]', 3)
    assert not made.blind and made.damaged == 2


@pytest.mark.parametrize("first", ["a", "b"])
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.6, 0.9])
def test_a_switch_that_starts_again_keeps_its_owner(first: str, phase: float) -> None:
    """Whoever loses it first, and whoever reaches it first: the other one does a second later."""
    made = FakeCell("a", "b", shares=1)
    (owner,) = set(made.owners().values())
    made.members["b"].now += phase

    def steps(number: int) -> None:
        for _ in range(number):
            for one in made.members.values():
                one.now += 0.1
            made.look(rounds=1)
            assert made.owners() == {share_name(0): owner}

    for shares in ((share_name(0),), ()):
        for name in (first, *({"a", "b"} - {first})):
            loses(made, name, *shares)
            steps(10)
        steps(100)
    assert not any(key.startswith(BLIND) for key in made.etcd.kept)


def test_one_of_very_many_shares_reaches_few_and_gives_all_others_away() -> None:
    names = share_names(MOST_SHARES)
    cell = ClusterCell()
    cell.take("shares", str(MOST_SHARES), 1)
    reach = SwitchReach("a", lambda: names[1:])
    for now in (0.0, WAITED):
        reach.look(cell, KeptBy(cell), 1, now)
    assert cell.blind == {"a": frozenset(names[1:])} and not cell.damaged


def test_an_owner_that_told_that_it_reaches_no_switch_tells_the_opposite_at_its_next_look() -> None:
    """Another member reaches the switch at the same time, and would be given the share."""
    cell, away = ClusterCell(), {share_name(0)}
    cell.take("shares", "2", 1)
    cell.take("own/s0000", '[["a", 1]]', 1)
    reach = SwitchReach("a", lambda: away)
    for now in (0.0, WAITED):
        reach.look(cell, KeptBy(cell), 1, now)
    assert cell.blind == {"a": {share_name(0)}} and reach.blind == {share_name(0)}
    away.clear()
    reach.look(cell, KeptBy(cell), 1, WAITED + 0.1)
    assert not cell.blind and not reach.blind and not reach.text


class KeptBy(Keys):
    """What is put is known at once."""

    def __init__(self, cell: ClusterCell) -> None:
        self._cell = cell

    def put(self, key: str, text: str, lease: int = 0) -> int:
        self._cell.take(key, text, 2)
        return 2

    def delete(self, key: str, all_below: bool = False) -> None:
        self._cell.take(key, None, 3)


def test_a_share_is_reached_with_any_of_its_switches() -> None:
    switches = [DatapathId(n) for n in range(1, 40)]
    first = share_of(switches[0], 4)
    assert unreached(switches, (), 4) == set(share_names(4))
    assert unreached(switches, switches[:1], 4) == set(share_names(4)) - {first}
    assert not unreached((), (), 4) and share_name(0) in share_names(4)


@pytest.mark.row("D-6.7.1")
def test_who_joins_gets_a_share_soon_after_it_reaches_switches_and_not_before() -> None:
    made = FakeCell("a", "b", shares=3)
    before = made.owners()
    made.members["c"] = one = FakeMember(made.etcd, "c", 3, starts_blind=True)
    loses(made, "c", *share_names(3))
    made.look()
    later(made, 10)
    assert made.owners() == before and made.etcd.kept[BLIND + "c"][0] == f'["{ALL}"]'
    loses(made, "c")
    later(made, 1 + FIRST)
    assert len(owned(made, "c")) == 1 and BLIND + "c" not in made.etcd.kept
    loses(made, "c", *share_names(3))
    later(made, WAITED + 3)
    assert not owned(made, "c")
    loses(made, "c")
    later(made, 1)
    assert not owned(made, "c"), "what it lost it has to reach for a while"
    later(made, 3)
    assert len(owned(made, "c")) == 1 and one.owns() == owned(made, "c")


def test_who_starts_alone_decides_though_it_reaches_no_switch_yet() -> None:
    made = FakeCell(shares=3)
    made.members["a"] = one = FakeMember(made.etcd, "a", 3, starts_blind=True)
    loses(made, "a", *share_names(3))
    later(made, 1)
    assert one.owns() == set(share_names(3))
    made.members["b"] = FakeMember(made.etcd, "b", 3, starts_blind=True)
    loses(made, "b", *share_names(3))
    loses(made, "a")
    later(made, 3)
    assert len(owned(made, "a")) == 3 and BLIND + "a" not in made.etcd.kept


class Start:
    """`first` was alone for some seconds, and has all shares, when `second` starts. No switch has connected to either. `moves`: of shares
    since then, with their takers."""

    def __init__(self, first: str, second: str, alone: float) -> None:
        self.cell = FakeCell(shares=3)
        self.members = {first: self._joins(first)}
        self.moves: list[tuple[str, str]] = []
        self.goes_on(alone)
        assert set(self.cell.owners().values()) == {first}
        self.members[second] = self._joins(second)

    def _joins(self, name: str) -> FakeMember:
        made = self.cell.members[name] = FakeMember(self.cell.etcd, name, 3, starts_blind=True)
        loses(self.cell, name, *share_names(3))
        return made

    def goes_on(self, seconds: float, *stalled: str) -> None:
        """Time goes by, in which those that are not `stalled` look ten times a second."""
        for _ in range(round(seconds * 10)):
            for name, one in self.members.items():
                one.now += 0.1
                before = self.cell.owners()
                if name not in stalled:
                    one.look()
                after = self.cell.owners()
                self.moves += [(share, after[share]) for share in before if after[share] != before[share]]

    def connects(self, *names: str, stalled: tuple[str, ...] = ()) -> None:
        """Switches connect to members, those of one share after those of another."""
        for number in range(3):
            for name in names:
                loses(self.cell, name, *share_names(3)[number + 1 :])
                self.goes_on(0.1, *stalled)


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("first", ["a", "b"])
@pytest.mark.parametrize("alone", [0.3, WAITED + 2])
def test_a_second_controller_that_starts_gets_its_part_and_no_share_moves_twice(
    first: str, alone: float
) -> None:
    """Also where the switches connect to it earlier than to the one that is there."""
    second = "ab".replace(first, "")
    start = Start(first, second, alone)
    start.goes_on(0.3)
    assert not start.moves, "nobody reaches a switch yet"
    start.connects(second, first)
    start.goes_on(20.0)
    assert [to for _, to in start.moves] == [second]
    assert len(start.members[first].owns()) == 2 and len(start.members[second].owns()) == 1


@pytest.mark.row("D-6.7.1")
def test_who_assigns_shares_believes_itself_about_its_switches_and_not_what_it_told_before() -> None:
    """Its machine was busy, so that it looks after the other one has told that it reaches switches."""
    start = Start("a", "b", WAITED + 2)
    start.connects("b", "a", stalled=("a",))
    start.goes_on(FIRST + 0.5, "a")
    start.goes_on(5.0)
    assert [to for _, to in start.moves] == ["b"]


def test_who_is_alone_waits_for_its_switches_as_any_owner_and_then_tells() -> None:
    start = Start("a", "b", 1.0)
    assert BLIND + "a" not in start.cell.etcd.kept and BLIND + "b" in start.cell.etcd.kept
    loses(start.cell, "b")
    start.goes_on(1.0 + FIRST)
    assert [to for _, to in start.moves] == ["b"], "to level the load"
    start.goes_on(WAITED)
    assert [to for _, to in start.moves] == ["b"] * 3 and start.cell.members["a"].coordination.cell.blind == {
        "a": {ALL}
    }


def test_switches_that_nobody_reaches_do_not_keep_others_from_moving() -> None:
    made = FakeCell("a", "b", shares=8)
    away = sorted(owned(made, "a"))
    for name in "ab":
        loses(made, name, *away)
    later(made, WAITED + 3)
    made.members["c"] = FakeMember(made.etcd, "c", 8, starts_blind=True)
    loses(made, "c", *away)
    later(made, 2 + FIRST)
    assert owned(made, "a") == set(away) and len(owned(made, "b")) == len(owned(made, "c")) == 2


def test_who_gets_a_new_lease_never_seems_to_reach_what_it_does_not() -> None:
    made = cell()
    loses(made, "b", *share_names(3))
    later(made, WAITED + 1)
    one, told = made.members["b"], list[set[str]]()
    one.end_lease()
    one.watch()

    def nap(seconds: float) -> None:
        told.append(set(made.etcd.kept))
        if len(told) == 2:
            one.coordination.leave()

    one.coordination.live(nap)
    assert BLIND + "b" not in told[0] and {"ctl/b", BLIND + "b"} <= told[1]


def test_what_was_put_is_not_put_again_before_the_watch_can_have_told_it() -> None:
    cell, keys = ClusterCell(), Puts()
    cell.take("shares", "2", 1)
    reach = SwitchReach("a", lambda: share_names(2)[:1])
    reach.begins(share_names(2))
    for tenth in range(21):
        reach.look(cell, keys, 1, tenth / 10)
    assert keys.put_at == ['["*"]', '["s0000"]', '["s0000"]'], (
        "once more after a while, as etcd may have lost it"
    )


class Puts(Keys):
    """What is put, of which no watch tells."""

    def __init__(self) -> None:
        self.put_at: list[str] = []

    def put(self, key: str, text: str, lease: int = 0) -> int:
        self.put_at.append(text)
        return 1
