"""DHCP snooping (`hosts: dhcp`): an address belongs to the port whose host got it from the network's own server.

What clients send is handed on to the ports that the site file says the server is behind, and what comes from there to
the port of the client that it is for. A host's server at any other port is heard by nobody. An address that was
acknowledged is bound to the client's port and MAC until its lease ends, is released, or is given to another. Where a host
has it already, that one is asked first, as for any claim: MACs and client identifiers are no secret. The server's answer
goes on when nobody answers. Where somebody does it is dropped, and the server is told (DHCPDECLINE), so that the client gets
another address. Not where the server may take the client for whoever has the address: that one would lose it.

Bounded: clients and leases that are remembered, of which the oldest client gives way; by how many may come up (meters).
The store keeps leases, so that the next controller knows them. Who was bound before and has no lease there stays so until
the network's server says otherwise. IPv6 hosts are probed.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from math import inf

from steering.core.counters import Counters
from steering.core.inputs import Input
from steering.core.network.address_claims import ClaimOutcome
from steering.core.network.lease import Lease
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output, SendFrame
from steering.core.packet_inputs import DhcpSeen
from steering.core.part import Handler, Part
from steering.model.ids import WaypointId
from steering.model.kept import KeptLease, KeptState, LostPiece
from steering.model.network import AccessNetwork, Attachment, PortRef
from steering.model.session import Refusal
from steering.wire.dhcp import INFINITE, DhcpMessage, DhcpType, decline

CLIENTS = 4_096  # remembered with their port
CLIENTS_EACH = 256  # of those of one port
LEASES = 65_536
EXPIRED_AT_ONCE = 100
TOLD_AT_ONCE = 1_000  # changes for the store
ETHERNET = b"\1"  # the type of an identifier that is a MAC (RFC 2132 9.14)

Asked = tuple[str, bytes, bytes]


class DhcpLeases(Part):
    """The leases that were seen; the neighbour table asks for them through `leases`."""

    def __init__(
        self,
        sitemap: SiteMap,
        neighbours: Neighbours,
        counters: Counters,
        moved: Callable[[Attachment, bytes], list[Output]],
    ) -> None:
        """`moved`: what an address needs whose host is at another place now."""
        self._moved = moved
        self._map = sitemap
        self._neighbours = neighbours
        self._counters = counters
        # Network's name, MAC and number of the question -> where the client asked, in order of age. Without the number,
        # which nobody else sees, a host at another port could ask in a client's name, and get what the server gives the client.
        self._clients: dict[Asked, WaypointId] = {}
        self._at: dict[WaypointId, dict[Asked, None]] = {}
        self._ends = inf
        self._changed: dict[bytes, None] = {}  # addresses whose lease the store has to hear of
        self._restored = False

    def takes(self) -> Mapping[type[Input], Handler]:
        return {DhcpSeen: self.seen}

    def seen(self, given: DhcpSeen, now: float) -> list[Output]:
        """A DHCP message came in at an access port."""
        attachment = self._map.at.get((given.dpid, given.port))
        part = None if attachment is None else attachment.part
        if attachment is None or not isinstance(part, AccessNetwork) or not part.dhcp_ports:
            return []
        trusted = attachment.waypoint.port in part.dhcp_ports
        if given.message.from_server:
            if trusted:
                return self._answered(part, given, now)
            self._counters.refusals[Refusal.DHCP_SERVER] += 1
            return []
        if trusted:
            return []  # the server's own segment: it heard it
        message = given.message
        self._remember(attachment, message)
        freed: list[Output] = []
        if message.kind in (DhcpType.RELEASE, DhcpType.DECLINE):
            lease = self._neighbours.leases.get(message.own)
            if lease is not None and (lease.waypoint, lease.client) == (
                attachment.waypoint.id,
                message.client,
            ):
                freed = self._end(message.own)
        return [*freed, *(_out(port, given.frame) for port in part.dhcp_ports)]

    def _answered(self, part: AccessNetwork, given: DhcpSeen, now: float) -> list[Output]:
        """The server says something to a client, whose port is known since it asked there."""
        message = given.message
        waypoint = self._clients.get((part.name, message.client, message.transaction))
        attachment = None if waypoint is None else self._map.by_waypoint.get(waypoint)
        if attachment is None:
            return []
        told = _out(attachment.waypoint.port, given.frame)
        if message.kind is DhcpType.ACK and any(message.given) and message.lease:
            until = inf if message.lease == INFINITE else now + message.lease
            lease = Lease(attachment.waypoint.id, message.client, until)
            return self._begin(attachment, message.given, lease, now, (told,), _declined(part, message))
        return [told]

    def _begin(
        self, attachment: Attachment, address: bytes, lease: Lease, now: float, told: tuple[Output, ...] = (),
        declined: tuple[Output, ...] = (),
    ) -> list[Output]:  # fmt: skip
        leases = self._neighbours.leases
        if address not in leases and len(leases) >= LEASES:
            return [*told]
        heard = self._neighbours.lease(attachment, address, lease, now, told, declined)
        if heard.standing is ClaimOutcome.CONTESTED:
            return heard.outputs
        if leases.get(address) is lease:  # the address is on this link
            self._ends = min(self._ends, lease.until)
            self._changed[address] = None
        has_moved = heard.standing in (ClaimOutcome.BOUND, ClaimOutcome.MOVED)
        pins = self._moved(attachment, address) if has_moved else []
        return [*heard.outputs, *pins, *told]

    def _end(self, address: bytes) -> list[Output]:
        self._changed[address] = None
        return self._neighbours.unlease(address)

    def _remember(self, attachment: Attachment, message: DhcpMessage) -> None:
        key, waypoint = (attachment.name, message.client, message.transaction), attachment.waypoint.id
        self._forget(key)
        here = self._at.get(waypoint, {})
        if len(here) >= CLIENTS_EACH:
            self._forget(next(iter(here)))
        elif len(self._clients) >= CLIENTS:
            self._forget(next(iter(self._clients)))
        self._clients[key] = waypoint
        self._at.setdefault(waypoint, {})[key] = None

    def _forget(self, key: Asked) -> None:
        waypoint = self._clients.pop(key, None)
        if waypoint is not None:
            del self._at[waypoint][key]
            if not self._at[waypoint]:
                del self._at[waypoint]

    def due(self) -> float:
        self._take_moved()
        return self._ends

    def tick(self, now: float) -> list[Output]:
        """Leases that are over."""
        self._take_moved()
        leases = self._neighbours.leases
        over = [address for address, lease in leases.items() if lease.until <= now][:EXPIRED_AT_ONCE]
        outputs = [output for address in over for output in self._end(address)]
        self._ends = min((lease.until for lease in leases.values()), default=inf)
        return outputs

    # ---- over a restart -------------------------------------------------------------------------

    def news(self, now: float) -> tuple[list[tuple[bytes, KeptLease]], list[bytes]]:
        """Leases by address that began or were renewed since the last call, and the addresses of those that are over,
        of these some at each call."""
        self._take_moved()
        begun: list[tuple[bytes, KeptLease]] = []
        over: list[bytes] = []
        for address in list(islice(self._changed, TOLD_AT_ONCE)):
            del self._changed[address]
            lease = self._neighbours.leases.get(address)
            attachment = None if lease is None else self._map.by_waypoint.get(lease.waypoint)
            if lease is None or attachment is None:
                over.append(address)
                continue
            port = attachment.waypoint.port
            begun.append((address, KeptLease(port, lease.client, address, lease.until - now)))
        return begun, over

    def _take_moved(self) -> None:
        """Claims of leases that were settled: such a lease may end before all others, and the store has to hear of it."""
        for address in self._neighbours.leases_moved:
            lease = self._neighbours.leases.get(address)
            self._ends = self._ends if lease is None else min(self._ends, lease.until)
            self._changed[address] = None
        self._neighbours.leases_moved.clear()

    @property
    def all_told(self) -> bool:
        """Whether `news` has told of every lease that was taken back."""
        self._take_moved()
        return self._restored and not self._changed

    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        """What a lease binds leaves with the filling of its switch. One that has run out since is not lost, but over."""
        self._restored = True
        lost = 0
        for told in kept.leases:
            attachment = self._map.attachments.get(told.port)
            part = None if attachment is None else attachment.part
            if told.remaining <= 0:
                continue
            if attachment is None or not isinstance(part, AccessNetwork) or not part.dhcp_ports:
                lost += 1
                continue
            lease = Lease(attachment.waypoint.id, told.client, now + told.remaining)
            self._begin(attachment, told.address, lease, now)
            lost += told.address not in self._neighbours.leases
        return {LostPiece.LEASE: lost}


def _declined(part: AccessNetwork, given: DhcpMessage) -> tuple[Output, ...]:
    """What tells a server that an address which it gave is in use, so that it gives another next time. Not where a client's
    identifier is more than its MAC: it may be that of whoever has the address, who would lose it."""
    if given.identifier not in (b"", ETHERNET + given.client):
        return ()
    frame = decline(given)
    return tuple(_out(port, frame) for port in part.dhcp_ports)


def _out(port: PortRef, frame: bytes) -> Output:
    return SendFrame(port.dpid, port.port, frame)
