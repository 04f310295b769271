"""Shortest paths between switches. They are updated, not computed anew, when links change.

The distances to a destination are computed when they are first asked for. After a change they are updated
(`tree_update`) when the destination is next asked for, so a change of a link itself costs little. `advance` does
either in small portions beforehand.
"""

from collections.abc import Collection, Mapping
from math import inf
from typing import NamedTuple
from weakref import WeakSet

from steering.core.network.edges import Edges
from steering.core.network.tree_update import UNKNOWN, Tree, TreeUpdates
from steering.model.ids import DatapathId, PortNumber


class CopySource(NamedTuple):
    """The original of a copy, and the versions of the original's destinations when the copy was made."""

    paths: "ShortestPaths"
    versions: dict[DatapathId, int]


class ShortestPaths:
    """Directed, weighted edges between switches, and the shortest paths over them. An edge leaves its switch by one
    port. Weights are positive."""

    def __init__(self, edges: Edges | None = None) -> None:
        self._edges = edges or Edges()
        self._updates = TreeUpdates(self._edges)
        self._trees: dict[DatapathId, Tree] = {}
        self._copies: WeakSet[ShortestPaths] = WeakSet()
        self._origin: CopySource | None = None  # only in a copy
        self._begun: Tree | None = None  # the tree whose update has begun and is not finished

    @property
    def work(self) -> int:
        """The work of updates so far: switches looked at, in each of three passes. It does not depend on the machine."""
        return self._updates.work

    def set_edge(self, a: DatapathId, b: DatapathId, weight: float, port: PortNumber) -> None:
        """Add the edge from switch `a` to switch `b`, or change it. `port`: the port of `a` by which the edge leaves."""
        self._finish()
        if self._edges.ports.get((a, b), port) != port:
            # The next switch stays the same and only the port changes, which an update of distances does not notice.
            for tree in self._trees.values():
                if tree.hops.get(a) == b:
                    tree.moved.add(a)
        self._edges.set(a, b, weight, port)

    def remove_edge(self, a: DatapathId, b: DatapathId) -> None:
        """Remove the edge from `a` to `b`. Its port is remembered, so that another port is noticed when it comes back."""
        self._finish()
        self._edges.remove(a, b)

    def copy(self) -> "ShortestPaths":
        """A copy of the edges and the paths. Later changes of one do not reach the other. The paths to a destination are
        copied only when they change in the original, or are asked for in the copy."""
        self._finish()
        other = ShortestPaths(self._edges.copy())
        other._origin = CopySource(self, {target: tree.version for target, tree in self._trees.items()})
        self._copies.add(other)
        return other

    def _keep(self, target: DatapathId) -> None:
        """The paths to a destination are about to change: give them to the copies first."""
        for copy in self._copies:
            if target not in copy._trees:
                copy._known(target)

    def _known(self, target: DatapathId) -> Tree | None:
        """The tree of a destination, or None. A copy takes it from its original if it has none yet."""
        tree = self._trees.get(target)
        if tree is None and self._origin is not None and target in self._origin.versions:
            known = self._origin.paths._trees[target]
            tree = self._trees[target] = known.copy(self._origin.versions[target])
        return tree

    # ---- asking ---------------------------------------------------------------------------------

    def distances_to(self, target: DatapathId) -> dict[DatapathId, float]:
        """Path cost from every switch that reaches `target`. Not to be changed by the caller."""
        return self._tree(target).distances

    def distance(self, source: DatapathId, target: DatapathId) -> float:
        """Path cost, `inf` where there is no path. Nothing is updated if no change touched this path."""
        tree = self._known(target)
        if (
            tree is None
            or tree.update is not None
            or (tree.version != self._edges.version and not self._is_untouched(tree, source, target))
        ):
            tree = self._tree(target)
        return tree.distances.get(source, inf)

    def next_switch(self, source: DatapathId, target: DatapathId) -> DatapathId | None:
        """The switch after `source` on the way to `target`; None at the target itself and without a path."""
        return self._tree(target).hops.get(source)

    def next_port(self, source: DatapathId, target: DatapathId) -> PortNumber | None:
        """The port by which the way to `target` leaves `source`, or None."""
        hop = self._tree(target).hops.get(source)
        return None if hop is None else self._edges.ports[source, hop]

    def hops_to(self, target: DatapathId) -> Mapping[DatapathId, DatapathId]:
        """Switch -> the switch after it on the way to `target`."""
        return self._tree(target).hops

    def port(self, switch: DatapathId, hop: DatapathId | None) -> PortNumber | None:
        """The port by which a switch sends to the next one."""
        return None if hop is None else self._edges.ports[switch, hop]

    def leading_over(self, target: DatapathId, switches: Collection[DatapathId]) -> list[DatapathId]:
        """`switches`, and all other switches whose way to `target` leads over one of these."""
        hops = self._tree(target).hops
        found = dict.fromkeys(switches)
        waiting = list(found)
        for switch in waiting:
            for behind in self._edges.incoming.get(switch, ()):
                if hops.get(behind) == switch and behind not in found:
                    found[behind] = None
                    waiting.append(behind)
        return waiting

    def edges(self, switch: DatapathId) -> Mapping[DatapathId, float]:
        """The next switches that `switch` has an edge to, and the edges' weights. Not to be changed by the caller."""
        return self._edges.out.get(switch, {})

    def known(self) -> list[DatapathId]:
        """Destinations that were ever asked for."""
        return list(self._trees)

    def moved(self, target: DatapathId) -> frozenset[DatapathId]:
        """What `take_moved` would return, without a reset."""
        return frozenset(self._tree(target).moved)

    def forget_one(self) -> bool:
        """Free a copy that is no longer used, one destination at each call: to free all at once takes long. False when
        no destination is left."""
        self._origin = None
        if self._trees:
            self._trees.popitem()
        return bool(self._trees)

    def is_copied(self, target: DatapathId) -> bool:
        """Whether this is a copy, and the original knew the ways to `target` when the copy was made."""
        return self._origin is not None and target in self._origin.versions

    def take_moved(self, target: DatapathId) -> set[DatapathId]:
        """Switches whose next port towards `target` changed since the last call. It may have changed back."""
        tree = self._tree(target)
        moved, tree.moved = tree.moved, set()
        return moved

    def take_measured(self, target: DatapathId) -> set[DatapathId]:
        """Switches whose distance to `target` changed since the last call. It may have changed back."""
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
        """Do one portion of the update of a destination. True when the destination is up to date."""
        tree = self._known(target)
        if tree is None:
            tree = self._trees[target] = Tree({target: 0.0}, UNKNOWN)
        return self._advance(tree, target)

    def _advance(self, tree: Tree, target: DatapathId) -> bool:
        if tree.update is None:
            if tree.version == self._edges.version:
                return True
            self._finish()
            if tree.version == UNKNOWN:
                tree.update = self._updates.compute(tree, target)
            else:
                tree.update = self._updates.update(tree, target, self._keep)
            self._begun = tree
        for _ in tree.update:
            return False
        tree.update, self._begun = None, None
        return True

    def _finish(self) -> None:
        """Finish the update that has begun. Edges may not change during an update."""
        if self._begun is not None and self._begun.update is not None:
            for _ in self._begun.update:
                pass
            self._begun.update = None
        self._begun = None

    def _is_untouched(self, tree: Tree, source: DatapathId, target: DatapathId) -> bool:
        """Whether a known path has kept its cost: it uses no changed edge, and no changed edge gives a shorter path."""
        distances, hops = tree.distances, tree.hops
        changed = self._edges.changed_since(tree.version)
        for a, b in changed:
            if self._edges.out.get(a, {}).get(b, inf) + distances.get(b, inf) < distances.get(a, inf):
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
