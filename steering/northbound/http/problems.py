"""Errors as RFC 9457 problem documents."""

from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
# Python names these differently from version to version; RFC 9110 names them so.
_RENAMED = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "URI Too Long",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}
SHOWN = 64  # characters of a client's text that an error repeats


class Problem(Exception):
    """An answer that is an error: HTTP status, a sentence for people, extra headers; `errors` says what is
    wrong where in the body: [{"path", "message", ...}]."""

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


def phrase(status: HTTPStatus) -> str:
    """The status in words, the same under every Python."""
    return _RENAMED.get(status, status.phrase)


def shown(text: str) -> str:
    """A client's text as an error may repeat it: quoted, bounded, no control characters."""
    cut = text if len(text) <= SHOWN else text[:SHOWN] + "..."
    return repr(cut)


def bad_request(detail: str) -> Problem:
    """400: a parameter that cannot be served."""
    return Problem(HTTPStatus.BAD_REQUEST, detail)


def not_found(detail: str) -> Problem:
    """404: no such resource."""
    return Problem(HTTPStatus.NOT_FOUND, detail)


def forbidden(detail: str) -> Problem:
    """403: the token is known, and may not."""
    return Problem(HTTPStatus.FORBIDDEN, detail)


def conflict(detail: str) -> Problem:
    """409: it cannot be so as things stand."""
    return Problem(HTTPStatus.CONFLICT, detail)
