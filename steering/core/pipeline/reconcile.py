"""Brings switches to the rules that they should hold. It keeps what is wanted and what is installed, and compares them.

Rules come in pieces (pipeline.pieces). `touch` says that a piece may have changed. For a change of links, the graph
says which destinations changed. Only touched pieces are made again and compared, so the cost depends on the change
and not on the size of the network.

The work is done in slices, so that other events need not wait for a big change. Each `step` does about `BUDGET` units
of work. `busy` says that there is more. The order is:

1. Ports with new links, at both ends (pipeline.opened_ports), in slices of their own.
2. Labels, since all other rules lead to them.
3. Switches of gateways. Rules of proactive insertion there have to be right before hosts are led to another MCP.
4. All other switches.
5. Detours around links.

A switch gets additions before deletions, so that no packet is lost between them, and groups before the rules that
use them. Groups are never deleted while a switch is connected: the switch would delete their rules, too.

A switch that has connected is filled in the same slices. All its pieces are made, and are sent when all are complete.
Switches are filled one after another. Fills get half of the work while there are also changes.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from steering.core.network.graph import Graph
from steering.core.network.switch import Switches
from steering.core.outputs import SyncRules
from steering.core.pipeline.failover import DETOURS, Failover
from steering.core.pipeline.installed_rules import InstalledRules
from steering.core.pipeline.labels import Labels
from steering.core.pipeline.opened_ports import CORE_PORTS, OpenedPorts
from steering.core.pipeline.pieces import (
    CHANGED,
    LOOKED,
    MADE,
    PendingRules,
    PieceKind,
    PieceName,
    PieceWork,
    Rules,
    Spread,
)
from steering.core.pipeline.switch_change import Change
from steering.core.pipeline.switch_fill import Fill
from steering.model.ids import DatapathId
from steering.model.rules import FailoverGroup, MeterBand, Rule

BUDGET = 400  # units of work in a slice; a unit takes some 5 us on a machine of 2025
SETTLED = 3  # units for a switch that a path computation settles
AROUND = 10  # units for a detour without the switches settled for it, and for the groups of a switch
WAYS = 1_000  # most detours that are found before their switches are updated


class Reconcile:
    """Compares and updates all switches. `spread`: returns the pieces that depend on the distances to a destination. It
    gets the destination and the switches whose distance to it changed."""

    def __init__(
        self,
        graph: Graph,
        switches: Switches,
        labels: Labels,
        failover: Failover,
        gateways: Collection[DatapathId],
        spread: Callable[[DatapathId, set[DatapathId]], Iterable[Spread]],
    ) -> None:
        self._graph = graph
        self._switches = switches
        self._labels = labels
        self._failover = failover
        self._gateways = frozenset(gateways)
        self._spread = spread
        self.budget = BUDGET
        self._makers: dict[str, Callable[[DatapathId], Rules | PendingRules]] = {}
        self._looks: dict[PieceName, Callable[[], int]] = {}
        self._kinds: dict[str, PieceKind] = {}
        self._jobs: deque[Iterator[int]] = deque()
        self._version = graph.version  # changes of the graph up to this version are done or under way
        self._targets: dict[DatapathId, None] = {}  # destinations whose paths have to be looked at
        # A destination, and a switch whose way to the destination may have changed.
        self._pairs: deque[tuple[DatapathId, DatapathId]] = deque()
        # Switch -> touched pieces: `_first` for switches of gateways, `_then` for all others.
        self._first: dict[DatapathId, dict[PieceName, None]] = {}
        self._then: dict[DatapathId, dict[PieceName, None]] = {}
        self._making: PieceWork | None = None  # the touched piece that is under way
        self._fills: dict[DatapathId, Fill] = {}  # switches to fill, in the order in which they connected
        self._ready: list[DatapathId] = []  # switches whose rules are all made
        self._lead = 0  # units of work that changes got more than fills, since there were both
        self._held = held = InstalledRules()
        self._labelled, self._pieces, self._groups = held.labelled, held.pieces, held.groups
        self._opened = OpenedPorts(switches, self._pieces)
        # Switches where detours changed. Many detours cross each switch, so its rules are made again only when all
        # detours are found. Links may keep changing, so this is also done after WAYS detours.
        self._around: set[DatapathId] = set()
        self._ways = 0  # detours that were looked at since

    def register(
        self,
        piece: str,
        make: Callable[[DatapathId], Rules | PendingRules],
        looks: Callable[[], int] | None = None,
    ) -> None:
        """Register a piece by its name. `make`: returns the rules that a switch should hold now; the same object means
        that they have not changed. `looks`: how many distances `make` looks at, which is work even if nothing changed."""
        self._makers[piece] = make
        if looks is not None:
            self._looks[piece] = looks

    def register_kind(
        self,
        kind: str,
        make: Callable[[DatapathId, PieceName], Rules],
        wanted: Callable[[DatapathId], Iterable[PieceName]],
    ) -> None:
        """Register a feature with many pieces, which change independently. Their names are tuples that begin with
        `kind`."""
        self._kinds[kind] = PieceKind(make, wanted)

    # ---- what may be another --------------------------------------------------------------------

    def touch(self, piece: PieceName, dpids: Iterable[DatapathId]) -> None:
        """A piece may have changed at these switches."""
        making = self._making
        for dpid in dpids:
            if self._switches.is_filled(dpid):
                touched = self._first if dpid in self._gateways else self._then
                touched.setdefault(dpid, {})[piece] = None
                if making is not None and (making.dpid, making.piece) == (dpid, piece):
                    self._making = None
            elif (fill := self._fills.get(dpid)) is not None and fill.begun:
                fill.touch(piece)

    def work(self, job: Iterator[int]) -> None:
        """Do a feature's long work in the same slices. `job` yields the units of work of each portion, and touches
        pieces."""
        self._jobs.append(job)

    def touch_everywhere(self, piece: str) -> None:
        """A piece may have changed at every switch that holds it."""
        self.touch(piece, self._switches)

    def labels_replaced(self) -> None:
        """The site has other MCPs, and so other labels."""
        for target in self._labels.replaced():
            self._pairs.extend((target, dpid) for dpid in self._labelled)

    def links_changed(self) -> None:
        """Follow the graph, if it has changed since the last call."""
        if self._version == self._graph.version:
            return
        self._targets = dict.fromkeys((*self._targets, *self._labels.targets))
        changed = list(self._graph.changed_since(self._version))
        self._failover.links_changed(changed)
        for pair in changed:
            self._opened.add(pair)
            self.touch(CORE_PORTS, pair)
            self.touch(DETOURS, pair[:1])  # also compares the switch's groups
        self._version = self._graph.version

    @property
    def busy(self) -> bool:
        """Whether there is more to do."""
        return not self.settled or self._failover.busy or bool(self._around)

    @property
    def settled(self) -> bool:
        """Whether all switches hold what they should, apart from detours."""
        return not (self._changing or self._fills)

    @property
    def _changing(self) -> bool:
        if self._opened or self._pairs or self._targets:
            return True
        return bool(self._first or self._then or self._making or self._jobs)

    # ---- a slice of work ------------------------------------------------------------------------

    def step(self) -> list[SyncRules]:
        """Do the next slice of work."""
        left = self.budget
        changes: dict[DatapathId, Change] = {}
        while left > 0 and self._opened:
            left -= self._opened.open_next(self._makers[CORE_PORTS], changes)
        if changes:
            left = 0  # a slice of their own
        while left > 0 and self.busy and not self._ready:
            if not self._fills or not self._changing:
                self._lead = 0
            if self._fills and (self._lead > 0 or not self._changing):
                cost = self._fill_on(*next(iter(self._fills.items())))
                self._lead -= cost
            elif self._changing:
                cost = self._change(changes)
                self._lead += cost
            else:
                cost = self._go_around()
            left -= cost
        for dpid, change in changes.items():
            if change.regroup:
                change.groups = self._other_groups(dpid)
        found = [
            SyncRules(dpid, tuple(change.add), tuple(change.delete), groups=change.groups)
            for dpid, change in changes.items()
            if change.any
        ]
        return sorted(found, key=lambda sync: sync.dpid not in self._gateways)

    def _change(self, changes: dict[DatapathId, Change]) -> int:
        if self._pairs:
            return self._follow(*self._pairs.popleft(), changes)
        if self._targets:
            return self._look_at(next(iter(self._targets)))
        if self._first or self._then or self._making:
            return self._make(self._first or self._then, changes)
        if not (cost := next(self._jobs[0], 0)):
            self._jobs.popleft()
        return cost or 1

    def _advance(self, target: DatapathId) -> tuple[bool, int]:
        """Do a portion of the update of the paths to a destination. Returns whether they are up to date, and the units of
        work."""
        before = self._graph.paths.work
        done = self._graph.paths.advance(target)
        return done, 1 + SETTLED * (self._graph.paths.work - before)

    def _look_at(self, target: DatapathId) -> int:
        """Update the paths to a destination. Then find the switches with another next port, and the switches whose
        distance changed."""
        done, cost = self._advance(target)
        if not done:
            return cost
        del self._targets[target]
        moved = self._graph.paths.take_moved(target)
        measured = self._graph.paths.take_measured(target)
        self._pairs.extend((target, dpid) for dpid in sorted(moved) if dpid in self._labelled)
        for spread in self._spread(target, measured) if measured else ():
            self.touch(spread.piece, spread.dpids)
        return cost

    def _go_around(self) -> int:
        """Find one detour. When all are found, or WAYS of them, touch the switches where detours changed."""
        if self._ways >= WAYS or not self._failover.busy:
            self.touch(DETOURS, sorted(self._around))
            self._around.clear()
            self._ways = 0
            return 1
        self._ways += 1
        found, settled = self._failover.advance()
        self._around |= found
        return AROUND + SETTLED * settled

    def _look_at_groups(self, dpid: DatapathId, changes: dict[DatapathId, Change]) -> int:
        changes.setdefault(dpid, Change()).regroup = True
        return AROUND

    def _other_groups(self, dpid: DatapathId) -> tuple[FailoverGroup, ...]:
        """The groups to send to a switch, since it holds none or others. They count as held from now on."""
        if not self._switches.is_filled(dpid):
            return ()
        held = self._groups.setdefault(dpid, {})
        wanted = self._failover.groups(dpid, held)
        found = tuple(group for number, group in wanted.items() if held.get(number) != group)
        held |= wanted
        return found

    def groups_held(self, dpid: DatapathId) -> tuple[FailoverGroup, ...]:
        """The groups for filling a switch. They count as held from now on."""
        self._groups[dpid] = self._failover.groups(dpid)
        return tuple(self._groups[dpid].values())

    def groups_refused(self, dpid: DatapathId) -> None:
        """A switch refused groups: its labels lead to ports again."""
        self._pairs.extend((target, dpid) for target in self._labels.targets)

    def _follow(self, target: DatapathId, dpid: DatapathId, changes: dict[DatapathId, Change]) -> int:
        """Compare the labels by which one switch forwards to the waypoints of a destination."""
        installed = self._labelled.get(dpid)
        if installed is None:
            return 1
        had, wanted = installed.get(target, {}), self._labels.rules(dpid, target)
        if wanted:
            installed[target] = wanted
        else:
            installed.pop(target, None)
        if not self._switches.is_filled(dpid):
            return 1  # the filling sends the rules
        cost = 1 + CHANGED * changes.setdefault(dpid, Change()).compare(had, wanted)
        return cost + (self._look_at_groups(dpid, changes) if dpid in self._failover.newly_used else 0)

    def _make(
        self, touched: dict[DatapathId, dict[PieceName, None]], changes: dict[DatapathId, Change]
    ) -> int:
        """Make one touched piece of one switch, or a portion of it, and compare it when it is complete."""
        if self._making is None:
            dpid, pieces = next(iter(touched.items()))
            if not pieces or not self._switches.is_filled(dpid):
                del touched[dpid]
                return 1
            self._making, cost = self._begin(dpid, pieces)
        else:
            cost = MADE * self._making.go_on()
        made = self._making
        if made.rules is None:
            return cost
        self._making = None
        installed = self._pieces[made.dpid]
        had, installed[made.piece] = installed.get(made.piece, {}), made.rules
        if not made.rules:
            del installed[made.piece]
        if made.piece == DETOURS:
            cost += self._look_at_groups(made.dpid, changes)
        if had is made.rules:
            return cost
        change = changes.setdefault(made.dpid, Change())
        return cost + LOOKED * len(made.rules) + CHANGED * change.compare(had, made.rules)

    def _begin(self, dpid: DatapathId, pieces: dict[PieceName, None]) -> tuple[PieceWork, int]:
        """Begin the next of a switch's touched pieces. Returns it, and the units of work so far."""
        piece = next(iter(pieces))
        del pieces[piece]
        looks = self._looks[piece]() if piece in self._looks else 0
        if isinstance(piece, str):
            source = self._makers[piece](dpid)
        else:
            source = self._kinds[piece[0]].make(dpid, piece)
            looks = len(source)
        return PieceWork(dpid, piece, source), 1 + LOOKED * looks

    # ---- switches that are filled, and pieces that are brought ------------------------------------

    def fill(self, dpid: DatapathId) -> None:
        """Begin to fill a switch that has connected. `take_filled` returns the switch when all its rules are made."""
        self.stop_filling(dpid)
        self._fills[dpid] = Fill()

    def stop_filling(self, dpid: DatapathId) -> None:
        """A switch disconnected: drop the work for it."""
        if self._making is not None and self._making.dpid == dpid:
            self._making = None
        if self._fills.pop(dpid, None) is not None:
            self._labelled.pop(dpid, None)

    def _fill_on(self, dpid: DatapathId, fill: Fill) -> int:
        """Make a portion of the rules that fill a switch. Returns the units of work."""
        if not fill.begun:
            fill.begun = True
            fill.targets, fill.pieces = self._labels.targets, dict.fromkeys(self._makers)
            for kind in self._kinds.values():
                fill.pieces |= dict.fromkeys(kind.wanted(dpid))
            self._labelled[dpid] = {}
            self._pieces.setdefault(dpid, {})
        if fill.targets:
            done, cost = self._advance(fill.targets[-1])
            if done:
                target = fill.targets.pop()
                if rules := self._labels.rules(dpid, target):
                    self._labelled[dpid][target] = rules
            return cost + LOOKED
        if fill.making is None:
            if not fill.pieces:
                del self._fills[dpid]
                self._ready.append(dpid)
                return 1
            fill.making, cost = self._begin(dpid, fill.pieces)
        else:
            cost = MADE * fill.making.go_on()
        if fill.making.rules is not None:
            self._pieces[dpid][fill.making.piece] = fill.making.rules
            fill.making = None
        return cost

    def take_filled(self) -> list[DatapathId]:
        """The switches whose rules were all made since the last call. `held` returns their rules. The caller has to mark
        them as filled before the next step."""
        ready, self._ready = self._ready, []
        return ready

    def held(self, dpid: DatapathId) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        """The rules of labels and registered pieces that a switch holds or is filled with. The first tuple has the rules
        of LABEL and HOST, the second those of all other tables."""
        return self._held.of(dpid, self._makers)

    def forget(self, dpid: DatapathId) -> None:
        """Forget what a switch holds."""
        self.stop_filling(dpid)
        self._opened.forget(dpid)
        self._first.pop(dpid, None)
        self._then.pop(dpid, None)
        self._held.forget(dpid)

    def brought(
        self, piece: str, dpid: DatapathId, rules: Rules, meters: Mapping[int, MeterBand] | None = None
    ) -> SyncRules | None:
        """A feature that changes its rules at its own times wants these rules at a switch now. Returns the changes to
        send, or None. Meters are never deleted: the switch would delete their rules, too."""
        return self._held.bring(piece, dpid, rules, meters or {})
