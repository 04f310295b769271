"""Classifies SYNs: repeated SYNs, joins, first SYNs, SYNs of servers, and SYNs that no MCP takes."""

from typing import Protocol

from steering.core.counters import Counters, JoinResult
from steering.core.handshakes.mp_capable import FirstSyns
from steering.core.handshakes.new_attempts import NewAttempts
from steering.core.handshakes.option_bypass import Bypass
from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.handshakes.replies import Replies
from steering.core.handshakes.server_sessions import ServerSessions
from steering.core.inputs import SynSeen
from steering.core.network.site_index import Attachment, SiteMap
from steering.core.outputs import Output, Steer, naturally, steered
from steering.core.proactive.units import ProactiveInsertion
from steering.core.selection.chooser import Chooser
from steering.core.sessions.abort import AbortedSessions
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.core.sessions.records import Subflow
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.model.network import PortRole
from steering.model.policy import Action, Denial
from steering.model.session import EntryKind, Refusal, SessionState
from steering.wire.handshake import Handshake, Kind
from steering.wire.mptcp import ResetReason

# Names for members of enums, because every SYN reads them (core.sessions.records says why).
ACCESS, GATEWAY = PortRole.ACCESS, PortRole.GATEWAY
INITIAL, JOIN = EntryKind.INITIAL, EntryKind.JOIN
SYN_PINNED = SessionState.SYN_PINNED
CAPABLE, JOINING, OPAQUE = Kind.CAPABLE, Kind.JOIN, Kind.OPAQUE


class JoinReceiver(Protocol):
    """The handler of joins."""

    def seen(self, attachment: Attachment, seen: SynSeen, key: FlowKey, now: float) -> list[Output]:
        """A SYN with MP_JOIN, of flow `key`, came in at an access or gateway port."""


class SynHandler:
    """Classifies SYNs by their options and by where they came in, and gives each to its handler."""

    def __init__(
        self,
        sitemap: SiteMap,
        chooser: Chooser,
        counters: Counters,
        *,
        in_force: PolicyInForce,
        replies: Replies,
        table: SessionTable,
        teardown: Teardown,
        aborted: AbortedSessions,
        attempts: NewAttempts,
        bypass: Bypass,
        proactive: ProactiveInsertion,
        first_syns: FirstSyns,
        joins: JoinReceiver,
        server_sessions: ServerSessions,
    ) -> None:
        self._map = sitemap
        self._chooser = chooser
        self._counters = counters
        self._in_force = in_force
        self._replies = replies
        self._table = table
        self._teardown = teardown
        self._aborted = aborted
        self._attempts = attempts
        self._bypass = bypass
        self._proactive = proactive
        self._first_syns = first_syns
        self._joins = joins
        self._server_sessions = server_sessions

    def seen(self, attachment: Attachment, seen: SynSeen, now: float) -> list[Output]:
        """A SYN without ACK came in at an access or gateway port."""
        handshake = seen.handshake
        kind = handshake.kind
        if kind is OPAQUE:
            handshake = self._bypass.read(handshake, seen)
            kind = handshake.kind
        key = flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport)
        known = self._table.flows.get(key)
        outputs: list[Output] = []
        signed = kind is OPAQUE
        if known is not None:
            under_way = known.isn < 0 and known.session.state is SYN_PINNED
            same = under_way or known.isn == handshake.seq
            if same and not signed:
                # If a subflow was read back from a switch while its SYN/ACK was under way, its sequence number is not
                # known. Then this SYN counts as its own SYN, repeated.
                known.renumber(handshake.seq)
                if not self._aborted.lost(known.session):
                    return self._again(attachment, known, seen)
            if not self._attempts.lives(known) or (signed and known.isn == handshake.seq):
                # The old subflow is over, or its MCP is gone, or its SYN is signed and never was for an MCP.
                outputs = self._teardown.end_subflow(known, now)
            elif not signed:
                return self._attempts.came(attachment, known, seen, key, now)
        if kind is JOINING:
            begun = self._joins.seen(attachment, seen, key, now)
            return outputs + begun if outputs else begun
        if kind is CAPABLE:
            if attachment.role is ACCESS:
                if not self._table.has_room:
                    outputs += self._teardown.make_room()
                begun = self._first_syns.seen(attachment, seen, key, now)
                return outputs + begun if outputs else begun
            # MPTCP from the Internet to an MCP is refused (N-5.3e, N-7.2). To hosts it is allowed, unless a rule denies it.
            to_mcp = self._map.is_mcp_address(handshake.dst)
            if to_mcp or self._chooser.ask(attachment, handshake, seen.frame).terms.action is Action.DENY:
                self._counters.refusals[Refusal.INTERNET_SIDE if to_mcp else Refusal.POLICY] += 1
                return outputs + self._replies.refuse(seen, ResetReason.ADMINISTRATIVELY_PROHIBITED)
        elif self._in_force.denies_all and self._is_denied(attachment, seen, handshake):
            self._counters.refusals[Refusal.POLICY] += 1
            return outputs + self._replies.refuse_plain(seen)
        elif signed:
            self._counters.refusals[Refusal.SIGNED] += 1
        elif attachment.role is GATEWAY and (
            begun := self._server_sessions.begin(attachment, seen, key, now)
        ):
            return outputs + begun
        self._counters.natural_syns += 1
        outputs.append(naturally(attachment, seen))
        return outputs

    def _is_denied(self, attachment: Attachment, seen: SynSeen, handshake: Handshake) -> bool:
        """Whether a rule refuses a connection that speaks no MPTCP."""
        if not self._in_force.eligible(handshake.dport):
            return False
        terms = self._chooser.ask(attachment, handshake, seen.frame).terms
        return terms.action is Action.DENY and terms.deny is Denial.ALL

    def _again(self, attachment: Attachment, known: Subflow, seen: SynSeen) -> list[Output]:
        """Answer a retransmitted SYN as before, also if it comes without MPTCP (fallback) or at another switch (D-3.3a)."""
        self._counters.retransmitted_syns += 1
        if known.kind is JOIN:
            self._counters.joins[JoinResult.RETRANSMITTED] += 1
        if not known.waypoint and known.session.unit is not None:
            self._proactive.pin(known.session)  # until now known by its MCP's SYN/ACK only
        if not known.waypoint:
            return [naturally(attachment, seen)]
        known.enters_at(seen.dpid, seen.port, attachment.role)
        session = known.session
        made = session.entries(GATEWAY) if known.kind is INITIAL else (session.entry(known),)
        entries, release = tuple(e for e in made if e), steered(attachment, seen, known.waypoint)
        here = tuple(e for e in entries if e.dpid == seen.dpid)
        if session.state is not SYN_PINNED or len(here) in (0, len(entries)):
            return [Steer(entries, release)]
        # This SYN waits for entries of other switches. Meanwhile the MCP may answer the first SYN, and the entries here are
        # written again with the token. The entries without token, written now, must not come after them.
        return [Steer(here, None), Steer(tuple(e for e in entries if e.dpid != seen.dpid), release)]
