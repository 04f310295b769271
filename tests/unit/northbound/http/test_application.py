"""The WSGI application: who gets an answer, what answers look like, what bad requests get."""

import json
import logging
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webob import Request, Response

from steering.model.view import SessionFilter
from steering.northbound.auth.keyring import FirstToken
from steering.northbound.http.application import WRITTEN_AT_ONCE
from steering.northbound.http.requests import MAX_TARGET
from steering.northbound.resources.routes import ROUTES
from tests.support.fixed_answers import DECISION
from tests.support.fixed_view import CLOCK, TOKEN, FixedView, name_in, served
from tests.support.rest_replies import problem

BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATHS = [
    route.path.format(
        id="3"
        if "versions" in route.path
        else "m-1"
        if "sessions" in route.path or "aborts" in route.path
        else "d-1",
        name=name_in(route.path),
    )
    for route in ROUTES
    if route.method == "GET"
    and route.media_type != "text/event-stream"
    and route.name not in ("mappings", "binding")
]


def ask(path: str, app: Any = None, method: str = "GET", **headers: str) -> Response:
    """The answer to a request with the right token; headers by name with _ for -."""
    sent = BEARER | {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request.blank(path, method=method, headers=sent)
    return request.get_response(app or served())


@pytest.mark.parametrize("path", PATHS)
def test_every_resource_answers(path: str) -> None:
    response = ask(path)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.content_type == ("text/plain" if path == "/metrics" else "application/json")


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_a_body(path: str) -> None:
    if path == "/metrics":  # its own request count grows between two scrapes
        assert ask(path, method="HEAD").body == b""
        return
    got, headed = ask(path), ask(path, method="HEAD")
    assert headed.body == b""
    assert headed.status_code == 200
    assert headed.headers["Content-Length"] == got.headers["Content-Length"]


def test_bodies_are_the_views() -> None:
    view = FixedView()
    assert ask("/v1/health").json == view.health()
    assert ask("/v1/topology").json == view.topology()
    assert ask("/v1/mcps").json == {"mcps": view.mcps()}
    assert ask("/v1/sessions/m-1").json == view.session("m-1")


def test_a_decision_tells_its_age_and_infinite_costs_are_null() -> None:
    body = ask("/v1/decisions/d-1").json
    assert body["age_s"] == CLOCK - DECISION["time_s"]
    assert [candidate["cost"] for candidate in body["candidates"]] == [5.0, None]
    assert body["candidates"][0] == DECISION["candidates"][0]
    assert body["rule"] == "gold"


# ---- the token ---------------------------------------------------------------------------------


@pytest.mark.row("N-7.1", "D-7.2")
@pytest.mark.parametrize("path", [*PATHS, "/", "/v1/nothing"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_without_the_token_nothing_is_told_not_even_what_exists(path: str, method: str) -> None:
    response = Request.blank(path, method=method).get_response(served())
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="steering"'
    if method != "HEAD":
        assert problem(response, 401) == "a bearer token is needed"


@pytest.mark.row("N-7.1")
@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        "Bearer \xff\xfe",
        "Bearer " + "a" * 5000,
        f"Bearer x {TOKEN}",
    ],
)
def test_a_wrong_token_is_refused_and_never_repeated(header: str) -> None:
    environ = Request.blank("/v1/health").environ
    environ["HTTP_AUTHORIZATION"] = header
    response = Request(environ).get_response(served())
    assert problem(response, 401) == "the bearer token is not one of the controller's"
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert TOKEN.encode() not in response.body


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dTpw", TOKEN, f"Token {TOKEN}"])
def test_other_schemes_are_no_token(header: str) -> None:
    response = Request.blank("/v1/health", headers={"Authorization": header}).get_response(served())
    assert problem(response, 401) == "a bearer token is needed"


def test_the_scheme_is_any_case() -> None:
    request = Request.blank("/v1/health", headers={"Authorization": f"bEARER {TOKEN}"})
    assert request.get_response(served()).status_code == 200


def test_a_token_in_the_query_is_none() -> None:
    response = Request.blank(f"/v1/health?access_token={TOKEN}").get_response(served())
    assert response.status_code == 401


def test_a_first_token_that_is_none_is_refused() -> None:
    for token in ("", "short"):
        with pytest.raises(ValueError, match="at least 32"):
            FirstToken(token)


# ---- sessions, page by page --------------------------------------------------------------------


def test_sessions_come_in_pages_and_the_next_is_linked() -> None:
    app = served(FixedView(250))
    seen: list[str] = []
    path = "/v1/sessions?limit=100&mcp=core"
    while path:
        response = ask(path, app)
        assert response.json["total"] == 167
        seen += [found["id"] for found in response.json["sessions"]]
        link = response.headers.get("Link", "")
        assert not link or link.endswith('>; rel="next"')
        path = link.partition("<")[2].partition(">")[0]
        assert bool(path) == (response.json["next"] is not None)
    assert len(seen) == len(set(seen)) == 167


def test_defaults_and_filters_reach_the_view() -> None:
    view = FixedView()
    app = served(view)
    ask("/v1/sessions", app)
    ask("/v1/sessions?cursor=1&limit=1000&mcp=edge&state=established&token=92C53B6F&client=fd00::2", app)
    client = ip_address("fd00::2").packed
    assert view.asked == [
        (0, 100, SessionFilter()),
        (1, 1000, SessionFilter("edge", "established", 0x92C53B6F, client)),
    ]


def test_the_next_page_is_asked_with_the_same_filters() -> None:
    link = ask("/v1/sessions?limit=1&token=0000abcd&client=10.1.0.2&state=established").headers["Link"]
    query = dict(parse_qsl(link.partition("?")[2].partition(">")[0]))
    assert query == {
        "cursor": "1", "limit": "1", "token": "0000abcd", "client": "10.1.0.2", "state": "established",
    }  # fmt: skip


def test_past_the_end_is_an_empty_page_without_a_next() -> None:
    response = ask("/v1/sessions?cursor=900")
    assert response.json == {"sessions": [], "total": 3, "next": None, "incomplete": []}
    assert "Link" not in response.headers


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("cursor=-1", "a cursor is wanted"),
        ("cursor=", "a cursor is wanted"),
        ("cursor=" + "9" * 60, "a cursor is wanted"),
        ("cursor=%D9%A1", "a cursor is wanted"),  # a digit, but not an ASCII one
        ("token=92c53b6", "8 hex digits"),
        ("client=10.1.0", "an IP address"),
        ("client=fe80::1%251", "without a zone"),
        ("limit=1e3", "a whole number"),
        ("limit=0", "from 1 to 1000"),
        ("limit=1001", "from 1 to 1000"),
        ("limit=1&limit=2", "more than once"),
        ("state=gone", "one of syn-pinned, answered, established, plain, idle, closing, linger"),
        ("mcp=", "1 to 64 characters"),
        ("mcp=" + "m" * 65, "1 to 64 characters"),
        ("mcp=cor", "no MCP 'cor'; known: core, edge"),
        ("sort=age", "unknown parameter 'sort'; known here: cursor, limit, mcp, state, token, client"),
        ("mcp=%ff", "cannot be read"),
        ("&".join(f"p{n}=1" for n in range(17)), "cannot be read"),
    ],
)
def test_bad_parameters_are_named(query: str, said: str) -> None:
    assert said in problem(ask(f"/v1/sessions?{query}"), 400)


def test_a_resource_without_parameters_takes_none() -> None:
    assert "known here: none" in problem(ask("/v1/health?x=1"), 400)


def test_a_long_parameter_is_not_repeated_whole() -> None:
    assert len(problem(ask("/v1/sessions?state=" + "s" * 1500), 400)) < 250


# ---- what is not there, not allowed, too long --------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/mcps/",
        "/v1/sessions/",
        "/v1/sessions/unknown",
        "/v1/sessions/m-1/subflows",
        "/v1/sessions/" + "m" * 129,
        "/v1/decisions/unknown",
        "/v1/sessions/%2e%2e",
        "/v1/sessions/%00",
        "/v1/sessions/%ff%fe",
        "/v1/sessions/%0d%0aSet-Cookie:x",
        "/v2/health",
        "//v1/health",
    ],
)
def test_what_is_not_there(path: str) -> None:
    response = ask(path)
    problem(response, 404)
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_a_resource_takes_its_own_methods(method: str) -> None:
    response = ask("/v1/topology", method=method)
    problem(response, 405)
    assert response.headers["Allow"] == "GET, HEAD"


def test_allow_names_every_method() -> None:
    assert ask("/v1/sessions/m-1", method="PUT").headers["Allow"] == "DELETE, GET, HEAD"
    assert ask("/v1/mcps/core/drain", method="GET").headers["Allow"] == "POST"


class Unreadable:
    def read(self, *_: int) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.parametrize(
    ("method", "path", "header", "value", "status"),
    [
        ("GET", "/v1/mcps", "CONTENT_LENGTH", "10", 413),
        ("GET", "/v1/mcps", "HTTP_TRANSFER_ENCODING", "chunked", 411),
        ("PUT", "/v1/policy", "HTTP_TRANSFER_ENCODING", "chunked", 411),
        ("PUT", "/v1/policy", "CONTENT_LENGTH", str((1 << 20) + 1), 413),
        ("PUT", "/v1/policy", "CONTENT_LENGTH", "many", 400),
    ],
)
def test_a_body_that_is_not_wanted_is_refused_unread(
    method: str, path: str, header: str, value: str, status: int
) -> None:
    environ = Request.blank(path, method=method, headers=BEARER).environ
    environ |= {header: value, "wsgi.input": Unreadable(), "CONTENT_TYPE": "application/yaml"}
    problem(Request(environ).get_response(served()), status)


def test_an_overlong_target_is_refused() -> None:
    just = "/v1/sessions?mcp=" + "m" * (MAX_TARGET - len("/v1/sessionsmcp="))
    problem(ask(just), 400)
    problem(ask(just + "m"), 414)
    problem(ask("/" + "v" * MAX_TARGET), 414)


def test_a_client_that_takes_no_json_is_told() -> None:
    assert problem(ask("/v1/health", Accept="text/html"), 406) == "this resource is application/json"
    for header in ("application/json;q=0, */*", "*/*;q=0.000", "image/*, text/*"):
        problem(ask("/v1/health", Accept=header), 406)
    json_too = "text/html, Application/JSON; charset=utf-8; q=0.1"
    for header in ("*/*", "application/*", json_too, "text/*, */*;q=0.01", "", "x" * 5000, ";;;"):
        assert ask("/v1/health", Accept=header).status_code == 200, header


def test_a_failure_inside_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FixedView):
        def health(self) -> dict[str, Any]:
            raise RuntimeError("secret inside")

    with caplog.at_level(logging.ERROR):
        response = ask("/v1/health", served(Broken()))
    assert "log" in problem(response, 500)
    assert b"secret" not in response.body
    assert b"Traceback" not in response.body
    assert "secret inside" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.row("N-7.1")
def test_no_answer_holds_the_token() -> None:
    app = served()
    for path in [*PATHS, "/v1/nothing", "/v1/sessions?limit=x"]:
        response = ask(path, app)
        assert TOKEN.encode() not in response.body
        assert TOKEN not in str(response.headers)


def test_it_is_plain_wsgi() -> None:
    """wsgiref's validator raises AssertionError for anything PEP 3333 forbids."""
    app = validator(served())
    for path in ("/v1/health", "/v1/nothing", "/v1/sessions?limit=1", "/metrics"):
        environ = Request.blank(path, headers=BEARER).environ
        started: list[str] = []

        def start(status: str, headers: list[tuple[str, str]], exc: Any = None, to: Any = started) -> Any:
            to.append(status)
            return lambda data: None

        answered: Any = app(environ, start)
        assert b"".join(answered)
        answered.close()
        assert len(started) == 1


wild = st.text(st.characters(max_codepoint=255), max_size=80)


@given(
    path=st.one_of(wild, wild.map("/v1/sessions/".__add__), st.sampled_from(PATHS)),
    query=st.one_of(wild, wild.map("cursor=".__add__)),
    accept=wild,
    method=st.sampled_from(["GET", "HEAD", "POST", "", "\xff"]),
)
def test_no_request_breaks_it(path: str, query: str, accept: str, method: str) -> None:
    """Whatever a server may hand over (Latin-1 text, PEP 3333) gets an answer that is not 500."""
    environ = Request.blank("/", headers=BEARER).environ
    environ |= {"PATH_INFO": path, "QUERY_STRING": query, "HTTP_ACCEPT": accept, "REQUEST_METHOD": method}
    started: list[tuple[str, list[tuple[str, str]]]] = []
    body = b"".join(served()(environ, lambda status, headers, exc=None: started.append((status, headers))))
    (status, headers), *others = started
    assert not others
    assert status.split()[0] in {"200", "400", "404", "405", "406", "415"}
    assert all("\n" not in value and "\r" not in value for _, value in headers)
    if method not in ("HEAD", "") and ("Content-Type", "application/json") in headers:
        json.loads(body)


@pytest.mark.parametrize("count", [0, 1, WRITTEN_AT_ONCE, 2 * WRITTEN_AT_ONCE + 50])
def test_a_long_list_is_written_some_elements_at_a_time(count: int) -> None:
    """Whoever asks for a page of a thousand holds up nobody, and gets what JSON is."""
    pauses: list[None] = []
    app = served(FixedView(count), pause=lambda: pauses.append(None))
    body = ask("/v1/sessions?limit=1000", app).json
    assert [one["id"] for one in body["sessions"]] == [f"m-{number}" for number in range(1, count + 1)]
    assert body == json.loads(json.dumps(body)) and body["total"] == count
    assert len(pauses) == max(0, -(-count // WRITTEN_AT_ONCE) - 1)
