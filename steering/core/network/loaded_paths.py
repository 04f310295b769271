"""Path costs over links whose weight grows with their utilisation (D-6.6.2)."""

from steering.core.network.graph import Graph, lay_edge
from steering.core.network.shortest_paths import ShortestPaths
from steering.model.ids import DatapathId
from steering.model.network import PortRef


class LoadedPaths:
    """The links of a graph, with weights multiplied by factors. A factor belongs to the port by which a link leaves
    its switch. After a change of the graph only the changed edges are computed again.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._factors: dict[PortRef, float] = {}
        self._paths = ShortestPaths()
        self._version = -1  # the version of the graph that the paths are for

    @property
    def any(self) -> bool:
        """Whether some link has a factor other than 1."""
        return bool(self._factors)

    def weigh(self, port: PortRef, factor: float) -> bool:
        """Set the factor for the links that leave a port. True if the factor changed."""
        if factor == self._factors.get(port, 1.0):
            return False
        if factor == 1.0:
            del self._factors[port]
        else:
            self._factors[port] = factor
        for a, b in self._graph.links_at(port):
            if a == port:
                self._lay(a.dpid, b.dpid)
        return True

    def distance(self, source: DatapathId, target: DatapathId) -> float:
        """Path cost, `inf` where there is no path."""
        if self._version != self._graph.version:
            for a, b in self._graph.changed_since(self._version):
                self._lay(a, b)
            self._version = self._graph.version
        return self._paths.distance(source, target)

    def _lay(self, a: DatapathId, b: DatapathId) -> None:
        links = self._graph.links_between(a, b)
        felt = {ends: weight * self._factors.get(ends[0], 1.0) for ends, weight in links.items()}
        lay_edge(self._paths, a, b, felt)
