"""The WSGI application: bounds, bearer token, dispatch, errors. Plain WSGI; any server may run it."""

import hashlib
import hmac
import json
import logging
import math
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from prometheus_client import CollectorRegistry
from routes import Mapper
from webob import Response

from steering.model.view import View
from steering.northbound import openapi, problems
from steering.northbound.metrics import HttpMeter
from steering.northbound.parameters import parse_query
from steering.northbound.problems import Problem, not_found
from steering.northbound.resources import JSON_TYPE, ROUTES, Call, Reply, Resources, Route

MAX_TARGET = 2_048  # characters of path and query together
MAX_ACCEPT = 1_024  # a longer Accept header is taken as "anything"
MIN_TOKEN = 32
ANYTHING = "*/*"
ALLOWED = ("GET", "HEAD")
SECURE_HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))

_ZERO = re.compile(r"q=0(\.0{0,3})?")

log = logging.getLogger(__name__)


class Application:
    """Made by `steering.northbound.application`; holds no state of requests but their count."""

    def __init__(
        self,
        view: View,
        registry: CollectorRegistry,
        token: str,
        now: Callable[[], float],
        meter: HttpMeter,
    ) -> None:
        if len(token) < MIN_TOKEN:
            raise ValueError(f"a bearer token of at least {MIN_TOKEN} characters is needed")
        self._token = _digest(token)
        self._now = now
        self._meter = meter
        self._resources = Resources(view, registry, now, openapi.document())
        self._mapper = _mapper()
        self._routes = {route.name: route for route in ROUTES}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = self._now()
        try:
            response = self._respond(environ)
        except Problem as problem:
            response = _problem_response(problem)
        except Exception:
            # What broke is for the log; the client learns only that something did.
            log.exception("the northbound could not answer")
            response = _problem_response(
                Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the controller could not answer; its log says why")
            )
        for name, value in SECURE_HEADERS:
            response.headers[name] = value
        self._meter.observe(response.status_code, self._now() - began)
        answered: Iterable[bytes] = response(environ, start_response)
        return answered

    def _respond(self, environ: dict[str, Any]) -> Response:
        _check_bounds(environ)
        # Before anything is looked up: without a token even the existence of a path is not told.
        self._check_token(environ.get("HTTP_AUTHORIZATION", ""))
        target = _target(environ)
        route, values = self._find(target)
        if environ["REQUEST_METHOD"] not in ALLOWED:
            raise Problem(
                HTTPStatus.METHOD_NOT_ALLOWED, "this resource is read only", (("Allow", ", ".join(ALLOWED)),)
            )
        accept = _accept(environ, route)
        query = parse_query(environ.get("QUERY_STRING", ""), route.parameters)
        reply = route.answer(self._resources, Call(values, query, accept))
        return _reply_response(reply, target)

    def _find(self, target: str) -> tuple[Route, dict[str, str]]:
        """The route of a path and the values of its placeholders."""
        matched = self._mapper.routematch(target)
        if matched is None:
            raise not_found(f"no resource {problems.shown(target)}; /v1/openapi.json lists them")
        values, entry = matched
        return self._routes[entry.name], values

    def _check_token(self, header: str) -> None:
        scheme, _, given = header.partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise _unauthorized("a bearer token is needed", "")
        if not hmac.compare_digest(_digest(given.strip()), self._token):
            raise _unauthorized("the bearer token is not the controller's", ', error="invalid_token"')


def _digest(token: str) -> bytes:
    """Equal lengths on both sides, so that the comparison does not tell the token's length."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _unauthorized(detail: str, error: str) -> Problem:
    """401 with its challenge (RFC 6750 section 3)."""
    return Problem(
        HTTPStatus.UNAUTHORIZED, detail, (("WWW-Authenticate", f'Bearer realm="steering"{error}'),)
    )


def _mapper() -> Mapper:
    # register=False: Routes would else keep the mapper in a thread-wide global.
    mapper = Mapper(controller_scan=None, register=False, explicit=True)
    mapper.minimization = False
    for route in ROUTES:
        mapper.connect(route.name, route.path)
    mapper.create_regs([])
    return mapper


def _check_bounds(environ: dict[str, Any]) -> None:
    if len(environ.get("PATH_INFO", "")) + len(environ.get("QUERY_STRING", "")) > MAX_TARGET:
        raise Problem(HTTPStatus.REQUEST_URI_TOO_LONG, f"a target of at most {MAX_TARGET} bytes is served")
    if environ.get("CONTENT_LENGTH", "") not in ("", "0") or environ.get("HTTP_TRANSFER_ENCODING"):
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "no request here has a body")


def _target(environ: dict[str, Any]) -> str:
    """The decoded path; WSGI carries its bytes as Latin-1 text (PEP 3333)."""
    try:
        return str(environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8"))
    except UnicodeError:
        raise not_found("no resource has such a path") from None


def _accept(environ: dict[str, Any], route: Route) -> str:
    """The Accept header; raises 406 where it excludes JSON. Metrics choose their own format by it."""
    header: str = environ.get("HTTP_ACCEPT", "")
    if len(header) > MAX_ACCEPT:
        return ANYTHING
    if route.media_type == JSON_TYPE and not _takes_json(header):
        raise Problem(HTTPStatus.NOT_ACCEPTABLE, f"this resource is {JSON_TYPE}")
    return header or ANYTHING


def _takes_json(header: str) -> bool:
    """Whether an Accept header allows JSON: the most specific range decides (RFC 9110 section 12.5.1)."""
    allowed: dict[str, bool] = {}
    for part in header.lower().split(","):
        kind, *settings = (word.strip() for word in part.split(";"))
        if "/" in kind:
            allowed[kind] = not any(_ZERO.fullmatch(setting) for setting in settings)
    return next(
        (allowed[kind] for kind in (JSON_TYPE, "application/*", ANYTHING) if kind in allowed), not allowed
    )


def _reply_response(reply: Reply, target: str) -> Response:
    body = reply.body if isinstance(reply.body, bytes) else _json(reply.body)
    response = Response(body=body, status=int(HTTPStatus.OK))
    response.headers["Content-Type"] = reply.media_type
    if reply.next_query is not None:
        asked = {name: value for name, value in reply.next_query.items() if value is not None}
        response.headers["Link"] = f'<{target}?{urlencode(asked)}>; rel="next"'
    return response


def _problem_response(problem: Problem) -> Response:
    status = f"{int(problem.status)} {problems.phrase(problem.status)}"
    response = Response(body=_json(problem.document()), status=status)
    response.headers["Content-Type"] = problems.MEDIA_TYPE
    for name, value in problem.headers:
        response.headers[name] = value
    return response


def _json(body: Any) -> bytes:
    try:
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        # An unreachable MCP's cost is infinite, which JSON cannot say; null can.
        return json.dumps(_finite(body), separators=(",", ":"), allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
