"""The engine as the northbound sees it: model.view.View over live state, read only."""

from collections.abc import Callable
from dataclasses import asdict
from ipaddress import ip_address
from itertools import islice

from steering.core.engine import Engine
from steering.core.selection.rulebook import within
from steering.core.sessions.records import Session, Subflow
from steering.core.snapshots.decisions import explain
from steering.core.snapshots.drawing import drawing, session_paths
from steering.core.snapshots.limits import limits
from steering.core.snapshots.links import ends_of, links
from steering.core.snapshots.ports import ports
from steering.core.snapshots.reservations import reservation, reservations
from steering.core.snapshots.session_search import first_after, found, has_client
from steering.core.snapshots.status import alarm_changes, status
from steering.core.supervision.fallbacks import NONE_YET, by_access, by_mcp
from steering.model.drawing import NetworkPicture, SessionPaths
from steering.model.first_answers import AnswerCounts, FirstAnswersSnapshot
from steering.model.ids import McpId
from steering.model.network import Mcp, McpType, PortRef, PortRole
from steering.model.policy import Insertion, Toggle
from steering.model.port_snapshot import PortsSnapshot
from steering.model.preference import NO_WISH, Intent
from steering.model.session import EntryKind
from steering.model.session_change import ChangedSessions, SessionChange
from steering.model.session_snapshot import (
    AbortSnapshot,
    DecisionSnapshot,
    ServerLegEntry,
    SessionDetail,
    SessionPage,
    SessionSnapshot,
    SubflowSnapshot,
    ToldEnd,
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


TOLD_AT_ONCE = 50  # sessions that are described in one go


class EngineView:
    """`clock` tells the time that the engine is fed, seconds."""

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
        unresolved = engine.neighbours.unresolved(self._clock())
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
        return self._mcp_name(mcp)

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
        """On-path: its switch lies on every natural path between the accesses that reach it and gateways (D-4.b)."""
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
        table = self._engine.sessions.table
        if wanted == SessionFilter():
            page, total = first_after(table, after, limit + 1, pause), len(table)
        else:
            page, total = found(table, after, limit + 1, self._test(wanted), wanted.token, pause)
        more = page[limit - 1] if len(page) > limit else None
        numbers = page[:limit]
        told: list[SessionSnapshot] = []
        for at in range(0, len(numbers), TOLD_AT_ONCE):
            if at:
                pause()  # those that end meanwhile are left out
            some = (table.by_id.get(number) for number in numbers[at : at + TOLD_AT_ONCE])
            told += [self._brief(session) for session in some if session is not None]
        return SessionPage(tuple(told), total, more)

    def _test(self, wanted: SessionFilter) -> Callable[[Session], bool]:
        """Whether a session is wanted; what it is known by, its token, has been asked already."""
        mcps = {number for number, mcp in self._engine.map.mcps.items() if mcp.name == wanted.mcp}

        def test(session: Session) -> bool:
            return (
                (wanted.mcp is None or session.mcp in mcps or self._mcp_name(session.mcp) == wanted.mcp)
                and (wanted.state is None or session.state.value == wanted.state)
                and (wanted.client is None or has_client(session, wanted.client))
            )

        return test

    def changed_sessions(self, most: int) -> ChangedSessions:
        table = self._engine.sessions.table
        if table.journal is None:
            return ChangedSessions((), 0)
        last = table.journal.last
        changes = []
        for number, before in islice(last.before.items(), most):
            session = table.by_id.get(number)
            after = None if session is None else (session.state.value, len(session.subflows))
            told = None if before is None else (before.state.value, before.subflows)
            if told != after:
                changes.append(SessionChange(str(number), told, after))
        return ChangedSessions(tuple(changes), last.omitted + max(0, len(last.before) - most))

    def aborted(self, session_id: str) -> AbortSnapshot | None:
        number = int(session_id) if session_id.isascii() and session_id.isdecimal() else 0
        found = self._engine.sessions.aborted.report(number)
        if found is None:
            return None
        ends = (
            ToldEnd(e.kind.value, str(ip_address(e.address)), e.port, e.outcome.value) for e in found.ends
        )
        return AbortSnapshot(session_id, found.over, tuple(ends))

    def session_line(self, session_id: str) -> SessionSnapshot | None:
        session = self._find(session_id)
        return None if session is None else self._brief(session)

    def session(self, session_id: str) -> SessionDetail | None:
        session = self._find(session_id)
        if session is None:
            return None
        at = session.subflows[0].dpid if session.subflows else None
        more = {
            "subflows": tuple(self._subflow(subflow) for subflow in session.subflows),
            "server_leg": tuple(
                ServerLegEntry(self._engine.site.switch_name(entry.dpid), f"{entry.cookie:016x}")
                for entry in session.return_entries(PortRole.GATEWAY)
            ),
            "access_switch": None if at is None else self._engine.site.switch_name(at),
            "decision": session_id if session.ruling else None,
        }
        return SessionDetail(**self._brief(session)._asdict() | more)

    def paths(self, session_id: str) -> SessionPaths | None:
        session = self._find(session_id)
        return None if session is None else session_paths(self._engine, session)

    def decision(self, decision_id: str) -> DecisionSnapshot | None:
        session = self._find(decision_id)
        if session is None or session.ruling is None:
            return None
        return explain(self._engine, session.ruling, session.loads, session.created)

    def _find(self, session_id: str) -> Session | None:
        if not (session_id.isascii() and session_id.isdecimal()):
            return None
        return self._engine.sessions.table.by_id.get(int(session_id[:20]))

    def _mcp_name(self, number: McpId) -> str:
        mcp = self._engine.map.mcps.get(number)
        return mcp.name if mcp else f"{number:04x}"

    def _brief(self, session: Session) -> SessionSnapshot:
        flow = session.flow
        return SessionSnapshot(
            id=str(session.id),
            state=session.state,
            mcp=self._mcp_name(session.mcp) if session.mcp else None,
            insertion=Insertion.REACTIVE if session.unit is None else Insertion.PROACTIVE,
            token=f"{session.token:08x}" if session.token >= 0 else None,
            version=session.version,
            client=_endpoint(flow.source, flow.source_port),
            server=_endpoint(flow.destination, flow.destination_port),
            explicit=self._engine.map.is_mcp_address(flow.destination),
            subflows=len(session.subflows),
            age_s=round(self._clock() - session.created, 3),
        )

    def _subflow(self, subflow: Subflow) -> SubflowSnapshot:
        _, src, dst, sport, dport = subflow.flow
        access = self._engine.map.access_of(src)
        entry = subflow.session.entry(subflow)
        intent = self._engine.preferring.intent(subflow)
        wish = intent.wish
        return SubflowSnapshot(
            src=str(ip_address(src)),
            sport=sport,
            dst=str(ip_address(dst)),
            dport=dport,
            kind="initial" if subflow.kind is EntryKind.INITIAL else "join",
            access_network=access.name if access else None,
            path=self._deviation(subflow, dst),
            switch=self._engine.site.switch_name(subflow.dpid),
            entries=() if entry is None else (f"{entry.cookie:016x}",),
            address_id=subflow.address_id,
            backup=subflow.backup,
            access_type=intent.access_type,
            wanted="closed" if not wish.allowed else "backup" if wish.backup else "active",
            share=wish.share,
            bytes=subflow.bytes,
        )

    def _deviation(self, subflow: Subflow, dst: bytes) -> str:
        """`natural` if the MCP lies on the path the subflow takes anyway, else `redirected` (D-4.2c)."""
        mcp = self._engine.map.mcps.get(subflow.session.mcp)
        exits = self._engine.map.exits_to(dst)
        if mcp is None or not exits or not (subflow.waypoint or subflow.session.unit is not None):
            return "natural"
        graph = self._engine.graph
        paths = [graph.natural(subflow.dpid, port.dpid).switches for port in exits]
        on_path = any(mcp.inside.dpid in path for path in paths)
        return "natural" if on_path else "redirected"

    def _port(self, port: PortRef) -> str:
        return f"{self._engine.site.switch_name(port.dpid)}:{port.place}"


def _endpoint(address: bytes, port: int) -> str:
    if not address:
        return "?"
    text = str(ip_address(address))
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
