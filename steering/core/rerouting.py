"""Link weights change, live sessions keep their paths (D-1.d).

A label's path number 0 follows the weights. When they change, what is on its way goes on by another number first,
whose labels lead along the old paths; then number 0 is changed where nobody uses it; then all but the live sessions go
back to 0. So no packet meets both the old path and the new (per-packet consistency by version numbers, Reitblatt and
others 2012), and a live session's flows stay on the old number until they end or a link of it goes.

The next stage begins at a tick when all switches have confirmed the one before; a switch that goes away is not waited
for, and after one that was filled anew `STAGE` seconds pass, which is longer than that takes. Packets under way by a
label that is to go have as long.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import ClassVar, NamedTuple

from steering.core import inputs
from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output, SyncRules
from steering.core.part import DesiredRules, Handler, Part
from steering.core.pipeline.ingress_guard import match
from steering.core.pipeline.priorities import ASIDE, HELD, LABELLED
from steering.core.pipeline.reconcile import Reconcile
from steering.core.reservations.record import PathLeg, legs_of_session
from steering.core.reservations.rules import five_tuple
from steering.core.sessions.flow_key import FlowKey, parts_of
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.ids import DatapathId, WaypointId
from steering.model.network import PortRef
from steering.model.rules import (
    WAYPOINT_MASK,
    OutputAction,
    Rule,
    RuleKey,
    SetField,
    Table,
    label_mac,
    static_cookie,
)

NUMBERS = range(240, 256)  # path numbers of labels; reservations have those below
KEPT = 8_192  # flows, in all: whatever more there is goes by the new paths at once
STAGE = 0.3  # seconds
LOOK = 2.0  # seconds between looks for flows that ended

PIECE = "old paths"  # of rules, in core.pipeline.reconcile

Wanted = dict[DatapathId, dict[RuleKey, Rule]]


class Stage(IntEnum):
    LABELS = 0  # the old paths have labels of their own
    ASIDE = 1  # all traffic goes by them, and live flows for good
    SWITCHED = 2  # number 0 follows the new weights
    BACK = 3  # all but live flows go by it


class LedFlow(NamedTuple):
    """One direction of one subflow, on one leg: led by its own entry where the leg begins."""

    session: int
    key: FlowKey  # the subflow's
    leg: PathLeg
    target: int  # the waypoint it is led to
    ports: tuple[PortRef, ...]  # what its path leaves by, in order


class KeptPaths:
    """The old paths of one change. `graph` is as it was before; `waypoints` those whose labels led elsewhere."""

    def __init__(self, number: int, graph: Graph, waypoints: frozenset[WaypointId], due: float) -> None:
        self.number, self.graph, self.waypoints = number, graph, waypoints
        self.stage = Stage.LABELS
        self.due = due
        self.flows: list[LedFlow] = []


class OldPaths(Part):
    """The paths that live sessions keep. Fed by the engine. `disabled`, for a negative control: labels are changed
    at once, under all flows."""

    sends_changes: ClassVar[bool] = True

    def __init__(
        self,
        sitemap: SiteMap,
        graph: Graph,
        table: SessionTable,
        epochs: Mapping[DatapathId, int],
        switches: Switches,
        reconcile: Reconcile,
        disabled: bool = False,
    ) -> None:
        self._map = sitemap
        self._graph = graph
        self._table = table
        self._epochs = epochs
        self._switches = switches
        self._disabled = disabled
        self.kept: list[KeptPaths] = []
        self._waiting: dict[tuple[PortRef, PortRef], float | None] = {}
        self._reconcile = reconcile
        self._look = 0.0
        self._dirty = False  # rules have to be compared
        self._version = graph.version
        self._ticket = 0
        self._pending: dict[DatapathId, int] = {}  # the last change of a switch that it has not confirmed
        self._refilled = False
        self._follow = False  # number 0 follows the new weights, in stages that switches confirm

    @property
    def settled(self) -> bool:
        """Whether the weights are in force for all flows that are not kept on old paths."""
        return not self._waiting and self._quiet

    @property
    def _quiet(self) -> bool:
        """Whether no change is under way."""
        return not self._pending and all(one.stage is Stage.BACK for one in self.kept)

    def wanted(self, a: PortRef, b: PortRef) -> float | None:
        """The weight that an operator set for a link, in force or waiting; None for the site's own."""
        for pair in ((a, b), (b, a)):
            if pair in self._waiting:
                return self._waiting[pair]
        return self._graph.set_weight(a, b)

    @property
    def flows(self) -> int:
        """How many flows are kept on old paths."""
        return sum(len(one.flows) for one in self.kept)

    def weigh(self, a: PortRef, b: PortRef, weight: float | None, now: float) -> bool:
        """Set another weight for a link, None for the site's own. True if labels may be changed at once. While a
        change is under way the new weight waits; if a link gets several weights meanwhile, only the last is kept."""
        dpids = tuple(self._switches.filled())
        if dpids and not (self.settled and self._free_number(now)):
            self._waiting[(a, b)] = weight
            return False
        return self._begin(a, b, weight, dpids, now)

    def _begin(
        self, a: PortRef, b: PortRef, weight: float | None, dpids: tuple[DatapathId, ...], now: float
    ) -> bool:
        before = self._graph.copy()
        if not self._graph.weigh(a, b, weight):
            return False
        changed = self._changed(before, dpids)
        if self._disabled or not changed:
            return True
        self.kept.append(KeptPaths(self._free_number(now), before, changed, now))
        self._dirty = True
        return False

    def _changed(self, before: Graph, dpids: Iterable[DatapathId]) -> frozenset[WaypointId]:
        """Waypoints that some switch forwards to by another port than before."""
        filled = set(dpids)
        moved = {
            end
            for end in self._map.switches
            if any(
                before.next_hop(dpid, end) != self._graph.next_hop(dpid, end)
                for dpid in self._graph.paths.moved(end) & filled
            )
        }
        return frozenset(
            a.waypoint.id for a in self._map.attachments.values() if a.waypoint.port.dpid in moved
        )

    def _free_number(self, now: float) -> int:
        """A path number for the old paths. 0 if none is free: then the oldest flows begin to give theirs up."""
        used = {one.number for one in self.kept}
        free = next((number for number in NUMBERS if number not in used), 0)
        if not free and (oldest := self.kept[0]).flows:
            oldest.flows, oldest.due, self._dirty = [], now + STAGE, True
        return free

    # ---- time -----------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Output]:
        """Changes for switches that are filled; `changed` is set when path number 0 is to follow the weights now."""
        if not self.kept and not self._waiting:
            return []
        follow = False
        dpids = tuple(self._switches.filled())
        self._pending = {dpid: ticket for dpid, ticket in self._pending.items() if dpid in dpids}
        done = not self._dirty and not self._pending and not self._follow
        refilled, self._refilled = self._refilled, False
        for one in list(self.kept):
            if refilled and one.stage is not Stage.BACK:
                one.due = now + STAGE
            if one.stage is not Stage.BACK and done and now >= one.due:
                one.stage = Stage(one.stage + 1)
                one.due = now + STAGE if one.stage is Stage.BACK else now
                self._dirty = True
                if one.stage is Stage.ASIDE:
                    self._take(one)
                follow |= one.stage is Stage.SWITCHED
        if now >= self._look or self._version != self._graph.version or self._waiting:
            self._look, self._version = now + LOOK, self._graph.version
            self._forget(now)
        if self._waiting and self._quiet and self._free_number(now):
            (a, b), weight = next(iter(self._waiting.items()))
            del self._waiting[(a, b)]
            follow |= self._begin(a, b, weight, dpids, now)
        self._follow |= follow
        self.changed |= follow
        return self._asked(self._sync(dpids))

    def synced(self, outputs: list[Output], finished: bool) -> list[Output]:
        """Path number 0 follows the weights, slice by slice. All slices are confirmed before the next stage as
        well."""
        follow, self._follow = self._follow, self._follow and not finished
        return self._asked(outputs) if follow else outputs

    def _asked(self, outputs: list[Output]) -> list[Output]:
        """Ask for confirmation of these changes, which the next stage waits for."""
        self._ticket += 1
        found: list[Output] = []
        for output in outputs:
            if isinstance(output, SyncRules):
                output = output._replace(confirm=self._ticket)
                self._pending[output.dpid] = self._ticket
            found.append(output)
        return found

    def takes(self) -> Mapping[type[inputs.Input], Handler]:
        return {inputs.Confirmed: self.confirmed}

    def confirmed(self, given: inputs.Confirmed, now: float) -> list[Output]:
        """A switch confirmed a change. The next tick sees whether all have."""
        if self._pending.get(given.dpid) == given.ticket:
            del self._pending[given.dpid]
        return []

    def _take(self, one: KeptPaths) -> None:
        """Keep live flows on the old path if their path has changed, until there is no more room."""
        room = KEPT - self.flows
        held = {(f.session, f.key, f.leg.pair) for other in self.kept for f in other.flows}
        for session in self._table:
            for flow in self._of_session(one, session):
                if len(one.flows) >= room:
                    return
                if (flow.session, flow.key, flow.leg.pair) not in held:
                    one.flows.append(flow)

    def _of_session(self, one: KeptPaths, session: Session) -> Iterator[LedFlow]:
        if session.mcp not in self._map.mcps or not session.subflows or session.reverse:
            return
        target = session.flow.destination
        addressed = not self._map.exits_to(target)  # explicit mode: nobody knows where its server is
        exits = self._map.exits_to(target) or self._map.site.gateways[0].ports
        mcp = self._map.mcps[session.mcp]
        exit_ = min(exits, key=lambda p: (one.graph.natural_cost(mcp.outside.dpid, p.dpid), p))
        places = tuple((s.key, s.dpid) for s in session.subflows)
        for leg in legs_of_session(self._map, mcp, session.first, places, exit_):
            if addressed and not leg.host:
                continue
            ports = self._ports(one.graph, *leg.pair)
            if not ports or ports == self._ports(self._graph, *leg.pair):
                continue
            near = leg.pair[0] if leg.upward else leg.pair[1]
            keys = [s.key for s in session.subflows if s.dpid == near] if leg.host else [session.first]
            for key in keys:
                for waypoint in leg.waypoints:
                    yield LedFlow(session.id, key, leg, waypoint, ports)

    def _ports(self, graph: Graph, source: DatapathId, target: DatapathId) -> tuple[PortRef, ...]:
        found = []
        for dpid in graph.path(source, target)[:-1]:
            port = graph.next_hop(dpid, target)
            assert port is not None, "a path has no hop"
            found.append(PortRef(dpid, port))
        return tuple(found)

    def _forget(self, now: float) -> None:
        """Give up flows that ended, that come in elsewhere, or that lost a link. Their labels go a moment after the
        last flow."""
        up = {link.a for link in self._graph.links()}
        for one in list(self.kept):
            if one.stage is Stage.BACK and not one.flows:
                if now >= one.due and not self._pending:
                    self.kept.remove(one)
                    self._dirty = True
                continue
            left = [flow for flow in one.flows if self._lives(flow) and up.issuperset(flow.ports)]
            if len(left) != len(one.flows):
                one.flows, self._dirty = left, True
                one.due = max(one.due, now + STAGE) if one.stage is Stage.BACK else one.due

    def _lives(self, flow: LedFlow) -> bool:
        session = self._table.by_id.get(flow.session)
        if session is None:
            return False
        if not flow.leg.host:
            return bool(session.subflows)
        subflow = self._table.flows.get(flow.key)
        near = flow.leg.pair[0] if flow.leg.upward else flow.leg.pair[1]
        return subflow is not None and subflow.dpid == near

    # ---- switches -------------------------------------------------------------------------------

    def desired(self, dpid: DatapathId) -> DesiredRules:
        self._pending.pop(dpid, None)
        self._refilled = bool(self.kept)
        wanted = self._wanted({dpid}).get(dpid, {})
        self._reconcile.brought(PIECE, dpid, wanted)
        return DesiredRules(forwarding=tuple(wanted.values()))

    def labels_out_of(self, port: PortRef) -> Iterator[str]:
        """Labels of kept paths that leave by a port: they share its link with all that is not reserved."""
        for one in self.kept:
            for waypoint in one.waypoints:
                end = self._map.by_waypoint[waypoint].waypoint.port.dpid
                if one.graph.next_hop(port.dpid, end) == port.port:
                    yield label_mac(waypoint, one.number)

    def _sync(self, dpids: Iterable[DatapathId]) -> list[Output]:
        outputs: list[Output] = []
        if not self._dirty:
            return outputs
        self._dirty = False
        wanted = self._wanted(dpids)
        for dpid in sorted(wanted):
            change = self._reconcile.brought(PIECE, dpid, wanted[dpid])
            if change is not None:
                outputs.append(change)
        return outputs

    def _wanted(self, dpids: Iterable[DatapathId]) -> Wanted:
        found: Wanted = {dpid: {} for dpid in dpids}
        for one in self.kept:
            for dpid, rules in found.items():
                rules.update((rule.key, rule) for rule in self._labels(one, dpid))
            if one.stage >= Stage.ASIDE:
                for flow in one.flows:
                    rules = found.get(flow.leg.pair[0], {})
                    rules.update((rule.key, rule) for rule in self._held(one, flow))
        return found

    def _labels(self, one: KeptPaths, dpid: DatapathId) -> Iterator[Rule]:
        cookie = static_cookie(self._epochs[dpid])
        for waypoint in sorted(one.waypoints):
            end = self._map.by_waypoint[waypoint].waypoint.port.dpid
            label = label_mac(waypoint, one.number)
            if end == dpid:
                reached = (waypoint, WAYPOINT_MASK)
                yield Rule(
                    Table.LABEL,
                    LABELLED,
                    match(eth_dst=label),
                    goto=Table.HOST,
                    metadata=reached,
                    cookie=cookie,
                )
                continue
            port = one.graph.next_hop(dpid, end)
            if port is None:
                continue
            yield Rule(Table.LABEL, LABELLED, match(eth_dst=label), (OutputAction(port),), cookie=cookie)
            if one.stage in (Stage.ASIDE, Stage.SWITCHED):
                aside = (SetField("eth_dst", label), OutputAction(port))
                yield Rule(Table.LABEL, ASIDE, match(eth_dst=label_mac(waypoint)), aside, cookie=cookie)

    def _held(self, one: KeptPaths, flow: LedFlow) -> Iterator[Rule]:
        """Where a leg begins; on the way to servers a label of another gateway is one of the new paths too."""
        dpid = flow.leg.pair[0]
        fields = five_tuple(flow.key, flow.leg.upward)
        actions = (SetField("eth_dst", label_mac(flow.target, one.number)), OutputAction(flow.ports[0].port))
        labels = {flow.target}
        if flow.leg.upward and not flow.leg.host:
            target = parts_of(flow.key).destination
            labels |= {self._map.attachments[port].waypoint.id for port in self._map.exits_to(target)}
        for waypoint in sorted(labels):
            yield Rule(
                Table.LABEL, HELD, match(**fields, eth_dst=label_mac(waypoint)), actions,
                cookie=static_cookie(self._epochs[dpid]),
            )  # fmt: skip
