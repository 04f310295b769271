"""A client of events that goes on after the last one it saw, at any controller of a cluster: nothing twice, and no gap in silence."""

import threading
from itertools import pairwise

import pytest

from steering.model.cluster import PeerFailure
from steering.northbound.http.events import KEPT
from steering.northbound.resources.member_events import LEASE, SELDOM, TOLD_AT_ONCE
from tests.support.cell_events import CellListener, began, cell_of_three, in_words, reads_on, unheard
from tests.support.northbound_cell import NorthboundCell
from tests.support.waiting import wait_for


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_listener_goes_on_at_any_controller_after_the_last_event_that_it_saw(name: str) -> None:
    cell = cell_of_three()
    first = CellListener(cell, "a")
    began(cell, a=1, b=1, c=1)
    assert sorted(first.ids()) == ["a:1", "b:1", "c:1"]
    first.leave()
    began(cell, a=2, b=1, c=1)  # while it has no stream
    second = CellListener(cell, name, first.last)
    began(cell, b=1)
    assert sorted(second.ids()) == ["a:2", "a:3", "b:2", "b:3", "c:2"]


def test_listeners_that_stood_at_different_places_both_miss_nothing() -> None:
    cell = cell_of_three()
    early, late = CellListener(cell, "a"), CellListener(cell, "a")
    began(cell, b=2, c=1)
    early.leave()
    last = CellListener(cell, "a", late.last).last
    assert sorted(late.ids()) == ["b:1", "b:2", "c:1"]
    began(cell, b=1)
    assert late.ids() == ["b:3"]
    # Both go to c: the later one first, and c asks b from there on.
    behind = "a:0badcafe0-0,b:0badcafe0-1,c:0badcafe0-0"
    ahead = CellListener(cell, "c", late.last)
    follows = CellListener(cell, "c", behind)
    began(cell, b=1)
    assert ahead.ids() == ["b:4"]
    assert sorted(follows.ids()) == ["b:2", "b:3", "b:4", "c:1"]
    assert last == ""


def test_who_has_seen_more_than_the_controller_it_goes_to_hears_nothing_twice() -> None:
    cell = cell_of_three()
    there, here = CellListener(cell, "c"), CellListener(cell, "a")
    cell.views["b"].count += 3
    cell.now += 0.5
    cell.north["b"].watcher.look()
    cell.north["a"].gather()  # c has not asked yet
    assert here.ids() == ["b:1", "b:2", "b:3"]
    moved = CellListener(cell, "c", here.last)
    cell.look()
    began(cell, b=1)
    assert moved.ids() == ["b:4"] and there.ids() == ["b:1", "b:2", "b:3", "b:4"]


def test_a_controller_that_died_is_named_and_its_listener_misses_nothing_of_the_others() -> None:
    cell = cell_of_three()
    first = CellListener(cell, "a")
    began(cell, a=1, b=1, c=1)
    first.ids()
    cell.silent["a"] = PeerFailure.UNREACHABLE
    began(cell, b=1, c=1)
    second = CellListener(cell, "c", first.last)
    assert second.ids() == ["c:2", "a unreachable", "b:2"]
    cell.starts("a", "1badcafe")
    del cell.silent["a"]
    for _ in range(SELDOM + 1):
        cell.look()
    assert second.ids() == ["a heard", "reset a"]
    began(cell, a=1, b=1)
    assert sorted(second.ids()) == ["a:2", "b:3"]


def test_a_cut_that_was_short_leaves_no_gap() -> None:
    cell = cell_of_three()
    listener = CellListener(cell, "a")
    began(cell, b=1)
    cell.silent["b"] = PeerFailure.SILENT
    began(cell, b=2, c=1)
    assert sorted(listener.ids()) == ["b silent", "b:1", "c:1"]
    del cell.silent["b"]
    for _ in range(SELDOM + 1):
        cell.look()
    assert listener.ids() == ["b heard", "b:2", "b:3"]


def test_a_cut_in_which_a_controller_had_nobody_to_tell_is_a_gap_that_is_marked() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
    began(cell, b=1)
    cell.silent["b"] = PeerFailure.SILENT
    cell.look(LEASE + 1)
    unheard(cell, b=1)
    del cell.silent["b"]
    for _ in range(SELDOM + 1):
        cell.look()
    began(cell, b=1)
    assert listener.ids() == ["b:1", "b silent", "b heard", "reset b", "b:3"]


def test_more_events_than_a_controller_keeps_are_a_gap_that_is_marked() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
    cell.silent["b"] = PeerFailure.SILENT
    cell.look()
    for version in range(KEPT + 1):
        cell.north["b"].hub.publish("policy", {"version": version})
    del cell.silent["b"]
    found, _ = reads_on(cell, listener)
    for _ in range(SELDOM + 1):
        cell.look()
    cell.pause()
    assert [in_words(one) for one in found[:3]] == ["b silent", "b heard", "reset b"]
    assert [data["version"] for _, data in found[3:]] == list(range(1, KEPT + 1))


def test_a_controller_that_is_not_heard_when_a_listener_comes_is_named_to_it() -> None:
    cell = cell_of_three()
    cell.silent["b"] = PeerFailure.OLD
    first, second = CellListener(cell, "a"), CellListener(cell, "a")
    assert first.ids() == second.ids() == ["b old"]
    del cell.silent["b"]
    for _ in range(SELDOM + 1):
        cell.look()
    assert first.ids() == second.ids() == ["b heard", "reset b"], "what it did before is not known"


def test_a_listener_that_comes_back_late_is_told_that_it_has_missed_something() -> None:
    cell = cell_of_three()
    listener = CellListener(cell, "a")
    began(cell, a=1, b=1)
    listener.ids()
    listener.leave()
    cell.look(LEASE + 1)
    unheard(cell, a=1, b=1, c=1)
    again = CellListener(cell, "a", listener.last)
    assert sorted(again.ids()) == ["reset a", "reset b", "reset c"]
    began(cell, c=1)
    assert again.ids() == ["c:2"]


@pytest.mark.parametrize(
    "last", ["0badcafe-3", "x", "a:0badcafe0-1,a:0badcafe0-1", "a:0badcafe0-1,", "a" * 5_000]
)
def test_an_id_that_is_none_is_a_gap_of_all(last: str) -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a", last)
    began(cell, b=1)
    assert listener.ids() == ["reset all", "b:1"]


def test_an_id_of_more_members_than_there_may_be_is_none() -> None:
    cell = NorthboundCell(a=0, b=0)
    many = ",".join(f"m{number}:0badcafe0-1" for number in range(65))
    assert CellListener(cell, "a", many).ids() == ["reset all"]


def test_an_id_that_was_made_up_harms_no_other_listener() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
    began(cell, b=3)
    for made_up in ("0badcafe0-0", "0badcafe0-999", "feedbeef0-7", "0badcafe7-1"):
        CellListener(cell, "a", f"a:0badcafe0-0,b:{made_up}")
        began(cell, b=1)
    assert listener.ids() == [f"b:{number}" for number in range(1, 8)]
    first = NorthboundCell(a=0, b=0)
    CellListener(first, "a", "a:0badcafe0-999,b:0badcafe0-999")
    second = CellListener(first, "a")
    began(first, b=1)
    assert second.ids()[-1] == "b:1"


def test_a_listener_that_comes_while_events_are_told_hears_each_once() -> None:
    cell = NorthboundCell(a=0, b=0)
    first = CellListener(cell, "a")
    began(cell, b=1)
    first.ids()
    for version in range(TOLD_AT_ONCE + 9):
        cell.north["b"].hub.publish("policy", {"version": version})
    came: list[CellListener] = []
    opens = threading.Thread(target=lambda: came.append(CellListener(cell, "a", first.last)))

    def pause() -> None:
        cell.pause = lambda: None
        looked = len(cell.controls["a"].given)
        opens.start()
        # It stands before what is being told right now, and waits for the end of that.
        wait_for(lambda: len(cell.controls["a"].given) > looked)

    cell.pause = pause
    cell.north["a"].gather()
    opens.join()
    for one in (first, *came):
        assert [data["version"] for _, data in one.told()] == list(range(TOLD_AT_ONCE + 9))
    assert len(came) == 1


def test_a_listener_that_comes_while_an_answer_is_waited_for_hears_each_once() -> None:
    cell = NorthboundCell(a=0, b=0)
    first = CellListener(cell, "a")
    began(cell, b=1)
    first.ids()
    began(cell, b=1)
    came: list[CellListener] = []
    opens = threading.Thread(target=lambda: came.append(CellListener(cell, "a", first.last)))

    def answering() -> None:
        cell.answering = lambda: None
        looked = len(cell.controls["a"].given)
        opens.start()
        wait_for(lambda: len(cell.controls["a"].given) > looked)

    cell.answering = answering
    cell.views["b"].count += 1
    cell.look()
    opens.join()
    cell.look()
    assert first.ids() == ["b:2", "b:3"] and [one.ids() for one in came] == [["b:2", "b:3"]]


def test_ids_of_one_stream_never_go_back() -> None:
    cell = cell_of_three()
    listener, seen = CellListener(cell, "a"), []
    for _ in range(4):
        began(cell, a=1, b=1, c=1)
        listener.told()
        seen.append(
            {part.partition(":")[0]: int(part.rpartition("-")[2]) for part in listener.last.split(",")}
        )
    for before, after in pairwise(seen):
        assert all(after[name] > number for name, number in before.items())
