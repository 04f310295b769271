"""The contents of a drawing: the network, and the paths of a session. `arrangement` computes the layout."""

from collections.abc import Iterable
from ipaddress import ip_address

from steering.core.engine import Engine
from steering.core.network.graph import Ends
from steering.core.sessions.records import Session, Subflow
from steering.core.supervision.names import ThingNames
from steering.model.drawing import (
    DrawnLink,
    DrawnNode,
    DrawnPort,
    NetworkPicture,
    SessionPaths,
    SubflowPath,
)
from steering.model.ids import DatapathId
from steering.model.network import PortRef
from steering.model.supervision import ThingKind


def drawing(engine: Engine, now: float) -> NetworkPicture:
    """The network at time `now` (seconds): everything that is expected or present."""
    return _Drafter(engine, now).drawing()


class _Drafter:
    """Makes one drawing."""

    def __init__(self, engine: Engine, now: float) -> None:
        self._engine = engine
        self._names = ThingNames(engine.map)
        missing = engine.presence.missing_at(now)
        self._lost_switches = [
            DatapathId(thing.key)
            for thing in missing
            if thing.kind is ThingKind.SWITCH and isinstance(thing.key, int)
        ]
        self._lost_links: list[Ends] = [
            thing.key
            for thing in missing
            if isinstance(thing.key, tuple) and not isinstance(thing.key, PortRef)
        ]

    def drawing(self) -> NetworkPicture:
        site = self._engine.site
        nodes = [*self._switches()]
        for access in site.access_networks:
            nodes.append(self._hanging("access", access.name, access.ports))
        for gateway in site.gateways:
            nodes.append(self._hanging("gateway", gateway.name, gateway.ports))
        for mcp in site.mcps:
            nodes.append(self._hanging("mcp", mcp.name, dict.fromkeys((mcp.inside, mcp.outside))))
        return NetworkPicture(tuple(nodes), tuple(self._links()))

    def _switches(self) -> Iterable[DrawnNode]:
        known = {*self._engine.switches, *self._lost_switches}
        known |= {end.dpid for ends in self._pairs() for end in ends}
        for dpid in sorted(known):
            name = self._names.switch(dpid)
            yield DrawnNode(f"switch {name}", "switch", name, self._engine.switches.is_connected(dpid))

    def _hanging(self, kind: str, name: str, ports: Iterable[PortRef]) -> DrawnNode:
        drawn = tuple(self._port(port) for port in ports)
        return DrawnNode(f"{kind} {name}", kind, name, any(port.up for port in drawn), drawn)

    def _port(self, port: PortRef) -> DrawnPort:
        switch = self._engine.switches.get(port.dpid)
        up = switch is not None and switch.connected and switch.ports.get(port.port, False)
        use = self._engine.preferring.room.used_ports.get(port)
        return DrawnPort(self._names.switch(port.dpid), self._names.port(port), up, use)

    def _pairs(self) -> list[Ends]:
        """Each link that is lost, or is up in some direction, once. Its lesser end comes first."""
        there = {(min(link.a, link.b), max(link.a, link.b)) for link in self._engine.graph.links()}
        return sorted(there | set(self._lost_links))

    def _links(self) -> Iterable[DrawnLink]:
        graph, use_of = self._engine.graph, self._engine.chooser.link_use
        weights = {(link.a, link.b): link.weight for link in graph.links()}
        for a, b in self._pairs():
            ends = [self._names.port(end) for end in (a, b)]
            up = graph.has(a, b) and graph.has(b, a)
            used = [use_of[end] for end in (a, b) if end in use_of]
            yield DrawnLink(
                name="-".join(ends), a=ends[0], b=ends[1],
                between=(self._names.switch(a.dpid), self._names.switch(b.dpid)),
                up=up, weight=weights.get((a, b)) if up else None, use=max(used, default=None) if up else None,
            )  # fmt: skip


def session_paths(engine: Engine, session: Session) -> SessionPaths:
    """The paths of a session's subflows, by the present shortest paths. A session that began before a weight changed may
    still be on its old path."""
    names, mcp = ThingNames(engine.map), engine.map.mcps.get(session.mcp)
    told = tuple(_subflow(engine, names, subflow) for subflow in session.subflows)
    flow = session.flow
    exits = (
        () if not flow.family else engine.map.exits_to(flow.destination) or engine.map.exits_to(flow.source)
    )
    onward: tuple[DatapathId, ...] = ()
    if mcp is not None and exits:
        near = min(exits, key=lambda port: (engine.graph.distance(mcp.outside.dpid, port.dpid), port))
        onward = engine.graph.path(mcp.outside.dpid, near.dpid)
    return SessionPaths(
        str(session.id), None if mcp is None else mcp.name, told, tuple(map(names.switch, onward))
    )


def _subflow(engine: Engine, names: ThingNames, subflow: Subflow) -> SubflowPath:
    _, src, dst, sport, dport = subflow.flow
    access, at = engine.map.access_of(src), subflow.dpid
    mcp = engine.map.mcps.get(subflow.session.mcp)
    pinned = () if mcp is None else engine.graph.path(at, mcp.inside.dpid)
    exits = engine.map.exits_to(dst)
    if exits:
        near = min(exits, key=lambda port: (engine.graph.natural_cost(at, port.dpid), port))
        natural = engine.graph.natural(at, near.dpid).switches
    else:
        natural = pinned  # explicit mode: the host connects to its MCP's address
    return SubflowPath(
        src=str(ip_address(src)), sport=sport, dst=str(ip_address(dst)), dport=dport,
        access_network=None if access is None else access.name,
        natural=tuple(map(names.switch, natural)), pinned=tuple(map(names.switch, pinned)),
    )  # fmt: skip
