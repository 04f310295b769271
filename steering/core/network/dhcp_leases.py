"""DHCP snooping (`hosts: dhcp`): an address belongs to the port whose host got it from the network's own server.

What clients send is handed on to the ports that the site file says the server is behind, and what comes from there to
the port of the client that it is for. A host's server at any other port is heard by nobody. An address that was
acknowledged is bound to the client's port and MAC until its lease ends, is released, or is given to another.

Bounded: clients and leases that are remembered, of which the oldest client gives way; by how many may come up (meters).
Who was bound before a controller started stays so until its server says otherwise. IPv6 hosts are probed.
"""

from collections.abc import Mapping
from math import inf

from steering.core.counters import Counters
from steering.core.inputs import DhcpSeen, Input
from steering.core.network.lease import Lease
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output, SendFrame
from steering.core.part import Handler, Part
from steering.model.ids import WaypointId
from steering.model.network import AccessNetwork, Attachment, PortRef
from steering.model.session import Refusal
from steering.wire.dhcp import INFINITE, DhcpType

CLIENTS = 4_096  # remembered with their port
CLIENTS_EACH = 256  # of those of one port
LEASES = 65_536
EXPIRED_AT_ONCE = 100


class DhcpLeases(Part):
    """The leases that were seen; the neighbour table asks for them through `leases`."""

    def __init__(self, sitemap: SiteMap, neighbours: Neighbours, counters: Counters) -> None:
        self._map = sitemap
        self._neighbours = neighbours
        self._counters = counters
        # Network's name and MAC -> where the client asked, in order of age.
        self._clients: dict[tuple[str, bytes], WaypointId] = {}
        self._at: dict[WaypointId, dict[tuple[str, bytes], None]] = {}
        self._ends = inf

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
        self._remember(attachment, message.client)
        freed: list[Output] = []
        if message.kind in (DhcpType.RELEASE, DhcpType.DECLINE):
            lease = self._neighbours.leases.get(message.own)
            if lease is not None and (lease.waypoint, lease.client) == (
                attachment.waypoint.id,
                message.client,
            ):
                freed = self._neighbours.unlease(message.own)
        return [*freed, *(_out(port, given.frame) for port in part.dhcp_ports)]

    def _answered(self, part: AccessNetwork, given: DhcpSeen, now: float) -> list[Output]:
        """The server says something to a client, whose port is known since it asked there."""
        message = given.message
        waypoint = self._clients.get((part.name, message.client))
        attachment = None if waypoint is None else self._map.by_waypoint.get(waypoint)
        if attachment is None:
            return []
        bound: list[Output] = []
        if message.kind is DhcpType.ACK and any(message.given) and message.lease:
            until = inf if message.lease == INFINITE else now + message.lease
            lease = Lease(attachment.waypoint.id, message.client, until)
            if message.given in self._neighbours.leases or len(self._neighbours.leases) < LEASES:
                bound = self._neighbours.lease(attachment, message.given, lease)
                self._ends = min(self._ends, until)
        return [*bound, _out(attachment.waypoint.port, given.frame)]

    def _remember(self, attachment: Attachment, client: bytes) -> None:
        key, waypoint = (attachment.name, client), attachment.waypoint.id
        self._forget(key)
        here = self._at.get(waypoint, {})
        if len(here) >= CLIENTS_EACH:
            self._forget(next(iter(here)))
        elif len(self._clients) >= CLIENTS:
            self._forget(next(iter(self._clients)))
        self._clients[key] = waypoint
        self._at.setdefault(waypoint, {})[key] = None

    def _forget(self, key: tuple[str, bytes]) -> None:
        waypoint = self._clients.pop(key, None)
        if waypoint is not None:
            del self._at[waypoint][key]
            if not self._at[waypoint]:
                del self._at[waypoint]

    def due(self) -> float:
        return self._ends

    def tick(self, now: float) -> list[Output]:
        """Leases that are over."""
        leases = self._neighbours.leases
        over = [address for address, lease in leases.items() if lease.until <= now][:EXPIRED_AT_ONCE]
        outputs = [output for address in over for output in self._neighbours.unlease(address)]
        self._ends = min((lease.until for lease in leases.values()), default=inf)
        return outputs


def _out(port: PortRef, frame: bytes) -> Output:
    return SendFrame(port.dpid, port.port, frame)
