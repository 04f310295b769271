"""The rules of every switch apart from session entries: natural routing and admission."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import ClassVar

from steering.core.admission.authorisation import Authorisation
from steering.core.inputs import AclReplaced, PairingsReplaced, RegistryReplaced
from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output, SyncRules
from steering.core.part import DesiredRules, McpsChange, Part
from steering.core.pipeline.failover import DETOURS, Failover
from steering.core.pipeline.forwarding import (
    PORTS_MATCHED,
    classify_rules,
    miss_rules,
    reverse_join_rules,
    session_rules,
)
from steering.core.pipeline.guarded_port import GuardedPort
from steering.core.pipeline.ingress_guard import core_rules, port_rules
from steering.core.pipeline.labels import Labels
from steering.core.pipeline.natural_routes import NaturalRoutes
from steering.core.pipeline.opened_ports import CORE_PORTS
from steering.core.pipeline.pieces import PendingRules, Rules, Spread
from steering.core.pipeline.reconcile import Reconcile
from steering.core.pipeline.vlans import vlan_rules
from steering.model.ids import DatapathId, PortNumber
from steering.model.mechanism import Mechanism
from steering.model.network import (
    AccessNetwork,
    Address,
    Attachment,
    Gateway,
    Interception,
    Mcp,
    Network,
    PortRef,
    PortRole,
)
from steering.model.policy import Action, Meters, Policy, leaves_alone
from steering.model.rules import Meter, MeterBand, Rule, access_meter, port_meter
from steering.model.source import Prefix

NONE: Rules = {}
CORE, GUARD, MISSES, CLASSIFY, ROUTES, NEAR = (
    CORE_PORTS, "guard", "host misses", "classify", "routes", "nearest routes",
)  # fmt: skip


class BaseRules(Part):
    """Natural routing and admission, in pieces that are made from site, policy, lists and graph. A change of one of
    these touches the pieces that depend on it. (Labels are separate pieces: core.pipeline.labels.)"""

    in_pieces: ClassVar[bool] = True

    def __init__(
        self,
        sitemap: SiteMap,
        policy: Policy,
        graph: Graph,
        switches: Switches,
        epochs: Mapping[DatapathId, int],
        disabled: frozenset[Mechanism],
        authorising: Authorisation,
    ) -> None:
        self._authorising = authorising
        self._map = sitemap
        self._graph = graph
        self._epochs = epochs
        self._punting = Mechanism.STEERING not in disabled
        self._binding = Mechanism.SOURCE_GUARD not in disabled
        self._failover = Failover(graph, epochs, switches, Mechanism.FAILOVER in disabled)
        self._labels = Labels(sitemap, graph, epochs, self._failover)
        self._routes = NaturalRoutes(
            sitemap,
            graph,
            epochs,
            Mechanism.UN_WILDCARDING not in disabled,
            Mechanism.POOL_ROUTES not in disabled,
        )
        gateways = {port.dpid for gateway in sitemap.site.gateways for port in gateway.ports}
        self.reconcile = Reconcile(graph, switches, self._labels, self._failover, gateways, self._spread)
        self._pieces: dict[str, Callable[[DatapathId], Rules | PendingRules]] = {
            CORE: self._core,
            MISSES: self._misses,
            GUARD: self._guard,
            CLASSIFY: self._classify,
            ROUTES: self._fixed_routes,
            NEAR: self._near_routes,
            DETOURS: self._failover.rules,
        }
        for piece, make in self._pieces.items():
            self.reconcile.register(piece, make, self._looks if piece == NEAR else None)
        # Name of a piece and switch -> what the piece was made from, and the piece.
        self._made: dict[tuple[str, DatapathId], tuple[object, Rules]] = {}
        # Cached until the site gets other MCPs: ports of gateways and MCPs, and the result of `_mcp_networks`.
        self._unchanging: dict[PortRef, GuardedPort] = {}
        self._of_mcps: tuple[Prefix, ...] | None = None
        self._take(policy)
        self._metered = self._all_meters()

    def _take(self, policy: Policy) -> None:
        self._service_ports = few_ports(policy)
        self._meters = policy.meters
        # SYN/ACKs of servers are copied, too, if the policy needs them (D-3.4c): a `hybrid` rule tests servers, and
        # for sessions that a rule leaves alone the SYN/ACK gives the token.
        self._trials = leaves_alone(policy)
        self._denies = any(rule.then.action is Action.DENY for rule in policy.rules)
        self._lists = (policy.acl, policy.authorization)

    # ---- what changes what ----------------------------------------------------------------------

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        before = (self._service_ports, self._trials, self._denies), self._lists
        self._take(policy)
        if before[0] != (self._service_ports, self._trials, self._denies):
            self.reconcile.touch(CLASSIFY, self._map.switches)
        if before[1] != self._lists:
            self.reconcile.touch(GUARD, self._accesses())
        return self._fresh_meters()

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """The site has other MCPs. All edge switches have rules with the MCPs' addresses, and so have switches that were
        edge switches until now."""
        self._made.clear()
        self._unchanging.clear()
        self._of_mcps = None
        self._routes.replaced()
        self.reconcile.labels_replaced()
        edges = self._map.switches | {port.dpid for port in change.before}
        for piece in self._pieces:
            self.reconcile.touch(piece, edges)
        return self._fresh_meters()

    def list_replaced(self, given: AclReplaced | RegistryReplaced | PairingsReplaced) -> None:
        """A list was replaced. The ACL concerns all access ports. The registry concerns only access networks that
        require it. No rule depends on the pairings."""
        if isinstance(given, AclReplaced):
            self.reconcile.touch(GUARD, self._accesses())
        elif isinstance(given, RegistryReplaced):
            required = self._lists[1].required
            self.reconcile.touch(
                GUARD, [port.dpid for port, a in self._map.attachments.items() if a.name in required]
            )

    def _accesses(self) -> list[DatapathId]:
        return [port.dpid for port, a in self._map.attachments.items() if a.role is PortRole.ACCESS]

    def _spread(self, target: DatapathId, measured: set[DatapathId]) -> Iterator[Spread]:
        yield Spread(NEAR, self._routes.touched(target, measured))

    def _looks(self) -> int:
        return self._routes.looks

    def forget(self, dpid: DatapathId) -> None:
        """Forget what a switch holds. The switch may never come back."""
        self.reconcile.forget(dpid)
        for piece in self._pieces:
            self._made.pop((piece, dpid), None)

    # ---- pieces ---------------------------------------------------------------------------------

    def desired(self, dpid: DatapathId) -> DesiredRules:
        return DesiredRules(self.meters(dpid))

    def _remembered(
        self, piece: str, dpid: DatapathId, source: object, make: Callable[[], Iterable[Rule]]
    ) -> Rules | PendingRules:
        """The piece that was made before (the same object) if `source` is equal, else a piece still to be made."""
        known = self._made.get((piece, dpid))
        if known is not None and known[0] == source:
            return known[1]

        def keep(rules: Rules) -> None:
            self._made[piece, dpid] = (source, rules)

        return PendingRules(make(), keep)

    def _core(self, dpid: DatapathId) -> Rules | PendingRules:
        """Rules that every switch has: discovery, and packets from other switches."""
        here = self._map.at_switch.get(dpid, ())
        core = sorted(self._graph.core_ports(dpid) - {p for a in here for p in _numbers(a.waypoint.port)})
        epoch = self._epochs[dpid]
        return self._remembered(CORE, dpid, (epoch, core), lambda: core_rules(epoch, core))

    def _misses(self, dpid: DatapathId) -> Rules | PendingRules:
        own = [a.waypoint for a in self._map.at_switch.get(dpid, ())]
        epoch = self._epochs[dpid]
        return self._remembered(MISSES, dpid, (epoch, own), lambda: miss_rules(epoch, own))

    def _guard(self, dpid: DatapathId) -> Rules | PendingRules:
        """The rules of GUARD for the switch's attachments: which sources may send."""
        here = self._map.at_switch.get(dpid, ())
        ports = [self._guarded(a) for a in here]
        epoch = self._epochs[dpid]

        def rules() -> Iterator[Rule]:
            if here:
                yield from vlan_rules(epoch, [a.waypoint.port for a in here])
            for port in ports:
                yield from port_rules(epoch, port)

        return self._remembered(GUARD, dpid, (epoch, ports), rules)

    def _classify(self, dpid: DatapathId) -> Rules | PendingRules:
        """The fixed rules of SESSION, and the rules of CLASSIFY that bring TCP segments to the controller."""
        here, epoch = self._map.at_switch.get(dpid, ()), self._epochs[dpid]
        if not here:
            return NONE
        # Without MCPs there is nothing to decide, unless a policy rule denies connections.
        punting = self._punting and (self._map.mcps or self._denies)
        punted = [a.waypoint.port.port for a in here if not a.role.is_mcp and punting]
        roles = sorted(
            {a.role for a in here if a.role.is_mcp or (self._trials and a.role is PortRole.GATEWAY)}
        )
        own = [(a.role, ip_network(x)) for a in here if isinstance(a.part, Mcp) for x in a.part.addresses]
        source = (epoch, punted, roles, own, self._service_ports)

        def rules() -> Iterator[Rule]:
            towards = self._map.numbered_accesses()
            yield from session_rules(epoch)
            yield from classify_rules(epoch, punted, roles, towards, self._service_ports, self._addressed())
            yield from reverse_join_rules(epoch, own if self._punting else (), towards)

        return self._remembered(CLASSIFY, dpid, source, rules)

    def _fixed_routes(self, dpid: DatapathId) -> Rules | PendingRules:
        return self._routes.fixed(dpid) if dpid in self._map.switches else NONE

    def _near_routes(self, dpid: DatapathId) -> Rules | PendingRules:
        return self._routes.near(dpid) if dpid in self._map.switches else NONE

    def meters(self, dpid: DatapathId) -> tuple[MeterBand, ...]:
        """The meters of a switch. A burst is a tenth of a second's packets, at least 10. For SYN/ACKs and FINs it is a
        whole second's packets: without the copy of a SYN/ACK a token is never learned, without that of a FIN an ended
        session seems to live."""
        limits: Meters = self._meters
        rates = {
            Meter.LLDP: limits.lldp,
            Meter.WATCH: limits.watch,
        }
        bands = [MeterBand(Meter.FIN, limits.fin, limits.fin)]
        if any(a.role is not PortRole.ACCESS for a in self._map.at_switch.get(dpid, ())):
            for number in range(len(self._map.site.access_networks)):
                for base, rate in ((Meter.SYN_ACK_BASE, limits.syn_ack), (Meter.FIN_BASE, limits.fin)):
                    bands.append(MeterBand(access_meter(base, number), rate, rate))
        bands += [MeterBand(meter, rate, max(10, rate // 10)) for meter, rate in rates.items()]
        for attachment in self._map.at_switch.get(dpid, ()):
            port = attachment.waypoint.port
            own = {
                Meter.NEIGHBOUR_BASE: limits.neighbour,
                Meter.HOST_MISS_BASE: limits.host_miss,
                Meter.TTL_EXPIRED_BASE: limits.ttl_expired,
            }
            if not attachment.role.is_mcp:
                own |= {Meter.SYN_BASE: limits.syn_per_port, Meter.ICMP_ERROR_BASE: limits.icmp_error}
            if attachment.role is PortRole.ACCESS:
                own[Meter.SOURCE_BASE] = limits.host_miss
                bands.append(MeterBand(port_meter(Meter.FIN_PORT_BASE, port.port), limits.fin, limits.fin))
            bands += [MeterBand(port_meter(b, port.port), r, max(10, r // 10)) for b, r in own.items()]
        return tuple(dict.fromkeys(bands))

    def _all_meters(self) -> dict[DatapathId, set[MeterBand]]:
        return {dpid: set(self.meters(dpid)) for dpid in self._map.switches}

    def _fresh_meters(self) -> list[Output]:
        """Meters that are new or changed since the last call. Meters are never deleted: a switch would delete their
        rules, too."""
        before, self._metered = self._metered, self._all_meters()
        fresh = {dpid: bands - before.get(dpid, set()) for dpid, bands in self._metered.items()}
        return [
            SyncRules(dpid, (), (), tuple(sorted(bands, key=lambda band: band.meter)))
            for dpid, bands in fresh.items()
            if bands
        ]

    def _guarded(self, attachment: Attachment) -> GuardedPort:
        part, at = attachment.part, attachment.waypoint.port
        if not isinstance(part, AccessNetwork):
            known = self._unchanging.get(at)
            if known is None:
                known = self._unchanging[at] = self._guarded_by_site(attachment.role, part, at)
            return known
        allowed = self._authorising.admitted(part.name, part.prefixes)
        kept_out = tuple(self._authorising.kept_out(part.name, part.prefixes))
        mcps = tuple(self._map.identifiers_under(part.prefixes))
        gateways = (*part.gateways, *self._virtual_on(part.prefixes))
        return GuardedPort(
            at.port, attachment.role, gateways, part.prefixes, allowed, mcps, kept_out, (), at.line,
            bound=part.binds_sources and self._binding, dhcp=bool(part.dhcp_ports),
        )  # fmt: skip

    def _guarded_by_site(self, role: PortRole, part: Gateway | Mcp, at: PortRef) -> GuardedPort:
        shares = self._map.numbered_accesses()
        if isinstance(part, Gateway):
            foreign = (*self._map.access_prefixes(), *self._mcp_networks())
            return GuardedPort(
                at.port, role, part.gateways, part.prefixes, part.prefixes, foreign, (), shares, at.line
            )
        own = tuple(ip_network(address) for address in part.addresses)
        shared = tuple(ip_network(v.address) for v in self._map.site.virtual if part.id in v.mcps)
        networks = [
            *own,
            *shared,
            *self._map.given(part),
            *self._own_of_hosts(part),
            *self._map.gateway_prefixes(),
        ]
        allowed = dict.fromkeys(networks)
        others = tuple(network for network in self._mcp_networks() if network not in allowed)
        probed = tuple(
            (address, gateway, part.probe.port)
            for address in part.addresses
            for gateway in part.gateways
            if part.probe.port and address.version == gateway.version and role is not PortRole.MCP_OUTSIDE
        )
        return GuardedPort(
            at.port, role, part.gateways, own, tuple(allowed), others, (), shares, at.line, probed
        )

    def _own_of_hosts(self, mcp: Mcp) -> list[Network]:
        """Prefixes of hosts that an MCP may send from, because it keeps hosts' addresses or is in line.

        An MCP with a NAT64 prefix may also send from that prefix: to hosts it answers for the servers behind it.
        """
        inline = mcp.interception is Interception.SELF
        prefixes = [p for p in self._map.access_prefixes() if inline or mcp.source_modes.preserves(p.version)]
        return prefixes if mcp.nat64 is None else [*prefixes, mcp.nat64]

    def _addressed(self) -> list[Network]:
        """Addresses of MCPs, and virtual addresses that several MCPs share. Hosts in explicit mode connect to these."""
        own: list[Network] = [ip_network(address) for mcp in self._map.site.mcps for address in mcp.addresses]
        return own + [ip_network(virtual.address) for virtual in self._map.site.virtual]

    def _mcp_networks(self) -> tuple[Prefix, ...]:
        """Networks that only MCPs may send from: their own addresses, and the sources of their server legs."""
        if self._of_mcps is None:
            given = (prefix for mcp in self._map.site.mcps for prefix in self._map.given(mcp))
            self._of_mcps = (*self._addressed(), *given)
        return self._of_mcps

    def _virtual_on(self, prefixes: tuple[Network, ...]) -> tuple[Address, ...]:
        """Virtual addresses in these prefixes. Hosts take them to be on their link, so rules answer ARP and ND for
        them."""
        found = (virtual.address for virtual in self._map.site.virtual)
        return tuple(address for address in found if any(address in prefix for prefix in prefixes))


def _numbers(port: PortRef) -> tuple[PortNumber, ...]:
    """The number of a port, and for a tagged port also the number of the port that carries it."""
    return (port.port,) if port.line is None else (port.port, port.line.port)


def few_ports(policy: Policy) -> tuple[int, ...]:
    """The eligible service ports, if they are few enough to match one by one (PORTS_MATCHED), else an empty tuple."""
    if sum(high - low + 1 for low, high in policy.eligible_ports) > PORTS_MATCHED:
        return ()
    return tuple(sorted({p for low, high in policy.eligible_ports for p in range(low, high + 1)}))
