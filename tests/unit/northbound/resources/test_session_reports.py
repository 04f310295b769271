"""POST /v1/mcps/{name}/sessions: a relay's word about its own sessions, over a running engine."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from webob import Request

from steering.core.counters import SessionReport
from steering.core.snapshots.view import EngineView
from steering.model.ids import McpId
from steering.northbound.schema.report_bodies import MOST_EVENTS
from steering.northbound.schema.representation import JsonView
from steering.relay.controller.session_ledger import SessionLedger
from steering.relay.model import Endpoint
from tests.support.driven import Driven
from tests.support.fixed_view import north, token_of
from tests.support.relay_word import STATE
from tests.support.sites import SERVER, UE_LTE, Driver

Json = dict[str, Any]


class Rest:
    """The northbound over an engine; asked with the token of MCP `core`."""

    def __init__(self) -> None:
        self.driver = Driver()
        view = JsonView(EngineView(self.driver.engine, lambda: self.driver.now, "0"))
        self.application = north(view, None, Driven(self.driver)).application

    def report(self, body: Any, mcp: str = "core", token: str = token_of("mcp")) -> int:
        request = Request.blank(
            f"/v1/mcps/{mcp}/sessions", method="POST", headers={"Authorization": f"Bearer {token}"}
        )
        request.content_type = "application/json"
        request.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return int(request.get_response(self.application).status_code)

    def health(self, now: float) -> str:
        core = self.driver.engine.site.mcps[0]
        return self.driver.engine.chooser.health[core.id].state(now).value


@pytest.fixture
def rest() -> Rest:
    return Rest()


@pytest.fixture
def ledger() -> SessionLedger:
    return SessionLedger("0123456789abcdef")


def test_a_relays_batches_are_taken_in_their_order(rest: Rest, ledger: SessionLedger) -> None:
    session = rest.driver.session()
    number = ledger.begin(session.token, Endpoint(UE_LTE, 40_000), Endpoint(SERVER, 5201), 1.0)
    assert rest.report(ledger.batch(STATE)) == 202
    ledger.accepted()
    ledger.end(number, "reset", 2.0)
    assert rest.report(ledger.batch(STATE)) == 202 and rest.report(ledger.batch(STATE)) == 202
    ledger.accepted()
    assert not len(rest.driver.table) and rest.driver.counters.session_reports[SessionReport.ENDED] == 1
    skipped = ledger.batch(STATE) | {"sequence": 7}
    assert rest.report(skipped) == 409
    ledger.start_over()
    assert rest.report(ledger.batch(STATE)) == 202


def test_only_the_mcp_itself_may_report_of_it(rest: Rest, ledger: SessionLedger) -> None:
    batch = ledger.batch(STATE)
    assert rest.report(batch, "edge") == 403
    for role in ("reader", "device"):
        assert rest.report(batch, token=token_of(role)) == 403
    assert rest.report(batch, "none", token_of("operator")) == 404
    assert (
        not rest.driver.counters.session_reports
        and rest.driver.engine.sessions.reports.taken(McpId(1)) is None
    )


def test_health_and_load_are_believed_also_of_a_batch_that_is_not_taken(
    rest: Rest, ledger: SessionLedger
) -> None:
    core = rest.driver.engine.site.mcps[0].id
    now = rest.driver.now
    rest.report(ledger.batch(STATE | {"load": 0.25}) | {"whole": None})
    assert rest.driver.engine.chooser.health[core].load(now) == 0.25
    for health, load, state in (("full", 1.0, "up"), ("starved", 1.0, "up"), ("stopping", 0.0, "down")):
        rest.report(ledger.batch(STATE | {"health": health}) | {"whole": None})
        assert rest.driver.engine.chooser.health[core].load(now) == load
        assert rest.health(now) == state, health


BEGAN = {
    "event": "began", "id": 1, "token": "1a2b3c4d", "client": ["10.1.0.2", 1], "server": ["10.9.0.2", 1], "at": 1.0,
}  # fmt: skip
ENDED = {"event": "ended", "id": 1, "token": None, "how": "reset", "at": 1.0}
CROOKED: dict[str, Callable[[Json], Json]] = {
    "another version": lambda batch: batch | {"version": 2},
    "a generation that is none": lambda batch: batch | {"generation": "g" * 16},
    "no sequence": lambda batch: batch | {"sequence": 0},
    "a sequence as text": lambda batch: batch | {"sequence": "1"},
    "a part that is none": lambda batch: batch | {"whole": {"part": 0, "last": True}},
    "an end in a whole set": lambda batch: batch | {"whole": {"part": 1, "last": True}, "events": [ENDED]},
    "too many events": lambda batch: batch | {"events": [ENDED] * (MOST_EVENTS + 1)},
    "an unknown event": lambda batch: batch | {"events": [BEGAN | {"event": "moved"}]},
    "a long token": lambda batch: batch | {"events": [BEGAN | {"token": "1a2b3c4d5"}]},
    "no address": lambda batch: batch | {"events": [BEGAN | {"client": ["host", 1]}]},
    "two families": lambda batch: batch | {"events": [BEGAN | {"server": ["fd00:9::2", 1]}]},
    "a zone": lambda batch: batch | {"events": [BEGAN | {"client": ["fe80::1%eth0", 1]}]},
    "a port that is none": lambda batch: batch | {"events": [BEGAN | {"client": ["10.1.0.2", 65_536]}]},
    "three in an end": lambda batch: batch | {"events": [BEGAN | {"client": ["10.1.0.2", 1, 2]}]},
    "another way to end": lambda batch: batch | {"events": [ENDED | {"how": "bored"}]},
    "an infinite load": lambda batch: batch | {"state": STATE | {"load": 1e999}},
    "more than all load": lambda batch: batch | {"state": STATE | {"load": 1.01}},
    "another health": lambda batch: batch | {"state": STATE | {"health": "fine"}},
    "something unheard of": lambda batch: batch | {"more": 1},
}  # fmt: skip


@pytest.mark.parametrize("crook", CROOKED.values(), ids=CROOKED)
def test_what_is_no_report_is_refused_and_nothing_of_it_believed(
    rest: Rest, ledger: SessionLedger, crook: Callable[[Json], Json]
) -> None:
    session = rest.driver.session()
    batch = ledger.batch(STATE) | {"whole": None, "events": [BEGAN, ENDED]}
    assert rest.report(crook(batch)) in (400, 422)
    assert session.id in rest.driver.table.by_id and not rest.driver.counters.session_reports
    assert rest.health(rest.driver.now) == "unknown"


def test_a_body_beyond_its_bound_is_not_read(rest: Rest, ledger: SessionLedger) -> None:
    assert rest.report(json.dumps(ledger.batch(STATE)).encode() + b" " * 65_536) == 413
    assert rest.report(b"[" * 60_000) == 400


def test_the_largest_batch_that_a_relay_sends_fits(rest: Rest, ledger: SessionLedger) -> None:
    for n in range(MOST_EVENTS):
        address = f"fd00:1:1111:2222:3333:4444:5555:{0x6000 + n:x}"
        ledger.begin(0x1A2B3C4D + n, Endpoint(address, 40_000), Endpoint(address, 50_000), 1_796_000_000.125)
    batch = ledger.batch(STATE)
    assert len(batch["events"]) == MOST_EVENTS and rest.report(batch) == 202
