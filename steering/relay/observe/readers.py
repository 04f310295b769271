"""Clients of a listener that are each told one text, inside the relay's event loop: bounded in number and time.

No client is waited for: a text is sent as fast as its client reads.
"""

import socket
import time
from collections.abc import Callable
from select import EPOLLIN, EPOLLOUT

from steering.relay.loop.accept_backoff import AcceptBackoff
from steering.relay.loop.poller import Poller

MAX_READERS = 8
READER_TIMEOUT_S = 5.0

ClientReceiver = Callable[[Poller, socket.socket, float], None]
"""Called with each client that is accepted: its socket, which does not block, and the time in seconds."""


class Readers:
    """The clients of `listening`, a socket that does not block. `accepted` has to call `send` in the end, or `end`."""

    def __init__(self, listening: socket.socket, accepted: ClientReceiver, backoff: AcceptBackoff) -> None:
        self._listening = listening
        self._accepted = accepted
        self._backoff = backoff
        self._until: dict[socket.socket, float] = {}
        self.turned_away = 0  # there were too many, or they took too long

    def __len__(self) -> int:
        return len(self._until)

    def watch(self, poller: Poller) -> None:
        """Serve from now on."""
        poller.add(self._listening.fileno(), EPOLLIN, lambda _events: self.accept(poller, time.monotonic()))

    def accept(self, poller: Poller, now: float) -> None:
        """Accept one waiting client. It is closed where there are too many."""
        try:
            reader, _ = self._listening.accept()
        except OSError as error:
            if self._backoff.begins(error, now):
                poller.remove(self._listening.fileno())
            return
        if len(self._until) >= MAX_READERS:
            self.turned_away += 1
            reader.close()
            return
        reader.setblocking(False)
        self._until[reader] = now + READER_TIMEOUT_S
        self._accepted(poller, reader, now)

    def send(self, poller: Poller, reader: socket.socket, text: bytes) -> None:
        """Send a client its text, and close the connection after it."""
        left = memoryview(text)

        def send(_events: int) -> None:
            nonlocal left
            try:
                left = left[reader.send(left) :]
            except BlockingIOError:
                return
            except OSError:
                left = left[:0]
            if not left:
                self.end(poller, reader)

        poller.remove(reader.fileno())
        poller.add(reader.fileno(), EPOLLOUT, send)

    def end(self, poller: Poller, reader: socket.socket) -> None:
        """Close the connection to a client."""
        self._until.pop(reader, None)
        poller.close_later(reader)

    def expire(self, poller: Poller, now: float) -> None:
        """Drop clients that took too long, and listen again after a pause."""
        for reader in [reader for reader, until in self._until.items() if until < now]:
            self.turned_away += 1
            self.end(poller, reader)
        if self._backoff.ends(now):
            self.watch(poller)

    def close(self) -> None:
        """Stop listening, and close connections that are still being answered."""
        self._listening.close()
        for reader in self._until:
            reader.close()
