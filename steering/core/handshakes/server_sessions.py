"""Sessions that a server opens (S-20), and joins that an MCP opens towards a host.

A server opens a TCP connection to a host. An MCP takes the connection and speaks MPTCP with the host. Compared with other
sessions, host and server have changed places: the entry of the first SYN is at the gateway, and the return entry is at the
host's access edge. The token is made from the *host's* key, which is in the host's SYN/ACK. Therefore the return entry is
watched until this SYN/ACK was seen. Such sessions exist only where a rule has `direction: server`.

A join of the MCP goes from the MCP's own address to an address that the host announced. It is routed as any traffic, and the
controller gets a copy of its SYN. The copy comes from another switch than the host's SYN/ACK, so it may come before the token
is known. Then the copy waits for the token.
"""

from steering.core.counters import Counters, JoinResult
from steering.core.handshakes.option_bypass import Bypass
from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.handshakes.room import Room
from steering.core.inputs import SynSeen, WatchedSeen
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Output, Release, Steer
from steering.core.selection.chooser import Chooser
from steering.core.selection.quotas import quota_keys
from steering.core.sessions.first_answer import FirstAnswers, LearntToken
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.core.sessions.pending_joins import PendingJoins
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.core.sessions.transitions import Beginning, Event, SessionLife
from steering.model.decision import Ruling
from steering.model.ids import NO_PORT, NO_WAYPOINT, Token, read_token
from steering.model.network import AccessNetwork, Mcp, PortRef, PortRole
from steering.model.policy import Action, Direction, Mode
from steering.model.session import EntryKind, Refusal, SessionState
from steering.wire.handshake import Kind
from steering.wire.segment import Flags

SYN_ACK = Flags.SYN | Flags.ACK
WAIT = 5.0  # seconds for which a copy of an MCP's join waits for its token; the join itself does not wait


class ServerSessions:
    """Begins the sessions of servers, learns their tokens, and records the joins of MCPs."""

    def __init__(
        self,
        sitemap: SiteMap,
        chooser: Chooser,
        counters: Counters,
        *,
        in_force: PolicyInForce,
        room: Room,
        bypass: Bypass,
        table: SessionTable,
        life: SessionLife,
        first_answers: FirstAnswers,
        early: PendingJoins,
    ) -> None:
        self._map = sitemap
        self._chooser = chooser
        self._counters = counters
        self._in_force = in_force
        self._room = room
        self._bypass = bypass
        self._table = table
        self._life = life
        self._first_answers = first_answers
        self._early = early  # joins of MCPs alone

    # ---- a server's SYN -------------------------------------------------------------------------

    def begin(self, attachment: Attachment, seen: SynSeen, key: FlowKey, now: float) -> list[Output]:
        """A plain SYN came from a gateway towards a host. The outputs steer it to an MCP. [] if no MCP is to take it."""
        handshake = seen.handshake
        access = self._map.access_of(handshake.dst)
        if access is None:
            return []
        answer = self._chooser.ask(attachment, handshake, seen.frame)
        terms = answer.terms
        if answer.rule is None or Direction.SERVER not in answer.rule.when.directions:
            return []
        if terms.action is not Action.PROXY or terms.mode is not Mode.TAKE_OVER:
            return []
        refusal = self._bypass.reason(self._in_force.policy, seen)
        refusal = refusal or self._room.refusal(attachment, access.ports, key)
        if refusal is not None:
            self._counters.refusals[refusal] += 1
            return []
        exits = (PortRef(seen.dpid, seen.port),)
        decision = self._chooser.choose(
            terms, access.ports[0].dpid, exits, handshake, self._table.active, now, attachment.waypoint.id
        )
        if decision.mcp is None or not self._map.reaches(access.name, decision.mcp.id):
            self._counters.refusals[Refusal.NO_MCP] += 1
            return []
        ruling = self._chooser.ruling(answer, decision)
        keys = quota_keys(
            ruling.counted or self._table.origin_of(handshake.dst),
            ruling.application,
            handshake.src,
            handshake.dport,
            decision.mcp.id,
        )
        full = self._table.ledger.full(self._chooser.allowance(answer), keys)
        if full is not None:
            self._counters.refusals[Refusal.SESSION_LIMIT] += 1
            self._counters.full(full)
            return []
        session = self._create(attachment, seen, key, access, ruling, decision.loads, now)
        release = Release(seen.dpid, seen.port, seen.frame, session.subflows[0].waypoint, 0, PortRole.GATEWAY)
        return [Steer(session.entries(PortRole.GATEWAY), release)]

    def _create(
        self,
        attachment: Attachment,
        seen: SynSeen,
        key: FlowKey,
        access: AccessNetwork,
        ruling: Ruling,
        loads: tuple[int, ...],
        now: float,
    ) -> Session:
        mcp = self._map.mcps[ruling.candidates.ids[ruling.winner]]
        inside, outside = self._map.inside[mcp.id].id, self._map.outside[mcp.id].id
        returns = tuple(dict.fromkeys((port.dpid, inside) for port in access.ports))
        session = self._life.begin(
            Beginning.SYN_STEERED, mcp.id, ruling, now, attachment.waypoint.id, key,
            returns=returns, reverse=True, loads=loads,
        )  # fmt: skip
        isn = seen.handshake.seq
        self._table.begin_subflow(
            session, EntryKind.INITIAL, key, seen.dpid, PortRole.GATEWAY, outside, isn, now
        )
        self._counters.sessions_started += 1
        return session

    # ---- the host's SYN/ACK ---------------------------------------------------------------------

    def shown(self, seen: WatchedSeen, now: float) -> LearntToken:
        """A segment of a watched return entry. The host's SYN/ACK gives the token, or shows that the host speaks plain
        TCP."""
        handshake = seen.handshake
        subflow = self._table.flows.get(
            flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport)
        )
        if subflow is None or not subflow.session.reverse:
            return LearntToken([])
        session = subflow.session
        if session.ruling is None:  # an earlier controller began it, and its SYN/ACK has passed
            return LearntToken([Steer(tuple(session.return_entries(PortRole.GATEWAY)), None)])
        if session.state is not SessionState.SYN_PINNED or handshake.flags & SYN_ACK != SYN_ACK:
            return LearntToken([])
        token = self._first_answers.seen(session, handshake, now)
        return LearntToken([Steer(session.entries(PortRole.GATEWAY), None)], token)

    # ---- an MCP's join --------------------------------------------------------------------------

    def joined(self, attachment: Attachment, seen: SynSeen, now: float) -> list[Output]:
        """A copy of an MCP's join to a host, which its switch has forwarded: the session has one more subflow."""
        handshake = seen.handshake
        mcp, access = attachment.part, self._map.access_of(handshake.dst)
        if handshake.kind is not Kind.JOIN or not isinstance(mcp, Mcp) or access is None:
            return []
        key = flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport)
        if key in self._table.flows:
            return []  # repeated
        token = read_token(handshake.token, "big")
        owners = [session for session in self._table.with_host_token(token) if session.mcp == mcp.id]
        if len(owners) != 1:
            if owners or not self._early.add(token, attachment, seen, now):
                self._counters.joins[JoinResult.REVERSE_UNKNOWN] += 1
            return []
        session = owners[0]
        if len(session.subflows) >= self._in_force.policy.limits.subflows_per_session:
            return []  # the MCP's join is not refused, but it gets no record
        self._table.begin_subflow(
            session, EntryKind.JOIN, key, access.ports[0].dpid, PortRole.ACCESS, NO_WAYPOINT, -1, now, NO_PORT,
            handshake.address_id, handshake.backup,
        )  # fmt: skip
        session.touch(now)
        if session.state is not SessionState.ESTABLISHED:
            self._life.happened(session, Event.JOINED)
        self._counters.joins[JoinResult.REVERSE] += 1
        return []

    def learnt(self, token: Token, now: float) -> None:
        """A token is known from now on. Record the joins of MCPs whose copies waited for it."""
        if token in self._early.by_token:
            for attachment, seen in self._early.take(token):
                self.joined(attachment, seen, now)

    def expire(self, now: float) -> None:
        """Count joins of MCPs whose token did not become known in time."""
        over = len(self._early.expire(now))
        if over:
            self._counters.joins[JoinResult.REVERSE_UNKNOWN] += over
