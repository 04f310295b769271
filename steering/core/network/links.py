"""The links that the controller counts as up, by discovery or by the site file.

A link of a switch that is not connected cannot be checked. Such a link stays up while the switch is away, and for
`REVERIFY` seconds after the switch came back. The same holds for a link that an earlier controller kept in the store.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Set
from typing import ClassVar

from steering.core.network.cables import Cables
from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output
from steering.core.part import NEVER, Part
from steering.model.ids import DatapathId, PortNumber
from steering.model.kept import KeptNetwork, KeptState, LostPiece, Piece
from steering.model.network import Link, PortRef

REVERIFY = 10.0  # seconds that a link may stay unconfirmed after its switch came back
FLAPPING = 10.0  # a declared link flaps if it was lost twice within so many seconds ...
STEADY = 2.0  # ... and a link that flaps counts as up only after its ports were up for so many seconds


class BelievedLinks(Part):
    """The only writer of the graph's links. `changed` says that static rules have to follow. `down` and `port_down`
    return the same instead, so that their caller can change the rules at once."""

    keeps: ClassVar[Piece | None] = Piece.NETWORK

    def __init__(
        self,
        sitemap: SiteMap,
        graph: Graph,
        switches: Switches,
        is_elsewhere: Callable[[DatapathId], bool],
    ) -> None:
        self._map = sitemap
        self._graph = graph
        self._switches = switches
        self.cables = Cables(switches, is_elsewhere)
        for link in sitemap.site.links:
            self.cables.lay(link.a, link.b)
        # Port -> the links of the site file there. Empty where links are discovered.
        self._declared: defaultdict[PortRef, list[Link]] = defaultdict(list)
        for link in () if sitemap.site.discover else sitemap.site.links:
            for end in {link.a, link.b}:
                self._declared[end].append(link)
        self._ends: defaultdict[DatapathId, set[PortNumber]] = defaultdict(set)  # the ports of `_declared`
        for end in self._declared:
            self._ends[end.dpid].add(end.port)
        self._unconfirmed: dict[
            tuple[PortRef, PortRef], float
        ] = {}  # links whose loss is not believed yet -> until when
        # These four hold links and ports of the site file only, so their number bounds them.
        self._dark: set[PortRef] = set()  # ports without carrier, and ports that are gone
        self._lost: dict[Link, float] = {}  # link -> when it was lost last
        self._flapping: set[Link] = set()
        self._returning: dict[Link, float] = {}  # flapping link -> when it counts as up again

    def up(self, a: PortRef, b: PortRef) -> None:
        """Discovery saw the direction a -> b. Nothing happens if a port is an attachment, which is never a link."""
        self._unconfirmed.pop((a, b), None)
        if a not in self._map.attachments and b not in self._map.attachments:
            self.cables.lay(a, b)
            self.changed |= self._graph.add(a, b)

    def down(self, a: PortRef, b: PortRef) -> bool:
        """Discovery no longer sees the direction a -> b. True if the link was up and counts as down now. It does not
        while one of its switches is away."""
        if not all(self._switches.is_connected(end.dpid) for end in (a, b)):
            self._unconfirmed[(a, b)] = NEVER
            return False
        return self._graph.remove(a, b)

    def port_up(self, port: PortRef, now: float) -> None:
        """A port has carrier again. A link of the site file counts as up when both its ends have carrier. A flapping
        link waits STEADY seconds more, so that rules do not follow each of its changes."""
        self._dark.discard(port)
        for link in self._declared.get(port, ()):
            if not self._is_up(link.a) or not self._is_up(link.b):
                continue
            if now - self._lost.get(link, -FLAPPING) < FLAPPING and link in self._flapping:
                self._returning[link] = now + STEADY
            else:
                self._add(link)

    def port_down(self, port: PortRef, now: float) -> bool:
        """A port lost carrier, or is gone: its links are down. True if one was up."""
        if port in self._declared:
            self._dark.add(port)
        for link in self._declared.get(port, ()):
            waited = self._returning.pop(link, None) is not None
            if not waited and not self._graph.has(link.a, link.b) and not self._graph.has(link.b, link.a):
                continue  # the link's other end reported this loss already
            if now - self._lost.get(link, -FLAPPING) < FLAPPING:
                self._flapping.add(link)
            else:
                self._flapping.discard(link)
            self._lost[link] = now
        gone = [self._graph.remove(a, b) for a, b in self._graph.links_at(port)]
        return any(gone)

    def _is_up(self, port: PortRef) -> bool:
        """Whether a port is there and has carrier. True for a port whose state was never known."""
        switch = self._switches.get(port.dpid)
        return port not in self._dark and (switch is None or switch.ports.get(port.port, True))

    def _add(self, link: Link) -> None:
        self.changed |= self._graph.add(link.a, link.b)
        self.changed |= self._graph.add(link.b, link.a)

    def switch_up(self, dpid: DatapathId, ports: Mapping[PortNumber, bool], now: float) -> None:
        """A switch connected and reported its ports, which may have changed while it was away. Its links with a port
        that is down, or that it does not report, are removed. Its other unconfirmed links stay up for REVERIFY seconds."""
        # Where the site file names a port that the switch does not have.
        absent = {number: False for number in self._ends.get(dpid, ()) if number not in ports}
        for number, up in (absent | dict(ports)).items():
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
        # Switches of the core have no attachment: the site's names alone tell of them.
        known = self._map.switches.union(self._map.site.switches.values())
        return {LostPiece.LINK: sum(not self._take_back(a, b, known) for a, b in kept.network.links)}

    def _take_back(self, a: PortRef, b: PortRef, known: Set[DatapathId]) -> bool:
        """Take back a link of an earlier controller. It stays up until REVERIFY seconds after its switches connected.
        False if the site does not discover links, or the link does not fit the site."""
        ends = self._map.attachments
        if not self._map.site.discover or a.dpid not in known or b.dpid not in known or {a, b} & ends.keys():
            return False
        self.cables.lay(a, b)
        self._graph.add(a, b)
        self._unconfirmed[a, b] = NEVER
        return True
