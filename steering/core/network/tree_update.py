"""Computes the shortest paths to a destination, and updates them after changes of edges, in portions.

The update is a dynamic version of Dijkstra's algorithm (Ramalingam and Reps, J. Algorithms 21, 1996):

1. A switch loses its distance if its path led over an edge that was lost or got dearer, and no other path costs the
   same.
2. These switches are settled again in order of distance. So are the switches that a new or cheaper edge leads nearer.
3. All other switches keep their distance and next hop, and are not looked at.

The result equals a computation from scratch, to the last bit. A distance is the least sum of an edge's weight and
the next switch's distance. Of several next switches with this sum, the one with the lowest datapath id is taken.
"""

from collections.abc import Callable, Collection, Generator, Iterator
from heapq import heapify, heappop, heappush
from math import inf

from steering.core.network.edges import Edges, Pair
from steering.model.ids import DatapathId

PORTION = 100  # switches looked at in a portion of an update: some 0.5 ms
UNKNOWN = -1  # the version of a destination whose distances nobody has computed


class Tree:
    """The paths to one destination. `version`: the version of the edges that the paths are for."""

    __slots__ = ("distances", "hops", "measured", "moved", "update", "version")

    def __init__(self, distances: dict[DatapathId, float], version: int) -> None:
        self.distances = distances
        self.hops: dict[DatapathId, DatapathId] = {}  # switch -> next switch
        # `moved`: switches whose next port changed since `ShortestPaths.take_moved` was last called. `measured`:
        # switches whose distance changed since `take_measured` was last called.
        self.moved: set[DatapathId] = set()
        self.measured: set[DatapathId] = set()
        self.version = version
        # An update that has begun. Until it is finished, distances and hops may not be used.
        self.update: Iterator[None] | None = None

    def copy(self, version: int) -> "Tree":
        """A copy of the paths, with empty `moved` and `measured`. Later changes do not reach it. `version`: the version
        of the edges that the paths are for."""
        other = Tree(dict(self.distances), version)
        other.hops = dict(self.hops)
        return other


class TreeUpdates:
    """Updates trees to the version of `edges`. The edges may not change during an update."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self.work = 0  # switches looked at so far, in each of three passes

    def compute(self, tree: Tree, target: DatapathId) -> Iterator[None]:
        """Compute the paths to a destination from scratch, in portions."""
        tree.version = self._edges.version
        heap = [(weight, behind) for behind, weight in self._edges.incoming.get(target, {}).items()]
        heapify(heap)
        touched: dict[DatapathId, None] = {}
        yield from self._reach(tree, heap, {}, touched)
        yield from self._look_at_all(tree, target, touched)
        tree.moved.clear()

    def update(self, tree: Tree, target: DatapathId, keep: Callable[[DatapathId], None]) -> Iterator[None]:
        """Apply every change of an edge since the tree's version, in portions. `keep` is called with the destination
        before its paths change."""
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
        """The switches that lose their distance, and the changed edges that give a shorter path than the known one.

        A switch loses its distance if the edge or the next switch that gave the distance is lost or dearer, and no
        other edge gives the same. Switches are looked at in order of distance, so that switches nearer to the
        destination are decided already. An edge may be so light that adding its weight does not change the sum. Such
        an edge does not count here: two switches of equal distance could name each other as the next switch.
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
                    break  # this edge still gives the same distance
            else:
                lost[switch] = None
                if not len(lost) % PORTION:
                    self.work += PORTION
                    yield
                for behind, weight in incoming.get(switch, {}).items():
                    further = known_to(behind, inf)
                    # The sum may be below `further`: the edge got cheaper at the same time, and gave `further` before.
                    if behind in hops and (weight + known <= further or hops[behind] == switch):
                        heappush(heap, (further, behind))
        self.work += len(lost) % PORTION
        return list(lost), nearer

    def _settle(
        self, tree: Tree, target: DatapathId, lost: list[DatapathId], nearer: list[Pair]
    ) -> Iterator[None]:
        """Dijkstra's algorithm, over only the switches that lost their distance or come nearer."""
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
        """Give switches the distances in `heap`, and the switches behind them theirs, where these are less than the
        known ones. `before` takes the distances that are replaced, `touched` the switches that got a distance."""
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
        """Choose the next hops anew of switches whose own distance, or whose neighbour's distance, changed."""
        distances, hops = tree.distances, tree.hops
        around: dict[DatapathId, None] = {}
        for switch in (*before, *(one for one in touched if one not in before)):
            old, new = before.get(switch, inf), distances.get(switch, inf)
            around[switch] = None
            if old == new:
                continue
            tree.measured.add(switch)
            for behind in self._edges.incoming.get(switch, ()):
                # A switch that got further away only concerns the switches that use it as their next hop.
                if new < old or hops.get(behind) == switch:
                    around[behind] = None
        yield from self._look_at_all(tree, target, around)

    def _look_at_all(
        self, tree: Tree, target: DatapathId, switches: Collection[DatapathId]
    ) -> Iterator[None]:
        """Choose the next hops of some switches anew, in portions."""
        for number, switch in enumerate(switches):
            if not number % PORTION and len(switches) > PORTION:
                self.work += PORTION
                yield
            self._look_at(tree, target, switch)
        self.work += len(switches) % PORTION

    def _look_at(self, tree: Tree, target: DatapathId, switch: DatapathId) -> None:
        """Choose one switch's next hop anew."""
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
        """The next switch with the least sum of edge weight and distance; of several, the one with the lowest id."""
        distances = tree.distances
        best, least = None, inf
        for hop, weight in self._edges.out.get(switch, {}).items():
            cost = weight + distances.get(hop, inf)
            if cost < least or (cost == least and best is not None and hop < best):
                best, least = hop, cost
        return best
