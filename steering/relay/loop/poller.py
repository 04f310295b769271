"""Descriptors and the handlers of their events: a thin layer over epoll.

Sockets are closed at the end of a batch of events, not within it. Otherwise a number could be closed and used again
within a batch, and the new socket would get the old socket's events.
"""

import contextlib
import select
import socket
from collections.abc import Callable

DescriptorHandler = Callable[[int], None]
"""Called with the epoll event mask."""

EVENTS_PER_TURN = 512


class Poller:
    """The watched descriptors with their event masks and handlers."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, DescriptorHandler] = {}
        self._closing: list[socket.socket] = []

    def add(self, fd: int, events: int, handler: DescriptorHandler) -> None:
        """Start watching a descriptor. With 0 for `events`, only errors and hang-ups are reported."""
        self._handlers[fd] = handler
        self._epoll.register(fd, events)

    def modify(self, fd: int, events: int) -> None:
        """Change the events for which a descriptor is watched."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Stop watching a descriptor, if it was watched."""
        if self._handlers.pop(fd, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)

    def close_later(self, sock: socket.socket) -> None:
        """Stop watching a socket now, and close it after this batch."""
        self.remove(sock.fileno())
        self._closing.append(sock)

    def turn(self, timeout: float) -> None:
        """Wait up to `timeout` seconds, and handle the events."""
        for fd, events in self._epoll.poll(timeout, EVENTS_PER_TURN):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler(events)
        self.close_pending()

    def close_pending(self) -> None:
        """Close the sockets that were given to `close_later`."""
        for sock in self._closing:
            sock.close()
        self._closing.clear()
