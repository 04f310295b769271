"""Which switches of other controllers take entries now: those of a controller that is reached, and that has them itself."""

from collections import Counter
from collections.abc import Collection, Mapping

from steering.core.handshakes.room import Readiness
from steering.core.inputs import Input
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import Handler
from steering.core.peer_facts import WriteMissed
from steering.core.peers.peer_events import PeerEvent
from steering.core.peers.segment_routes import SegmentRoutes
from steering.model.ids import DatapathId

MISSING = 1.0  # seconds for which a switch takes nothing whose controller could not write to it: it may be there again


class PeerSwitches:
    """`reached`: who can be reached now."""

    def __init__(
        self,
        sitemap: SiteMap,
        routes: SegmentRoutes,
        readiness: Readiness,
        reached: Collection[str],
        events: Counter[PeerEvent],
    ) -> None:
        self._events = events
        self._map = sitemap
        self._routes = routes
        self._readiness = readiness
        self._reached = reached
        self._missing: dict[DatapathId, tuple[str, float]] = {}  # whose it is, and until when

    def look(self) -> None:
        """Note which of them take entries."""
        offline, owners = self._readiness.offline, self._routes.owners
        for dpid in self._map.switches:
            owner = owners.get(dpid, "")
            if owner != self._routes.me:
                takes = owner in self._reached and self._missing.get(dpid, ("", 0.0))[0] != owner
                (offline.discard if takes else offline.add)(dpid)

    def takes(self) -> Mapping[type[Input], Handler]:
        return {WriteMissed: self._missed}

    def _missed(self, given: WriteMissed, now: float) -> list[Output]:
        if self._routes.owners.get(given.dpid) != given.name or given.dpid not in self._map.switches:
            self._events[PeerEvent.FOREIGN_SWITCH] += 1
            return []
        self._events[PeerEvent.SWITCH_MISSED] += 1
        self._missing[given.dpid] = given.name, now + MISSING
        self.look()
        return []

    def tick(self, now: float) -> None:
        """Who could not be written to is tried again after a while."""
        over = [dpid for dpid, (_, until) in self._missing.items() if until <= now]
        for dpid in over:
            del self._missing[dpid]
        if over:
            self.look()
