"""GET /v1/events?since=: what is kept from then on comes first, with its time; of one controller alone, and of one of a cluster."""

from typing import Any

import pytest
from webob import Request

from steering.northbound.http.events import KEPT
from tests.support.cell_events import CellListener, began, unheard
from tests.support.fixed_view import TOKEN, WALL, FixedView, north
from tests.support.member_listener import Listener
from tests.support.northbound_cell import NorthboundCell


def refusal(application: Any, query: str) -> str:
    request = Request.blank(f"/v1/events{query}", headers={"Authorization": f"Bearer {TOKEN}"})
    answer = request.get_response(application)
    assert answer.status_int == 400, answer.body
    return str(answer.json["detail"])


def test_what_was_told_to_another_reader_is_told_again_with_its_time() -> None:
    time = [WALL]
    made = north(wall=lambda: time[0], heartbeat=0.001)
    first = Listener(made.application)
    time[0] += 60.0
    made.hub.publish("policy", {"version": 7})
    time[0] += 60.0
    again = Listener(made.application, query="?since=1m")
    assert again.told() == first.told() == [("policy", {"version": 7})]
    assert again.times == ["2026-11-30T12:01:00.000Z"]
    assert Listener(made.application, query="?since=59s").told() == []


def test_where_nobody_listened_the_reader_is_told_so_and_what_is_kept_all_the_same() -> None:
    made = north(heartbeat=0.001)
    made.hub.publish("alarm", {"name": "lte"})
    assert Listener(made.application, query="?since=1m").told() == [("reset", {}), ("alarm", {"name": "lte"})]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?since=yesterday", "a time with its zone"),
        ("?since=2026-11-30T11:00:00", "a time with its zone"),
        ("?since=2026-11-30T12:00:00+01:00", "a time with its zone"),  # a + that is not quoted is a space
        ("?since=2026-11-30T12:02:00Z", "still to come"),
        ("?since=1m&since=2m", "more than once"),
    ],
)
def test_a_time_that_cannot_be_is_refused(query: str, said: str) -> None:
    assert said in refusal(north().application, query)
    assert said in refusal(NorthboundCell(a=0, b=0).north["a"].application, f"{query}&controller=a")


def test_a_controller_of_a_cluster_tells_its_own() -> None:
    cell = NorthboundCell(a=0, b=0)
    unheard(cell, a=1)
    cell.north["a"].hub.publish("policy", {"version": 7})
    first = CellListener(cell, "a")
    began(cell, a=1, b=1)
    assert first.ids() == ["a:2", "b:1"]
    again = CellListener(cell, "a", query="?since=1m&controller=a")
    assert [kind for kind, _ in again.told()] == ["reset", "policy", "session"]
    began(cell, a=1, b=1)
    assert again.ids() == ["a:3"]
    resumed = CellListener(cell, "a", again.last, "?since=1m&controller=a")
    assert resumed.ids() == []
    for one in (first, again, resumed):
        one.leave()
    unheard(cell, a=1)
    cell.look(seconds=60.0)  # by now nobody counts as a listener
    cell.north["a"].hub.publish("policy", {"version": 8})
    later = CellListener(cell, "a", query="?since=1m&controller=a")
    assert [kind for kind, _ in later.told()] == ["reset", "policy", "session", "session", "reset", "policy"]
    began(cell, a=1)
    assert [kind for kind, _ in later.told()] == ["session"]
    assert "controller=a" in refusal(cell.north["a"].application, "?since=1m")
    assert "controller=a" in refusal(cell.north["a"].application, "?since=1m&controller=b")


def test_in_a_cluster_too_all_is_told_where_all_is_known() -> None:
    cell = NorthboundCell(a=0, b=0)
    CellListener(cell, "a")
    began(cell, a=2)
    whole = CellListener(cell, "a", query="?since=0s&controller=a")
    assert whole.ids() == ["a:1", "a:2"]
    assert CellListener(NorthboundCell(a=0), "a", query="?since=0s&controller=a").told() == [
        ("reset", {"controller": "a"})
    ]


def test_all_that_a_busy_controller_keeps_is_told_and_what_the_first_look_finds() -> None:
    view = FixedView()
    made = north(view, heartbeat=0.001)
    Listener(made.application)
    for version in range(KEPT):
        made.hub.publish("policy", {"version": version})
    view.count += 1  # so that the look of the one who comes has something to tell
    told = Listener(made.application, query="?since=1h").told()
    assert [data["version"] for kind, data in told if kind == "policy"] == list(range(KEPT))
    assert told[-1][0] == "session"


@pytest.mark.parametrize("runs", [1, KEPT])
def test_all_that_a_busy_controller_of_a_cluster_keeps_is_told(runs: int) -> None:
    cell = NorthboundCell(a=0, b=0)
    hub = cell.north["a"].hub
    CellListener(cell, "a")
    for version in range(KEPT):
        if version < runs:
            hub.fall_silent()
            hub.begin_to_be_heard()
        hub.publish("policy", {"version": version})
    cell.views["a"].count += 1
    told = CellListener(cell, "a", query="?since=1h&controller=a").told()
    assert [data["version"] for kind, data in told if kind == "policy"] == list(range(KEPT))
    assert told[-1][0] == "session"


def test_in_a_cluster_a_reader_that_comes_back_late_is_told_all_that_is_kept() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
    began(cell, a=1, b=1)
    listener.ids()
    listener.leave()
    cell.look()
    for name in cell.names:
        for version in range(KEPT):
            cell.north[name].hub.publish("policy", {"version": version})
    cell.views["a"].count += 1
    kinds = [kind for kind, _ in CellListener(cell, "a", listener.last).told()]
    assert sorted(kinds) == ["policy"] * 2 * KEPT + ["session"]


def test_an_event_of_another_controller_has_the_time_at_which_it_was_told_there() -> None:
    cell = NorthboundCell(a=0, b=0)
    listener = CellListener(cell, "a")
    began(cell, b=1)
    assert listener.ids() == ["b:1"] and listener.times == ["2026-11-30T12:00:00.000Z"]
