"""Which controller a segment is for. A switch shows it to its own controller, and its session may be another's.

A join is of the controller that told its token. All others are looked for by their flow: it is known here, or it is one of a
join that was passed on from here, or it is of a session that began at a switch where the host's address is at home.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from steering.core.inputs import FinSeen, SynAckSeen, SynSeen, WatchedSeen
from steering.core.network.site_index import SiteMap
from steering.core.sessions.flow_key import FlowKey
from steering.model.ids import DatapathId
from steering.wire.peer_messages import ForwardedSegment, SegmentKind

PASSED_ON = 65_536  # flows of joins that are remembered; those that were used last stay
_SEGMENTS: Mapping[type, int] = {
    SynSeen: SegmentKind.SYN, SynAckSeen: SegmentKind.SYN_ACK, FinSeen: SegmentKind.FIN, WatchedSeen: SegmentKind.WATCHED,
}  # fmt: skip


def forwarded(seen: SynSeen | SynAckSeen | FinSeen | WatchedSeen) -> ForwardedSegment:
    """What another controller is told of a segment."""
    payload = seen.payload if isinstance(seen, FinSeen) else 0
    frame = bytes(seen.frame) if isinstance(seen, SynSeen | WatchedSeen) else b""
    return ForwardedSegment(_SEGMENTS[type(seen)], seen.dpid, seen.port, payload, seen.handshake, frame)


class SegmentRoutes:
    """`owners`: the controller of each switch; `me`: this one."""

    def __init__(self, sitemap: SiteMap) -> None:
        self._map = sitemap
        self.me = ""
        self.owners: Mapping[DatapathId, str] = {}
        self._passed: OrderedDict[FlowKey, str] = OrderedDict()

    def is_mine(self, dpid: DatapathId) -> bool:
        return self.owners.get(dpid) == self.me

    def passed_on(self, flow: FlowKey, owner: str) -> None:
        """A join was passed on: what belongs to it follows."""
        self._passed[flow] = owner
        self._passed.move_to_end(flow)
        if len(self._passed) > PASSED_ON:
            self._passed.popitem(last=False)

    def follows(self, flows: Iterable[FlowKey]) -> str:
        """The owner of a join that was passed on, and has one of these flows; empty if there was none."""
        for flow in flows:
            owner = self._passed.get(flow)
            if owner is not None:
                self._passed.move_to_end(flow)
                return owner
        return ""

    def at_home(self, *addresses: bytes) -> frozenset[str]:
        """The controllers of the switches where the first of these addresses that is a host's can enter; none if none
        is."""
        for address in addresses:
            access = self._map.access_of(address)
            if access is not None:
                return frozenset(self.owners[p.dpid] for p in access.ports if p.dpid in self.owners)
        return frozenset()
