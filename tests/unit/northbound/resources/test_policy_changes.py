"""The policy over REST: tried, put in force, and taken back, by who has seen the one in force."""

from typing import Any

import pytest

from steering.model.control import PolicyDisagreement, PolicyText
from tests.support.fixed_rest import Rest
from tests.support.rest_replies import problem


@pytest.fixture
def rest() -> Rest:
    return Rest()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("PUT", "/v1/policy", {"policy": 1}), ("POST", "/v1/policy/rollback", {"version": 3})],
)
def test_a_policy_that_comes_into_force_during_the_check_of_another_is_not_replaced_unseen(
    rest: Rest, method: str, path: str, body: Any
) -> None:
    file = PolicyText(4, "policy: 1\n# of the file\n")

    def reload() -> None:
        rest.control.current = file

    rest.control.checking = reload
    tag = rest("GET", "/v1/policy").headers["ETag"]
    problem(rest(method, path, body, If_Match=tag), 412)
    assert rest.control.current == file
    assert rest(method, path, body, If_Match="*").status_code == 200


@pytest.mark.parametrize(
    ("query", "tried"), [("dry_run", True), ("dry_run=true", True), ("dry_run=false", False)]
)
def test_a_dry_run_is_asked_for_in_any_of_the_usual_ways(rest: Rest, query: str, tried: bool) -> None:
    answer = rest("PUT", f"/v1/policy?{query}", b"policy: 1\n# x\n", kind="application/yaml", If_Match="*")
    assert answer.json["dry_run"] is tried
    assert rest.control.current.version == (3 if tried else 4)


def test_a_policy_is_tried_then_put_in_force(rest: Rest) -> None:
    text = b"policy: 1\n# by hand\n"
    tried = rest("PUT", "/v1/policy?dry_run=1", text, kind="application/yaml")
    assert tried.json == {"version": 3, "dry_run": True, "findings": []}
    assert rest.control.current.version == 3
    tag = rest("GET", "/v1/policy").headers["ETag"]
    put = rest("PUT", "/v1/policy", text, kind="application/yaml", If_Match=tag)
    assert put.json == {"version": 4, "dry_run": False, "findings": []}
    got = rest("GET", "/v1/policy")
    assert got.json == {"version": 4, "text": text.decode()}
    assert got.headers["ETag"] == put.headers["ETag"]
    assert [who for _, who, _ in rest.control.asked] == ["0123abcd"] * 2


def test_a_policy_as_json_is_written_as_yaml_can_read_it(rest: Rest) -> None:
    body = b'{"policy":\t1, "note": "\\ud83d\\ude00 \\/"}'
    assert rest("PUT", "/v1/policy", body, If_Match="*").status_code == 200
    text = rest.control.asked[0][0]
    assert "\t" not in text
    assert "\U0001f600 /" in text
    problem(rest("PUT", "/v1/policy", b"{", If_Match="*"), 400)
    problem(rest("PUT", "/v1/policy", b"\xff", kind="application/yaml", If_Match="*"), 400)


def test_a_policy_with_findings_stays_out(rest: Rest) -> None:
    response = rest("PUT", "/v1/policy", b"wrong: 1\n", kind="application/yaml", If_Match="*")
    problem(response, 422)
    (error,) = response.json["errors"]
    assert (error["line"], error["code"], error["message"]) == (2, "unknown-key", "unknown key 'wrong'")
    assert rest.control.current.version == 3


@pytest.mark.parametrize(
    ("refused", "status"), [({"c2": "unknown MCP 'far'"}, 409), ({}, 503)], ids=["refused", "late"]
)
def test_a_policy_that_others_do_not_agree_on_says_who_and_why(
    rest: Rest, refused: dict[str, str], status: int
) -> None:
    def disagree() -> None:
        raise PolicyDisagreement("the policy stays as it is: c2 and why", refused)

    rest.control.checking = disagree
    for answer in (
        rest("PUT", "/v1/policy", b"policy: 1\n", kind="application/yaml", If_Match="*"),
        rest("POST", "/v1/policy/rollback", {"version": 3}, If_Match="*"),
    ):
        assert problem(answer, status) == "the policy stays as it is: c2 and why"
        assert answer.headers.get("Retry-After") == (None if refused else "1")
    assert rest.control.current.version == 3


def test_an_earlier_policy_comes_back(rest: Rest) -> None:
    assert rest("GET", "/v1/policy/versions").json["versions"][0]["version"] == 3
    problem(rest("POST", "/v1/policy/rollback", {"version": 3}), 428)
    back = rest("POST", "/v1/policy/rollback", {"version": 3}, If_Match="*")
    assert back.json == {"version": 4, "dry_run": False, "findings": []}
    problem(rest("POST", "/v1/policy/rollback", {"version": 9}, If_Match="*"), 404)
