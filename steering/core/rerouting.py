"""Link weights change, live sessions keep their paths (D-1.d).

A label's path number 0 follows the weights. When they change, what is on its way goes on by another number first,
whose labels lead along the old paths; then number 0 is changed where nobody uses it; then all but the live sessions go
back to 0. So no packet meets both the old path and the new (per-packet consistency by version numbers, Reitblatt and
others 2012), and a live session's flows stay on the old number until they end or a link of it goes. Only switches whose
way to a label's end is another now, and those on their old ways, get rules for that.

All of it is done in the slices of core.pipeline.reconcile, in pieces: one for each old label end at a switch, and one for
each session that keeps its path.

The next stage begins at a tick when all switches have confirmed the one before; a switch that goes away is not waited
for, and after one that was filled anew `STAGE` seconds pass, which is longer than that takes. Packets under way by a
label that is to go have as long.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, TypeVar

from steering.core import inputs
from steering.core.network.graph import Graph
from steering.core.network.old_ways import old_ways
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.old_paths import KeptPaths, LedFlow, Place, Stage, flows_led
from steering.core.outputs import Output, SyncRules
from steering.core.part import Handler, Part
from steering.core.pipeline.pieces import Piece, Rules, keyed
from steering.core.pipeline.reconcile import Reconcile
from steering.core.sessions.flow_key import parts_of
from steering.core.sessions.table import SessionTable
from steering.model.ids import DatapathId, WaypointId
from steering.model.network import PortRef
from steering.model.rules import label_mac

NUMBERS = range(240, 256)  # path numbers of labels; reservations have those below
KEPT = 8_192  # flows, in all: whatever more there is goes by the new paths at once
STAGE = 0.3  # seconds
LOOK = 2.0  # seconds between looks for flows that ended

# Kinds of pieces (core.pipeline.reconcile), with a path number and: the switch where labels end; a session.
LABELS, FLOWS = "old labels", "old flows"
SETTLING = 300  # units of work of a portion of an update of the ways to a switch
AT_ONCE = 50  # sessions or flows looked at in a portion of work

T = TypeVar("T")


class OldPaths(Part):
    """The paths that live sessions keep. Fed by the engine. `disabled`, for a negative control: labels are changed
    at once, under all flows."""

    in_pieces: ClassVar[bool] = True

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
        self.revision_of_labels = 0  # another whenever `labels_out_of` may tell others
        self._waiting: dict[tuple[PortRef, PortRef], float | None] = {}
        self._reconcile = reconcile
        self._look = 0.0
        self._looking = False  # at flows that may have ended
        self._jobs = 0  # of this part, under way
        self._working = False  # a stage's rules have not all left
        self._version = graph.version
        self._ticket = 0
        self._pending: dict[
            DatapathId, int
        ] = {}  # by switch: the last of its changes that it has not confirmed
        self._refilled = False
        reconcile.register_kind(LABELS, self._labels, self._ends_at)
        reconcile.register_kind(FLOWS, self._held, self._sessions_at)

    @property
    def settled(self) -> bool:
        """Whether the weights are in force for all flows that are not kept on old paths."""
        return not self._waiting and self._quiet

    @property
    def _quiet(self) -> bool:
        """Whether no change is under way."""
        return not self._pending and not self._working and all(one.stage is Stage.BACK for one in self.kept)

    def wanted(self, a: PortRef, b: PortRef) -> float | None:
        """The weight that an operator set for a link, in force or waiting; None for the site's own."""
        for pair in ((a, b), (b, a)):
            if pair in self._waiting:
                return self._waiting[pair]
        return self._graph.set_weight(a, b)

    @property
    def flows(self) -> int:
        """How many flows are kept on old paths."""
        return sum(one.flows for one in self.kept)

    def weigh(self, a: PortRef, b: PortRef, weight: float | None, now: float) -> bool:
        """Set another weight for a link, None for the site's own. True if labels may be changed at once. While a
        change is under way the new weight waits; if a link gets several weights meanwhile, only the last is kept."""
        if self._switches.filled() and not (self.settled and self._free_number(now)):
            self._waiting[(a, b)] = weight
            return False
        return self._begin(a, b, weight, now)

    def _begin(self, a: PortRef, b: PortRef, weight: float | None, now: float) -> bool:
        before = self._graph.copy()
        if not self._graph.weigh(a, b, weight):
            return False
        if self._disabled or not self._switches.filled():
            return True
        one = KeptPaths(self._free_number(now), before, now)
        self.kept.append(one)
        self._do(self._find(one))
        return False

    def _free_number(self, now: float) -> int:
        """A path number for the old paths. 0 if none is free: then the oldest flows begin to give theirs up."""
        used = {one.number for one in self.kept}
        free = next((number for number in NUMBERS if number not in used), 0)
        if not free and (oldest := self.kept[0]).led:
            led, oldest.led, oldest.due = oldest.led, {}, now + STAGE
            self._do(self._touch_flows(oldest, list(led)))
        return free

    # ---- work in slices ---------------------------------------------------------------------------

    def _do(self, job: Iterator[int]) -> None:
        """Have work done in slices; the next stage waits for what it changes."""

        def counted() -> Iterator[int]:
            yield from job
            self._jobs -= 1

        self._jobs += 1
        self._working = True
        self._reconcile.work(counted())

    def _find(self, one: KeptPaths) -> Iterator[int]:
        """The old ways that are to be kept; their labels begin to leave while others are looked for."""
        assert one.before is not None, "the ways were let go"
        for end in list(self._map.switches):
            for paths in (one.before.paths, self._graph.paths):
                while not paths.advance(end):
                    yield SETTLING
            found = old_ways(one.before, self._graph, end)
            if found is not None:
                one.ways[end] = found
                self._reconcile.touch((LABELS, one.number, end), found.ports)
            yield 4 + (len(found.ports) if found is not None else 0)
        self.revision_of_labels += 1
        if not one.ways:
            one.stage, one.before = Stage.BACK, None
            self.kept.remove(one)
            self.changed = True  # distances may be others

    def _touch_labels(self, one: KeptPaths, everywhere: bool) -> Iterator[int]:
        """Rules of the old labels are others in another stage: `everywhere`, or where traffic leaves the old number."""
        for end, ways in one.ways.items():
            dpids = ways.ports if everywhere else ways.left
            self._reconcile.touch((LABELS, one.number, end), dpids)
            yield len(dpids)

    def _touch_flows(self, one: KeptPaths, places: list[Place]) -> Iterator[int]:
        for dpid, session in places:
            self._reconcile.touch((FLOWS, one.number, session), (dpid,))
            yield 1

    def _take(self, one: KeptPaths) -> Iterator[int]:
        """Keep live flows on the old path if their path has changed, until there is no more room."""
        assert one.before is not None, "the ways were let go"
        held = {
            (f.session, f.key, f.leg.pair) for other in self.kept for led in other.led.values() for f in led
        }
        room = KEPT - len(held)
        after: int | None = 0
        while after is not None and room > 0:
            sessions, after = self._table.order.following(after)
            yield 4  # nobody may live where was looked
            for some in batched(sessions):
                flows = [
                    flow
                    for session in some
                    if session.id in self._table.by_id  # not ended while others had their turn
                    for flow in flows_led(self._map, self._graph, one.before, session)
                    if (flow.session, flow.key, flow.leg.pair) not in held
                ][:room]
                for flow in flows:
                    place = (flow.leg.pair[0], flow.session)
                    one.led.setdefault(place, []).append(flow)
                    self._reconcile.touch((FLOWS, one.number, flow.session), place[:1])
                room -= len(flows)
                yield 4 * len(some)
        before, one.before = one.before, None
        while before.paths.forget_one():
            yield 4

    # ---- time -----------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Output]:
        """The next stage, where all is confirmed; `changed` is set when path number 0 is to follow the weights now."""
        if not self.kept and not self._waiting:
            return []
        self._pending = {d: ticket for d, ticket in self._pending.items() if self._switches.is_filled(d)}
        done = not self._pending and not self._working
        refilled, self._refilled = self._refilled, False
        for one in self.kept:
            if refilled and one.stage is not Stage.BACK:
                one.due = now + STAGE
            if one.stage is not Stage.BACK and done and now >= one.due:
                self._go_to(one, Stage(one.stage + 1), now)
        if now >= self._look or self._version != self._graph.version or self._waiting:
            self._look, self._version = now + LOOK, self._graph.version
            self._forget(now)
        if self._waiting and self._quiet and self._free_number(now):
            (a, b), weight = next(iter(self._waiting.items()))
            del self._waiting[(a, b)]
            self._follow(self._begin(a, b, weight, now))
        return []

    def _go_to(self, one: KeptPaths, stage: Stage, now: float) -> None:
        one.stage = stage
        one.due = now + STAGE if stage is Stage.BACK else now
        if stage is Stage.ASIDE:
            self._do(self._take(one))
        self._follow(stage is Stage.SWITCHED)
        if stage is not Stage.SWITCHED:
            self._do(self._touch_labels(one, False))

    def _follow(self, now: bool) -> None:
        """Path number 0 follows the new weights, in slices that switches confirm."""
        self._working |= now
        self.changed |= now

    def synced(self, outputs: list[Output], finished: bool) -> list[Output]:
        """Ask for confirmation of what leaves while a stage is under way: the next one waits for it."""
        if not self._working:
            return outputs
        self._working = not finished
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

    def _forget(self, now: float) -> None:
        """Give up flows that ended, that come in elsewhere, or that lost a link. Their labels go a moment after the
        last flow."""
        if self._looking:
            return
        for one in list(self.kept):
            if one.led:
                self._looking = True
                self._reconcile.work(self._look_at(one, now))
            elif one.stage is Stage.BACK and now >= one.due and not self._pending and not self._working:
                self.kept.remove(one)
                self.revision_of_labels += 1
                self._do(self._touch_labels(one, True))

    def _look_at(self, one: KeptPaths, now: float) -> Iterator[int]:
        for places in batched(list(one.led)):
            for place in places:
                flows = one.led.get(place, [])
                left = [
                    flow for flow in flows if self._lives(flow) and all(map(self._graph.leads, flow.ports))
                ]
                if len(left) == len(flows):
                    continue
                if left:
                    one.led[place] = left
                else:
                    del one.led[place]
                self._reconcile.touch((FLOWS, one.number, place[1]), place[:1])
                one.due = max(one.due, now + STAGE) if one.stage is Stage.BACK else one.due
            yield 2 * len(places)
        self._looking = False

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

    def filled(self, dpid: DatapathId) -> None:
        self._pending.pop(dpid, None)
        self._refilled = bool(self.kept)

    def labels_out_of(self, port: PortRef) -> Iterator[str]:
        """Labels of kept paths that leave by a port: they share its link with all that is not reserved."""
        for one in self.kept:
            for end, ways in one.ways.items():
                if ways.ports.get(port.dpid) == port.port:
                    for attachment in self._map.at_switch.get(end, ()):
                        yield label_mac(attachment.waypoint.id, one.number)

    def _ends_at(self, dpid: DatapathId) -> Iterator[Piece]:
        for one in self.kept:
            for end, ways in one.ways.items():
                if dpid in ways.ports:
                    yield (LABELS, one.number, end)

    def _sessions_at(self, dpid: DatapathId) -> Iterator[Piece]:
        for one in self.kept:
            for at, session in one.led:
                if at == dpid:
                    yield (FLOWS, one.number, session)

    def _of(self, number: object) -> KeptPaths | None:
        return next((one for one in self.kept if one.number == number), None)

    def _labels(self, dpid: DatapathId, piece: Piece) -> Rules:
        """Labels of one number, by the switch where they end."""
        one = self._of(piece[1])
        if one is None:
            return {}
        end = DatapathId(int(piece[2]))
        waypoints = [attachment.waypoint.id for attachment in self._map.at_switch.get(end, ())]
        return keyed(one.label_rules(dpid, end, waypoints, self._epochs[dpid]))

    def _held(self, dpid: DatapathId, piece: Piece) -> Rules:
        """What leads one session's flows that begin at a switch."""
        one = self._of(piece[1])
        flows = [] if one is None else one.led.get((dpid, int(piece[2])), [])
        return keyed(
            rule
            for flow in flows
            for rule in flow.rules(int(piece[1]), self._labels_of(flow), self._epochs[dpid])
        )

    def _labels_of(self, flow: LedFlow) -> set[WaypointId]:
        """Waypoints of labels that a flow may have where its leg begins: on the way to servers a label of another
        gateway is one of the new paths too."""
        labels = {WaypointId(flow.target)}
        if flow.leg.upward and not flow.leg.host:
            target = parts_of(flow.key).destination
            labels |= {self._map.attachments[port].waypoint.id for port in self._map.exits_to(target)}
        return labels


def batched(items: list[T]) -> Iterator[list[T]]:
    """Some at a time."""
    return (items[at : at + AT_ONCE] for at in range(0, len(items), AT_ONCE))
