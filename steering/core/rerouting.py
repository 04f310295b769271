"""Lets live sessions keep their paths when link weights change (D-1.d).

Labels with path number 0 follow the weights. A change of weights goes through these stages (core.old_paths.Stage):

1. Labels with another path number get rules that lead along the old paths.
2. All traffic changes to that number.
3. The rules of number 0, which now nobody uses, change to the new weights.
4. All traffic but that of live sessions goes back to number 0.

Thus no packet meets both old and new rules (per-packet consistency by version numbers, Reitblatt and others 2012). The
flows of a live session keep the old number until they end, or until a link of their path fails. Only switches whose next
hop to a label's end has changed, and the switches on their old paths, get rules for this.

The work is done in the slices of core.pipeline.reconcile. There is a piece for each old label end at a switch, and a piece
for each session that keeps its path.

A stage begins at a tick, as soon as all switches have confirmed the stage before. A switch that is gone is not waited for.
If a switch was filled anew, `STAGE` seconds pass, which is longer than a filling takes. Rules of an old label also stay for
`STAGE` seconds after their last flow, for packets under way.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, TypeVar

from steering.core import inputs
from steering.core.network.graph import Graph
from steering.core.network.old_ways import old_ways
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.old_paths import KeptPaths, LedFlow, SessionPlace, Stage, flows_led
from steering.core.outputs import Output, SyncRules
from steering.core.part import Handler, Part
from steering.core.pipeline.pieces import PieceName, Rules, keyed
from steering.core.pipeline.reconcile import Reconcile
from steering.core.sessions.flow_key import parts_of
from steering.core.sessions.table import SessionTable
from steering.model.ids import DatapathId, WaypointId
from steering.model.network import PortRef
from steering.model.rules import label_mac

NUMBERS = range(240, 256)  # path numbers for old paths; reservations use those below
KEPT = 8_192  # most flows that keep old paths, in all; further flows use the new paths at once
STAGE = 0.3  # seconds
LOOK = 2.0  # seconds between two searches for flows that ended

# Kinds of pieces (core.pipeline.reconcile). LABELS: by path number and the switch where labels end. FLOWS: by path number
# and session.
LABELS, FLOWS = "old labels", "old flows"
SETTLING = 300  # units of work that one step of updating the paths to a switch counts as
AT_ONCE = 50  # sessions or flows in one portion of work

T = TypeVar("T")


class OldPaths(Part):
    """The old paths that live sessions keep. `disabled`, for a negative control: labels change at once, also for live
    sessions."""

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
        self.revision_of_labels = 0  # changes whenever the result of `labels_out_of` may have changed
        self._waiting: dict[tuple[PortRef, PortRef], float | None] = {}  # weights to be set later, by link
        self._reconcile = reconcile
        self._look = 0.0  # time of the next search for flows that ended
        self._looking = False  # such a search is under way
        self._jobs = 0  # jobs of this part under way
        self._working = False  # not all rules of a stage have been sent
        self._version = graph.version
        self._ticket = 0
        # By switch: the ticket of its last change, if the switch has not confirmed it yet.
        self._pending: dict[DatapathId, int] = {}
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
        """The weight that an operator set for a link, in force or waiting. None: the weight of the site file."""
        for pair in ((a, b), (b, a)):
            if pair in self._waiting:
                return self._waiting[pair]
        return self._graph.set_weight(a, b)

    @property
    def flows(self) -> int:
        """How many flows are kept on old paths."""
        return sum(one.flows for one in self.kept)

    def weigh(self, a: PortRef, b: PortRef, weight: float | None, now: float) -> bool:
        """Set another weight for a link, None for the weight of the site file. Returns True if labels may change at once.

        While a change is under way, the new weight waits. If a link gets several weights meanwhile, only the last counts.
        """
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
        """A free path number. If none is free, the result is 0 and the flows of the oldest change begin to leave their old
        paths."""
        used = {one.number for one in self.kept}
        free = next((number for number in NUMBERS if number not in used), 0)
        if not free and (oldest := self.kept[0]).led:
            led, oldest.led, oldest.due = oldest.led, {}, now + STAGE
            self._do(self._touch_flows(oldest, list(led)))
        return free

    # ---- work in slices ---------------------------------------------------------------------------

    def _do(self, job: Iterator[int]) -> None:
        """Do a job in slices. The next stage waits until its changes are confirmed."""

        def counted() -> Iterator[int]:
            yield from job
            self._jobs -= 1

        self._jobs += 1
        self._working = True
        self._reconcile.work(counted())

    def _find(self, one: KeptPaths) -> Iterator[int]:
        """Find the old paths that have to be kept. The rules of paths already found leave meanwhile."""
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
            self.changed = True  # no path differs, but distances may

    def _touch_labels(self, one: KeptPaths, everywhere: bool) -> Iterator[int]:
        """The rules of the old labels have changed: `everywhere`, or only where traffic changes between the numbers."""
        for end, ways in one.ways.items():
            dpids = ways.ports if everywhere else ways.left
            self._reconcile.touch((LABELS, one.number, end), dpids)
            yield len(dpids)

    def _touch_flows(self, one: KeptPaths, places: list[SessionPlace]) -> Iterator[int]:
        for dpid, session in places:
            self._reconcile.touch((FLOWS, one.number, session), (dpid,))
            yield 1

    def _take(self, one: KeptPaths) -> Iterator[int]:
        """Keep live flows on their old paths if their paths have changed, at most KEPT flows in all."""
        assert one.before is not None, "the ways were let go"
        held = {
            (f.session, f.key, f.leg.pair) for other in self.kept for led in other.led.values() for f in led
        }
        room = KEPT - len(held)
        after: int | None = 0
        while after is not None and room > 0:
            sessions, after = self._table.order.following(after)
            yield 4  # the search itself is work, even if it found no session
            for some in batched(sessions):
                flows = [
                    flow
                    for session in some
                    if session.id in self._table.by_id  # it may have ended between two portions
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
        """Begin the next stage of each change whose current stage is confirmed. `changed` is set when path number 0 has to
        follow the new weights."""
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
        """If `now`: path number 0 follows the new weights, in slices that switches confirm."""
        self._working |= now
        self.changed |= now

    def synced(self, outputs: list[Output], finished: bool) -> list[Output]:
        """Ask switches to confirm the changes that leave during a stage. The next stage waits for the confirmations."""
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
        """A switch confirmed a change. The next tick checks whether all switches have."""
        if self._pending.get(given.dpid) == given.ticket:
            del self._pending[given.dpid]
        return []

    def _forget(self, now: float) -> None:
        """Look for kept flows that ended, came in at another switch, or lost a link of their path. When a change has no
        flows left, its labels are removed `STAGE` seconds later."""
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
        """The labels of kept paths that leave by a port. Their traffic shares the link with all unreserved traffic."""
        for one in self.kept:
            for end, ways in one.ways.items():
                if ways.ports.get(port.dpid) == port.port:
                    for attachment in self._map.at_switch.get(end, ()):
                        yield label_mac(attachment.waypoint.id, one.number)

    def _ends_at(self, dpid: DatapathId) -> Iterator[PieceName]:
        for one in self.kept:
            for end, ways in one.ways.items():
                if dpid in ways.ports:
                    yield (LABELS, one.number, end)

    def _sessions_at(self, dpid: DatapathId) -> Iterator[PieceName]:
        for one in self.kept:
            for at, session in one.led:
                if at == dpid:
                    yield (FLOWS, one.number, session)

    def _of(self, number: object) -> KeptPaths | None:
        return next((one for one in self.kept if one.number == number), None)

    def _labels(self, dpid: DatapathId, piece: PieceName) -> Rules:
        """The rules of a piece LABELS at a switch."""
        one = self._of(piece[1])
        if one is None:
            return {}
        end = DatapathId(int(piece[2]))
        waypoints = [attachment.waypoint.id for attachment in self._map.at_switch.get(end, ())]
        return keyed(one.label_rules(dpid, end, waypoints, self._epochs[dpid]))

    def _held(self, dpid: DatapathId, piece: PieceName) -> Rules:
        """The rules of a piece FLOWS: for the flows of one session that begin at a switch."""
        one = self._of(piece[1])
        flows = [] if one is None else one.led.get((dpid, int(piece[2])), [])
        return keyed(
            rule
            for flow in flows
            for rule in flow.rules(int(piece[1]), self._labels_of(flow), self._epochs[dpid])
        )

    def _labels_of(self, flow: LedFlow) -> set[WaypointId]:
        """The waypoints of labels that a flow may have where its leg begins. On a leg to a server, the new paths may lead to
        another gateway, so the labels of all gateways to the server are included."""
        labels = {WaypointId(flow.target)}
        if flow.leg.upward and not flow.leg.host:
            target = parts_of(flow.key).destination
            labels |= {self._map.attachments[port].waypoint.id for port in self._map.exits_to(target)}
        return labels


def batched(items: list[T]) -> Iterator[list[T]]:
    """The items in lists of at most AT_ONCE."""
    return (items[at : at + AT_ONCE] for at in range(0, len(items), AT_ONCE))
