"""Shortest paths between switches, kept while single links come and go.

A destination's distances are computed the first time they are asked for, and brought up to date after a change, by a
dynamic version of Dijkstra's algorithm (Ramalingam and Reps, J. Algorithms 21, 1996). Only switches whose way to the destination led over a link that
was lost or got dearer lose their distance; they, and those that a new or cheaper link leads nearer, are settled again in
order of distance. All others keep distance and next hop without being looked at.

The result equals a computation from scratch, to the last bit: a distance is the least sum of a link's weight and the
next switch's distance, and of several next switches with that sum the one with the lowest datapath id is taken.

A destination is brought up to date when it is asked for, so that a link's change itself costs next to nothing. Who has
time can do it in small portions before (`advance`), also the first computation.
"""

from collections.abc import Collection, Generator, Iterator, Mapping
from heapq import heapify, heappop, heappush
from math import inf
from typing import NamedTuple
from weakref import WeakSet

from steering.model.ids import DatapathId, PortNumber

PORTION = 100  # switches looked at in a portion of an update: some 0.5 ms
UNKNOWN = -1  # the version of a destination whose distances nobody has computed

Pair = tuple[DatapathId, DatapathId]  # a directed edge, by its two switches' datapath ids


class Tree:
    """The ways to one destination. `version` tells which changes of edges it knows."""

    __slots__ = ("distances", "hops", "measured", "moved", "update", "version")

    def __init__(self, distances: dict[DatapathId, float], version: int) -> None:
        self.distances = distances
        self.hops: dict[DatapathId, DatapathId] = {}  # switch -> next switch
        self.moved: set[DatapathId] = (
            set()
        )  # switches that leave by another port than when `take_moved` was last called
        self.measured: set[DatapathId] = (
            set()
        )  # switches whose distance changed since `take_measured` was last called
        self.version = version
        self.update: Iterator[None] | None = (
            None  # one that has begun: distances and hops are of no use meanwhile
        )

    def copy(self, version: int) -> "Tree":
        """The same ways, that no later change reaches; nothing has moved in it. `version`: of which they are known to
        be right."""
        other = Tree(dict(self.distances), version)
        other.hops = dict(self.hops)
        return other


class CopySource(NamedTuple):
    """Where a copy is from, and the versions of its destinations when the copy was made."""

    paths: "ShortestPaths"
    versions: dict[DatapathId, int]


class ShortestPaths:
    """Directed, weighted edges between switches; each leaves its switch by one port. Weights are positive."""

    def __init__(self) -> None:
        self._out: dict[DatapathId, dict[DatapathId, float]] = {}
        self._in: dict[DatapathId, dict[DatapathId, float]] = {}
        self._ports: dict[Pair, PortNumber] = {}
        self._trees: dict[DatapathId, Tree] = {}
        self._changes: dict[Pair, int] = {}  # edge -> version of its last change, in that order
        self._version = 0
        self._copies: WeakSet[ShortestPaths] = WeakSet()
        self._origin: CopySource | None = None  # of a copy
        self._begun: Tree | None = None  # the one whose update has begun and is not finished
        self.work = 0  # switches looked at by updates so far, counted anew in each of three passes: a unit that no machine changes

    def set_edge(self, a: DatapathId, b: DatapathId, weight: float, port: PortNumber) -> None:
        """There is an edge from switch `a` to switch `b`, and this is its weight and its port of `a`."""
        self._finish()
        if self._ports.get((a, b), port) != port:
            # Switches that go on to the same next switch by another port: their distances tell nothing of it.
            for tree in self._trees.values():
                if tree.hops.get(a) == b:
                    tree.moved.add(a)
        self._ports[a, b] = port
        if self._out.get(a, {}).get(b) != weight:
            self._out.setdefault(a, {})[b] = self._in.setdefault(b, {})[a] = weight
            self._note(a, b)

    def remove_edge(self, a: DatapathId, b: DatapathId) -> None:
        """There is no edge from `a` to `b` any more. Its port is remembered, to be compared with when it comes back."""
        self._finish()
        if b in self._out.get(a, ()):
            del self._out[a][b], self._in[b][a]
            self._note(a, b)

    def copy(self) -> "ShortestPaths":
        """The same edges and what is known of ways; neither's later changes reach the other. What is known of a
        destination is copied when it changes here, or is asked for there."""
        self._finish()
        other = ShortestPaths()
        other._out = {a: dict(row) for a, row in self._out.items()}
        other._in = {b: dict(row) for b, row in self._in.items()}
        other._ports = dict(self._ports)
        other._changes, other._version = dict(self._changes), self._version
        other._origin = CopySource(self, {target: tree.version for target, tree in self._trees.items()})
        self._copies.add(other)
        return other

    def _keep(self, target: DatapathId) -> None:
        """What is known of a destination is about to change: copies keep it as it is."""
        for copy in self._copies:
            if target not in copy._trees:
                copy._known(target)

    def _known(self, target: DatapathId) -> Tree | None:
        """What is known of a destination, perhaps from where this is a copy of."""
        tree = self._trees.get(target)
        if tree is None and self._origin is not None and target in self._origin.versions:
            known = self._origin.paths._trees[target]
            tree = self._trees[target] = known.copy(self._origin.versions[target])
        return tree

    def _note(self, a: DatapathId, b: DatapathId) -> None:
        self._version += 1
        self._changes.pop((a, b), None)
        self._changes[a, b] = self._version

    # ---- asking ---------------------------------------------------------------------------------

    def distances_to(self, target: DatapathId) -> dict[DatapathId, float]:
        """Path cost from every switch that reaches `target`. Not to be changed by the caller."""
        return self._tree(target).distances

    def distance(self, source: DatapathId, target: DatapathId) -> float:
        """Path cost, `inf` where there is no path. Where changes did not touch that one way, nothing is updated."""
        tree = self._known(target)
        if (
            tree is None
            or tree.update is not None
            or (tree.version != self._version and not self._is_untouched(tree, source, target))
        ):
            tree = self._tree(target)
        return tree.distances.get(source, inf)

    def next_switch(self, source: DatapathId, target: DatapathId) -> DatapathId | None:
        """The switch after `source` on the way to `target`; None at the target itself and without a path."""
        return self._tree(target).hops.get(source)

    def next_port(self, source: DatapathId, target: DatapathId) -> PortNumber | None:
        """The port by which that way leaves `source`."""
        hop = self._tree(target).hops.get(source)
        return None if hop is None else self._ports[source, hop]

    def hops_to(self, target: DatapathId) -> Mapping[DatapathId, DatapathId]:
        """Switch -> the switch after it on the way to `target`."""
        return self._tree(target).hops

    def port(self, switch: DatapathId, hop: DatapathId | None) -> PortNumber | None:
        """The port by which a switch sends to the next one."""
        return None if hop is None else self._ports[switch, hop]

    def leading_over(self, target: DatapathId, switches: Collection[DatapathId]) -> list[DatapathId]:
        """These switches, and all others whose way to `target` leads over one of them."""
        hops = self._tree(target).hops
        found = dict.fromkeys(switches)
        waiting = list(found)
        for switch in waiting:
            for behind in self._in.get(switch, ()):
                if hops.get(behind) == switch and behind not in found:
                    found[behind] = None
                    waiting.append(behind)
        return waiting

    def edges(self, switch: DatapathId) -> Mapping[DatapathId, float]:
        """The next switches that `switch` has an edge to, and the edges' weights. Not to be changed by the caller."""
        return self._out.get(switch, {})

    def known(self) -> list[DatapathId]:
        """Destinations that were ever asked for."""
        return list(self._trees)

    def moved(self, target: DatapathId) -> frozenset[DatapathId]:
        """What `take_moved` would tell."""
        return frozenset(self._tree(target).moved)

    def forget_one(self) -> bool:
        """Of a copy that nobody asks any more: forget the ways to one destination, since to free all at once takes
        time. False when there are none left."""
        self._origin = None
        if self._trees:
            self._trees.popitem()
        return bool(self._trees)

    def is_copied(self, target: DatapathId) -> bool:
        """Whether the ways to `target` were known where this is a copy of, when it was made."""
        return self._origin is not None and target in self._origin.versions

    def take_moved(self, target: DatapathId) -> set[DatapathId]:
        """Switches whose next port towards `target` changed since this was last asked; perhaps back again."""
        tree = self._tree(target)
        moved, tree.moved = tree.moved, set()
        return moved

    def take_measured(self, target: DatapathId) -> set[DatapathId]:
        """Switches whose distance to `target` changed since this was last asked; perhaps back again."""
        tree = self._tree(target)
        measured, tree.measured = tree.measured, set()
        return measured

    # ---- keeping up -----------------------------------------------------------------------------

    def _tree(self, target: DatapathId) -> Tree:
        tree = self._known(target)
        if tree is None:
            tree = self._trees[target] = Tree({target: 0.0}, UNKNOWN)
        while not self._advance(tree, target):
            pass
        return tree

    def advance(self, target: DatapathId) -> bool:
        """Do a portion of what brings a destination up to date. True when it is."""
        tree = self._known(target)
        if tree is None:
            tree = self._trees[target] = Tree({target: 0.0}, UNKNOWN)
        return self._advance(tree, target)

    def _advance(self, tree: Tree, target: DatapathId) -> bool:
        if tree.update is None:
            if tree.version == self._version:
                return True
            self._finish()
            begin = self._compute if tree.version == UNKNOWN else self._update
            tree.update, self._begun = begin(tree, target), tree
        for _ in tree.update:
            return False
        tree.update, self._begun = None, None
        return True

    def _finish(self) -> None:
        """Edges stay as they are while an update is under way."""
        if self._begun is not None and self._begun.update is not None:
            for _ in self._begun.update:
                pass
            self._begun.update = None
        self._begun = None

    def _compute(self, tree: Tree, target: DatapathId) -> Iterator[None]:
        """Distances of a destination that nobody has asked for before, in portions."""
        tree.version = self._version
        heap = [(weight, behind) for behind, weight in self._in.get(target, {}).items()]
        heapify(heap)
        touched: dict[DatapathId, None] = {}
        yield from self._reach(tree, heap, {}, touched)
        yield from self._look_at_all(tree, target, touched)
        tree.moved.clear()

    def _best(self, tree: Tree, switch: DatapathId) -> DatapathId | None:
        """The next switch with the least sum, of several the one with the lowest id."""
        distances = tree.distances
        best, least = None, inf
        for hop, weight in self._out.get(switch, {}).items():
            cost = weight + distances.get(hop, inf)
            if cost < least or (cost == least and best is not None and hop < best):
                best, least = hop, cost
        return best

    def _unknown_to(self, tree: Tree) -> list[Pair]:
        """Edges that changed since the tree was brought up to date."""
        changed: list[Pair] = []
        for pair, version in reversed(self._changes.items()):
            if version <= tree.version:
                break
            changed.append(pair)
        return changed

    def _is_untouched(self, tree: Tree, source: DatapathId, target: DatapathId) -> bool:
        """Whether a way that was known is as long as before: it leads over no changed edge, and none leads nearer."""
        distances, hops = tree.distances, tree.hops
        changed = self._unknown_to(tree)
        for a, b in changed:
            if self._out.get(a, {}).get(b, inf) + distances.get(b, inf) < distances.get(a, inf):
                return False
        switch, edges = source, set(changed)
        for _ in range(len(distances)):
            if switch == target:
                return True
            hop = hops.get(switch)
            if hop is None or (switch, hop) in edges:
                return False
            switch = hop
        return False

    def _update(self, tree: Tree, target: DatapathId) -> Iterator[None]:
        """Apply every change of an edge that the tree does not know, in portions."""
        changed = self._unknown_to(tree)
        tree.version = self._version
        lost, nearer = yield from self._concerned(tree, changed)
        if lost or nearer:
            self._keep(target)
            yield from self._settle(tree, target, lost, nearer)
        for a, _ in changed:
            if self._best(tree, a) != tree.hops.get(a):
                self._keep(target)
                self._look_at(tree, target, a)

    def _concerned(
        self, tree: Tree, changed: list[Pair]
    ) -> Generator[None, None, tuple[list[DatapathId], list[Pair]]]:
        """Switches that lose their distance, and edges that lead nearer than the way that is known.

        A switch loses its distance where its next edge is gone or dearer, or a switch that gave it its distance loses
        its own, and no other edge gives the same. Looked at in order of distance, so that what lies nearer to the
        destination is settled already. An edge so light that a sum does not feel it gives nobody a distance here:
        two switches that are equally far may name each other as the next.
        """
        distances, hops = tree.distances, tree.hops
        heap: list[tuple[float, DatapathId]] = []
        nearer: list[Pair] = []
        for a, b in changed:
            cost = self._out.get(a, {}).get(b, inf) + distances.get(b, inf)
            known = distances.get(a, inf)
            if cost < known:
                nearer.append((a, b))
            elif cost > known and a in hops and (hops[a] == b or distances[hops[a]] >= known):
                heappush(heap, (known, a))
        lost: dict[DatapathId, None] = {}
        known_to, incoming, outgoing = distances.get, self._in, self._out
        while heap:
            known, switch = heappop(heap)
            if switch in lost:
                continue
            for hop, weight in outgoing.get(switch, {}).items():
                distance = known_to(hop, inf)
                if distance < known and weight + distance == known and hop not in lost:
                    break  # this edge still gives the same
            else:
                lost[switch] = None
                if not len(lost) % PORTION:
                    self.work += PORTION
                    yield
                for behind, weight in incoming.get(switch, {}).items():
                    further = known_to(behind, inf)
                    # Less than its distance: an edge that got cheaper in the same breath gave it that distance before.
                    if behind in hops and (weight + known <= further or hops[behind] == switch):
                        heappush(heap, (further, behind))
        self.work += len(lost) % PORTION
        return list(lost), nearer

    def _settle(
        self, tree: Tree, target: DatapathId, lost: list[DatapathId], nearer: list[Pair]
    ) -> Iterator[None]:
        """Dijkstra's algorithm over those that lost their distance or come nearer, and nobody else."""
        distances = tree.distances
        before = {switch: distances.pop(switch) for switch in lost}
        heap: list[tuple[float, DatapathId]] = []
        for switch in lost:
            cost = inf
            for hop, weight in self._out.get(switch, {}).items():
                through = weight + distances.get(hop, inf)
                if through < cost:
                    cost = through
            if cost < inf:
                heappush(heap, (cost, switch))
        for a, b in nearer:
            if a not in before and b in distances:
                heappush(heap, (self._out[a][b] + distances[b], a))
        touched: dict[DatapathId, None] = {}
        yield from self._reach(tree, heap, before, touched)
        yield from self._look_around(tree, target, before, touched)

    def _reach(
        self,
        tree: Tree,
        heap: list[tuple[float, DatapathId]],
        before: dict[DatapathId, float],
        touched: dict[DatapathId, None],
    ) -> Iterator[None]:
        """Give switches the distances in `heap`, and those behind them theirs, where they are less than what is known,
        which `before` takes. `touched` takes the switches that got one."""
        distances, incoming = tree.distances, self._in
        while heap:
            cost, switch = heappop(heap)
            known = distances.get(switch, inf)
            if cost >= known:
                continue
            if known < inf:
                before.setdefault(switch, known)
            distances[switch] = cost
            touched[switch] = None
            if not len(touched) % PORTION:
                self.work += PORTION
                yield
            for behind, weight in incoming.get(switch, {}).items():
                if cost + weight < distances.get(behind, inf):
                    heappush(heap, (cost + weight, behind))
        self.work += len(touched) % PORTION

    def _look_around(
        self, tree: Tree, target: DatapathId, before: dict[DatapathId, float], touched: dict[DatapathId, None]
    ) -> Iterator[None]:
        """Next hops of those whose own distance changed, or that of a switch one edge further on."""
        distances, hops = tree.distances, tree.hops
        around: dict[DatapathId, None] = {}
        for switch in (*before, *(one for one in touched if one not in before)):
            old, new = before.get(switch, inf), distances.get(switch, inf)
            around[switch] = None
            if old == new:
                continue
            tree.measured.add(switch)
            for behind in self._in.get(switch, ()):
                # One that moved away takes nobody with it but those that went through it.
                if new < old or hops.get(behind) == switch:
                    around[behind] = None
        yield from self._look_at_all(tree, target, around)

    def _look_at_all(
        self, tree: Tree, target: DatapathId, switches: Collection[DatapathId]
    ) -> Iterator[None]:
        """The next hops of some switches."""
        for number, switch in enumerate(switches):
            if not number % PORTION and len(switches) > PORTION:
                self.work += PORTION
                yield
            self._look_at(tree, target, switch)
        self.work += len(switches) % PORTION

    def _look_at(self, tree: Tree, target: DatapathId, switch: DatapathId) -> None:
        """One switch's next hop."""
        if switch == target:
            return
        hop = self._best(tree, switch)
        known = tree.hops.get(switch)
        if hop == known:
            return
        tree.moved.add(switch)
        if hop is None:
            del tree.hops[switch]
        else:
            tree.hops[switch] = hop
