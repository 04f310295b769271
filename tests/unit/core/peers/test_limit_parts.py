"""Limits of several controllers: whatever is lost on the way, all together never let more begin than the limit says."""

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.inputs import PolicyReplaced
from steering.core.peers.limit_parts import SharedLedger
from steering.core.selection.quotas import LIMITED, Allowance, Ledger, QuotaKeys, limits_of
from steering.model.ids import McpId
from steering.model.limit import Limit
from steering.model.policy import (
    Application,
    Policy,
    PolicyRule,
    Quotas,
    RuleConditions,
    Subscriber,
    SubscriberClass,
    Terms,
)
from steering.wire.peer_messages import LimitGift, LimitWish
from tests.support.clustered import Cluster, steers
from tests.support.sites import capable

KEYS = QuotaKeys("alice", b"\1\2\3\4\0\x50", "", McpId(1))
SUBSCRIBER, SERVER = 0, 1
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("begin", "begin", "begin", "end", "ask", "ask", "part", "heal")), st.integers(0, 3)
    ),
    max_size=120,
)


def divided(ledger: SharedLedger, me: str, members: Collection[str]) -> None:
    """All have their parts."""
    ledger.begin(members, me)
    ledger.complete(members, me)


def allowance(most: int, place: int = SUBSCRIBER) -> Allowance:
    limit = Limit(most, "policy")
    by_key = tuple(limit if at == place else None for at in range(len(LIMITED)))
    return Allowance(limit, by_key, ((place, limit),))


class Controllers:
    """So many ledgers with one limit. `shares`: False gives each one all of it (a control)."""

    def __init__(self, number: int, most: int, shares: bool = True) -> None:
        self.names = [f"c{at}" for at in range(number)]
        self.most, self.allowed = most, allowance(most)
        self.ledgers: list[Any] = [SharedLedger() if shares else Ledger() for _ in self.names]
        if shares:
            for name, ledger in zip(self.names, self.ledgers, strict=True):
                divided(ledger, name, self.names)
        self.live = [0] * number
        self.parted: set[int] = set()
        self.now = 0.0

    def begin(self, at: int) -> bool:
        if self.ledgers[at].full(self.allowed, KEYS) is not None:
            return False
        self.ledgers[at].take(KEYS)
        self.live[at] += 1
        return True

    def end(self, at: int) -> None:
        if self.live[at]:
            self.ledgers[at].give_back(KEYS)
            self.live[at] -= 1

    def ask(self, at: int) -> None:
        """All that one wants is asked for, and what is given arrives where nothing parts the two. What is asked of the
        other side is lost; what the other side had on its way is lost too."""
        self.now += 1.0
        for wish in self.ledgers[at].wishes(self.now):
            for other, ledger in enumerate(self.ledgers):
                gift = None if other == at else ledger.asked(wish)
                if gift is not None and (at in self.parted) == (other in self.parted):
                    self.ledgers[at].given(gift)

    def step(self, what: str, at: int) -> None:
        at %= len(self.ledgers)
        if what == "part":
            self.parted.add(at)
        elif what == "heal":
            self.parted.clear()
        else:
            getattr(self, what)(at)


@pytest.mark.row("D-6.3f", "D-6.4i")
@given(st.integers(1, 4), st.integers(0, 20), STEPS)
def test_all_together_never_have_more_than_the_limit(
    number: int, most: int, steps: list[tuple[str, int]]
) -> None:
    controllers = Controllers(number, most)
    for what, at in steps:
        controllers.step(what, at)
        assert sum(controllers.live) <= most


def test_the_control_has_more() -> None:
    controllers = Controllers(3, 10, shares=False)
    for at in range(3):
        while controllers.begin(at):
            pass
    assert sum(controllers.live) == 30


def test_one_controller_may_have_the_whole_limit_when_the_others_need_none() -> None:
    controllers = Controllers(3, 100)
    for _ in range(100):
        if not controllers.begin(0):
            controllers.ask(0)
            controllers.begin(0)
        controllers.ask(0)
    assert controllers.live[0] >= 95, "halves of what is left: nearly all"
    controllers.end(0)
    for _ in range(5):
        controllers.begin(1)
        controllers.ask(1)
    assert controllers.live[1] >= 1, "and what is free again goes where it is wanted"


def test_in_a_partition_each_side_uses_what_it_has() -> None:
    controllers = Controllers(2, 10)
    controllers.step("part", 0)
    for _ in range(20):
        for at in (0, 1):
            controllers.begin(at)
    assert controllers.live == [5, 5]


def test_what_nobody_asked_for_makes_no_part_larger_than_the_limit() -> None:
    ledger = SharedLedger()
    divided(ledger, "a", ("a", "b"))
    for _ in range(5):
        ledger.given(LimitGift(SUBSCRIBER, "alice", 10, 4))
    assert ledger.part(SUBSCRIBER, "alice", 10) == 9, "a second one of 4 would make it 13"
    assert ledger.asked(LimitWish(99, "alice", 10)) is None


def test_a_wish_of_another_limit_takes_nothing_of_this_one() -> None:
    """Of a peer that lies, or has another policy still: half of 2^32 - 1 would close the key for ever."""
    ledger = SharedLedger()
    divided(ledger, "a", ("a", "b"))
    gift = ledger.asked(LimitWish(SUBSCRIBER, "alice", 2**32 - 1))
    assert gift is not None and ledger.part(SUBSCRIBER, "alice", 10) == 5
    ledger.given(LimitGift(SUBSCRIBER, "alice", 12, 4))
    assert ledger.part(SUBSCRIBER, "alice", 10) == 5 and ledger.part(SUBSCRIBER, "alice", 12) == 10


def test_a_policy_without_a_limit_drops_what_was_given_of_it() -> None:
    ledger = SharedLedger()
    divided(ledger, "a", ("a", "b"))
    for most in (10, 20):
        assert ledger.asked(LimitWish(SUBSCRIBER, "alice", most)) is not None
    ledger.keep(limits_of(Policy(quotas=Quotas(sessions_per_subscriber=20, sessions_per_server=10))))
    assert ledger.part(SUBSCRIBER, "alice", 10) == 5, (
        "it begins with whole parts where that limit comes again"
    )
    assert ledger.part(SUBSCRIBER, "alice", 20) == 5, "what was given of a limit that stays is another one's"


def test_a_gift_that_is_under_way_while_the_policy_changes_does_not_come_back_with_a_later_one() -> None:
    giver, taker = SharedLedger(), SharedLedger()
    divided(giver, "a", ("a", "b"))
    divided(taker, "b", ("a", "b"))
    ten, twelve = (limits_of(Policy(quotas=Quotas(sessions_per_subscriber=most))) for most in (10, 12))
    for ledger in (giver, taker):
        ledger.keep(ten)
    gift = giver.asked(LimitWish(SUBSCRIBER, "alice", 10))
    assert gift is not None
    for ledger in (giver, taker):
        ledger.keep(twelve)
    taker.given(gift)
    for ledger in (giver, taker):
        ledger.keep(ten)
    assert [ledger.part(SUBSCRIBER, "alice", 10) for ledger in (giver, taker)] == [5, 5]


def test_a_wish_of_a_limit_that_the_policy_has_no_more_gets_nothing() -> None:
    ledger = SharedLedger()
    divided(ledger, "a", ("a", "b"))
    ledger.keep(limits_of(Policy(quotas=Quotas(sessions_per_subscriber=12))))
    assert ledger.asked(LimitWish(SUBSCRIBER, "alice", 10)) is None
    assert ledger.part(SUBSCRIBER, "alice", 10) == 5, "where a later policy has it, its part is whole"
    assert ledger.asked(LimitWish(SUBSCRIBER, "alice", 12)) is not None


def test_limits_that_are_none_any_more_take_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steering.core.peers.limit_parts.SHIFTED", 2)
    ledger = SharedLedger()
    divided(ledger, "a", ("a", "b"))
    assert [ledger.asked(LimitWish(SUBSCRIBER, name, 10)) is not None for name in "xyz"] == [
        True,
        True,
        False,
    ]
    ledger.keep(limits_of(Policy(quotas=Quotas(sessions_per_subscriber=12))))
    assert ledger.asked(LimitWish(SUBSCRIBER, "z", 12)) is not None


def test_the_limits_of_a_policy_are_those_of_all_its_parts() -> None:
    policy = Policy(
        quotas=Quotas(sessions_per_subscriber=1),
        rules=(PolicyRule("r", RuleConditions(), Terms(quotas=Quotas(sessions_per_server=2))),),
        classes=(SubscriberClass("gold", Quotas(sessions_per_subscriber=3)),),
        subscribers=(Subscriber("alice", quotas=Quotas(sessions_per_mcp=4)),),
        applications=(
            Application("video", quotas=Quotas(sessions_per_application=5, subflows_per_session=6)),
        ),
    )
    assert limits_of(policy) == {(0, 1), (1, 2), (0, 3), (3, 4), (2, 5)}


def test_engines_drop_what_was_given_of_a_limit_that_is_none_any_more() -> None:
    cluster = Cluster(policy=Policy(quotas=Quotas(sessions_per_subscriber=30)))
    for number in range(20):
        cluster.syn(1, 1, capable("10.1.0.2", 10_000 + number))
        cluster.now += 0.6
    ledgers: list[Any] = [engine.sessions.table.ledger for engine in cluster.engines.values()]
    assert any(ledger._shifts for ledger in ledgers)
    for name in cluster.names:
        cluster.give(name, PolicyReplaced(Policy(version=2, quotas=Quotas(sessions_per_subscriber=40))))
    assert not any(ledger._shifts for ledger in ledgers)


def test_engines_ask_each_other() -> None:
    cluster = Cluster(policy=Policy(quotas=Quotas(sessions_per_subscriber=30)))
    begun = 0
    for number in range(60):
        begun += bool(steers(cluster.syn(1, 1, capable("10.1.0.2", 10_000 + number))))
        cluster.now += 0.6
    assert 27 <= begun <= 30, "a third of it is its own, and the others need nothing"
    asked = [
        message for sender, _, message in cluster.sent if isinstance(message, LimitWish) and sender == "a"
    ]
    assert asked
