"""The neighbour table: hosts behind attachment ports, learned from ARP and ND or asked for.

(Of MCPs and next hops see transit_neighbours.)

Host entries in switches have no time-out, so they outlive the controller. The table knows which entry is where.
The hosts of a port and the addresses of a host are bounded, and so is all that waits for answers (address_queries).

If a known address is claimed for another port, its old port is asked first (address_claims). Where a network's
hosts are `learned`, the last claim counts at once. Where they are `static`, only the site file counts. Except for
`learned`, a port may only send with the source addresses that are known there (source_bindings).
"""

from collections.abc import Iterator
from typing import ClassVar

from steering.core.counters import Counters
from steering.core.inputs import ObservedHost
from steering.core.network.address_claims import AddressClaims, Claim, ClaimOutcome, HeardClaim
from steering.core.network.address_queries import AddressQueries
from steering.core.network.gateway_messages import VIRTUAL, question_to
from steering.core.network.host_routes import HostRoutes, NeighbourRules
from steering.core.network.lease import Lease, may_have
from steering.core.network.lost_hosts import LostHosts
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.network.source_bindings import SourceBindings
from steering.core.network.transit_neighbours import REFRESH, TransitNeighbours
from steering.core.outputs import Output, SendFrame, SyncRules, anew
from steering.core.part import DesiredRules, McpsChange, Part
from steering.model.ids import DatapathId, WaypointId
from steering.model.mechanism import Mechanism
from steering.model.network import AccessNetwork, Gateway, HostLearning, PortRef
from steering.model.policy import Limits, Policy
from steering.model.rules import Rule
from steering.model.session import Refusal


class Neighbours(Part):
    """The neighbour table. Methods return the outputs: frames to send and rules to change."""

    sends_changes: ClassVar[bool] = True

    def __init__(
        self,
        sitemap: SiteMap,
        limits: Limits,
        made: NeighbourRules,
        disabled: frozenset[Mechanism],
        counters: Counters,
    ) -> None:
        self._map = sitemap
        self._counters = counters
        self._probes = Mechanism.ADDRESS_PROBES not in disabled
        self._claims = AddressClaims()
        self._limits = limits
        self._made = made
        self._where: dict[bytes, WaypointId] = {}  # address -> waypoint
        # Waypoint -> address -> MAC.
        self.hosts_at: dict[WaypointId, dict[bytes, bytes]] = {w: {} for w in sitemap.by_waypoint}
        self.transit = TransitNeighbours(sitemap, made)
        self._routes = HostRoutes(sitemap, made, self.hosts_at)
        self._queries = AddressQueries(lambda: sitemap.by_waypoint, question_to)
        self._lost = LostHosts(counters)
        # Leases by address (dhcp_leases writes them), and the addresses of leases that `settle` took.
        self.leases: dict[bytes, Lease] = {}
        self.leases_moved: dict[bytes, None] = {}
        self._sources = SourceBindings(made, Mechanism.SOURCE_GUARD not in disabled)
        self._refresh = 0.0

    def desired(self, dpid: DatapathId) -> DesiredRules:
        return DesiredRules(forwarding=tuple(self._rules(dpid)))

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """Hosts that are known stay, also if there are more than the new policy allows."""
        self._limits = policy.limits
        return []

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """Take over changed MCPs. New MCPs are asked for their MAC at once."""
        before, after = change.before, self._map.attachments
        origins = {port.dpid for port, a in before.items() if not isinstance(a.part, AccessNetwork)}
        outputs: list[Output] = []
        # A switch that no longer has a gateway or an MCP needs no own routes of hosts.
        for dpid in origins - self._map.origins:
            routes = tuple(self._routes.from_origin(dpid))
            if routes:
                outputs.append(SyncRules(dpid, (), routes))
        for port, old in before.items():
            if after.get(port) == old:
                continue
            outputs += self.transit.left(old)
            if old.waypoint.id not in self._map.by_waypoint:
                del self.hosts_at[old.waypoint.id]
        for port, new in after.items():
            if before.get(port) == new:
                continue
            self.hosts_at.setdefault(new.waypoint.id, {})
            for address in self.transit.came(new):
                outputs += self._forget(address)  # it was known as a host's address
                self._queries.take(address)
        for dpid in self._map.origins - origins:
            ways = tuple(self._routes.from_origin(dpid))
            if ways:
                outputs.append(SyncRules(dpid, ways, ()))
        self._refresh = 0.0
        return outputs

    def hosts(self) -> Iterator[tuple[bytes, bytes, PortRef]]:
        """Every known host: address, MAC, port."""
        for waypoint, known in self.hosts_at.items():
            yield from ((a, mac, self._map.by_waypoint[waypoint].waypoint.port) for a, mac in known.items())

    def port_of(self, address: bytes) -> PortRef | None:
        """The port of a known host, or None."""
        waypoint = self._where.get(address)
        return None if waypoint is None else self._map.by_waypoint[waypoint].waypoint.port

    def learn(self, attachment: Attachment, address: bytes, mac: bytes, now: float) -> HeardClaim:
        """ARP or ND says that `address` has `mac` behind an attachment."""
        waypoint = attachment.waypoint.id
        if address in self.transit.wanted_at(waypoint):
            return HeardClaim(ClaimOutcome.KNOWN, self.transit.answered(attachment, address, mac, now))
        if not self._map.is_on_link(attachment, address):
            return HeardClaim(ClaimOutcome.REFUSED, [])
        known, where = self.hosts_at[waypoint], self._where.get(address)
        if not may_have(attachment, address, mac, self.leases, known):
            return self._refused(Refusal.ADDRESS_NOT_BOUND)
        if where == waypoint and known[address] == mac:
            return self._heard_again(attachment, address, now)
        if where is not None and self._is_probed(self._map.by_waypoint[where]):
            return self._contested(attachment, address, mac, now)
        if where is None and (other := self._sources.elsewhere(attachment, address)) is not None:
            return self._contested(attachment, other, mac, now)  # the port with the /64 is asked
        return self._bind_in_room(attachment, address, mac, ClaimOutcome.REFUSED, now)

    def doubt(self, address: bytes, now: float) -> list[Output]:
        """Something that a host uses is needed for others. The host is asked, and has to answer within `address_claims.PATIENCE`, or is
        forgotten. A host that is known nowhere is asked for at each port of its network, unless there are too many such questions."""
        at = self._where.get(address)
        if at is not None:
            asks = self._claims.open(address, at, None, b"", now)
            return question_to(self._map.by_waypoint[at], address) if asks else []
        access = self._map.access_of(address)
        if access is None or not self._lost.may_ask(access.name, len(access.ports), now):
            return []
        places = (self._map.attachments[port] for port in access.ports)
        return [asked for place in places for asked in question_to(place, address)]

    def _heard_again(self, attachment: Attachment, address: bytes, now: float) -> HeardClaim:
        """An address is still at its port. A claim for another port is refused. Waiting packets are sent."""
        known = self.hosts_at[attachment.waypoint.id]
        mac = known[address] = known.pop(address)  # to the end: the first has been silent for longest
        claim = self._claims.answered(address, now)
        if claim is not None and claim.claimant is not None:
            self._counters.refusals[Refusal.ADDRESS_TAKEN] += 1
            return HeardClaim(ClaimOutcome.KEPT, [*self._answer(attachment, address, mac), *claim.declined])
        return HeardClaim(ClaimOutcome.KNOWN, self._answer(attachment, address, mac))

    def _contested(
        self,
        attachment: Attachment,
        address: bytes,
        mac: bytes,
        now: float,
        lease: Lease | None = None,
        told: tuple[Output, ...] = (),
        declined: tuple[Output, ...] = (),
    ) -> HeardClaim:
        old = self._where[address]
        if self._claims.open(address, old, attachment, mac, now, lease, told, declined):
            return HeardClaim(ClaimOutcome.CONTESTED, question_to(self._map.by_waypoint[old], address))
        # A claim that was refused a moment ago stays refused.
        is_asked = lease is not None or address in self._claims
        return HeardClaim(ClaimOutcome.CONTESTED if is_asked else ClaimOutcome.REFUSED, [])

    def _bind_in_room(
        self, attachment: Attachment, address: bytes, mac: bytes, otherwise: ClaimOutcome, now: float
    ) -> HeardClaim:
        """Bind an address to a port if the port has room. Otherwise the host that has been silent there for longest is
        asked whether it still has its address."""
        known = self.hosts_at[attachment.waypoint.id]
        if address in known or (refusal := self._no_room(attachment, mac)) is None:
            return self._bind(attachment, address, mac)
        self._counters.refusals[refusal] += 1
        return HeardClaim(otherwise, self.doubt(next(iter(known)), now))

    def _bind(self, attachment: Attachment, address: bytes, mac: bytes) -> HeardClaim:
        """Bind an address to a port, wherever it was before."""
        waypoint = attachment.waypoint.id
        before = self._where.get(address)
        outputs = self._forget(address) if before not in (None, waypoint) else []
        self._claims.withdraw(address)
        known = self.hosts_at[waypoint]
        known.pop(address, None)
        known[address] = mac
        self._where[address] = waypoint
        self._lost.found(address, attachment.part.name)
        rules = (self._routes.entry(attachment, address), *self._sources.add(attachment, address))
        outputs.append(SyncRules(attachment.waypoint.port.dpid, rules, ()))
        outputs += self._routes.added(attachment, address)
        outputs += self._answer(attachment, address, mac)
        return HeardClaim(ClaimOutcome.BOUND if before in (None, waypoint) else ClaimOutcome.MOVED, outputs)

    def _ask(self, attachment: Attachment, address: bytes, now: float, **frame: bytes) -> list[Output]:
        """Keep a packet and ask for its address behind a port. For a lost host, the other ports of the network are
        asked, too, when the question is opened but not when it is repeated."""
        opens = address not in self._queries
        outputs = self._queries.wait(attachment, address, now, **frame)
        others = self._others(attachment) if opens else []
        if opens and self._lost.has_turn(address, attachment.part.name, len(others), now):
            outputs += [asked for other in others for asked in question_to(other, address)]
        return outputs

    def _others(self, attachment: Attachment) -> list[Attachment]:
        """The other ports of the same network."""
        ports = getattr(attachment.part, "ports", ())
        return [self._map.attachments[port] for port in ports if port != attachment.waypoint.port]

    def _answer(self, attachment: Attachment, address: bytes, mac: bytes) -> list[Output]:
        """Send the packets that waited for a host's MAC, and resubmit those that came from the host."""
        query = self._queries.take(address)
        if query is None:
            return []
        port = attachment.waypoint.port
        sent = [SendFrame(port.dpid, port.port, mac + VIRTUAL + f[12:]) for f in query.frames]
        here = attachment.waypoint.id  # packets that came in at other ports are from other hosts
        return [*sent, *(anew(port, frame) for place, frame in query.sent if place == here)]

    @property
    def _bound(self) -> int:
        """The most addresses of one port."""
        return max(16, self._limits.hosts // max(1, len(self._map.attachments)))

    def _no_room(self, attachment: Attachment, mac: bytes) -> Refusal | None:
        """Why a port has no room for one more address, or None. One MAC has `addresses_per_host` addresses at most."""
        known = self.hosts_at[attachment.waypoint.id]
        if len(known) >= self._bound:
            return Refusal.TOO_MANY_HOSTS
        part = attachment.part
        if not isinstance(part, AccessNetwork) or len(known) < part.addresses_per_host:
            return None
        full = sum(one == mac for one in known.values()) >= part.addresses_per_host
        return Refusal.TOO_MANY_ADDRESSES if full else None

    def lease(
        self, attachment: Attachment, address: bytes, lease: Lease, now: float, told: tuple[Output, ...],
        declined: tuple[Output, ...],
    ) -> HeardClaim:  # fmt: skip
        """The DHCP server leased an address to a host. `told`: its message for the host. A host that is known to have
        the address is asked first, since any host can use another's MAC or client identifier. Then the outcome is
        CONTESTED: `settle` returns `told` if nobody answers. If the old host answers, the server gets `declined`,
        unless the old host has the same MAC."""
        if not self._map.is_on_link(attachment, address):
            return HeardClaim(ClaimOutcome.REFUSED, [])
        known, old = self.hosts_at[lease.waypoint], self._where.get(address)
        is_here = known.get(address) == lease.client
        if old is not None and not is_here and self._is_probed(self._map.by_waypoint[old]):
            is_another = self.hosts_at[old].get(address) != lease.client
            refuted = declined if is_another else ()
            return self._contested(attachment, address, lease.client, now, lease, told, refuted)
        self.leases[address] = lease
        if is_here:
            return self._heard_again(attachment, address, now)
        return self._bind_in_room(attachment, address, lease.client, ClaimOutcome.REFUSED, now)

    def unlease(self, address: bytes) -> list[Output]:
        """The lease of an address is over: forget the lease and the host."""
        self.leases.pop(address, None)
        return self._forget(address)

    def _is_probed(self, old: Attachment) -> bool:
        """Whether hosts at a place are asked before a claim for another place is believed."""
        part = old.part
        return self._probes and not (
            isinstance(part, AccessNetwork | Gateway) and part.hosts is HostLearning.LEARNED
        )

    def _refused(self, refusal: Refusal) -> HeardClaim:
        self._counters.refusals[refusal] += 1
        return HeardClaim(ClaimOutcome.REFUSED, [])

    def claims_due(self) -> float:
        """The time at which `settle` next has something to do."""
        return self._claims.due_at

    def settle(self, now: float) -> Iterator[tuple[Claim, HeardClaim]]:
        """Settle the claims whose old port stayed silent, and repeat the questions for others. Yields claims with their
        outcome and outputs."""
        silent, again = self._claims.due(now)
        for claim in silent:
            claimant, address = claim.claimant, claim.address
            if claimant is None:
                yield claim, HeardClaim(ClaimOutcome.REFUSED, self._forget(address))
            # The claimant's waypoint may have left the site meanwhile, or the address may be an MCP's now.
            elif claimant.waypoint.id in self.hosts_at and self._map.is_on_link(claimant, address):
                heard = self._bind_in_room(claimant, address, claim.mac, ClaimOutcome.KEPT, now)
                has_it = heard.standing is not ClaimOutcome.KEPT
                if claim.lease is not None and has_it:
                    self.leases[address] = claim.lease
                    self.leases_moved[address] = None
                yield claim, HeardClaim(heard.standing, [*heard.outputs, *(claim.told if has_it else ())])
        for claim in again:
            if claim.old in self._map.by_waypoint:
                asked = question_to(self._map.by_waypoint[claim.old], claim.address)
                yield claim, HeardClaim(ClaimOutcome.CONTESTED, asked)

    def missed(self, attachment: Attachment, address: bytes, frame: bytes, now: float) -> list[Output]:
        """A packet found no host entry for its destination: keep the packet and ask for the host."""
        known = self.hosts_at[attachment.waypoint.id].get(address)
        if known is not None:  # learned while the packet was under way
            port = attachment.waypoint.port
            return [SendFrame(port.dpid, port.port, known + VIRTUAL + frame[12:])]
        return (
            self._ask(attachment, address, now, to=frame) if self._map.is_on_link(attachment, address) else []
        )

    def unbound(self, attachment: Attachment, address: bytes, frame: bytes, now: float) -> HeardClaim:
        """A packet came with a source address that is not bound to its port. The host there is asked, and the packet
        goes on when it answers. If the address is known at another port, the packet is a claim."""
        waypoint = attachment.waypoint.id
        if address in self.hosts_at[waypoint]:  # learned while the packet was under way
            return HeardClaim(ClaimOutcome.KNOWN, [anew(attachment.waypoint.port, frame)])
        mac, where = frame[6:12], self._where.get(address)
        allowed = may_have(attachment, address, mac, self.leases, self.hosts_at[waypoint])
        if not (allowed and self._map.is_on_link(attachment, address)):
            return self._refused(Refusal.ADDRESS_NOT_BOUND)
        if where is not None:
            return self._contested(attachment, address, mac, now)
        asked = self._ask(attachment, address, now, by=frame)
        return HeardClaim(ClaimOutcome.REFUSED, asked)

    def port_down(self, attachment: Attachment, now: float) -> list[Output]:
        """A port lost carrier. Its hosts may have moved, so they are asked for behind the other ports of the network:
        now, and later when a packet for them comes (lost_hosts)."""
        others = self._others(attachment)
        outputs: list[Output] = []
        self._claims.end_of(attachment.waypoint.id)
        for address in list(self.hosts_at[attachment.waypoint.id]):
            outputs += self._forget(address)
            if not others:
                continue
            self._lost.add(address, attachment.part.name, now)
            if self._lost.may_ask(attachment.part.name, len(others), now):
                outputs += [asked for other in others for asked in question_to(other, address)]
        self.transit.port_down(attachment.waypoint.id)
        self._refresh = 0.0
        return outputs

    def due(self) -> float:
        return min(self._refresh, self._queries.due())

    def tick(self, now: float) -> list[Output]:
        """Ask again for hosts that have not answered. Ask for every MCP and next hop each REFRESH seconds."""
        outputs = self._queries.again(now)
        if now >= self._refresh:
            self._refresh = now + REFRESH
            outputs += self.transit.questions()
        return outputs

    def adopt(self, seen: ObservedHost, now: float) -> list[Output]:
        """Take an entry that was read from a switch: a host, or with an empty address an MCP or next hop.

        The outputs are for switches that were filled earlier: they lack the routes to the host.
        """
        attachment = self._map.by_waypoint.get(WaypointId(seen.waypoint))
        if attachment is None:
            return []
        at = attachment.waypoint.id
        if not seen.address:
            self.transit.adopt(at, seen.mac, now)
        elif seen.address not in self._where:
            self._where[seen.address] = at
            self.hosts_at[at][seen.address] = seen.mac
            self._sources.add(attachment, seen.address)
            return self._routes.added(attachment, seen.address)
        return []

    def _rules(self, dpid: DatapathId) -> Iterator[Rule]:
        """Every rule of hosts, MCPs and next hops that a switch should hold."""
        here = self._map.at_switch.get(dpid, ())
        for attachment in here:
            known = self.hosts_at[attachment.waypoint.id]
            for address in known:
                yield self._routes.entry(attachment, address)
            yield from self._sources.rules(attachment, known)
        if here:
            yield from self._routes.out_of(dpid)
        for attachment in here:
            yield from self.transit.rules(attachment)

    def _forget(self, address: bytes) -> list[Output]:
        waypoint = self._where.pop(address, None)
        if waypoint is None:
            return []
        attachment = self._map.by_waypoint[waypoint]
        rules = (self._routes.entry(attachment, address), *self._sources.remove(attachment, address))
        del self.hosts_at[waypoint][address]
        self._claims.left(address)
        removed = self._routes.removed(attachment, address)
        return [*removed, SyncRules(attachment.waypoint.port.dpid, (), rules)]
