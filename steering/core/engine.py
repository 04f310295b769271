"""The engine: the one writer of state. Input and time in, outputs out; no I/O, no clock of its own."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from steering.core import inputs
from steering.core.admission.syn_flood import Floods
from steering.core.counters import Counters
from steering.core.handshakes.mp_capable import Pinning
from steering.core.mcps import replace_mcps
from steering.core.network.gateway_messages import advertisement, ttl_expired
from steering.core.network.graph import Graph
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switch, make_room
from steering.core.outputs import FillSwitch, Output, ReadEntries, SendFrame, SyncRules
from steering.core.pipeline.base_rules import Natural
from steering.core.rerouting import OldPaths
from steering.core.reservations.service import Reserving
from steering.core.restart.readback import Recovery
from steering.core.restart.snapshot import Keeping
from steering.core.selection.chooser import Chooser
from steering.core.sessions.host_mobility import moved
from steering.model.network import AccessNetwork, Mcp, PortRef, PortRole, Site
from steering.model.policy import Policy
from steering.model.rules import Rule
from steering.model.session import Entry, Refusal

ACCESS = PortRole.ACCESS
RECOVERY = 15.0  # seconds after which unknown joins count as unknown even if a switch never came
RESERVING = (inputs.Reserve, inputs.AcceptReservation, inputs.RenewReservation, inputs.ReleaseReservation)
REVERIFY = 10.0  # seconds a link of a switch that came back may stay unconfirmed
ADVERTISE = 60.0  # seconds between unsolicited router advertisements


class Engine:
    """`handle` is the only way in. `disabled` names mechanisms switched off for negative controls."""

    def __init__(
        self,
        site: Site,
        policy: Policy,
        *,
        epoch: int,
        counters: Counters | None = None,
        disabled: frozenset[str] = frozenset(),
    ) -> None:
        self.site = site
        self.policy = policy
        self.epoch = epoch & 0xFFFF
        self._disabled = disabled
        self.counters = counters or Counters()
        self.map = SiteMap(site)
        self.graph = Graph(site)
        self.switches: dict[int, Switch] = {}
        # Each filling of a switch has its own epoch, so that what an earlier one left behind is told apart.
        self._epochs: dict[int, int] = defaultdict(lambda: self.epoch)
        unwildcard = "un-wildcarding" not in disabled
        self.neighbours = Neighbours(self.map, policy.limits, self._epochs, unwildcard)
        self.chooser = Chooser(self.map, policy, self.graph, self.neighbours)
        self.pinning = Pinning(
            self.map, policy, self.chooser, self.counters, disabled, self._epochs, self.neighbours, self.graph
        )
        self.authorising = self.pinning.authorising
        self.natural = Natural(self.map, policy, self._epochs, disabled, self.authorising)
        self.old_paths = OldPaths(
            self.map, self.graph, self.pinning.table, self._epochs, "old-paths" in disabled
        )
        self.reserving = Reserving(
            self.map, policy, self.graph, self.pinning.table, self.pinning.slots, self.counters, self._epochs,
            self.old_paths.labels_out_of, "reservations" in disabled,
        )  # fmt: skip
        self.preferring = self.pinning.preferring
        self.recovery = Recovery(self.map, self.pinning.table, self.counters, "read-back" in disabled)
        self.pinning.recovering = True
        self._recover_until: float | None = None
        self._unread = set(self.map.switches)
        self._unconfirmed: dict[tuple[PortRef, PortRef], float] = {}  # links whose loss was not believed
        self.floods = Floods(self.map, self.counters, "flood-meters" in disabled)
        self.keeping = Keeping(
            self.map, self.graph, self.pinning.table, self.reserving, self.preferring, self.pinning.proactive,
            self.pinning.answered, self.counters, self._unconfirmed,
        )  # fmt: skip
        self._dirty = False
        self._advertise = 0.0
        self._sweep = 0.0
        self._handlers: dict[type, Callable[..., list[Output]]] = {
            inputs.SynSeen: self._syn,
            inputs.SynAckSeen: self._syn_ack,
            inputs.FinSeen: self._fin,
            inputs.WatchedSeen: self.pinning.watching.seen,
            inputs.NeighbourSeen: self._neighbour,
            inputs.RouterSolicited: self._router_solicited,
            inputs.HostMissed: self._missed,
            inputs.TtlExpired: self._ttl_expired,
            inputs.SwitchUp: self._switch_up,
            inputs.SwitchDown: self._switch_down,
            inputs.PortStatus: self._port_status,
            inputs.LinkUp: self._link_up,
            inputs.LinkDown: self._link_down,
            inputs.EntriesRead: self._entries_read,
            inputs.PolicyReplaced: self._policy_replaced,
            inputs.McpsReplaced: self._mcps_replaced,
            inputs.McpAdmin: self._mcp_admin,
            inputs.McpReport: self._mcp_report,
            inputs.PortLoad: self._port_load,
            inputs.SynRate: self._syn_rate,
            inputs.AccessChanged: self._access_changed,
            inputs.SubscriberAccess: self.preferring.take,
            inputs.Offload: self.preferring.take,
            inputs.AbortSession: self._abort,
            inputs.Authorised: self.pinning.authorised,
            inputs.AclReplaced: self._list_replaced,
            inputs.RegistryReplaced: self._list_replaced,
            inputs.PairingsReplaced: self._list_replaced,
            inputs.Restored: self.keeping.take,
            inputs.TimeOfDay: self._time_of_day,
            inputs.LinkWeighed: self._link_weighed,
            inputs.Confirmed: self.old_paths.confirmed,
            **dict.fromkeys(RESERVING, self._reservation),
            inputs.Tick: self._tick,
        }

    def handle(self, given: inputs.Input, now: float) -> list[Output]:
        """Take one input at time `now` (seconds, monotonic); what has to be done about it."""
        return self._handlers[type(given)](given, now)

    # ---- handshakes -----------------------------------------------------------------------------

    def _syn(self, seen: inputs.SynSeen, now: float) -> list[Output]:
        attachment = self.map.at.get((seen.dpid, seen.port))
        if attachment is None:
            self.counters.refusals[Refusal.NOT_ATTACHED] += 1
            return []
        if attachment.role is not ACCESS and attachment.role.is_mcp:
            return self.pinning.reverse.joined(attachment, seen, now)
        return self.pinning.syn(attachment, seen, now)

    def _syn_ack(self, seen: inputs.SynAckSeen, now: float) -> list[Output]:
        attachment = self.map.at.get((seen.dpid, seen.port))
        if attachment is None or attachment.role is ACCESS:
            return []
        return self.pinning.syn_acks.seen(attachment, seen, now)

    def _fin(self, seen: inputs.FinSeen, now: float) -> list[Output]:
        attachment = self.map.at.get((seen.dpid, seen.port))
        if attachment is None:
            return []
        return self.pinning.ending.fin(attachment.role, seen.handshake, now)

    # ---- neighbours -----------------------------------------------------------------------------

    def _neighbour(self, seen: inputs.NeighbourSeen, now: float) -> list[Output]:
        attachment = self.map.at.get((seen.dpid, seen.port))
        if attachment is None:
            return []
        outputs = self.neighbours.learn(attachment, seen.address, seen.mac, now)
        if attachment.role.is_mcp:
            self.chooser.refresh(now)
        return self._to_filled(outputs) + moved(self.pinning.table, attachment, seen.address)

    def _missed(self, seen: inputs.HostMissed, now: float) -> list[Output]:
        attachment = self.map.by_waypoint.get(seen.waypoint)
        if attachment is None or attachment.role.is_mcp:
            return []
        return self.neighbours.missed(attachment, seen.address, seen.frame, now)

    def _router_solicited(self, seen: inputs.RouterSolicited, now: float) -> list[Output]:
        return advertisement(self.map, PortRef(seen.dpid, seen.port))

    def _ttl_expired(self, seen: inputs.TtlExpired, now: float) -> list[Output]:
        return ttl_expired(self.map, seen)

    # ---- the operator and the MCPs --------------------------------------------------------------

    def _policy_replaced(self, replaced: inputs.PolicyReplaced, now: float) -> list[Output]:
        """Atomic: the next SYN is decided by the new policy, whatever runs stays where it is."""
        meters = self.natural.all_meters()
        self.policy = replaced.policy
        self.pinning.replace(replaced.policy)
        self.reserving.replace(replaced.policy)
        self.chooser.refresh(now)
        self.natural = Natural(self.map, replaced.policy, self._epochs, self._disabled, self.authorising)
        moved, _ = self.pinning.proactive.tick(now)  # exact entries for whoever is led elsewhere
        changed = self.natural.fresh_meters(meters)
        self.floods.metered(changed)
        return moved + self._to_filled(changed) + self._resync()

    def _mcps_replaced(self, given: inputs.McpsReplaced, now: float) -> list[Output]:
        """Atomic: the next SYN may get a new one as soon as that answers, sessions of the others stay (D-6.7.7)."""
        return self._to_filled(replace_mcps(self, given, now)) + self._resync()

    def _mcp_admin(self, given: inputs.McpAdmin, now: float) -> list[Output]:
        if given.mcp in self.chooser.health:
            self.chooser.health[given.mcp].draining = given.draining
            self.chooser.refresh(now)
        return []

    def _mcp_report(self, given: inputs.McpReport, now: float) -> list[Output]:
        if given.mcp in self.chooser.health:
            self.chooser.health[given.mcp].probe(given.alive, given.load, now)
            self.chooser.refresh(now)
        return []

    def _port_load(self, given: inputs.PortLoad, now: float) -> list[Output]:
        attachment = self.map.at.get((given.dpid, given.port))
        if attachment is not None and isinstance(attachment.part, Mcp):
            self.chooser.health[attachment.part.id].use(given.utilisation, now)
        elif attachment is not None and isinstance(attachment.part, AccessNetwork):
            self.preferring.port_load(attachment.part, PortRef(given.dpid, given.port), given.utilisation)
        elif attachment is None and given.port in self.graph.core_ports(given.dpid):
            self.chooser.link_load(PortRef(given.dpid, given.port), given.utilisation)
        return []

    def _syn_rate(self, given: inputs.SynRate, now: float) -> list[Output]:
        return self._to_filled(self.floods.rate(given, self.policy.meters.syn_per_port))

    def _access_changed(self, given: inputs.AccessChanged, now: float) -> list[Output]:
        """Joins are judged by it from now on, and live subflows used by it (D-6.3e)."""
        known = self.chooser.access.get(given.name)
        if known is not None:
            self.chooser.access[given.name] = (given.type or known[0], given.trust or known[1])
            self.preferring.look_again()
        return []

    def _abort(self, given: inputs.AbortSession, now: float) -> list[Output]:
        session = self.pinning.table.by_id.get(given.session)
        return [] if session is None else self.pinning.aborting.abort(session, now)

    def _list_replaced(
        self, given: inputs.AclReplaced | inputs.RegistryReplaced | inputs.PairingsReplaced, now: float
    ) -> list[Output]:
        self.authorising.take(given)
        return self._resync()

    def _time_of_day(self, given: inputs.TimeOfDay, now: float) -> list[Output]:
        self.chooser.minute = given.minute % 10_080
        self.preferring.new_minute(self.chooser.minute)
        return []

    def _reservation(self, given: inputs.Input, now: float) -> list[Output]:
        return self._to_filled(self.reserving.handle(given, now))

    def _link_weighed(self, given: inputs.LinkWeighed, now: float) -> list[Output]:
        """Whatever is decided from now on goes by it; labels follow by `oldpaths`'s stages (D-1.d)."""
        at_once = self.old_paths.weigh(given.a, given.b, given.weight, self._filled(), now)
        return self._resync() if at_once else []

    def _filled(self) -> list[int]:
        return [dpid for dpid, switch in self.switches.items() if switch.filled]

    # ---- switches -------------------------------------------------------------------------------

    def _switch_up(self, up: inputs.SwitchUp, now: float) -> list[Output]:
        make_room(self.switches, up.dpid, self.map.switches)
        switch = self.switches.setdefault(up.dpid, Switch())
        switch.connected, switch.filled, switch.ports = True, False, dict(up.ports)
        self.reserving.told_speeds(up.dpid, up.speeds)
        switch.installed = {}
        if self._recover_until is None:
            self._recover_until = now + RECOVERY
        for pair in list(self._unconfirmed):
            ends = [end for end in pair if end.dpid == up.dpid]
            if any(not up.ports.get(end.port, True) for end in ends):
                del self._unconfirmed[pair]
                self._dirty |= self.graph.remove(*pair)
            elif ends:
                self._unconfirmed[pair] = now + REVERIFY
        return [ReadEntries(up.dpid, False)]

    def _switch_down(self, down: inputs.SwitchDown, now: float) -> list[Output]:
        switch = self.switches.get(down.dpid)
        if switch is not None:
            # The switch forwards on without us: its links and its sessions stay as they are.
            switch.connected = switch.filled = False
            if down.dpid in self.map.switches:
                self.pinning.offline.add(down.dpid)
        return []

    def _entries_read(self, read: inputs.EntriesRead, now: float) -> list[Output]:
        if read.sweep:
            self.pinning.ending.counted(read.entries, now)
            self.preferring.counted(read.entries)
            return []
        switch = self.switches.get(read.dpid)
        if switch is None or not switch.connected:
            return []
        routes = [o for host in read.hosts for o in self._to_filled(self.neighbours.adopt(host, now))]
        self.chooser.refresh(now)
        first = read.dpid in self._unread
        stale = self.recovery.adopt(read.entries, now) if first else []
        missing: tuple[Entry, ...] = ()
        if self.counters.sessions_started or not first:
            missing, unknown = self.recovery.compare(read)
            stale = stale if first else unknown
        self._unread.discard(read.dpid)
        found = self._recovered(now) if not self._unread else []
        return [*routes, *found, self._fill(read.dpid, missing, tuple(stale))]

    def _fill(self, dpid: int, missing: tuple[Entry, ...], stale: tuple[Entry, ...]) -> FillSwitch:
        switch = self.switches[dpid]
        if switch.fills:
            self._epochs[dpid] = self._epochs[dpid] + 1 & 0xFFFF
        switch.fills += 1
        forwarding = self.natural.forwarding(dpid, self.graph)
        admission = self._admission(dpid)
        switch.installed = {rule.key: rule for rule in (*forwarding, *admission)}
        switch.filled = True
        self.floods.filled(dpid)
        self.pinning.offline.discard(dpid)
        hosts = tuple(self.neighbours.rules(dpid))
        meters, reserved = self.reserving.fill(dpid)
        return FillSwitch(
            dpid,
            (*self.natural.meters(dpid), *meters),
            (*forwarding, *reserved, *self.old_paths.fill(dpid), *hosts),
            missing,
            stale,
            tuple(admission),
            self._epochs[dpid],
        )

    def _recovered(self, now: float) -> list[Output]:
        if not self.pinning.recovering:
            return []
        self.pinning.recovering = False
        self.recovery.finish()
        return self.keeping.finish(now)

    def _to_filled(self, outputs: Iterable[Output]) -> list[Output]:
        """Rule changes for a switch that is not filled yet come with its filling."""
        return [o for o in outputs if not isinstance(o, SyncRules) or self._is_filled(o.dpid)]

    def _is_filled(self, dpid: int) -> bool:
        switch = self.switches.get(dpid)
        return switch is not None and switch.filled

    # ---- topology -------------------------------------------------------------------------------

    def _port_status(self, status: inputs.PortStatus, now: float) -> list[Output]:
        switch = self.switches.get(status.dpid)
        if switch is None:
            return []
        before = switch.ports.pop(status.port, None)
        if not status.gone:
            switch.ports[status.port] = status.up
        port = PortRef(status.dpid, status.port)
        outputs: list[Output] = []
        if not status.up:
            lost = [self.graph.remove(a, b) for a, b in self.graph.links_at(port)]
            if any(lost):
                outputs += self._resync()
        elif before is not True and not self.site.discover:
            for link in self.site.links:
                if port in (link.a, link.b):
                    self._dirty |= self.graph.add(link.a, link.b)
                    self._dirty |= self.graph.add(link.b, link.a)
        attachment = self.map.attachments.get(port)
        if attachment is not None:
            self.preferring.port(port, status.up)
            if not status.up:
                outputs += self._to_filled(self.neighbours.port_down(attachment))
            if isinstance(attachment.part, Mcp):
                self.chooser.health[attachment.part.id].port(status.up, now)
            self.chooser.refresh(now)
        return outputs

    def _link_up(self, link: inputs.LinkUp, now: float) -> list[Output]:
        self._unconfirmed.pop((link.a, link.b), None)
        if link.a in self.map.attachments or link.b in self.map.attachments:
            return []  # an attachment is never a link, whatever arrives there
        self._dirty |= self.graph.add(link.a, link.b)
        return []

    def _link_down(self, link: inputs.LinkDown, now: float) -> list[Output]:
        if not all(self._is_connected(end.dpid) for end in (link.a, link.b)):
            # Silence of a switch that we cannot reach says nothing about its links.
            self._unconfirmed[(link.a, link.b)] = float("inf")
            return []
        return self._resync() if self.graph.remove(link.a, link.b) else []

    def _is_connected(self, dpid: int) -> bool:
        switch = self.switches.get(dpid)
        return switch is not None and switch.connected

    def _resync(self) -> list[Output]:
        """Change every filled switch to what the graph now wants."""
        self._dirty = False
        outputs: list[Output] = []
        # Gateways first: what is set ahead there has to be right before hosts are led to another MCP.
        gateways = {port.dpid for g in self.site.gateways for port in g.ports}
        for dpid, switch in sorted(self.switches.items(), key=lambda item: item[0] not in gateways):
            if not switch.filled:
                continue
            wanted = {
                rule.key: rule
                for rule in (
                    *self.natural.forwarding(dpid, self.graph),
                    *self._admission(dpid),
                )
            }
            add = tuple(r for key, r in wanted.items() if switch.installed.get(key) != r)
            delete = tuple(r for key, r in switch.installed.items() if key not in wanted)
            switch.installed = wanted
            if add or delete:
                outputs.append(SyncRules(dpid, add, delete))
        return outputs

    def _admission(self, dpid: int) -> list[Rule]:
        ahead = self.pinning.proactive.rules(dpid, self._epochs[dpid])
        return [*self.natural.admission(dpid, self.graph), *ahead]

    # ---- time -----------------------------------------------------------------------------------

    def _tick(self, tick: inputs.Tick, now: float) -> list[Output]:
        """Some twenty times a second: time-outs, and the changes that were put together."""
        outputs: list[Output] = []
        for pair, deadline in list(self._unconfirmed.items()):
            if deadline <= now:
                del self._unconfirmed[pair]
                self._dirty |= self.graph.remove(*pair)
        self.chooser.refresh(now)
        moved, changed = self.pinning.proactive.tick(now)
        aside, follow = self.old_paths.tick(self._filled, now)
        outputs += moved + aside
        if self._dirty or changed or follow:
            outputs += self.old_paths.asked(self._resync()) if follow else self._resync()
        if self._recover_until is not None and now >= self._recover_until:
            outputs += self._recovered(now)
        outputs += self.pinning.tick(now)
        outputs += self.pinning.ending.tick(now)
        outputs += self._to_filled(self.reserving.tick(now))
        outputs += self._to_filled(self.neighbours.tick(now))
        outputs += self._periodic(now)
        return [o for o in outputs if not isinstance(o, SendFrame) or self._is_filled(o.dpid)]

    def _periodic(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        if now >= self._advertise:
            self._advertise = now + ADVERTISE
            for port in self.map.attachments:
                outputs += advertisement(self.map, port)
        if now >= self._sweep:
            if self._sweep:
                self.pinning.ending.begin_scan()
                outputs += [ReadEntries(d, True) for d in self.map.switches if self._is_filled(d)]
            self._sweep = now + self.policy.timers.sweep
        return outputs
