"""Records sessions of proactive insertion, whose SYN the controller never got. It learns of them by their MCP's SYN/ACK.

The SYN/ACK of a later subflow has no token. Therefore the subflow's session may be a guess. A wrong guess does no harm to
forwarding, because all sessions in question are at the same MCP.
"""

from steering.core.counters import Counters
from steering.core.inputs import SynAckSeen
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Output
from steering.core.proactive.planner import Unit
from steering.core.proactive.units import ProactiveInsertion
from steering.core.selection.chooser import Chooser
from steering.core.selection.scoring import effective
from steering.core.sessions.first_answer import FirstAnswers, LearntToken
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.core.sessions.transitions import Beginning, SessionLife
from steering.model.decision import Decision, DecisionKey, Outcome, Ruling
from steering.model.ids import NO_TOKEN, NO_WAYPOINT, DatapathId
from steering.model.network import Mcp, PortRef, PortRole
from steering.model.session import EntryKind, Refusal
from steering.wire.handshake import Handshake, Kind

SUBFLOWS = 64  # most subflows of one session that are recorded
NEWS = 65_536  # most entries of `news`


class LearnedSessions:
    """Makes the records of sessions and subflows that proactive entries led to an MCP."""

    def __init__(
        self,
        sitemap: SiteMap,
        chooser: Chooser,
        table: SessionTable,
        life: SessionLife,
        first_answers: FirstAnswers,
        proactive: ProactiveInsertion,
        neighbours: Neighbours,
        teardown: Teardown,
        counters: Counters,
    ) -> None:
        self._map = sitemap
        self._chooser = chooser
        self._table = table
        self._life = life
        self._first_answers = first_answers
        self._proactive = proactive
        self._neighbours = neighbours
        self._teardown = teardown
        self._counters = counters
        self.news: dict[int, None] = {}  # sessions that began or got a subflow (core.restart.kept_sessions)

    def answered(self, attachment: Attachment, seen: SynAckSeen, now: float) -> LearntToken:
        """An MCP sent a SYN/ACK to a SYN that the controller never got."""
        handshake = seen.handshake
        mcp = attachment.part
        unit = self._proactive.unit_of(handshake.dst)
        place = self._entered(handshake.dst)
        if unit is None or place is None or not isinstance(mcp, Mcp):
            return LearntToken([])
        key = flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport)
        outputs: list[Output] = []
        isn = handshake.ack - 1 & 0xFFFF_FFFF  # of the SYN that it answers
        known = self._table.flows.get(key)
        if known is not None:
            if known.isn == isn:
                return LearntToken([])  # the SYN/ACK is repeated
            outputs += self._teardown.end_subflow(known, now)  # a new connection uses the 5-tuple
        kind = EntryKind.JOIN if handshake.kind is Kind.JOIN else EntryKind.INITIAL
        if kind is EntryKind.JOIN:
            session = self._proactive.sibling(unit, mcp.id, handshake.src, handshake.sport)
            token = NO_TOKEN
            if session is not None:
                self._life.heard(session)
        else:
            session, made = self._begin(unit, mcp, handshake, place, now)
            outputs += made
            token = session.token if session else NO_TOKEN
        if session is None or len(session.subflows) >= SUBFLOWS:
            return LearntToken(outputs)
        session.touch(now)
        if len(self.news) < NEWS:
            self.news[session.id] = None
        self._table.begin_subflow(session, kind, key, place.dpid, PortRole.ACCESS, NO_WAYPOINT, isn, now)
        if session.returns or self._proactive.leaving(unit, mcp.id):
            self._proactive.stray(session)
            session.return_by(())
            outputs += self._proactive.pin(session)
        return LearntToken(outputs, token)

    def _entered(self, address: bytes) -> PortRef | None:
        """The port where a host's segments come in."""
        known = self._neighbours.port_of(address)
        access = self._map.access_of(address)
        return known or (access.ports[0] if access else None)

    def _begin(
        self, unit: Unit, mcp: Mcp, handshake: Handshake, place: PortRef, now: float
    ) -> tuple[Session | None, list[Output]]:
        outputs: list[Output] = []
        exits = self._map.exits_to(handshake.src)
        if not exits:
            return None, outputs
        if not self._table.has_room:
            outputs = self._teardown.make_room()
        if not self._table.has_room:
            self._counters.refusals[Refusal.SESSION_TABLE_FULL] += 1
            return None, outputs
        ruling, loads = self.ruling(unit, handshake.dst, handshake, place.dpid, exits, now)
        entrance = self._map.attachments[place].waypoint.id
        first = flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport)
        session = self._life.begin(
            Beginning.SYN_STEERED, mcp.id, ruling, now, entrance, first, unit=unit.name, loads=loads
        )
        self._counters.sessions_started += 1
        if self._first_answers.seen(session, handshake, now) >= 0:
            self._proactive.note(unit, session)
        return session, outputs

    def ruling(
        self,
        unit: Unit,
        host: bytes,
        handshake: Handshake,
        access: DatapathId,
        exits: tuple[PortRef, ...],
        now: float,
    ) -> tuple[Ruling, tuple[int, ...]]:
        """The ruling that corresponds to the entries of a unit, for the edges of one connection, and the MCPs' loads."""
        nearest = self._chooser.nearest(access, exits)
        wanted = effective(self._chooser.policy, unit.terms)
        network = self._chooser.network(wanted, unit.terms, access, nearest.dpid, handshake)
        loads = self._table.active.row(network.ids)
        server, sport = (
            (handshake.src, handshake.dport) if host == handshake.dst else (handshake.dst, handshake.sport)
        )
        dport = handshake.sport if host == handshake.dst else handshake.dport
        key = DecisionKey(host, server, sport, dport, 0)
        winner = network.ids.index(unit.mcp)
        decision = Decision(Outcome.PROXY, winner, "proactive", key, network, loads, (), now)
        return self._chooser.ruled(decision, unit.rule, unit.terms, unit.name), loads
