"""MCPs over REST while the controller runs: registered, changed and removed, by whom."""

from typing import Any

import pytest

from tests.support.fixed_rest import Rest
from tests.support.fixed_view import token_of
from tests.support.rest_replies import problem


@pytest.fixture
def rest() -> Rest:
    return Rest()


FRESH: dict[str, Any] = {"name": "fresh", "type": "off-path", "port": "s4:9", "addresses": ["10.8.2.2"]}


@pytest.mark.row("D-6.7.7", "S-5")
def test_an_mcp_is_registered_in_yaml_or_json_and_told_back(rest: Rest) -> None:
    made = rest("POST", "/v1/mcps", FRESH)
    assert made.status_code == 201 and made.json["name"] == "fresh" and made.json["kept"] is True
    yaml = rest("POST", "/v1/mcps", b"name: other\n", kind="application/yaml")
    assert yaml.status_code == 201
    assert [name for _, name in rest.control.asked] == [None, None]
    assert problem(rest("POST", "/v1/mcps", FRESH | {"name": "core"}), 409).startswith(
        "MCP 'core' is registered"
    )
    bad = rest("POST", "/v1/mcps", FRESH | {"name": "wrong"})
    assert bad.status_code == 422
    assert bad.json["errors"][0] | {"path": "name", "code": "bad-value"} == bad.json["errors"][0]
    assert rest("POST", "/v1/mcps", b"<x/>", kind="text/xml").status_code == 415


@pytest.mark.row("D-7.2", "S-14")
def test_nobody_injects_an_mcp(rest: Rest) -> None:
    """Without a token 401; of role mcp the one whose name it bears; nobody else but an operator."""
    assert rest("POST", "/v1/mcps", FRESH, token="nobody").status_code == 401
    token = token_of("mcp")
    assert (
        problem(rest("POST", "/v1/mcps", FRESH, token), 403)
        == "this token is that of MCP core, for itself alone"
    )
    assert rest("POST", "/v1/mcps", {"no": "name"}, token).status_code == 403
    for role in ("device", "reader"):
        assert rest("POST", "/v1/mcps", FRESH, token_of(role)).status_code == 403
    assert rest("DELETE", "/v1/mcps/edge", token=token).status_code == 403
    assert rest.control.asked == []
    assert (
        rest("POST", "/v1/mcps", FRESH | {"name": "core"}, token).status_code == 409
    )  # it may: it is there already


def test_an_mcp_is_changed_by_who_has_seen_it(rest: Rest) -> None:
    seen = rest("GET", "/v1/mcps/core")
    assert seen.json["declared"] == {"name": "core", "port": "s3:1"}
    body = FRESH | {"name": "core"}
    assert rest("PUT", "/v1/mcps/core", body).status_code == 428
    assert rest("PUT", "/v1/mcps/core", body, If_Match='"x"').status_code == 412
    changed = rest("PUT", "/v1/mcps/core", body, If_Match=seen.headers["ETag"])
    assert changed.status_code == 200 and changed.headers["ETag"] == seen.headers["ETag"]
    assert rest.control.asked[-1][1] == "core"
    problem(rest("PUT", "/v1/mcps/none", body, If_Match="*"), 404)


@pytest.mark.row("D-6.7.7")
def test_an_mcp_with_sessions_is_removed_by_an_operators_force_alone(rest: Rest) -> None:
    assert "2 sessions at MCP 'core'" in problem(rest("DELETE", "/v1/mcps/core"), 409)
    token = token_of("mcp")
    assert "2 sessions" in problem(rest("DELETE", "/v1/mcps/core", token=token), 409)
    assert "only an operator" in problem(rest("DELETE", "/v1/mcps/core?force=1", token=token), 403)
    gone = rest("DELETE", "/v1/mcps/core?force=1")
    assert gone.json == {"name": "core", "kept": False, "sessions": 2}
    assert rest("DELETE", "/v1/mcps/edge").json["kept"] is True
    problem(rest("DELETE", "/v1/mcps/none"), 404)
