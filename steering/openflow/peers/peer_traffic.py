"""Between this controller's switches and other controllers: what is written to switches of others leaves here, and what
others write to switches here is carried out. All else that others say is for the engine."""

from collections.abc import Callable, Iterator, Mapping

from steering.core.peer_facts import ClusterChanged, PeerTold, TellPeer
from steering.model.ids import DatapathId
from steering.openflow.line import Line
from steering.openflow.peers.remote_switches import PeerWrites, SwitchLines
from steering.wire.peer_messages import SwitchWrite, WriteResult

Confirm = Callable[[DatapathId, int, float], None]


class PeerTraffic:
    """`own`: switches that are connected here. `tell` and `flush` are of the streams with others; `confirm` is told of a
    barrier that a switch of another controller has answered."""

    def __init__(
        self,
        own: Mapping[DatapathId, Line],
        tell: Callable[[TellPeer], None],
        flush: Callable[[], None],
        confirm: Confirm,
        xids: Iterator[int],
    ) -> None:
        self.tell = tell
        self._flush = flush
        self._confirm = confirm
        self.lines = SwitchLines(own, self._write)
        self._writes = PeerWrites(own, xids, self._write)
        self.confirmed = self._writes.confirmed
        self.switch_down = self._writes.switch_down
        self.expire = self._writes.expire

    @property
    def refused(self) -> int:
        """Writes of others that were none, or would have had a switch answer."""
        return self._writes.refused

    def _write(self, name: str, message: SwitchWrite | WriteResult) -> None:
        self.tell(TellPeer(name, message))

    def shared(self, changed: ClusterChanged, reached: frozenset[str]) -> None:
        """Who has which switches, and who of them can be reached."""
        self.lines.shared(changed.me, changed.owners, reached)

    def takes(self, told: PeerTold, now: float) -> bool:
        """Take what is of switches; False for what is the engine's."""
        message = told.message
        if isinstance(message, SwitchWrite):
            self._writes.take(told.name, message, now)
        elif isinstance(message, WriteResult):
            dpid = self.lines.answered(told.name, message.request)
            if dpid is not None and message.done:
                self._confirm(dpid, message.request, now)
        else:
            return False
        return True

    def flush(self) -> None:
        """The batch is over."""
        self.lines.flush()
        self._flush()
