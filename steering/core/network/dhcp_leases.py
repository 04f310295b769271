"""DHCP snooping (`hosts: dhcp`): an IPv4 address belongs to the port whose host got it from the network's own server.

The site file names the ports of the network's DHCP server. Messages of clients go to those ports only. Messages of
the server go to the port of their client only. Server messages from any other port are dropped.

A DHCPACK binds its address to the client's port and MAC until the lease ends, is released, or the server gives the
address to another client. MACs and client identifiers are no secret. So if another host has the address, that host
is asked first, as for any claim (address_claims). If nobody answers, the client gets the DHCPACK. If the host
answers, the DHCPACK is dropped and the server gets a DHCPDECLINE, so that it gives the client another address. No
DHCPDECLINE is sent where the server may mistake the client for the host that has the address: that host would lose
its lease.

The number of remembered clients is bounded: the oldest client is dropped. So is the number of leases. Meters bound
how many messages come to the controller. The store keeps the leases for the next controller. A host that was bound
before, and has no lease, stays bound until the server gives its address to another client. Hosts with IPv6
addresses are probed instead.
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

CLIENTS = 4_096  # most clients that are remembered with their port
CLIENTS_EACH = 256  # most of them at one port
LEASES = 65_536  # most leases
EXPIRED_AT_ONCE = 100  # most leases that end in one tick
TOLD_AT_ONCE = 1_000  # most changes that one call of `news` returns
ETHERNET = b"\1"  # the type of a client identifier that is a MAC (RFC 2132 section 9.14)

LeaseQuestion = tuple[str, bytes, bytes]


class DhcpLeases(Part):
    """Follows DHCP messages. The leases themselves are in the neighbour table (`Neighbours.leases`)."""

    def __init__(
        self,
        sitemap: SiteMap,
        neighbours: Neighbours,
        counters: Counters,
        moved: Callable[[Attachment, bytes], list[Output]],
    ) -> None:
        """`moved`: makes the outputs for an address whose host is now at another place."""
        self._moved = moved
        self._map = sitemap
        self._neighbours = neighbours
        self._counters = counters
        # Name of the network, client's MAC and transaction id -> waypoint of the client, the oldest first. Other hosts
        # do not see the transaction id. Without it, a host at another port could ask with the client's MAC, and get
        # the server's answer to the client.
        self._clients: dict[LeaseQuestion, WaypointId] = {}
        self._at: dict[WaypointId, dict[LeaseQuestion, None]] = {}
        self._ends = inf
        self._changed: dict[bytes, None] = {}  # addresses whose lease changed since `news` last returned them
        self._restored = False

    def takes(self) -> Mapping[type[Input], Handler]:
        return {DhcpSeen: self.seen}

    def seen(self, given: DhcpSeen, now: float) -> list[Output]:
        """Handle a DHCP message that came in at a port."""
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
            return []  # the client is on the server's own segment: the server heard the message
        message = given.message
        self._remember(attachment, message)
        freed: list[Output] = []
        if (given_back := _given_back(message)) is not None:
            lease = self._neighbours.leases.get(given_back)
            if lease is not None and (lease.waypoint, lease.client) == (
                attachment.waypoint.id,
                message.client,
            ):
                freed = self._end(given_back)
        return [*freed, *(_out(port, given.frame) for port in part.dhcp_ports)]

    def _answered(self, part: AccessNetwork, given: DhcpSeen, now: float) -> list[Output]:
        """Pass a message of the server to its client. The client's port is known from the client's own message."""
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
        if leases.get(address) is lease:  # the neighbour table took the lease: the address is on this link
            self._ends = min(self._ends, lease.until)
            self._changed[address] = None
        has_moved = heard.standing in (ClaimOutcome.BOUND, ClaimOutcome.MOVED)
        pins = self._moved(attachment, address) if has_moved else []
        return [*pins, *heard.outputs, *told]  # in this order: host_mobility says why

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

    def _forget(self, key: LeaseQuestion) -> None:
        waypoint = self._clients.pop(key, None)
        if waypoint is not None:
            del self._at[waypoint][key]
            if not self._at[waypoint]:
                del self._at[waypoint]

    def due(self) -> float:
        self._take_moved()
        return self._ends

    def tick(self, now: float) -> list[Output]:
        """End the leases that are over."""
        self._take_moved()
        leases = self._neighbours.leases
        over = [address for address, lease in leases.items() if lease.until <= now][:EXPIRED_AT_ONCE]
        outputs = [output for address in over for output in self._end(address)]
        self._ends = min((lease.until for lease in leases.values()), default=inf)
        return outputs

    # ---- over a restart -------------------------------------------------------------------------

    def news(self, now: float) -> tuple[list[tuple[bytes, KeptLease]], list[bytes]]:
        """For the store: addresses with leases that began or were renewed since the last call, and addresses whose
        lease is over. At most TOLD_AT_ONCE in all; the others follow with the next calls."""
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
        """Note the leases that the neighbour table took when it settled a claim. Such a lease may end before all others,
        and it has to go to the store."""
        for address in self._neighbours.leases_moved:
            lease = self._neighbours.leases.get(address)
            self._ends = self._ends if lease is None else min(self._ends, lease.until)
            self._changed[address] = None
        self._neighbours.leases_moved.clear()

    @property
    def all_told(self) -> bool:
        """Whether `restore` was called and `news` has returned every change since."""
        self._take_moved()
        return self._restored and not self._changed

    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        """Take the leases back. Their rules go to the switches when the switches are filled. A lease that has run out
        meanwhile does not count as lost."""
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


def _given_back(message: DhcpMessage) -> bytes | None:
    """The address that a client does not want any more. A DHCPRELEASE names it in ciaddr. A DHCPDECLINE names it in
    an option, because a client that declines an address never had it (RFC 2131 table 5)."""
    if message.kind is DhcpType.RELEASE:
        return message.own
    return message.requested if message.kind is DhcpType.DECLINE else None


def _declined(part: AccessNetwork, given: DhcpMessage) -> tuple[Output, ...]:
    """A DHCPDECLINE: tells the server that the address it gave is in use. Empty where the client's identifier is other
    than its MAC: the host that has the address may use the same identifier, and would lose its lease."""
    if given.identifier not in (b"", ETHERNET + given.client):
        return ()
    frame = decline(given)
    return tuple(_out(port, frame) for port in part.dhcp_ports)


def _out(port: PortRef, frame: bytes) -> Output:
    return SendFrame(port.dpid, port.port, frame)
