"""Events of all controllers of a cluster at any of them: each once, in order, from those alone who may tell it."""

import json
from typing import Any

import pytest
from webob import Request

from steering.model.cluster import PeerFailure, PeerReply
from steering.northbound.http.events import KEPT, MAX_QUEUE, MAX_STREAMS
from steering.northbound.resources.member_events import MOST, SELDOM, TOLD_AT_ONCE
from steering.northbound.schema import answer_check
from steering.northbound.schema.member_events import SHARED
from steering.northbound.schema.shapes import FLAG, TEXT, WHOLE, closed, listed, one_of
from tests.support.cell_events import CellListener, began, cell_of_three, reads_on
from tests.support.fixed_view import TOKEN, north
from tests.support.northbound_cell import NorthboundCell


@pytest.mark.row("D-6.7.1")
def test_any_controller_tells_the_events_of_all_each_once() -> None:
    cell = cell_of_three()
    listeners = [CellListener(cell, name) for name in cell.names]
    began(cell, a=2, b=1)
    began(cell, b=1, c=3)
    for one in listeners:
        told = one.ids()
        assert sorted(told) == ["a:1", "a:2", "b:1", "b:2", "c:1", "c:2", "c:3"]
        assert told.index("b:1") < told.index("b:2")
        assert one.ids() == []


def test_what_happens_after_the_answer_began_is_told_though_nobody_listened_before() -> None:
    cell = NorthboundCell(a=5, b=5)
    listener = CellListener(cell, "a")
    cell.views["b"].count += 1
    cell.look()
    cell.look()
    assert listener.ids() == ["b:6"]


def test_other_events_name_their_controller_too() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
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
    listeners = [CellListener(cell, "a") for _ in range(9)]
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
    listener, mine = (
        CellListener(cell, "a", query="?controller=b"),
        CellListener(cell, "a", query="?controller=a"),
    )
    cell.silent["c"] = PeerFailure.SILENT
    began(cell, a=1, b=1, c=1)
    assert listener.ids() == ["b:1"] and mine.ids() == ["a:1"]
    assert listener.last.startswith("b:") and "," not in listener.last
    again = CellListener(cell, "c", listener.last, "?controller=b")
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
    time = b"time: 2026-11-30T12:00:00.000Z"
    assert next(pieces) == b"id: 0badcafe-1\n" + time + b'\nevent: policy\ndata: {"version":7}\n\n'


# ---- bounds ------------------------------------------------------------------------------------


def test_many_events_come_in_pages_in_slices_and_in_order() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
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
    slow, good = CellListener(cell, "a"), CellListener(cell, "a")
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
    cell = NorthboundCell(a=0, b=0, c=0, d=0)
    listener = CellListener(cell, "a")
    began(cell, a=1, b=1, c=1, d=1)
    listener.ids()
    listener.leave()
    cell.look()
    for name in cell.names:
        for version in range(KEPT):
            cell.north[name].hub.publish("policy", {"version": version})
    again = CellListener(cell, "a", listener.last)
    told = again.ids()
    assert "reset all" in told and len(told) <= MAX_QUEUE
    began(cell, a=1, b=1, c=1, d=1)
    assert sorted(again.ids()) == ["a:2", "b:2", "c:2", "d:2"]


def test_too_many_listeners_are_refused() -> None:
    cell = NorthboundCell(a=0, b=0)
    kept = [CellListener(cell, "a") for _ in range(MAX_STREAMS)]
    answer = cell.get("a", "/v1/events")
    assert answer.status_int == 503 and len(kept) == MAX_STREAMS


def page(**changed: Any) -> bytes:
    return json.dumps(
        {"run": "0badcafe0", "begin": 0, "end": 1, "more": False, "events": []} | changed
    ).encode()


def one(number: int, kind: str = "policy", **data: Any) -> dict[str, Any]:
    return {"number": number, "kind": kind, "data": data}


# The schema by which controllers checked each other's events before these had a time: a cluster is upgraded one by one.
EARLIER = closed(
    run=TEXT, begin=WHOLE, end=WHOLE, more=FLAG,
    events=listed(closed(number=WHOLE, kind=one_of(*SHARED), data={"type": "object"})),
)  # fmt: skip


def test_a_controller_of_an_earlier_version_takes_what_one_of_today_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
    monkeypatch.setitem(answer_check._OF_PEERS, "MemberEvents", EARLIER)
    began(cell, b=1)
    assert listener.ids() == ["b:1"] and cell.failures == []


@pytest.mark.parametrize("told_at", [None, True, "now", -1, 1e300, [1], {}])
def test_a_time_that_is_none_is_left_out_and_no_part_of_what_is_told(told_at: Any) -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
    cell.lies["b"] = PeerReply(200, page(events=[one(1, version=7, told_at=told_at)]))
    cell.look()
    assert listener.told() == [("policy", {"version": 7, "controller": "b"})] and listener.times == []


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
    listener = CellListener(cell, "a")
    cell.lies["b"] = PeerReply(200, lie)
    began(cell, c=1)
    assert listener.ids() == ["b malformed", "c:1"]
    assert cell.failures == [("b", PeerFailure.MALFORMED)]


def test_a_controller_that_repeats_itself_is_heard_once() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
    cell.lies["b"] = PeerReply(200, page(events=[one(1, version=1)]))
    for _ in range(3):
        cell.look()
    assert [kind for kind, _ in listener.told()] == ["policy"]


def test_who_does_not_answer_is_asked_seldom() -> None:
    cell = cell_of_three()
    listener = CellListener(cell, "a")
    cell.silent["b"] = PeerFailure.SILENT
    for _ in range(3 * (SELDOM + 1)):
        cell.look()
    assert sum(name == "b" for name, _ in cell.asked) == 1 + 3
    assert listener.ids() == ["b silent"]


def test_who_forbids_it_is_named() -> None:
    cell = NorthboundCell(a=0, b=0)
    cell.lies["b"] = PeerReply(403, b"{}")
    assert CellListener(cell, "a").ids() == ["b refused"]


def test_a_controller_without_room_to_ask_asks_again() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
    cell.silent["b"] = PeerFailure.BUSY
    began(cell, b=1)
    assert listener.ids() == []
    del cell.silent["b"]
    cell.look()
    assert listener.ids() == ["b:1"]


def test_intents_and_bindings_stay_with_their_mcp() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
    for kind in ("subflows", "bindings"):
        cell.north["b"].hub.publish(kind, {"mcp": "core"})
        cell.north["a"].hub.publish(kind, {"mcp": "core"})
    cell.look()
    assert listener.told() == []
