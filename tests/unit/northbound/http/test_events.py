"""Server-Sent Events: what is heard, what is repeated, and who is dropped."""

import json
import threading
from collections import deque
from typing import Any

import pytest
from webob import Request

from steering.core.outputs import Prefer
from steering.model.ids import McpId
from steering.model.period_begin import read_since
from steering.model.preference import Intent, SubflowWish
from steering.northbound.http import events
from steering.northbound.http.events import (
    LOOK,
    MAX_OF_MCP,
    MAX_OF_READER,
    MAX_QUEUE,
    MAX_STREAMS,
    WRITTEN_AT_ONCE,
    EventBody,
    EventHub,
    TooManyStreams,
)
from tests.support.fixed_view import TOKEN, WALL, FixedView, north, token_of
from tests.support.heard_events import EPOCH, everything, heard
from tests.support.rest_replies import problem


def test_events_are_numbered_named_and_json() -> None:
    hub = EventHub(EPOCH)
    stream = hub.open(everything, "", [])
    hub.publish("drain", {"name": "a\nb"})
    hub.publish("policy", {"version": 2})
    assert heard(hub, stream) == [
        (f"{EPOCH}-1", "drain", {"name": "a\nb"}),
        (f"{EPOCH}-2", "policy", {"version": 2}),
    ]
    assert hub.take(stream, 0.0) == b""


def test_a_stream_gets_what_it_wants_only() -> None:
    hub = EventHub(EPOCH)
    stream = hub.open(lambda event: event.kind == "access", "", [("drain", {})])
    hub.publish("drain", {})
    hub.publish("access", {})
    assert [kind for _, kind, _ in heard(hub, stream)] == ["drain", "access"]


def test_what_followed_the_last_event_is_sent_again() -> None:
    hub = EventHub(EPOCH)
    for number in range(5):
        hub.publish("policy", {"version": number})
    again = heard(hub, hub.open(everything, f"{EPOCH}-3", []))
    assert [data["version"] for _, _, data in again] == [3, 4]
    assert heard(hub, hub.open(everything, f"{EPOCH}-5", [])) == []


@pytest.mark.parametrize(
    "last", ["0badcaff-3", f"{EPOCH}-9", f"{EPOCH}-x", "\xff", f"{EPOCH}-0", "-", f"{EPOCH}-" + "9" * 30]
)
def test_where_nobody_can_tell_what_was_missed_it_is_said(last: str) -> None:
    hub = EventHub(EPOCH)
    for number in range(events.KEPT + 5):
        hub.publish("policy", {"version": number})
    if last == f"{EPOCH}-9":
        last = f"{EPOCH}-{events.KEPT + 6}"
    assert heard(hub, hub.open(everything, last, []))[0][1] == "reset"


class Wall:
    """A clock, seconds since 1970."""

    def __init__(self) -> None:
        self.time = WALL

    def __call__(self) -> float:
        return self.time


def kept_hub(wall: Wall, times: list[float]) -> EventHub:
    """A hub that somebody has heard since WALL, with a policy event of version 0, 1 and so on at each time after it."""
    hub = EventHub(EPOCH, wall=wall)
    hub.begin_to_be_heard()
    for version, seconds in enumerate(times):
        wall.time = WALL + seconds
        hub.publish("policy", {"version": version})
    return hub


def told_since(hub: EventHub, text: str, last: str = "") -> list[tuple[str, Any]]:
    """Kind, and version if it has one, of what a new stream begins with."""
    stream = hub.open(everything, last, [], since=read_since(text))
    found = [(kind, data.get("version")) for _, kind, data in heard(hub, stream)]
    hub.leave(stream)
    return found


def test_who_asks_since_when_is_first_told_what_is_kept_from_then_on() -> None:
    hub = kept_hub(Wall(), [10.0, 20.0, 30.0])
    assert told_since(hub, "10s") == [("policy", 1), ("policy", 2)]
    assert told_since(hub, "2026-11-30T12:00:10.500Z") == [("policy", 1), ("policy", 2)]
    assert told_since(hub, "2026-11-30T13:00:10+01:00") == [("policy", 0), ("policy", 1), ("policy", 2)]
    assert told_since(hub, "0s") == [("policy", 2)]


def test_it_is_said_where_not_all_since_then_is_known() -> None:
    wall = Wall()
    hub = kept_hub(wall, [10.0, 20.0])
    assert told_since(hub, "21s") == [("reset", None), ("policy", 0), ("policy", 1)], "nobody listened before"
    hub.fall_silent()
    assert told_since(hub, "0s")[0] == ("reset", None)
    wall.time += 10.0
    hub.begin_to_be_heard()
    hub.publish("policy", {"version": 7})
    assert told_since(hub, "10s") == [("reset", None), ("policy", 1), ("policy", 7)]
    assert told_since(hub, "0s") == [("policy", 7)]


def test_what_was_pushed_out_is_missing_and_what_is_still_there_is_not() -> None:
    hub = kept_hub(Wall(), [float(number) for number in range(1, events.KEPT + 2)])
    whole = told_since(hub, f"{events.KEPT - 1}s")
    assert whole[0] == ("reset", None) and len(whole) == events.KEPT + 1, "one at that very time may be gone"
    assert told_since(hub, f"{events.KEPT - 2}s")[0] == ("policy", 2)


@pytest.mark.parametrize(("last", "since"), [("", "1h"), (f"{EPOCH}-0", None)])
def test_all_that_is_kept_and_what_follows_at_once_has_room(last: str, since: str | None) -> None:
    hub = kept_hub(Wall(), [10.0] * events.KEPT)
    first: list[tuple[str, Any]] = [("drain", {})] * MAX_QUEUE
    stream = hub.open(everything, last, first, since=read_since(since) if since else None)
    for version in range(MAX_QUEUE):
        hub.publish("policy", {"version": version})
    kinds = [kind for _, kind, _ in heard(hub, stream) if kind != "reset"]
    assert kinds == ["policy"] * events.KEPT + ["drain"] * MAX_QUEUE + ["policy"] * MAX_QUEUE


def test_a_reader_of_what_is_kept_is_dropped_too_where_it_does_not_read() -> None:
    hub = kept_hub(Wall(), [10.0] * events.KEPT)
    stream = hub.open(everything, "", [], since=read_since("1h"))
    for version in range(MAX_QUEUE + 1):
        hub.publish("policy", {"version": version})
    assert hub.take(stream, 0.0) is None and hub.dropped == 1


def test_a_reader_that_comes_back_goes_on_after_the_last_event_and_not_by_time() -> None:
    hub = kept_hub(Wall(), [10.0, 20.0, 30.0])
    assert told_since(hub, "1h", f"{EPOCH}-2") == [("policy", 2)]


def test_a_reader_that_goes_after_the_first_word_misses_nothing() -> None:
    hub = kept_hub(Wall(), [10.0, 20.0])
    (told, *_) = heard(hub, hub.open(everything, "", [], since=read_since("1h")))
    assert told == (f"{EPOCH}-0", "reset", {})
    assert told_since(hub, "1h", told[0]) == [("policy", 0), ("policy", 1)]


def test_a_time_that_is_still_to_come_opens_no_stream() -> None:
    hub = kept_hub(Wall(), [10.0])
    with pytest.raises(ValueError, match="still to come"):
        hub.open(everything, "", [], since=read_since("2026-11-30T12:01:11Z"))
    assert hub.streams == 0


def test_an_event_says_when_it_was_told_and_how_things_stand_has_no_time() -> None:
    hub = kept_hub(Wall(), [0.25])
    stream = hub.open(everything, "", [("drain", {})], since=read_since("10s"))
    blocks = (hub.take(stream, 0.0) or b"").split(b"\n\n")
    assert [b"time: 2026-11-30T12:00:00.250Z" in block.split(b"\n") for block in blocks] == [
        False,
        True,
        False,
        False,
    ]


def test_a_slow_reader_is_dropped_and_others_are_not() -> None:
    hub = EventHub(EPOCH)
    slow, quick = hub.open(everything, "", []), hub.open(everything, "", [])
    for number in range(MAX_QUEUE + 1):
        hub.publish("policy", {"version": number})
        hub.take(quick, 0.0)
    assert hub.take(slow, 0.0) is None
    assert (hub.streams, hub.dropped) == (1, 1)
    hub.publish("policy", {})
    assert heard(hub, quick)


def test_streams_are_bounded_and_leaving_makes_room() -> None:
    hub = EventHub(EPOCH)
    opened = [hub.open(everything, "", []) for _ in range(MAX_STREAMS)]
    with pytest.raises(TooManyStreams):
        hub.open(everything, "", [])
    EventBody(hub, opened[0]).close()
    hub.open(everything, "", [])


def test_a_waiting_reader_is_woken() -> None:
    hub = EventHub(EPOCH)
    stream = hub.open(everything, "", [])
    timer = threading.Timer(0.05, hub.publish, ("policy", {}))
    timer.start()
    assert b"event: policy" in (hub.take(stream, 30.0) or b"")
    timer.join()


def test_many_events_are_written_a_few_at_a_time_and_others_have_their_turn_in_between() -> None:
    hub = EventHub(EPOCH)
    pauses: list[int] = []
    stream = hub.open(everything, "", [])
    body = EventBody(hub, stream, 0.0, lambda: pauses.append(len(stream.queue)))
    next(body)
    for number in range(3 * WRITTEN_AT_ONCE):
        hub.publish("policy", {"version": number})
    written = [next(body).count(b"event: policy") for _ in range(3)]
    assert written == [WRITTEN_AT_ONCE] * 3
    assert pauses == [3 * WRITTEN_AT_ONCE, 2 * WRITTEN_AT_ONCE, WRITTEN_AT_ONCE]
    assert next(body) == b":\n\n" and len(pauses) == 3, "who waits for events needs no pause"


def test_in_silence_the_server_has_its_turns_and_the_reader_a_comment_now_and_then() -> None:
    hub = EventHub(EPOCH)
    stream = hub.open(lambda event: event.kind == "policy", "", [])
    body = EventBody(hub, stream, 2 * LOOK)
    next(body)
    hub.publish("drain", {})  # nothing that it wants: silence all the same
    assert [next(body) for _ in range(4)] == [b"", b":\n\n"] * 2
    assert next(body) == b""
    hub.publish("policy", {})
    assert b"event: policy" in next(body)
    assert [next(body) for _ in range(2)] == [b"", b":\n\n"], "silence begins anew with an event"


def test_closing_ends_every_body() -> None:
    hub = EventHub(EPOCH)
    body = EventBody(hub, hub.open(everything, "", []))
    assert next(body) == b"retry: 1000\n\n"
    threading.Timer(0.05, hub.close).start()
    assert b"".join(body) == b""
    assert hub.streams == 0


# ---- over HTTP ---------------------------------------------------------------------------------


def opened(app: Any, path: str, **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {TOKEN}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return Request.blank(path, headers=sent).get_response(app, catch_exc_info=False)


def test_a_stream_over_http() -> None:
    made = north()
    response = opened(made.application, "/v1/events")
    assert (response.status_code, response.content_type) == (200, "text/event-stream")
    assert response.headers["Cache-Control"] == "no-store"
    made.hub.publish("policy", {"version": 9})
    chunks = iter(response.app_iter)
    assert next(chunks) == b"retry: 1000\n\n"
    assert next(chunks) == (
        f'id: {EPOCH}-1\ntime: 2026-11-30T12:00:00.000Z\nevent: policy\ndata: {{"version":9}}\n\n'.encode()
    )
    response.app_iter.close()
    assert made.hub.streams == 0


def test_too_many_streams_is_503_with_a_time_to_come_back() -> None:
    made = north()
    kept = [opened(made.application, "/v1/events") for _ in range(MAX_STREAMS)]
    response = opened(made.application, "/v1/events")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert len(kept) == MAX_STREAMS


@pytest.mark.parametrize(("role", "most"), [("reader", MAX_OF_READER), ("mcp", MAX_OF_MCP)])
def test_one_token_that_is_no_operators_takes_no_stream_from_others(role: str, most: int) -> None:
    made = north()
    path = "/v1/mcps/core/events" if role == "mcp" else "/v1/events"
    token = {"Authorization": f"Bearer {token_of(role)}"}
    kept = [opened(made.application, path, **token) for _ in range(MAX_STREAMS)]
    assert [one.status_code for one in kept] == [200] * most + [503] * (MAX_STREAMS - most)
    assert (
        problem(kept[-1], 503) == f"this token has {most} event streams open, which is all that it may have"
    )
    assert opened(made.application, path).status_code == 200, "an operator has room"
    kept[0].app_iter.close()
    assert opened(made.application, path, **token).status_code == 200


def test_head_opens_no_stream() -> None:
    made = north()
    request = Request.blank("/v1/events", method="HEAD", headers={"Authorization": f"Bearer {TOKEN}"})
    response = request.get_response(made.application)
    assert (response.status_code, response.content_type, response.body) == (200, "text/event-stream", b"")
    assert made.hub.streams == 0


@pytest.mark.row("D-6.3e")
def test_an_mcp_hears_how_things_stand_and_then_what_changes() -> None:
    made = north()
    response = opened(made.application, "/v1/mcps/core/events")
    put = Request.blank(
        "/v1/access-networks/lte",
        method="PUT",
        headers={"Authorization": f"Bearer {TOKEN}", "If-Match": "*", "Content-Type": "application/json"},
        body=b'{"type": "wlan", "trust": "third-party", "sequence": 4}',
    )
    assert put.get_response(made.application).status_code == 200
    for name in ("edge", "core"):
        drain = Request.blank(
            f"/v1/mcps/{name}/drain", method="POST", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        assert drain.get_response(made.application).status_code == 202
    chunks = iter(response.app_iter)
    next(chunks)
    blocks = next(chunks).decode().strip().split("\n\n")
    told = [
        (block.split("event: ")[1].split("\n")[0], json.loads(block.split("data: ")[1])) for block in blocks
    ]
    kind, policy = told.pop(3)
    assert (kind, policy["avoid_fragmentation"]) == ("policy", True) and set(policy) == {
        "version",
        "avoid_fragmentation",
    }
    assert told.pop(3) == ("bindings", {"mcp": "core", "bindings": []})
    assert told.pop(3) == ("subflows", {"mcp": "core", "all": True, "subflows": []})
    assert [(kind, data["name"], data.get("trust", data.get("draining"))) for kind, data in told] == [
        ("access", "lte", "operator"),
        ("access", "wlan", "operator"),
        ("drain", "core", False),
        ("access", "lte", "third-party"),
        ("drain", "core", True),
    ]
    assert told[3][1]["prefixes"] == ["10.1.0.0/24", "fd00:1::/64"]


@pytest.mark.row("D-6.3e", "N-7.1")
def test_intents_are_for_their_mcp_alone() -> None:
    view = FixedView()
    wish = Intent(
        3, 0x92C53B6F, b"\n\1\0\2", 40000, b"\n\t\0\2", 80, "lte", "cellular", SubflowWish(backup=True)
    )
    view.wanted["core"] = [wish] * 101
    made = north(view)
    streams = [opened(made.application, path) for path in ("/v1/mcps/core/events", "/v1/mcps/edge/events")]
    streams.append(opened(made.application, "/v1/events"))
    made.intents.tell(Prefer(McpId(1), (wish._replace(wish=SubflowWish(allowed=False, share=2)),)))
    told = []
    for response in streams:
        chunks = iter(response.app_iter)
        next(chunks)
        made.hub.publish("drain", {"name": "edge"})  # so that each has something to say
        text = next(chunks).decode()
        blocks = [b for b in text.split("\n\n") if "event: subflows" in b]
        told.append([json.loads(b.split("data: ")[1]) for b in blocks])
    first, more, new = told[0]
    assert [len(first["subflows"]), len(more["subflows"])] == [100, 1]
    assert [first["all"], more["all"], new["all"]] == [True, False, False]
    assert new["subflows"] == [
        {
            "session": "3", "token": "92c53b6f", "host": "10.1.0.2", "host_port": 40000, "server": "10.9.0.2",
            "server_port": 80, "access": "lte", "type": "cellular", "backup": False, "allowed": False, "share": 2,
        }
    ]  # fmt: skip
    assert told[1:] == [[{"mcp": "edge", "all": True, "subflows": []}], []]


def test_intents_name_sessions_as_the_rest_of_a_clusters_answers_does() -> None:
    view = FixedView()
    view.controller = "c2:"
    wish = Intent(17, 1, b"\n\1\0\2", 40000, b"\n\t\0\2", 80, "", "", SubflowWish(backup=True))
    view.wanted["core"] = [wish]
    made = north(view)
    response = opened(made.application, "/v1/mcps/core/events")
    made.intents.tell(Prefer(McpId(1), (wish,)))
    chunks = iter(response.app_iter)
    next(chunks)
    blocks = [block for block in next(chunks).decode().split("\n\n") if "event: subflows" in block]
    told = [json.loads(block.split("data: ")[1])["subflows"] for block in blocks]
    assert [[one["session"] for one in some] for some in told] == [["c2:17"], ["c2:17"]]


def test_intents_are_not_kept_for_nobody() -> None:
    made = north()
    made.intents.tell(Prefer(McpId(1), ()))
    assert made.hub.open(everything, "", []).queue == deque()
