"""Explicit mode at the MCP (N-5.2.1): connections that begin with a preface, whose first bytes name their
destination.

A host that does not complete its preface in time, or whose preface is malformed, is dropped, and no server is
contacted. The number of waiting connections is bounded by the relay's limit, their time by a deadline, and their
bytes by the size of a preface.
"""

import contextlib
import socket
from collections import deque
from collections.abc import Callable, Sequence
from select import EPOLLIN

from steering.relay.kernel.sockets import finish_on_close
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, ExplicitOffer, ExplicitProtocol, OptionError
from steering.relay.options.values import parse_bound
from steering.relay.session.explicit_server import (
    MAX_PREFACE,
    ConvertPreface,
    ExplicitTerms,
    Preface,
    SocksPreface,
)

PREFACE_SECONDS = 5.0
"""Most seconds from accept to the last byte of the preface. A host sends its preface at once; one that does not occupies a
socket in vain."""

DRAIN = 1 << 16


DEFAULT_PORTS = {ExplicitProtocol.CONVERT: 8803, ExplicitProtocol.SOCKS: 1080}
"""RFC 8803 defines a service name but no port. 1080 is the port of SOCKS."""

_PREFACES: dict[ExplicitProtocol, Callable[[ExplicitTerms, Endpoint], Preface]] = {
    ExplicitProtocol.CONVERT: ConvertPreface,
    ExplicitProtocol.SOCKS: SocksPreface,
}


def parse_offers(values: Sequence[str], service_ports: Sequence[int]) -> tuple[ExplicitOffer, ...]:
    """The offers in `convert` and `socks`, each of which may have a `:PORT`. Raises OptionError."""
    offers: list[ExplicitOffer] = []
    for text in values:
        name, colon, port = text.partition(":")
        if name not in list(ExplicitProtocol):
            raise OptionError(f"--explicit {text}: convert or socks, with :PORT for another port")
        protocol = ExplicitProtocol(name)
        number = parse_bound("--explicit", port, 1, 65535) if colon else DEFAULT_PORTS[protocol]
        if number in service_ports or any(number == offer.port for offer in offers):
            raise OptionError(f"--explicit {text}: port {number} is taken by another listener of this relay")
        offers.append(ExplicitOffer(protocol, number))
    return tuple(offers)


def parse_users(text: str | None) -> tuple[tuple[bytes, bytes], ...]:
    """The users in the lines `name:password` of a file. Empty lines and lines that begin with # are left out. Raises
    OptionError."""
    users: list[tuple[bytes, bytes]] = []
    for number, line in enumerate((text or "").splitlines(), 1):
        name, colon, password = line.strip().partition(":")
        if not line.strip() or line.startswith("#"):
            continue
        pair = (name.encode(), password.encode())
        if not (colon and 1 <= len(pair[0]) <= 255 and 1 <= len(pair[1]) <= 255):
            raise OptionError(f"--socks-users, line {number}: name:password, 1 to 255 bytes each")
        users.append(pair)
    if text is not None and not users:
        raise OptionError("--socks-users: the file names nobody, so nobody could connect")
    return tuple(users)


PrefaceReceiver = Callable[[Endpoint, Endpoint, socket.socket, Preface, bytes], None]
"""Called with (client, destination, connection, preface, early bytes). The callee owns the connection then."""


class PrefaceQueue:
    """Connections whose preface is not complete. `drop` is called with (client, connection, reason) for each whose
    preface is never completed."""

    def __init__(
        self,
        poller: Poller,
        terms: ExplicitTerms,
        told: PrefaceReceiver,
        drop: Callable[[Endpoint, socket.socket, str], None],
    ) -> None:
        self._poller = poller
        self._terms = terms
        self._told = told
        self._drop = drop
        self._open: dict[socket.socket, _Conversation] = {}
        self._deadlines: deque[tuple[float, socket.socket]] = deque()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, protocol: ExplicitProtocol, client: Endpoint, sock: socket.socket, now: float) -> None:
        """Add a connection that was accepted and is non-blocking."""
        talk = _Conversation(self, client, sock, _PREFACES[protocol](self._terms, client))
        self._open[sock] = talk
        self._deadlines.append((now + PREFACE_SECONDS, sock))
        self._poller.add(sock.fileno(), EPOLLIN, talk.on_event)
        talk.on_event(EPOLLIN)  # with Fast Open the preface came with the SYN

    def expire(self, now: float) -> None:
        """Drop connections that took too long."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, sock = self._deadlines.popleft()
            talk = self._open.get(sock)
            if talk is not None:
                self.give_up(talk, "preface-timeout")

    def close(self) -> None:
        """Reset all connections, as the relay ends."""
        for talk in list(self._open.values()):
            self.give_up(talk, "relay stopped")

    def give_up(self, talk: "_Conversation", reason: str, last: bytes = b"") -> None:
        """Close a connection, after sending `last`, which tells the host why."""
        del self._open[talk.sock]
        if last:
            say_last(talk.sock, last)
        self._poller.close_later(talk.sock)
        self._drop(talk.client, talk.sock, reason)

    def hand_over(self, talk: "_Conversation", destination: Endpoint, early: bytes) -> None:
        """Hand a connection over whose preface is complete."""
        del self._open[talk.sock]
        self._poller.remove(talk.sock.fileno())
        self._told(talk.client, destination, talk.sock, talk.preface, early)


class _Conversation:
    """One connection whose destination is not known yet."""

    __slots__ = ("_read", "_waiting", "client", "preface", "sock")

    def __init__(
        self, waiting: PrefaceQueue, client: Endpoint, sock: socket.socket, preface: Preface
    ) -> None:
        self._waiting = waiting
        self._read = 0
        self.client = client
        self.sock = sock
        self.preface = preface

    def on_event(self, _events: int) -> None:
        """Handle bytes of the host, its end, or an error."""
        try:
            data = self.sock.recv(MAX_PREFACE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._waiting.give_up(self, error.strerror or "connection lost")
            return
        self._read += len(data)
        if not data:
            self._waiting.give_up(self, "truncated")
            return
        try:
            step = self.preface.feed(data)
        except (
            OSError
        ) as error:  # to find out whether a destination is our own address needs a socket, and none was left
            self._waiting.give_up(self, error.strerror or "out of resources")
            return
        if step.refused:
            self._waiting.give_up(self, step.refused, step.send)
            return
        if step.send:
            # A few bytes fit into an empty buffer, unless the host has stopped reading.
            with contextlib.suppress(OSError):
                self.sock.send(step.send)
        if step.destination is not None:
            self._waiting.hand_over(self, step.destination, step.early)
        elif self._read >= MAX_PREFACE:
            self._waiting.give_up(self, "preface-too-long")


def say_last(sock: socket.socket, last: bytes) -> None:
    """Send a last message and close in order. First everything that the host has sent is read, since closing would
    reset otherwise."""
    with contextlib.suppress(OSError):
        sock.recv(DRAIN)
    with contextlib.suppress(OSError):
        sock.send(last)
        finish_on_close(sock)
        sock.shutdown(socket.SHUT_WR)
