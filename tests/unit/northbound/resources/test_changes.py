"""What may be changed over REST, by whom, under which conditions, and what is written down of it."""

import logging
from typing import Any

import pytest
from webob import Request

from steering.core.inputs import AbortSession, AccessChanged, McpAdmin, McpReport, Offload, SubscriberAccess
from steering.core.snapshots.view import EngineView
from steering.model.identity import Role
from steering.model.ids import McpId
from steering.model.network import NetworkAccessType, Trust
from steering.model.policy import Policy, PolicyRule, Pooling, RuleConditions, Subscriber, Terms
from steering.northbound.http.throttle import Throttle
from steering.northbound.schema.representation import JsonView
from tests.support.driven import Driven
from tests.support.fixed_answers import IMSI
from tests.support.fixed_rest import QUESTION, UPDATE, Rest
from tests.support.fixed_view import LTE, TOKEN, WHO, north, token_of
from tests.support.rest_replies import problem
from tests.support.sites import Driver, nets


@pytest.fixture
def rest() -> Rest:
    return Rest()


# ---- MCPs and sessions -------------------------------------------------------------------------


def test_an_mcp_is_drained_and_back(rest: Rest) -> None:
    response = rest("POST", "/v1/mcps/core/drain")
    assert (response.status_code, response.json) == (202, {"name": "core", "draining": True, "changed": True})
    assert rest("POST", "/v1/mcps/core/undrain").status_code == 202
    assert rest.control.given == [McpAdmin(McpId(7), True), McpAdmin(McpId(7), False)]
    problem(rest("POST", "/v1/mcps/none/drain"), 404)


def test_an_mcp_reports_its_load(rest: Rest) -> None:
    token = token_of("mcp")
    assert rest("PUT", "/v1/mcps/core/load", {"load": 0.25}, token).json == {
        "name": "core", "alive": True, "load": 0.25,
    }  # fmt: skip
    assert rest("PUT", "/v1/mcps/core/load", {"alive": False}, token).status_code == 202
    assert rest.control.given == [McpReport(McpId(7), True, 0.25), McpReport(McpId(7), False, None)]


@pytest.mark.row("D-6.3e", "N-7.1")
def test_a_subscribers_access_has_sequence_numbers(rest: Rest) -> None:
    path = f"/v1/subscribers/{WHO}/access"
    update = {"allowed": ["wlan", "cellular"], "preferred": ["wlan"], "sequence": 7}
    answer = rest("PUT", path, update)
    assert (answer.status_code, answer.json) == (200, {**update, "allowed": ["cellular", "wlan"], "id": WHO})
    assert "7 is in force" in problem(rest("PUT", path, update), 409)
    problem(rest("PUT", path, {**update, "sequence": 6}), 409)
    told = {**update, "allowed": ["cellular", "wlan"]}
    assert rest("GET", "/v1/subscribers").json["subscribers"][0]["access"] == told
    assert rest("PUT", path, {"sequence": 8}).status_code == 200
    told = {"allowed": [], "preferred": [], "sequence": 8}
    assert rest("GET", "/v1/subscribers").json["subscribers"][0]["access"] == told
    kinds = frozenset({NetworkAccessType.WLAN, NetworkAccessType.CELLULAR})
    assert rest.control.given == [
        SubscriberAccess(IMSI, Pooling(kinds, (NetworkAccessType.WLAN,))),
        SubscriberAccess(IMSI, None),
    ]
    problem(rest("PUT", f"/v1/subscribers/{IMSI}/access", update), 404)
    problem(rest("PUT", path, {**update, "preferred": ["fixed"], "sequence": 9}), 422)
    problem(rest("PUT", path, {**update, "sequence": 9}, token_of("mcp")), 403)
    assert len(rest.control.given) == 2


@pytest.mark.row("D-1.u2")
def test_an_offload_names_two_access_networks(rest: Rest) -> None:
    assert rest("POST", "/v1/offload", {"from": "lte", "to": "wlan"}).status_code == 202
    assert rest("POST", "/v1/offload", {"from": "lte", "to": None}).json == {"from": "lte", "to": None}
    for wrong in ({"from": "lte", "to": "lte"}, {"from": "lte", "to": "x"}, {"from": "lte"}):
        problem(rest("POST", "/v1/offload", wrong), 422)
    assert rest.control.given == [Offload("lte", "wlan"), Offload("lte", None)]


def test_a_session_is_aborted() -> None:
    driver = Driver()
    session = driver.session()
    view = JsonView(EngineView(driver.engine, lambda: driver.now, "0.1.0"))
    control = Driven(driver)
    app = north(view, driver.counters, control, now=lambda: driver.now).application
    for number, status in ((session.id, 202), (session.id + 1, 404)):
        request = Request.blank(
            f"/v1/sessions/{number}", method="DELETE", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        assert request.get_response(app).status_code == status
    assert control.given == [AbortSession(session.id)]
    assert driver.engine.sessions.aborted.report(session.id) is not None
    request = Request.blank(f"/v1/aborts/{session.id}", headers={"Authorization": f"Bearer {TOKEN}"})
    driver.later(5.1)
    told = request.get_response(app).json
    assert told["over"] and {(end["end"], end["outcome"]) for end in told["ends"]} == {
        ("host", "silent"), ("server", "silent"),
    }  # fmt: skip
    assert not driver.table.flows


# ---- access networks ---------------------------------------------------------------------------


@pytest.mark.row("D-6.3e")
def test_access_information_is_replaced_and_a_stale_update_is_refused(rest: Rest) -> None:
    before = rest("GET", LTE)
    assert before.json["sequence"] == 0
    after = rest("PUT", LTE, UPDATE, If_Match=before.headers["ETag"])
    assert after.status_code == 200
    assert (after.json["type"], after.json["trust"], after.json["sequence"]) == ("wlan", "third-party", 7)
    assert after.headers["ETag"] != before.headers["ETag"]
    assert rest("GET", LTE).headers["ETag"] == after.headers["ETag"]
    assert rest.control.given == [AccessChanged("lte", NetworkAccessType.WLAN, Trust.THIRD_PARTY)]
    for sequence in (7, 6):
        said = problem(rest("PUT", LTE, {**UPDATE, "sequence": sequence}, If_Match="*"), 409)
        assert said == f"update {sequence} of lte is stale: 7 is in force"
    assert len(rest.control.given) == 1
    assert rest("PUT", LTE, {**UPDATE, "sequence": 8}, If_Match="*").status_code == 200


@pytest.mark.row("D-6.3e")
def test_an_unauthorised_update_is_refused(rest: Rest) -> None:
    for role in (Role.READER, Role.MCP, Role.DEVICE):
        problem(rest("PUT", LTE, UPDATE, token_of(role), If_Match="*"), 403)
    assert rest.control.given == []


@pytest.mark.row("D-6.3e")
def test_an_update_acts_on_the_engine_and_shows() -> None:
    driver = Driver()
    view = JsonView(EngineView(driver.engine, lambda: driver.now, "0.1.0"))
    rest = Rest()
    rest.app = north(view, driver.counters, Driven(driver)).application
    assert rest("PUT", LTE, UPDATE, If_Match="*").status_code == 200
    assert driver.engine.chooser.access["lte"] == (NetworkAccessType.WLAN, Trust.THIRD_PARTY)
    (lte, wlan) = rest("GET", "/v1/access-networks").json["access_networks"]
    assert (lte["trust"], wlan["trust"]) == ("third-party", "operator")


@pytest.mark.parametrize("path", [LTE, "/v1/policy"])
def test_nothing_is_replaced_unseen(rest: Rest, path: str) -> None:
    body: Any = UPDATE if path == LTE else {"policy": 1}
    problem(rest("PUT", path, body), 428)
    for given in ('"other"', 'W/"x", "y"', "", "other", "x" * 5000):
        problem(rest("PUT", path, body, If_Match=given), 412)
    tag = rest("GET", path).headers["ETag"]
    problem(rest("PUT", path, body, If_Match=f"W/{tag}"), 412)  # strong comparison
    assert rest.control.given == []
    assert rest.control.asked == []
    assert rest("PUT", path, body, If_Match=f'"other", {tag}').status_code == 200
    problem(rest("PUT", path, body, If_Match=tag), 412)  # it is another one now


# ---- bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "path", "said"),
    [
        ({**UPDATE, "sequence": "8"}, "sequence", "valid integer"),
        ({**UPDATE, "sequence": True}, "sequence", "valid integer"),
        ({**UPDATE, "sequence": 0}, "sequence", "greater than or equal to 1"),
        ({**UPDATE, "sequence": 2**53}, "sequence", "less than or equal"),
        ({**UPDATE, "type": "5g"}, "type", "'cellular', 'wlan', 'fixed'"),
        ({**UPDATE, "mac": 1}, "mac", "not permitted"),
        ({"type": "wlan", "sequence": 1}, "trust", "required"),
        ([], "$", "object"),
        (None, "$", ""),
    ],
)
def test_what_is_wrong_in_a_body_is_said_with_its_path(rest: Rest, body: Any, path: str, said: str) -> None:
    response = rest("PUT", LTE, b"null" if body is None else body, If_Match="*")
    problem(response, 422)
    assert [error["path"] for error in response.json["errors"]] == [path]
    assert said in response.json["errors"][0]["message"]
    assert rest.control.given == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b'{"type": "\\ud800"', b"[" * 100_000])
def test_what_is_no_json_is_400(rest: Rest, body: bytes) -> None:
    assert rest("PUT", LTE, body, If_Match="*").status_code in (400, 422)
    assert rest.control.given == []


@pytest.mark.parametrize("load", [b"NaN", b"Infinity", b"1e400", b"-0.1", b"1.1", b'"1"'])
def test_a_load_is_a_number_from_0_to_1(rest: Rest, load: bytes) -> None:
    assert rest("PUT", "/v1/mcps/core/load", b'{"load": %b}' % load).status_code in (400, 422)
    assert rest.control.given == []


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/yaml", "application/json5", "multipart/form-data"]
)
def test_another_media_type_is_415(rest: Rest, kind: str) -> None:
    response = rest("PUT", LTE, UPDATE, kind=kind, If_Match="*")
    problem(response, 415)
    assert response.headers["Accept"] == "application/json"
    assert rest("PUT", LTE, UPDATE, kind="Application/JSON; charset=utf-8", If_Match="*").status_code == 200


# ---- the rest ----------------------------------------------------------------------------------


@pytest.mark.row("N-7.1")
def test_a_subscriber_is_shown_by_a_pseudonym_everywhere() -> None:
    subscriber = Subscriber(IMSI, prefixes=nets("10.1.0.0/24"))
    rule = PolicyRule("own", RuleConditions(subscribers=frozenset({IMSI})), Terms())
    driver = Driver(policy=Policy(rules=(rule,), subscribers=(subscriber,)))
    session = driver.session()
    view = JsonView(EngineView(driver.engine, lambda: driver.now, "0.1.0"))
    made = north(view, driver.counters, Driven(driver), now=lambda: driver.now)
    rest = Rest()
    rest.app = made.application
    answers = [
        rest("GET", "/v1/subscribers"),
        rest("GET", f"/v1/decisions/{session.id}"),
        rest("POST", "/v1/whatif", QUESTION),
        rest("GET", "/v1/sessions"),
        rest("GET", f"/v1/sessions/{session.id}"),
        rest("GET", "/metrics"),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert IMSI not in answer.text
    names = {
        answers[0].json["subscribers"][0]["id"],
        answers[1].json["subscriber"],
        answers[2].json["subscriber"],
    }
    assert len(names) == 1
    other = north(view, driver.counters, Driven(driver), pseudonyms=b"other" * 8).application
    request = Request.blank("/v1/subscribers", headers={"Authorization": f"Bearer {TOKEN}"})
    assert request.get_response(other).json["subscribers"][0]["id"] not in names


def test_too_many_requests_is_429_with_a_time_to_come_back() -> None:
    times = [0.0]
    rest = Rest(throttle=Throttle(0.5, 2.0), now=lambda: times[0])
    assert [rest("GET", "/v1/health").status_code for _ in range(3)] == [200, 200, 429]
    response = rest("GET", "/v1/health")
    problem(response, 429)
    assert response.headers["Retry-After"] == "2"
    assert rest("GET", "/v1/health", token=token_of("reader")).status_code == 200  # another's bucket
    times[0] = 2.0
    assert rest("GET", "/v1/health").status_code == 200


@pytest.mark.row("N-7.1")
def test_the_audit_says_who_did_what_and_no_secret(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "steering.audit"):
        rest("GET", "/v1/policy")
        rest("POST", "/v1/whatif", QUESTION)
        rest("POST", "/v1/mcps/core/drain")
        rest("PUT", LTE, UPDATE, token_of("reader"), If_Match="*")
        rest("PUT", "/v1/policy", f"wrong: {IMSI}".encode(), kind="application/yaml", If_Match="*")
        rest("POST", "/v1/mcps/a%0Ab/drain")
    lines = [record.getMessage() for record in caplog.records if record.name == "steering.audit"]
    assert [line.split(" from=")[0] for line in lines] == [
        "who=0123abcd role=operator name=tests did=drain target='/v1/mcps/core/drain' status=202",
        "who=reader-id role=reader name=- did=put_access_network target='/v1/access-networks/lte' status=403",
        "who=0123abcd role=operator name=tests did=put_policy target='/v1/policy' status=422",
        "who=0123abcd role=operator name=tests did=drain target='/v1/mcps/a\\nb/drain' status=404",
    ]
    everything = caplog.text
    assert TOKEN not in everything
    assert token_of("reader") not in everything
    assert IMSI not in everything
