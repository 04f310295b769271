"""Where the things of a drawing are put: accesses left, gateways right, MCPs where they hang, switches between.

A layered drawing in the manner of Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11, 1981): columns by the distance from
the accesses and to the gateways, a stand-in in each column that a long link crosses, and an order in each column by the
mean place of neighbours. Pure, and the same for the same network: neither chance nor the order of arrival counts.
It takes some milliseconds at 200 switches; whoever serves others meanwhile runs it somewhere else.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from steering.model.drawing import NetworkPicture

MOST_COLUMNS = 12  # of switches
MOST_STAND_INS = 4_000  # more of them, and long links are drawn straight
SWEEPS = 6
_DIGITS = re.compile(r"(\d+)")

Place = tuple[float, float]


class Shape(NamedTuple):
    """What places depend on: names, and who is joined to whom. States and uses are not in it. `hanging`: id, kind and
    switches of what hangs at ports; `links`: name and the two switches of each."""

    switches: tuple[str, ...]
    hanging: tuple[tuple[str, str, tuple[str, ...]], ...]
    links: tuple[tuple[str, str, str], ...]


class Arrangement(NamedTuple):
    """Places in a square of side 1, from the upper left corner. `nodes`: by id. `bends`: by a link's name the points
    that it passes between its ends."""

    nodes: Mapping[str, Place]
    bends: Mapping[str, tuple[Place, ...]]


def shape_of(drawing: NetworkPicture) -> Shape:
    return Shape(
        tuple(node.name for node in drawing.nodes if node.kind == "switch"),
        tuple(
            (node.id, node.kind, tuple(dict.fromkeys(port.switch for port in node.ports)))
            for node in drawing.nodes
            if node.kind != "switch"
        ),
        tuple((link.name, *link.between) for link in drawing.links),
    )


def arrange(shape: Shape) -> Arrangement:
    """Places for everything in `shape`."""
    columns = _columns(shape)
    hanging = sorted(shape.hanging, key=lambda one: natural(one[0]))
    layers = _Layers()
    for name, column in columns.items():
        layers.put(_switch(name), column + 1)
    last = max(columns.values(), default=0)
    for node, kind, switches in hanging:
        if kind != "mcp":
            layers.put(node, 0 if kind == "access" else last + 2)
            for name in switches:
                layers.join(node, _switch(name), [])
    bends = _lay_links(layers, shape, columns)
    layers.order()
    for node, kind, switches in hanging:
        if kind == "mcp":
            layers.hang(node, _switch(switches[0]) if switches else None)
    places = layers.places()
    return Arrangement(
        {node: places[node] for node in [*map(_switch, shape.switches), *(one[0] for one in shape.hanging)]},
        {name: tuple(places[one] for one in chain) for name, chain in bends.items() if chain},
    )


def _switch(name: str) -> str:
    return f"switch {name}"


def _columns(shape: Shape) -> dict[str, int]:
    """The column of each switch, 0 nearest to the accesses."""
    import networkx  # late: only a page that draws the network needs it

    graph = networkx.Graph()
    graph.add_nodes_from(shape.switches)
    graph.add_edges_from((a, b) for _, a, b in shape.links)
    starts = {name for _, kind, at in shape.hanging if kind == "access" for name in at if name in graph}
    ends = {name for _, kind, at in shape.hanging if kind == "gateway" for name in at if name in graph}
    hops = [
        networkx.multi_source_dijkstra_path_length(graph, found, weight=None) if found else {}
        for found in (starts, ends)
    ]
    near, far = hops
    across = [near[name] + far[name] for name in graph if name in near and name in far]
    width = min(max(across, default=0), MOST_COLUMNS - 1)
    found = {}
    for name in graph:
        left, right = near.get(name), far.get(name)
        if left is not None and right is not None:
            part = left / (left + right) if left + right else 0.5
        else:
            part = 0.5 if left is None and right is None else 0.0 if right is None else 1.0
        found[name] = int(part * width + 0.5)
    return found


class _Layers:
    """Columns of nodes, each in an order."""

    def __init__(self) -> None:
        self._column: dict[str, int] = {}
        self._order: dict[int, list[str]] = defaultdict(list)
        self._joined: dict[str, list[str]] = defaultdict(list)

    def put(self, node: str, column: int) -> None:
        self._column[node] = column
        self._order[column].append(node)

    def join(self, a: str, b: str, between: Sequence[str]) -> None:
        """Join two nodes by a chain of stand-ins."""
        chain = [a, *between, b]
        for one, other in pairwise(chain):
            self._joined[one].append(other)
            self._joined[other].append(one)

    def order(self) -> None:
        """Order each column so that neighbours stand side by side."""
        columns = sorted(self._order)
        for column in columns:
            self._order[column].sort(key=natural)
        for sweep in range(SWEEPS):
            for column in columns if sweep % 2 == 0 else reversed(columns):
                heights = self._heights(self._order)
                self._order[column].sort(key=lambda node: (self._mean(node, heights), natural(node)))

    def _mean(self, node: str, heights: Mapping[str, float]) -> float:
        beside = [
            heights[one] for one in self._joined.get(node, ()) if self._column[one] != self._column[node]
        ]
        return round(sum(beside) / len(beside), 9) if beside else heights[node]

    def hang(self, node: str, switch: str | None) -> None:
        """Put a node below the switch that it hangs at, or alone in the middle."""
        if switch is None or switch not in self._column:
            self.put(node, max(self._order, default=0) // 2)
            return
        column = self._column[switch]
        self._column[node] = column
        at = self._order[column].index(switch) + 1
        while at < len(self._order[column]) and self._order[column][at].startswith("mcp "):
            at += 1
        self._order[column].insert(at, node)

    @staticmethod
    def _heights(order: Mapping[int, Sequence[str]]) -> dict[str, float]:
        return {node: (at + 0.5) / len(nodes) for nodes in order.values() for at, node in enumerate(nodes)}

    def places(self) -> dict[str, Place]:
        """x by the column, y by the order in it."""
        last = max(self._order, default=0) or 1
        heights = self._heights(self._order)
        return {node: (round(self._column[node] / last, 4), round(heights[node], 4)) for node in heights}


def _lay_links(layers: _Layers, shape: Shape, columns: Mapping[str, int]) -> dict[str, list[str]]:
    """Join the switches by their links; by a link's name its stand-ins, from its first end on."""
    spans = {name: range(*_inside(columns[a] + 1, columns[b] + 1)) for name, a, b in shape.links}
    straight = sum(map(len, spans.values())) > MOST_STAND_INS
    found = {}
    for name, a, b in shape.links:
        chain = [] if straight else [f"bend {name} {column}" for column in spans[name]]
        for stand_in, column in zip(chain, spans[name], strict=False):
            layers.put(stand_in, column)
        layers.join(_switch(a), _switch(b), chain)
        found[name] = chain
    return found


def _inside(a: int, b: int) -> tuple[int, int, int]:
    """The columns strictly between two, as arguments of `range`."""
    return (a + 1, b, 1) if a <= b else (a - 1, b, -1)


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts s2 before s10."""
    parts: Iterable[str] = _DIGITS.split(name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
