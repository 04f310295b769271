"""What a controller does when another one has taken its switches: it hands over, waits to be told whose they are, or begins anew."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from steering.cluster.coordination import PATIENCE
from steering.model.ids import DatapathId
from steering.runtime.cluster.demotion import Demotion
from steering.store.etcd.access import EtcdError, EtcdFault

S1, S2 = DatapathId(1), DatapathId(2)


class Demoted:
    """A controller `a`. `owners`: who decides where, as etcd told; `then`: what happens after so many seconds."""

    def __init__(self, several: bool = True) -> None:
        self.now = 100.0
        self.taken_back: list[DatapathId] = []
        self.owners = {S1: "", S2: ""}
        self.is_reached = True
        self.looks = 0
        self.asked = 0
        self.then: list[tuple[float, Callable[[], None]]] = []
        coordination: Any = SimpleNamespace(me=SimpleNamespace(id="a"), owner_of=self.owners.__getitem__)
        self.coordination = coordination
        self.reach(True)
        self.demotion = Demotion(
            coordination, self._look if several else None, self._ask, lambda: self.now, self._sleep,
            self.taken_back.append if several else None,
        )  # fmt: skip

    def reach(self, reached: bool) -> None:
        self.is_reached = self.coordination.reached = reached

    def _look(self) -> None:
        self.looks += 1

    def _ask(self) -> int:
        self.asked += 1
        if not self.is_reached:
            raise EtcdError(EtcdFault.UNREACHABLE, "it is cut off")
        return 7

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 1_000.0, "it waits for ever"
        due = [what for when, what in self.then if 100.0 + when <= self.now]
        self.then = [one for one in self.then if 100.0 + one[0] > self.now]
        for what in due:
            what()


def test_what_was_agreed_on_is_handed_over_at_once() -> None:
    one = Demoted()
    one.owners[S1] = "b"
    assert not one.demotion.of(S1) and one.looks == 1


@pytest.mark.row("D-6.7.1")
def test_who_took_the_switches_has_a_second_to_tell_etcd() -> None:
    one = Demoted()
    assert one.demotion.of(S1) and not one.demotion.of(S2), "one wait is for both"
    one.then = [
        (0.3, lambda: one.owners.update({S1: "b"})),
        (PATIENCE - 0.2, lambda: one.owners.update({S2: "c"})),
    ]
    assert not one.demotion.wait() and one.looks == 2 and one.now < 100.0 + PATIENCE
    assert one.demotion.of(DatapathId(1)) is False, "nothing is open any more"


@pytest.mark.parametrize("later", ["", "a"])
def test_where_nobody_says_whose_they_are_it_begins_anew_after_that(later: str) -> None:
    """Also where it gets them back meanwhile: the switch may have been read as one that it never lost."""
    one = Demoted()
    one.demotion.of(S1)
    one.then = [(0.3, lambda: one.owners.update({S1: later}))]
    assert one.demotion.wait() and one.now >= 100.0 + PATIENCE and one.asked == 1
    assert not one.taken_back


@pytest.mark.row("D-6.7.1")
def test_what_it_has_again_by_a_newer_generation_is_taken_over_anew() -> None:
    """The share went away and came back before it heard that the switches obeyed the other one."""
    one = Demoted()
    one.owners[S1] = "a"
    assert not one.demotion.of(S1) and one.taken_back == [S1] and not one.looks


def test_what_it_may_have_lost_again_is_not_taken_over() -> None:
    one = Demoted()
    one.owners[S1] = "a"
    one.reach(False)
    assert one.demotion.of(S1) and not one.taken_back


def test_it_does_not_begin_anew_while_etcd_does_not_answer() -> None:
    """Its start would end at once, with status 2."""
    one = Demoted()
    one.reach(False)
    one.owners[S1] = "b"  # as it was told before, of which it cannot know that it is so still
    assert one.demotion.of(S1)
    one.then = [(60.0, lambda: one.reach(True))]
    assert one.demotion.wait() and one.now >= 160.0 and one.asked > 1


def test_etcd_that_is_believed_to_be_there_is_asked_all_the_same() -> None:
    """That it went is noticed after some seconds only."""
    one = Demoted()
    one.is_reached = False
    one.demotion.of(S1)
    one.then = [(30.0, lambda: one.reach(True))]
    assert one.demotion.wait() and one.now >= 130.0


@pytest.mark.parametrize("owner", ["a", "b"])
def test_where_one_decides_for_all_it_begins_anew_at_once(owner: str) -> None:
    one = Demoted(several=False)
    one.owners[S1] = owner
    assert one.demotion.of(S1) and one.demotion.wait() and one.now == 100.0 and not one.taken_back
