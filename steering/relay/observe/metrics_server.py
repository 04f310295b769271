"""The relay's counters over HTTP for Prometheus: GET /metrics, one request per connection, inside the relay's event
loop.

It never waits for a client: the head of a request is bounded in bytes and time, connections are bounded in number,
and answers are sent as fast as the client reads. By default it listens on loopback only, since counters tell how much
traffic an operator's network carries.
"""

import errno
import socket
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from select import EPOLLIN
from typing import NamedTuple

from steering.relay.loop.accept_backoff import AcceptBackoff
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, OptionError, PlatformError
from steering.relay.observe.readers import MAX_READERS, Readers

MAX_HEAD = 4_096
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
        self._wrong = 0  # requests for something else
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
        self.readers = Readers(self.sock, self._read, backoff)

    @property
    def refused(self) -> int:
        """How many clients got no counters."""
        return self._wrong + self.readers.turned_away

    def _read(self, poller: Poller, reader: socket.socket, _now: float) -> None:
        """Read a client's request, and answer when its head is complete."""
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
                self.readers.end(poller, reader)
            elif asked is not None:
                self.readers.send(poller, reader, self._answer(asked))

        poller.add(reader.fileno(), EPOLLIN, read)

    def _answer(self, asked: ScrapeRequest) -> bytes:
        body = self._tell().encode() if asked.told else f"{asked.status}\n".encode()
        if not asked.told:
            self._wrong += 1
        head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%bConnection: close\r\n\r\n"
        return head % (asked.status.encode(), TYPE, len(body), asked.extra) + body

    def close(self, poller: Poller) -> None:
        """Stop listening, and close connections that are still being answered."""
        poller.remove(self.sock.fileno())
        self.readers.close()
