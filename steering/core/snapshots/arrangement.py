"""The layout of a drawing of the network: access networks left, gateways right, switches between, MCPs at their switch.

The layout is a layered drawing after Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11, 1981):

* A switch's column follows from its distances to the access networks and to the gateways.
* A link that crosses columns has a stand-in node in each of them.
* Nodes in a column are ordered by the mean place of their neighbours.

Equal networks get equal layouts, independent of chance and of the order of arrival. At 200 switches it takes some
milliseconds, so a process that has to answer others meanwhile computes it in another thread or process.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from steering.model.drawing import NetworkPicture

MOST_COLUMNS = 12  # most columns of switches
MOST_STAND_INS = 4_000  # most stand-in nodes; if there were more, long links are drawn straight
SWEEPS = 6  # passes over the columns that order their nodes
_DIGITS = re.compile(r"(\d+)")

Point = tuple[float, float]


class Shape(NamedTuple):
    """All that a layout depends on: names and connections, but no states and no use.

    * `hanging`: id, kind and switches of each access network, gateway and MCP.
    * `links`: name and the two switches of each link.
    """

    switches: tuple[str, ...]
    hanging: tuple[tuple[str, str, tuple[str, ...]], ...]
    links: tuple[tuple[str, str, str], ...]


class Arrangement(NamedTuple):
    """A layout, in a square of side 1 with (0, 0) at the upper left corner. `nodes`: id -> place. `bends`: name of a
    link -> the points that it passes between its ends."""

    nodes: Mapping[str, Point]
    bends: Mapping[str, tuple[Point, ...]]


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
    """The layout of everything in `shape`."""
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
    """The column of each switch. Column 0 is nearest to the access networks."""
    import networkx  # imported here, since only a page that draws the network needs it

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
    """The columns, each with its nodes in order."""

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
        """Order each column so that connected nodes of different columns have similar heights."""
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
        """Put a node (an MCP) below its switch, or into the middle column if its switch is not known."""
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

    def places(self) -> dict[str, Point]:
        """The place of each node: x from its column, y from its order in the column."""
        last = max(self._order, default=0) or 1
        heights = self._heights(self._order)
        return {node: (round(self._column[node] / last, 4), round(heights[node], 4)) for node in heights}


def _lay_links(layers: _Layers, shape: Shape, columns: Mapping[str, int]) -> dict[str, list[str]]:
    """Join the switches by their links. Returns the stand-ins of each link by its name, from the link's first end on."""
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
    """The columns strictly between two columns, as arguments of `range`."""
    return (a + 1, b, 1) if a <= b else (a - 1, b, -1)


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts s2 before s10."""
    parts: Iterable[str] = _DIGITS.split(name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
