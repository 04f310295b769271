"""Sessions of all controllers of a cell at any of them: pages, filters, who does not answer, and who lies."""

import json
import time
from typing import Any
from urllib.parse import parse_qs

import pytest

from steering.model.cluster import PeerFailure, PeerReply
from steering.model.identity import Role
from steering.northbound.resources.session_pages import FEW, LONGEST, MOST_ASKED
from tests.support.fixed_answers import HEAD
from tests.support.fixed_view import token_of
from tests.support.northbound_cell import NorthboundCell


def all_of(**sessions: int) -> list[str]:
    return [f"{name}:{number}" for name in sorted(sessions) for number in range(1, sessions[name] + 1)]


def paged(cell: NorthboundCell, name: str, limit: int) -> list[str]:
    """The ids of all pages, read by the cursors that they tell."""
    found: list[str] = []
    cursor = "0"
    for _ in range(1_000):
        told = cell.get(name, f"/v1/sessions?limit={limit}&cursor={cursor}").json
        assert len(told["sessions"]) <= limit
        found += [one["id"] for one in told["sessions"]]
        if told["next"] is None:
            return found
        cursor = told["next"]
    raise AssertionError("the pages never end")


@pytest.mark.parametrize(
    "sessions",
    [
        {"a": 3, "b": 5, "c": 2},
        {"a": 0, "b": 70, "c": 1},
        {"a": 40, "b": 0, "c": 40},
        {"a": 0, "b": 0, "c": 0},
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5, 33, 64, 1_000])
def test_each_session_is_once_on_the_pages_of_any_controller(sessions: dict[str, int], limit: int) -> None:
    cell = NorthboundCell(**sessions)
    for name in sessions:
        assert paged(cell, name, limit) == all_of(**sessions)


def test_the_total_is_that_of_all_on_every_page() -> None:
    cell = NorthboundCell(a=3, b=5, c=2)
    for cursor in ("0", "a:3", "b:2", "c:1"):
        assert cell.get("b", f"/v1/sessions?limit=2&cursor={cursor}").json["total"] == 10


def test_filters_are_those_of_every_controller() -> None:
    cell = NorthboundCell(a=3, b=6)
    assert cell.ids("a", "/v1/sessions?mcp=edge") == ["a:3", "b:3", "b:6"]
    assert cell.ids("a", "/v1/sessions?token=0badcafe&client=10.1.0.2&state=established") == all_of(a=3, b=6)
    query = cell.asked[-1][1].target.partition("?")[2]
    assert {"token=0badcafe", "client=10.1.0.2", "state=established"} <= set(query.split("&"))
    assert cell.ids("a", "/v1/sessions?controller=b") == all_of(b=6)
    assert cell.get("a", "/v1/sessions?controller=x").status_int == 400
    assert cell.get("a", "/v1/sessions?mcp=nobody").status_int == 400


def test_who_does_not_answer_is_named_and_the_page_goes_on() -> None:
    cell = NorthboundCell(a=2, b=5, c=2)
    cell.silent["b"] = PeerFailure.SILENT
    answer = cell.get("a", "/v1/sessions?limit=3")
    assert [one["id"] for one in answer.json["sessions"]] == ["a:1", "a:2", "c:1"]
    assert answer.json["incomplete"] == ["b"] and answer.headers["Steering-Incomplete"] == "b"
    assert answer.json["total"] == 4 and answer.json["next"] == "c:1"
    whole = cell.get("a", "/v1/sessions?controller=a")
    assert whole.json["incomplete"] == [] and "Steering-Incomplete" not in whole.headers


def test_others_are_asked_before_the_own_sessions_are_searched_for() -> None:
    cell = NorthboundCell(a=40, b=40, c=1)
    asked: list[list[str]] = []
    cell.views["a"].searching = lambda: asked.append([name for name, _ in cell.asked])
    assert len(cell.ids("a", "/v1/sessions?limit=1000&client=10.1.0.2")) == 81
    assert asked[0] == ["b", "c"]
    asked.clear()
    cell.ids("a", "/v1/sessions?controller=a")
    assert asked and cell.get("a", "/v1/sessions?controller=b").json["total"] == 40


def test_of_another_controller_a_long_page_is_asked_in_parts() -> None:
    cell = NorthboundCell(a=1, b=2 * MOST_ASKED + 1, c=2)
    wanted = all_of(a=1, b=2 * MOST_ASKED + 1, c=2)
    assert cell.ids("a", "/v1/sessions?limit=1000") == wanted
    assert cell.ids("a", "/v1/sessions?limit=1000&cursor=b:1") == wanted[2:]
    limits = [int(parse_qs(one.target.partition("?")[2])["limit"][0]) for _, one in cell.asked]
    assert max(limits) == MOST_ASKED


def test_the_own_search_uses_up_no_time_of_the_others() -> None:
    cell = NorthboundCell(a=1, b=FEW + 1)
    cell.views["a"].searching = lambda: time.sleep(LONGEST + 0.1)
    answer = cell.get("a", "/v1/sessions").json
    assert answer["incomplete"] == [] and len(answer["sessions"]) == FEW + 2


def test_a_cursor_of_who_left_goes_on_behind_it_and_says_so() -> None:
    cell = NorthboundCell(a=2, c=2)
    answer = cell.get("a", "/v1/sessions?cursor=b:4").json
    assert [one["id"] for one in answer["sessions"]] == ["c:1", "c:2"] and answer["incomplete"] == ["b"]


def test_a_reader_stays_a_reader_and_no_token_is_passed_on() -> None:
    cell = NorthboundCell(a=1, b=1)
    reader = token_of(Role.READER)
    assert cell.get("a", "/v1/sessions", reader).json["total"] == 2
    assert {(one.role, one.who) for _, one in cell.asked} == {("reader", "reader-id")}
    assert reader not in repr(cell.asked)
    assert cell.get("a", "/v1/sessions/b:1", reader, "DELETE").status_int == 403
    assert cell.get("a", "/v1/sessions", token_of(Role.MCP)).status_int == 403
    assert cell.aborts("b") == []


def page(*numbers: int, owner: str = "b", following: Any = None, total: Any = None) -> dict[str, Any]:
    rows = [{**HEAD, "id": f"{owner}:{number}", "subflows": 1} for number in numbers]
    told = len(rows) if total is None else total
    return {"sessions": rows, "total": told, "next": following, "incomplete": []}


LIES: list[tuple[int, bytes]] = [
    (200, b""),
    (200, b"[]"),
    (200, b"[" * 100_000),
    (200, b'{"sessions":[],"total":NaN,"next":null,"incomplete":[]}'),
    *(
        (200, json.dumps(one).encode())
        for one in (
            {},
            page(1, total=True),
            page(1, total=-1),
            page(1, total=1 << 40),
            page(1, owner="a"),  # of another controller
            page(2, 1),  # out of order: a page might show it twice
            page(1, 1),
            page(*range(1, 100)),  # more than was asked for
            page(1, following="0"),  # would never end
            page(following="0"),
            page(1, following="x"),
            page(1) | {"more": 1},
            page(1) | {"sessions": [{"id": "b:1"}]},
            {**page(), "sessions": [{**HEAD, "id": "b:1", "subflows": 1, "state": "<script>"}]},
            {**page(), "sessions": [{**HEAD, "id": "b:" + "9" * 40, "subflows": 1}]},
        )
    ),
]


@pytest.mark.parametrize(("status", "body"), LIES)
def test_a_lying_controller_is_named_counted_and_not_repeated(status: int, body: bytes) -> None:
    cell = NorthboundCell(a=1, b=1)
    cell.lies["b"] = PeerReply(status, body)
    answer = cell.get("a", "/v1/sessions")
    assert answer.status_int == 200
    assert [one["id"] for one in answer.json["sessions"]] == ["a:1"] and answer.json["incomplete"] == ["b"]
    assert cell.failures == [("b", PeerFailure.MALFORMED)]


def test_a_refusal_of_another_controller_is_no_answer() -> None:
    cell = NorthboundCell(a=1, b=1)
    cell.lies["b"] = PeerReply(503, b"{}")
    assert cell.get("a", "/v1/sessions").json["incomplete"] == ["b"]
    assert cell.failures == [("b", PeerFailure.REFUSED)]


def test_what_a_controller_tells_within_the_rules_is_taken() -> None:
    cell = NorthboundCell(a=1, b=1)
    cell.lies["b"] = PeerReply(200, json.dumps(page(4, 9)).encode())
    assert cell.ids("a", "/v1/sessions") == ["a:1", "b:4", "b:9"] and cell.failures == []


def test_who_is_asked_by_another_one_tells_of_itself_alone() -> None:
    cell = NorthboundCell(a=1, b=1)
    cell.get("a", "/v1/sessions")
    assert [name for name, _ in cell.asked] == ["b"], "it asks nobody in its turn"
