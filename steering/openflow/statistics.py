"""Takes the statistics that switches send (OFPT_MULTIPART_REPLY): counters, groups, and entries that are read back."""

from collections import deque
from collections.abc import Iterable, Mapping

from steering.core.inputs import Input, PortLoad, SynRate
from steering.model.ids import DatapathId
from steering.model.network import AccessNetwork
from steering.openflow.connection.channel import Channel
from steering.openflow.messages.reader import MULTIPART_LENGTH, Message, Multipart, read_multipart
from steering.openflow.polls.foreign_tags import ForeignTagsPoll
from steering.openflow.polls.meterstats import MeterPoll
from steering.openflow.polls.portstats import PortPoll
from steering.openflow.switch_tables.sender import Sender


class Statistics:
    """Polls the switches of `lines`, and gives each answer to the part that asked. `loads`: the newest count of each
    port and meter, which may wait. All other inputs go to the `inbox`."""

    def __init__(
        self,
        lines: Mapping[DatapathId, Channel],
        sender: Sender,
        inbox: deque[Input],
        accesses: Iterable[AccessNetwork],
    ) -> None:
        declared = {
            (port.dpid, port.port): access.capacity
            for access in accesses
            for port in access.ports
            if access.capacity
        }
        self._sender = sender
        self._inbox = inbox
        self.loads: dict[tuple[type, int, int], Input] = {}
        self._ports = PortPoll(lines, sender.xids, self._load, declared)
        self._meters = MeterPoll(lines, sender.xids, self._load, inbox.append)
        self._foreign_tags = ForeignTagsPoll(lines, sender.xids, inbox.append)

    def _load(self, given: PortLoad | SynRate) -> None:
        """Note a count of a port or meter. Only the newest count of each is kept."""
        self.loads[type(given), given.dpid, given.port] = given

    def tick(self, now: float) -> None:
        """Send the requests that are due, and give up those that are too old."""
        self._ports.tick(now)
        self._meters.tick(now)
        self._foreign_tags.tick(now)

    def forget(self, dpid: DatapathId) -> None:
        """A switch is gone: forget its open requests and its last counters."""
        self._ports.forget(dpid)
        self._meters.forget(dpid)
        self._foreign_tags.forget(dpid)

    def take(self, channel: Channel, message: Message, now: float) -> bool:
        """Take an answer, or a part of one. Returns False where the answer was not asked for."""
        head, dpid, body = read_multipart(message.data), channel.id, message.data[MULTIPART_LENGTH:]
        if head is None:
            return False
        kind, more = head
        if kind == Multipart.PORT_STATS:
            expected = self._ports.asked.answers(dpid, message.xid, len(message.data), more)
            if expected:
                speeds = {number: port.speed for number, port in channel.handshake.ports.items()}
                self._ports.answer(dpid, body, speeds)
            return expected
        if kind == Multipart.AGGREGATE:
            counters = (self._foreign_tags, self._sender.entry_counters)
            return any(asked.answer(dpid, message.xid, body) for asked in counters)
        if kind == Multipart.GROUP_DESC:
            groups = self._sender.groups
            expected = groups.asked.answers(dpid, message.xid, len(message.data), more)
            if expected:
                groups.answer(dpid, body)
            return expected
        if kind == Multipart.METER:
            expected = self._meters.asked.answers(dpid, message.xid, len(message.data), more)
            if expected:
                self._meters.answer(dpid, body)
            return expected

        def goes_on() -> bool:
            channel.pause_if_over(bool(self._inbox))
            return not channel.has_ended

        return self._sender.readback.part(dpid, message.xid, message.data, now, goes_on)
