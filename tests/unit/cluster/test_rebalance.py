"""What an order to level the load would do, and why it is refused."""

import pytest

from steering.cluster.cell import (
    DRAIN,
    GAVE_UP,
    MEMBER,
    OWN,
    REBALANCE,
    SHARES,
    ClusterCell,
    assignment_text,
    member_text,
    rebalance_text,
)
from steering.cluster.rebalance import plan
from steering.cluster.shares import share_names
from steering.model.cluster import ClusterMember, Grant, Rebalance, RebalanceRefusal, ShareAssignment


def cell(owners: str, **capacities: int) -> ClusterCell:
    """A cell whose share number n is of the controller `owners[n]`."""
    made = ClusterCell()
    made.take(SHARES, str(len(owners)), 1)
    for name, capacity in capacities.items():
        made.take(MEMBER + name, member_text(ClusterMember(name, f"{name}:1", capacity), "site"), 2)
    for number, (share, owner) in enumerate(zip(share_names(len(owners)), owners, strict=True), 1):
        made.take(OWN + share, assignment_text(ShareAssignment(Grant(owner, number))), 3)
    return made


@pytest.mark.parametrize(
    ("owners", "capacities", "moved"),
    [
        ("aaaa", {"a": 1, "b": 1}, {"b": 2}),
        ("aaaa", {"a": 1, "b": 3}, {"b": 3}),
        ("aaaaaa", {"a": 1, "b": 1, "c": 1}, {"b": 2, "c": 2}),
        ("aaab", {"a": 1, "b": 1}, {"b": 1}),
    ],
)
def test_shares_move_until_each_has_its_part(
    owners: str, capacities: dict[str, int], moved: dict[str, int]
) -> None:
    moves = plan(cell(owners, **capacities), ())
    assert len({one.share for one in moves}) == len(moves)
    assert all(one.giver == "a" for one in moves)
    takers = [one.taker for one in moves]
    assert {name: takers.count(name) for name in takers} == moved


def refusal(made: ClusterCell, *unreachable: str) -> str:
    with pytest.raises(RebalanceRefusal) as refused:
        plan(made, unreachable)
    return str(refused.value)


def test_what_is_level_is_left_alone() -> None:
    assert refusal(cell("aabb", a=1, b=1)) == "nothing is to be done: of 4 shares a has 2, b has 2"
    assert refusal(cell("aab", a=1, b=1)) == "nothing is to be done: of 3 shares a has 2, b has 1"


def test_one_share_cannot_be_spread() -> None:
    assert "--cluster-shares" in refusal(cell("a", a=1, b=1))


def test_nothing_moves_while_a_member_drains() -> None:
    made = cell("aaaa", a=1, b=1)
    made.take(DRAIN + "b", "1", 9)
    assert refusal(made).startswith("b is to decide for nothing")


def test_nothing_moves_while_a_member_is_not_heard() -> None:
    assert refusal(cell("aaaa", a=1, b=1), "b") == "not heard: b"
    assert plan(cell("aaaa", a=1, b=1), ("x",)), "one that is no member is not waited for"


def test_nothing_moves_while_a_share_has_no_owner_that_is_there() -> None:
    assert "s0003" in refusal(cell("aaax", a=1, b=1))
    made = cell("aaaa", a=1, b=1)
    made.take(OWN + "s0001", None, 9)
    assert "s0001" in refusal(made)


def test_one_at_a_time() -> None:
    made = cell("aaaa", a=1, b=1)
    made.take(REBALANCE, rebalance_text(Rebalance("s0002", "b")), 9)
    assert refusal(made) == "the load is being levelled already: s0002 goes to b"
    made.take(REBALANCE, rebalance_text(Rebalance()), 10)
    assert refusal(made) == "the load is being levelled already"
    made.take(REBALANCE, None, 11)
    assert len(plan(made, ())) == 2


@pytest.mark.parametrize(
    "text", ["", "[]", '{"share": "s1"}', '{"share": 5, "taker": "b"}', '{"share": "", "taker": "b"}']
)
def test_what_etcd_says_wrongly_moves_nothing_and_is_counted(text: str) -> None:
    made = cell("aaaa", a=1, b=1)
    made.take(REBALANCE, text, 9)
    assert made.rebalance == Rebalance()
    assert made.damaged == (1 if text else 0)


def test_what_was_given_up_is_known_until_the_next_order_and_is_not_under_way() -> None:
    made = cell("aaaa", a=1, b=1)
    made.take(GAVE_UP, rebalance_text(Rebalance("s0002", "b")), 9)
    assert (made.gave_up, made.rebalance) == (Rebalance("s0002", "b"), None)
    assert len(plan(made, ())) == 2
    made.take(GAVE_UP, "[]", 10)
    assert (made.gave_up, made.damaged) == (None, 1)
    made.take(GAVE_UP, rebalance_text(Rebalance("s0002", "b")), 11)
    made.take(GAVE_UP, None, 12)
    assert made.gave_up is None
