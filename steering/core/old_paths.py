"""The old paths of one change of link weights: the labels that lead along them, and the live flows that keep them."""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from steering.core.network.graph import Graph, SwitchPaths
from steering.core.network.old_ways import OldWays
from steering.core.network.site_index import SiteMap
from steering.core.pipeline.match_fields import match
from steering.core.pipeline.priorities import ASIDE, HELD, LABELLED
from steering.core.reservations.record import PathLeg, legs_of_session
from steering.core.reservations.rules import five_tuple
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.records import Session
from steering.model.ids import DatapathId, WaypointId
from steering.model.network import PortRef
from steering.model.rules import (
    WAYPOINT_MASK,
    OutputAction,
    Rule,
    SetField,
    Table,
    label_mac,
    static_cookie,
)

SessionPlace = tuple[DatapathId, int]  # the switch where kept flows begin, and their session


class Stage(IntEnum):
    """How far one change of weights is (core.rerouting)."""

    LABELS = 0  # labels with a path number of their own lead along the old paths
    ASIDE = 1  # all traffic uses these labels; live flows keep them to the end
    SWITCHED = 2  # labels with path number 0 follow the new weights
    BACK = 3  # all traffic but the live flows uses path number 0 again


class LedFlow(NamedTuple):
    """One direction of one subflow on one leg, which an entry of its own keeps on its old path. The entry is at the switch
    where the leg begins."""

    session: int
    key: FlowKey  # of the subflow
    leg: PathLeg
    target: int  # the waypoint where the leg ends
    ports: tuple[PortRef, ...]  # the ports by which the path leaves its switches, in order

    def rules(self, number: int, labels: Iterable[WaypointId], epoch: int) -> Iterator[Rule]:
        """The rules that give the flow the label with path number `number`, whichever of the `labels` it has now."""
        fields = five_tuple(self.key, self.leg.upward)
        actions = (SetField("eth_dst", label_mac(self.target, number)), OutputAction(self.ports[0].port))
        for waypoint in sorted(labels):
            yield Rule(
                Table.LABEL, HELD, match(**fields, eth_dst=label_mac(waypoint)), actions, cookie=static_cookie(epoch)
            )  # fmt: skip


class KeptPaths:
    """The old paths of one change of weights, which labels with path `number` follow.

    `before`: all paths before the change, None as soon as the old ones have been found. `ways`: the old paths that differ
    from the new ones, by the switch where their labels end. `due`: engine time of the next stage, at the earliest.
    """

    def __init__(self, number: int, before: SwitchPaths, due: float) -> None:
        self.number = number
        self.before: SwitchPaths | None = before
        self.ways: dict[DatapathId, OldWays] = {}
        self.stage = Stage.LABELS
        self.due = due
        self.led: dict[SessionPlace, list[LedFlow]] = {}

    @property
    def flows(self) -> int:
        """How many flows are kept on these paths."""
        return sum(map(len, self.led.values()))

    def label_rules(
        self, dpid: DatapathId, end: DatapathId, waypoints: Iterable[WaypointId], epoch: int
    ) -> Iterator[Rule]:
        """The rules at switch `dpid` for labels of the waypoints at switch `end`: they forward along the old paths. While
        all traffic is to use the old paths, further rules give it these labels."""
        ways, cookie = self.ways.get(end), static_cookie(epoch)
        if ways is None or dpid not in ways.ports:
            return
        port = ways.ports[dpid]
        aside = self.stage in (Stage.ASIDE, Stage.SWITCHED) and dpid in ways.left
        for waypoint in waypoints:
            label = label_mac(waypoint, self.number)
            fields = match(eth_dst=label)
            if port is None:
                reached = (waypoint, WAYPOINT_MASK)
                yield Rule(Table.LABEL, LABELLED, fields, goto=Table.HOST, metadata=reached, cookie=cookie)
                continue
            yield Rule(Table.LABEL, LABELLED, fields, (OutputAction(port),), cookie=cookie)
            if aside:
                other = (SetField("eth_dst", label), OutputAction(port))
                yield Rule(Table.LABEL, ASIDE, match(eth_dst=label_mac(waypoint)), other, cookie=cookie)


def flows_led(sitemap: SiteMap, graph: Graph, before: SwitchPaths, session: Session) -> Iterator[LedFlow]:
    """The flows of a session whose path `before` differs from the path now, with the path before."""
    if session.mcp not in sitemap.mcps or not session.subflows or session.reverse:
        return
    target = session.flow.destination
    addressed = not sitemap.exits_to(target)  # explicit mode: the server's place is not known
    exits = sitemap.exits_to(target) or sitemap.site.gateways[0].ports
    mcp = sitemap.mcps[session.mcp]
    exit_ = min(exits, key=lambda p: (before.natural_cost(mcp.outside.dpid, p.dpid), p))
    places = tuple((s.key, s.dpid) for s in session.subflows)
    for leg in legs_of_session(sitemap, mcp, session.first, places, exit_):
        if addressed and not leg.host:
            continue
        ports = _ports_of(before, *leg.pair)
        if not ports or ports == _ports_of(graph, *leg.pair):
            continue
        near = leg.pair[0] if leg.upward else leg.pair[1]
        keys = [s.key for s in session.subflows if s.dpid == near] if leg.host else [session.first]
        for key in keys:
            for waypoint in leg.waypoints:
                yield LedFlow(session.id, key, leg, waypoint, ports)


def _ports_of(graph: SwitchPaths, source: DatapathId, target: DatapathId) -> tuple[PortRef, ...]:
    """The ports by which a path leaves its switches, in order."""
    found = []
    for dpid in graph.path(source, target)[:-1]:
        port = graph.next_hop(dpid, target)
        assert port is not None, "a path has no hop"
        found.append(PortRef(dpid, port))
    return tuple(found)
