"""One relayed connection: it has two legs, and passes data, half-closes and resets from each to the other.

Buffering is bounded. A leg is read only while the other leg has taken everything, into one scratch buffer that all
sessions share. Bytes that the other leg does not take at once (at most CHUNK for each direction) are kept until it
does. Python code never looks at the bytes.

Until both directions have ended in order, both sockets reset their peers when they are closed. So neither an error
nor the death of this process can look like a complete transfer.
"""

import errno
import os
import socket
from collections.abc import Callable
from enum import StrEnum
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from typing import Protocol

from steering.relay.kernel.sockets import finish_on_close, has_peer, mptcp_info, name_of, syn_ack_options
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint
from steering.relay.session.explicit_client import ClientConversation
from steering.relay.session.explicit_server import Preface
from steering.relay.session.preface_queue import say_last

CHUNK = 64 * 1024
"""Most bytes of one read, and most bytes that a session keeps for one direction."""

READS_PER_EVENT = 4
"""Most reads for one event, after which other sessions have their turn."""

_REFUSAL = errno.ECONNREFUSED
"""The error that comes from the server itself, not from the way to it."""

_scratch = bytearray(CHUNK)
_view = memoryview(_scratch)


class SessionEnd(StrEnum):
    """How a session ended."""

    ORDERLY = "orderly"
    RESET = "reset"
    DIAL_FAILED = "dial_failed"
    STOPPED = "stopped"


class RelayLeg:
    """One connection of a session, and the bytes that wait to be written to it."""

    __slots__ = ("ended", "fd", "finished", "pending", "received", "session", "sock", "up", "watched")

    def __init__(self, session: "RelaySession", sock: socket.socket, up: bool) -> None:
        self.session = session
        self.sock = sock
        self.fd = sock.fileno()
        self.up = up  # connected
        self.pending: memoryview | None = None
        self.received = 0
        self.ended = False  # its peer has ended in order, and everything was read
        self.finished = False  # the other peer's end was passed on: our sending side is shut down
        self.watched = -1  # the epoll mask, -1 when not watched

    def on_event(self, events: int) -> None:
        """Handler of this leg's epoll events."""
        self.session.on_event(self, events)


class Ways(Protocol):
    """Further ways (uplinks) to the server of one session."""

    def another(self) -> socket.socket | None:
        """A socket that connects by the next way; None where no way is left."""

    def settled(self, winner: socket.socket, losers: list[socket.socket]) -> None:
        """One socket is connected. The callee owns the others from now on, connected or not."""


class RelaySession:
    """A host's connection and its server leg. `done` is called once with the session, its end and the reason."""

    __slots__ = (
        "_conversation",
        "_connected",
        "_done",
        "_early",
        "_poller",
        "_preface",
        "_rivals",
        "_ways",
        "client",
        "client_leg",
        "dialling",
        "end",
        "server",
        "server_leg",
        "started",
        "token",
        "up",
    )

    def __init__(
        self,
        poller: Poller,
        client: Endpoint,
        server: Endpoint,
        accepted: socket.socket,
        dialled: socket.socket,
        started: float,
        done: Callable[["RelaySession", SessionEnd, str], None],
        preface: Preface | None = None,
        early: bytes = b"",
        up: Callable[["RelaySession"], None] = lambda _session: None,
        conversation: ClientConversation | None = None,
        ways: Ways | None = None,
    ) -> None:
        """`preface`: the host asked for this server by a preface, which has to be answered; `early`: data that came
        with it. `up` is called when the server has answered. `conversation`: the far leg leads to an MCP, which has
        to be told the destination first. `ways`: further ways to the server."""
        self.up = up
        self._preface = preface
        self._conversation = conversation
        self._connected = False
        self._ways = ways
        self._rivals: list[
            RelayLeg
        ] = []  # further legs that are connecting; the first of all that is connected becomes the far leg
        self._early = early
        self._poller = poller
        self._done = done
        self.client = client
        self.server = server
        self.started = started
        self.end: SessionEnd | None = None
        self.dialling = True
        info = mptcp_info(accepted)
        self.token = info.token if info else None
        self.client_leg = RelayLeg(self, accepted, up=True)
        self.server_leg = RelayLeg(self, dialled, up=False)
        self._watch(self.client_leg)
        self._watch(self.server_leg)

    # -- events ---------------------------------------------------------------------------------------------------

    def on_event(self, leg: RelayLeg, events: int) -> None:
        """Handle the events of one leg. An error of either leg ends the session and resets both."""
        if self.end is not None:
            return
        if not leg.up:
            self._rising(leg)
            return
        if events & EPOLLERR:
            code = leg.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self.abort(SessionEnd.RESET, _reason(leg, code))
            return
        try:
            if events & EPOLLOUT and leg.pending is not None:
                self._flush(leg)
            if events & (EPOLLIN | EPOLLHUP):
                if leg.watched & EPOLLIN:
                    self._pump(leg, self.other(leg))
                elif events & EPOLLHUP and not self._still_open(leg):
                    return
        except OSError as error:
            self.abort(SessionEnd.RESET, _reason(leg, error.errno or 0))
            return
        if self.end is not None:
            return
        if self.client_leg.finished and self.server_leg.finished:
            self._finish()
            return
        self._watch(leg)
        self._watch(self.other(leg))

    def _rising(self, leg: RelayLeg) -> None:
        """Handle an event of the far leg before it carries data: it connects, and may have a conversation with an MCP
        first."""
        if not self._connected:
            self._dialled(leg)
            return
        try:
            if leg.pending is not None:
                self._flush(leg)
            data = leg.sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            data = None
        except OSError as error:
            self.abort(SessionEnd.DIAL_FAILED, _reason(leg, error.errno or 0))
            return
        if data is not None:
            self._hear(data)
        if self.end is None:
            self._watch(leg)
            self._watch(self.client_leg)

    def _hear(self, data: bytes) -> None:
        """Take bytes of the MCP in the conversation."""
        assert self._conversation is not None
        leg = self.server_leg
        asked = self._conversation.feed(data)
        if asked.refused or not data:
            self.abort(SessionEnd.DIAL_FAILED, f"MCP: {asked.refused or 'closed'}")
            return
        if asked.send:
            leg.pending = memoryview(asked.send)
        if asked.done:
            self._conversation = None
            leg.up, self.dialling = True, False
            if asked.early:
                self.client_leg.pending = memoryview(asked.early)

    def _dialled(self, leg: RelayLeg) -> None:
        code = leg.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code and self._ways is not None and not has_peer(leg.sock):
            code = errno.ENOTCONN  # its subflow was ended from outside; the kernel reports no error then
        if code:
            self._way_failed(leg, code)
            return
        self._connected = True
        self._settle(leg)
        if self._conversation is None:
            self.up(self)
        else:
            leg.pending = memoryview(self._conversation.first())
        if self._conversation is None or self._conversation.eager:
            leg.up = True
            self.dialling = False
        if self._preface is not None:
            self._answer(self._preface, leg)
        self._watch(leg)
        self._watch(self.client_leg)

    @property
    def connecting(self) -> bool:
        """Whether no leg to the server is connected yet."""
        return not self._connected and self.end is None

    def rival(self, sock: socket.socket) -> None:
        """Add one more socket that connects to the server."""
        leg = RelayLeg(self, sock, up=False)
        self._rivals.append(leg)
        self._watch(leg)

    def try_another(self) -> bool:
        """Dial by the next way too, as the server has not answered by those until now. Returns whether there is a
        next way."""
        sock = self._ways.another() if self._ways is not None else None
        if sock is not None:
            self.rival(sock)
        return sock is not None

    def _way_failed(self, leg: RelayLeg, code: int) -> None:
        """Handle the error of one way. A refusal by the server itself ends the session. An error of the way does so
        only when no other way is left."""
        if code == _REFUSAL or not (self._rivals or self.try_another()):
            self.fail(code, os.strerror(code))
            return
        if leg is self.server_leg:
            self.server_leg = self._rivals.pop(0)
        else:
            self._rivals.remove(leg)
        self._poller.close_later(leg.sock)

    def _settle(self, winner: RelayLeg) -> None:
        losers = [leg for leg in (self.server_leg, *self._rivals) if leg is not winner]
        self.server_leg = winner
        self._rivals.clear()
        for leg in losers:
            self._poller.remove(leg.fd)
        if self._ways is not None:
            self._ways.settled(winner.sock, [leg.sock for leg in losers])

    def _still_open(self, leg: RelayLeg) -> bool:
        """Whether a session goes on after a hang-up of a leg that is not read. It does if that leg has been ended by
        us."""
        if leg.finished:
            # Epoll would report the hang-up again and again. Watching begins again when there is room to read.
            self._poller.remove(leg.fd)
            leg.watched = -1
            return True
        self.abort(SessionEnd.RESET, _reason(leg, errno.ENOTCONN))
        return False

    # -- bytes ----------------------------------------------------------------------------------------------------

    def _pump(self, source: RelayLeg, sink: RelayLeg) -> None:
        for _ in range(READS_PER_EVENT):
            try:
                size = source.sock.recv_into(_scratch)
            except (BlockingIOError, InterruptedError):
                return
            if not size:
                if self._conversation is not None and source is self.server_leg:
                    self._hear(b"")
                    return
                source.ended = True
                sink.sock.shutdown(socket.SHUT_WR)
                sink.finished = True
                return
            source.received += size
            if self._conversation is not None and source is self.server_leg:
                self._hear(bytes(_view[:size]))
                return
            try:
                sent = sink.sock.send(_view[:size])
            except (BlockingIOError, InterruptedError):
                sent = 0
            if sent < size:
                sink.pending = memoryview(bytes(_view[sent:size]))
                return
            if size < CHUNK:
                return

    def _flush(self, leg: RelayLeg) -> None:
        assert leg.pending is not None
        try:
            sent = leg.sock.send(leg.pending)
        except (BlockingIOError, InterruptedError):
            return
        leg.pending = leg.pending[sent:] if sent < len(leg.pending) else None

    def _watch(self, leg: RelayLeg) -> None:
        """Watch a leg: for reading only while the other leg has taken everything, for writing while bytes wait."""
        other = self.other(leg)
        if leg.up:
            want = EPOLLIN if other.up and not leg.ended and other.pending is None else 0
            if leg.pending is not None:
                want |= EPOLLOUT
        elif self._connected:
            want = EPOLLIN if leg.pending is None else EPOLLIN | EPOLLOUT
        else:
            want = EPOLLOUT
        if want == leg.watched:
            return
        if leg.watched >= 0:
            self._poller.modify(leg.fd, want)
        elif want or not leg.finished:
            self._poller.add(leg.fd, want, leg.on_event)
        else:
            return
        leg.watched = want

    def other(self, leg: RelayLeg) -> RelayLeg:
        """The session's other leg."""
        return self.server_leg if leg is self.client_leg else self.client_leg

    # -- ends -----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        for leg in (self.client_leg, self.server_leg):
            finish_on_close(leg.sock)
        self._close(SessionEnd.ORDERLY, "")

    def _answer(self, preface: Preface, leg: RelayLeg) -> None:
        """Tell the host that its connection is established, and send the server the data that came with the preface."""
        self._preface = None
        self.client_leg.pending = memoryview(preface.connected(name_of(leg.sock), syn_ack_options(leg.sock)))
        if self._early:
            leg.pending = memoryview(self._early)
            self.client_leg.received += len(self._early)
            self._early = b""

    def fail(self, code: int, reason: str) -> None:
        """End the session without a server leg. A host that asked by a preface is told. `code`: an errno."""
        if self.end is None:
            if self._preface is not None:
                say_last(self.client_leg.sock, self._preface.failed(code))
            self._close(SessionEnd.DIAL_FAILED, reason)

    def abort(self, end: SessionEnd, reason: str) -> None:
        """End the session and reset both peers, as the sockets reset on close."""
        if self.end is None:
            self._close(end, reason)

    def _close(self, end: SessionEnd, reason: str) -> None:
        self.end = end
        for leg in (self.client_leg, self.server_leg, *self._rivals):
            leg.pending = None
            self._poller.close_later(leg.sock)
        self._rivals.clear()
        self._done(self, end, reason)


def _reason(leg: RelayLeg, code: int) -> str:
    side = "host" if leg is leg.session.client_leg else "server"
    return f"{side}: {os.strerror(code) if code else 'connection lost'}"
