"""Messages about switches between this controller and others. Writes to switches of other controllers are sent from
here, and writes of other controllers to own switches are carried out. All other messages of controllers go to the
engine."""

from collections.abc import Callable, Iterator, Mapping

from steering.core.peer_facts import ClusterChanged, PeerTold, TellPeer, WriteRefused
from steering.model.ids import DatapathId
from steering.openflow.line import Line
from steering.openflow.peers.remote_switches import PeerWrites, SwitchLines
from steering.wire.peer_messages import SwitchWrite, WriteResult

Confirm = Callable[[DatapathId, int, float], None]


class PeerTraffic:
    """`own`: switches that are connected here. `tell` and `flush` belong to the streams to other controllers. `confirm`
    is called when a switch of another controller has answered a barrier, `unwritten` when that controller could not write to it."""

    def __init__(
        self,
        own: Mapping[DatapathId, Line],
        tell: Callable[[TellPeer], None],
        flush: Callable[[], None],
        confirm: Confirm,
        xids: Iterator[int],
        unwritten: Callable[[WriteRefused], None],
    ) -> None:
        self.tell = tell
        self._unwritten = unwritten
        self._flush = flush
        self._confirm = confirm
        self.lines = SwitchLines(own, self._write)
        self._writes = PeerWrites(own, xids, self._write)
        self.confirmed = self._writes.confirmed
        self.switch_down = self._writes.switch_down
        self.expire = self._writes.expire

    @property
    def refused(self) -> int:
        """Number of refused writes of other controllers: malformed, or such that the switch would have to answer."""
        return self._writes.refused

    def _write(self, name: str, message: SwitchWrite | WriteResult) -> None:
        self.tell(TellPeer(name, message))

    def shared(self, changed: ClusterChanged, reached: frozenset[str]) -> None:
        """Take which controller owns which switch. `reached`: the controllers that can be reached."""
        self.lines.shared(changed.me, changed.owners, reached)

    def takes(self, told: PeerTold, now: float) -> bool:
        """Take a message about switches. Returns False for a message that is for the engine."""
        message = told.message
        if isinstance(message, SwitchWrite):
            self._writes.take(told.name, message, now)
        elif isinstance(message, WriteResult):
            dpid = self.lines.answered(told.name, message.request)
            if dpid is not None and message.done:
                self._confirm(dpid, message.request, now)
            elif dpid is not None:
                self._unwritten(WriteRefused(told.name, dpid))
        else:
            return False
        return True

    def flush(self) -> None:
        """The batch is over: send what waits."""
        self.lines.flush()
        self._flush()
