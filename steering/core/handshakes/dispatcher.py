"""Gives each segment of a handshake or of a connection's end to its handler.

Handlers do not call each other. A join that comes before its token is known is held (`early_joins`). When a handler returns a
token that has become known, the dispatcher replays the joins that waited for it.
"""

from steering.core.admission.authorisation import Authorisation
from steering.core.counters import Counters
from steering.core.handshakes.early_joins import EarlyJoins
from steering.core.handshakes.new_attempts import NewAttempts
from steering.core.handshakes.server_sessions import ServerSessions
from steering.core.handshakes.syn import SynHandler
from steering.core.handshakes.syn_ack import SynAckHandler
from steering.core.handshakes.unknown_token_block import UnknownTokenBlocks
from steering.core.inputs import Authorised, FinSeen, McpSessions, SynAckSeen, SynSeen, WatchedSeen
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import Part
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.join_authentication import KeyWatch
from steering.core.sessions.mcp_reports import McpReports
from steering.core.sessions.pending_joins import PendingJoins
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.core.sessions.watched_segments import WatchedSegments
from steering.model.ids import Token
from steering.model.network import PortRole
from steering.model.session import Refusal

ACCESS = PortRole.ACCESS  # core.sessions.records says why it has a name


class HandshakeDispatcher(Part):
    """Takes every input of the engine that carries a TCP segment."""

    def __init__(
        self,
        sitemap: SiteMap,
        counters: Counters,
        *,
        table: SessionTable,
        syns: SynHandler,
        syn_acks: SynAckHandler,
        server_sessions: ServerSessions,
        watched: WatchedSegments,
        keys: KeyWatch,
        teardown: Teardown,
        authorisation: Authorisation,
        attempts: NewAttempts,
        early: EarlyJoins,
        reports: McpReports,
        waiting: PendingJoins,
        blocks: UnknownTokenBlocks,
    ) -> None:
        self._map = sitemap
        self._counters = counters
        self._table = table
        self._syns = syns
        self._syn_acks = syn_acks
        self._server_sessions = server_sessions
        self._watched = watched
        self._keys = keys
        self._teardown = teardown
        self._authorisation = authorisation
        self._attempts = attempts
        self._early = early
        self._reports = reports
        self._waiting = waiting
        self._blocks = blocks

    def syn(self, seen: SynSeen, now: float) -> list[Output]:
        """A SYN without ACK: from an access network, a gateway, or an MCP towards a host."""
        attachment = self._map.at.get((seen.dpid, seen.port))
        if attachment is None:
            self._counters.refusals[Refusal.NOT_ATTACHED] += 1
            return []
        if attachment.role is not ACCESS and attachment.role.is_mcp:
            return self._server_sessions.joined(attachment, seen, now)
        return self._syns.seen(attachment, seen, now)

    def syn_ack(self, seen: SynAckSeen, now: float) -> list[Output]:
        """A SYN/ACK of an MCP, or of a server at a gateway."""
        attachment = self._map.at.get((seen.dpid, seen.port))
        if attachment is None or attachment.role is ACCESS:
            return []
        outputs, token = self._syn_acks.seen(attachment, seen, now)
        if token < 0:
            return outputs
        waited = self.learnt(token, now)
        return outputs + waited if waited else outputs

    def shown(self, seen: WatchedSeen, now: float) -> list[Output]:
        """A segment of a watched session entry: of a watched subflow, or of the return direction of a session that a server
        opened."""
        answer = self._watched.of_ending(seen, now)
        if answer is not None:
            return answer
        handshake = seen.handshake
        key = flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport)
        subflow = self._table.flows.get(key)
        if subflow is not None:
            shown = self._watched.seen(subflow, seen, now)
            if self._keys.host_tokens:
                self._learnt_of_hosts(now)
            return shown
        outputs, token = self._server_sessions.shown(seen, now)
        return outputs + self.learnt(token, now) if token >= 0 else outputs

    def fin(self, seen: FinSeen, now: float) -> list[Output]:
        """A FIN or a reset."""
        attachment = self._map.at.get((seen.dpid, seen.port))
        return [] if attachment is None else self._teardown.fin(attachment.role, seen, now)

    def reported(self, given: McpSessions, now: float) -> list[Output]:
        """An MCP reported its sessions, perhaps with tokens that were not known yet."""
        outputs, tokens = self._reports.reported(given, now)
        for token in tokens:
            outputs += self.learnt(token, now)
        return outputs

    def authorised(self, given: Authorised, now: float) -> list[Output]:
        """An authoriser answered: the SYNs that waited for the answer are replayed."""
        return self._authorisation.answered(given, self._syns.seen, now)

    def tick(self, now: float) -> list[Output]:
        """End what has waited too long: joins for their token, SYNs for an authoriser."""
        self._attempts.expire(now)
        self._server_sessions.expire(now)
        outputs = self._early.tick(now) + self._blocks.tick(now)
        return outputs + self._authorisation.expire(self._syns.seen, now)

    def learnt(self, token: Token, now: float) -> list[Output]:
        """A token is known from now on. Blocks of flows with this token end, and joins that waited for it are replayed."""
        outputs = self._blocks.learnt(token)
        if token in self._waiting.by_token:
            for attachment, join in self._waiting.take(token):
                outputs += self._syns.seen(attachment, join, now)
        self._server_sessions.learnt(token, now)
        if self._keys.host_tokens:
            self._learnt_of_hosts(now)
        return outputs

    def _learnt_of_hosts(self, now: float) -> None:
        """Host tokens have become known, where keys are kept: record the MCPs' joins that came before."""
        for token in self._keys.take_host_tokens():
            self._server_sessions.learnt(token, now)
