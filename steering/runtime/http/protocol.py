"""eventlet's HTTP protocol, made safe against unknown clients: bounded in time, and errors are problem documents
(RFC 9457).

Bytes that are no valid request never reach the application. eventlet and Python would answer them with HTML, or not at
all, and write lines to stderr that contain what the client sent.
"""

import logging
import socket
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import Any

import eventlet
import eventlet.wsgi

from steering.northbound.http.application import HUNG_UP, WELCOME
from steering.northbound.http.head import MAX_FIELDS, fields_fault, request_line_fault
from steering.northbound.http.problems import MEDIA_TYPE, Problem, phrase

REQUEST_TIME = (
    5.0  # most seconds for a request line, and again for all headers, however slowly the bytes come
)
BODY_TIME = 10.0  # most seconds for a body
DISCARD_TIME = 1.0  # most seconds for the rest of a body that the application does not read
GUEST = 3  # place in eventlet's list of a connection's state: its `visitors.Visitor`
ESTABLISHED = 1  # TCP_ESTABLISHED of Linux, <netinet/tcp.h>
MAX_DETAIL = 160  # most characters of Python's own message, which repeats what the client sent

log = logging.getLogger(__name__)


class TimedInput(eventlet.wsgi.Input):  # type: ignore[misc]
    """A request's body, which has to arrive within BODY_TIME."""

    def _do_read(self, reader: Any, length: int | None = None) -> Any:
        with eventlet.Timeout(BODY_TIME, TimeoutError("the body took too long")):
            return super()._do_read(reader, length)

    def discard(self, buffer_size: int = 16 << 10) -> None:
        """Read the rest of the body, so that another request can follow. Raises OSError, which ends the connection, when
        that takes longer than DISCARD_TIME."""
        with eventlet.Timeout(DISCARD_TIME, TimeoutError("the rest of the body took too long")):
            super().discard(buffer_size)


class Protocol(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]
    """One client's connection."""

    path: str  # the request's target

    def handle(self) -> None:
        """Serve until the connection ends. A client that speaks no TLS, has no certificate, sends too slowly or does not
        complete the TLS handshake is logged at debug level only: anybody who can connect could fill the log."""
        try:
            super().handle()
        except (
            OSError,
            ValueError,
        ) as error:  # ssl.SSLError is an OSError; a closed TLS socket is a ValueError
            log.debug("a connection of %s ended: %s", self.client_address[0], error)

    def finish(self) -> None:
        """Send the remaining bytes. Errors are logged as in `handle`."""
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
        """Read the headers. Returns False where a refusal was sent already. Requests that eventlet would refuse later
        without an explanation are refused here, and so are faults that Python's parser accepts."""
        try:
            with _in_time():
                lines = self._header_lines()
        except (eventlet.wsgi.HeaderLineTooLong, eventlet.wsgi.HeadersTooLarge):
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too long")
            return False
        if lines is None:
            self.close_connection = True
            return False
        fault = request_line_fault(self.raw_requestline) or fields_fault(lines)
        if fault is not None:
            self.send_error(HTTPStatus.BAD_REQUEST, fault)
            return False
        self.rfile = BytesIO(
            b"".join(lines) + b"\r\n"
        )  # eventlet restores the connection's own file afterwards
        if not super().parse_request():
            return False
        if self.headers.get("transfer-encoding") is not None:
            self.close_connection = (
                True  # no resource takes such a body. The body is not read, so the connection has to end
            )
        self.path = _origin_form(self.path)
        return True

    def _header_lines(self) -> list[bytes] | None:
        """The header lines up to the empty one; None where the client disconnected before that."""
        lines: list[bytes] = []
        while True:
            line = self.rfile.readline()
            if line == b"\r\n":
                return lines
            if not line:
                return None
            lines.append(line)
            if not line.endswith(b"\r\n"):
                return lines  # the request is refused, whatever follows
            if len(lines) > MAX_FIELDS:
                raise eventlet.wsgi.HeadersTooLarge

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environment. The body is bounded in time. WELCOME: a function that reports a client's known token;
        HUNG_UP: a function that tells whether the client has disconnected."""
        found: dict[str, Any] = super().get_environ()
        given = found["eventlet.input"]
        body = TimedInput(
            given.rfile,
            given.content_length,
            self.connection,
            given.wfile,
            given.wfile_line,
            given.chunked_input,
        )
        found["wsgi.input"] = found["eventlet.input"] = body
        found[WELCOME] = self.conn_state[GUEST].welcome
        found[HUNG_UP] = partial(has_hung_up, self.connection)
        return found

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer an invalid request with a problem document, and end the connection."""
        status = HTTPStatus(code)
        problem = Problem(status, (message or phrase(status))[:MAX_DETAIL])
        body = problem.body()
        head = (
            f"HTTP/1.1 {int(status)} {phrase(status)}\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        self.wfile.write(head.encode() + body)
        self.close_connection = True
        log.debug("%s sent what is no request: %d", self.client_address[0], status)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: Python's own lines would go to stderr instead of the log, and repeat what a client sent."""


def has_hung_up(connection: Any) -> bool:
    """Whether the peer of a TCP socket, or of TLS over one, has ended its side or reset the connection.

    The answer comes from the kernel's state of the connection, whatever bytes are unread and whatever TLS reports. A peer
    that has ended its side but still reads looks the same, and counts as gone too."""
    try:
        state: bytes = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    except (OSError, ValueError):
        return True  # closed on this side
    return state[0] != ESTABLISHED


def _in_time() -> Any:
    return eventlet.Timeout(REQUEST_TIME, TimeoutError("the request took too long"))


def _origin_form(path: str) -> str:
    """A request's target in origin form. A server must accept the absolute form too (RFC 9112 section 3.2.2)."""
    for scheme in ("http://", "https://"):
        if path[: len(scheme)].lower() == scheme:
            return "/" + path[len(scheme) :].partition("/")[2]
    return path
