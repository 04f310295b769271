"""Dials of a CPE's relay: by the first uplink, and also by the next one where there is no answer in time.

A dial that the kernel refuses at once, because an address or a route is gone, is repeated by the next uplink at once.
A dial without an answer in FAILOVER_S gets a second dial by the next uplink beside it, and the session uses whichever
answers first (RFC 8305 does so with addresses). So no connection fails because of one uplink while another works.
"""

import errno
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from steering.relay.kernel.sockets import closed_on_failure
from steering.relay.kernel.uplinks import Uplink, carries
from steering.relay.log import Log
from steering.relay.loop.accept_backoff import OUT_OF_RESOURCES
from steering.relay.model import Endpoint, ServerLeg
from steering.relay.session.dialler import TCP_FASTOPEN_CONNECT, connect_from, open_leg
from steering.relay.session.uplink_health import UplinkHealth

IP_LOCAL_PORT_RANGE = 51
FAILOVER_S = 0.7
"""Seconds without an answer after which the next uplink is tried. The kernel repeats its SYN after 1 s, and most paths answer
in a third of that."""
WAY_ERRORS = frozenset(
    {
        errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN,
        errno.ENODEV, errno.ETIMEDOUT,
    }
)  # fmt: skip
"""Errors of a dial that come from the way and not from the server."""
MOST_TRIALS = 64
"""Most dials that are still watched after another one has won. Further ones would tell nothing new."""
_ESTABLISHED = 1  # TCP_ESTABLISHED, the first byte of TCP_INFO


class UplinkTable(Protocol):
    """The current uplinks. In a relay it is `UplinkWatch`."""

    @property
    def uplinks(self) -> tuple[Uplink, ...]:
        """The uplinks in the operator's order."""

    def document(self) -> list[dict[str, Any]]:
        """Each uplink for the status."""

    def counters(self) -> dict[str, int]:
        """For status and metrics."""


@dataclass(slots=True)
class Attempt:
    """A socket that connects by an uplink. Times are of the steady clock."""

    sock: socket.socket
    interface: str
    version: int
    began: float


class UplinkDialler:
    """A Dialler whose dials can use further ways: call `dial` in place of the object itself. Call `expire` now and
    then, and `close` at the end."""

    def __init__(
        self,
        table: UplinkTable,
        log: Log,
        window: tuple[int, int] | None = None,
        fast_open: bool = False,
        carrier: Callable[[str], bool] = carries,
        answers: Callable[[str], None] = lambda _interface: None,
    ) -> None:
        """`window`: the source ports that mark the relay's connections. With `fast_open` a dial has no further ways:
        its SYN is sent with the first data, so it is not known before whether the way works. `answers` is called with the
        interface of a silent uplink that answers again."""
        self.table = table
        self.health = UplinkHealth()
        self.failovers = 0  # sessions that use another uplink than the first
        self.silences = 0  # how often an uplink was found not to answer
        self.answers = answers
        self._log = log
        self._window = window
        self._fast_open = fast_open
        self._carrier = carrier
        self._trials: list[tuple[float, Attempt]] = []

    def __call__(self, _client: Endpoint, server: Endpoint, leg: ServerLeg, mark: int = 0) -> socket.socket:
        """A socket that connects by the first way that the kernel accepts. Raises OSError."""
        return self.dial(server, leg, mark).first

    def dial(self, server: Endpoint, leg: ServerLeg, mark: int = 0) -> "UplinkDial":
        """A dial that can use further ways, all with one mark. Raises OSError where the kernel accepts no way."""
        return UplinkDial(self, server, leg, mark)

    def open(
        self, uplink: Uplink, server: Endpoint, leg: ServerLeg, version: int, mark: int
    ) -> socket.socket:
        """A socket that connects by an uplink. Raises OSError."""
        sock = open_leg(leg, mark)
        with closed_on_failure(sock):
            if self._fast_open:
                sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
            if self._window is not None:
                low, high = self._window
                sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("=I", high << 16 | low))
        return connect_from(sock, Endpoint(uplink.address(version), 0), server)

    @property
    def hedges(self) -> bool:
        """Whether a dial without an answer gets a second one beside it."""
        return not self._fast_open

    def leave(self, uplink: Uplink) -> None:
        """Leave an uplink that carries nothing, as the watch of subflows has found. May be called from any thread."""
        for version in (4, 6):
            if uplink.address(version) and f"ipv{version}" not in self.health.document(uplink.interface):
                self.health.silent(uplink.interface, version, time.monotonic())

    # -- what answers -----------------------------------------------------------------------------------------------

    def learn(self, winner: Attempt, losers: list[Attempt], now: float) -> None:
        """One of several attempts was connected first. The others are watched until they had as much time, and then
        closed."""
        self._answers(winner)
        took = now - winner.began
        for loser in losers:
            if len(self._trials) >= MOST_TRIALS:
                loser.sock.close()
                continue
            until = loser.began + max(FAILOVER_S, 2 * took)
            self.health.tried(loser.interface, loser.version, max(until, now))
            self._trials.append((until, loser))
        self.expire(now)

    def expire(self, now: float) -> None:
        """Look at the attempts that have lost, and learn which uplinks do not answer."""
        for item in list(self._trials):
            until, attempt = item
            answered = _stands(attempt.sock)
            if not answered and until > now:
                continue
            self._trials.remove(item)
            attempt.sock.close()
            if answered:
                self._answers(attempt)
            elif self._carrier(attempt.interface):
                self._silent(attempt, now)

    def _answers(self, attempt: Attempt) -> None:
        if self.health.answered(attempt.interface, attempt.version):
            self.answers(attempt.interface)
            self._log.event("uplink answers again", interface=attempt.interface, version=attempt.version)

    def _silent(self, attempt: Attempt, now: float) -> None:
        self.silences += 1
        if self.health.silent(attempt.interface, attempt.version, now):
            self._log.event("uplink does not answer", interface=attempt.interface, version=attempt.version)

    def order(self, version: int, now: float) -> tuple[list[Uplink], list[Uplink]]:
        """The ways and trials of `UplinkHealth.order`."""
        return self.health.order(self.table.uplinks, version, now, self._carrier)

    def close(self) -> None:
        """Close all attempts that are still watched."""
        for _, attempt in self._trials:
            attempt.sock.close()
        self._trials.clear()

    def document(self) -> list[dict[str, Any]]:
        """Each uplink for the status, with the IP versions towards which it is silent."""
        return [row | {"silent": self.health.document(row["interface"])} for row in self.table.document()]

    def counters(self) -> dict[str, int]:
        """For status and metrics."""
        own = {"uplink_failovers": self.failovers, "uplink_silences": self.silences}
        return own | self.table.counters()


class UplinkDial:
    """A dial of one server by one uplink after the other. `first`: the socket of the first way."""

    def __init__(self, dialler: UplinkDialler, server: Endpoint, leg: ServerLeg, mark: int) -> None:
        self._dialler = dialler
        self._server = server
        self._leg = leg
        self._mark = mark
        self._version = 6 if ":" in server.address else 4
        now = time.monotonic()
        self._ways, self._trials = dialler.order(self._version, now)
        self._attempts: dict[socket.socket, Attempt] = {}
        self._error = OSError(errno.EADDRNOTAVAIL, f"no uplink has an IPv{self._version} address")
        found = self._next()
        if found is None:
            raise self._error
        self.first = found

    def trials(self) -> list[socket.socket]:
        """Sockets that connect by uplinks which did not answer for a while, to find out whether they answer again."""
        found = []
        for uplink in self._trials:
            self._dialler.health.tried(uplink.interface, self._version, time.monotonic() + 2 * FAILOVER_S)
            try:
                sock = self._open(uplink)
            except OSError:
                continue  # this machine refuses it now, and the dial has its way
            if sock is not None:
                self._ways = [way for way in self._ways if way is not uplink]
                found.append(sock)
        return found

    def another(self) -> socket.socket | None:
        """A socket that connects by the next way that the kernel accepts; None where no way is left, or this machine has
        no descriptor for it: the dial has a way already. A way that this machine forbids is passed over."""
        while self._ways:
            try:
                return self._next()
            except OSError as error:
                if error.errno in OUT_OF_RESOURCES:
                    return None
                del self._ways[0]
        return None

    def settled(self, winner: socket.socket, losers: list[socket.socket]) -> None:
        """`winner` is connected. The dialler owns the `losers` from now on."""
        self._dialler.failovers += winner is not self.first
        told = [self._attempts[sock] for sock in losers]
        self._dialler.learn(self._attempts[winner], told, time.monotonic())

    def _next(self) -> socket.socket | None:
        while self._ways:
            sock = self._open(self._ways[0])
            del self._ways[0]
            if sock is not None:
                return sock
        return None

    def _open(self, uplink: Uplink) -> socket.socket | None:
        try:
            sock = self._dialler.open(uplink, self._server, self._leg, self._version, self._mark)
        except OSError as error:
            if error.errno not in WAY_ERRORS:
                raise
            self._error = error
            return None
        self._attempts[sock] = Attempt(sock, uplink.interface, self._version, time.monotonic())
        return sock


def _stands(sock: socket.socket) -> bool:
    """Whether the server has answered, be it by a refusal."""
    try:
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return code not in WAY_ERRORS
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[0] == _ESTABLISHED
    except OSError:
        return False
