"""Finds, for a first SYN, the rule that governs it and the MCP that serves it. Results that seldom change are cached."""

from collections.abc import Collection, Hashable
from typing import NamedTuple

from steering.core.network.graph import Graph
from steering.core.network.link_cost import slope
from steering.core.network.loaded_paths import LoadedPaths
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.network.transit_neighbours import REFRESH
from steering.core.outputs import Output
from steering.core.part import McpsChange, Part
from steering.core.selection.active_sessions import ActiveSessions
from steering.core.selection.mcp_health import Health, McpHealth
from steering.core.selection.quotas import Allowance, allowance
from steering.core.selection.rulebook import Rulebook, RuleMatch, RuleQuery
from steering.core.selection.scoring import EffectiveTerms, candidates, decide, effective
from steering.model.decision import Candidates, Decision, DecisionKey, FilterReason, Ruling
from steering.model.ids import NO_WAYPOINT, DatapathId, McpId, WaypointId
from steering.model.network import (
    AccessNetwork,
    Gateway,
    Interception,
    Mcp,
    NetworkAccessType,
    PortRef,
    Trust,
)
from steering.model.policy import Direction, Policy, Terms
from steering.wire.handshake import Handshake

_new = tuple.__new__
CACHED = 4096  # most entries of each cache
FOREIGN = (NetworkAccessType.OTHER, Trust.THIRD_PARTY)  # type and trust of connections from the Internet


class NewConnection(NamedTuple):
    """The parts of a connection that rules examine. Addresses have 4 or 16 bytes."""

    src: bytes
    dst: bytes
    dport: int
    version: int


class UsualFlow(NamedTuple):
    """The parts of a SYN on which rules and the choice of an MCP depend, named as in Handshake."""

    family: int
    src: bytes
    dst: bytes
    sport: int
    dport: int
    version: int


class Chooser(Part):
    """Applies the policy in force to connections, and keeps the health of the MCPs."""

    def __init__(self, sitemap: SiteMap, policy: Policy, graph: Graph, neighbours: Neighbours) -> None:
        self._map = sitemap
        self._graph = graph
        self._neighbours = neighbours
        self.access = {a.name: (a.type, a.trust) for a in sitemap.site.access_networks}
        self.health: dict[McpId, McpHealth] = {}
        self._first_asked: dict[int, float] = {}  # MCP id -> when its MAC was first asked for
        self.granted: dict[bytes, str] = {}  # source -> the class that an authoriser named
        self.minute = 0  # of the week, Monday 0:00 is 0
        self._previous: dict[DatapathId, McpId] = {}  # access edge -> MCP id given last
        self._candidates: dict[tuple[int, int, int, int, int, bytes, int], Candidates] = {}
        self._rulings: dict[tuple[Hashable, ...], Ruling] = {}
        self._version = -1  # of the graph
        self._loaded = LoadedPaths(graph)
        self.link_use: dict[PortRef, float] = {}  # port where a link begins -> its utilisation, 0 to 1
        self.excluded: dict[McpId, FilterReason] = {}  # MCPs that get no new session, and why
        # By waypoint: MCPs that get no new session that comes in there.
        self._avoided_at: dict[WaypointId, dict[McpId, FilterReason]] = {}
        self._outside: tuple[float, ...] = ()  # reported load of each MCP, empty if all are 0
        # Access edge and id() of a tuple of exits -> these exits, and the nearest of them.
        self._nearest: dict[tuple[DatapathId, int], tuple[tuple[PortRef, ...], PortRef]] = {}
        self._take(policy)
        self._index()

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """The site has other MCPs. The health of removed and replaced MCPs is forgotten. An operator's drain of a replaced
        MCP is kept."""
        self._index(change.others)
        for number, mcp in self._map.mcps.items():
            for port in {mcp.inside, mcp.outside} & change.down:
                self.health[number].port(port, False, now)
        return []

    def _index(self, forget: Collection[int] = ()) -> None:
        known = self._map.mcps
        draining = {number for number, health in self.health.items() if health.draining}
        for number in list(self.health):
            if number not in known or number in forget:
                del self.health[number]
                self._first_asked.pop(number, None)
        for number in known:
            if number not in self.health:
                self.health[number] = McpHealth(self.policy.timers.health_hold)
                self.health[number].draining = number in draining
            self.health[number].misses = known[number].probe.misses
        mcps = known.values()
        self._ids = tuple(mcp.id for mcp in self._map.site.mcps)
        self._outside = ()  # was in the order of the former MCPs; `refresh` sets it anew
        self._all_ports = all(mcp.tcp_ports == ((1, 65535),) and not mcp.referral_ports for mcp in mcps)
        self._forget()
        self._effective.clear()

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """Use another policy, and the present health of the MCPs, for all decisions from now on."""
        self._take(policy)
        for health in self.health.values():
            health.first_hold = policy.timers.health_hold
        self.refresh(now)
        return []

    def _take(self, policy: Policy) -> None:
        self.policy = policy
        self.rulebook = Rulebook(policy)
        self.registered = frozenset(one.id for one in policy.subscribers)
        self._forget()
        self._effective: dict[int, EffectiveTerms] = {}
        self._allowances: dict[tuple[str, str, str], Allowance] = {}
        self._plain = not (policy.rules or policy.subscribers or policy.applications)
        self._constant = RuleMatch(None, Terms(), None, None)
        self._usual = allowance(policy, self._constant)

    def ask(self, attachment: Attachment, handshake: Handshake, frame: bytes = b"") -> RuleMatch:
        """The rule for a segment that came in at an attachment. The DSCP is read from `frame`."""
        if self._plain and not self.granted:
            return self._constant
        return self.ask_of(attachment.part, handshake, dscp_of(frame))

    def ask_join(self, attachment: Attachment, handshake: Handshake, version: int, frame: bytes) -> RuleMatch:
        """The rule for a join. MP_JOIN has no version field, so `version` is that of the session."""
        if self._plain and not self.granted:
            return self._constant
        return self.ask_of(attachment.part, handshake._replace(version=version), dscp_of(frame))

    def answer_for_all(self) -> RuleMatch | None:
        """The match of every connection, if neither rules nor subscribers nor applications distinguish them. Else None."""
        return self._constant if self._plain and not self.granted else None

    def ask_of(
        self, part: AccessNetwork | Gateway | Mcp, flow: Handshake | NewConnection | UsualFlow, dscp: int
    ) -> RuleMatch:
        """The rule for a connection that came in from an access network, a gateway or an MCP."""
        granted = self.granted.get(flow.src, "") if self.granted else ""
        if self._plain and not granted:
            return self._constant
        direction = Direction.HOST if isinstance(part, AccessNetwork) else Direction.SERVER
        kind, trust = self.access.get(part.name, FOREIGN)
        return self.rulebook.ask(
            RuleQuery(
                flow.src, flow.dst, flow.dport, part.name, kind, trust,
                flow.version, dscp, direction, self.minute,
            ),
            granted,
        )  # fmt: skip

    def allowance(self, answer: RuleMatch) -> Allowance:
        """The limits that apply to a connection with this match."""
        if answer is self._constant:
            return self._usual
        key = (
            answer.rule.name if answer.rule else "",
            f"{answer.subscriber.id} {answer.subscriber.klass}" if answer.subscriber else "",
            answer.application.name if answer.application else "",
        )
        known = self._allowances.get(key)
        if known is None:
            if len(self._allowances) >= CACHED:
                self._allowances.clear()
            known = self._allowances[key] = allowance(self.policy, answer)
        return known

    def choose(
        self,
        terms: Terms,
        access: DatapathId,
        exits: tuple[PortRef, ...],
        handshake: Handshake | UsualFlow,
        active: ActiveSessions,
        now: float,
        entrance: WaypointId = NO_WAYPOINT,
    ) -> Decision:
        """Decide about one flow. It comes in at waypoint `entrance` of switch `access`, and may leave at the ports `exits`.
        `active`: number of sessions by MCP id. `now`: engine time, seconds."""
        port = exits[0] if len(exits) == 1 else self.nearest(access, exits)
        wanted = self._effective.get(id(terms))
        if wanted is None:
            wanted = self._effective[id(terms)] = effective(self.policy, terms)
        network = self.network(wanted, terms, access, port.dpid, handshake, entrance)
        loads = active.row(network.ids)
        previous = self._previous.get(access, 0)
        key = _new(DecisionKey, (handshake.src, handshake.dst, handshake.sport, handshake.dport, previous))
        return decide(wanted, network, loads, self._outside, key, now)

    def nearest(self, access: DatapathId, exits: tuple[PortRef, ...]) -> PortRef:
        """The nearest of the ports by which a flow may leave. The cache goes by the identity of `exits`, because the same
        tuples are passed again and again."""
        self._follow_graph()
        known = self._nearest.get((access, id(exits)))
        if known is None:
            if len(self._nearest) >= CACHED:
                self._nearest.clear()
            port = min(exits, key=lambda p: (self._graph.natural_cost(access, p.dpid), p))
            known = self._nearest[access, id(exits)] = (exits, port)
        return known[1]

    def names_of(self, source: bytes, destination: bytes, port: int) -> tuple[str, str]:
        """The names of the subscriber and the application whose limits a connection uses up, "" for none."""
        if self._plain:
            return "", ""
        subscriber = self.rulebook.subscriber(source)
        application = self.rulebook.application(destination, port)
        return subscriber.id if subscriber else "", application.name if application else ""

    def ruling(self, answer: RuleMatch, decision: Decision) -> Ruling:
        """The decision with the rule, subscriber and application of its match, for a session's record."""
        if answer is self._constant:
            return self.ruled(decision, "", answer.terms, "")
        return self.ruled(
            decision,
            answer.rule.name if answer.rule else "",
            answer.terms,
            answer.subscriber.id if answer.subscriber else "",
            answer.application.name if answer.application else "",
        )

    def ruled(
        self, decision: Decision, rule: str, terms: Terms, subscriber: str, application: str = ""
    ) -> Ruling:
        """The shared ruling with these parts. `rule`, `subscriber` and `application` are names, "" for none."""
        outcome, winner, reason, _, network, _, outside, _ = decision
        # The cached ruling keeps the objects of these ids alive, so their ids are not used again.
        key = (id(network), id(terms), winner, outcome, reason, id(outside), rule, subscriber, application)
        known = self._rulings.get(key)
        if known is None:
            if len(self._rulings) >= CACHED:
                self._rulings.clear()
            known = self._rulings[key] = Ruling(
                outcome, winner, reason, network, outside,
                rule, terms, self.policy.version, subscriber, application,
                subscriber if subscriber in self.registered else "",
            )  # fmt: skip
        return known

    def in_line(self, decision: Decision) -> bool:
        """Whether the chosen MCP stands in line on the natural path, where it takes connections by itself."""
        mcp = decision.mcp
        if mcp is None or mcp.interception is not Interception.SELF:
            return False
        ends = decision.candidates
        return self._graph.natural_mcp(ends.access, ends.gateway) is mcp

    def chosen(self, access: DatapathId, mcp: McpId) -> None:
        """Remember the MCP that an access edge got last, for hysteresis."""
        self._previous[access] = mcp

    def network(
        self,
        wanted: EffectiveTerms,
        terms: Terms,
        access: DatapathId,
        gateway: DatapathId,
        handshake: Handshake | UsualFlow,
        entrance: WaypointId = NO_WAYPOINT,
    ) -> Candidates:
        """All MCPs between two edges for one rule, computed anew when graph or health has changed. `entrance`: as in `choose`."""
        if self._graph.version != self._version:
            self._follow_graph()
        port = 0 if self._all_ports else handshake.dport
        nat64 = b""
        if handshake.family == 6 and self._map.behind_nat64(handshake.dst):
            nat64 = handshake.dst[:12]
        avoided = self._avoided_at.get(entrance) if self._avoided_at else None
        place = 0 if avoided is None else entrance
        key = (id(terms), access, gateway, handshake.family, port, nat64, place)
        known = self._candidates.get(key)
        if known is None:
            if len(self._candidates) >= CACHED:
                self._candidates.clear()
            found = candidates(
                wanted, self._graph, self._map.site.mcps, access, gateway,
                handshake.family, handshake.dport,
                (avoided or {}) | self.excluded | self._map.beyond_reach(access),
                self._loaded if self._loaded.any else None, nat64,
            )  # fmt: skip
            known = self._candidates[key] = found._replace(ids=self._ids)  # one object for all pairs
        return known

    def _follow_graph(self) -> None:
        if self._graph.version != self._version:
            self._forget()
            self._nearest.clear()
            self._version = self._graph.version

    def _forget(self) -> None:
        """Drop all results that were computed from network, policy and health."""
        self._candidates.clear()
        self._rulings.clear()

    def natural_cost(self, access: DatapathId, gateway: DatapathId) -> float:
        """Cost of the natural path between two edge switches (datapath ids)."""
        return self._graph.natural_cost(access, gateway)

    def link_load(self, port: PortRef, utilisation: float) -> None:
        """Record the utilisation of the link that begins at a port. A busy link counts as longer (D-6.6.2)."""
        self.link_use[port] = utilisation
        factor = slope(utilisation)
        if self._loaded.weigh(port, factor):
            self._forget()

    def tick(self, now: float) -> list[Output]:
        self.refresh(now)
        return []

    def state(self, mcp: McpId, now: float) -> Health:
        """An MCP's health for operators. If there are no reports and probes, ARP or ND decides, by which each MCP is asked
        every second: an MCP that answers is up, else down. It is unknown until it was asked for the first time."""
        told = self.health[mcp].state(now)
        if told is not Health.UNKNOWN:
            return told
        if mcp not in self._neighbours.transit.unresolved(now):
            return Health.UP
        return Health.DOWN if now - self._first_asked.get(mcp, now) > REFRESH else Health.UNKNOWN

    def why_gone(self, mcp: McpId) -> str:
        """Why an MCP is gone, in words. "" if it is not."""
        health = self.health.get(mcp)
        return "" if health is None or health.fault is None else health.fault.words

    def refresh(self, now: float) -> None:
        """Take over the present health, load and MACs of the MCPs. It is called when one of these may have changed, not at
        every SYN."""
        if self._first_asked.keys() != self.health.keys():
            for number in self.health:
                self._first_asked.setdefault(number, now)
        excluded = {i: why for i, health in self.health.items() if (why := health.filtered(now)) is not None}
        for number in self._neighbours.transit.unresolved(now):
            excluded.setdefault(number, FilterReason.UNRESOLVED)
        avoided: dict[WaypointId, dict[McpId, FilterReason]] = {}
        for number, health in self.health.items():
            for entrance in health.sick_at:
                avoided.setdefault(entrance, {})[number] = FilterReason.SICK
        if excluded != self.excluded or avoided != self._avoided_at:
            self.excluded, self._avoided_at = excluded, avoided
            self._forget()
        outside = tuple([self.health[number].load(now) for number in self._ids])  # a generator is slower
        if outside != self._outside:  # so that rulings with equal loads share one tuple
            self._outside = outside if any(outside) else ()


def dscp_of(frame: bytes) -> int:
    """The DSCP in the IP header of an untagged Ethernet frame, 0 for any other frame."""
    if frame[12:14] == b"\x08\x00" and len(frame) > 15:
        return frame[15] >> 2
    if frame[12:14] == b"\x86\xdd" and len(frame) > 15:
        return (frame[14] << 4 & 0xF0 | frame[15] >> 4) >> 2
    return 0
