"""What the watcher notices and tells as events: sessions, subflows, refusals, the topology; and nothing while nobody listens."""

from typing import Any

from steering.core.counters import Counters
from steering.core.inputs import SwitchDown, WatchSessions
from steering.core.sessions.transitions import Event
from steering.core.snapshots.view import EngineView
from steering.model.refused_connections import SwitchRefusal
from steering.model.session import Refusal
from steering.northbound.resources.watcher import TOLD_AT_ONCE
from steering.northbound.schema.representation import JsonView
from tests.support.driven import Driven
from tests.support.fixed_view import FixedView, north
from tests.support.heard_events import everything, heard
from tests.support.noted_control import Noted
from tests.support.sites import UE_LTE, UE_WLAN, Driver, capable, join


def test_nothing_is_looked_at_while_nobody_listens() -> None:
    class Untouched(FixedView):
        def topology(self) -> Any:
            raise AssertionError("looked at")

    noted = Noted()
    north(Untouched(), control=noted).watcher.look()
    assert noted.given == []


def test_sessions_are_watched_while_a_listener_hears_of_them_and_no_longer() -> None:
    noted = Noted()
    made = north(control=noted)
    mcp = made.hub.open(everything, "", [], hears_sessions=False)
    made.watcher.look()
    assert noted.given == []
    all_of_them = made.hub.open(everything, "", [])
    for _ in range(2):
        made.watcher.look()
    made.hub.leave(all_of_them)
    for _ in range(2):
        made.watcher.look()
    assert noted.given == [WatchSessions(True), WatchSessions(True), WatchSessions(False)]
    made.hub.leave(mcp)


def test_a_session_that_nobody_heard_of_is_not_told_as_new_to_a_later_listener() -> None:
    driver = Driver()
    view = JsonView(EngineView(driver.engine, lambda: driver.now, "0.1.0"))
    made = north(view, driver.counters, Driven(driver), now=lambda: driver.now)
    first = made.hub.open(everything, "", [])
    made.watcher.look()
    driver.session()
    made.hub.leave(first)
    made.watcher.look()
    later = made.hub.open(everything, "", [])
    for _ in range(3):
        made.watcher.look()
    assert heard(made.hub, later) == [] and driver.table.journal is not None


def test_sessions_subflows_refusals_and_topology_are_told() -> None:
    driver = Driver()
    view = JsonView(EngineView(driver.engine, lambda: driver.now, "0.1.0"))
    made = north(view, driver.counters, Driven(driver), now=lambda: driver.now)
    stream = made.hub.open(everything, "", [])
    made.watcher.look()
    driver.session()
    made.watcher.look()
    (started,) = heard(made.hub, stream)
    assert started[1] == "session"
    assert started[2]["change"] == "started"
    assert (started[2]["mcp"], started[2]["client"]) == ("core", "10.1.0.2:40000")
    driver.syn(2, 1, join(UE_WLAN, 40001))
    driver.counters.refusals[Refusal.UNKNOWN_TOKEN] += 2
    driver.give(SwitchDown(5))
    made.watcher.look()
    told = {kind: data for _, kind, data in heard(made.hub, stream)}
    assert told["subflow"] == {"session": started[2]["id"], "before": 1, "subflows": 2}
    assert told["refusal"] == {"reason": "unknown-token", "count": 2}
    assert told["topology"] == {"what": "switch", "name": "s5", "up": False}
    driver.life.happened(next(iter(driver.table)), Event.OVER)
    made.watcher.look()
    assert [data for _, kind, data in heard(made.hub, stream) if kind == "session"] == [
        {"id": started[2]["id"], "change": "ended"}
    ]


def test_a_session_that_ends_before_it_is_told_is_told_as_it_was_at_the_look() -> None:
    driver = Driver()
    view = JsonView(EngineView(driver.engine, lambda: driver.now, "0.1.0"))
    pauses: list[None] = []

    def pause() -> None:
        pauses.append(None)
        for session in list(driver.table):
            driver.life.happened(session, Event.OVER)

    made = north(view, driver.counters, Driven(driver), now=lambda: driver.now, pause=pause)
    stream = made.hub.open(everything, "", [])
    made.watcher.look()
    for number in range(TOLD_AT_ONCE + 3):
        driver.syn(1, 1, capable(UE_LTE, 40_000 + number))
    made.watcher.look()
    began = [data for _, kind, data in heard(made.hub, stream) if kind == "session"]
    assert pauses and len(began) == TOLD_AT_ONCE + 3
    assert {(one["change"], one["state"], one["subflows"]) for one in began} == {("started", "syn-pinned", 1)}
    made.watcher.look()
    ended = [data["change"] for _, kind, data in heard(made.hub, stream) if kind == "session"]
    assert ended == ["ended"] * len(began)


def test_refused_datapath_ids_are_told_as_refusals() -> None:
    counters = Counters()
    made = north(FixedView(0), counters, Noted())
    stream = made.hub.open(everything, "", [])
    made.watcher.look()
    counters.disconnects[SwitchRefusal.UNKNOWN_SWITCH.value] += 3
    counters.disconnects["closed"] += 1
    made.watcher.look()
    assert [event[1:] for event in heard(made.hub, stream)] == [
        ("refusal", {"reason": "unknown-switch", "count": 3})
    ]


def test_many_changes_at_once_are_cut_and_said() -> None:
    view = FixedView(0)
    made = north(view, Counters(), Noted())
    stream = made.hub.open(everything, "", [])
    made.watcher.look()
    view.count = 700
    made.watcher.look()
    told = heard(made.hub, stream)
    assert len(told) == 501
    assert told[-1][1:] == ("omitted", {"sessions": 200})
    assert made.hub.streams == 1


def test_changes_of_sessions_are_told_a_few_at_a_time_and_by_one_look_alone() -> None:
    view = FixedView(0)
    told: list[int] = []

    def pause() -> None:
        told.append(len(stream.queue))
        view.count += 1
        made.watcher.look()  # that of a stream which opens meanwhile

    made = north(view, Counters(), Noted(), pause=pause)
    stream = made.hub.open(everything, "", [])
    made.watcher.look()
    view.count = 3 * TOLD_AT_ONCE
    made.watcher.look()
    assert told == [TOLD_AT_ONCE, 2 * TOLD_AT_ONCE, 3 * TOLD_AT_ONCE]
    names = [data["id"] for _, _, data in heard(made.hub, stream)]
    assert names == [f"m-{number}" for number in range(1, 3 * TOLD_AT_ONCE + 1)]
    view.count += 1
    made.watcher.look()
    assert [data["id"] for _, _, data in heard(made.hub, stream)] == [
        f"m-{3 * TOLD_AT_ONCE + number}" for number in range(1, 5)
    ]
