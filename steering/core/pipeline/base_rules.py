"""What every switch should hold apart from session entries: natural routing and admission."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network

from steering.core.admission.authorisation import Authorising
from steering.core.network.graph import Graph
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Output, SyncRules
from steering.core.part import Desired, McpsChange, Part
from steering.core.pipeline.forwarding import (
    PORTS_MATCHED,
    Route,
    classify_rules,
    label_rules,
    miss_rules,
    reverse_join_rules,
    route_rules,
    session_rules,
)
from steering.core.pipeline.ingress_guard import GuardedPort, guard_rules
from steering.model.mechanism import Mechanism
from steering.model.network import AccessNetwork, Address, Gateway, Interception, Mcp, Network, PortRole
from steering.model.policy import Meters, Policy, leaves_alone
from steering.model.rules import Meter, MeterBand, Rule
from steering.model.source import Prefix


class Natural(Part):
    """Pure over (site, policy, graph): asked again for a switch whenever one of them changed."""

    def __init__(
        self,
        sitemap: SiteMap,
        policy: Policy,
        graph: Graph,
        epochs: Mapping[int, int],
        disabled: frozenset[Mechanism],
        authorising: Authorising,
    ) -> None:
        self._authorising = authorising
        self._map = sitemap
        self._graph = graph
        self._epochs = epochs
        self._unwildcard = Mechanism.UN_WILDCARDING not in disabled
        self._punting = Mechanism.STEERING not in disabled
        self._returning = Mechanism.POOL_ROUTES not in disabled
        self._take(policy)
        self._metered = self._all_meters()

    def _take(self, policy: Policy) -> None:
        self._service_ports = _few_ports(policy)
        self._meters = policy.meters
        # Servers are tried out where a rule is `hybrid`, and name the tokens of what a rule leaves alone: then
        # their SYN/ACKs are copied too (D-3.4c).
        self._trials = leaves_alone(policy)

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        self._take(policy)
        return self._fresh_meters()

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        return self._fresh_meters()

    def desired(self, dpid: int) -> Desired:
        """Natural routing and admission, with the meters of their rules."""
        graph = self._graph
        forwarding, admission = self.forwarding(dpid, graph), self.admission(dpid, graph)
        return Desired(self.meters(dpid), tuple(forwarding), tuple(admission))

    def forwarding(self, dpid: int, graph: Graph) -> list[Rule]:
        """LABEL and the misses of HOST: set before anything is admitted."""
        everyone = [a.waypoint for a in self._map.attachments.values()]
        own = [waypoint for waypoint in everyone if waypoint.port.dpid == dpid]
        epoch = self._epochs[dpid]
        return [*label_rules(epoch, dpid, everyone, graph), *miss_rules(epoch, own)]

    def admission(self, dpid: int, graph: Graph) -> list[Rule]:
        """GUARD, SESSION's fixed rules, CLASSIFY and ROUTE."""
        here = [a for port, a in self._map.attachments.items() if port.dpid == dpid]
        core = graph.core_ports(dpid) - {a.waypoint.port.port for a in here}
        epoch = self._epochs[dpid]
        rules = list(guard_rules(epoch, sorted(core), [self._guarded(a) for a in here]))
        if not here:
            return rules
        punted = [a.waypoint.port.port for a in here if not a.role.is_mcp and self._punting]
        roles = sorted(
            {a.role for a in here if a.role.is_mcp or (self._trials and a.role is PortRole.GATEWAY)}
        )
        rules += session_rules(epoch)
        rules += classify_rules(
            epoch, punted, roles, self._map.access_prefixes(), self._service_ports, self._addressed()
        )
        own = [(a.role, ip_network(x)) for a in here if isinstance(a.part, Mcp) for x in a.part.addresses]
        rules += reverse_join_rules(epoch, own if self._punting else (), self._map.access_prefixes())
        rules += route_rules(epoch, self._routes(dpid, graph), self._unwildcard)
        return rules

    def meters(self, dpid: int) -> tuple[MeterBand, ...]:
        """The meters of a switch. Bursts of a tenth of a second, at least 10 packets; of SYN/ACKs and FINs a
        whole second's, since a lost copy is a token never learned, or a session that seems to live on."""
        limits: Meters = self._meters
        rates = {
            Meter.LLDP: limits.lldp,
            Meter.HOST_MISS: limits.host_miss,
            Meter.TTL_EXPIRED: limits.ttl_expired,
            Meter.WATCH: limits.watch,
        }
        bands = [MeterBand(m, r, r) for m, r in ((Meter.SYN_ACK, limits.syn_ack), (Meter.FIN, limits.fin))]
        bands += [MeterBand(meter, rate, max(10, rate // 10)) for meter, rate in rates.items()]
        for port, attachment in self._map.attachments.items():
            if port.dpid != dpid:
                continue
            rate = limits.neighbour
            bands.append(MeterBand(Meter.NEIGHBOUR_BASE + port.port, rate, max(10, rate // 10)))
            if not attachment.role.is_mcp:
                rate = limits.syn_per_port
                bands.append(MeterBand(Meter.SYN_BASE + port.port, rate, max(10, rate // 10)))
        return tuple(bands)

    def _all_meters(self) -> dict[int, set[MeterBand]]:
        return {dpid: set(self.meters(dpid)) for dpid in self._map.switches}

    def _fresh_meters(self) -> list[Output]:
        """Those that are new or changed since this was asked last. None is ever deleted: that would take rules with
        it."""
        before, self._metered = self._metered, self._all_meters()
        fresh = {dpid: bands - before.get(dpid, set()) for dpid, bands in self._metered.items()}
        return [
            SyncRules(dpid, (), (), tuple(sorted(bands, key=lambda band: band.meter)))
            for dpid, bands in fresh.items()
            if bands
        ]

    def _guarded(self, attachment: Attachment) -> GuardedPort:
        part, port = attachment.part, attachment.waypoint.port.port
        if isinstance(part, AccessNetwork):
            allowed = self._authorising.admitted(part.name, part.prefixes)
            kept_out = tuple(self._authorising.kept_out(part.name, part.prefixes))
            mcps = tuple(self._map.identifiers_under(part.prefixes))
            gateways = (*part.gateways, *self._virtual_on(part.prefixes))
            return GuardedPort(port, attachment.role, gateways, part.prefixes, allowed, mcps, kept_out)
        if isinstance(part, Gateway):
            foreign = (*self._map.access_prefixes(), *self._mcp_networks())
            return GuardedPort(port, attachment.role, part.gateways, part.prefixes, part.prefixes, foreign)
        own = tuple(ip_network(address) for address in part.addresses)
        shared = tuple(ip_network(v.address) for v in self._map.site.virtual if part.id in v.mcps)
        may = _distinct(
            [*own, *shared, *self._map.given(part), *self._own_of_hosts(part), *self._map.gateway_prefixes()]
        )
        others = tuple(network for network in self._mcp_networks() if network not in may)
        return GuardedPort(port, attachment.role, part.gateways, own, may, others)

    def _own_of_hosts(self, mcp: Mcp) -> list[Network]:
        """Hosts' prefixes that an MCP may send from: where it preserves addresses, or stands in their way.

        To hosts it also sends what servers behind a NAT64 prefix would say.
        """
        inline = mcp.interception is Interception.SELF
        prefixes = [p for p in self._map.access_prefixes() if inline or mcp.source_modes.preserves(p.version)]
        return prefixes if mcp.nat64 is None else [*prefixes, mcp.nat64]

    def _addressed(self) -> list[Network]:
        """Addresses of MCPs, and those that several share: what hosts in explicit mode address."""
        own: list[Network] = [ip_network(address) for mcp in self._map.site.mcps for address in mcp.addresses]
        return own + [ip_network(virtual.address) for virtual in self._map.site.virtual]

    def _mcp_networks(self) -> list[Prefix]:
        """Addresses that are nobody's but an MCP's: its own, and what it gives its server legs."""
        return [*self._addressed(), *(p for mcp in self._map.site.mcps for p in self._map.given(mcp))]

    def _virtual_on(self, prefixes: tuple[Network, ...]) -> tuple[Address, ...]:
        """Virtual addresses that hosts of these prefixes take to be on their link: entries answer for them."""
        found = (virtual.address for virtual in self._map.site.virtual)
        return tuple(address for address in found if any(address in prefix for prefix in prefixes))

    def _routes(self, dpid: int, graph: Graph) -> Iterator[Route]:
        for mcp in self._map.site.mcps:
            for address in mcp.addresses:
                inside, outside = self._map.inside[mcp.id].id, self._map.outside[mcp.id].id
                yield Route(ip_network(address), inside)
                if outside != inside:  # what servers answer to the MCP itself must not have to go through it
                    yield Route(ip_network(address), outside, PortRole.GATEWAY)
            if self._returning:  # N-5.4.2.1b: what comes back to a pool goes to the MCP that gives it
                for prefix in self._map.given(mcp):
                    yield Route(prefix, self._map.outside[mcp.id].id)
        for virtual in self._map.site.virtual:
            # What has no entry (ICMP, plain TCP) goes to the nearest of those behind it.
            near_mcp = min(
                virtual.mcps, key=lambda i: (graph.distance(dpid, self._map.mcps[i].inside.dpid), i)
            )
            yield Route(ip_network(virtual.address), self._map.inside[near_mcp].id)
        for access in self._map.site.access_networks:
            near = self._nearest(access, dpid, graph)
            for prefix in access.prefixes:
                yield Route(prefix, near.waypoint.id)
                inline = graph.natural_mcp(near.waypoint.port.dpid, dpid)
                if inline is not None:
                    yield Route(prefix, self._map.outside[inline.id].id, PortRole.GATEWAY)
        best: dict[Network, tuple[float, str, Gateway]] = {}
        for gateway in self._map.site.gateways:
            for prefix in gateway.prefixes:
                near = self._nearest(gateway, dpid, graph)
                cost = graph.natural_cost(dpid, near.waypoint.port.dpid)
                best[prefix] = min(
                    best.get(prefix, (cost, gateway.name, gateway)), (cost, gateway.name, gateway)
                )
        for prefix, (_, _, gateway) in best.items():
            near = self._nearest(gateway, dpid, graph)
            yield Route(prefix, near.waypoint.id)
            inline = graph.natural_mcp(dpid, near.waypoint.port.dpid)
            if inline is not None:
                yield Route(prefix, self._map.inside[inline.id].id, PortRole.ACCESS)

    def _nearest(self, part: AccessNetwork | Gateway, dpid: int, graph: Graph) -> Attachment:
        """The port of an access network that stands for it is its first (hosts elsewhere have routes of
        their own); of a gateway it is the nearest."""
        if isinstance(part, AccessNetwork):
            return self._map.attachments[part.ports[0]]
        port = min(part.ports, key=lambda p: (graph.natural_cost(dpid, p.dpid), p))
        return self._map.attachments[port]


def _few_ports(policy: Policy) -> tuple[int, ...]:
    """The eligible service ports if they are few enough to be matched one by one, else none."""
    if sum(high - low + 1 for low, high in policy.eligible_ports) > PORTS_MATCHED:
        return ()
    return tuple(sorted({p for low, high in policy.eligible_ports for p in range(low, high + 1)}))


def _distinct(networks: list[Prefix]) -> tuple[Prefix, ...]:
    return tuple(dict.fromkeys(networks))
