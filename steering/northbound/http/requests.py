"""Reads target, Accept and body of a WSGI request, all of them bounded."""

import json
import re
from http import HTTPStatus
from typing import Any

from steering.model.identity import Role
from steering.northbound.http.body import Body, loaded, read
from steering.northbound.http.exchange import JSON_TYPE, YAML_TYPE, RestRoute
from steering.northbound.http.problems import Problem, bad_request, not_found, shown

MAX_TARGET = 2_048  # characters of path and query together
MAX_ACCEPT = 1_024  # a longer Accept header is taken as "anything"
MAX_BODY = 1 << 20
MAX_BODY_OF_OTHERS = 1 << 16  # bytes, for tokens of other roles than operator
ANYTHING = "*/*"

_ZERO = re.compile(r"q=0(\.0{0,3})?")
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


def check_target(environ: dict[str, Any]) -> None:
    """Raises Problem 414 for a path and query of more than MAX_TARGET characters."""
    if len(environ.get("PATH_INFO", "")) + len(environ.get("QUERY_STRING", "")) > MAX_TARGET:
        raise Problem(HTTPStatus.REQUEST_URI_TOO_LONG, f"a target of at most {MAX_TARGET} bytes is served")


def target(environ: dict[str, Any]) -> str:
    """The path as text; WSGI carries the path's bytes as Latin-1 (PEP 3333). Raises Problem 404 for bytes that are no UTF-8."""
    try:
        return str(environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8"))
    except UnicodeError:
        raise not_found("no resource has such a path") from None


def accept(environ: dict[str, Any], route: RestRoute) -> str:
    """The Accept header. Raises Problem 406 where the route answers JSON and the header excludes JSON. The metrics route
    chooses its format by this header."""
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


def body(environ: dict[str, Any], route: RestRoute, role: Role) -> Body | str | None:
    """The checked body of a request: a model, a policy's text, or None for a route without a body. Raises Problem 400, 408,
    411, 413, 415, 422."""
    most = min(route.largest, MAX_BODY if role is Role.OPERATOR else MAX_BODY_OF_OTHERS)
    length = _length(environ, most)
    if route.takes is None:
        if length:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "this request takes no body")
        return None
    kinds = (YAML_TYPE, JSON_TYPE) if route.takes is str else (JSON_TYPE,)
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind not in kinds:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"a body of {' or '.join(kinds)} is wanted, not {shown(kind)}",
            (("Accept", ", ".join(kinds)),),
        )
    try:
        data = environ["wsgi.input"].read(length)
    except OSError:
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time") from None
    if len(data) < length:
        raise bad_request("the body is shorter than Content-Length says")
    if issubclass(route.takes, Body):
        return read(route.takes, data)
    return _policy_text(data, kind)


def _length(environ: dict[str, Any], most: int) -> int:
    """The body's length in bytes. Raises Problem 411 for an unknown length and 413 for one above `most`, before a byte of
    the body is read."""
    if environ.get("HTTP_TRANSFER_ENCODING"):
        raise Problem(HTTPStatus.LENGTH_REQUIRED, "a body with a Content-Length is wanted")
    text = environ.get("CONTENT_LENGTH") or "0"
    if not _LENGTH.fullmatch(text):
        raise bad_request("Content-Length is no number")
    if int(text) > most:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of at most {most} bytes is taken")
    return int(text)


def _policy_text(data: bytes, kind: str) -> str:
    """A policy's text. YAML stays as it is; JSON is written anew, since YAML has fewer escapes and allows no tabs."""
    try:
        text = data.decode("utf-8-sig")
        if kind == YAML_TYPE:
            return text
        return json.dumps(loaded(text), indent=2, ensure_ascii=False)
    except UnicodeDecodeError:
        raise bad_request("the body is no UTF-8") from None
