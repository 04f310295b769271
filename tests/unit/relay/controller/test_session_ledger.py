"""Reports of sessions: what a batch holds, and that both sides agree again whatever was lost between them."""

import json
from http import HTTPStatus

from hypothesis import given, settings
from hypothesis import strategies as st

from steering.relay.controller import session_ledger
from steering.relay.controller.session_ledger import MOST_EVENTS, SessionLedger
from steering.relay.model import Endpoint
from tests.support.session_reports import Json, ReportedSessions

HOST, SERVER = Endpoint("10.1.0.2", 40000), Endpoint("fd00:9::2", 443)
STATE: Json = {"health": "up"}


def begin(ledger: SessionLedger, token: int | None = 0x1A2B3C4D) -> int:
    return ledger.begin(token, HOST, SERVER, 100.0004)


def settle(ledger: SessionLedger, controller: ReportedSessions, turns: int = 50) -> None:
    """Tell all that waits, as the reporter does."""
    for _ in range(turns):
        if controller.take(ledger.batch(STATE)) is HTTPStatus.CONFLICT:
            ledger.start_over()
            continue
        ledger.accepted()
        if not ledger.waiting:
            return
    raise AssertionError("it never ends")


def test_the_first_batch_is_a_whole_set_and_changes_follow_with_the_next_numbers() -> None:
    ledger = SessionLedger("9f3c2a1b00112233")
    one = begin(ledger)
    first = ledger.batch(STATE)
    assert json.loads(json.dumps(first)) == {
        "version": 1,
        "generation": "9f3c2a1b00112233",
        "sequence": 1,
        "whole": {"part": 1, "last": True},
        "live": 1,
        "waiting": 0,
        "events": [
            {
                "event": "began",
                "id": 1,
                "token": "1a2b3c4d",
                "client": ["10.1.0.2", 40000],
                "server": ["fd00:9::2", 443],
                "at": 100.0,
            }
        ],
        "state": {"health": "up"},
    }
    ledger.accepted()
    begin(ledger, None)
    ledger.end(one, "orderly", 101.5)
    second = ledger.batch(STATE)
    assert (second["sequence"], second["whole"], second["live"]) == (2, None, 1)
    assert [(event["event"], event["id"], event["token"]) for event in second["events"]] == [
        ("began", 2, None), ("ended", 1, "1a2b3c4d"),
    ]  # fmt: skip
    assert second["events"][1] == {
        "event": "ended", "id": 1, "token": "1a2b3c4d", "how": "orderly", "at": 101.5,
    }  # fmt: skip


def test_a_batch_that_nobody_answered_is_sent_again_as_it_was_with_the_state_of_now() -> None:
    ledger = SessionLedger("a")
    begin(ledger)
    first = ledger.batch({"health": "up"})
    begin(ledger)
    again = ledger.batch({"health": "full"})
    assert again == first | {"state": {"health": "full"}}
    ledger.accepted()
    assert [event["id"] for event in ledger.batch(STATE)["events"]] == [2]


def test_an_empty_batch_carries_load_and_health_alone() -> None:
    ledger = SessionLedger("a")
    settle(ledger, ReportedSessions())
    assert not ledger.waiting
    batch = ledger.batch(STATE)
    assert (batch["events"], batch["whole"], batch["state"]) == ([], None, STATE)


def test_a_batch_is_bounded_and_a_whole_set_comes_in_parts() -> None:
    ledger, controller = SessionLedger("a"), ReportedSessions()
    for _ in range(2 * MOST_EVENTS + 1):
        begin(ledger)
    parts = []
    while ledger.waiting:
        batch = ledger.batch(STATE)
        parts.append((batch["sequence"], batch["whole"], len(batch["events"]), batch["waiting"]))
        assert controller.take(batch) is HTTPStatus.ACCEPTED
        ledger.accepted()
    assert parts == [
        (1, {"part": 1, "last": False}, MOST_EVENTS, MOST_EVENTS + 1),
        (2, {"part": 2, "last": False}, MOST_EVENTS, 1),
        (3, {"part": 3, "last": True}, 1, 0),
    ]
    assert len(controller.live) == 2 * MOST_EVENTS + 1


def test_the_longest_batch_fits_in_what_a_controller_takes() -> None:
    ledger = SessionLedger("f" * 16)
    far = Endpoint("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 65_535)
    ledger._ids = 10**9
    for _ in range(MOST_EVENTS):
        ledger.begin(0xFFFFFFFF, far, far, 1_796_000_000.125)
    assert len(json.dumps(ledger.batch(STATE | {"more": "x" * 300}))) <= 1 << 16


def test_what_ends_while_a_whole_set_is_told_is_told_after_it() -> None:
    ledger, controller = SessionLedger("a"), ReportedSessions()
    ids = [begin(ledger) for _ in range(MOST_EVENTS + 10)]
    assert controller.take(ledger.batch(STATE)) is HTTPStatus.ACCEPTED
    ledger.accepted()
    ledger.end(ids[0], "reset", 1.0)
    ledger.end(ids[-1], "reset", 1.0)
    settle(ledger, controller)
    assert set(controller.live) == set(ids[1:-1])


def test_with_more_than_is_kept_the_whole_set_is_told_and_that_is_counted() -> None:
    ledger, controller = SessionLedger("a", most_waiting=5), ReportedSessions()
    settle(ledger, controller)
    kept = begin(ledger)
    for _ in range(10):
        ledger.end(begin(ledger), "orderly", 1.0)
    assert ledger.overflowed > 0
    settle(ledger, controller)
    assert set(controller.live) == {kept}


def test_a_controller_that_restarted_gets_the_whole_set() -> None:
    ledger, controller = SessionLedger("a"), ReportedSessions()
    kept = begin(ledger)
    settle(ledger, controller)
    ledger.end(begin(ledger), "orderly", 1.0)
    controller = ReportedSessions()
    assert controller.take(ledger.batch(STATE)) is HTTPStatus.CONFLICT
    ledger.start_over()
    settle(ledger, controller)
    assert set(controller.live) == {kept} and ledger.whole_sets == 2


def test_a_relay_that_restarted_begins_anew_and_what_lived_before_is_over() -> None:
    controller, before = ReportedSessions(), SessionLedger("a")
    for _ in range(3):
        begin(before)
    settle(before, controller)
    after = SessionLedger("b")
    settle(after, controller)
    assert not controller.live
    one = begin(after)
    settle(after, controller)
    assert set(controller.live) == {one}


def test_the_number_of_a_batch_that_was_given_up_is_not_used_again() -> None:
    """It was taken, the answer was lost, and then more waited than is kept: what comes next is no repetition."""
    ledger, controller = SessionLedger("a", most_waiting=2), ReportedSessions()
    settle(ledger, controller)
    one = begin(ledger)
    assert controller.take(ledger.batch(STATE)) is HTTPStatus.ACCEPTED  # nobody hears so
    ledger.end(one, "orderly", 1.0)
    for _ in range(3):
        begin(ledger)
    assert ledger.overflowed
    settle(ledger, controller)
    assert set(controller.live) == {2, 3, 4}


def test_whoever_reports_is_told_that_there_is_something_to_tell() -> None:
    told: list[int] = []
    ledger = SessionLedger("a", lambda: told.append(1))
    ledger.end(begin(ledger), "orderly", 1.0)
    assert len(told) == 2


STEPS = st.sampled_from(
    ("begin", "end", "tell", "tell unheard", "lose", "controller restarts", "relay restarts")
)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=60), most=st.integers(1, 8), size=st.integers(1, 4))
def test_both_sides_agree_again_whatever_was_lost(steps: list[str], most: int, size: int) -> None:
    before, session_ledger.MOST_EVENTS = session_ledger.MOST_EVENTS, size
    try:
        agree(steps, most)
    finally:
        session_ledger.MOST_EVENTS = before


def agree(steps: list[str], most: int) -> None:
    """Walk the steps; then what the controller has is what lives."""
    runs = 0
    ledger, controller, live = SessionLedger("0", most_waiting=most), ReportedSessions(), list[int]()
    for step in steps:
        if step == "begin":
            live.append(begin(ledger, len(live)))
        elif step == "end" and live:
            ledger.end(live.pop(0), "orderly", 1.0)
        elif step in ("tell", "tell unheard"):
            answer = controller.take(ledger.batch(STATE))
            if step == "tell":
                ledger.start_over() if answer is HTTPStatus.CONFLICT else ledger.accepted()
        elif step == "lose":
            ledger.batch(STATE)
        elif step == "controller restarts":
            controller = ReportedSessions()
        elif step == "relay restarts":
            runs, live = runs + 1, []
            ledger = SessionLedger(str(runs), most_waiting=most)
    settle(ledger, controller, 200)
    assert set(controller.live) == set(live)
