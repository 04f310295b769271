"""Switches and links as a networkx graph; distances and next hops, kept until the graph changes.

Only label forwarding runs over these links. An in-line MCP (`interception: self`) is not a link: a packet
ends at its inside port and a new one begins at its outside port.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import networkx as nx

from steering.model.network import Interception, Link, Mcp, PortRef, Site


@dataclass(frozen=True, slots=True)
class NaturalPath:
    """What a packet takes with steering off (D-2.7): switches in order, and the in-line MCP it crosses."""

    cost: float
    switches: tuple[int, ...]
    through: Mcp | None = None


class Graph:
    """Directed links between switch ports. Every change makes a new `version` and forgets distances."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._links: dict[tuple[PortRef, PortRef], float] = {}
        self._built: nx.DiGraph[int] | None = None  # made when first asked for, so that many changes cost one
        self._to: dict[int, dict[int, float]] = {}
        self.version = 0
        self._set: dict[tuple[PortRef, PortRef], float] = {}  # by an operator (D-1.d)
        self._declared = {(a, b): n.weight for n in site.links for a, b in ((n.a, n.b), (n.b, n.a))}
        for link in site.links:
            self.add(link.a, link.b)
            self.add(link.b, link.a)

    def replace(self, site: Site) -> None:
        """The same switches and links with other MCPs: natural paths may lead through one in line, or no more."""
        self._site = site
        self._changed()

    def add(self, a: PortRef, b: PortRef) -> bool:
        """Add the direction a -> b. True if that changed anything."""
        cost = self._weight(a, b)
        if self._links.get((a, b)) == cost:
            return False
        self._links[(a, b)] = cost
        self._changed()
        return True

    def weigh(self, a: PortRef, b: PortRef, weight: float | None) -> bool:
        """Another weight for both directions of a link, now and whenever it comes again; None: the site's own.
        True if that changed anything."""
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
        """What the site file says, 1 where it says nothing."""
        return self._declared.get((a, b), 1.0)

    def set_weight(self, a: PortRef, b: PortRef) -> float | None:
        """What an operator set in its place, None for nothing."""
        return self._set.get((a, b))

    def remove(self, a: PortRef, b: PortRef) -> bool:
        """Remove the direction a -> b. True if it was there."""
        if self._links.pop((a, b), None) is None:
            return False
        self._changed()
        return True

    def links(self) -> list[Link]:
        """The directed links that are up."""
        return [Link(a, b, weight) for (a, b), weight in self._links.items()]

    def loaded(self, factors: Mapping[PortRef, float]) -> "Graph":
        """The same links with the weight of those that leave `factors`' ports multiplied."""
        other = Graph(self._site)
        other._links = {(a, b): weight * factors.get(a, 1.0) for (a, b), weight in self._links.items()}
        other._changed()
        return other

    def links_at(self, port: PortRef) -> list[tuple[PortRef, PortRef]]:
        """The directed links that begin or end at a port."""
        return [pair for pair in self._links if port in pair]

    def core_ports(self, dpid: int) -> set[int]:
        """Ports of a switch that lead to another switch."""
        return {end.port for pair in self._links for end in pair if end.dpid == dpid}

    def _weight(self, a: PortRef, b: PortRef) -> float:
        return self._set.get((a, b), self.own_weight(a, b))

    def _changed(self) -> None:
        self._built = None
        self._to.clear()
        self.version += 1

    @property
    def _graph(self) -> "nx.DiGraph[int]":
        if self._built is None:
            self._built = self._build()
        return self._built

    def _build(self) -> "nx.DiGraph[int]":
        graph: nx.DiGraph[int] = nx.DiGraph()
        # Sorted, so that of two equal parallel links every controller takes the same one.
        for (a, b), weight in sorted(self._links.items()):
            known = graph.get_edge_data(a.dpid, b.dpid)
            if known is None or weight < known["weight"]:
                graph.add_edge(a.dpid, b.dpid, weight=weight, port=a.port)
        return graph

    def distances_to(self, target: int) -> dict[int, float]:
        """Path cost from every switch that reaches `target`."""
        known = self._to.get(target)
        if known is None:
            if target in self._graph:
                known = nx.single_source_dijkstra_path_length(self._graph.reverse(copy=False), target)
            else:
                known = {target: 0.0}
            self._to[target] = known
        return known

    def distance(self, source: int, target: int) -> float:
        """Path cost, `inf` where there is no path."""
        return self.distances_to(target).get(source, inf)

    def next_hop(self, source: int, target: int) -> int | None:
        """Port of `source` towards `target`; None at the target itself and without a path."""
        hop = self._next(source, target)
        return None if hop is None else int(self._graph[source][hop]["port"])

    def _next(self, source: int, target: int) -> int | None:
        if source == target or source not in self._graph:
            return None
        to = self.distances_to(target)
        best = min(
            ((data["weight"] + to[hop], hop) for hop, data in self._graph[source].items() if hop in to),
            default=None,
        )
        return None if best is None else best[1]

    def path(self, source: int, target: int) -> tuple[int, ...]:
        """Switches from source to target, both included; empty without a path."""
        hops = [source]
        while hops[-1] != target:
            hop = self._next(hops[-1], target)
            if hop is None or hop in hops:
                return ()
            hops.append(hop)
        return tuple(hops)

    def natural(self, source: int, target: int) -> NaturalPath:
        """The natural path between two edge switches, through an in-line MCP where one stands on it.

        An in-line MCP stands on it if going through its two ports costs no more than going past it.
        """
        best = NaturalPath(self.distance(source, target), self.path(source, target))
        for mcp in self._site.mcps:
            if mcp.interception is not Interception.SELF:
                continue
            cost = self.distance(source, mcp.inside.dpid) + self.distance(mcp.outside.dpid, target)
            if cost < inf and (cost < best.cost or (cost == best.cost and best.through is None)):
                switches = self.path(source, mcp.inside.dpid) + self.path(mcp.outside.dpid, target)
                best = NaturalPath(cost, switches, mcp)
        return best
