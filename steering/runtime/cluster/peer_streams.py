"""The streams between this controller and the others: TLS with the cluster's own certificates, one for each other member. Controllers
of one machine that its parent started (workers) use sockets of a private folder instead.

Of two controllers, the one whose name comes first in the alphabet connects, and connects again when the stream ends.
Messages are collected until the turn is over, and leave in one write. No greenthread waits for a peer that does not read:
its unread bytes are bounded, and beyond the bound the stream ends. A peer that connects again is told everything anew.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from socket import AF_UNIX
from time import monotonic
from typing import Any

import eventlet
from os_ken.lib import hub

from steering.core.inputs import Input
from steering.core.peer_facts import PeerLost, PeerTold, PeerUp, TellPeer
from steering.model.log_limit import LogLimit, and_more
from steering.model.standing_work import StandingWork, WorkFaults
from steering.openflow.connection.tls import certificate_names
from steering.runtime.cluster.peer_conversation import BEAT, PeerConversation, PeerError, PeerFault
from steering.runtime.cluster.peer_places import PeerCertificates, PeerPlace, PrivateSockets
from steering.wire.peer_codec import encoded
from steering.wire.peer_messages import Hello, PeerMessage

BACKLOG = 16 * 1024 * 1024  # most bytes that a peer may leave unread: enough for two million tokens
READ = 65_536
NEWCOMERS = 16  # most streams without a Hello
CONNECT = 1.0  # seconds that an attempt to connect may take
AGAIN, LONGEST = (
    0.05,
    1.0,
)  # seconds until the next attempt: the first wait, and the longest; a failure doubles it
STALL = 0.25  # seconds between two checks above which this process was busy, and could hear no peer
LINES = 60.0  # seconds between two log lines about one fault of one peer

log = logging.getLogger(__name__)


class PeerStream:
    """One connection, from its TLS handshake to its end."""

    def __init__(self, socket: Any, conversation: PeerConversation) -> None:
        self.conversation = conversation
        self.ended = False
        self._socket = socket
        self._out: list[bytes] = [conversation.greeting()]
        self._size = 0
        self._wake = hub.Event()
        self._writer = hub.spawn(self._write)

    @property
    def name(self) -> str:
        """The peer's name; empty until its Hello has come."""
        peer = self.conversation.peer
        return "" if peer is None else peer.name

    @property
    def unread(self) -> int:
        """Bytes for the peer that it has not taken yet."""
        return self._size

    def tell(self, data: bytes) -> bool:
        """Append `data` for the peer. Returns False if its unread bytes exceed BACKLOG, so that the stream has to end."""
        self._out.append(data)
        self._size += len(data)
        return self._size <= BACKLOG

    def flush(self) -> None:
        if self._out:
            self._wake.set()

    def read(self) -> bytes:
        """Wait for bytes and return them; b"" at the end of the stream."""
        try:
            return bytes(self._socket.recv(READ))
        except (OSError, EOFError, ValueError):  # ValueError: TLS is shut down
            return b""

    def _write(self) -> None:
        try:
            while not self.ended:
                data = b"".join(self._out)
                self._out.clear()
                if data:
                    self._socket.sendall(data)
                    self._size = sum(map(len, self._out))
                else:
                    self._wake.clear()
                    self._wake.wait()
        except (OSError, EOFError, ValueError):
            self.close()

    def close(self) -> None:
        """End the connection, and wake the greenthreads that read or write."""
        self.ended = True
        self._wake.set()
        try:
            self._socket.shutdown(2)
        except OSError:
            pass  # the peer has closed the connection already

    def let_go(self) -> None:
        """Close the descriptor. Only the reading greenthread calls this, as its last step: a greenthread that waits for a
        closed descriptor would never wake up."""
        self.close()
        hub.kill(self._writer)
        self._socket.close()


class PeerStreams:
    """The streams to all other members. `given` takes inputs for the engine. `turn_over` is called when a read has been
    handled."""

    def __init__(
        self,
        me: Hello,
        way: PeerCertificates | PrivateSockets,
        given: Callable[[Input], None],
        turn_over: Callable[[], None],
    ) -> None:
        self.me = me
        self.faults: Counter[PeerFault] = Counter()
        self.works = WorkFaults()
        self._given = given
        self._turn_over = turn_over
        self.private = way if isinstance(way, PrivateSockets) else None
        self._contexts = None if isinstance(way, PrivateSockets) else (way.context(False), way.context(True))
        self._members: Mapping[str, PeerPlace] = {}
        self._streams: dict[str, PeerStream] = {}
        self._newcomers: set[PeerStream] = set()
        self._dialling: dict[str, Any] = {}
        self._lines = LogLimit(LINES)
        self._server: Any = None
        self._greenthreads: list[Any] = []

    # ---- life -----------------------------------------------------------------------------------

    def start(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises OSError."""
        self._server = eventlet.listen((host, port))
        self._begin()
        return int(self._server.getsockname()[1])

    def start_private(self) -> None:
        """Listen at the private socket of this controller's name. Raises OSError."""
        assert self.private is not None
        self._server = self.private.listen(self.me.name)
        self._begin()

    def _begin(self) -> None:
        door, beat = (StandingWork.PEER_DOOR, self._accept), (StandingWork.PEER_BEAT, self._beat)
        self._greenthreads = [self._spawn(*one) for one in (door, beat)]

    def _spawn(self, work: StandingWork, run: Callable[..., None], *args: Any) -> Any:
        """A greenthread that no exception ends. `works` has to be the controller's by now."""
        return hub.spawn(self.works.keep, work, hub.sleep, run, *args)

    def stop(self) -> None:
        for one in (*self._greenthreads, *self._dialling.values()):
            hub.kill(one)
        for stream in (*self._streams.values(), *self._newcomers):
            stream.close()
        if self._server is not None:
            self._server.close()

    def members(self, addresses: Mapping[str, PeerPlace]) -> None:
        """Set the other members and the places where they listen. Streams with controllers that are no members end."""
        self._members = {name: at for name, at in addresses.items() if name != self.me.name}
        for name in [name for name in self._dialling if name not in self._members]:
            hub.kill(self._dialling.pop(name))
        for name, stream in list(self._streams.items()):
            if name not in self._members:
                self._end(stream, PeerFault.NO_MEMBER)
        for name in self._members:
            if self.me.name < name and name not in self._dialling:
                self._dialling[name] = self._spawn(StandingWork.PEER_DIAL, self._dial, name)

    # ---- telling --------------------------------------------------------------------------------

    def tell(self, output: TellPeer) -> None:
        """Send a message to one peer, or to all. The message leaves when the turn is over."""
        data = encoded(output.message)
        streams = list(self._streams.values()) if not output.name else [self._streams.get(output.name)]
        for stream in streams:
            if stream is not None and not stream.tell(data):
                self._end(stream, PeerFault.BACKLOG)

    def flush(self) -> None:
        """The turn is over: send the collected messages."""
        for stream in self._streams.values():
            stream.flush()

    def say(self, name: str, message: PeerMessage) -> bool:
        """Send a message to one peer at once. Returns False where the peer cannot be reached. Raises WireError for a
        message that cannot be encoded."""
        data, stream = encoded(message), self._streams.get(name)
        if stream is None:
            return False
        if not stream.tell(data):
            self._end(stream, PeerFault.BACKLOG)
            return False
        stream.flush()
        return True

    def version(self, name: str) -> int:
        """The version of the protocol that is used with a peer; 0 where the peer cannot be reached."""
        stream = self._streams.get(name)
        peer = None if stream is None else stream.conversation.peer
        return 0 if peer is None else peer.common()

    def heard_at(self, name: str) -> float:
        """When bytes of a peer came last, in monotonic seconds; 0 where the peer cannot be reached."""
        stream = self._streams.get(name)
        return 0.0 if stream is None else stream.conversation.came

    @property
    def unread(self) -> dict[str, int]:
        """Peer's name -> bytes that the peer has not taken yet."""
        return {name: stream.unread for name, stream in self._streams.items()}

    # ---- connections ----------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                socket, address = self._server.accept()
            except OSError:
                hub.sleep(AGAIN)  # no free descriptors now, but perhaps soon
                continue
            if len(self._newcomers) + self._shaking >= NEWCOMERS:
                self._fault(PeerFault.TOO_MANY, _host(address))
                socket.close()
                continue
            hub.spawn(self._serve, socket, True, _host(address))

    _shaking = 0  # connections in their TLS handshake

    def _dial(self, name: str) -> None:
        wait = AGAIN
        while True:
            if name not in self._streams:
                try:
                    with eventlet.Timeout(CONNECT):
                        socket = _connected(self._members[name])
                except (OSError, eventlet.Timeout):
                    pass
                else:
                    if self._serve(socket, False, name):
                        wait = AGAIN
            hub.sleep(wait)
            wait = min(2 * wait, LONGEST)

    def _serve(self, socket: Any, accepted: bool, what: str) -> bool:
        """Serve a connection until it ends. Returns whether the connection was a peer's."""
        self._shaking += 1
        try:
            secured, names = self._secured(socket, accepted)
        except (OSError, EOFError, eventlet.Timeout):
            self._fault(PeerFault.NO_TLS, what)
            socket.close()
            return False
        finally:
            self._shaking -= 1
        talk = PeerConversation(self.me, names, self._members.__contains__, monotonic())
        stream = PeerStream(secured, talk)
        self._newcomers.add(stream)
        stream.flush()
        try:
            self._listen(stream)
            self._end(stream, PeerFault.CLOSED)
        except PeerError as error:
            self._end(stream, error.reason, what)
        finally:
            stream.let_go()
        return bool(stream.name)

    def _secured(self, socket: Any, accepted: bool) -> tuple[Any, frozenset[str]]:
        """The socket to talk by, and the names that the peer may have. Raises OSError, EOFError or eventlet.Timeout."""
        if self._contexts is None:
            return socket, frozenset(self._members)
        with eventlet.Timeout(CONNECT):
            socket.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY: messages leave at once
            secured = self._contexts[accepted].wrap_socket(socket, server_side=accepted)
            return secured, certificate_names(secured.getpeercert() or {})

    def _listen(self, stream: PeerStream) -> None:
        """Read until the stream ends. Raises PeerError."""
        while not stream.ended:
            data = stream.read()
            if not data:
                return
            messages = stream.conversation.received(data, monotonic())
            if stream in self._newcomers and stream.name:
                self._greeted(stream)
            for message in messages:
                self._given(PeerTold(stream.name, message))
            if messages:
                self._turn_over()
            hub.sleep(0)  # other greenthreads get their turn beside a peer that sends much

    def _greeted(self, stream: PeerStream) -> None:
        self._newcomers.discard(stream)
        before = self._streams.get(stream.name)
        if before is not None:
            self._end(before, PeerFault.REPLACED)
        self._streams[stream.name] = stream
        log.info("controller %s can be reached", stream.name)
        self._given(PeerUp(stream.name, self.version(stream.name)))
        self._turn_over()

    def _end(self, stream: PeerStream, why: PeerFault, what: str = "") -> None:
        if stream.ended and stream not in self._newcomers and self._streams.get(stream.name) is not stream:
            return
        stream.close()
        self._newcomers.discard(stream)
        self._fault(why, stream.name or what)
        if stream.name and self._streams.get(stream.name) is stream:
            del self._streams[stream.name]
            self._given(PeerLost(stream.name))
            self._turn_over()

    def _fault(self, why: PeerFault, what: str) -> None:
        self.faults[why] += 1
        more = self._lines.left_out((what, why), monotonic())
        if more is not None:
            log.warning("stream with controller %s ended: %s%s", what, why.value, and_more(more))

    def _beat(self) -> None:
        """Send heartbeats, and end streams whose peers send none."""
        looked = monotonic()
        while True:
            hub.sleep(BEAT)
            now = monotonic()
            stalled, looked = now - looked > STALL, now
            for stream in (*self._streams.values(), *self._newcomers):
                if stalled:
                    stream.conversation.stalled(now)
                try:
                    stream.conversation.judge(now)
                except PeerError as error:
                    self._end(stream, error.reason)
                    continue
                if stream.name and stream.tell(stream.conversation.beat()):
                    stream.flush()


def _connected(place: PeerPlace) -> Any:
    return eventlet.connect(place, AF_UNIX) if isinstance(place, str) else eventlet.connect(place)


def _host(address: Any) -> str:
    """The peer's host, from the address of an accepted connection. A socket in the file system has no address."""
    return str(address[0]) if address else "this machine"
