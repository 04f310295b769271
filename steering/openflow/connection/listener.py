"""A listening socket that survives many connections at once. Its rate and its share of time are bounded, and it goes on
after the process ran out of descriptors.

Connections that wait to be accepted stay in the kernel's queue. Without descriptors or memory, the listener accepts
nothing for PAUSE seconds. Otherwise epoll would report the queue again at once, and the hub would never rest. The
servers of os-ken and eventlet end for ever at that error.
"""

import errno
import logging
import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

from os_ken.lib import hub

from steering.model.log_limit import LogLimit, and_more
from steering.model.token_bucket import TokenBucket

BACKLOG = 1_024  # connections that may wait in the kernel's queue; net.core.somaxconn may allow fewer
PAUSE = 0.2  # seconds without accepting when descriptors or memory have run out
TURN = 0.001  # most seconds of accepting in a row
OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_CLOSED = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})

log = logging.getLogger(__name__)


def listening(host: str, port: int, reuse_port: bool = False) -> Any:
    """A listening TCP socket of the hub's kind (eventlet or native). Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


class Listener:
    """Accepts connections for ever. `admit`: whether a peer's address is served. `serve`: runs in a greenthread of
    its own and owns the socket. `paused`: called at each pause. `bucket`: limits the rate."""

    def __init__(
        self,
        name: str,
        listening: Any,
        bucket: TokenBucket,
        admit: Callable[[tuple[Any, ...]], bool],
        serve: Callable[[Any, tuple[Any, ...]], None],
        paused: Callable[[], None],
    ) -> None:
        self._name = name
        self._socket = listening
        self._bucket = bucket
        self._admit = admit
        self._serve = serve
        self._paused = paused
        self._lines = LogLimit(60.0)

    def run(self) -> None:
        """Accept until the socket is closed."""
        turn_ends = monotonic() + TURN
        while True:
            now = monotonic()
            wait = self._bucket.take(now)
            while wait:
                hub.sleep(wait)
                wait = self._bucket.take(monotonic())
            if now >= turn_ends:
                hub.sleep(0)
                turn_ends = monotonic() + TURN
            try:
                accepted, address = self._socket.accept()
            except OSError as error:
                if error.errno in _CLOSED:
                    return
                if error.errno in OUT_OF_RESOURCES:
                    self._pause(error)
                continue  # any other error: the peer had closed the connection before it was accepted
            if self._admit(address):
                hub.spawn(self._serve, accepted, address)
            else:
                accepted.close()

    def _pause(self, error: OSError) -> None:
        self._paused()
        more = self._lines.left_out("pause", monotonic())
        if more is not None:
            log.warning(
                "the listener for %s accepts nobody for a moment: %s%s",
                self._name, error.strerror, and_more(more),
            )  # fmt: skip
        hub.sleep(PAUSE)
