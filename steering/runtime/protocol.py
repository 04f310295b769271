"""HTTP as eventlet's server speaks it, made fit for strangers: bounded in time, errors as problem documents.

What cannot be read as a request never reaches the application. eventlet and Python answer such with HTML, or with
nothing, and write lines of their own to stderr that hold what the client sent.
"""

import json
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import eventlet
import eventlet.wsgi

from steering.northbound.http.problems import MEDIA_TYPE, Problem, phrase

REQUEST_TIME = 5.0  # seconds for a request line, and again for the headers, however the bytes drip in
MAX_DETAIL = 160  # characters of Python's own words, which repeat what the client sent

log = logging.getLogger(__name__)


class Protocol(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]
    """One client's connection."""

    path: str  # the request's target

    def handle(self) -> None:
        """Serve until the end. A client that speaks no TLS, has no certificate, sends too slowly or is still
        shaking hands at the end costs a line for developers: anybody who can connect could fill the log."""
        try:
            super().handle()
        except (
            OSError,
            ValueError,
        ) as error:  # ssl.SSLError is an OSError; a closed TLS socket is a ValueError
            log.debug("a connection of %s ended: %s", self.client_address[0], error)

    def finish(self) -> None:
        """The same for what is left to send."""
        with suppress(OSError, ValueError):
            super().finish()

    def _read_request_line(self) -> Any:
        with _in_time():
            line = super()._read_request_line()
        if line and len(line) >= self.server.url_length_limit:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG, "the request line is too long")
            return b""
        return line

    def parse_request(self) -> bool:
        """Read the headers; False where that was answered already. What eventlet would refuse later, bare of
        any explanation, is refused here."""
        try:
            with _in_time():
                if not super().parse_request():
                    return False
        except (eventlet.wsgi.HeaderLineTooLong, eventlet.wsgi.HeadersTooLarge):
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too long")
            return False
        length = self.headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit()):
            self.send_error(HTTPStatus.BAD_REQUEST, "Content-Length is no number")
            return False
        if length is not None and self.headers.get("transfer-encoding") is not None:
            self.send_error(HTTPStatus.BAD_REQUEST, "Content-Length and Transfer-Encoding exclude each other")
            return False
        self.path = _origin_form(self.path)
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request by a problem document, and hang up."""
        status = HTTPStatus(code)
        problem = Problem(status, (message or phrase(status))[:MAX_DETAIL])
        body = json.dumps(problem.document(), separators=(",", ":")).encode()
        head = (
            f"HTTP/1.1 {int(status)} {phrase(status)}\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        self.wfile.write(head.encode() + body)
        self.close_connection = True
        log.debug("%s sent what is no request: %d", self.client_address[0], status)

    def log_message(self, format: str, *args: Any) -> None:
        """Python's own lines, which go past the log and repeat what a stranger sent: none."""


def _in_time() -> Any:
    return eventlet.Timeout(REQUEST_TIME, TimeoutError("the request took too long"))


def _origin_form(path: str) -> str:
    """A target as this server knows it; a server must take the absolute form too (RFC 9112 section 3.2.2)."""
    for scheme in ("http://", "https://"):
        if path[: len(scheme)].lower() == scheme:
            return "/" + path[len(scheme) :].partition("/")[2]
    return path
