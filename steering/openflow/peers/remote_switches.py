"""Switches of other controllers: messages for such a switch go to its controller, which also sends the answer to a barrier
back.

For the sender, the line to such a switch is like any other. A barrier request asks the other controller to report when
all earlier messages are carried out. That controller sends a barrier of its own to the switch, and reports with the
transaction id of this controller's barrier.
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
PENDING = 4_096  # most writes of other controllers that wait for a switch's answer
PATIENCE = 1.0  # seconds that an answer is waited for; the controller that asked has given up by then

_BARRIER_REQUEST = 20  # OFPT_BARRIER_REQUEST
_WRITES = frozenset({13, 14})  # OFPT_PACKET_OUT, OFPT_FLOW_MOD: messages that a switch does not answer
_HEAD = 8  # bytes of an OpenFlow message's header
_VERSION = 4  # of OpenFlow 1.3

Tell = Callable[[str, SwitchWrite | WriteResult], None]


class RemoteLine:
    """The line to one switch through its controller `owner`."""

    def __init__(
        self, dpid: DatapathId, owner: str, tell: Tell, touched: Callable[["RemoteLine"], None]
    ) -> None:
        self._dpid = dpid
        self._owner = owner
        self._tell = tell
        self._touched = touched
        self._out: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Take whole messages, or one barrier request."""
        if data[1] == _BARRIER_REQUEST:
            self._send(int.from_bytes(data[4:8], "big"), confirm=True)
            return
        if not self._out:
            self._touched(self)
        self._out.append(data)

    def flush(self) -> None:
        """Send the messages that no barrier request follows, too."""
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
        """Does nothing: only the switch's own controller ends its connection."""


class SwitchLines(Mapping[DatapathId, Line]):
    """Lines to all switches: those that are connected here, and those of controllers that can be reached."""

    def __init__(self, own: Mapping[DatapathId, Line], tell: Tell) -> None:
        self._own = own
        self._tell = tell
        self._remote: dict[DatapathId, RemoteLine] = {}
        # Barriers that other controllers were asked for: request -> (switch, its controller). The sender gives up an
        # unanswered barrier by itself.
        self._asked: OrderedDict[int, tuple[DatapathId, str]] = OrderedDict()
        self._dirty: list[RemoteLine] = []

    def shared(self, me: str, owners: Mapping[DatapathId, str], reached: frozenset[str]) -> None:
        """Take which controller owns which switch. `me`: this controller. `reached`: the controllers that can be
        reached."""
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
        """The switch to which the request belongs that controller `owner` has answered; None for an unknown request."""
        dpid, asked = self._asked.get(request, (None, ""))
        if asked != owner:
            return None
        del self._asked[request]
        return dpid

    def flush(self) -> None:
        """The batch is over: send what waits."""
        dirty, self._dirty[:] = list(self._dirty), []
        for line in dirty:
            line.flush()

    def __getitem__(self, dpid: DatapathId) -> Line:
        own = self._own.get(dpid)
        return self._remote[dpid] if own is None else own

    def get(self, dpid: DatapathId, default: object = None) -> Line | None:  # type: ignore[override]
        """The line to a switch; None for a switch that no reachable controller has."""
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
    """Carries out writes of other controllers to switches that are connected here (`own`)."""

    def __init__(self, own: Mapping[DatapathId, Writer], xids: Iterator[int], tell: Tell) -> None:
        self._own = own
        self._xids = xids
        self._tell = tell
        self.refused = 0  # number of writes that were malformed, or such that the switch would have to answer
        self._pending: dict[tuple[DatapathId, int], tuple[str, int]] = {}
        self._deadlines: deque[tuple[float, tuple[DatapathId, int]]] = deque()

    def __len__(self) -> int:
        return len(self._pending)

    def take(self, peer: str, write: SwitchWrite, now: float) -> None:
        """Carry out a write of controller `peer`. The controller is answered at once where the switch is not connected
        here, or too many writes wait."""
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
        """A switch has answered a barrier. Returns whether the barrier belongs to a write of another controller."""
        found = self._pending.pop((dpid, xid), None)
        if found is not None:
            self._tell(found[0], WriteResult(found[1], True))
        return found is not None

    def switch_down(self, dpid: DatapathId) -> None:
        """The switch is gone: no waiting write to it is known to be carried out."""
        for key in [key for key in self._pending if key[0] == dpid]:
            peer, request = self._pending.pop(key)
            self._tell(peer, WriteResult(request, False))

    def expire(self, now: float) -> None:
        """Forget barriers that were not answered in time."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, key = self._deadlines.popleft()
            self._pending.pop(key, None)


def _only_writes(data: bytes) -> bool:
    """Whether `data` is whole messages that change a switch or send a frame. Requests are refused: their answers would
    be unexpected here."""
    at = 0
    while at + _HEAD <= len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] != _VERSION or data[at + 1] not in _WRITES or length < _HEAD:
            return False
        at += length
    return at == len(data)


def _pieces(data: bytes) -> Iterator[bytes]:
    """`data` cut into pieces of whole OpenFlow messages, each of at most PIECE bytes where possible."""
    begin = at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if at + length - begin > PIECE:
            yield data[begin:at]
            begin = at
        at += length
    if begin < at:
        yield data[begin:at]
