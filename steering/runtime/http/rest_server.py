"""eventlet's HTTP server with the project's own listener: the rate of connections is limited, connections are bounded by
source and by token, and answers to wrong tokens are delayed.
"""

import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

import eventlet
import eventlet.wsgi

from steering.core.counters import Counters
from steering.model.refused_connections import ControllerListener, RestRefusal
from steering.model.token_bucket import TokenBucket
from steering.northbound.http.application import REFUSAL
from steering.openflow.budgets import source_of
from steering.openflow.connection.listener import Listener
from steering.runtime.http.protocol import Protocol
from steering.runtime.http.visitors import Visitors

CLIENT_TIMEOUT = 10.0  # most seconds without a byte
# Seconds after which a connection ends if its peer acknowledges nothing. Otherwise the kernel would retransmit for a quarter of an hour, and
# meanwhile the connection and its event stream would keep their places. A stream sends something every 15 s.
UNACKNOWLEDGED = 30.0
MAX_TARGET = 4_096  # most bytes of a request line
RATE, BURST = 500.0, 256.0  # most connections a second, and most at once
TLS_RATE = 200.0  # most TLS connections a second: a handshake costs some milliseconds of the one thread
UNAUTHORIZED = "401"

WsgiApplication = Callable[..., Iterable[bytes]]


class RestServer:
    """Serves `application` on a listening socket. `secured`: the socket speaks TLS."""

    def __init__(
        self, listening: Any, application: WsgiApplication, counters: Counters, secured: bool
    ) -> None:
        self._visitors = Visitors(counters)
        self._counters = counters
        self._connections: set[Any] = set()
        self._server = eventlet.wsgi.Server(
            listening,
            listening.getsockname(),
            Doorkeeper(application, self._visitors),
            log=logging.getLogger("steering.rest"),
            max_http_version="HTTP/1.1",
            protocol=Protocol,
            log_output=False,
            debug=False,
            socket_timeout=CLIENT_TIMEOUT,
            url_length_limit=MAX_TARGET,
            minimum_chunk_size=1,  # an event leaves at once, not when 4 KiB are there
        )
        bucket = TokenBucket(TLS_RATE if secured else RATE, BURST, monotonic())
        self._listener = Listener(
            ControllerListener.REST, listening, bucket, lambda address: True, self._serve, self._paused
        )

    def run(self) -> None:
        """Serve until the socket is closed."""
        self._listener.run()

    def _serve(self, accepted: Any, address: tuple[Any, ...]) -> None:
        visitor = self._visitors.enter(accepted, str(address[0]))
        try:
            prepare(accepted)
            self._server.process_request([address, accepted, eventlet.wsgi.STATE_IDLE, visitor])
        finally:
            self._visitors.leave(visitor)
            with suppress(OSError, ValueError):
                accepted.close()

    def _paused(self) -> None:
        self._counters.accept_paused[ControllerListener.REST] += 1


def prepare(accepted: Any) -> None:
    """Bound the time that a client's socket waits: for bytes, and for acknowledgements (RFC 5482)."""
    with suppress(OSError, ValueError):  # it may be closed already
        accepted.settimeout(CLIENT_TIMEOUT)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNACKNOWLEDGED * 1000))


class Doorkeeper:
    """WSGI middleware that delays the answer to a wrong token. Each wrong token of the same source makes the delay
    longer."""

    def __init__(self, application: WsgiApplication, visitors: Visitors) -> None:
        self._application = application
        self._visitors = visitors

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        told: list[str] = []

        def noted(status: str, *more: Any) -> Any:
            told.append(status)
            return start_response(status, *more)

        answer = self._application(environ, noted)
        if told and told[0].startswith(UNAUTHORIZED) and environ.get("HTTP_AUTHORIZATION"):
            source = source_of(environ.get("REMOTE_ADDR", ""))
            eventlet.sleep(self._visitors.wrong_token(source, environ.get(REFUSAL, RestRefusal.WRONG_TOKEN)))
        return answer
