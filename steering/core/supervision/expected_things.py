"""Finds missing switches, links, attachments and MCPs, and records since when they are missing.

The things that the site file names are expected. Where links are discovered, a link is expected as soon as it was found.
It is expected until one of its ports has another link or an attachment, or until it has been lost for a day.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from steering.core.network.graph import Ends, Graph
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switches
from steering.core.outputs import Output
from steering.core.part import NEVER, Part
from steering.model.decision import FilterReason
from steering.model.ids import DatapathId, McpId
from steering.model.network import PortRef
from steering.model.supervision import ThingKind

PERIOD = 1.0  # seconds between two checks
MOST_LINKS = 20_000  # most expected links; links that are found later are ignored
FORGOTTEN = 86_400.0  # seconds after which a discovered link that was lost is not expected any more


class Thing(NamedTuple):
    """Something that is expected. `key`: a datapath id, the two ends of a link with the lesser first, a port, or the
    id of an MCP."""

    kind: ThingKind
    key: DatapathId | McpId | Ends | PortRef


class ExpectedLinks:
    """The links that the site file names or that discovery has found. `lost`: those that are not up in both directions."""

    def __init__(self, sitemap: SiteMap, graph: Graph) -> None:
        self._map = sitemap
        self._graph = graph
        self._declared = {_ordered(link.a, link.b) for link in sitemap.site.links}
        self._version = -1  # the version of the graph that was followed last
        self._between: dict[tuple[DatapathId, DatapathId], dict[Ends, None]] = {}
        self._at: dict[PortRef, Ends] = {}
        self.count = 0
        self.lost: dict[Ends, None] = {}
        for ends in self._declared:
            self._add(ends)

    def follow(self) -> None:
        """Take over the changes of the graph since the last call."""
        for a, b in self._graph.changed_since(self._version):
            pair = (min(a, b), max(a, b))
            there = {_ordered(*ends) for x, y in ((a, b), (b, a)) for ends in self._graph.links_between(x, y)}
            for ends in there if self._map.site.discover else ():
                self._add(ends)
            for ends in self._between.get(pair, ()):
                if self._graph.has(*ends) and self._graph.has(*reversed(ends)):
                    self.lost.pop(ends, None)
                else:
                    self.lost.setdefault(ends)
        self._version = self._graph.version

    def forget(self, ends: Ends) -> None:
        """Stop expecting a discovered link. A link of the site file is always expected."""
        found = self._between.get(_switches(ends), {})
        if ends in self._declared or ends not in found:
            return
        del found[ends]
        self.count -= 1
        self.lost.pop(ends, None)
        for end in ends:
            self._at.pop(end, None)

    def _add(self, ends: Ends) -> None:
        if ends in self._between.get(_switches(ends), ()) or self.count >= MOST_LINKS:
            return
        for end in ends:
            if end in self._at:
                self.forget(self._at[end])
        self._between.setdefault(_switches(ends), {})[ends] = None
        self._at |= dict.fromkeys(ends, ends)
        self.count += 1

    def switches(self) -> set[DatapathId]:
        """The switches with expected links."""
        return {end.dpid for end in self._at}


class ExpectedThings(Part):
    """The things that are missing now.

    `excluded` returns which MCPs get no new session now, and why. `is_elsewhere` returns whether another controller
    supervises a switch. `missing`: each missing thing, and when this was noticed. `never`: the missing things that were
    never there since the controller started.
    """

    def __init__(
        self,
        sitemap: SiteMap,
        graph: Graph,
        switches: Switches,
        excluded: Callable[[], Mapping[McpId, FilterReason]],
        is_elsewhere: Callable[[DatapathId], bool],
    ) -> None:
        self._map = sitemap
        self._switches = switches
        self._excluded = excluded
        self._links = ExpectedLinks(sitemap, graph)
        self._due = -NEVER
        self._first = True
        self._is_elsewhere = is_elsewhere
        self.missing: dict[Thing, float] = {}
        self.never: set[Thing] = set()

    def due(self) -> float:
        return self._due

    def tick(self, now: float) -> list[Output]:
        self._due = now + PERIOD
        self.missing = self.missing_at(now)
        for ends in list(self._links.lost):
            since = self.missing[Thing(ThingKind.LINK, ends)]
            if now - since > FORGOTTEN or not self._map.attachments.keys().isdisjoint(ends):
                self._links.forget(ends)
        self.never = set(self.missing) if self._first else self.never & self.missing.keys()
        self._first = False
        return []

    def missing_at(self, now: float) -> dict[Thing, float]:
        """The things that are missing now, and since when. The thing that is missing longest comes first."""
        self._links.follow()
        absent = {thing: self.missing.get(thing, now) for thing in self._absent()}
        return dict(sorted(absent.items(), key=lambda one: one[1]))

    def expected(self) -> dict[ThingKind, int]:
        """How many things of each kind are expected."""
        return {
            ThingKind.SWITCH: len(self._dpids()),
            ThingKind.LINK: self._links.count,
            ThingKind.ATTACHMENT: len(self._map.attachments),
            ThingKind.MCP: len(self._map.mcps),
        }

    def unknown(self) -> list[DatapathId]:
        """Connected switches that the site file does not name."""
        named = self._named()
        return [dpid for dpid, switch in self._switches.items() if switch.connected and dpid not in named]

    def _named(self) -> set[DatapathId]:
        return set(self._map.site.switches.values()) | self._map.switches

    def _dpids(self) -> set[DatapathId]:
        return self._named() | self._links.switches()

    def _absent(self) -> Iterator[Thing]:
        """All things that are expected and not there."""
        for dpid in sorted(self._dpids()):
            if not self._switches.is_connected(dpid) and not self._is_elsewhere(dpid):
                yield Thing(ThingKind.SWITCH, dpid)
        for ends in self._links.lost:
            yield Thing(ThingKind.LINK, ends)
        for port in self._map.attachments:
            switch = self._switches.get(port.dpid)
            if self._is_elsewhere(port.dpid):
                continue
            if switch is None or not switch.ports.get(port.port, False):
                yield Thing(ThingKind.ATTACHMENT, port)
        for number, why in self._excluded().items():
            # A drained MCP is not missing: its operator only wants no new sessions for it. A sick MCP is not missing either.
            mcp = self._map.mcps.get(number)
            elsewhere = mcp is not None and self._is_elsewhere(mcp.inside.dpid)
            if why not in (FilterReason.DRAINING, FilterReason.SICK) and not elsewhere:
                yield Thing(ThingKind.MCP, number)


def _ordered(a: PortRef, b: PortRef) -> Ends:
    return (a, b) if a < b else (b, a)


def _switches(ends: Ends) -> tuple[DatapathId, DatapathId]:
    return ends[0].dpid, ends[1].dpid
