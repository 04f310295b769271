"""Dials of a CPE's relay: by the first uplink that answers, by the next one beside it where it does not in time.

What the kernel refuses at once (an address that is no longer there, no route) is dialled by the next uplink at once.
What has no answer in FAILOVER_S is dialled by the next one beside it, and whichever answers first is the session's
(RFC 8305 does so with addresses): no connection fails by an uplink while another one carries.
"""

import errno
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from steering.relay.kernel.uplinks import Uplink, carries
from steering.relay.log import Log
from steering.relay.model import Endpoint, ServerLeg
from steering.relay.session.dialler import TCP_FASTOPEN_CONNECT, connect_from, open_leg
from steering.relay.session.uplink_health import UplinkHealth

IP_LOCAL_PORT_RANGE = 51
FAILOVER_S = 0.7
"""Without an answer: the kernel's first SYN is repeated after 1 s, and most paths answer in a third of it."""
WAY_ERRORS = frozenset(
    {
        errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN,
        errno.ENODEV, errno.ETIMEDOUT,
    }
)  # fmt: skip
"""Of a dial: it is the way that failed, not the server that refused."""
MOST_TRIALS = 64
"""Dials that are looked at after another one won. More tell nothing more."""
_ESTABLISHED = 1  # TCP_ESTABLISHED, the first byte of TCP_INFO


class UplinkTable(Protocol):
    """The uplinks as they are now; `UplinkWatch` in a relay."""

    @property
    def uplinks(self) -> tuple[Uplink, ...]:
        """In the operator's order."""

    def document(self) -> list[dict[str, Any]]:
        """Each uplink for the status."""

    def counters(self) -> dict[str, int]:
        """For status and metrics."""


@dataclass(slots=True)
class Attempt:
    """A socket on its way by an uplink. Times of the steady clock."""

    sock: socket.socket
    interface: str
    version: int
    began: float


class UplinkDialler:
    """A Dialler whose dials have further ways: `dial` instead of a call. `expire` now and then, `close` at the end."""

    def __init__(
        self,
        table: UplinkTable,
        log: Log,
        window: tuple[int, int] | None = None,
        fast_open: bool = False,
        carrier: Callable[[str], bool] = carries,
    ) -> None:
        """`window`: source ports that are the relay's mark. With `fast_open` a dial has no further ways: its SYN leaves
        with the first data, and until then nobody knows whether the way carries."""
        self.table = table
        self.health = UplinkHealth()
        self.failovers = 0  # sessions that another uplink than the first carries
        self.silences = 0  # times that an uplink was found not to answer
        self.answers: Callable[[str], None] = lambda _interface: None  # an uplink that was silent does again
        self._log = log
        self._window = window
        self._fast_open = fast_open
        self._carrier = carrier
        self._trials: list[tuple[float, Attempt]] = []

    def __call__(self, _client: Endpoint, server: Endpoint, leg: ServerLeg, mark: int = 0) -> socket.socket:
        """A socket by the first way that the kernel takes. Raises OSError."""
        return self.dial(server, leg, mark).first

    def dial(self, server: Endpoint, leg: ServerLeg, mark: int = 0) -> "UplinkDial":
        """A dial that can go on by other ways, all with one mark. Raises OSError where no way is taken by the kernel."""
        return UplinkDial(self, server, leg, mark)

    def open(
        self, uplink: Uplink, server: Endpoint, leg: ServerLeg, version: int, mark: int
    ) -> socket.socket:
        """A socket that connects by an uplink. Raises OSError."""
        sock = open_leg(leg, mark)
        try:
            if self._fast_open:
                sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
            if self._window is not None:
                low, high = self._window
                sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("=I", high << 16 | low))
        except OSError:
            sock.close()
            raise
        return connect_from(sock, Endpoint(uplink.address(version), 0), server)

    @property
    def hedges(self) -> bool:
        """Whether a dial that has no answer is to be helped by another."""
        return not self._fast_open

    def leave(self, uplink: Uplink) -> None:
        """It carries nothing, by the word of whoever watches subflows; from any thread."""
        for version in (4, 6):
            if uplink.address(version) and f"ipv{version}" not in self.health.document(uplink.interface):
                self.health.silent(uplink.interface, version, time.monotonic())

    # -- what answers -----------------------------------------------------------------------------------------------

    def learn(self, winner: Attempt, losers: list[Attempt], now: float) -> None:
        """One of several attempts stood first. The others are looked at until they had as long, and closed."""
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
        """See what became of those that another one beat."""
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
        """Ways and trials, as `UplinkHealth.order` has them."""
        return self.health.order(self.table.uplinks, version, now, self._carrier)

    def close(self) -> None:
        """Look at nobody any more."""
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
    """One server being dialled by one uplink after the other. `first` is the socket of the first way."""

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
        """Dials by uplinks that did not answer for a while, to see whether they do again."""
        found = []
        for uplink in self._trials:
            self._dialler.health.tried(uplink.interface, self._version, time.monotonic() + 2 * FAILOVER_S)
            sock = self._open(uplink)
            if sock is not None:
                self._ways = [way for way in self._ways if way is not uplink]
                found.append(sock)
        return found

    def another(self) -> socket.socket | None:
        """A socket by the next way that the kernel takes; None where there is none more."""
        return self._next()

    def settled(self, winner: socket.socket, losers: list[socket.socket]) -> None:
        """`winner` stands; `losers` are the dialler's from here on."""
        self._dialler.failovers += winner is not self.first
        told = [self._attempts[sock] for sock in losers]
        self._dialler.learn(self._attempts[winner], told, time.monotonic())

    def _next(self) -> socket.socket | None:
        while self._ways:
            sock = self._open(self._ways.pop(0))
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
    """Whether the server has answered, a refusal among the answers."""
    try:
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return code not in WAY_ERRORS
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[0] == _ESTABLISHED
    except OSError:
        return False
