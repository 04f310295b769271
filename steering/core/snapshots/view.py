"""What the northbound reads of the live engine, as typed records. northbound.schema.representation makes JSON of them."""

from collections.abc import Callable
from dataclasses import asdict
from ipaddress import ip_address, ip_network
from itertools import islice

from steering.core.engine import Engine
from steering.core.selection.rulebook import within
from steering.core.snapshots.decisions import explain
from steering.core.snapshots.drawing import drawing, session_paths
from steering.core.snapshots.limits import limits
from steering.core.snapshots.links import ends_of, links
from steering.core.snapshots.ports import ports
from steering.core.snapshots.reservations import reservation, reservations
from steering.core.snapshots.sessions import aborted, brief, changed_sessions, detail, find, mcp_name, page
from steering.core.snapshots.status import alarm_changes, status
from steering.core.supervision.fallbacks import NONE_YET, by_access, by_mcp
from steering.model.drawing import NetworkPicture, SessionPaths
from steering.model.first_answers import AnswerCounts, FirstAnswersSnapshot
from steering.model.ids import McpId
from steering.model.network import Mcp, McpType, Network, PortRef
from steering.model.policy import Toggle
from steering.model.port_snapshot import PortsSnapshot
from steering.model.preference import NO_WISH, Intent
from steering.model.session_change import ChangedSessions
from steering.model.session_snapshot import (
    AbortSnapshot,
    DecisionSnapshot,
    SessionDetail,
    SessionPage,
    SessionSnapshot,
)
from steering.model.snapshot import (
    AccessNetworkSnapshot,
    AlarmChangeSnapshot,
    AttachmentSnapshot,
    ClockSnapshot,
    GatewaySnapshot,
    HealthSnapshot,
    HostSnapshot,
    LimitsSnapshot,
    LinkEnds,
    LinksSnapshot,
    McpSnapshot,
    RefusedSwitchSnapshot,
    ReservationSnapshot,
    StatusSnapshot,
    SubscriberSnapshot,
    SwitchCounts,
    SwitchSnapshot,
    TimedRule,
    TopologySnapshot,
)
from steering.model.view import Pause, SessionFilter, no_pause

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class EngineView:
    """Most methods have the names of those in northbound.schema.view, which are documented there. `clock`: the engine's clock, in
    seconds."""

    def __init__(self, engine: Engine, clock: Callable[[], float], version: str) -> None:
        self._engine = engine
        self._clock = clock
        self._version = version
        self._started = clock()

    def health(self) -> HealthSnapshot:
        engine = self._engine
        connected = sum(switch.connected for switch in engine.switches.values())
        phase = "recovering" if engine.sessions.readiness.recovering else "ok"
        states = {state: count for state, count in engine.sessions.table.states.items() if count}
        return HealthSnapshot(
            status=phase if connected else "no-switch",
            version=self._version,
            uptime_s=round(self._clock() - self._started, 3),
            switches=SwitchCounts(connected=connected, known=len(engine.switches)),
            sessions=states,
            policy_version=engine.policy.version,
            missing=len(engine.presence.missing_at(self._clock())),
        )

    def status(self) -> StatusSnapshot:
        return status(self._engine, self._clock())

    def alarm_changes(self, after: int) -> list[AlarmChangeSnapshot]:
        return alarm_changes(self._engine, after)

    def topology(self) -> TopologySnapshot:
        engine = self._engine
        return TopologySnapshot(
            switches=tuple(
                SwitchSnapshot(
                    name=engine.site.switch_name(dpid), dpid=f"{dpid:016x}", connected=switch.connected
                )
                for dpid, switch in sorted(engine.switches.items())
            ),
            refused=tuple(
                RefusedSwitchSnapshot(f"{dpid:016x}", why.value, times)
                for (dpid, why), times in engine.counters.refused_switches.items()
            ),
            links=tuple(
                LinkEnds(a=self._port(link.a), b=self._port(link.b), weight=link.weight, up=True)
                for link in sorted(engine.graph.links(), key=lambda link: (link.a, link.b))
            ),
            attachments=tuple(
                AttachmentSnapshot(
                    name=a.name,
                    role=a.role.name.lower().replace("_", "-"),
                    port=self._port(port),
                    up=port.dpid in engine.switches
                    and engine.switches[port.dpid].ports.get(port.port, False),
                    waypoint=a.waypoint.id,
                )
                for port, a in engine.map.attachments.items()
            ),
            hosts=tuple(
                HostSnapshot(address=str(ip_address(address)), mac=mac.hex(":"), port=self._port(port))
                for address, mac, port in islice(engine.neighbours.hosts(), 1000)
            ),
        )

    def drawing(self) -> NetworkPicture:
        return drawing(self._engine, self._clock())

    def first_answers(self) -> FirstAnswersSnapshot:
        site, counters = self._engine.map, self._engine.counters
        accesses, mcps = by_access(site, counters), by_mcp(site, counters)
        return FirstAnswersSnapshot(
            tuple(
                AnswerCounts(one.name, *accesses.get(one.name, NONE_YET)) for one in site.site.access_networks
            ),
            tuple(AnswerCounts(one.name, *mcps.get(one.name, NONE_YET)) for one in site.site.mcps),
        )

    def ports(self, switch: str | None) -> PortsSnapshot:
        return ports(self._engine, switch)

    def links(self) -> LinksSnapshot:
        keeping = self._engine.old_paths
        found = links(self._engine.site, self._engine.graph, keeping)
        return LinksSnapshot(links=found, settled=keeping.settled, kept_flows=keeping.flows)

    def link_ends(self, name: str) -> tuple[PortRef, PortRef] | None:
        return ends_of(self._engine.site, self._engine.graph, name)

    def mcps(self) -> list[McpSnapshot]:
        engine = self._engine
        unresolved = engine.neighbours.transit.unresolved(self._clock())
        return [
            McpSnapshot(
                name=mcp.name,
                id=mcp.id,
                type=mcp.type,
                type_computed=self._computed_type(mcp),
                interception=mcp.interception,
                location=mcp.location or None,
                access_networks=tuple(sorted(mcp.access_networks)),
                public_addresses=tuple(str(address) for address in mcp.public_addresses),
                addresses=tuple(str(address) for address in mcp.addresses),
                port=self._port(mcp.inside),
                capacity_sessions=mcp.capacity_sessions,
                operator=mcp.operator,
                sessions=engine.sessions.table.active.get(mcp.id, 0),
                subflows=engine.sessions.table.subflows[mcp.id],
                health=engine.chooser.state(mcp.id, self._clock()).value,
                load=round(engine.chooser.health[mcp.id].load(self._clock()), 4),
                distribution=engine.policy.distribution,
                reachable=mcp.id not in unresolved,
            )
            for mcp in engine.site.mcps
        ]

    def mcp_name(self, mcp: McpId) -> str:
        return mcp_name(self._engine, mcp)

    def intents(self, mcp: str) -> list[Intent]:
        number = next((m.id for m in self._engine.site.mcps if m.name == mcp), -1)
        return [
            self._engine.preferring.intent(subflow)
            for session in self._engine.sessions.table
            if session.mcp == number and session.token >= 0
            for subflow in session.subflows
            if subflow.wish != NO_WISH
        ]

    def _computed_type(self, mcp: Mcp) -> McpType:
        """The type of an MCP by the present paths (D-4.b). An MCP is on-path if its switch is on every natural path
        between the gateways and the access networks that it serves."""
        site, graph, dpid = self._engine.site, self._engine.graph, mcp.inside.dpid
        everywhere = all(
            dpid in graph.natural(a.dpid, g.dpid).switches
            for access in site.access_networks
            if self._engine.map.reaches(access.name, mcp.id)
            for a in access.ports
            for gateway in site.gateways
            for g in gateway.ports
        )
        return McpType.ON_PATH if everywhere else McpType.OFF_PATH

    def access_networks(self) -> list[AccessNetworkSnapshot]:
        return [
            AccessNetworkSnapshot(
                name=access.name,
                type=kind,
                trust=trust,
                prefixes=tuple(str(prefix) for prefix in access.prefixes),
                ports=tuple(self._port(port) for port in access.ports),
                offloaded_to=self._engine.preferring.offloads.get(access.name),
            )
            for access in self._engine.site.access_networks
            for kind, trust in (self._engine.chooser.access[access.name],)
        ]

    def gateways(self) -> list[GatewaySnapshot]:
        return [
            GatewaySnapshot(
                name=gateway.name,
                prefixes=tuple(str(prefix) for prefix in gateway.prefixes),
                ports=tuple(self._port(port) for port in gateway.ports),
                addresses=tuple(str(address) for address in gateway.gateways),
                next_hops=tuple(
                    str(address) for address in (*gateway.next_hops, *(hop for _, hop in gateway.link_hops))
                ),
            )
            for gateway in self._engine.site.gateways
        ]

    def subscribers(self) -> list[SubscriberSnapshot]:
        return [
            SubscriberSnapshot(
                id=subscriber.id,
                klass=subscriber.klass,
                prefixes=tuple(str(prefix) for prefix in subscriber.prefixes),
                quotas=asdict(subscriber.quotas),
            )
            for subscriber in self._engine.policy.subscribers
        ]

    def clock(self) -> ClockSnapshot:
        minute = self._engine.chooser.minute
        day, at = divmod(minute, 1440)
        timed = [rule for rule in self._engine.policy.rules if rule.when.times]
        return ClockSnapshot(
            time=f"{DAYS[day]} {at // 60:02}:{at % 60:02}",
            minute=minute,
            rules=tuple(
                TimedRule(name=rule.name, open=any(within(window, minute) for window in rule.when.times))
                for rule in timed
            ),
        )

    def limits(self) -> LimitsSnapshot:
        return limits(self._engine)

    def avoids_fragments(self) -> bool:
        return self._engine.policy.avoid_fragmentation

    def mapping_logging(self, mcp: str) -> tuple[bool, bool] | None:
        found = next((one for one in self._engine.site.mcps if one.name == mcp), None)
        if found is None:
            return None
        wanted = self._engine.policy.logging
        modes = (found.source_modes.ipv4, found.source_modes.ipv6)
        shares = any(mode is not None and mode.shares for mode in modes)
        return (
            shares if wanted.mappings is Toggle.AUTO else wanted.mappings is Toggle.ON,
            wanted.destinations,
        )

    def sources_of(self, mcp: str) -> tuple[Network, ...]:
        found = next((one for one in self._engine.site.mcps if one.name == mcp), None)
        if found is None:
            return ()
        own = (*found.addresses, *found.public_addresses)
        return (*(ip_network(address) for address in own), *found.pools)

    def reported(self, mcp: str) -> tuple[McpId, tuple[str, int] | None] | None:
        found = next((one.id for one in self._engine.site.mcps if one.name == mcp), None)
        return None if found is None else (found, self._engine.sessions.reports.taken(found))

    def subscriber_of(self, address: bytes) -> str | None:
        found = self._engine.chooser.rulebook.subscriber(address)
        return None if found is None else found.id

    def reservations(self) -> list[ReservationSnapshot]:
        return reservations(self._engine, self._clock())

    def reservation(self, name: str) -> ReservationSnapshot | None:
        return reservation(self._engine, name, self._clock())

    def denied(self, name: str) -> str | None:
        verdict = self._engine.reserving.verdict
        return verdict.denied.value if verdict.id == name and verdict.denied is not None else None

    def ended_reservations(self) -> list[tuple[str, str]]:
        return [(name, became.value) for name, became in self._engine.reserving.ended]

    def sessions(self, after: int, limit: int, wanted: SessionFilter, pause: Pause = no_pause) -> SessionPage:
        return page(self._engine, after, limit, wanted, self._clock, pause)

    def changed_sessions(self, most: int) -> ChangedSessions:
        return changed_sessions(self._engine.sessions.table, most)

    def aborted(self, session_id: str) -> AbortSnapshot | None:
        return aborted(self._engine, session_id)

    def session_line(self, session_id: str) -> SessionSnapshot | None:
        session = find(self._engine, session_id)
        return None if session is None else brief(self._engine, session, self._clock())

    def session(self, session_id: str) -> SessionDetail | None:
        return detail(self._engine, session_id, self._clock())

    def paths(self, session_id: str) -> SessionPaths | None:
        session = find(self._engine, session_id)
        return None if session is None else session_paths(self._engine, session)

    def decision(self, decision_id: str) -> DecisionSnapshot | None:
        session = find(self._engine, decision_id)
        if session is None or session.ruling is None:
            return None
        loads = self._engine.sessions.table.loads_of(session)
        return explain(self._engine, session.ruling, loads, session.created)

    def _port(self, port: PortRef) -> str:
        return f"{self._engine.site.switch_name(port.dpid)}:{port.place}"
