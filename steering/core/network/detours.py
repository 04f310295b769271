"""Detours: the way around a link that is down, from its near switch to its far switch.

A detour ends at the far end of the link, so all destinations share one detour. A packet that arrives at the far end
is nearer to its destination than it was at the near end. So no packet goes round in circles, however many links
fail, as long as the switches agree on the ways.
"""

from heapq import heappop, heappush
from itertools import pairwise

from steering.core.network.graph import Ends, Graph
from steering.model.ids import DatapathId

LONGEST = 32  # most links of a detour: in a ring, each link's detour needs a rule at every switch


def way_around(graph: Graph, a: DatapathId, b: DatapathId) -> tuple[tuple[Ends, ...], int]:
    """The cheapest way from a switch to its neighbour without the link that paths use between the two.

    Returns the links of the way in order, and how many switches the search settled (its cost). Another link between
    the two switches is preferred. The links are empty where there is no way of at most LONGEST links."""
    own = graph.link_used(a, b)
    spare = [
        (weight, ends)
        for ends, weight in graph.links_between(a, b).items()
        if ends[0] != own[0] and ends[1] != own[1]
    ]
    if spare:
        return (min(spare)[1],), 0
    heap: list[tuple[float, tuple[DatapathId, ...]]] = [(0.0, (a,))]
    seen: set[DatapathId] = set()
    while heap:
        cost, way = heappop(heap)
        at = way[-1]
        if at == b:
            links = tuple(graph.link_used(x, y) for x, y in pairwise(way))
            return (() if links[0][0] == own[0] else links), len(
                seen
            )  # a segment with several switches at one port
        if at in seen or len(way) > LONGEST:
            continue
        seen.add(at)
        for hop, weight in graph.paths.edges(at).items():
            if hop not in seen and (at, hop) != (a, b):
                heappush(heap, (cost + weight, (*way, hop)))
    return (), len(seen)
