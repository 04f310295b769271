"""Finds the controller for a segment. A switch sends a segment to its own controller, but another controller may have the
segment's session.

A join is for the controller that has announced its token. For any other segment, its flow decides:

* the flow is known at this controller;
* the flow is of a join that this controller has forwarded, or found at an own switch, so the segment follows the join's token: its session
  may have another owner than it had when the join came;
* otherwise the session began at a switch of the access network to which the host's address belongs.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping

from steering.core.inputs import FinSeen, SynAckSeen, SynSeen, WatchedSeen
from steering.core.network.site_index import SiteMap
from steering.core.sessions.flow_key import FlowKey
from steering.model.ids import DatapathId
from steering.wire.peer_messages import ForwardedSegment, SegmentKind

SETTLED = 2.0  # seconds in which a new owner of a switch becomes its MASTER, and all others learn that it is
PASSED_ON = 65_536  # most flows of others' joins that are remembered; the least recently used are dropped
_SEGMENTS: Mapping[type, int] = {
    SynSeen: SegmentKind.SYN, SynAckSeen: SegmentKind.SYN_ACK, FinSeen: SegmentKind.FIN, WatchedSeen: SegmentKind.WATCHED,
}  # fmt: skip


def forwarded(seen: SynSeen | SynAckSeen | FinSeen | WatchedSeen) -> ForwardedSegment:
    """The message that forwards a segment to another controller."""
    payload = seen.payload if isinstance(seen, FinSeen) else 0
    frame = bytes(seen.frame) if isinstance(seen, SynSeen | WatchedSeen) else b""
    return ForwardedSegment(_SEGMENTS[type(seen)], seen.dpid, seen.port, payload, seen.handshake, frame)


class SegmentRoutes:
    """`owners`: the controller of each switch. `me`: the name of this controller."""

    def __init__(self, sitemap: SiteMap) -> None:
        self._map = sitemap
        self.me = ""
        self.owners: Mapping[DatapathId, str] = {}
        # The former owner of each switch, and when the switch got another one.
        self._former: dict[DatapathId, tuple[str, float]] = {}
        self._settled_at = 0.0
        # Flows of others' joins, each with its token, and the controller to which it was forwarded.
        self._passed: OrderedDict[FlowKey, tuple[int, str]] = OrderedDict()

    def is_mine(self, dpid: DatapathId) -> bool:
        return self.owners.get(dpid) == self.me

    def changed(self, owners: Mapping[DatapathId, str], now: float) -> None:
        """Switches may have other owners from now on."""
        for dpid, owner in self.owners.items():
            if owners.get(dpid) != owner:
                self._former[dpid] = owner, now
                self._settled_at = now + SETTLED
        self.owners = owners

    def is_settled(self, now: float) -> bool:
        """Whether no switch got another owner within the last moments. Until then, a session may have a token that its owner does not know
        yet: the copy of the SYN/ACK came from a switch whose new owner was not known everywhere."""
        return now >= self._settled_at

    def may_speak(self, name: str, dpid: DatapathId, now: float) -> bool:
        """Whether a controller may forward copies of a switch's segments: if it is the switch's owner, or the former owner while the
        switch may still obey it. There is only one copy of a SYN/ACK: if it were refused, joins of its session would never be
        recognised."""
        return self.owners.get(dpid) == name or self._lately(dpid, now) == name

    def _lately(self, dpid: DatapathId, now: float) -> str:
        """The former owner of a switch, while the switch may still obey it. "" afterwards."""
        former, when = self._former.get(dpid, ("", 0.0))
        return former if now < when + SETTLED else ""

    def passed_on(self, flow: FlowKey, token: int, owner: str = "") -> None:
        """Remember a join with this token that was forwarded to `owner`, or that an entry of an own switch shows (""). Later segments of
        its flow follow."""
        self._passed[flow] = token, owner
        self._passed.move_to_end(flow)
        if len(self._passed) > PASSED_ON:
            self._passed.popitem(last=False)

    def follows(self, flows: Iterable[FlowKey], holders: Callable[[int], Collection[str]]) -> frozenset[str]:
        """The controllers that may have the session of a join with one of these flows. `holders` returns those that have announced a token
        by now. While none has, the session is at the controller to which the join was forwarded, or on its way to another one."""
        for flow in flows:
            passed = self._passed.get(flow)
            if passed is not None:
                self._passed.move_to_end(flow)
                token, owner = passed
                return frozenset(holders(token) or ((owner,) if owner else ()))
        return frozenset()

    def at_home(self, *addresses: bytes) -> frozenset[str]:
        """The controllers of the switches where packets of a host can come in. The host is the first of `addresses` that is
        in an access network. Empty if none is."""
        return frozenset(self.owners[dpid] for dpid in self._home(addresses) if dpid in self.owners)

    def lately_at_home(self, now: float, *addresses: bytes) -> frozenset[str]:
        """As `at_home`, and also the former owners of these switches, while switches may still obey them."""
        found = self.at_home(*addresses)
        if not self._former:
            return found
        return found | {self._lately(dpid, now) for dpid in self._home(addresses)} - {""}

    def _home(self, addresses: Iterable[bytes]) -> list[DatapathId]:
        for address in addresses:
            access = self._map.access_of(address)
            if access is not None:
                return [port.dpid for port in access.ports]
        return []
