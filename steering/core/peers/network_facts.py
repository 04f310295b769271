"""What controllers tell each other about the network: MACs of MCPs and next hops, ports, links, and MCPs that died, as far as
the network shows this. What MCPs report is told as well (peers.mcp_words). Thus every controller knows the whole site, although it only has
connections to its own switches."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping

from steering.core.inputs import LinkDown, LinkUp, PortStatus, SwitchUp
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switch, Switches
from steering.core.outputs import Output
from steering.core.packet_inputs import NeighbourSeen
from steering.core.peers.segment_routes import SegmentRoutes
from steering.core.selection.chooser import Chooser
from steering.core.selection.mcp_health import McpFault
from steering.model.ids import DatapathId, McpId, PortNumber
from steering.model.network import PortRef
from steering.wire.peer_messages import (
    WITH_MCP_REPORTS,
    LinkFact,
    McpFact,
    NeighbourFact,
    PeerMessage,
    PortFact,
)  # fmt: skip

MOST_PORTS = 4_096  # of one switch of another controller, beside those that the site names

LocalHandler = Callable[..., list[Output]]
NetworkFact = NeighbourFact | PortFact | LinkFact | McpFact


class NetworkFacts:
    """Makes and takes facts about the network. `local`: the engine's own handlers, of which those for LinkUp, LinkDown and
    PortStatus are used. `left_alone` returns the MCPs that are gone for new sessions only (sessions.dead_mcps)."""

    def __init__(
        self,
        sitemap: SiteMap,
        switches: Switches,
        neighbours: Neighbours,
        chooser: Chooser,
        routes: SegmentRoutes,
        local: dict[type, LocalHandler],
        left_alone: Callable[[], Collection[McpId]],
    ) -> None:
        self._map = sitemap
        self._switches = switches
        self._neighbours = neighbours
        self._chooser = chooser
        self._routes = routes
        self._local = local
        self._left_alone = left_alone
        self._links = {pair for one in sitemap.site.links for pair in ((one.a, one.b), (one.b, one.a))}
        self._link_ends = {end for pair in self._links for end in pair}
        self._ends_at: defaultdict[DatapathId, set[PortNumber]] = defaultdict(set)  # the same, by switch
        for end in self._link_ends:
            self._ends_at[end.dpid].add(end.port)
        # MCPs behind own switches, as last announced: whether they answered, and whether they served.
        self._told: dict[McpId, tuple[bool, bool]] = {}

    # ---- facts for others -----------------------------------------------------------------------

    def all(self) -> Iterator[PeerMessage]:
        """All facts about own switches, for a controller that has just become reachable."""
        self._told.clear()
        for port, attachment in self._map.attachments.items():
            if not self._routes.is_mine(port.dpid):
                continue
            mac = self._neighbours.transit.mac_of(attachment.waypoint.id)
            address = next(iter(self._neighbours.transit.wanted_at(attachment.waypoint.id)), None)
            if mac is not None and address is not None:
                yield NeighbourFact(port.dpid, port.port, mac, address)
        for dpid, switch in self._switches.items():
            if self._routes.is_mine(dpid):
                yield from (PortFact(dpid, port, up) for port, up in switch.ports.items())
                if switch.fills:
                    yield from self._absent(dpid, switch.ports)

    def neighbour(self, seen: NeighbourSeen) -> Iterator[PeerMessage]:
        attachment = self._map.at.get((seen.dpid, seen.port))
        if attachment is not None and seen.address in self._neighbours.transit.wanted_at(
            attachment.waypoint.id
        ):
            yield NeighbourFact(seen.dpid, seen.port, seen.mac, seen.address)

    def switch(self, up: SwitchUp) -> Iterator[PeerMessage]:
        yield from (PortFact(up.dpid, port, is_up) for port, is_up in up.ports.items())

    def gone(self, up: SwitchUp) -> list[PeerMessage]:
        """Facts about ports that a switch had before, or the site file names as an end of a link, and that the switch does not
        describe. Called before the engine takes `up`."""
        switch, now = self._switches.get(up.dpid), self._map.with_carried(up.dpid, up.ports)
        before = switch.ports if switch is not None and switch.fills else {}
        gone = [PortFact(up.dpid, port, False) for port in before if port not in now]
        return [*gone, *self._absent(up.dpid, now | before)]

    def _absent(self, dpid: DatapathId, ports: Mapping[PortNumber, bool]) -> Iterator[PortFact]:
        ends = self._ends_at.get(dpid, ())
        return (PortFact(dpid, port, False) for port in sorted(ends) if port not in ports)

    def port(self, status: PortStatus) -> Iterator[PeerMessage]:
        yield PortFact(status.dpid, status.port, status.up and not status.gone)

    def link(self, link: LinkUp | LinkDown) -> Iterator[PeerMessage]:
        yield LinkFact(link.a.dpid, link.a.port, link.b.dpid, link.b.port, isinstance(link, LinkUp))

    def deaths(self, versions: Mapping[str, int]) -> Iterator[tuple[str, McpFact]]:
        """MCPs behind own switches that died or came back since the last call, for each controller that can be reached. `versions`: of the
        protocol, by controller. A controller with an earlier version knows no McpWord, so its facts include what MCPs report. It would
        end the sessions of an MCP that is left alone, so it is told that such an MCP lives."""
        left_alone = self._left_alone()
        for number, mcp in self._map.mcps.items():
            health = self._chooser.health[number]
            found = health.answers, number in left_alone or not health.gone
            if self._routes.is_mine(mcp.inside.dpid) and self._told.get(number) != found:
                self._told[number] = found
                for name, version in sorted(versions.items()):
                    yield name, McpFact(number, found[version < WITH_MCP_REPORTS])

    # ---- facts of others ------------------------------------------------------------------------

    def told(self, by: str, fact: NetworkFact, now: float) -> list[Output] | None:
        """Take a fact that controller `by` sent. Returns the outputs, or None if the fact is refused: it concerns no switch
        of `by`, a link that the site does not name, or more than MOST_PORTS ports."""
        if isinstance(fact, McpFact):
            return self._mcp(by, fact, now)
        if self._routes.owners.get(DatapathId(fact.dpid)) != by:
            return None
        dpid = DatapathId(fact.dpid)
        if isinstance(fact, NeighbourFact):
            return self._neighbour(fact, now)
        if isinstance(fact, PortFact):
            return self._port(PortRef(dpid, PortNumber(fact.port)), fact.up, now)
        ends = PortRef(dpid, PortNumber(fact.port)), PortRef(DatapathId(fact.far), PortNumber(fact.far_port))
        if ends not in self._links:
            return None
        link = LinkUp(*ends) if fact.up else LinkDown(*ends)
        return self._local[type(link)](link, now)

    def _port(self, port: PortRef, up: bool, now: float) -> list[Output] | None:
        ports = self._switches.setdefault(port.dpid, Switch()).ports
        if ports.get(port.port) is up:
            return []
        is_named = port in self._map.attachments or port in self._link_ends
        if len(ports) >= MOST_PORTS and port.port not in ports and not is_named:
            return None
        return self._local[PortStatus](PortStatus(port.dpid, port.port, up), now)

    def _neighbour(self, fact: NeighbourFact, now: float) -> list[Output] | None:
        attachment = self._map.at.get((DatapathId(fact.dpid), PortNumber(fact.port)))
        if attachment is None or fact.address not in self._neighbours.transit.wanted_at(
            attachment.waypoint.id
        ):
            return None
        outputs = self._neighbours.learn(attachment, fact.address, fact.mac, now).outputs
        self._chooser.refresh(now)
        return outputs

    def _mcp(self, by: str, fact: McpFact, now: float) -> list[Output] | None:
        mcp = self._map.mcps.get(McpId(fact.mcp))
        if mcp is None or self._routes.owners.get(mcp.inside.dpid) != by:
            return None
        self._chooser.health[mcp.id].probed(None if fact.serves else McpFault.HOST_GONE, now)
        self._chooser.refresh(now)
        return []
