"""Errors as RFC 9457 problem documents."""

import json
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
# Python's phrases for these differ from version to version; these are the ones of RFC 9110.
_RENAMED = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "URI Too Long",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}
SHOWN = 64  # characters of a client's text that an error repeats


class Problem(Exception):
    """An error answer: HTTP status, a sentence for people, extra headers. `errors`: what is wrong in the request's body,
    [{"path", "message", ...}]."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        headers: tuple[tuple[str, str], ...] = (),
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.errors = errors
        self.status = status
        self.detail = detail
        self.headers = headers

    def document(self) -> dict[str, Any]:
        """The body; with type about:blank the title is the status phrase (RFC 9457 section 4.2.1)."""
        told = {
            "type": "about:blank",
            "title": phrase(self.status),
            "status": int(self.status),
            "detail": self.detail,
        }
        return told if self.errors is None else told | {"errors": self.errors}

    def body(self) -> bytes:
        """The document as JSON."""
        return json.dumps(self.document(), separators=(",", ":")).encode()


def phrase(status: HTTPStatus) -> str:
    """The status in words, the same under every Python."""
    return _RENAMED.get(status, status.phrase)


def shown(text: str) -> str:
    """A client's text as an error may repeat it: quoted, at most SHOWN characters, control characters escaped."""
    cut = text if len(text) <= SHOWN else text[:SHOWN] + "..."
    return repr(cut)


def bad_request(detail: str) -> Problem:
    """400: a parameter that cannot be served."""
    return Problem(HTTPStatus.BAD_REQUEST, detail)


def not_found(detail: str) -> Problem:
    """404: no such resource."""
    return Problem(HTTPStatus.NOT_FOUND, detail)


def forbidden(detail: str) -> Problem:
    """403: the token is valid, and may not do this."""
    return Problem(HTTPStatus.FORBIDDEN, detail)


def conflict(detail: str) -> Problem:
    """409: the present state does not allow the request."""
    return Problem(HTTPStatus.CONFLICT, detail)
