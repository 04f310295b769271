"""Knows which switches of other controllers can take entries now."""

from collections.abc import Mapping, Set

from steering.core.handshakes.room import Readiness
from steering.core.network.site_index import SiteMap
from steering.core.peer_facts import WriteRefused
from steering.core.peers.segment_routes import SETTLED, SegmentRoutes
from steering.model.ids import DatapathId

TRIED_AGAIN = 1.0  # seconds in which a switch gets no entries after its controller could not write to it


class ForeignSwitches:
    """Keeps `readiness.offline` up to date for the switches of other controllers. `reached`: the controllers that can be reached (shared
    with the exchange)."""

    def __init__(
        self, sitemap: SiteMap, routes: SegmentRoutes, readiness: Readiness, reached: Set[str]
    ) -> None:
        self._map = sitemap
        self._routes = routes
        self._readiness = readiness
        self._reached = reached
        self._unwritten: dict[
            DatapathId, float
        ] = {}  # switches that took no entries, and until when they get none
        self._changed_at: dict[DatapathId, float] = {}  # when switches got another owner

    def owners_changed(self, before: Mapping[DatapathId, str], now: float) -> None:
        """Switches have other owners now. `before`: the owners until now. The caller calls `look` afterwards."""
        owners = self._routes.owners
        for dpid in [d for d in self._map.switches if owners.get(d) != before.get(d)]:
            self._changed_at[dpid] = now
            self._unwritten.pop(dpid, None)

    def look(self) -> None:
        """Switches of other controllers count as online while their controllers can be reached."""
        offline = self._readiness.offline
        for dpid in self._map.switches:
            owner = self._routes.owners.get(dpid, "")
            if owner != self._routes.me:
                takes = owner in self._reached and dpid not in self._unwritten
                (offline.discard if takes else offline.add)(dpid)

    def refused(self, given: WriteRefused, now: float) -> None:
        """Another controller could not write an entry to its switch. The segment that waited for the entry is lost, and its host sends it
        again. For a while the switch counts as away, so that no further segment waits for such an entry. A controller that has just
        taken a switch over is an exception: it is not the switch's MASTER yet, and can write soon."""
        fresh = now < self._changed_at.get(given.dpid, -SETTLED) + SETTLED
        if not fresh and self._routes.owners.get(given.dpid) == given.name:
            self._unwritten[given.dpid] = now + TRIED_AGAIN
            # Only this switch is marked, without `look`, because thousands of writes may be refused at once.
            self._readiness.offline.add(given.dpid)

    def try_again(self, now: float) -> None:
        """Let switches that could not be written to count as there again when TRIED_AGAIN is over."""
        if self._unwritten and min(self._unwritten.values()) <= now:
            self._unwritten = {dpid: until for dpid, until in self._unwritten.items() if until > now}
            self.look()
