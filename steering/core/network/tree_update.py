"""How the ways to a destination are computed, and brought up to date after changes of edges, in portions.

A dynamic version of Dijkstra's algorithm (Ramalingam and Reps, J. Algorithms 21, 1996). Only switches whose way to the
destination led over a link that was lost or got dearer lose their distance; they, and those that a new or cheaper link
leads nearer, are settled again in order of distance. All others keep distance and next hop without being looked at.

The result equals a computation from scratch, to the last bit: a distance is the least sum of a link's weight and the
next switch's distance, and of several next switches with that sum the one with the lowest datapath id is taken.
"""

from collections.abc import Callable, Collection, Generator, Iterator
from heapq import heapify, heappop, heappush
from math import inf

from steering.core.network.edges import Edges, Pair
from steering.model.ids import DatapathId

PORTION = 100  # switches looked at in a portion of an update: some 0.5 ms
UNKNOWN = -1  # the version of a destination whose distances nobody has computed


class Tree:
    """The ways to one destination. `version` tells which changes of edges it knows."""

    __slots__ = ("distances", "hops", "measured", "moved", "update", "version")

    def __init__(self, distances: dict[DatapathId, float], version: int) -> None:
        self.distances = distances
        self.hops: dict[DatapathId, DatapathId] = {}  # switch -> next switch
        # Switches that leave by another port than when `ShortestPaths.take_moved` was last called; and below, those
        # whose distance changed since its `take_measured` was.
        self.moved: set[DatapathId] = set()
        self.measured: set[DatapathId] = set()
        self.version = version
        # One that has begun: distances and hops are of no use meanwhile.
        self.update: Iterator[None] | None = None

    def copy(self, version: int) -> "Tree":
        """A copy of the ways, which later changes do not reach and in which nothing has moved. `version`: the version of
        the edges for which the ways are known to be right."""
        other = Tree(dict(self.distances), version)
        other.hops = dict(self.hops)
        return other


class TreeUpdates:
    """Brings trees up to date with `edges`, which stay as they are meanwhile."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self.work = 0  # switches looked at so far, counted anew in each of three passes

    def compute(self, tree: Tree, target: DatapathId) -> Iterator[None]:
        """Distances of a destination that nobody has asked for before, in portions."""
        tree.version = self._edges.version
        heap = [(weight, behind) for behind, weight in self._edges.incoming.get(target, {}).items()]
        heapify(heap)
        touched: dict[DatapathId, None] = {}
        yield from self._reach(tree, heap, {}, touched)
        yield from self._look_at_all(tree, target, touched)
        tree.moved.clear()

    def update(self, tree: Tree, target: DatapathId, keep: Callable[[DatapathId], None]) -> Iterator[None]:
        """Apply every change of an edge that the tree does not know, in portions. `keep` is given the destination before
        what is known of its ways changes."""
        changed = self._edges.changed_since(tree.version)
        tree.version = self._edges.version
        lost, nearer = yield from self._concerned(tree, changed)
        if lost or nearer:
            keep(target)
            yield from self._settle(tree, target, lost, nearer)
        for a, _ in changed:
            if self._best(tree, a) != tree.hops.get(a):
                keep(target)
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
            cost = self._edges.out.get(a, {}).get(b, inf) + distances.get(b, inf)
            known = distances.get(a, inf)
            if cost < known:
                nearer.append((a, b))
            elif cost > known and a in hops and (hops[a] == b or distances[hops[a]] >= known):
                heappush(heap, (known, a))
        lost: dict[DatapathId, None] = {}
        known_to, incoming, outgoing = distances.get, self._edges.incoming, self._edges.out
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
            for hop, weight in self._edges.out.get(switch, {}).items():
                through = weight + distances.get(hop, inf)
                if through < cost:
                    cost = through
            if cost < inf:
                heappush(heap, (cost, switch))
        for a, b in nearer:
            if a not in before and b in distances:
                heappush(heap, (self._edges.out[a][b] + distances[b], a))
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
        distances, incoming = tree.distances, self._edges.incoming
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
            for behind in self._edges.incoming.get(switch, ()):
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

    def _best(self, tree: Tree, switch: DatapathId) -> DatapathId | None:
        """The next switch with the least sum, of several the one with the lowest id."""
        distances = tree.distances
        best, least = None, inf
        for hop, weight in self._edges.out.get(switch, {}).items():
            cost = weight + distances.get(hop, inf)
            if cost < least or (cost == least and best is not None and hop < best):
                best, least = hop, cost
        return best
