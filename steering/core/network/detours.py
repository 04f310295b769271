"""The way around a link that is down: from its near switch to its far one, without it.

It leads to the far end of the link and no further, so all destinations share one, and what arrives there is where it would
have been anyway. From there on its way to the destination is shorter than it was before the link, so however many links
fail, nothing goes round in circles as long as the switches agree on the ways.
"""

from heapq import heappop, heappush
from itertools import pairwise

from steering.core.network.graph import Ends, Graph
from steering.model.ids import DatapathId

LONGEST = 32  # links: what goes further is no failover, and a ring has as many rules for each link as it has switches


def way_around(graph: Graph, a: DatapathId, b: DatapathId) -> tuple[tuple[Ends, ...], int]:
    """The links, in order, of the cheapest way from a switch to the next one that does without the link that paths use
    between the two; another link between them comes first. Empty where there is none of at most LONGEST links. Beside
    it how many switches were settled on the search, which is what it costs."""
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
