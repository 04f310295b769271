"""Links over which discovery frames take a multiple of their usual time. Perhaps somebody relays the frames and feigns the
link (a wormhole), or the cable was laid anew. Each such link causes an alarm, and nothing else."""

from collections.abc import Mapping

from steering.core.counters import Counters
from steering.core.inputs import Input
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import Handler, Part
from steering.core.supervision.names import ThingNames
from steering.model.link_trip import LinkTrip
from steering.model.network import PortRef

MOST = 1_024  # most such links


class LongLinks(Part):
    """`known`: directions of links, each with a text about the measured times."""

    def __init__(self, sitemap: SiteMap, counters: Counters) -> None:
        self._map = sitemap
        self._counters = counters
        self.known: dict[tuple[PortRef, PortRef], str] = {}

    def takes(self) -> Mapping[type[Input], Handler]:
        return {LinkTrip: self.measured}

    def measured(self, told: LinkTrip, now: float) -> list[Output]:
        """A link became an outlier, or is an outlier no longer."""
        if not told.is_outlier:
            self.known.pop((told.a, told.b), None)
            return []
        self._counters.link_trip_outliers += 1
        if len(self.known) < MOST:
            trip, usual = told.trip * 1e3, told.usual * 1e3
            self.known[told.a, told.b] = f"announcements take {trip:.1f} ms, where they took {usual:.1f} ms"
        return []

    def named(self) -> dict[str, str]:
        """The texts by the names of the links, from port to port."""
        names = ThingNames(self._map)
        return {f"{names.port(a)}-{names.port(b)}": text for (a, b), text in self.known.items()}
