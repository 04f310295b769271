"""The relay's counters over HTTP for Prometheus: GET /metrics, one request per connection, inside the relay's event
loop.

It never waits for a client: the head of a request is bounded in bytes and time, connections are bounded in number,
and answers are sent as fast as the client reads. By default it listens on loopback only, since counters tell how much
traffic an operator's network carries.
"""

import errno
import socket
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from select import EPOLLIN, EPOLLOUT
from typing import NamedTuple

from steering.relay.loop.accept_backoff import AcceptBackoff
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, OptionError, PlatformError

MAX_HEAD = 4_096
MAX_READERS = 8
READER_TIMEOUT_S = 5.0
PATH = b"/metrics"
TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def parse_place(text: str, anywhere: bool) -> Endpoint:
    """`127.0.0.1:9105`, `[::1]:9105` or `9105`. Raises OptionError, also for an address beyond this machine's own."""
    name, _, port = text.rpartition(":")
    inner = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        address = ip_address(inner or "127.0.0.1")
        good = port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535
    except ValueError:
        good = False
    if not good or (isinstance(address, IPv6Address) and (inner == name or address.scope_id)) or name == "[]":
        raise OptionError(f"--metrics {text}: ADDRESS:PORT, [ADDRESS6]:PORT or PORT, e.g. 127.0.0.1:9105")
    if not anywhere and not address.is_loopback:
        raise OptionError(
            f"--metrics {text}: not a loopback address; say --metrics-anywhere if that is meant"
        )
    return Endpoint(str(address), int(port))


class ScrapeRequest(NamedTuple):
    """A request whose head is complete, as the answer that it gets."""

    status: str
    told: bool = False
    extra: bytes = b""


def read_head(data: bytes) -> ScrapeRequest | None:
    """The request in the bytes so far; None while its head is not complete. Only GET of PATH is allowed (RFC 9112
    section 3)."""
    head, end, _ = data.partition(b"\r\n\r\n")
    if not end:
        return ScrapeRequest("431 Request Header Fields Too Large") if len(data) > MAX_HEAD else None
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1.") or not words[0].isalpha():
        return ScrapeRequest("400 Bad Request")
    if words[0] != b"GET":
        return ScrapeRequest("405 Method Not Allowed", extra=b"Allow: GET\r\n")
    if words[1].partition(b"?")[0] != PATH:
        return ScrapeRequest("404 Not Found")
    return ScrapeRequest("200 OK", told=True)


class MetricsServer:
    """The server. `tell` makes the text, and is called once per connection at most. Raises PlatformError."""

    def __init__(self, place: Endpoint, tell: Callable[[], str], backoff: AcceptBackoff) -> None:
        self._tell = tell
        self._backoff = backoff
        self._readers: dict[socket.socket, float] = {}
        self.refused = 0
        self.sock = socket.socket(
            socket.AF_INET6 if ":" in place.address else socket.AF_INET, socket.SOCK_STREAM
        )
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind(place)
            self.sock.listen(MAX_READERS)
            self.sock.setblocking(False)
        except OSError as error:
            self.sock.close()
            why = error.strerror or errno.errorcode.get(error.errno or 0, str(error))
            raise PlatformError(f"cannot listen for --metrics at {place}: {why}") from None

    def watch(self, poller: Poller) -> None:
        """Serve from now on."""
        poller.add(self.sock.fileno(), EPOLLIN, lambda _events: self._accept(poller, time.monotonic()))

    def _accept(self, poller: Poller, now: float) -> None:
        """Accept one waiting connection. It is closed where there are too many."""
        try:
            reader, _ = self.sock.accept()
        except OSError as error:
            if self._backoff.begins(error, now):
                poller.remove(self.sock.fileno())
            return
        if len(self._readers) >= MAX_READERS:
            self.refused += 1
            reader.close()
            return
        reader.setblocking(False)
        self._readers[reader] = now + READER_TIMEOUT_S
        came = b""

        def read(_events: int) -> None:
            nonlocal came
            try:
                got = reader.recv(MAX_HEAD)
            except BlockingIOError:
                return
            except OSError:
                got = b""
            came += got
            asked = read_head(came)
            if not got and asked is None:
                self._end(poller, reader)
            elif asked is not None:
                self._answer(poller, reader, asked)

        poller.add(reader.fileno(), EPOLLIN, read)

    def _answer(self, poller: Poller, reader: socket.socket, asked: ScrapeRequest) -> None:
        body = self._tell().encode() if asked.told else f"{asked.status}\n".encode()
        if not asked.told:
            self.refused += 1
        head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%bConnection: close\r\n\r\n"
        left = memoryview(head % (asked.status.encode(), TYPE, len(body), asked.extra) + body)

        def send(_events: int) -> None:
            nonlocal left
            try:
                left = left[reader.send(left) :]
            except BlockingIOError:
                return
            except OSError:
                left = left[:0]
            if not left:
                self._end(poller, reader)

        poller.remove(reader.fileno())
        poller.add(reader.fileno(), EPOLLOUT, send)

    def _end(self, poller: Poller, reader: socket.socket) -> None:
        self._readers.pop(reader, None)
        poller.close_later(reader)

    def expire(self, poller: Poller, now: float) -> None:
        """Drop clients that took too long, and listen again after a pause."""
        for reader in [reader for reader, until in self._readers.items() if until < now]:
            self.refused += 1
            self._end(poller, reader)
        if self._backoff.ends(now):
            self.watch(poller)

    def close(self, poller: Poller) -> None:
        """Stop listening, and close connections that are still being answered."""
        poller.remove(self.sock.fileno())
        self.sock.close()
        for reader in self._readers:
            reader.close()
