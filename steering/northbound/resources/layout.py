"""/v1/topology/layout: the network as a picture, with coordinates for every node and link."""

from collections.abc import Callable
from typing import Any, cast

from steering.core.snapshots.arrangement import Arrangement, Shape, arrange, shape_of
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.schema.representation import as_json
from steering.northbound.schema.view import View

Json = dict[str, Any]


class LayoutResource:
    """`work(function, *arguments)` runs a long computation where no packet waits for it. Coordinates are computed anew only
    when a node or link is added or removed, not when a state or a utilisation changes."""

    def __init__(self, view: View, work: Callable[..., Any]) -> None:
        self._view = view
        self._work = work
        self._last: tuple[Shape, Arrangement] | None = None

    def layout(self, _: Call) -> RestReply:
        drawing = self._view.drawing()
        places = self._places(shape_of(drawing))
        nodes, links = [], []
        for node in drawing.nodes:
            x, y = places.nodes[node.id]
            nodes.append(as_json(node) | {"x": x, "y": y})
        for link in drawing.links:
            links.append(
                as_json(link) | {"bends": [list(point) for point in places.bends.get(link.name, ())]}
            )
        return RestReply({"nodes": nodes, "links": links})

    def _places(self, shape: Shape) -> Arrangement:
        last = self._last
        if last is None or last[0] != shape:
            return cast(Arrangement, self._work(self._arranged, shape))
        return last[1]

    def _arranged(self, shape: Shape) -> Arrangement:
        """Compute the coordinates of `shape`, or take those that another request computed while this one waited for `work`."""
        last = self._last
        if last is None or last[0] != shape:
            last = self._last = (shape, arrange(shape))
        return last[1]
