"""Events of all controllers of a cluster at any of them: each once, in order, after the last one seen, and no gap in silence."""

import json
import threading
from itertools import pairwise
from typing import Any

import pytest
from webob import Request

from steering.model.cluster import PeerFailure, PeerReply
from steering.northbound.http.events import KEPT, MAX_QUEUE, MAX_STREAMS
from steering.northbound.resources.member_events import LEASE, MOST, SELDOM, TOLD_AT_ONCE
from tests.support import member_listener
from tests.support.fixed_view import TOKEN, north
from tests.support.member_listener import Told
from tests.support.northbound_cell import NorthboundCell
from tests.support.waiting import wait_for


class Listener(member_listener.Listener):
    """A client of the events of one controller of a cell."""

    def __init__(self, cell: NorthboundCell, name: str, last: str = "", query: str = "") -> None:
        super().__init__(cell.north[name].application, last, query)

    def ids(self) -> list[str]:
        """Of sessions that began, and words about controllers and gaps."""
        return [_short(one) for one in self.told()]


def _short(one: Told) -> str:
    kind, data = one
    if kind == "session":
        assert data["id"].startswith(f"{data['controller']}:")
        return str(data["id"])
    name = data.get("controller", "all")
    if kind == "controller":
        return f"{name} heard" if data["heard"] else f"{name} {data['why']}"
    return f"{kind} {name}"


def began(cell: NorthboundCell, **sessions: int) -> None:
    for name, count in sessions.items():
        cell.views[name].count += count
    cell.look()


def unheard(cell: NorthboundCell, **sessions: int) -> None:
    """They begin while nobody listens to their controller, which then notes no changes of sessions."""
    for name, count in sessions.items():
        cell.views[name].count += count
        cell.views[name].told = cell.views[name].count
    cell.look()


def reads_on(cell: NorthboundCell, listener: Listener) -> tuple[list[Told], list[int]]:
    """What it reads whenever others have their turn, and how much each time."""
    found: list[Told] = []
    sizes: list[int] = []

    def pause() -> None:
        cell.pause = lambda: None
        told = listener.told()
        sizes.append(len(told))
        found.extend(told)
        cell.pause = pause

    cell.pause = pause
    return found, sizes


def cell_of_three() -> NorthboundCell:
    return NorthboundCell(a=0, b=0, c=0)


@pytest.mark.row("D-6.7.1")
def test_any_controller_tells_the_events_of_all_each_once() -> None:
    cell = cell_of_three()
    listeners = [Listener(cell, name) for name in cell.names]
    began(cell, a=2, b=1)
    began(cell, b=1, c=3)
    for one in listeners:
        told = one.ids()
        assert sorted(told) == ["a:1", "a:2", "b:1", "b:2", "c:1", "c:2", "c:3"]
        assert told.index("b:1") < told.index("b:2")
        assert one.ids() == []


def test_what_happens_after_the_answer_began_is_told_though_nobody_listened_before() -> None:
    cell = NorthboundCell(a=5, b=5)
    listener = Listener(cell, "a")
    cell.views["b"].count += 1
    cell.look()
    cell.look()
    assert listener.ids() == ["b:6"]


def test_other_events_name_their_controller_too() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = Listener(cell, "a")
    for name in cell.names:
        cell.north[name].hub.publish("policy", {"version": 7})
    cell.look()
    assert sorted(json.dumps(one) for one in listener.told()) == [
        json.dumps(["policy", {"version": 7, "controller": name}]) for name in cell.names
    ]


def test_one_question_at_a_time_however_many_listen_and_none_for_nobody() -> None:
    cell = cell_of_three()
    cell.look()
    assert cell.asked == []
    listeners = [Listener(cell, "a") for _ in range(9)]
    assert len(cell.asked) == 2, "the first listener has both asked"
    cell.look()
    assert len(cell.asked) == 4
    for one in listeners:
        one.leave()
    cell.look()
    cell.look()
    assert len(cell.asked) == 4


def test_the_events_of_one_controller_alone() -> None:
    cell = cell_of_three()
    listener, mine = Listener(cell, "a", query="?controller=b"), Listener(cell, "a", query="?controller=a")
    cell.silent["c"] = PeerFailure.SILENT
    began(cell, a=1, b=1, c=1)
    assert listener.ids() == ["b:1"] and mine.ids() == ["a:1"]
    assert listener.last.startswith("b:") and "," not in listener.last
    again = Listener(cell, "c", listener.last, "?controller=b")
    began(cell, b=1)
    assert again.ids() == ["b:2"]
    assert cell.get("a", "/v1/events?controller=x").status_int == 400


def test_without_a_cluster_nothing_is_named() -> None:
    made = north()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = Request.blank("/v1/events?controller=a", headers=headers).get_response(made.application)
    assert answer.status_int == 400
    answer = Request.blank("/v1/events", headers=headers).get_response(made.application)
    made.hub.publish("policy", {"version": 7})
    pieces = iter(answer.app_iter)
    next(pieces)
    assert next(pieces) == b'id: 0badcafe-1\nevent: policy\ndata: {"version":7}\n\n'


# ---- after the last event ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_listener_goes_on_at_any_controller_after_the_last_event_that_it_saw(name: str) -> None:
    cell = cell_of_three()
    first = Listener(cell, "a")
    began(cell, a=1, b=1, c=1)
    assert sorted(first.ids()) == ["a:1", "b:1", "c:1"]
    first.leave()
    began(cell, a=2, b=1, c=1)  # while it has no stream
    second = Listener(cell, name, first.last)
    began(cell, b=1)
    assert sorted(second.ids()) == ["a:2", "a:3", "b:2", "b:3", "c:2"]


def test_listeners_that_stood_at_different_places_both_miss_nothing() -> None:
    cell = cell_of_three()
    early, late = Listener(cell, "a"), Listener(cell, "a")
    began(cell, b=2, c=1)
    early.leave()
    last = Listener(cell, "a", late.last).last
    assert sorted(late.ids()) == ["b:1", "b:2", "c:1"]
    began(cell, b=1)
    assert late.ids() == ["b:3"]
    # Both go to c: the later one first, and c asks b from there on.
    behind = "a:0badcafe0-0,b:0badcafe0-1,c:0badcafe0-0"
    ahead = Listener(cell, "c", late.last)
    follows = Listener(cell, "c", behind)
    began(cell, b=1)
    assert ahead.ids() == ["b:4"]
    assert sorted(follows.ids()) == ["b:2", "b:3", "b:4", "c:1"]
    assert last == ""


def test_who_has_seen_more_than_the_controller_it_goes_to_hears_nothing_twice() -> None:
    cell = cell_of_three()
    there, here = Listener(cell, "c"), Listener(cell, "a")
    cell.views["b"].count += 3
    cell.now += 0.5
    cell.north["b"].watcher.look()
    cell.north["a"].gather()  # c has not asked yet
    assert here.ids() == ["b:1", "b:2", "b:3"]
    moved = Listener(cell, "c", here.last)
    cell.look()
    began(cell, b=1)
    assert moved.ids() == ["b:4"] and there.ids() == ["b:1", "b:2", "b:3", "b:4"]


def test_a_controller_that_died_is_named_and_its_listener_misses_nothing_of_the_others() -> None:
    cell = cell_of_three()
    first = Listener(cell, "a")
    began(cell, a=1, b=1, c=1)
    first.ids()
    cell.silent["a"] = PeerFailure.UNREACHABLE
    began(cell, b=1, c=1)
    second = Listener(cell, "c", first.last)
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
    listener = Listener(cell, "a")
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
    listener = Listener(cell, "a")
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
    listener = Listener(cell, "a")
    cell.silent["b"] = PeerFailure.SILENT
    cell.look()
    for version in range(KEPT + 1):
        cell.north["b"].hub.publish("policy", {"version": version})
    del cell.silent["b"]
    found, _ = reads_on(cell, listener)
    for _ in range(SELDOM + 1):
        cell.look()
    cell.pause()
    assert [_short(one) for one in found[:3]] == ["b silent", "b heard", "reset b"]
    assert [data["version"] for _, data in found[3:]] == list(range(1, KEPT + 1))


def test_a_controller_that_is_not_heard_when_a_listener_comes_is_named_to_it() -> None:
    cell = cell_of_three()
    cell.silent["b"] = PeerFailure.OLD
    first, second = Listener(cell, "a"), Listener(cell, "a")
    assert first.ids() == second.ids() == ["b old"]
    del cell.silent["b"]
    for _ in range(SELDOM + 1):
        cell.look()
    assert first.ids() == second.ids() == ["b heard", "reset b"], "what it did before is not known"


def test_a_listener_that_comes_back_late_is_told_that_it_has_missed_something() -> None:
    cell = cell_of_three()
    listener = Listener(cell, "a")
    began(cell, a=1, b=1)
    listener.ids()
    listener.leave()
    cell.look(LEASE + 1)
    unheard(cell, a=1, b=1, c=1)
    again = Listener(cell, "a", listener.last)
    assert sorted(again.ids()) == ["reset a", "reset b", "reset c"]
    began(cell, c=1)
    assert again.ids() == ["c:2"]


@pytest.mark.parametrize(
    "last", ["0badcafe-3", "x", "a:0badcafe0-1,a:0badcafe0-1", "a:0badcafe0-1,", "a" * 5_000]
)
def test_an_id_that_is_none_is_a_gap_of_all(last: str) -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = Listener(cell, "a", last)
    began(cell, b=1)
    assert listener.ids() == ["reset all", "b:1"]


def test_an_id_of_more_members_than_there_may_be_is_none() -> None:
    cell = NorthboundCell(a=0, b=0)
    many = ",".join(f"m{number}:0badcafe0-1" for number in range(65))
    assert Listener(cell, "a", many).ids() == ["reset all"]


def test_an_id_that_was_made_up_harms_no_other_listener() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = Listener(cell, "a")
    began(cell, b=3)
    for made_up in ("0badcafe0-0", "0badcafe0-999", "feedbeef0-7", "0badcafe7-1"):
        Listener(cell, "a", f"a:0badcafe0-0,b:{made_up}")
        began(cell, b=1)
    assert listener.ids() == [f"b:{number}" for number in range(1, 8)]
    first = NorthboundCell(a=0, b=0)
    Listener(first, "a", "a:0badcafe0-999,b:0badcafe0-999")
    second = Listener(first, "a")
    began(first, b=1)
    assert second.ids()[-1] == "b:1"


def test_a_listener_that_comes_while_events_are_told_hears_each_once() -> None:
    cell = NorthboundCell(a=0, b=0)
    first = Listener(cell, "a")
    began(cell, b=1)
    first.ids()
    for version in range(TOLD_AT_ONCE + 9):
        cell.north["b"].hub.publish("policy", {"version": version})
    came: list[Listener] = []
    opens = threading.Thread(target=lambda: came.append(Listener(cell, "a", first.last)))

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
    first = Listener(cell, "a")
    began(cell, b=1)
    first.ids()
    began(cell, b=1)
    came: list[Listener] = []
    opens = threading.Thread(target=lambda: came.append(Listener(cell, "a", first.last)))

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


# ---- bounds ------------------------------------------------------------------------------------


def test_many_events_come_in_pages_in_slices_and_in_order() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = Listener(cell, "a")
    for version in range(2 * MOST + 5):
        cell.north["b"].hub.publish("policy", {"version": version})
    found, sizes = reads_on(cell, listener)
    cell.look()
    cell.pause()
    assert [data["version"] for _, data in found] == list(range(2 * MOST + 5))
    assert max(sizes) <= TOLD_AT_ONCE
    after = [request.target for _, request in cell.asked][-3:]
    assert len(set(after)) == 3 and all("after=" in one for one in after)


def test_a_listener_that_does_not_read_is_dropped_and_counted() -> None:
    cell = NorthboundCell(a=0, b=0)
    slow, good = Listener(cell, "a"), Listener(cell, "a")
    for version in range(MAX_QUEUE + 1):
        cell.north["b"].hub.publish("policy", {"version": version})
        if not version % MOST:
            cell.look()
            good.told()
    cell.look()
    good.told()
    with pytest.raises(StopIteration):
        slow.told()
    assert cell.north["a"].hub.dropped == 1 and cell.north["a"].hub.streams == 1


def test_a_listener_that_has_missed_more_than_a_queue_holds_begins_anew() -> None:
    cell = cell_of_three()
    listener = Listener(cell, "a")
    began(cell, a=1, b=1, c=1)
    listener.ids()
    listener.leave()
    cell.look()
    for name in cell.names:
        for version in range(MAX_QUEUE // 2):
            cell.north[name].hub.publish("policy", {"version": version})
    again = Listener(cell, "a", listener.last)
    told = again.ids()
    assert "reset all" in told and len(told) <= MAX_QUEUE
    began(cell, a=1, b=1, c=1)
    assert sorted(again.ids()) == ["a:2", "b:2", "c:2"]


def test_too_many_listeners_are_refused() -> None:
    cell = NorthboundCell(a=0, b=0)
    kept = [Listener(cell, "a") for _ in range(MAX_STREAMS)]
    answer = cell.get("a", "/v1/events")
    assert answer.status_int == 503 and len(kept) == MAX_STREAMS


def page(**changed: Any) -> bytes:
    return json.dumps(
        {"run": "0badcafe0", "begin": 0, "end": 1, "more": False, "events": []} | changed
    ).encode()


def one(number: int, kind: str = "policy", **data: Any) -> dict[str, Any]:
    return {"number": number, "kind": kind, "data": data}


LIES = [
    b"", b"{}", b"[]", b"\xff", page(run="no"), page(run="0badcafe0\n"), page(begin=-1), page(end=10**18),
    page(begin=2), page(events=[one(0)]), page(events=[one(2)]), page(end=9, events=[one(3), one(3)]),
    page(events=[one(1, "session", id="a:1", change="ended")]), page(events=[one(1, "session", change="ended")]),
    page(events=[one(1, "subflow", session="c:1")]), page(events=[one(1, "subflows")]),
    page(events=[one(1, "bindings")]), page(events=[one(1, "reset")]), page(events=[one(1, "controller")]),
    page(events=[one(1, "x")]), page(events=[{"number": True, "kind": "policy", "data": {}}]),
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_what_no_controller_would_say_is_refused_counted_and_named(lie: bytes) -> None:
    cell = cell_of_three()
    listener = Listener(cell, "a")
    cell.lies["b"] = PeerReply(200, lie)
    began(cell, c=1)
    assert listener.ids() == ["b malformed", "c:1"]
    assert cell.failures == [("b", PeerFailure.MALFORMED)]


def test_a_controller_that_repeats_itself_is_heard_once() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = Listener(cell, "a")
    cell.lies["b"] = PeerReply(200, page(events=[one(1, version=1)]))
    for _ in range(3):
        cell.look()
    assert [kind for kind, _ in listener.told()] == ["policy"]


def test_who_does_not_answer_is_asked_seldom() -> None:
    cell = cell_of_three()
    listener = Listener(cell, "a")
    cell.silent["b"] = PeerFailure.SILENT
    for _ in range(3 * (SELDOM + 1)):
        cell.look()
    assert sum(name == "b" for name, _ in cell.asked) == 1 + 3
    assert listener.ids() == ["b silent"]


def test_who_forbids_it_is_named() -> None:
    cell = NorthboundCell(a=0, b=0)
    cell.lies["b"] = PeerReply(403, b"{}")
    assert Listener(cell, "a").ids() == ["b refused"]


def test_a_controller_without_room_to_ask_asks_again() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = Listener(cell, "a")
    cell.silent["b"] = PeerFailure.BUSY
    began(cell, b=1)
    assert listener.ids() == []
    del cell.silent["b"]
    cell.look()
    assert listener.ids() == ["b:1"]


def test_intents_and_bindings_stay_with_their_mcp() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = Listener(cell, "a")
    for kind in ("subflows", "bindings"):
        cell.north["b"].hub.publish(kind, {"mcp": "core"})
        cell.north["a"].hub.publish(kind, {"mcp": "core"})
    cell.look()
    assert listener.told() == []


def test_ids_of_one_stream_never_go_back() -> None:
    cell = cell_of_three()
    listener, seen = Listener(cell, "a"), []
    for _ in range(4):
        began(cell, a=1, b=1, c=1)
        listener.told()
        seen.append(
            {part.partition(":")[0]: int(part.rpartition("-")[2]) for part in listener.last.split(",")}
        )
    for before, after in pairwise(seen):
        assert all(after[name] > number for name, number in before.items())
