"""Links over which announcements take a multiple of what they took before: somebody may carry frames there (a wormhole), or the
cable was led another way. An alarm tells of each, and nothing else follows."""

from collections.abc import Mapping

from steering.core.counters import Counters
from steering.core.inputs import Input
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import Handler, Part
from steering.core.supervision.names import ThingNames
from steering.model.link_trip import LinkTrip
from steering.model.network import PortRef

MOST = 1_024  # links that are known as such


class LongLinks(Part):
    """`known`: directions of links, and in words what was measured."""

    def __init__(self, sitemap: SiteMap, counters: Counters) -> None:
        self._map = sitemap
        self._counters = counters
        self.known: dict[tuple[PortRef, PortRef], str] = {}

    def takes(self) -> Mapping[type[Input], Handler]:
        return {LinkTrip: self.measured}

    def measured(self, told: LinkTrip, now: float) -> list[Output]:
        """A link became an outlier, or is none any more."""
        if not told.is_outlier:
            self.known.pop((told.a, told.b), None)
            return []
        self._counters.link_trip_outliers += 1
        if len(self.known) < MOST:
            trip, usual = told.trip * 1e3, told.usual * 1e3
            self.known[told.a, told.b] = f"announcements take {trip:.1f} ms, where they took {usual:.1f} ms"
        return []

    def named(self) -> dict[str, str]:
        """By the link's name, from port to port."""
        names = ThingNames(self._map)
        return {f"{names.port(a)}-{names.port(b)}": text for (a, b), text in self.known.items()}
