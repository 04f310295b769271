"""The reporter brings sessions to a controller over HTTP: how often, and what it makes of each answer."""

import io
from collections.abc import Iterator
from itertools import pairwise

import pytest

from steering.relay.controller import reports
from steering.relay.controller.reports import Reporter, state_of
from steering.relay.counters import RelayCounters
from steering.relay.log import Log
from steering.relay.model import ControllerAccess, Endpoint, RelayHealth
from tests.support.session_reports import ReportServer
from tests.support.waiting import wait_for

HERE = Endpoint("10.1.0.2", 40000)


@pytest.fixture
def controller() -> Iterator[ReportServer]:
    with ReportServer() as server:
        yield server


@pytest.fixture
def reporter(controller: ReportServer) -> Iterator[Reporter]:
    made = made_for(controller.url)
    yield made
    made.stop()


def made_for(url: str) -> Reporter:
    return Reporter(ControllerAccess(url, "core", "secret", None), Log(True, False, io.StringIO()), "run-1")


def begin(reporter: Reporter, token: int | None = 7) -> int:
    assert reporter.ledger is not None
    return reporter.ledger.begin(token, HERE, HERE, 1.0)


def test_sessions_reach_the_controller_with_load_and_health(
    controller: ReportServer, reporter: Reporter
) -> None:
    counters = RelayCounters(accepted=9, active=3, fallback=2, dial_failed=1, refused_limit=4)
    reporter.state(state_of(RelayHealth.UP, counters, 12))
    one = begin(reporter)
    reporter.start()
    wait_for(lambda: controller.sessions.live)
    assert controller.asked[0] == "POST /v1/mcps/core/sessions"
    assert controller.sessions.live[one]["token"] == "00000007"
    assert controller.sessions.state == {
        "health": "up", "load": 0.25, "sessions": 3, "most_sessions": 12,
        "accepted": 9, "fallback": 2, "dial_failed": 1, "refused": 4, "pace": 0.2,
    }  # fmt: skip
    reporter.ledger.end(one, "orderly", 2.0)  # type: ignore[union-attr]
    wait_for(lambda: not controller.sessions.live)
    assert controller.sessions.ended[0]["how"] == "orderly"
    wait_for(lambda: reporter.counters()["session_events_reported"] == 2)


def test_load_and_health_are_told_when_nothing_happens(
    controller: ReportServer, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "GATHER_S", 0.02)
    reporter.start()
    wait_for(lambda: len(controller.batches) > 5)
    assert not any(batch["events"] for batch in controller.batches)


@pytest.mark.row("D-6.7.1")
def test_a_run_reports_at_once_that_it_began_and_gathers_only_from_then_on(
    controller: ReportServer, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who lived in the run before it are waiting to be told."""
    monkeypatch.setattr(reports, "GATHER_S", 600.0)
    reporter.start()
    wait_for(lambda: controller.batches)
    assert controller.batches[0]["whole"] == {"part": 1, "last": True}


@pytest.mark.parametrize(("wanted", "done"), [(1.5, 1.5), (0.0, 0.2), (1e6, 60.0), (True, 0.2), ("1", 0.2)])
def test_a_relay_reports_as_often_as_its_controller_asks_within_bounds(
    controller: ReportServer, reporter: Reporter, wanted: object, done: float
) -> None:
    controller.said = {"pace": wanted}
    reporter.state(state_of(RelayHealth.UP, RelayCounters(), 12))
    begin(reporter)
    reporter.start()
    wait_for(lambda: not reporter.ledger.waiting)  # type: ignore[union-attr]
    wait_for(lambda: reporter._pace == done)


def test_a_relay_whose_loop_is_stuck_does_not_say_that_it_is_well(
    controller: ReportServer, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "STUCK_S", 0.0)
    reporter.state(state_of(RelayHealth.UP, RelayCounters(), 12))
    reporter.start()
    reporter.slow_servers([("10.9.0.2", 60.0)], 0.0)
    wait_for(lambda: "PUT /v1/mcps/core/load" in controller.asked)
    assert not controller.batches
    monkeypatch.setattr(reports, "STUCK_S", 60.0)
    wait_for(lambda: controller.batches)


@pytest.mark.row("D-6.7.1")
def test_what_else_the_controller_refuses_delays_no_word_of_health(
    controller: ReportServer, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot write mappings down, say. The controller takes a relay that is late for frozen, and ends its sessions."""
    monkeypatch.setattr(reports, "FIRST_WAIT_S", 600.0)
    monkeypatch.setattr(reports, "LONGEST_WAIT_S", 600.0)
    controller.other = 503
    reporter.mapping({"internal": "10.1.0.2"})
    reporter.start()
    wait_for(lambda: reporter.failed)
    seen = len(controller.batches)
    wait_for(lambda: len(controller.batches) >= seen + 5)
    assert reporter.reported == 0


@pytest.mark.row("D-6.7.1")
def test_very_many_mappings_that_waited_delay_no_word_of_health(
    controller: ReportServer, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "BATCH", 1)
    monkeypatch.setattr(reports, "GATHER_S", 0.0)
    for _ in range(5):
        reporter.mapping({"internal": "10.1.0.2"})
    reporter.start()
    wait_for(lambda: reporter.reported == 5)
    told = [asked.rpartition("/")[2] for asked in controller.asked]
    assert told.count("mappings") == 5 and ("mappings", "mappings") not in pairwise(told)


def test_one_connection_is_kept_and_opened_anew_when_the_controller_ends_it(
    controller: ReportServer, reporter: Reporter
) -> None:
    controller.keeps = True
    reporter.start()
    wait_for(lambda: len(controller.batches) >= 3)
    assert controller.connections == 1
    controller.hang_up()
    seen = len(controller.batches)
    wait_for(lambda: len(controller.batches) >= seen + 2)
    assert controller.connections == 2 and reporter.failed == 0


def test_a_controller_that_restarted_has_all_sessions_again(
    controller: ReportServer, reporter: Reporter
) -> None:
    reporter.start()
    one = begin(reporter)
    wait_for(lambda: controller.sessions.live)
    controller.sessions = type(controller.sessions)()
    two = begin(reporter)
    wait_for(lambda: set(controller.sessions.live) == {one, two})
    assert reporter.counters()["session_batches_refused"] == 1


@pytest.mark.parametrize("status", [404, 405, 422])
def test_a_controller_that_takes_no_sessions_is_left_alone_for_a_while(
    controller: ReportServer, reporter: Reporter, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "GATHER_S", 0.02)
    controller.refusal = status
    reporter.start()
    wait_for(lambda: controller.batches)
    reporter.slow_servers([("10.9.0.2", 60.0)], 0.0)
    wait_for(lambda: "PUT /v1/mcps/core/load" in controller.asked)  # the rest is told all the same
    one = begin(reporter)
    monkeypatch.setattr(reports, "AGAIN_S", 0.0)
    assert len(controller.batches) == 1
    controller.refusal = None
    reporter._sessions_after = 0.0
    wait_for(lambda: set(controller.sessions.live) == {one})


def test_what_a_busy_controller_refuses_is_told_later_and_nothing_is_lost(
    controller: ReportServer, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "FIRST_WAIT_S", 0.02)
    controller.refusal = 503
    one = begin(reporter)
    reporter.start()
    wait_for(lambda: reporter.failed >= 2)
    controller.refusal = None
    wait_for(lambda: set(controller.sessions.live) == {one})
    assert {batch["sequence"] for batch in controller.batches if batch["events"]} == {1}


def test_a_relay_that_ends_tells_what_ended_and_that_it_stops(
    controller: ReportServer, reporter: Reporter
) -> None:
    one = begin(reporter)
    reporter.start()
    wait_for(lambda: controller.sessions.live)
    reporter.ledger.end(one, "stopped", 2.0)  # type: ignore[union-attr]
    reporter.state(state_of(RelayHealth.STOPPING, RelayCounters(), 1))
    reporter.stop()
    assert not controller.sessions.live and controller.sessions.state["health"] == "stopping"


def test_a_conflict_that_never_ends_does_not_hold_up_the_rest(
    controller: ReportServer, reporter: Reporter
) -> None:
    controller.refusal = 409
    reporter.slow_servers([("10.9.0.2", 60.0)], 0.0)
    reporter.start()
    wait_for(lambda: "PUT /v1/mcps/core/load" in controller.asked)
    assert controller.asked[:3] == ["POST /v1/mcps/core/sessions"] * 2 + ["PUT /v1/mcps/core/load"]
