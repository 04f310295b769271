"""Switches of other controllers: what the sender writes to one goes to its controller, and so does the barrier's answer back.

The sender sees a line like any other. A barrier request is no message for the other controller but the wish to be told when
all before it is carried out: that one sends a barrier of its own, and answers with this one's transaction id.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping

from steering.model.ids import DatapathId
from steering.openflow.line import Line, Writer
from steering.openflow.messages.encode import barrier_request
from steering.openflow.messages.reader import Disconnect
from steering.wire.peer_messages import SwitchWrite, WriteResult
from steering.wire.peer_stream import LONGEST

PIECE = LONGEST - 64  # bytes of OpenFlow messages in one message to a controller
PENDING = 4_096  # writes of others that wait for their switches
PATIENCE = 1.0  # seconds; whoever asked has given up by then

_BARRIER_REQUEST = 20  # OFPT_BARRIER_REQUEST
_WRITES = frozenset({13, 14})  # OFPT_PACKET_OUT, OFPT_FLOW_MOD: what nobody answers
_HEAD = 8  # bytes of an OpenFlow message's header
_VERSION = 4  # of OpenFlow 1.3

Tell = Callable[[str, SwitchWrite | WriteResult], None]


class RemoteLine:
    """The line to one switch, by way of its controller `owner`."""

    def __init__(
        self, dpid: DatapathId, owner: str, tell: Tell, touched: Callable[["RemoteLine"], None]
    ) -> None:
        self._dpid = dpid
        self._owner = owner
        self._tell = tell
        self._touched = touched
        self._out: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Whole messages, or one barrier request."""
        if data[1] == _BARRIER_REQUEST:
            self._send(int.from_bytes(data[4:8], "big"), confirm=True)
            return
        if not self._out:
            self._touched(self)
        self._out.append(data)

    def flush(self) -> None:
        """What nobody asked a confirmation of leaves too."""
        if self._out:
            self._send(0, confirm=False)

    def _send(self, request: int, confirm: bool) -> None:
        pieces = list(_pieces(b"".join(self._out)))
        self._out.clear()
        for piece in pieces[:-1]:
            self._tell(self._owner, SwitchWrite(0, self._dpid, False, piece))
        if pieces:
            self._tell(self._owner, SwitchWrite(request, self._dpid, confirm, pieces[-1]))

    def disconnect(self, reason: Disconnect) -> None:
        """A connection is its own controller's business."""


class SwitchLines(Mapping[DatapathId, Line]):
    """Lines to all switches: those that are connected here, and those of controllers that can be reached."""

    def __init__(self, own: Mapping[DatapathId, Line], tell: Tell) -> None:
        self._own = own
        self._tell = tell
        self._remote: dict[DatapathId, RemoteLine] = {}
        # Barriers that others were asked for: request -> switch and its controller. Whoever waits gives up by itself.
        self._asked: OrderedDict[int, tuple[DatapathId, str]] = OrderedDict()
        self._dirty: list[RemoteLine] = []

    def shared(self, me: str, owners: Mapping[DatapathId, str], reached: frozenset[str]) -> None:
        """Who has which switches, and who of them can be reached."""
        self._remote = {
            dpid: RemoteLine(dpid, owner, self._ask, self._dirty.append)
            for dpid, owner in owners.items()
            if owner != me and owner in reached
        }

    def _ask(self, owner: str, message: SwitchWrite | WriteResult) -> None:
        if isinstance(message, SwitchWrite) and message.confirm:
            self._asked[message.request] = (DatapathId(message.dpid), owner)
            if len(self._asked) > PENDING:
                self._asked.popitem(last=False)
        self._tell(owner, message)

    def answered(self, owner: str, request: int) -> DatapathId | None:
        """The switch of which a controller has answered a request; None where it was not asked."""
        dpid, asked = self._asked.get(request, (None, ""))
        if asked != owner:
            return None
        del self._asked[request]
        return dpid

    def flush(self) -> None:
        """The batch is over."""
        dirty, self._dirty[:] = list(self._dirty), []
        for line in dirty:
            line.flush()

    def __getitem__(self, dpid: DatapathId) -> Line:
        own = self._own.get(dpid)
        return self._remote[dpid] if own is None else own

    def get(self, dpid: DatapathId, default: object = None) -> Line | None:  # type: ignore[override]
        """None for a switch that nobody has."""
        own = self._own.get(dpid)
        return self._remote.get(dpid) if own is None else own

    def __contains__(self, dpid: object) -> bool:
        return dpid in self._own or dpid in self._remote

    def __iter__(self) -> Iterator[DatapathId]:
        yield from self._own
        yield from (dpid for dpid in self._remote if dpid not in self._own)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class PeerWrites:
    """Carries out what other controllers write to switches that are connected here. `own`: those."""

    def __init__(self, own: Mapping[DatapathId, Writer], xids: Iterator[int], tell: Tell) -> None:
        self._own = own
        self._xids = xids
        self._tell = tell
        self.refused = 0  # writes that are none, or would have the switch answer
        self._pending: dict[tuple[DatapathId, int], tuple[str, int]] = {}
        self._deadlines: deque[tuple[float, tuple[DatapathId, int]]] = deque()

    def __len__(self) -> int:
        return len(self._pending)

    def take(self, peer: str, write: SwitchWrite, now: float) -> None:
        """A controller's write. It is told at once where the switch is not here, or too much waits."""
        dpid = DatapathId(write.dpid)
        line = self._own.get(dpid)
        if not _only_writes(write.data):
            self.refused += 1
            line = None
        if line is None or (write.confirm and len(self._pending) >= PENDING):
            if write.confirm:
                self._tell(peer, WriteResult(write.request, False))
            return
        line.write(write.data)
        if write.confirm:
            key = (dpid, next(self._xids))
            self._pending[key] = (peer, write.request)
            self._deadlines.append((now + PATIENCE, key))
            line.write(barrier_request(key[1]))

    def confirmed(self, dpid: DatapathId, xid: int) -> bool:
        """A switch has answered a barrier; whether it was one of these."""
        found = self._pending.pop((dpid, xid), None)
        if found is not None:
            self._tell(found[0], WriteResult(found[1], True))
        return found is not None

    def switch_down(self, dpid: DatapathId) -> None:
        """Nothing that was written is known to be carried out."""
        for key in [key for key in self._pending if key[0] == dpid]:
            peer, request = self._pending.pop(key)
            self._tell(peer, WriteResult(request, False))

    def expire(self, now: float) -> None:
        """Forget what was not answered in time."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, key = self._deadlines.popleft()
            self._pending.pop(key, None)


def _only_writes(data: bytes) -> bool:
    """Whether these are whole messages that change a switch or send a frame: what asks it something would bring an
    answer that nobody here waits for."""
    at = 0
    while at + _HEAD <= len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] != _VERSION or data[at + 1] not in _WRITES or length < _HEAD:
            return False
        at += length
    return at == len(data)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Whole OpenFlow messages, as many as fit one message to a controller."""
    begin = at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if at + length - begin > PIECE:
            yield data[begin:at]
            begin = at
        at += length
    if begin < at:
        yield data[begin:at]
