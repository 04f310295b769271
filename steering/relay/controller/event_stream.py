"""Reads the controller's Server-Sent Events over HTTP/1.0, so that the stream is not chunked.

A head or an event that is too long ends the stream. An event whose data is refused is counted and skipped, since the next
event begins after a blank line in any case. Only the constructor blocks.
"""

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from steering.relay.controller.hostile_json import JsonRefused, RefusalCounts, read_object
from steering.relay.model import ControllerAccess

CONNECT_S = 5.0
SILENCE_S = 45.0  # the controller sends a comment every 15 s
MAX_HEAD = 16_384
MAX_EVENT = 1 << 20
_READ = 65_536

Json = dict[str, Any]


class StreamError(OSError):
    """The stream cannot be opened, has ended, or is no stream of events. The text is one line."""


class EventStream:
    """An open stream; `fileno` for select. Raises StreamError when it cannot be opened.

    `refused` counts skipped events by reason.
    """

    def __init__(self, options: ControllerAccess, refused: RefusalCounts | None = None) -> None:
        self._data = b""
        self._refused = RefusalCounts() if refused is None else refused
        self._sock, self._not_yet = _connected(options)
        try:
            self._ask(options)
            self._sock.settimeout(0)
        except (OSError, ValueError) as error:
            self._sock.close()
            raise StreamError(str(error) or type(error).__name__) from None

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    def _ask(self, options: ControllerAccess) -> None:
        parts = urlsplit(options.url)
        path = f"{parts.path.rstrip('/')}/v1/mcps/{quote(options.mcp, safe='')}/events"
        self._sock.sendall(
            f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {options.token}\r\n\r\n".encode("ascii")
        )
        while b"\r\n\r\n" not in self._data:
            got = self._sock.recv(_READ)
            if not got or len(self._data) > MAX_HEAD:
                raise StreamError("no HTTP answer")
            self._data += got
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        status = head.split(b"\r\n", 1)[0].split(b" ", 2)
        if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or status[1] != b"200":
            raise StreamError(
                f"it answers {status[1].decode('latin-1')[:3] if len(status) > 1 else 'nothing'}"
            )

    def events(self) -> Iterator[tuple[str, Json]]:
        """The whole events that have come, as (kind, data). Raises StreamError at the stream's end."""
        yield from self._whole()
        while True:
            try:
                got = self._sock.recv(_READ)
            except self._not_yet:
                break
            except OSError as error:
                raise StreamError(str(error)) from None
            if not got:
                raise StreamError("the controller ended it")
            self._data += got
            if len(self._data) > MAX_EVENT and b"\n\n" not in self._data:
                raise StreamError("an event is too long")
            yield from self._whole()

    def _whole(self) -> Iterator[tuple[str, Json]]:
        *whole, self._data = self._data.split(b"\n\n")
        for text in whole:
            fields = dict(line.partition(b": ")[::2] for line in text.split(b"\n") if line[:1] != b":")
            if b"data" not in fields:
                continue
            try:
                told = read_object(fields[b"data"])
            except JsonRefused as error:
                self._refused[error.reason] += 1
                continue
            yield fields.get(b"event", b"").decode("latin-1"), told


def _connected(options: ControllerAccess) -> tuple[socket.socket, tuple[type[OSError], ...]]:
    """A connection to the controller, and the exceptions that mean that no data has come yet. Raises StreamError."""
    parts = urlsplit(options.url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    sock: socket.socket | None = None
    try:
        sock = socket.create_connection((host, port), CONNECT_S)
        if not secure:
            return sock, (BlockingIOError,)
        import ssl  # takes 4 MB, so only for a controller with TLS

        context = ssl.create_default_context(cafile=options.ca)
        return context.wrap_socket(sock, server_hostname=host), (BlockingIOError, ssl.SSLWantReadError)
    except (OSError, ValueError) as error:
        if sock is not None:
            sock.close()
        raise StreamError(str(error) or type(error).__name__) from None
