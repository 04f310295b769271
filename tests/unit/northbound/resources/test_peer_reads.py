"""A session, its ways, its decision and its end, asked of another controller than its own."""

import json

import pytest

from steering.model.cluster import PeerFailure, PeerReply, PeerRequest
from steering.model.identity import Role
from tests.support.fixed_view import token_of
from tests.support.northbound_cell import NorthboundCell

PATHS = ["/v1/sessions/b:2", "/v1/sessions/b:2/paths", "/v1/decisions/b:d-1", "/v1/aborts/b:2"]


@pytest.mark.parametrize("path", PATHS)
def test_any_controller_answers_what_the_owner_does(path: str) -> None:
    cell = NorthboundCell(a=1, b=3)
    own, others = cell.get("b", path), cell.get("a", path)
    assert own.status_int == others.status_int == 200
    assert own.json == others.json
    assert [name for name, _ in cell.asked] == ["b"]


@pytest.mark.parametrize("path", PATHS)
def test_who_does_not_answer_is_503_with_the_reason(path: str) -> None:
    cell = NorthboundCell(a=1, b=3)
    cell.silent["b"] = PeerFailure.UNREACHABLE
    answer = cell.get("a", path)
    assert (
        answer.status_int == 503 and "unreachable" in answer.json["detail"] and answer.headers["Retry-After"]
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"", b"{}", b'{"id": "b:2"}', b"\xff"])
def test_an_answer_that_is_none_is_refused_and_counted(path: str, body: bytes) -> None:
    cell = NorthboundCell(a=1, b=3)
    cell.lies["b"] = PeerReply(200, body)
    assert cell.get("a", path).status_int == 503
    assert cell.failures == [("b", PeerFailure.MALFORMED)]


def test_the_answer_about_another_session_is_refused() -> None:
    cell = NorthboundCell(a=1, b=3)
    cell.lies["b"] = PeerReply(200, json.dumps(cell.views["b"].session("b:3")).encode())
    assert cell.get("a", "/v1/sessions/b:2").status_int == 503
    assert cell.failures == [("b", PeerFailure.MALFORMED)]


@pytest.mark.parametrize("wanted", ["b:9", "x:1", "b:", ":1", "b:1:1", "9"])
def test_what_nobody_has_is_404(wanted: str) -> None:
    assert NorthboundCell(a=1, b=3).get("a", f"/v1/sessions/{wanted}").status_int == 404


def test_an_abort_reaches_the_owner_and_nobody_else() -> None:
    cell = NorthboundCell(a=3, b=3)
    answer = cell.get("a", "/v1/sessions/b:2", method="DELETE")
    assert answer.status_int == 202 and answer.json == {"id": "b:2"}
    assert cell.aborts("b") == [2] and cell.aborts("a") == []
    assert cell.get("a", "/v1/sessions/a:1", method="DELETE").status_int == 202
    assert cell.aborts("a") == [1]


def test_the_owner_checks_the_role_again(caplog: pytest.LogCaptureFixture) -> None:
    cell = NorthboundCell(a=1, b=3)
    ask = cell.north["b"].application.for_peer
    caplog.set_level("INFO", "steering.audit")
    assert ask("a", PeerRequest("DELETE", "/v1/sessions/b:1", "reader", "r")).status == 403
    assert ask("a", PeerRequest("DELETE", "/v1/sessions/b:1", "operator", "first")).status == 202
    assert cell.aborts("b") == [1]
    assert [one.args[0] for one in caplog.records if isinstance(one.args, tuple)] == ["r", "first"]
    assert "controller a" in caplog.text


@pytest.mark.parametrize(
    ("method", "target", "role", "who", "status"),
    [
        ("GET", "/v1/policy", "operator", "first", 403),  # not for other controllers
        ("GET", "/metrics", "operator", "first", 403),
        ("DELETE", "/v1/mcps/core", "operator", "first", 403),
        ("GET", "/v1/sessions?limit=1001", "operator", "first", 400),
        ("GET", "/v1/sessions?cursor=-1", "operator", "first", 400),
        ("GET", "/v1/sessions", "root", "first", 400),
        ("GET", "/v1/sessions", "operator", "first\nwho=", 400),  # a forged line of the audit
        ("GET", "/v1/sessions", "operator", "", 400),
        ("GET", "/v1/sessions", "device", "cpe-1", 403),
        ("GET", "", "operator", "first", 404),
        ("GET", "/v1/%ff", "operator", "first", 404),
    ],
)
def test_what_a_controller_asks_is_bounded_as_what_a_client_asks(
    method: str, target: str, role: str, who: str, status: int
) -> None:
    cell = NorthboundCell(a=1, b=3)
    assert cell.north["b"].application.for_peer("a", PeerRequest(method, target, role, who)).status == status


def test_an_mcps_token_reads_no_session_at_either() -> None:
    cell = NorthboundCell(a=1, b=3)
    assert cell.get("a", "/v1/sessions/b:1", token_of(Role.MCP)).status_int == 403
    assert cell.asked == []
