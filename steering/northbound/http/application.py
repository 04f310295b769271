"""The WSGI application: bounds, bearer token, role, dispatch, errors, audit. Plain WSGI; any server may run it."""

import json
import logging
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from routes import Mapper
from webob import Response

from steering.model.cluster import PeerReply, PeerRequest
from steering.model.identity import Identity, Role
from steering.model.refused_connections import RestRefusal
from steering.model.view import Pause, no_pause
from steering.northbound.auth.keyring import Keyring, TokenExpired
from steering.northbound.http import problems, requests
from steering.northbound.http.exchange import JSON_TYPE, MAX_ID, Call, RestReply, RestRoute, Uses
from steering.northbound.http.held_body import HeldBody
from steering.northbound.http.meter import HttpMeter
from steering.northbound.http.parameters import parse_query, text_of
from steering.northbound.http.peer_requests import peer_environ, peer_identity
from steering.northbound.http.problems import Problem, forbidden, not_found
from steering.northbound.http.throttle import Throttle
from steering.store.interface import StateError

WRITTEN_AT_ONCE = 100  # elements of a list that are encoded between two pauses
SILENCE = 60.0  # seconds without a refusal after which the next one is logged again
SECURE_HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
INCOMPLETE = "Steering-Incomplete"  # names of controllers whose part of an answer is missing

# WSGI environment key: a function of the request's Identity. It says whether its connection may stay open.
WELCOME = "steering.welcome"
# WSGI environment key: a function that says whether the client has closed its connection.
HUNG_UP = "steering.hung-up"
# WSGI environment key: this application sets it to the RestRefusal of a token.
REFUSAL = "steering.refusal"

Json = dict[str, Any]

log = logging.getLogger(__name__)
audit = logging.getLogger("steering.audit")


class _Trace:
    """What the audit line of a request needs, filled in while the request is answered."""

    def __init__(self) -> None:
        self.who: Identity | None = None
        self.route: RestRoute | None = None


class RestApplication:
    """The WSGI application; `northbound.composition` makes it. Of past requests it keeps only counts. `resources`: one
    object of each class whose methods `routes` name. Raises ValueError for a route that none of them answers."""

    def __init__(
        self,
        routes: tuple[RestRoute, ...],
        resources: Iterable[object],
        keyring: Keyring,
        throttle: Throttle,
        now: Callable[[], float],
        meter: HttpMeter,
        pause: Pause = no_pause,
    ) -> None:
        """`pause` lets other threads run while a long answer is encoded."""
        self._pause = pause
        self._owners = _owners(routes, resources)
        self._keyring = keyring
        self._throttle = throttle
        self._now = now
        self._meter = meter
        self._silent_until = now()
        self._mapper, self._routes = _mapper(routes)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        trace = _Trace()
        response = self._answered(environ, trace, lambda: self._respond(environ, trace))
        answered: Iterable[bytes] = response(environ, start_response)
        return answered

    def for_peer(self, controller: str, request: PeerRequest) -> PeerReply:
        """This controller's own answer to a request that a client sent to another controller, `controller`, which has checked
        the client's token. Only routes with `Uses.PEERS` are answered; others are a 403."""
        environ, trace = peer_environ(controller, request), _Trace()
        response = self._answered(environ, trace, lambda: self._for_peer(environ, trace, controller, request))
        return PeerReply(response.status_code, bytes(response.body))

    def _for_peer(
        self, environ: dict[str, Any], trace: _Trace, controller: str, request: PeerRequest
    ) -> Response:
        who = trace.who = peer_identity(controller, request)
        target = requests.target(environ)
        route, values = self._find(target, environ["REQUEST_METHOD"], trace)
        if Uses.PEERS not in route.uses:
            raise forbidden("this is not for other controllers")
        _check_role(route, who, values)
        query = parse_query(environ["QUERY_STRING"], route.parameters + route.of_peers)
        call = Call(values, query, JSON_TYPE, who, None, None, "", controller)
        return _reply_response(route.answer(self._owners[route.name], call), target, self._pause)

    def _answered(self, environ: dict[str, Any], trace: _Trace, respond: Callable[[], Response]) -> Response:
        """The response of `respond`, or the problem document of what it raised. The response is counted and audited."""
        began = self._now()
        try:
            response = respond()
        except Problem as problem:
            response = _problem_response(problem)
        except StateError as error:
            response = _problem_response(self._unkept(error))
        except Exception:
            # What broke is for the log; the client learns only that something did.
            log.exception("the northbound could not answer")
            response = _problem_response(
                Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the controller could not answer; its log says why")
            )
        for name, value in SECURE_HEADERS:
            response.headers[name] = value
        self._meter.observe(response.status_code, self._now() - began)
        _audit(environ, trace, response.status_code)
        return response

    def _unkept(self, error: StateError) -> Problem:
        """503 for a change that cannot be stored and is therefore not made. The log says why; while such failures follow each
        other within SILENCE seconds, it says so once."""
        self._meter.state_refused[error.refusal] += 1
        if self._now() >= self._silent_until:
            log.error("a change is refused since it cannot be kept: %s", error)
        self._silent_until = self._now() + SILENCE
        return Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"it cannot be kept, so nothing is changed: {error.refusal}; the controller's log says more",
            (("Retry-After", "10"),),
        )

    def _respond(self, environ: dict[str, Any], trace: _Trace) -> Response:
        requests.check_target(environ)
        # The token comes before the path is looked up: a client without a token must not learn which paths exist.
        who = trace.who = self._identify(environ)
        welcome: Callable[[Identity], bool] | None = environ.get(WELCOME)
        if welcome is not None and not welcome(who):
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many connections are open", (("Retry-After", "1"),)
            )
        wait = self._throttle.wait(who.id, self._now())
        if wait:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "this token makes too many requests",
                (("Retry-After", str(wait)),),
            )
        target = requests.target(environ)
        route, values = self._find(target, environ["REQUEST_METHOD"], trace)
        _check_role(route, who, values)
        accept = requests.accept(environ, route)
        query = parse_query(environ.get("QUERY_STRING", ""), route.parameters)
        body = requests.body(environ, route, who.role)
        if environ["REQUEST_METHOD"] == "HEAD" and route.media_type not in (JSON_TYPE, "text/plain"):
            return _headers_of(route)
        call = Call(
            values,
            query,
            accept,
            who,
            body,
            environ.get("HTTP_IF_MATCH"),
            environ.get("HTTP_LAST_EVENT_ID", ""),
        )
        reply = route.answer(self._owners[route.name], call)
        if route.uses & Uses.STREAM and not isinstance(reply.body, bytes | dict):
            reply = reply._replace(body=HeldBody(reply.body, lambda: self._is_held(environ)))
        return _reply_response(reply, target, self._pause)

    def _is_held(self, environ: dict[str, Any]) -> bool:
        """Whether a stream may go on: its client is connected, and the client's token is still valid."""
        hung_up: Callable[[], bool] | None = environ.get(HUNG_UP)
        if hung_up is not None and hung_up():
            return False
        try:
            return bool(self._identify(environ))
        except Problem:
            return False

    def _find(self, target: str, method: str, trace: _Trace) -> tuple[RestRoute, dict[str, str]]:
        """The route of a path and method, and the values of its placeholders."""
        matched = self._mapper.routematch(target)
        if matched is None:
            raise not_found(f"no resource {problems.shown(target)}; /v1/openapi.json lists them")
        values, entry = matched
        if any(len(value) > MAX_ID for value in values.values()):
            raise not_found(f"no name or id is longer than {MAX_ID} characters")
        methods = self._routes[entry.name]
        route = trace.route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = sorted([*methods, "HEAD"] if "GET" in methods else methods)
            raise Problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"this resource takes {', '.join(allowed)}",
                (("Allow", ", ".join(allowed)),),
            )
        return route, values

    def _identify(self, environ: dict[str, Any]) -> Identity:
        scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise _unauthorized("a bearer token is needed", "")
        try:
            found = self._keyring.identify(given.strip())
        except TokenExpired as over:
            environ[REFUSAL] = RestRefusal.EXPIRED_TOKEN
            ended = datetime.fromtimestamp(over.expires, UTC).isoformat(timespec="seconds")
            raise _unauthorized(
                f"the bearer token {over.identity.id} has expired, at {ended}",
                ', error="invalid_token", error_description="the token has expired"',
            ) from None
        if found is None:
            raise _unauthorized("the bearer token is not one of the controller's", ', error="invalid_token"')
        return found


def _check_role(route: RestRoute, who: Identity, values: dict[str, str]) -> None:
    if who.role not in route.roles:
        roles = ", ".join(sorted(route.roles))
        raise forbidden(f"a token of role {who.role} may not do this; it takes one of role {roles}")
    if route.bound and who.role is Role.MCP and values["name"] != who.mcp:
        raise forbidden(f"this token is that of MCP {who.mcp}, for itself alone")
    if route.bound and who.role is Role.DEVICE and values["name"] != who.name:
        raise forbidden(f"this token is that of device {who.name or who.id}, for itself alone")


def _unauthorized(detail: str, error: str) -> Problem:
    """401 with its challenge (RFC 6750 section 3)."""
    return Problem(
        HTTPStatus.UNAUTHORIZED, detail, (("WWW-Authenticate", f'Bearer realm="steering"{error}'),)
    )


def _owners(routes: tuple[RestRoute, ...], resources: Iterable[object]) -> dict[str, object]:
    """Route name -> the resource object that answers the route. Raises ValueError for routes without one."""
    methods = {method: one for one in resources for method in vars(type(one)).values() if callable(method)}
    unanswered = [route.name for route in routes if route.answer not in methods]
    if unanswered:
        raise ValueError(f"no resource answers {', '.join(unanswered)}")
    return {route.name: methods[route.answer] for route in routes}


def _mapper(routes: tuple[RestRoute, ...]) -> tuple[Mapper, dict[str, dict[str, RestRoute]]]:
    """A mapper of all paths, and for each path its routes by method."""
    # register=False: otherwise Routes keeps the mapper in a thread-wide global.
    mapper = Mapper(controller_scan=None, register=False, explicit=True)
    mapper.minimization = False
    methods: dict[str, dict[str, RestRoute]] = {}
    for route in routes:
        if route.path not in methods:
            mapper.connect(route.path, route.path)
        methods.setdefault(route.path, {})[route.method] = route
    mapper.create_regs([])
    return mapper, methods


def _audit(environ: dict[str, Any], trace: _Trace, status: int) -> None:
    """Write an audit line for a request to a route that changes something, refused or not. The line holds no token and
    no body (N-7.1)."""
    route, who = trace.route, trace.who
    if route is None or who is None or not route.changes:
        return
    audit.info(
        "who=%s role=%s name=%s did=%s target=%s status=%d from=%s",
        who.id,
        who.role.value,
        who.name or "-",
        route.name,
        problems.shown(environ.get("PATH_INFO", "")),
        status,
        environ.get("REMOTE_ADDR", "-"),
    )


def _headers_of(route: RestRoute) -> Response:
    """The answer to HEAD where GET would open a stream."""
    response = Response(body=b"", status=int(HTTPStatus.OK))
    response.headers["Content-Type"] = route.media_type
    return response


def _reply_response(reply: RestReply, target: str, pause: Pause) -> Response:
    if isinstance(reply.body, bytes):
        response = Response(body=reply.body, status=reply.status)
    elif isinstance(reply.body, dict):
        response = Response(body=_json(reply.body, pause), status=reply.status)
    else:
        response = Response(app_iter=reply.body, status=reply.status)
    response.headers["Content-Type"] = reply.media_type
    if reply.tag is not None:
        response.headers["ETag"] = reply.tag
    if reply.incomplete:
        response.headers[INCOMPLETE] = ", ".join(reply.incomplete)
    if reply.next_query is not None:
        asked = {name: text_of(name, value) for name, value in reply.next_query.items() if value is not None}
        response.headers["Link"] = f'<{target}?{urlencode(asked)}>; rel="next"'
    return response


def _problem_response(problem: Problem) -> Response:
    status = f"{int(problem.status)} {problems.phrase(problem.status)}"
    response = Response(body=_json(problem.document()), status=status)
    response.headers["Content-Type"] = problems.MEDIA_TYPE
    for name, value in problem.headers:
        response.headers[name] = value
    return response


def _json(body: Json, pause: Pause = no_pause) -> bytes:
    """An object as JSON. Lists directly in it are encoded WRITTEN_AT_ONCE elements at a time, with pauses between."""
    written = (
        f"{_text_of(name)}:{_list_of(value, pause) if isinstance(value, list) else _text_of(value)}"
        for name, value in body.items()
    )
    return f"{{{','.join(written)}}}".encode()


def _list_of(values: list[Any], pause: Pause) -> str:
    parts: list[str] = []
    for at in range(0, len(values), WRITTEN_AT_ONCE):
        if at:
            pause()
        parts.append(_text_of(values[at : at + WRITTEN_AT_ONCE])[1:-1])
    return f"[{','.join(parts)}]"


def _text_of(value: Any) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        # The cost of an unreachable MCP is infinite. JSON has no infinity, so null is written.
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
