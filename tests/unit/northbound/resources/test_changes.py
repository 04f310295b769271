"""What may be changed over REST, by whom, under which conditions, and what is written down of it."""

import json
import logging
from typing import Any

import pytest
from webob import Request, Response

from steering.core.inputs import AbortSession, AccessChanged, McpAdmin, McpReport, Offload, SubscriberAccess
from steering.core.snapshots.view import EngineView
from steering.model.control import PolicyDisagreement, PolicyText
from steering.model.identity import Role
from steering.model.ids import McpId
from steering.model.network import NetworkAccessType, Trust
from steering.model.policy import Policy, PolicyRule, Pooling, RuleConditions, Subscriber, Terms
from steering.northbound.http.throttle import Throttle
from steering.northbound.resources.routes import ROUTES
from steering.northbound.schema.representation import JsonView
from tests.support.driven import Driven
from tests.support.fixed_view import IMSI, LTE, TOKEN, WHO, FixedView, Noted, name_in, north, token_of
from tests.support.rest_replies import problem
from tests.support.rest_schema import faults
from tests.support.sites import UE_LTE, Driver, nets

UPDATE = {"type": "wlan", "trust": "third-party", "sequence": 7}


class Rest:
    """A northbound over fixed answers, and what its control was given."""

    def __init__(self, **more: Any) -> None:
        self.control = Noted()
        self.app = north(FixedView(), control=self.control, **more).application

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = TOKEN,
        kind: str = "application/json",
        **headers: str,
    ) -> Response:
        sent = {"Authorization": f"Bearer {token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request.blank(path, method=method, headers=sent, body=data)
        if body is not None:
            request.headers["Content-Type"] = kind
        return request.get_response(self.app)


@pytest.fixture
def rest() -> Rest:
    return Rest()


# ---- roles -------------------------------------------------------------------------------------


@pytest.mark.row("D-7.2", "S-14")
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_role_may_what_its_routes_say_and_nothing_else(route: Any, role: Role, rest: Rest) -> None:
    path = route.path.format(id="m-1", name=name_in(route.path))
    status = rest(route.method, path, token=token_of(role)).status_code
    if role in route.roles:
        assert status not in (401, 403)
    else:
        assert status == 403
        assert rest.control.given == []


# What they answer is shown in test_reservations.py, over an engine that has something to reserve.
RESERVING = {route.name for route in ROUTES if route.path.startswith("/v1/reservations")}


BINDING = {route.name for route in ROUTES if route.path.startswith("/v1/bindings")}  # test_bindings.py
CLUSTER = {route.name for route in ROUTES if route.path.startswith("/v1/cluster")}  # test_cluster.py


def test_who_may_what() -> None:
    may = {role: {route.name for route in ROUTES if role in route.roles} for role in Role}
    assert may[Role.OPERATOR] == {route.name for route in ROUTES}
    assert (
        may[Role.DEVICE] == {"health", "openapi", "mcps", "discovery", "pair", "unpair"} | RESERVING | BINDING
    )
    changing = {route.name for route in ROUTES if route.changes}
    registering = {"register_mcp", "change_mcp", "remove_mcp"}
    assert may[Role.MCP] & changing == {"load", "report_mappings"} | registering
    assert RESERVING - may[Role.READER] == RESERVING & changing
    assert not may[Role.READER] & (changing | {"policy"})


@pytest.mark.row("S-14", "D-7.2")
@pytest.mark.parametrize("path", ["/v1/mcps/edge", "/v1/mcps/edge/load", "/v1/mcps/edge/events"])
def test_an_mcp_is_itself_alone(rest: Rest, path: str) -> None:
    method = "PUT" if path.endswith("load") else "GET"
    said = problem(rest(method, path, {"load": 0.1}, token_of("mcp")), 403)
    assert said == "this token is that of MCP core, for itself alone"
    assert rest.control.given == []


# ---- MCPs and sessions -------------------------------------------------------------------------


def test_an_mcp_is_drained_and_back(rest: Rest) -> None:
    response = rest("POST", "/v1/mcps/core/drain")
    assert (response.status_code, response.json) == (202, {"name": "core", "draining": True})
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


# ---- policy ------------------------------------------------------------------------------------


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


# ---- what if -----------------------------------------------------------------------------------

QUESTION = {"source": UE_LTE, "destination": "10.9.0.2", "port": 443}


def test_a_question_reaches_the_engine_and_installs_nothing() -> None:
    driver = Driver()
    view = JsonView(EngineView(driver.engine, lambda: driver.now, "0.1.0"))
    rest = Rest()
    rest.app = north(view, driver.counters, Driven(driver)).application
    told = rest("POST", "/v1/whatif", QUESTION, token_of("reader")).json
    assert (told["outcome"], told["winner"]) == ("proxy", "core")
    assert {candidate["mcp"] for candidate in told["candidates"]} == {"core", "edge"}
    assert len(driver.table) == 0
    away = rest("POST", "/v1/whatif", {**QUESTION, "access": "wlan", "destination": "10.8.0.99"}).json
    assert (away["outcome"], away["winner"]) == ("natural", None)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"source": "10.1.0"}, "source"),
        ({"source": "fe80::1%1"}, "source"),
        ({"source": 167837698}, "source"),
        ({"source": "0.0.0.0"}, "source"),  # in no access network
        ({"destination": "fd00::1"}, "destination"),  # another family
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"mptcp_version": 2}, "mptcp_version"),
        ({"access": "nowhere"}, "access"),
        ({"access": ""}, "access"),
    ],
)
def test_a_question_that_makes_no_sense(rest: Rest, change: dict[str, Any], path: str) -> None:
    response = rest("POST", "/v1/whatif", QUESTION | change)
    problem(response, 422)
    assert [error["path"] for error in response.json["errors"]] == [path]


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


MAPPING = {
    "internal": "10.1.0.2", "external": "192.0.2.1", "first_port": 1024, "last_port": 1535, "begin": 1.0, "end": None,
}  # fmt: skip


BATCH = {
    "version": 1, "generation": "9f3c2a1b00112233", "sequence": 18, "whole": None, "live": 1, "waiting": 0,
    "events": [
        {"event": "began", "id": 77, "token": "1a2b3c4d", "client": ["10.1.0.2", 40000], "server": ["10.9.0.2", 443],
         "at": 1796000000.125},
        {"event": "ended", "id": 12, "token": None, "how": "orderly", "at": 1796000000.25},
    ],
    "state": {"health": "up", "load": 0.01, "sessions": 1, "most_sessions": 4000, "accepted": 77, "fallback": 3,
              "dial_failed": 1, "refused": 0},
}  # fmt: skip


def test_changes_answer_what_the_schemas_say(rest: Rest) -> None:
    from steering.northbound.schema.answers import SCHEMAS

    asked: dict[str, Any] = {
        "load": {"load": 0.5}, "report_mappings": {"mappings": [MAPPING]}, "report_sessions": BATCH, "put_access_network": UPDATE, "put_policy": {"policy": 1},
        "rollback": {"version": 3}, "whatif": QUESTION, "pair": {"addresses": ["10.1.0.2"]},
        "put_acl": {"entries": [{"name": "x", "action": "deny", "source": ["10.1.0.0/28"]}]},
        "register": {"subscriber": "somebody", "addresses": ["10.1.0.2"]},
        "pseudonym": {"subscriber": "somebody"},
        "put_link": {"weight": 2.5},
        "put_clock": {"offset_s": 60},
        "offload": {"from": "lte", "to": "wlan"},
        "put_subscriber_access": {"preferred": ["wlan"], "sequence": 1},
        "register_mcp": {"name": "fresh"}, "change_mcp": {"name": "core"},
    }  # fmt: skip
    for route in ROUTES:
        if route.method == "GET" or "{id}" in route.path or route.name in RESERVING | BINDING | CLUSTER:
            continue
        # One that has no sessions.
        name = "edge" if route.name == "remove_mcp" else name_in(route.path)
        path = route.path.format(name=name, id=WHO)
        response = rest(route.method, path, asked.get(route.name), If_Match="*")
        assert response.status_code == route.status, response.text
        assert route.schema is not None
        assert not list(faults(SCHEMAS[route.schema], response.json, SCHEMAS)), route.name


# ---- MCPs at run time ----------------------------------------------------------------------------

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
