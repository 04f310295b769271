"""The graph of switches and links. Distances and next hops are kept, and updated after each change of a link.

Only label forwarding runs over these links. An in-line MCP (`interception: self`) is not a link: label forwarding
ends at its inside port, and begins anew at its outside port.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf

from steering.core.network.edges import Pair
from steering.core.network.shortest_paths import ShortestPaths
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import Interception, Link, Mcp, PortRef, Site

Ends = tuple[PortRef, PortRef]  # a directed link


@dataclass(frozen=True, slots=True)
class NaturalPath:
    """The path that a packet takes with steering off (D-2.7): its cost, its switches in order, and the in-line MCP
    that it crosses, if any."""

    cost: float
    switches: tuple[DatapathId, ...]
    through: Mcp | None = None


class SwitchPaths:
    """Distances, next hops and natural paths. `in_line`: the MCPs that natural paths may lead through."""

    def __init__(self, paths: ShortestPaths, in_line: tuple[Mcp, ...]) -> None:
        self.paths = paths
        self.in_line = in_line

    def distances_to(self, target: DatapathId) -> dict[DatapathId, float]:
        """Path cost from every switch that reaches `target`."""
        return self.paths.distances_to(target)

    def distance(self, source: DatapathId, target: DatapathId) -> float:
        """Path cost, `inf` where there is no path."""
        return self.paths.distance(source, target)

    def next_hop(self, source: DatapathId, target: DatapathId) -> PortNumber | None:
        """Port of `source` towards `target`; None at the target itself and without a path."""
        return self.paths.next_port(source, target)

    def path(self, source: DatapathId, target: DatapathId) -> tuple[DatapathId, ...]:
        """Switches from source to target, both included; empty without a path."""
        hops = [source]
        while hops[-1] != target:
            hop = self.paths.next_switch(hops[-1], target)
            if hop is None or hop in hops:
                return ()
            hops.append(hop)
        return tuple(hops)

    def natural(self, source: DatapathId, target: DatapathId) -> NaturalPath:
        """The natural path between two edge switches. It leads through an in-line MCP if that costs no more than the
        path without it."""
        cost, mcp = self._natural(source, target)
        if mcp is None:
            return NaturalPath(cost, self.path(source, target))
        switches = self.path(source, mcp.inside.dpid) + self.path(mcp.outside.dpid, target)
        return NaturalPath(cost, switches, mcp)

    def natural_cost(self, source: DatapathId, target: DatapathId) -> float:
        """The cost of the natural path between two edge switches, `inf` where there is none."""
        return self._natural(source, target)[0]

    def natural_mcp(self, source: DatapathId, target: DatapathId) -> Mcp | None:
        """The in-line MCP on the natural path between two edge switches, or None."""
        return self._natural(source, target)[1] if self.in_line else None

    def _natural(self, source: DatapathId, target: DatapathId) -> tuple[float, Mcp | None]:
        best, through = self.distance(source, target), None
        for mcp in self.in_line:
            cost = self.distance(source, mcp.inside.dpid) + self.distance(mcp.outside.dpid, target)
            if cost < inf and (cost < best or (cost == best and through is None)):
                best, through = cost, mcp
        return best, through


class Graph(SwitchPaths):
    """Directed links between switch ports. Every change makes a new `version`.

    Of parallel links between two switches the cheapest is used. Of equally cheap ones the link with the lowest ports
    is used, so that all controllers use the same one.
    """

    def __init__(self, site: Site) -> None:
        self._links: dict[Ends, float] = {}
        self._between: dict[Pair, dict[Ends, float]] = {}  # the same links, by their two switches
        self._at: dict[PortRef, dict[Ends, None]] = {}  # port -> the links that begin or end there
        self._core: dict[DatapathId, set[PortNumber]] = {}  # switch -> its ports with a link
        super().__init__(ShortestPaths(), ())
        self.version = 0
        self._changes: dict[Pair, int] = {}  # switches -> version of the last change between them
        self._set: dict[Ends, float] = {}  # weights that an operator set (D-1.d)
        self._declared = {(a, b): n.weight for n in site.links for a, b in ((n.a, n.b), (n.b, n.a))}
        self.replace(site)
        for link in site.links:
            self.add(link.a, link.b)
            self.add(link.b, link.a)

    def replace(self, site: Site) -> None:
        """Take over the MCPs of a changed site, whose switches and links are the same. Natural paths may then lead
        through other in-line MCPs."""
        self.in_line = tuple(mcp for mcp in site.mcps if mcp.interception is Interception.SELF)
        self.version += 1

    def add(self, a: PortRef, b: PortRef) -> bool:
        """Add the direction a -> b. True if that changed anything."""
        weight = self._weight(a, b)
        if self._links.get((a, b)) == weight:
            return False
        self._links[a, b] = weight
        self._between.setdefault((a.dpid, b.dpid), {})[a, b] = weight
        for end in (a, b):
            self._at.setdefault(end, {})[a, b] = None
            self._core.setdefault(end.dpid, set()).add(end.port)
        self._changed(a.dpid, b.dpid)
        return True

    def weigh(self, a: PortRef, b: PortRef, weight: float | None) -> bool:
        """Set another weight for both directions of a link, also for when the link comes back; None restores the
        site's own weight. True if that changed anything."""
        changed = False
        for pair in ((a, b), (b, a)):
            if weight is None:
                self._set.pop(pair, None)
            else:
                self._set[pair] = weight
            if pair in self._links:
                changed |= self.add(*pair)
        return changed

    def own_weight(self, a: PortRef, b: PortRef) -> float:
        """The weight in the site file, or 1 if the site file gives none."""
        return self._declared.get((a, b), 1.0)

    def set_weight(self, a: PortRef, b: PortRef) -> float | None:
        """The weight that an operator set instead of the site's own; None where no operator did."""
        return self._set.get((a, b))

    def remove(self, a: PortRef, b: PortRef) -> bool:
        """Remove the direction a -> b. True if it was there."""
        if self._links.pop((a, b), None) is None:
            return False
        del self._between[a.dpid, b.dpid][a, b]
        for end in (a, b):
            del self._at[end][a, b]
            if not self._at[end]:
                del self._at[end]
                self._core[end.dpid].discard(end.port)
        self._changed(a.dpid, b.dpid)
        return True

    def links(self) -> list[Link]:
        """The directed links that are up."""
        return [Link(a, b, weight) for (a, b), weight in self._links.items()]

    def has(self, a: PortRef, b: PortRef) -> bool:
        """Whether the direction a -> b is up."""
        return (a, b) in self._links

    def copy(self) -> SwitchPaths:
        """A copy of the paths as they are now. Later changes do not reach the copy."""
        return SwitchPaths(self.paths.copy(), self.in_line)

    def leads(self, port: PortRef) -> bool:
        """Whether a link begins at a port."""
        return any(a == port for a, _ in self._at.get(port, ()))

    def links_at(self, port: PortRef) -> list[Ends]:
        """The directed links that begin or end at a port."""
        return list(self._at.get(port, ()))

    def links_between(self, a: DatapathId, b: DatapathId) -> Mapping[Ends, float]:
        """The links from one switch to another, and their weights."""
        return self._between.get((a, b), {})

    def link_used(self, a: DatapathId, b: DatapathId) -> Ends:
        """The link that paths use from one switch to another. Raises ValueError where there is no link."""
        return _cheapest(self.links_between(a, b))[1]

    def pairs(self) -> list[Pair]:
        """The pairs of switches with a link from the first to the second."""
        return [pair for pair, links in self._between.items() if links]

    def core_ports(self, dpid: DatapathId) -> set[PortNumber]:
        """Ports of a switch that lead to another switch."""
        return set(self._core.get(dpid, ()))

    def _weight(self, a: PortRef, b: PortRef) -> float:
        return self._set.get((a, b), self.own_weight(a, b))

    def _changed(self, a: DatapathId, b: DatapathId) -> None:
        self.version += 1
        self._changes.pop((a, b), None)
        self._changes[a, b] = self.version  # the latest one last
        lay_edge(self.paths, a, b, self._between[a, b])

    def changed_since(self, version: int) -> Iterator[Pair]:
        """The pairs of switches whose links, in that direction, changed after `version`."""
        for pair, changed in reversed(self._changes.items()):
            if changed <= version:
                return
            yield pair


def lay_edge(paths: ShortestPaths, a: DatapathId, b: DatapathId, links: Mapping[Ends, float]) -> None:
    """Connect switch `a` to switch `b` by the cheapest link between them, or remove the edge where there is none."""
    if links:
        weight, (near, _) = _cheapest(links)
        paths.set_edge(a, b, weight, near.port)
    else:
        paths.remove_edge(a, b)


def _cheapest(links: Mapping[Ends, float]) -> tuple[float, Ends]:
    return min((weight, ends) for ends, weight in links.items())
