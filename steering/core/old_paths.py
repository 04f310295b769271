"""The old paths of one change of link weights: labels that lead along them, and the live flows that they lead."""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from steering.core.network.graph import Graph, SwitchPaths
from steering.core.network.old_ways import OldWays
from steering.core.network.site_index import SiteMap
from steering.core.pipeline.ingress_guard import match
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

Place = tuple[DatapathId, int]  # where flows are led from, and their session


class Stage(IntEnum):
    """How far one change of weights is."""

    LABELS = 0  # the old paths have labels of their own
    ASIDE = 1  # all traffic goes by them, and live flows for good
    SWITCHED = 2  # number 0 follows the new weights
    BACK = 3  # all but live flows go by it


class LedFlow(NamedTuple):
    """One direction of one subflow, on one leg: led by its own entry where the leg begins."""

    session: int
    key: FlowKey  # the subflow's
    leg: PathLeg
    target: int  # the waypoint it is led to
    ports: tuple[PortRef, ...]  # what its path leaves by, in order

    def rules(self, number: int, labels: Iterable[WaypointId], epoch: int) -> Iterator[Rule]:
        """What leads it by the labels of a number, whichever of these `labels` it has."""
        fields = five_tuple(self.key, self.leg.upward)
        actions = (SetField("eth_dst", label_mac(self.target, number)), OutputAction(self.ports[0].port))
        for waypoint in sorted(labels):
            yield Rule(
                Table.LABEL, HELD, match(**fields, eth_dst=label_mac(waypoint)), actions, cookie=static_cookie(epoch)
            )  # fmt: skip


class KeptPaths:
    """The old paths of one change. `before`: the ways as they were, for as long as they are looked for; `ways`: the old
    ways, by the switch where their labels end."""

    def __init__(self, number: int, before: SwitchPaths, due: float) -> None:
        self.number = number
        self.before: SwitchPaths | None = before
        self.ways: dict[DatapathId, OldWays] = {}
        self.stage = Stage.LABELS
        self.due = due
        self.led: dict[Place, list[LedFlow]] = {}

    @property
    def flows(self) -> int:
        """How many are led by these paths."""
        return sum(map(len, self.led.values()))

    def label_rules(
        self, dpid: DatapathId, end: DatapathId, waypoints: Iterable[WaypointId], epoch: int
    ) -> Iterator[Rule]:
        """The labels of the waypoints at switch `end`, as the old ways lead through a switch; and what gives them to
        all traffic, while that is to go by them."""
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
    """The flows of a session whose path is another one now than `before`, as they are led along that one."""
    if session.mcp not in sitemap.mcps or not session.subflows or session.reverse:
        return
    target = session.flow.destination
    addressed = not sitemap.exits_to(target)  # explicit mode: nobody knows where its server is
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
    """What a path leaves its switches by, in order."""
    found = []
    for dpid in graph.path(source, target)[:-1]:
        port = graph.next_hop(dpid, target)
        assert port is not None, "a path has no hop"
        found.append(PortRef(dpid, port))
    return tuple(found)
