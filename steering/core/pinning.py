"""The life of a session (design section 5): first SYN, token, joins, fallback, and the end.

Everything here is driven by what the network sees of a handshake. Nothing waits: an early join is
kept in `Held` until its token is learned or its time is over.
"""

from steering.core.counters import Counters, JoinResult
from steering.core.ending import Ending
from steering.core.graph import Graph
from steering.core.held import Held
from steering.core.messages import NATURAL, Output, Release, Steer, SynAckSeen, SynSeen
from steering.core.neighbours import Neighbours
from steering.core.selection import candidates, decide
from steering.core.sessions import Session, SessionTable, Subflow, flow_key
from steering.core.sitemap import Attachment, SiteMap
from steering.model.decision import Candidates, Decision, DecisionKey, Outcome
from steering.model.network import PortRef, PortRole
from steering.model.policy import Policy
from steering.model.session import EntryKind, Refusal, SessionState
from steering.wire.crypto import token as token_of
from steering.wire.handshake import Handshake, Kind

CACHED_CANDIDATES = 4096
ACCESS, GATEWAY = PortRole.ACCESS, PortRole.GATEWAY
INITIAL, JOIN = EntryKind.INITIAL, EntryKind.JOIN


class Pinning:
    """Decides on SYNs and keeps the session table. The engine feeds it."""

    def __init__(
        self,
        sitemap: SiteMap,
        policy: Policy,
        graph: Graph,
        neighbours: Neighbours,
        counters: Counters,
        disabled: frozenset[str],
    ) -> None:
        self._map = sitemap
        self.policy = policy
        self._graph = graph
        self._neighbours = neighbours
        self._counters = counters
        self._disabled = disabled
        self.table = SessionTable(policy.limits, sitemap.mcps)
        self.ending = Ending(self.table, policy.timers, counters)
        self.held = Held(policy.limits.held_joins, policy.timers.hold)
        self.recovering = False
        self.offline = set(sitemap.switches)  # edge switches that cannot take entries now
        self._candidates: dict[tuple[int, int, int, int], Candidates] = {}
        self._candidates_of = -1
        self._previous: dict[int, int] = {}  # access edge -> MCP id given last
        self._eligible = frozenset(p for low, high in policy.eligible_ports for p in range(low, high + 1))
        self._all_ports = all(mcp.tcp_ports == ((1, 65535),) for mcp in sitemap.site.mcps)

    # ---- a SYN ----------------------------------------------------------------------------------

    def syn(self, attachment: Attachment, seen: SynSeen, now: float) -> list[Output]:
        """A SYN without ACK came in at an access or gateway port."""
        handshake = seen.handshake
        key = flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport)
        known = self.table.flows.get(key)
        outputs: list[Output] = []
        if known is not None:
            if known.isn == handshake.seq or (known.isn < 0 and known.session.token < 0):
                # The second: recovered while its SYN/ACK was out. Its SYN may well be this one, repeated.
                known.isn = handshake.seq
                return self._again(attachment, known, seen)
            # The host opened a new connection on an old 5-tuple: what was pinned there is over.
            outputs = self.ending.end_subflow(known, now)
        if handshake.kind is Kind.JOIN:
            return outputs + self._join(attachment, seen, key, now)
        if handshake.kind is Kind.CAPABLE and attachment.role is ACCESS:
            return outputs + self._capable(attachment, seen, key, now)
        self._counters.natural_syns += 1
        outputs.append(self._naturally(attachment, seen))
        return outputs

    def _again(self, attachment: Attachment, known: Subflow, seen: SynSeen) -> list[Output]:
        """A retransmitted SYN gets the same answer, also when it comes without MPTCP (fallback) or by
        another switch (D-3.3a)."""
        self._counters.retransmitted_syns += 1
        if known.kind is JOIN:
            self._counters.joins[JoinResult.RETRANSMITTED] += 1
        if not known.waypoint:
            return [self._naturally(attachment, seen)]
        known.dpid, known.role = seen.dpid, attachment.role
        session = known.session
        entries = session.entries(GATEWAY) if known.kind is INITIAL else [session.entry(known)]
        return [Steer(tuple(e for e in entries if e), self._steered(attachment, seen, known.waypoint))]

    def _naturally(self, attachment: Attachment, seen: SynSeen) -> Release:
        return Release(seen.dpid, seen.port, seen.frame, NATURAL, 0, attachment.role)

    def _steered(self, attachment: Attachment, seen: SynSeen, waypoint: int) -> Release:
        return Release(seen.dpid, seen.port, seen.frame, waypoint, 0, attachment.role)

    # ---- MP_CAPABLE -----------------------------------------------------------------------------

    def _capable(self, attachment: Attachment, seen: SynSeen, key: bytes, now: float) -> list[Output]:
        handshake = seen.handshake
        exits = self._map.exits_to(handshake.dst)
        if not exits or handshake.dport not in self._eligible:
            self._counters.natural_syns += 1
            return [self._naturally(attachment, seen)]
        refusal = self._no_room(exits)
        if refusal is not None:
            self._counters.refusals[refusal] += 1
            return [self._naturally(attachment, seen)]
        decision = self.choose(seen.dpid, exits, handshake, now)
        mcp = decision.mcp
        if mcp is None:
            self._counters.refusals[Refusal.NO_MCP] += 1
            return [self._naturally(attachment, seen)] if decision.outcome is Outcome.NATURAL else []
        session = self.table.create(mcp.id, decision, now)
        session.version = handshake.version
        session.first = key
        self._previous[seen.dpid] = mcp.id
        outside = self._map.outside[mcp.id].id
        if len(exits) == 1:
            session.returns = ((exits[0].dpid, outside),)
        else:
            session.returns = tuple(dict.fromkeys((port.dpid, outside) for port in exits))
        waypoint = self._map.inside[mcp.id].id
        self.table.add_subflow(
            Subflow(session, INITIAL, key, seen.dpid, attachment.role, waypoint, handshake.seq)
        )
        self._counters.sessions_started += 1
        return [Steer(tuple(session.entries(GATEWAY)), self._steered(attachment, seen, waypoint))]

    def _no_room(self, exits: tuple[PortRef, ...]) -> Refusal | None:
        if self.offline and any(port.dpid in self.offline for port in exits):
            return Refusal.MCP_UNREACHABLE  # without its return entry a server leg would miss the MCP
        if len(self.table.half_open) >= self.policy.limits.half_open:
            return Refusal.HALF_OPEN_FULL
        return None if self.table.has_room else Refusal.SESSION_TABLE_FULL

    def choose(self, access: int, exits: tuple[PortRef, ...], handshake: Handshake, now: float) -> Decision:
        """Decide for one flow that enters at switch `access` (datapath id) and may leave at `exits`."""
        port = exits[0]
        if len(exits) > 1:
            port = min(exits, key=lambda p: (self._graph.natural(access, p.dpid).cost, p))
        network = self.network(access, port.dpid, handshake.family, handshake.dport)
        loads = tuple(map(self.table.active.__getitem__, network.ids))
        key = DecisionKey(
            handshake.src, handshake.dst, handshake.sport, handshake.dport, self._previous.get(access, 0)
        )
        return decide(self.policy, network, loads, key, now)

    def network(self, access: int, gateway: int, family: int, port: int) -> Candidates:
        """All MCPs between two edges, computed once for each version of the graph."""
        if self._candidates_of != self._graph.version:
            self.forget_candidates()
            self._candidates_of = self._graph.version
        key = (access, gateway, family, 0 if self._all_ports else port)
        known = self._candidates.get(key)
        if known is None:
            if len(self._candidates) >= CACHED_CANDIDATES:
                self._candidates.clear()
            unresolved = self._neighbours.unresolved()
            mcps = self._map.site.mcps
            known = candidates(self.policy, self._graph, mcps, access, gateway, family, port, unresolved)
            self._candidates[key] = known
        return known

    def forget_candidates(self) -> None:
        """Something that candidates depend on has changed."""
        self._candidates.clear()

    # ---- MP_JOIN --------------------------------------------------------------------------------

    def _join(self, attachment: Attachment, seen: SynSeen, key: bytes, now: float) -> list[Output]:
        token = int.from_bytes(seen.handshake.token, "big")
        if "token-lookup" in self._disabled:
            return self._capable(attachment, seen, key, now)
        owners = self.table.with_token(token)
        if not owners:
            return self._early(attachment, seen, token, now)
        if len(owners) > 1:
            owners = _narrow(owners, seen.handshake)
        if len(owners) != 1:
            return self._refuse(Refusal.AMBIGUOUS_TOKEN)
        return self._pin(attachment, seen, key, owners[0], now)

    def _early(self, attachment: Attachment, seen: SynSeen, token: int, now: float) -> list[Output]:
        """The token may be a packet away (G5): hold. Forwarding it would end the subflow for good."""
        if "hold-queue" in self._disabled:
            return [self._naturally(attachment, seen)]
        if self.recovering:
            return self._refuse(Refusal.RECOVERING)
        if not self.held.add(token, attachment, seen, now):
            return self._refuse(Refusal.HOLD_QUEUE_FULL)
        self._counters.joins[JoinResult.HELD] += 1
        return []

    def unknown(self, joins: int) -> None:
        """So many held joins never got their token: dropped, as the host tries again (D-6.4h)."""
        self._counters.joins[JoinResult.REFUSED] += joins
        self._counters.refusals[Refusal.UNKNOWN_TOKEN] += joins

    def _refuse(self, reason: Refusal) -> list[Output]:
        self._counters.joins[JoinResult.REFUSED] += 1
        self._counters.refusals[reason] += 1
        return []

    def _pin(
        self, attachment: Attachment, seen: SynSeen, key: bytes, session: Session, now: float
    ) -> list[Output]:
        """Bring a later subflow to exactly the MCP of its session (D-6.2c)."""
        handshake = seen.handshake
        if len(session.subflows) >= self.policy.limits.subflows_per_session:
            return self._refuse(Refusal.SUBFLOWS_FULL)
        owner = self._map.mcp_addresses.get(handshake.dst)
        if owner is not None and owner.id != session.mcp:
            return self._refuse(Refusal.WRONG_MCP_ADDRESS)
        inside = self._map.inside.get(session.mcp)
        if inside is None:
            return self._refuse(Refusal.MCP_UNREACHABLE)
        waypoint = inside.id if owner is None else 0
        if "wrong-mcp" in self._disabled and waypoint:
            waypoint = next((w.id for i, w in self._map.inside.items() if i != session.mcp), waypoint)
        subflow = Subflow(session, JOIN, key, seen.dpid, attachment.role, waypoint, handshake.seq)
        subflow.address_id, subflow.backup = handshake.address_id, handshake.backup
        self.table.add_subflow(subflow)
        session.active = now
        if session.state is not SessionState.ESTABLISHED:
            return self._revive(attachment, seen, session, subflow)
        self._counters.joins[JoinResult.PINNED if waypoint else JoinResult.OWN_ADDRESS] += 1
        entry = session.entry(subflow)
        if entry is None:
            return [self._naturally(attachment, seen)]
        return [Steer((entry,), self._steered(attachment, seen, waypoint))]

    def _revive(
        self, attachment: Attachment, seen: SynSeen, session: Session, subflow: Subflow
    ) -> list[Output]:
        """The record outlived its rules: a host may rejoin after all its subflows died (B42)."""
        self.table.settle(session, SessionState.ESTABLISHED)
        self._counters.joins[JoinResult.PINNED] += 1
        entries = tuple(session.entries(GATEWAY))
        if not subflow.waypoint:
            return [Steer(entries, None), self._naturally(attachment, seen)]
        return [Steer(entries, self._steered(attachment, seen, subflow.waypoint))]

    # ---- the MCP's SYN/ACK ----------------------------------------------------------------------

    def syn_ack(self, attachment: Attachment, seen: SynAckSeen, now: float) -> list[Output]:
        """The MCP answered: its key makes the token, no key means plain TCP (mptcp-protocol 8)."""
        handshake = seen.handshake
        key = flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport)
        subflow = self.table.flows.get(key)
        if subflow is None or subflow.kind is not INITIAL:
            return []
        session = subflow.session
        if session.state is not SessionState.SYN_PINNED or attachment.waypoint.id != subflow.waypoint:
            return []  # repeated, or not from the MCP that was chosen: nobody else teaches a token
        session.active = now
        if handshake.kind is not Kind.CAPABLE or not handshake.key:
            self._counters.fallbacks += 1
            self.table.settle(session, SessionState.PLAIN)
            return [Steer(tuple(session.entries(GATEWAY)), None)]
        session.version = handshake.version
        token = int.from_bytes(token_of(handshake.version, handshake.key), "big")
        self.table.learn(session, token)
        self.table.settle(session, SessionState.ESTABLISHED)
        outputs: list[Output] = [Steer(tuple(session.entries(GATEWAY)), None)]
        for waiting, join in self.held.take(token):
            outputs += self.syn(waiting, join, now)
        return outputs


def _narrow(owners: list[Session], handshake: Handshake) -> list[Session]:
    """Two MCPs may own one token (G4): the session towards the same server, else of the same host."""
    for part in (_server_of, _host_of):
        wanted = (handshake.dst, handshake.dport) if part is _server_of else (handshake.src,)
        found = [session for session in owners if part(session) == wanted]
        if len(found) == 1:
            return found
    return owners


def _server_of(session: Session) -> tuple[bytes, int]:
    half = (len(session.first) - 4) // 2
    return session.first[half : 2 * half], int.from_bytes(session.first[-2:], "big")


def _host_of(session: Session) -> tuple[bytes]:
    half = (len(session.first) - 4) // 2
    return (session.first[:half],)
