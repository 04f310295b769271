"""The engine, which alone changes the controller's state. It takes an input and the time, and returns outputs. It does no
I/O and has no clock."""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable

from steering.core import inputs
from steering.core.assembly import Ingredients, SessionPieces
from steering.core.conditions import Conditions
from steering.core.counter_sweep import CounterSweep
from steering.core.counters import Counters
from steering.core.features import FEATURES, SharedPieces
from steering.core.host_messages import HostMessages
from steering.core.long_work import LongWork, Work
from steering.core.network.dhcp_leases import DhcpLeases
from steering.core.network.graph import Graph
from steering.core.network.links import BelievedLinks
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switch, Switches, make_room
from steering.core.outputs import FillSwitch, Output, ReadEntries, SendFrame, SyncRules
from steering.core.part import ALWAYS, NEVER, Handler, McpsChange, Parts, Turn
from steering.core.pipeline.base_rules import BaseRules
from steering.core.pipeline.host_rules import HostRules
from steering.core.pipeline.resync import Resync
from steering.core.pipeline.vlans import tagged
from steering.core.port_states import PortStates
from steering.core.rerouting import OldPaths
from steering.core.reservations.service import ReservationService
from steering.core.restart.kept_sessions import KeptSessions
from steering.core.restart.readback import EntrySelection, Recovery, all_own
from steering.core.selection.chooser import Chooser
from steering.core.selection.kept_mcps import KeptMcps
from steering.core.selection.mcp_probes import McpProbes
from steering.core.sessions.host_mobility import HostMobility
from steering.core.sessions.leg_errors import LegErrors
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.core.supervision.alarms import Alarms
from steering.core.supervision.expected_things import ExpectedThings
from steering.core.supervision.long_links import LongLinks
from steering.model.ids import DatapathId, Token
from steering.model.mechanism import Mechanism
from steering.model.network import PortRef, Site, with_mcps
from steering.model.policy import Policy

# After a start, tokens do not count as unknown until the entries of all switches were read. If a switch never connects,
# this ends after so many seconds, or after four times as many while entries that were read are still being taken over.
RECOVERY = 15.0


class Engine:
    """The controller's engine. `handle` is the only way to change it. `disabled` names mechanisms (model.mechanism) that
    are off for negative controls. Raises ValueError for an unknown name."""

    def __init__(
        self,
        site: Site,
        policy: Policy,
        *,
        epoch: int,
        counters: Counters | None = None, disabled: Iterable[str] = (),
        elsewhere: Callable[[DatapathId], bool] = lambda dpid: False,
    ) -> None:  # fmt: skip
        """`elsewhere` returns whether another controller decides for a switch and supervises it."""
        off = frozenset(map(Mechanism, disabled))
        self.site, self.policy, self.epoch = site, policy, epoch & 0xFFFF
        self.counters = counters or Counters()
        self.map = SiteMap(site)
        self.graph = Graph(site)
        self.switches = Switches()
        # Each filling of a switch has its own epoch, so that rules left over from an earlier filling can be recognised.
        self._epochs: dict[DatapathId, int] = defaultdict(lambda: self.epoch)
        self.neighbours = Neighbours(
            self.map, policy.limits, HostRules(self._epochs, off), off, self.counters
        )
        self.links = BelievedLinks(self.map, self.graph, self.switches, self._is_elsewhere)
        self.chooser = Chooser(self.map, policy, self.graph, self.neighbours)
        self.probes = McpProbes(
            self.map, self.neighbours, self.switches, self.chooser.health, self.counters, self.links.cables.is_off,
            self._is_elsewhere, Mechanism.MCP_PROBES not in off,
        )  # fmt: skip
        # Everything about sessions. `handshakes` gets every segment that switches send.
        self.sessions = pieces = SessionPieces(Ingredients(
            self.map, policy, self.chooser, self.counters, off, self._epochs, self.neighbours, self.graph,
            self._new_table(), self._knows_every_token, self._sees_every_subflow, self._may_live,
        ))  # fmt: skip
        self._leg_errors = LegErrors(pieces.table, self.counters, Mechanism.ICMP_ERRORS in off)
        self.handshakes = pieces.dispatcher
        self.mobility = HostMobility(self.map, pieces.table, self.neighbours)
        self.authorising, self.preferring = pieces.authorisation, pieces.preferring
        self._elsewhere, self._recover_until, self._unread = elsewhere, NEVER, set(self.map.switches)
        self.works = LongWork()
        self.parts = self._make_parts(off)
        self.resync = Resync(self.parts, self.reconcile, self._filled)
        self.ports = PortStates(
            self.map, self.switches, self.links, self.neighbours, self.chooser, self.preferring, self.resync
        )
        self._handlers = self._handlers_of_inputs()

    def _make_parts(self, off: frozenset[Mechanism]) -> Parts:
        """Make rules, reservations, the state that outlives a restart, and supervision."""
        pieces, policy = self.sessions, self.policy
        self.natural = BaseRules(
            self.map, policy, self.graph, self.switches, self._epochs, off, self.authorising
        )
        self.reconcile = self.natural.reconcile
        self.old_paths = OldPaths(
            self.map, self.graph, pieces.table, self._epochs, self.switches, self.reconcile, Mechanism.OLD_PATHS in off
        )  # fmt: skip
        self.reserving = ReservationService(
            self.map, policy, self.graph, pieces.table, pieces.slots, self.counters, self._epochs,
            self.old_paths.labels_out_of, lambda: self.old_paths.revision_of_labels, self.reconcile, Mechanism.RESERVATIONS in off,
        )  # fmt: skip
        self.recovery = Recovery(
            self.map, pieces.table, pieces.life, self.counters, pieces.half_open.put_back, self.chooser.names_of,
            Mechanism.READ_BACK in off,
        )  # fmt: skip
        self.kept_sessions = KeptSessions(
            self.map, pieces.table, pieces.life, pieces.proactive, pieces.learned, self.counters
        )
        self.kept_mcps = KeptMcps(self.map, self.chooser.health, self.probes, self._sees_every_subflow())
        self.dhcp_leases = DhcpLeases(self.map, self.neighbours, self.counters, self.mobility.moved)
        self.presence = ExpectedThings(
            self.map, self.graph, self.switches, lambda: self.chooser.excluded, self._is_elsewhere
        )
        long_links = LongLinks(self.map, self.counters)
        self.alarms = Alarms(
            self.map, policy, self.presence, self.counters, pieces.sizes, pieces.sick.bad, self.chooser.why_gone,
            long_links.named,
        )  # fmt: skip
        shared = SharedPieces(
            self.map, policy, self.graph, self.switches, pieces.table, self.counters, self._epochs, off, self.neighbours
        )  # fmt: skip
        return self._in_order(shared, long_links)

    def _in_order(self, shared: SharedPieces, long_links: LongLinks) -> Parts:
        """All parts, in the order in which they are called. A part that depends on no other is registered in
        core.features."""
        pieces = self.sessions
        sweep = CounterSweep(
            self.map,
            self.policy,
            self.switches,
            pieces.teardown,
            self.preferring,
            pieces.reports,
            pieces.counted,
        )
        return Parts(
            (
                self.links,  # first at a tick and at a restart, because all others use the graph
                self.kept_sessions,  # restores sessions before the parts that look for sessions
                self.probes,  # their results go into the chooser
                self.kept_mcps,
                self.chooser,  # before the parts that choose by the new policy, MCPs, or health
                self.authorising,  # its lists come before proactive insertion, which a list forbids
                self.sessions.proactive,  # its exact entries leave before rules that lead elsewhere
                *(make(shared) for make in FEATURES),  # their rules leave with the same tick
                self.old_paths,  # gives the old paths labels before path number 0 follows new weights
                # Rules are sent when all parts that change them have had their tick.
                Turn(lambda now: self.works.resume(now) + self.resync.tick(now), lambda: ALWAYS),
                self.recovery,
                # Recovery may end only after that, because restored sessions need the current links and rules.
                Turn(self._recovered_late, lambda: self._recover_until),
                *self.sessions.parts(),
                self.preferring,  # sends intents about sessions as handshakes left them
                self.sessions.reports,
                self.sessions.teardown,
                self.sessions.half_open,
                self.reserving,  # sees which sessions are over
                self.dhcp_leases,
                long_links,
                self.mobility,  # takes settled claims before neighbours are asked again
                self.neighbours,
                sweep,
                self.natural,
                self.presence,  # after all parts that can change what is present
                self.alarms,
            )
        )

    def _handlers_of_inputs(self) -> dict[type, Handler]:
        """The handler of each kind of input. A part names the inputs that it alone takes (Part.takes)."""
        conditions = Conditions(self.map, self.graph, self.chooser, self.probes, self.preferring)
        hosts = HostMessages(
            self.map, self.switches, self.neighbours, self.chooser, self.mobility, self._leg_errors
        )
        own: dict[type, Handler] = {
            **self.sessions.segments(),
            **hosts.handlers(),
            inputs.SwitchUp: self._switch_up,
            inputs.SwitchDown: self._switch_down,
            inputs.PortStatus: self._port_status,
            inputs.LinkUp: self.ports.link_up,
            inputs.LinkDown: self.ports.link_down,
            inputs.EntriesRead: self._entries_read,
            inputs.GroupsRefused: self._groups_refused,
            inputs.PolicyReplaced: self._policy_replaced,
            inputs.McpsReplaced: self._mcps_replaced,
            inputs.McpAdmin: conditions.mcp_admin,
            inputs.McpReport: conditions.mcp_report,
            inputs.McpSessions: self.handshakes.reported,
            inputs.PortLoad: conditions.port_load,
            inputs.AccessChanged: conditions.access_changed,
            inputs.AbortSession: self._abort,
            inputs.Authorised: self.handshakes.authorised,
            inputs.AclReplaced: self._list_replaced,
            inputs.RegistryReplaced: self._list_replaced,
            inputs.PairingsReplaced: self._list_replaced,
            inputs.Restored: self._restored,
            inputs.TimeOfDay: conditions.time_of_day,
            inputs.LinkWeighed: self._link_weighed,
            inputs.Continue: self._go_on,
            inputs.Tick: self._tick,
        }
        return own | {given: self._filtered(take) for given, take in self.parts.takes().items()}

    def _go_on(self, given: inputs.Continue, now: float) -> list[Output]:
        """A slice of each long task."""
        begun = self.works.go_on(now) + self.resync.go_on()
        return begun + self.sessions.half_open.go_on(now) + self.preferring.go_on()

    def _filtered(self, take: Handler) -> Handler:
        return lambda given, now: self.switches.to_filled(take(given, now))

    def handle(self, given: inputs.Input, now: float) -> list[Output]:
        """Take one input at time `now` (seconds, monotonic), and return the outputs that have to be carried out."""
        outputs = self._handlers[type(given)](given, now)
        return tagged(outputs, self.map.line_of) if self.map.carried else outputs

    # ---- overridden where a site has several controllers (core.clustered_engine) ------------------

    def _new_table(self) -> SessionTable:
        return SessionTable(self.policy.limits, self.map.mcps, self.map.hosts_move, self.map.origin_of)

    def _knows_every_token(self, token: Token, now: float) -> bool:
        """Whether a token that this engine does not know belongs to no session at all."""
        return True

    def _sees_every_subflow(self) -> bool:
        """Whether all subflows of a session are at switches that this engine decides for."""
        return True

    def _may_live(self, session: Session, since: float) -> bool:
        """Whether a lingering session may have had traffic since a time, on a subflow that this engine does not know."""
        return False

    def _is_elsewhere(self, dpid: DatapathId) -> bool:
        """Whether another controller decides for a switch and supervises it."""
        return self._elsewhere(dpid)

    def _own(self, read: inputs.EntriesRead) -> Generator[int, float, EntrySelection]:
        """Selects, of the entries that were read from a switch, those that belong to sessions of this engine."""
        return all_own(read)

    # ---- the operator and the MCPs --------------------------------------------------------------

    def _policy_replaced(self, replaced: inputs.PolicyReplaced, now: float) -> list[Output]:
        """Put another policy in force at once. The next SYN is decided by it. Live sessions keep their MCP."""
        self.policy = replaced.policy
        told = self.parts.policy_replaced(self.policy, now)
        self.chooser.refresh(now)  # the new policy may avoid other MCPs
        return self.switches.to_filled(told) + self.resync.begin()

    def _mcps_replaced(self, given: inputs.McpsReplaced, now: float) -> list[Output]:
        """Put another set of MCPs in force at once (D-6.7.7). A new MCP gets SYNs as soon as it answers probes. The sessions
        and entries of MCPs that stay are not touched."""
        before, known, edges = self.map.attachments, self.map.mcps, self.map.switches
        self.site = with_mcps(self.site, given.mcps, given.switches, given.numbers)
        self.map.replace(self.site)
        for dpid, switch in self.switches.items():
            switch.ports = self.map.with_carried(dpid, switch.ports)
        self.graph.replace(self.site)
        change = McpsChange.between(before, known, self.map.mcps, self.switches.is_down)
        offline = self.sessions.readiness.offline
        offline -= edges - self.map.switches
        offline |= {d for d in self.map.switches - edges if not self.switches.is_filled(d)}
        told = self.parts.mcps_changed(change, now)
        self.chooser.refresh(now)
        return self.switches.to_filled(told) + self.resync.begin()

    def _abort(self, given: inputs.AbortSession, now: float) -> list[Output]:
        session = self.sessions.table.by_id.get(given.session)
        return [] if session is None else self.sessions.aborted.abort(session, now)

    def _list_replaced(
        self, given: inputs.AclReplaced | inputs.RegistryReplaced | inputs.PairingsReplaced, now: float
    ) -> list[Output]:
        self.authorising.take(given)
        self.natural.list_replaced(given)
        return self.resync.begin()

    def _link_weighed(self, given: inputs.LinkWeighed, now: float) -> list[Output]:
        """Decisions use a link's new weight from now on. Labels follow in the stages of core.rerouting (D-1.d)."""
        at_once = self.old_paths.weigh(given.a, given.b, given.weight, now)
        return self.resync.begin() if at_once else []

    # ---- switches -------------------------------------------------------------------------------

    def _switch_up(self, up: inputs.SwitchUp, now: float) -> list[Output]:
        forgotten = make_room(self.switches, up.dpid, self.map.switches)
        if forgotten is not None:
            self.natural.forget(forgotten)
        switch = self.switches.setdefault(up.dpid, Switch())
        before = switch.ports if switch.fills else {}
        self.works.stop(up.dpid)
        if up.dpid in self.map.switches:
            self.sessions.readiness.connected_at[up.dpid] = now
        switch.came_up(up.speeds, up.names)
        switch.ports = self.map.with_carried(up.dpid, up.ports)
        self.resync.forget(up.dpid)
        if self._recover_until == NEVER:
            self._recover_until = now + RECOVERY
            self.kept_mcps.reachable(now)
            self.sessions.dead.reachable(now)
        # A port that the switch had before, and does not describe now, was removed while the switch was away.
        gone = {number: False for number in before if number not in switch.ports}
        self.reserving.told_speeds(up.dpid, dict.fromkeys(gone, 0) | dict(up.speeds))
        self.links.switch_up(up.dpid, {**gone, **up.ports}, now)
        outputs: list[Output] = []
        # No PortStatus came while the switch was away.
        for number, is_up in (gone | switch.ports).items():
            outputs += self.ports.of_attachment(PortRef(up.dpid, number), is_up, now)
        return [*outputs, ReadEntries(up.dpid)]

    def _port_status(self, status: inputs.PortStatus, now: float) -> list[Output]:
        if status.speed or status.gone:
            self.reserving.told_speeds(status.dpid, {status.port: 0 if status.gone else status.speed})
        return self.ports.status(status, now)

    def _switch_down(self, down: inputs.SwitchDown, now: float) -> list[Output]:
        switch = self.switches.get(down.dpid)
        if switch is not None:
            # The switch goes on forwarding without the controller: its links and sessions stay as they are.
            switch.connected = switch.filled = False
            self.works.stop(down.dpid)
            self.resync.stop_filling(down.dpid)
            if down.dpid in self.map.switches:
                self.sessions.readiness.offline.add(down.dpid)
        return []

    def _entries_read(self, read: inputs.EntriesRead, now: float) -> list[Output]:
        if not self.switches.is_connected(read.dpid):
            return []
        routes = [o for host in read.hosts for o in self.switches.to_filled(self.neighbours.adopt(host, now))]
        self.chooser.refresh(now)
        return [*routes, *self.works.begin(read.dpid, self._take_over(read), now)]

    def _take_over(self, read: inputs.EntriesRead) -> Work:
        yield 0
        own = yield from self._own(read)
        compared, now = yield from self.recovery.told(read, own, read.dpid in self._unread)
        self._unread.discard(read.dpid)
        found = self._recovered(now) if not self._unread else []
        switch = self.switches[read.dpid]
        if switch.fills:
            self._epochs[read.dpid] = self._epochs[read.dpid] + 1 & 0xFFFF
        elif read.epoch is not None:
            self._epochs[read.dpid] = read.epoch
        switch.fills += 1
        return [*found, *self.resync.fill(read.dpid, compared)]

    def _filled(self, dpid: DatapathId) -> FillSwitch:
        """The order to fill a switch, as soon as all of its rules are made."""
        self.sessions.readiness.offline.discard(dpid)
        missing, stale = self.recovery.to_change(dpid)
        forwarding, admission = self.reconcile.held(dpid)
        groups = self.reconcile.groups_held(dpid)
        others = self.parts.filling(dpid)
        self.switches[dpid].filled = True
        return FillSwitch(
            dpid, others.meters, forwarding + others.forwarding, missing, stale, admission + others.admission,
            self._epochs[dpid], groups,
        )  # fmt: skip

    def _groups_refused(self, refused: inputs.GroupsRefused, now: float) -> list[Output]:
        """A switch supports no groups. From now on its traffic is rerouted by the controller alone."""
        switch = self.switches.get(refused.dpid)
        if switch is None or not switch.takes_groups:
            return []
        switch.takes_groups = False
        self.reconcile.groups_refused(refused.dpid)
        return self.resync.begin()

    def _recovered(self, now: float) -> list[Output]:
        if not self.sessions.readiness.recovering:
            return []
        self.sessions.readiness.recovering = False
        return self.parts.recovered(now)

    def _recovered_late(self, now: float) -> list[Output]:
        is_waited_for = now < self._recover_until + 3 * RECOVERY and self.works.has_any(self._unread)
        return [] if is_waited_for else self._recovered(now)

    def _restored(self, given: inputs.Restored, now: float) -> list[Output]:
        """Restore the kept state of an earlier controller, before any switch connects."""
        self.counters.not_restored.update(self.parts.restore(given.kept, now))
        return []

    # ---- time -----------------------------------------------------------------------------------

    def _tick(self, tick: inputs.Tick, now: float) -> list[Output]:
        """Called some twenty times a second: time-outs, and changes that were collected."""
        return [
            output
            for output in self.parts.tick(now)
            if not isinstance(output, SendFrame | SyncRules) or self.switches.is_filled(output.dpid)
        ]
