"""Proactive insertion (T-21, S-18): entries set in advance lead all connections of a subscriber to one MCP.

No SYN and no join goes to the controller, so none has to wait. All accesses of a subscriber lead to the same MCP, so joins
reach the MCP of their session without their token being read. The controller gets a copy of the MCP's SYN/ACK, by which it
learns of each connection and its token.

A subscriber is moved to another MCP after a drain, a death, or a change of the policy. Before that, each known connection
gets exact entries to its old MCP. While one of these connections lives, SYNs of the subscriber go to the controller, so that
joins follow their session.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from math import inf
from typing import ClassVar

from steering.core.admission.authorisation import Authorisation
from steering.core.network.graph import Graph
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output, Steer
from steering.core.part import DesiredRules, McpsChange, Part
from steering.core.proactive.planner import Unit, UnitPlanner
from steering.core.proactive.rules import LedPrefix, proactive_rules, within
from steering.core.selection.chooser import Chooser
from steering.core.sessions.flow_key import source_of
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.ids import DatapathId, McpId
from steering.model.insertion import governed
from steering.model.kept import KeptNetwork, KeptState, KeptUnit, LostPiece, Piece
from steering.model.mechanism import Mechanism
from steering.model.network import Network, PortRole
from steering.model.policy import Policy, Terms
from steering.model.prefix_table import PrefixTable
from steering.model.session import SessionState

EACH_TICK = 2_000  # most sessions that get exact entries in one tick
STABLE = 1.0  # seconds for which links must be unchanged before units are moved, so that a flap moves none
SETTLE = 3.0  # seconds after a restart before units are moved
SIBLINGS = 64  # most sessions of one unit to one server among which the session of a join is looked for
LOOK = 1.0  # seconds between two searches for old sessions that are over
# States of sessions that may get joins. A join shows that the host has got the MCP's answer.
_JOINED = (SessionState.ESTABLISHED, SessionState.ANSWERED)


class ProactiveInsertion(Part):
    """The entries of proactive insertion, and the moves of units from one MCP to another."""

    keeps: ClassVar[Piece | None] = Piece.NETWORK

    def __init__(
        self,
        sitemap: SiteMap,
        graph: Graph,
        chooser: Chooser,
        table: SessionTable,
        policy: Policy,
        epochs: Mapping[DatapathId, int],
        disabled: frozenset[Mechanism],
        authorising: Authorisation,
    ) -> None:
        self._map = sitemap
        self._graph = graph
        self._chooser = chooser
        self._table = table
        self._authorising = authorising
        self._epochs = epochs
        self._off = bool({Mechanism.PROACTIVE, Mechanism.STEERING} & disabled)
        self._planner = UnitPlanner(sitemap, graph, chooser, authorising, Mechanism.ONE_MCP in disabled)
        self._unwildcard = Mechanism.UN_WILDCARDING not in disabled
        self.units: dict[str, Unit] = {}  # the units as switches have them now
        self.strays: dict[str, set[int]] = {}  # unit -> its live sessions at other MCPs
        self._by_prefix: PrefixTable[Unit] = PrefixTable()
        self._wanted: dict[str, Unit] = {}  # the units as planned
        self._to_pin: deque[Session] | None = None  # sessions that need exact entries first; None: no move
        self._seen: object = None  # the inputs from which `_wanted` was planned
        self._links = -1  # version of the graph, and since when it is unchanged
        self._links_since = -inf
        self._look = 0.0
        self._mixed = False  # a unit has got its first stray, so its rules have changed
        self._resuming = False  # the units are those of an earlier controller, until `recovered`
        self.changes = 0  # changes whenever `units` or `strays` do
        # Unit, MCP, server address and port -> ids of sessions, newest first.
        self._siblings: dict[tuple[str, int, bytes, int], deque[int]] = {}
        self._take(policy)

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """Another policy is in force. If it moves units, their sessions begin to get exact entries at once."""
        self._take(policy)
        return self.tick(now)

    def _take(self, policy: Policy) -> None:
        self._policy = policy
        self._planner.take(policy, () if self._off else governed(policy))
        self._seen = None

    def desired(self, dpid: DatapathId) -> DesiredRules:
        led = (LedPrefix(p, u.mcp, u.name in self.strays) for u in self.units.values() for p in u.prefixes)
        epoch = self._epochs[dpid]
        return DesiredRules(admission=tuple(proactive_rules(self._map, dpid, epoch, led, self._unwildcard)))

    def unit_of(self, address: bytes) -> Unit | None:
        """The unit of a host's address, by longest prefix. None for a host whose connections no entries lead."""
        return self._by_prefix.of(address)

    def terms(self, address: bytes, terms: Terms) -> Terms:
        """The terms for a first SYN that nevertheless came to the controller. For a host of a unit, only the unit's MCP is
        left."""
        unit = self.unit_of(address)
        return terms if unit is None else unit.terms

    def leaving(self, unit: Unit, mcp: McpId) -> bool:
        """Whether a connection at an MCP needs exact entries at once, because its unit's entries lead to another MCP, or will
        do so."""
        return unit.mcp != mcp or (self._to_pin is not None and self._wanted.get(unit.name) != unit)

    # ---- moves ----------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Output]:
        """Move units to other MCPs if necessary. Their sessions get exact entries first."""
        if self._resuming or (not self._planner.governed and not self.units):
            return []
        if self._look_again(now):
            self._wanted = {u.name: u for u in self._planner.plan()}
            if self._wanted == self.units:
                self._to_pin = None
            else:
                self._to_pin = deque(s for s in self._table if self._must_be_pinned(s))
        self.changed |= self._mixed
        self._mixed = False
        self.changed |= now >= self._look and self._forget_strays(now)
        if self._to_pin is None:
            return []
        outputs: list[Output] = []
        for _ in range(min(EACH_TICK, len(self._to_pin))):
            outputs += self.pin(self._to_pin.popleft())
        if not self._to_pin:
            self._switch_over()
            self.changed = True
        return outputs

    def _look_again(self, now: float) -> bool:
        """Whether something on which the choice of MCPs depends has changed, and links have been stable for a while."""
        if self._graph.version != self._links:
            first = self._links < 0 and not self._map.site.discover
            self._links, self._links_since = self._graph.version, -inf if first else now
        if now < self._links_since + STABLE and self._seen is not None:
            return False
        trusts = tuple(trust for _, trust in self._chooser.access.values())
        seen = (self._policy, self._links, dict(self._chooser.excluded), trusts, bool(self._authorising.acl))
        if seen == self._seen:
            return False
        self._seen = seen
        return True

    def _must_be_pinned(self, session: Session) -> bool:
        if session.unit is None or session.returns:
            return False
        unit = self._wanted.get(session.unit)
        return unit is None or unit != self.units.get(session.unit)

    def _switch_over(self) -> None:
        changed = {n for n, u in self._wanted.items() if self.units.get(n) != u}
        self.units, self._to_pin = self._wanted, None
        self.changes += 1
        self._index()
        self.strays = {n: s for n, s in self.strays.items() if n in self.units and n not in changed}
        if changed:
            self._find_strays(changed)

    def _index(self) -> None:
        self._by_prefix = PrefixTable(
            (prefix, unit) for unit in self.units.values() for prefix in unit.prefixes
        )

    def _find_strays(self, changed: Collection[str]) -> None:
        """Find the sessions of these units that are at another MCP than the unit."""
        for session in self._table:
            if session.token < 0 or session.state is SessionState.LINGER:
                continue
            for subflow in session.subflows:
                unit = self.unit_of(subflow.flow.source)
                if unit is None or unit.name not in changed:
                    continue
                if unit.mcp != session.mcp:
                    self.strays.setdefault(unit.name, set()).add(session.id)
                else:
                    self.note(unit, session)

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """The site has other MCPs. Units of a removed MCP lose their entries, so that their SYNs go to the controller until
        the next `tick`."""
        known = self._map.mcps
        self._wanted = {n: u for n, u in self._wanted.items() if u.mcp in known}
        self.units = {n: u for n, u in self.units.items() if u.mcp in known}
        self._index()
        self._planner.mcps_changed()
        self._seen, self._to_pin = None, None
        return []

    def _forget_strays(self, now: float) -> bool:
        """Forget strays that are over. Returns whether a unit has lost its last stray, so that its SYNs need not go to the
        controller any more."""
        self._look = now + LOOK
        done = []
        for name, sessions in self.strays.items():
            for number in list(sessions):
                session = self._table.by_id.get(number)
                if session is None or session.state is SessionState.LINGER:
                    sessions.discard(number)
            if not sessions:
                done.append(name)
        for name in done:
            del self.strays[name]
        self.changes += len(done)
        return bool(done)

    def stray(self, session: Session) -> None:
        """A session of a unit was found at another MCP than the unit's. Its joins have to follow it."""
        unit = None if session.unit is None else self.units.get(session.unit)
        if unit is not None and unit.mcp != session.mcp and session.token >= 0:
            self._mixed |= unit.name not in self.strays
            self.changes += 1
            self.strays.setdefault(unit.name, set()).add(session.id)

    def pin(self, session: Session) -> list[Output]:
        """Give a session exact entries, which it did not need until now. From now on it is pinned like any other."""
        inside, outside = self._map.inside.get(session.mcp), self._map.outside.get(session.mcp)
        if inside is None or outside is None or session.returns or session.id not in self._table.by_id:
            return []
        server = session.flow.destination
        session.return_by(tuple(dict.fromkeys((p.dpid, outside.id) for p in self._map.exits_to(server))))
        for subflow in session.subflows:
            if not subflow.waypoint and subflow.flow.destination not in self._map.mcp_addresses:
                subflow.lead_to(inside.id)
        return [Steer(session.entries(PortRole.GATEWAY), None)]

    # ---- over a restart -------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        return self.changes

    def snapshot(self, now: float) -> KeptState:
        """The units with entries, for the store."""
        mcps = self._map.mcps
        units = (
            KeptUnit(u.name, u.prefixes, mcps[u.mcp].name, u.name in self.strays) for u in self.units.values()
        )
        return KeptState(network=KeptNetwork((), tuple(units)))

    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        """Restore the units of an earlier controller, whatever the policy says, until `recovered`. No unit is moved before it
        is known which sessions are at which MCP."""
        mcps = {mcp.name: mcp.id for mcp in self._map.site.mcps}
        led = [unit for unit in kept.network.units if unit.mcp in mcps and self._is_within(unit.prefixes)]
        rules = {one.name: one.rule for one in self._planner.governed}
        for told in () if self._off else led:
            rule = rules.get(told.name)
            mcp = mcps[told.mcp]
            terms = self._planner.only(rule.then if rule else Terms(), mcp)
            self.units[told.name] = Unit(told.name, told.prefixes, mcp, rule.name if rule else "", terms)
            if told.asked:
                self.strays[told.name] = set()
        self._index()
        self._resuming = bool(self.units)
        return {LostPiece.UNIT: len(kept.network.units) - len(led)}

    def _is_within(self, prefixes: Iterable[Network]) -> bool:
        """Whether all prefixes lie within access networks of the site."""
        known = self._map.access_prefixes()
        return all(any(within(p, q) for q in known) for p in prefixes)

    def recovered(self, now: float) -> list[Output]:
        """All live sessions are known. Units may be moved as soon as MCPs have had the time to answer probes."""
        if not self._resuming:
            return []
        self._resuming = False
        asked = self.strays.keys() | set()
        self._find_strays(self.units)
        self._mixed |= self.strays.keys() != asked
        self._links, self._links_since = self._graph.version, now + SETTLE - STABLE
        self._seen = ()
        return []

    # ---- the sessions of joins ------------------------------------------------------------------

    def note(self, unit: Unit, session: Session) -> None:
        """From now on, joins of the unit may belong to this session."""
        flow = session.flow
        place = (unit.name, session.mcp, flow.destination, flow.destination_port)
        if place not in self._siblings and len(self._siblings) >= self._table.limits.sessions:
            del self._siblings[next(iter(self._siblings))]
        known = self._siblings.setdefault(place, deque(maxlen=SIBLINGS))
        if session.id not in known:
            known.appendleft(session.id)

    def begun(self, session: Session) -> None:
        """A session began by a first SYN that came to the controller. If the host belongs to a unit, its joins may belong to
        this session."""
        unit = self.unit_of(source_of(session.first))
        if unit is not None and unit.mcp == session.mcp:
            self.note(unit, session)

    def sibling(self, unit: Unit, mcp: McpId, server: bytes, port: int) -> Session | None:
        """The session of a join whose SYN the controller never got, None if there is none. The join's SYN/ACK has no token.

        So the session is one of the same unit, at the same MCP, to the same server. If there are several, it is the one with
        the fewest subflows, as a guess.
        """
        found = [
            session
            for number in self._siblings.get((unit.name, mcp, server, port), ())
            if (session := self._table.by_id.get(number)) is not None and session.state in _JOINED
        ]
        return min(found, key=lambda session: len(session.subflows), default=None)
