"""Whoever comes, goes, dies, is cut off or takes switches over: all together never let more begin than the limit says, and when
all is well again what is counted is what lives (D-6.3f, D-6.7.1)."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.limit_world import KEYS, SUBSCRIBER, World

NAMES = ("a", "b", "c")
SWITCHES = 3
MEMBERS, PLACES, WHO = st.sampled_from(NAMES), st.integers(0, SWITCHES - 1), "anna"


class Limits(RuleBasedStateMachine):
    @initialize(number=st.integers(1, 3), most=st.sampled_from((2, 6, 12)))
    def starts(self, number: int, most: int) -> None:
        self.world = World(NAMES[:number], SWITCHES, most)

    @rule(dpid=PLACES, times=st.sampled_from((1, 3, 99)))
    def begins(self, dpid: int, times: int) -> None:
        while times and self.world.begins(dpid, WHO):
            times -= 1

    @rule(name=MEMBERS)
    def fills(self, name: str) -> None:
        """It asks for more as long as it gets more."""
        for _ in range(4):
            for dpid, master in self.world.masters.items():
                while master == name and self.world.begins(dpid, WHO):
                    pass
            if name in self.world.members:
                self.world.ticks(name)
            for other in NAMES:
                for by, to in ((name, other), (other, name)):
                    while self.world.deliver(by, to):
                        pass

    @rule(dpid=PLACES, times=st.integers(1, 6))
    def ends(self, dpid: int, times: int) -> None:
        for _ in range(times):
            self.world.ends(dpid)

    @rule(name=MEMBERS)
    def comes(self, name: str) -> None:
        self.world.comes(name)

    @rule(name=MEMBERS)
    def dies(self, name: str) -> None:
        self.world.dies(name)

    @rule(group=st.sets(MEMBERS, min_size=1, max_size=2))
    def parts(self, group: set[str]) -> None:
        self.world.parts(group & self.world.members.keys())

    @rule()
    def comes_through_again(self) -> None:
        self.world.cut.clear()

    @rule(name=MEMBERS, dpid=PLACES)
    def takes(self, name: str, dpid: int) -> None:
        if name in self.world.members:
            self.world.takes(name, dpid)

    @rule(name=MEMBERS, forgets=st.booleans())
    def hears(self, name: str, forgets: bool) -> None:
        if name in self.world.members:
            self.world.hears(name)
            if forgets:
                self.world.forgets(name, 99)

    @rule(name=MEMBERS)
    def reads(self, name: str) -> None:
        if name in self.world.members:
            for dpid in sorted(self.world.members[name].unread):
                self.world.reads(name, dpid)
            self.world.ticks(name)

    @rule(name=MEMBERS, some=st.sampled_from((1, 99)))
    def forgets(self, name: str, some: int) -> None:
        if name in self.world.members:
            self.world.forgets(name, some)

    @rule(name=MEMBERS)
    def ticks(self, name: str) -> None:
        if name in self.world.members:
            self.world.ticks(name)

    @rule(by=MEMBERS, to=MEMBERS, some=st.sampled_from((1, 2, 99)))
    def delivers(self, by: str, to: str, some: int) -> None:
        while some and self.world.deliver(by, to):
            some -= 1

    @rule()
    def settles(self) -> None:
        self.world.settle()

    @rule()
    def heals(self) -> None:
        self.world.heals()
        self.is_well()

    def is_well(self) -> None:
        world = self.world
        for member in world.members.values():
            assert member.ledger.is_divided, "all have their parts again"
            for who in KEYS:
                lives = sum(
                    world.live[dpid].count(who)
                    for dpid, master in world.masters.items()
                    if master == member.name
                )
                assert member.ledger._used(SUBSCRIBER, who) == lives, "what is counted is what lives"
        for who in KEYS:
            key = (SUBSCRIBER, who, world.most)
            own = [one.ledger._own(key, one.ledger._shifts.get(key, 0)) for one in world.members.values()]
            assert sum(own) == world.most, "nothing of the limit is lost"

    @invariant()
    def nobody_is_over_a_limit(self) -> None:
        for who in KEYS:
            assert self.world.total(who) <= self.world.most

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.heals()


Limits.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLimits = pytest.mark.row("D-6.3f", "D-6.4i", "D-6.7.1")(Limits.TestCase)
