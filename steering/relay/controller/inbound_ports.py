"""Ports that this MCP keeps open for devices, as the controller orders (N-5.2.1e).

A connection to such a port reaches the device: the relay dials the device with MPTCP from its own address, and the kernel
joins the addresses that the device announces. The controller's event stream names all bindings, each with its seconds left.
A binding that is not renewed ends here at its time, with or without a controller. Its port is then closed, and the kernel
resets new connections to it. Connections that were made before go on.

A thread of its own reads the stream. Listeners are opened and closed only in the relay's loop.
"""

import contextlib
import errno
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from select import EPOLLIN
from typing import Any, NamedTuple, TypeGuard

from steering.relay.controller.event_stream import SILENCE_S, EventStream, StreamError
from steering.relay.controller.hostile_json import RefusalCounts, counted, told_address
from steering.relay.kernel.readable import readable
from steering.relay.kernel.side_thread import SideThread
from steering.relay.kernel.sockets import endpoints, plain_listener, prepare_leg
from steering.relay.log import Log
from steering.relay.loop.accept_backoff import AcceptBackoff
from steering.relay.loop.poller import Poller
from steering.relay.model import ControllerAccess, Endpoint, PlatformError, ServerLeg
from steering.relay.session.dialler import dial_own

MOST = 256  # bindings
LOWEST = 1_024
LONGEST_S = 86_400.0
ACCEPTS_PER_EVENT = 64
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0


class BoundPort(NamedTuple):
    """A port of this MCP, and the device behind the port; `until`: its end on the monotonic clock, seconds."""

    port: int
    device: Endpoint
    until: float


def parse(data: dict[str, Any], now: float) -> tuple[dict[int, BoundPort], int]:
    """The bindings of an event by port, and the number of entries that are refused."""
    told = data.get("bindings")
    found: dict[int, BoundPort] = {}
    wrong = 0
    for one in told if isinstance(told, list) else []:
        made = _parsed(one, now)
        if made is None or made.port in found or len(found) >= MOST:
            wrong += 1
        else:
            found[made.port] = made
    return found, wrong


def _parsed(told: Any, now: float) -> BoundPort | None:
    """One binding; None for data that is none."""
    if not isinstance(told, dict):
        return None
    port, inner, lasts, host = (told.get(key) for key in ("ext_port", "int_port", "lasts_s", "host"))
    if not (_whole(port, LOWEST) and _whole(inner, 1)):
        return None
    if isinstance(lasts, bool) or not isinstance(lasts, int | float) or not 0 < lasts <= LONGEST_S:
        return None
    try:
        return BoundPort(port, Endpoint(str(told_address(host)), inner), now + lasts)
    except ValueError:
        return None


def _whole(value: Any, least: int) -> TypeGuard[int]:
    """Whether a value is a port number, at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= 65_535


PairReceiver = Callable[[Endpoint, Endpoint, socket.socket, socket.socket], None]
"""Takes over a pair of connections: (client's address, device's address, socket to the client, socket to the device)."""


class InboundPorts:
    """A thread that keeps ports open: call `start`, then `stop`, and `expire` now and then."""

    def __init__(
        self,
        options: ControllerAccess,
        poller: Poller,
        has_room: Callable[[], bool],
        taken: PairReceiver,
        log: Log,
        backoff: AcceptBackoff,
        mark: Callable[[socket.socket], int] = lambda _accepted: 0,
    ) -> None:
        """`has_room`: whether the relay may have one more session. `mark`: client's socket -> the mark (`kernel.dscp`) of the
        leg to the device."""
        self._mark = mark
        self._options = options
        self._has_room = has_room
        self._poller = poller
        self._taken = taken
        self._log = log
        self._backoff = backoff
        self._bound: dict[int, BoundPort] = {}
        self._listeners: dict[int, socket.socket] = {}
        self._told: deque[dict[str, Any]] = deque(
            maxlen=1
        )  # each event has all bindings, so only the last one counts
        self._news, self._teller = socket.socketpair()
        for end in (self._news, self._teller):
            end.setblocking(False)
        self.connected = False
        self.refused = 0  # entries of events that are no bindings
        self.refused_events = RefusalCounts()
        self.unlistened = 0  # times a port was in use by others
        self.accepted = 0
        self.turned_away = 0  # connections refused: too many sessions, or the device could not be dialled
        self._thread = SideThread("inbound", self._run, log)

    def start(self) -> None:
        self._poller.add(self._news.fileno(), EPOLLIN, self._on_news)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, also if it never began, and close all ports."""
        self._thread.end()
        for port in list(self._listeners):
            self._close(port)
        self._poller.remove(self._news.fileno())
        for end in (self._news, self._teller):
            end.close()

    def document(self) -> dict[str, Any]:
        """The bindings' part of the relay's status."""
        return {
            "connected": self.connected,
            "refused": self.refused,
            "refused_events": counted(self.refused_events),
            "unlistened": self.unlistened,
            "accepted": self.accepted,
            "turned_away": self.turned_away,
            "faults": self._thread.faults,
            "ports": {str(port): str(self._bound[port].device) for port in self._listeners},
        }

    # ---- the relay's loop ----------------------------------------------------------------------

    def _on_news(self, _events: int) -> None:
        with contextlib.suppress(OSError):
            self._news.recv(4_096)
        with contextlib.suppress(IndexError):
            self.take(self._told.pop(), time.monotonic())

    def take(self, data: dict[str, Any], now: float) -> None:
        """Replace all bindings by those of an event."""
        self._bound, wrong = parse(data, now)
        self.refused += wrong
        for port in list(self._listeners):
            if port not in self._bound:
                self._close(port)
        for port in self._bound:
            if port not in self._listeners:
                self._open(port)

    def expire(self, now: float) -> None:
        """Close ports whose binding is over, and accept again after a back-off."""
        for port, one in list(self._bound.items()):
            if one.until <= now:
                del self._bound[port]
                self._close(port)
        if self._backoff.ends(now):
            for port in self._listeners:
                self._watch(port)

    def _open(self, port: int) -> None:
        try:
            self._listeners[port] = plain_listener(port)
        except PlatformError as error:
            self.unlistened += 1
            self._log.peer_event("port not bound", reason=str(error))
            return
        self._watch(port)
        self._log.event("port bound", port=port, device=str(self._bound[port].device))

    def _watch(self, port: int) -> None:
        descriptor = self._listeners[port].fileno()
        self._poller.remove(descriptor)  # a port that was opened during a back-off is watched already
        self._poller.add(descriptor, EPOLLIN, partial(self._on_accept, port))

    def _close(self, port: int) -> None:
        sock = self._listeners.pop(port, None)
        if sock is not None:
            self._poller.close_later(sock)
            self._log.event("port closed", port=port)

    def _on_accept(self, port: int, _events: int) -> None:
        for _ in range(ACCEPTS_PER_EVENT):
            sock, one = self._listeners.get(port), self._bound.get(port)
            if sock is None or one is None:
                return
            try:
                accepted, _ = sock.accept()
            except OSError as error:  # no further connection, or it was closed before it was accepted
                if self._backoff.begins(error, time.monotonic()):
                    for listener in self._listeners.values():
                        self._poller.remove(listener.fileno())
                return
            try:
                prepare_leg(accepted)
                client = endpoints(accepted)[0]
            except OSError:
                accepted.close()
                continue
            self._lead(client, one.device, accepted)

    def _lead(self, client: Endpoint, device: Endpoint, accepted: socket.socket) -> None:
        """Dial the device with MPTCP from this machine's own address, and hand both connections over."""
        self.accepted += 1
        try:
            if not self._has_room():
                raise OSError(errno.EUSERS, "max-sessions")
            dialled = dial_own(ServerLeg.MPTCP, device, mark=self._mark(accepted))
        except OSError as error:
            self.turned_away += 1
            self._poller.close_later(accepted)
            self._log.peer_event("turned away", client=client, device=str(device), reason=error.strerror)
            return
        self._taken(client, device, accepted, dialled)

    # ---- the stream's thread -------------------------------------------------------------------

    def _run(self) -> None:
        wait = FIRST_WAIT_S
        while not self._thread.is_ending:
            try:
                with self._thread.waiting():
                    stream = EventStream(self._options, self.refused_events)
            except StreamError as error:
                self._log.peer_event("controller not reached", reason=str(error))
            else:
                self.connected, wait = True, FIRST_WAIT_S
                self._log.event("controller reached", url=self._options.url)
                try:
                    self._listen(stream)
                except StreamError as error:
                    self._log.peer_event("controller lost", reason=str(error))
                finally:
                    self.connected = False
                    stream.close()
            if self._thread.is_ending:
                return
            readable([self._thread.woken], wait)
            wait = min(2 * wait, LONGEST_WAIT_S)

    def _listen(self, stream: EventStream) -> None:
        """Pass bindings on to the relay's loop. Raises StreamError at the stream's end."""
        while not self._thread.is_ending:
            watched: list[socket.socket | EventStream] = [self._thread.woken, stream]
            ready = readable(watched, SILENCE_S)
            if not ready:
                raise StreamError(f"not a word in {SILENCE_S:.0f} s")
            for kind, data in stream.events() if stream in ready else ():
                if kind == "bindings":
                    self._told.append(data)
                    with contextlib.suppress(OSError):  # the pipe is full, so the loop wakes up anyway
                        self._teller.send(b".")
