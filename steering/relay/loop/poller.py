"""Descriptors and who handles their events: a thin layer over epoll.

Sockets are closed at the end of a batch of events, not in the middle: a number closed and handed out again within a
batch would get the old socket's events.
"""

import contextlib
import select
import socket
from collections.abc import Callable

Handler = Callable[[int], None]
"""Called with the epoll event mask."""

EVENTS_PER_TURN = 512


class Poller:
    """Event masks by descriptor, and the handlers."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._closing: list[socket.socket] = []

    def add(self, fd: int, events: int, handler: Handler) -> None:
        """Start watching; with events 0 only errors and hang-ups are told."""
        self._handlers[fd] = handler
        self._epoll.register(fd, events)

    def modify(self, fd: int, events: int) -> None:
        """Change what a watched descriptor is watched for."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Stop watching; harmless when it was not watched."""
        if self._handlers.pop(fd, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)

    def close_later(self, sock: socket.socket) -> None:
        """Stop watching now, close after this batch."""
        self.remove(sock.fileno())
        self._closing.append(sock)

    def turn(self, timeout: float) -> None:
        """Wait up to `timeout` seconds and handle what came."""
        for fd, events in self._epoll.poll(timeout, EVENTS_PER_TURN):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler(events)
        self.close_pending()

    def close_pending(self) -> None:
        """Close what was given to `close_later`."""
        for sock in self._closing:
            sock.close()
        self._closing.clear()
