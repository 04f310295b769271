"""The rules of table LABEL in pieces. A piece has the rules by which one switch forwards to all waypoints of another.

A piece depends only on the destination switch, the way out towards it, and the epoch of the switch that forwards.
Equal pieces are one object: a network of 1,000 switches and 600 waypoints has 600,000 such rules, but only some
6,000 different ones.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Mapping

from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.pipeline.failover import Failover
from steering.core.pipeline.forwarding import label_rules
from steering.core.pipeline.pieces import Rules, keyed
from steering.model.ids import DatapathId
from steering.model.network import Waypoint
from steering.model.rules import RuleAction

MADE = 65_536  # most pieces that are cached


class Labels:
    """Makes the label pieces, and caches them. A piece is asked for by the switch that forwards and the destination
    switch, where the waypoints are."""

    def __init__(
        self, sitemap: SiteMap, graph: Graph, epochs: Mapping[DatapathId, int], failover: Failover
    ) -> None:
        self._failover = failover
        self._map = sitemap
        self._graph = graph
        self._epochs = epochs
        self._made: OrderedDict[tuple[DatapathId, RuleAction | None, int, bool], Rules] = OrderedDict()
        self._at = self._index()

    def _index(self) -> dict[DatapathId, tuple[Waypoint, ...]]:
        found: defaultdict[DatapathId, list[Waypoint]] = defaultdict(list)
        for port, attachment in self._map.attachments.items():
            found[port.dpid].append(attachment.waypoint)
        return {dpid: tuple(waypoints) for dpid, waypoints in found.items()}

    @property
    def targets(self) -> list[DatapathId]:
        """All destination switches."""
        return list(self._at)

    def replaced(self) -> list[DatapathId]:
        """The site has other MCPs now. Returns the destination switches whose waypoints changed."""
        before, self._at = self._at, self._index()
        self._made.clear()
        return [t for t in {**before, **self._at} if before.get(t) != self._at.get(t)]

    def rules(self, dpid: DatapathId, target: DatapathId) -> Rules:
        """The rules by which a switch forwards to the waypoints of another switch, or of itself. Equal rules are the same
        object."""
        port = self._graph.next_hop(dpid, target)
        way = None if port is None else self._failover.way_out(dpid, port)
        key = (target, way, self._epochs[dpid], dpid == target)
        known = self._made.get(key)
        if known is None:
            if len(self._made) >= MADE:
                self._made.popitem(last=False)  # only one: to clear all takes tens of milliseconds
            waypoints = self._at.get(target, ())
            rules = label_rules(self._epochs[dpid], dpid == target, waypoints, way)
            known = self._made[key] = keyed(rules)
        return known
