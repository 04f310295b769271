"""One switch's connection: os-ken's Datapath with a receive path and a send path of our own.

os-ken reads 8 bytes, then the rest of the message. It makes an object and an event of each message, and sends each
message with its own system call through a queue that blocks. That costs ten times as much as the controller's own work
(docs/design/measured.rst). Here one read takes all bytes that are there. All answers to the messages of one turn of the
hub leave in one write for each switch (turn_end).

Everything for the switch, os-ken's own messages too, takes the same way: it is appended to `_out` and leaves in
`flush`. The socket is written without waiting. Bytes that the socket does not take stay in `_backlog`, which a
greenthread empties. While that greenthread works, `flush` only appends to the backlog. So bytes never interleave, and
no handler ever waits for a switch that does not read.
"""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, ClassVar

from os_ken.controller import controller
from os_ken.controller.handler import DEAD_DISPATCHER, MAIN_DISPATCHER
from os_ken.lib import hub

from steering.model.token_bucket import TokenBucket
from steering.openflow.connection.adapter import Adapter
from steering.openflow.connection.framework import show
from steering.openflow.connection.handshake import SwitchHandshake
from steering.openflow.connection.read_wait import ReadWait
from steering.openflow.connection.tls import TlsChannel, TlsError
from steering.openflow.connection.turn import Brake, ConnectionTurn
from steering.openflow.messages.reader import Disconnect, Message, cut

READ_SIZE = 65_536
WRITE_SIZE = 65_536
MESSAGES = 256  # most messages cut at a time: cutting cannot be interrupted
USUAL = 32  # most usual messages handled at a time, for the same reason
NEWCOMER_BACKLOG = 65_536  # bytes that a connection may leave unread before it is a switch
TURNS = 4  # most full reads in a row before other switches get their turn, whatever the budgets say

log = logging.getLogger(__name__)


class Channel(controller.Datapath):  # type: ignore[misc]
    """A connection from accept to close. `id` is the datapath id once it is known."""

    adapter: "Adapter[Channel]"  # set by `install`
    others_wait: ClassVar[
        Callable[[int], bool]
    ]  # whether another descriptor is ready; set by the application

    def __init__(
        self,
        socket: Any,
        address: tuple[Any, ...],
        tls: TlsChannel | None = None,
        is_greeted: bool = False,
        came: bytes = b"",
    ) -> None:
        """`is_greeted`: HELLO has been sent. `came`: bytes of the switch that were read before."""
        now = self.opened_at = self.heard_at = self.asked_at = monotonic()
        self.is_ready = False
        self.fault = ""  # in words why TLS failed
        budgets = self.adapter.budgets
        self.handshake = SwitchHandshake(self, budgets)
        self.unasked = TokenBucket(budgets.unasked_rate, budgets.unasked_burst, now)
        self.echo_is_due = False  # an echo request is under way
        self._budgets = budgets
        self._tls = tls
        self._greeted = is_greeted
        self._came = came
        self._turn = ConnectionTurn(budgets, lambda: Channel.others_wait(self._fd), now)
        self._brake = Brake(budgets, now)
        self._rest = 0.0  # seconds that the next pause lasts
        self._in_foyer = False
        self._out: list[bytes] = []
        self._backlog = bytearray()
        self._writer: Any = None
        self._ended = False
        self._turns = 0
        self._more = True  # something may be there to read
        super().__init__(socket, address)
        # Silence is judged by the adapter's clock; a time-out here would cost a timer on every read.
        self.socket.settimeout(None)
        self._raw = self.socket.fd
        self._fd: int = self._raw.fileno()
        self._read_wait = ReadWait(self._fd)

    # ---- life ----------------------------------------------------------------------------------

    def serve(self) -> None:
        """Run the connection until it ends; called by os-ken in a greenthread of its own."""
        try:
            self.adapter.opened(self)
            self._begin_turn()
            if self._tls is None and not self._greeted:
                self._greet()
            self._receive()
            self.disconnect(Disconnect.CLOSED)
            self.adapter.settle(monotonic())
        except Exception:
            # A defect of this program ends the switch's connection. The switch connects again, without old state.
            log.exception("the connection from %s failed", self.address[0])
            self.disconnect(Disconnect.FAILED)
        finally:
            if self._writer is not None:
                hub.kill(self._writer)
            self.is_active = False
            self._leave_foyer()
            self._read_wait.unlisten()
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
        self.adapter.unread.changed(self)
        # `is_ready` stays as it was: it tells the adapter whether there was a switch to lose.
        self.adapter.ended(self, reason)
        self.set_state(DEAD_DISPATCHER)
        try:
            # Both directions are shut down, so the greenthread that reads wakes up and closes the socket.
            self.socket.shutdown(2)
        except OSError:
            pass  # the switch has closed the connection already

    @property
    def has_ended(self) -> bool:
        return self._ended

    @property
    def unread(self) -> int:
        """Number of bytes that were written for the switch and that the socket has not taken yet."""
        return len(self._backlog)

    @property
    def names(self) -> frozenset[str] | None:
        """The names in the peer's certificate; None without TLS."""
        return None if self._tls is None else self._tls.names()

    def identified(self) -> Disconnect | None:
        """Called by the handshake: the datapath id is known."""
        return self.adapter.identified(self)

    def described(self) -> None:
        """Called by the handshake: the handshake is complete."""
        self.adapter.described(self)

    def admit(self) -> None:
        """The connection speaks for its switch from now on."""
        if self._ended or self.is_ready:
            return
        self.is_ready = True
        self._leave_foyer()
        self.set_state(MAIN_DISPATCHER)
        self.adapter.ready(self)

    # ---- turns ---------------------------------------------------------------------------------

    def _begin_turn(self) -> None:
        """Begin a turn. A connection that is no switch yet waits first until no other such connection works."""
        foyer = self.adapter.foyer
        if foyer is not None and not self.is_ready and not self._in_foyer:
            if foyer.locked():
                # A readable descriptor that is not read would wake the hub again and again meanwhile.
                self._read_wait.unlisten()
            foyer.acquire()
            self._in_foyer = True
            if self.is_ready or self._ended:
                self._leave_foyer()  # the connection became a switch, or ended, while it waited
        self._turn.begin(monotonic())
        self._turns = 0

    def _leave_foyer(self) -> None:
        if self._in_foyer:
            self._in_foyer = False
            self.adapter.foyer.release()

    def pause(self) -> None:
        """Send what this turn caused, give other connections their turns, and begin the next turn. Bytes for other
        switches leave first: otherwise, beside a connection that floods, each answer would wait for two of its turns."""
        self.adapter.settle(monotonic())
        self._leave_foyer()
        rest, self._rest = self._rest, 0.0
        if rest:
            self._read_wait.unlisten()  # as in `_begin_turn`
        hub.sleep(rest)
        self.adapter.settle(monotonic())
        self._begin_turn()

    def pause_if_over(self, has_brought: bool = False) -> None:
        """Pause if the turn is over; for work that goes on within one message. `has_brought`: inputs were read that
        are still to be handled. Handling takes longer than reading, and happens in a pause."""
        if has_brought or self._turn.is_over(monotonic()):
            self.pause()

    # ---- receiving -----------------------------------------------------------------------------

    def _greet(self) -> None:
        self._greeted = True
        self.send_msg(self.ofproto_parser.OFPHello(self))

    def _receive(self) -> None:
        rest, self._came = self._came, b""
        if rest:
            rest = self._work(rest)
            self.adapter.settle_soon(monotonic())
        while not self._ended:
            data = self._read()
            if not data:
                return
            if self._tls is not None:
                data = self._unsealed(self._tls, data)
            if data:
                rest = self._work(rest + data if rest else data)
            self.adapter.settle_soon(monotonic())

    def _work(self, stream: bytes) -> bytes:
        """Handle the whole messages in `stream`, with pauses for other connections. Returns the bytes that are left."""
        at = 0
        while True:
            now = monotonic()
            if self._turn.is_over(now):
                self.pause()
                now = monotonic()
            if self._ended:
                return b""
            usual = self.adapter.usual if self.is_ready else None
            if usual is not None:
                before, at = at, usual.take(self.id, stream, at, USUAL, now)
                if at == len(stream):
                    self.heard_at = now
                    return b""
                if at != before:
                    continue
            most = MESSAGES if usual is None else 1
            messages, at, refused = cut(stream, at, most)
            for message in messages:
                now = monotonic()
                if self._turn.is_over(now):
                    self.pause()
                    now = monotonic()
                if self._ended:
                    return b""
                self.heard_at = now
                self._handle(message, now)
            if refused is not None:
                self.disconnect(refused)
                return b""
            if self._ended or len(messages) < most:
                return stream[at:]

    def _unsealed(self, tls: TlsChannel, data: bytes) -> bytes:
        """Bytes that came by TLS, decrypted."""
        try:
            plain = tls.received(data)
        except TlsError as error:
            plain = b""
            self.fault = str(error)
            self._push(tls.to_send())  # the alert, which tells the switch why
            self.disconnect(Disconnect.NO_TLS)
        self._push(tls.to_send())
        if tls.is_open and not self._greeted:
            self._greet()
        return plain

    def _read(self) -> bytes:
        """Read all bytes that are there, and wait if there are none; b"" at the end of the connection."""
        try:
            while True:
                if self._rest:
                    self.pause()
                if not self._more:
                    self._leave_foyer()
                    self._read_wait.wait()
                    self._begin_turn()
                elif self._turns == TURNS or self._turn.is_over(monotonic()):
                    # A connection that always has bytes to read must not keep the other switches waiting for ever.
                    self.pause()
                if self._ended:
                    return b""
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

    def _handle(self, message: Message, now: float) -> None:
        if self.is_ready:
            self._rest = self._brake.rest(message.type, now)
            if self._rest:
                self._turn.end()
            self.adapter.received(self, message, now)
            return
        refused = self.handshake.take(message)
        if refused is not None:
            self.disconnect(refused)

    def to_framework(self, message: Message) -> None:
        """Called by the handshake, with a HELLO."""
        show(self, message)

    # ---- sending -------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Append whole messages to the bytes that leave at the end of the batch."""
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
        """Send the written bytes, as far as the socket takes them now."""
        if not self._out or self._ended:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        if self._tls is not None:
            try:
                data = self._tls.sealed(data)
            except TlsError:
                self.disconnect(Disconnect.WRITE_FAILED)
                return
        self._push(data)

    def _push(self, data: bytes) -> None:
        """Send bytes as they go over the wire, or append them to what the socket has not taken yet."""
        if not data or self._ended:
            return
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
        if len(self._backlog) > (self._budgets.backlog if self.is_ready else NEWCOMER_BACKLOG):
            self.disconnect(Disconnect.BACKLOG)
            return
        self.adapter.unread.changed(self)
        if self._writer is None and not self._ended:
            self._writer = hub.spawn(self._empty_backlog)

    def _empty_backlog(self) -> None:
        try:
            while self._backlog:
                sent = self.socket.send(bytes(self._backlog[:WRITE_SIZE]))
                # `disconnect` may have emptied the backlog meanwhile: then this deletes nothing.
                del self._backlog[:sent]
                self.adapter.unread.changed(self)
        except (OSError, EOFError):
            self.disconnect(Disconnect.WRITE_FAILED)
        finally:
            self._writer = None
