"""The switches' port of several workers: finds out each switch's datapath id and hands the connection to the worker that decides for
the switch.

A connection gets HELLO, and after its own HELLO a request for features. The reply tells the datapath id. The worker gets the
connection as if it had just sent HELLO itself, and asks for features again. Everything that a stranger can send is bounded:
connections without an id as at a single controller (`openflow.budgets`), their time, their bytes and messages.
"""

import logging
import socket
from collections import Counter
from collections.abc import Callable
from struct import Struct
from time import monotonic
from typing import Protocol

from steering.model.ids import DatapathId
from steering.model.log_limit import LogLimit, and_more
from steering.model.token_bucket import TokenBucket
from steering.openflow.budgets import Budgets, Newcomers, source_of
from steering.openflow.connection.descriptors import switch_places
from steering.openflow.connection.handover import MOST_CAME, HandedConnection
from steering.openflow.messages.reader import (
    HEADER_LENGTH,
    VERSION,
    Disconnect,
    Message,
    Type,
    clean_hello,
    cut,
    read_datapath_id,
)

INTRODUCED_WITHIN = 10.0  # seconds from connect within which the datapath id has to come
OWNED_WITHIN = 30.0  # seconds from connect within which a worker has to take the connection
READ = 1_024  # bytes read at a time: a stranger's echo requests, which are answered, must not keep the next connection waiting
ACCEPTED = 64  # most connections accepted in a row
PAUSE = 0.2  # seconds without accepting when descriptors or memory have run out
LINES, LINE_BURST = 60.0, 5  # at most LINE_BURST log lines in LINES seconds name one reason
BACKLOG = 1_024  # connections that may wait in the kernel's queue
_FEATURES_REQUEST = 5
_XID = 0x7FFF_0002  # transaction id of the request for features; workers use other ids
_HEADER = Struct(">BBHI")
_HELLO = _HEADER.pack(VERSION, Type.HELLO, HEADER_LENGTH, 0)
_REQUEST = _HEADER.pack(VERSION, _FEATURES_REQUEST, HEADER_LENGTH, _XID)
# Messages that may still arrive from a switch that had a controller before. Its worker passes over them too.
_LATE = frozenset({Type.PACKET_IN, Type.ERROR, Type.ECHO_REPLY, Type.PORT_STATUS})

log = logging.getLogger(__name__)


class DescriptorWatch(Protocol):
    """Calls back where a descriptor can be read."""

    def watch(self, one: socket.socket, readable: Callable[[], None]) -> None: ...

    def unwatch(self, one: socket.socket) -> None:
        """Nothing happens where the descriptor is not watched."""


class HandoverRefusal(Exception):
    """A connection has to end."""

    def __init__(self, reason: Disconnect) -> None:
        super().__init__(reason.value)
        self.reason = reason


class IntroducedConnection:
    """One connection, until a worker has it. `dpid`: None before the switch has told it."""

    def __init__(
        self, connection: socket.socket, address: tuple[str, int], budgets: Budgets, now: float
    ) -> None:
        self.connection = connection
        self.address = address
        self.began = now
        self.dpid: DatapathId | None = None
        self._hello = b""  # the HELLO of the switch
        self._rest = b""
        self._messages = budgets.handshake_messages
        self._bytes = budgets.handshake_bytes

    def greet(self) -> None:
        """Raises HandoverRefusal."""
        self._send(_HELLO)

    def read(self) -> None:
        """Take the bytes that came. Raises HandoverRefusal."""
        try:
            data = self.connection.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            raise HandoverRefusal(Disconnect.CLOSED) from None
        if not data:
            raise HandoverRefusal(Disconnect.CLOSED)
        self._bytes -= len(data)
        stream = self._rest + data
        messages, at, refused = cut(stream, 0, len(stream))
        self._messages -= len(messages)
        if self._messages < 0 or self._bytes < 0:
            raise HandoverRefusal(Disconnect.HANDSHAKE_FLOOD)
        for message in messages:
            self._take(message)
        if refused is not None:
            raise HandoverRefusal(refused)
        self._rest = stream[at:]

    def handed(self) -> HandedConnection:
        """The connection as a worker gets it."""
        return HandedConnection(*self.address, self._hello + self._rest, self.connection.fileno())

    def _take(self, message: Message) -> None:
        kind = message.type
        if kind == Type.HELLO:
            if self._hello or clean_hello(message.data) is None:
                raise HandoverRefusal(Disconnect.BAD_HELLO)
            self._hello = message.data
            self._send(_REQUEST)
        elif kind == Type.FEATURES_REPLY:
            dpid = read_datapath_id(message.data)
            if dpid is None:
                raise HandoverRefusal(Disconnect.BAD_LENGTH)
            if not self._hello or self.dpid is not None or message.xid != _XID:
                raise HandoverRefusal(Disconnect.OUT_OF_ORDER)
            self.dpid = dpid
        elif kind == Type.ECHO_REQUEST:
            self._send(message.data[:1] + bytes((Type.ECHO_REPLY,)) + message.data[2:])
        elif kind == Type.ERROR and self.dpid is None:
            raise HandoverRefusal(Disconnect.BAD_VERSION)  # it knows no OpenFlow 1.3, or does not want it
        elif kind not in _LATE:
            raise HandoverRefusal(Disconnect.OUT_OF_ORDER)

    def _send(self, data: bytes) -> None:
        """Raises HandoverRefusal where the switch does not read."""
        try:
            sent = self.connection.send(data)
        except BlockingIOError:
            raise HandoverRefusal(Disconnect.BACKLOG) from None
        except OSError:
            raise HandoverRefusal(Disconnect.WRITE_FAILED) from None
        if sent < len(data):
            raise HandoverRefusal(Disconnect.BACKLOG)


class SwitchDoor:
    """`hand` gives a connection to the worker that decides for a switch; it returns False where none can take the connection now.
    `ended`: connections that were ended here, by reason, since a worker was told."""

    def __init__(
        self,
        listening: socket.socket,
        watcher: DescriptorWatch,
        hand: Callable[[DatapathId, HandedConnection], bool],
        budgets: Budgets | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.ended: Counter[Disconnect] = Counter()
        self._listening = listening
        self._watcher = watcher
        self._hand = hand
        self._budgets = budgets = budgets or Budgets()
        self._now = now
        most = min(budgets.newcomers, switch_places() // 2)
        self._newcomers: Newcomers[IntroducedConnection] = Newcomers(most, budgets.newcomers_of_source)
        self._bucket = TokenBucket(budgets.accept_rate, budgets.accept_burst, now())
        self._open: dict[IntroducedConnection, None] = {}  # the oldest first
        self._rests_until: float | None = None  # nothing is accepted before
        self._lines = LogLimit(LINES, LINE_BURST)
        self._is_closed = False
        watcher.watch(listening, self._accept)

    def __len__(self) -> int:
        """The number of connections that no worker has yet."""
        return len(self._open)

    def look(self) -> None:
        """Hand over connections that had to wait, and end those that took too long. To be called some times a second."""
        now = self._now()
        if self._rests_until is not None and now >= self._rests_until and not self._is_closed:
            self._rests_until = None
            self._watcher.watch(self._listening, self._accept)
        for one in list(self._open):
            if one.dpid is not None:
                self._try(one)
            if one in self._open:
                limit = INTRODUCED_WITHIN if one.dpid is None else OWNED_WITHIN
                if now > one.began + limit:
                    self._end(one, Disconnect.HANDSHAKE_TIMEOUT)

    def close(self) -> None:
        """Listen no more, and end all connections that no worker has."""
        self._is_closed = True
        self._watcher.unwatch(self._listening)
        self._listening.close()
        for one in list(self._open):
            self._end(one, Disconnect.SHUTDOWN)

    # ---- connections ----------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(ACCEPTED):
            wait = self._bucket.take(self._now())
            if wait:
                self._rest(wait)
                return
            try:
                connection, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._over(
                    Disconnect.TOO_MANY,
                    f"the listener for switches accepts nobody for a moment: {error.strerror}",
                )
                self._rest(PAUSE)
                return
            self._begin(connection, (str(address[0]), int(address[1])))

    def _rest(self, seconds: float) -> None:
        """Accept no connection for some time. Meanwhile the listening socket is not watched, because it would be readable all the time."""
        self._watcher.unwatch(self._listening)
        self._rests_until = self._now() + seconds

    def _begin(self, connection: socket.socket, address: tuple[str, int]) -> None:
        connection.setblocking(False)
        one = IntroducedConnection(connection, address, self._budgets, self._now())
        self._open[one] = None
        oldest = self._newcomers.enter(one, source_of(address[0]))
        if oldest is not None:
            self._end(oldest, Disconnect.TOO_MANY_NEWCOMERS)
        self._watcher.watch(connection, lambda: self._read(one))
        try:
            one.greet()
        except HandoverRefusal as refusal:
            self._end(one, refusal.reason)

    def _read(self, one: IntroducedConnection) -> None:
        if one not in self._open:
            return  # it was ended in this turn
        try:
            one.read()
        except HandoverRefusal as refusal:
            self._end(one, refusal.reason)
            return
        if one.dpid is not None:
            self._try(one)

    def _try(self, one: IntroducedConnection) -> None:
        """Hand a connection over, if a worker can take it."""
        assert one.dpid is not None
        handed = one.handed()
        if len(handed.came) > MOST_CAME:
            self._end(one, Disconnect.HANDSHAKE_FLOOD)
        elif self._hand(one.dpid, handed):
            self._let_go(one)

    def _end(self, one: IntroducedConnection, reason: Disconnect) -> None:
        self._let_go(one)
        if reason is not Disconnect.SHUTDOWN:
            self._over(
                reason, f"switch at {one.address[0]}: connection ended before a worker had it: {reason}"
            )

    def _let_go(self, one: IntroducedConnection) -> None:
        self._open.pop(one, None)
        self._newcomers.leave(one)
        self._watcher.unwatch(one.connection)
        one.connection.close()

    def _over(self, reason: Disconnect, words: str) -> None:
        self.ended[reason] += 1
        more = self._lines.left_out(reason, self._now())
        if more is not None:
            level = logging.INFO if reason is Disconnect.CLOSED else logging.WARNING
            log.log(level, "%s%s", words, and_more(more))


def listening(host: str, port: int) -> socket.socket:
    """The socket at which switches connect. Raises OSError."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made
