"""Links as they are believed: what discovery or the site file says, less what a switch that is away cannot show.

Silence of a switch that cannot be reached says nothing about its links: such a link stays for as long as the switch is
away, and for `REVERIFY` seconds after it came back. A link that an earlier controller kept is believed likewise.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar

from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output
from steering.core.part import NEVER, Part
from steering.model.ids import DatapathId, PortNumber
from steering.model.kept import KeptNetwork, KeptState, LostPiece, Piece
from steering.model.network import Link, PortRef

REVERIFY = 10.0  # seconds a link of a switch that came back may stay unconfirmed
FLAPPING = 10.0  # a declared link that was lost twice within so many seconds ...
STEADY = 2.0  # ... counts again when its ports were up for so long


class BelievedLinks(Part):
    """The one writer of the graph's links. `changed` tells that static rules have to follow; a caller that brings
    the switches in line at once uses the answers of `down` and `port_down` instead."""

    keeps: ClassVar[Piece | None] = Piece.NETWORK

    def __init__(self, sitemap: SiteMap, graph: Graph, switches: Switches) -> None:
        self._map = sitemap
        self._graph = graph
        self._switches = switches
        # The site's own links by port; none where links are discovered.
        self._declared: defaultdict[PortRef, list[Link]] = defaultdict(list)
        for link in () if sitemap.site.discover else sitemap.site.links:
            for end in {link.a, link.b}:
                self._declared[end].append(link)
        self._unconfirmed: dict[
            tuple[PortRef, PortRef], float
        ] = {}  # links whose loss is not believed yet -> until when
        # Both are about links that the site declares, so neither grows beyond their number.
        self._lost: dict[Link, float] = {}  # when each was lost last
        self._flapping: set[Link] = set()
        self._returning: dict[Link, float] = {}  # when a link that comes and goes counts again

    def up(self, a: PortRef, b: PortRef) -> None:
        """The direction a -> b was seen. An attachment is never a link, whatever arrives there."""
        self._unconfirmed.pop((a, b), None)
        if a not in self._map.attachments and b not in self._map.attachments:
            self.changed |= self._graph.add(a, b)

    def down(self, a: PortRef, b: PortRef) -> bool:
        """The direction a -> b is not seen any more. True if it is believed, and was there."""
        if not all(self._switches.is_connected(end.dpid) for end in (a, b)):
            self._unconfirmed[(a, b)] = NEVER
            return False
        return self._graph.remove(a, b)

    def port_up(self, port: PortRef, now: float) -> None:
        """A port has carrier again. The site's declared links at the port count as soon as both ends have carrier.
        A link that comes and goes counts only when it has been steady, so that no rule follows each of its turns."""
        for link in self._declared.get(port, ()):
            if not self._is_up(link.a) or not self._is_up(link.b):
                continue
            if now - self._lost.get(link, -FLAPPING) < FLAPPING and link in self._flapping:
                self._returning[link] = now + STEADY
            else:
                self._add(link)

    def port_down(self, port: PortRef, now: float) -> bool:
        """A port lost carrier, so every link at it is gone. True if there was one."""
        for link in self._declared.get(port, ()):
            waited = self._returning.pop(link, None) is not None
            if not waited and not self._graph.has(link.a, link.b) and not self._graph.has(link.b, link.a):
                continue  # its other end told of this loss already
            if now - self._lost.get(link, -FLAPPING) < FLAPPING:
                self._flapping.add(link)
            else:
                self._flapping.discard(link)
            self._lost[link] = now
        gone = [self._graph.remove(a, b) for a, b in self._graph.links_at(port)]
        return any(gone)

    def _is_up(self, port: PortRef) -> bool:
        """Whether a port has carrier, as far as is known; a port that no switch told of counts as up."""
        switch = self._switches.get(port.dpid)
        return switch is None or switch.ports.get(port.port, True)

    def _add(self, link: Link) -> None:
        self.changed |= self._graph.add(link.a, link.b)
        self.changed |= self._graph.add(link.b, link.a)

    def switch_up(self, dpid: DatapathId, ports: Mapping[PortNumber, bool], now: float) -> None:
        """A switch connected, again or for the first time, and told its ports. From now on its links can be seen,
        or are known to be down. Nobody told what its ports did while it was away."""
        for number, up in ports.items():
            port = PortRef(dpid, number)
            if up:
                self.port_up(port, now)
            elif self._declared.get(port, ()):
                self.changed |= self.port_down(port, now)
        for pair in list(self._unconfirmed):
            ends = [end for end in pair if end.dpid == dpid]
            if any(not ports.get(end.port, True) for end in ends):
                del self._unconfirmed[pair]
                self.changed |= self._graph.remove(*pair)
            elif ends:
                self._unconfirmed[pair] = now + REVERIFY

    def due(self) -> float:
        return min((*self._unconfirmed.values(), *self._returning.values()), default=NEVER)

    def tick(self, now: float) -> list[Output]:
        for link, steady in list(self._returning.items()):
            if steady <= now:
                del self._returning[link]
                self._add(link)
        for pair, deadline in list(self._unconfirmed.items()):
            if deadline <= now:
                del self._unconfirmed[pair]
                self.changed |= self._graph.remove(*pair)
        return []

    # ---- over a restart -------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        return self._graph.version

    def snapshot(self, now: float) -> KeptState:
        """The links for the store. Links that the site file declares need not be kept."""
        discovered = self._map.site.discover
        links = tuple((link.a, link.b) for link in self._graph.links()) if discovered else ()
        return KeptState(network=KeptNetwork(links, ()))

    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        return {LostPiece.LINK: sum(not self._take_back(a, b) for a, b in kept.network.links)}

    def _take_back(self, a: PortRef, b: PortRef) -> bool:
        """Links of an earlier controller count until both ends had time to show them, as those of a switch that was
        away for a moment."""
        known = self._map.switches
        ends = self._map.attachments
        if not self._map.site.discover or a.dpid not in known or b.dpid not in known or {a, b} & ends.keys():
            return False
        self._graph.add(a, b)
        self._unconfirmed[a, b] = NEVER
        return True
