"""One switch's connection: os-ken's Datapath with a receive path and a send path of our own.

os-ken reads 8 bytes, then the rest, makes an object and an event of each message and sends one message a
system call through a queue that blocks; that costs ten times what our work does (facts/performance.md
section 1). Here a read takes all there is, and what the batch's messages caused goes out in one write.

One way out: everything for the switch, os-ken's own messages too, is appended to `_out` and leaves in
`flush`. The socket is written without waiting; what it does not take stays in `_backlog`, which a greenthread
empties. While that one is at work, `flush` only appends to the backlog. So bytes never interleave, and no
handler ever waits for a switch that does not read.
"""

import logging
from time import monotonic
from typing import Any, Protocol

from eventlet.hubs import get_hub
from os_ken.controller import controller, ofp_event
from os_ken.controller.handler import DEAD_DISPATCHER, HANDSHAKE_DISPATCHER, MAIN_DISPATCHER
from os_ken.lib import hub
from os_ken.ofproto import ofproto_parser

from steering.openflow.reader import (
    Disconnect,
    Message,
    Multipart,
    Type,
    clean_hello,
    port_description_is_sound,
    read_multipart,
    split,
)

READ_SIZE = 65_536
WRITE_SIZE = 262_144
BACKLOG_LIMIT = 8 << 20  # bytes a switch may leave unread before it is given up
TURNS = 4  # full reads in a row before other switches get their turn

log = logging.getLogger(__name__)


class Adapter(Protocol):
    """What a channel hands its switch's messages to."""

    def opened(self, channel: "Channel") -> Disconnect | None: ...

    def ready(self, channel: "Channel") -> None: ...

    def ended(self, channel: "Channel", reason: Disconnect) -> None: ...

    def received(self, channel: "Channel", message: Message, now: float) -> None:
        """A message after the handshake. os-ken's parsers see none of these."""

    def settle(self, now: float) -> None:
        """The end of a batch: let what it caused go out."""

    def touched(self, channel: "Channel") -> None:
        """The channel has something to flush."""


class Channel(controller.Datapath):  # type: ignore[misc]
    """A connection from accept to close. `id` is the datapath id once it is known."""

    adapter: Adapter  # set by `install`

    def __init__(self, socket: Any, address: tuple[Any, ...]) -> None:
        self.opened_at = self.heard_at = self.asked_at = monotonic()
        self.is_ready = False
        self.speeds: dict[int, int] = {}  # port -> kbit/s, as the switch says
        self._out: list[bytes] = []
        self._backlog = bytearray()
        self._writer: Any = None
        self._ended = False
        self._turns = 0
        self._more = True  # something may be there to read
        self._listener: Any = None
        self._reader: Any = None
        self._waiting = False
        super().__init__(socket, address)
        # Silence is judged by the adapter's clock; a time-out here would cost a timer on every read.
        self.socket.settimeout(None)
        self._raw = self.socket.fd

    # ---- life ----------------------------------------------------------------------------------

    def serve(self) -> None:
        """Run the connection until it ends; called by os-ken in a greenthread of its own."""
        try:
            reason = self.adapter.opened(self)
            if reason is None:
                self.send_msg(self.ofproto_parser.OFPHello(self))
                self._receive()
            self.disconnect(reason or Disconnect.CLOSED)
            self.adapter.settle(monotonic())
        except Exception:
            # A defect of ours costs this switch its connection; it comes back, and nothing is left behind.
            log.exception("the connection from %s failed", self.address[0])
            self.disconnect(Disconnect.FAILED)
        finally:
            if self._writer is not None:
                hub.kill(self._writer)
            self.is_active = False
            self._unlisten()
            self.socket.close()

    def close(self) -> None:
        """End the connection (os-ken's name for it)."""
        self.disconnect(Disconnect.SHUTDOWN)

    def disconnect(self, reason: Disconnect) -> None:
        """End the connection now; what was not sent is lost. The first reason counts."""
        if self._ended:
            return
        self._ended = True
        self._out.clear()
        self._backlog.clear()
        # `is_ready` stays as it was: it tells the adapter whether there was a switch to lose.
        self.adapter.ended(self, reason)
        self.set_state(DEAD_DISPATCHER)
        try:
            # Both ways: the greenthread that reads wakes up and closes.
            self.socket.shutdown(2)
        except OSError:
            pass  # the switch was faster

    @property
    def has_ended(self) -> bool:
        return self._ended

    def set_state(self, state: str) -> None:
        """os-ken's handshake moves the state on; MAIN is its end."""
        if self.state == state:
            return
        super().set_state(state)
        if state == MAIN_DISPATCHER and not self._ended:
            self.is_ready = True
            self.adapter.ready(self)

    # ---- receiving -----------------------------------------------------------------------------

    def _receive(self) -> None:
        rest = b""
        while not self._ended:
            data = self._read()
            if not data:
                return
            now = self.heard_at = monotonic()
            messages, rest, refused = split(rest + data if rest else data)
            for message in messages:
                self._handle(message, now)
                if self._ended:
                    break
            if refused is not None:
                self.disconnect(refused)
            self.adapter.settle(now)

    def _read(self) -> bytes:
        """What there is to read, waiting for it; b"" at the end."""
        try:
            while True:
                if self._turns == TURNS:
                    # Reads that did not wait must not keep the other switches waiting for ever.
                    self._turns = 0
                    hub.sleep(0)
                if not self._more:
                    self._wait()
                try:
                    data: bytes = self._raw.recv(READ_SIZE)
                except BlockingIOError:
                    self._more = False
                    continue
                self._more = len(data) == READ_SIZE  # less than asked for: there is no more now
                self._turns = self._turns + 1 if self._more else 0
                return data
        except (OSError, EOFError):
            return b""

    def _wait(self) -> None:
        """Until there is something to read. The listener stays for the connection's life: eventlet's own way,
        one for each wait, costs two system calls a read."""
        if self._listener is None:
            self._reader = hub.getcurrent()
            fd = self._raw.fileno()
            self._listener = get_hub().add(get_hub().READ, fd, self._readable, self._reader.throw, _nothing)
        self._waiting = True
        try:
            get_hub().switch()
        finally:
            self._waiting = False

    def _readable(self, fd: int) -> None:
        # While the reader is at work, or gives others their turn, it must not be switched to from here.
        if self._waiting:
            self._reader.switch()

    def _unlisten(self) -> None:
        if self._listener is not None:
            get_hub().remove(self._listener)
            self._listener = None

    def _handle(self, message: Message, now: float) -> None:
        if self.is_ready:
            self.adapter.received(self, message, now)
        else:
            self._handshake(message)

    def _handshake(self, message: Message) -> None:
        """The handshake is os-ken's; it gets only what belongs there and is well-formed."""
        kind, data = message.type, message.data
        if kind == Type.HELLO:
            clean = clean_hello(data)
            if clean is None or self.state != HANDSHAKE_DISPATCHER:
                self.disconnect(Disconnect.BAD_HELLO)
            else:
                self._to_framework(message._replace(data=clean))
        elif kind == Type.ECHO_REQUEST:
            self.write(echo_reply(data))
        elif kind == Type.MULTIPART_REPLY:
            part = read_multipart(data)
            if part is None or part[0] != Multipart.PORT_DESC or not port_description_is_sound(data):
                self.disconnect(Disconnect.BAD_LENGTH)
            else:
                self._to_framework(message)
        elif kind == Type.FEATURES_REPLY:
            if len(data) < 32:
                self.disconnect(Disconnect.BAD_LENGTH)
            else:
                self._to_framework(message)
        elif kind in (Type.PACKET_IN, Type.PORT_STATUS, Type.ERROR, Type.ECHO_REPLY):
            pass  # a switch that had a controller before may still have these under way
        else:
            self.disconnect(Disconnect.OUT_OF_ORDER)

    def _to_framework(self, message: Message) -> None:
        """A message of the handshake: os-ken's parser, its handlers, and the applications that observe."""
        data = message.data
        made = ofproto_parser.msg(self, message.version, message.type, len(data), message.xid, data)
        if not made or self.ofp_brick is None:
            return
        event = ofp_event.ofp_msg_to_ev(made)
        self.ofp_brick.send_event_to_observers(event, self.state)
        state = self.state
        for handler in self.ofp_brick.get_handlers(event):
            if state in handler.callers[event.__class__].dispatchers:
                handler(event)

    # ---- sending -------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Add whole messages to what leaves at the end of the batch."""
        if self._ended:
            return
        if not self._out:
            self.adapter.touched(self)
        self._out.append(data)

    def send(self, buf: bytes, close_socket: bool = False) -> bool:
        """os-ken's way to send: the same path, at once."""
        if self._ended:
            return False
        self.write(bytes(buf))
        self.flush()
        if close_socket:
            self.disconnect(Disconnect.BAD_VERSION)  # os-ken closes when no version is common
        return True

    def flush(self) -> None:
        """Send what was written, as far as the socket takes it now."""
        if not self._out or self._ended:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        if not self._backlog:
            try:
                sent = self._raw.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.disconnect(Disconnect.WRITE_FAILED)
                return
            if sent == len(data):
                return
            data = data[sent:]
        self._backlog += data
        if len(self._backlog) > BACKLOG_LIMIT:
            self.disconnect(Disconnect.BACKLOG)
        elif self._writer is None:
            self._writer = hub.spawn(self._empty_backlog)

    def _empty_backlog(self) -> None:
        try:
            while self._backlog:
                sent = self.socket.send(bytes(self._backlog[:WRITE_SIZE]))
                # Emptied by `disconnect` meanwhile: then there is nothing to delete either.
                del self._backlog[:sent]
        except (OSError, EOFError):
            self.disconnect(Disconnect.WRITE_FAILED)
        finally:
            self._writer = None


def _nothing(fd: int) -> None:
    """eventlet tells of a descriptor that was closed elsewhere; ours is closed in `serve` only."""


def echo_reply(request: bytes) -> bytes:
    """The answer to an OFPT_ECHO_REQUEST: the same bytes, another type."""
    return request[:1] + bytes((Type.ECHO_REPLY,)) + request[2:]


def install(adapter: Adapter) -> None:
    """Let os-ken make its connections of `Channel`, with `adapter` behind them."""
    Channel.adapter = adapter

    def serve(socket: Any, address: tuple[Any, ...]) -> None:
        Channel(socket, address).serve()

    # os-ken looks this name up when it begins to listen, and has no setting for it. The class itself cannot
    # be put in Datapath's place: Datapath names itself in its call of super().
    controller.datapath_connection_factory = serve
