"""Keeps the statistics requests that switches have not answered completely. Answers without an open request are
ignored."""

from collections.abc import Callable, Iterator, Mapping

from steering.model.ids import DatapathId
from steering.openflow.line import Writer

LARGEST = 1 << 20  # most bytes of one answer
PATIENCE = 10.0  # seconds until a switch that has not answered is asked again


class _OpenRequest:
    __slots__ = ("asked_at", "left", "xid")

    def __init__(self, xid: int, asked_at: float) -> None:
        self.xid = xid
        self.asked_at = asked_at
        self.left = LARGEST


class StatisticsRequests:
    """The requests of one kind; at most one is open at each switch."""

    def __init__(self) -> None:
        self._open: dict[DatapathId, _OpenRequest] = {}

    def may(self, dpid: DatapathId, now: float) -> bool:
        """Whether a switch may be asked: not before it has answered, or PATIENCE is over."""
        question = self._open.get(dpid)
        return question is None or now - question.asked_at > PATIENCE

    def ask(self, dpid: DatapathId, xid: int, now: float) -> None:
        """Note that the request with transaction id `xid` is sent."""
        self._open[dpid] = _OpenRequest(xid, now)

    def ask_all(
        self,
        lines: Mapping[DatapathId, Writer],
        xids: Iterator[int],
        request: Callable[[int], bytes],
        now: float,
    ) -> None:
        """Ask every switch that may be asked. `request` makes the message with a transaction id."""
        for dpid, line in lines.items():
            if self.may(dpid, now):
                xid = next(xids)
                self.ask(dpid, xid, now)
                line.write(request(xid))

    def answers(self, dpid: DatapathId, xid: int, size: int, more: bool) -> bool:
        """Whether a part of `size` bytes answers the open request. The last part closes the request."""
        question = self._open.get(dpid)
        if question is None or question.xid != xid:
            return False
        question.left -= size
        if not more or question.left < 0:
            del self._open[dpid]
        return question.left >= 0

    def forget(self, dpid: DatapathId) -> None:
        """The switch is gone."""
        self._open.pop(dpid, None)
