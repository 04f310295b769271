"""Asks a host for an identifier (Ident, RFC 1413) before it is served, once for each source address (N-5.3c).

The first connection of a host is held while port 113 of its address is asked. Further connections of that address
wait for the same answer, and later ones use it for a while. No answer, or an unreadable one, is a refusal. An
identifier is only as trustworthy as the host that gives it: it serves to tell accounts apart on hosts that the
operator runs.
"""

import errno
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from select import EPOLLIN, EPOLLOUT

from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, OptionError

PORT = 113
SECONDS = 3.0  # that a host may take for its answer
LASTS = 300.0  # seconds for which an answer is used
MOST_BYTES = 1_000  # of a line (RFC 1413 section 6)
MOST_ADDRESSES = 65_536
MOST_IDS = 4_096

_REPLY = re.compile(rb" *([0-9]{1,5}) *, *([0-9]{1,5}) *: *USERID *: *[^:\r\n]{1,64}:([^\r\n\0]{1,512})")

VerdictReceiver = Callable[[bool], None]


def parse_ids(text: str) -> frozenset[bytes]:
    """The identifiers that may be served, one per line. Empty lines and lines that begin with # are left out. Raises
    OptionError."""
    ids = {line.strip().encode() for line in text.splitlines() if line.strip() and not line.startswith("#")}
    if not 1 <= len(ids) <= MOST_IDS:
        raise OptionError(f"--ident: the file names {len(ids)} identifiers, 1 to {MOST_IDS} are wanted")
    return frozenset(ids)


def read_reply(line: bytes, host_port: int, our_port: int) -> bytes | None:
    """The identifier in a reply to a query about these ports. None for an error, or for a reply to another query."""
    found = _REPLY.fullmatch(line)
    if found is None or (int(found[1]), int(found[2])) != (host_port, our_port):
        return None
    return found[3].strip() or None


@dataclass(slots=True)
class _Query:
    """A query that is not answered yet. `waiting`: the callbacks of connections that wait for the answer."""

    host: Endpoint
    our_port: int
    sock: socket.socket
    deadline: float
    waiting: list[VerdictReceiver] = field(default_factory=list)
    sent: bool = False
    heard: bytes = b""


class IdentClient:
    """Asks hosts. `allowed`: the identifiers that may be served. No connection waits longer than SECONDS."""

    def __init__(self, poller: Poller, allowed: frozenset[bytes]) -> None:
        self._poller = poller
        self._allowed = allowed
        self._known: dict[str, tuple[float, bool]] = {}
        self._open: dict[str, _Query] = {}  # in order of deadlines
        self.asked = 0

    def __len__(self) -> int:
        return sum(len(query.waiting) for query in self._open.values())

    def ask(self, client: Endpoint, our_port: int, told: VerdictReceiver, now: float) -> None:
        """Find out whether a host may be served, and call `told` with the answer. It is called at once where that is
        known."""
        known = self._known.get(client.address)
        if known is not None and known[0] > now:
            told(known[1])
            return
        query = self._open.get(client.address)
        if query is None:
            query = self._begin(client, our_port, now)
            if query is None:
                told(False)
                return
        query.waiting.append(told)

    def _begin(self, client: Endpoint, our_port: int, now: float) -> _Query | None:
        family = socket.AF_INET6 if ":" in client.address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            code = sock.connect_ex((client.address, PORT))
        except OSError as error:
            code = error.errno or errno.EINVAL
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            return None
        self.asked += 1
        query = _Query(client, our_port, sock, now + SECONDS)
        self._open[client.address] = query
        self._poller.add(sock.fileno(), EPOLLOUT, lambda _events: self._on_event(query, now))
        return query

    def _on_event(self, query: _Query, began: float) -> None:
        try:
            if not query.sent:
                code = query.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    self._settle(query, False, began)
                    return
                query.sock.send(f"{query.host.port}, {query.our_port}\r\n".encode())
                query.sent = True
                self._poller.modify(query.sock.fileno(), EPOLLIN)
                return
            data = query.sock.recv(MOST_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._settle(query, False, began)
            return
        query.heard += data
        line, newline, _ = query.heard.partition(b"\n")
        if newline or not data or len(query.heard) > MOST_BYTES:
            name = read_reply(line.rstrip(b"\r"), query.host.port, query.our_port)
            self._settle(query, name is not None and name in self._allowed, began)

    def _settle(self, query: _Query, may: bool, now: float) -> None:
        del self._open[query.host.address]
        self._poller.close_later(query.sock)
        while len(self._known) >= MOST_ADDRESSES:
            del self._known[next(iter(self._known))]
        self._known.pop(query.host.address, None)
        self._known[query.host.address] = (now + LASTS, may)
        for told in query.waiting:
            told(may)

    def expire(self, now: float) -> None:
        """Refuse the hosts that did not answer in time."""
        while self._open:
            query = next(iter(self._open.values()))
            if query.deadline > now:
                break
            self._settle(query, False, now)

    def close(self) -> None:
        """End all queries. Connections that wait are not served."""
        for query in list(self._open.values()):
            self._settle(query, False, 0.0)
