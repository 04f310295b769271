"""SYN/ACKs: an MCP's teaches a session's token (design section 5); a server's tells whether it speaks MPTCP."""

from typing import Protocol

from steering.core.handshakes.native_mptcp import Natives
from steering.core.handshakes.server_capability import Capabilities
from steering.core.handshakes.unknown_token_block import Strays
from steering.core.handshakes.withdrawal import Withdrawal
from steering.core.inputs import SynAckSeen, SynSeen
from steering.core.network.site_index import Attachment
from steering.core.outputs import Output, Steer
from steering.core.proactive.learned_sessions import Answered
from steering.core.sessions.first_answer import FirstAnswers
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.join_authentication import KeyWatch
from steering.core.sessions.pending_joins import Held
from steering.core.sessions.table import SessionTable
from steering.model.network import Mcp, PortRole
from steering.model.session import EntryKind, SessionState
from steering.wire.handshake import Handshake, Kind

# By names of their own: core.sessions says why.
GATEWAY, INITIAL, CAPABLE = PortRole.GATEWAY, EntryKind.INITIAL, Kind.CAPABLE
_new = tuple.__new__
SYN_PINNED = SessionState.SYN_PINNED


class Known(Protocol):
    """What of core.pinning is needed here; `syn` takes a join that waited."""

    table: SessionTable
    first_answers: FirstAnswers
    answered: Answered
    capabilities: Capabilities
    held: Held
    keys: KeyWatch
    natives: Natives
    strays: Strays
    withdrawal: Withdrawal

    def syn(self, attachment: Attachment, seen: SynSeen, now: float) -> list[Output]:
        """A SYN came in, or comes again after it was held."""


class SynAcks:
    """The switch has forwarded each already; what comes of it are tokens, and entries re-added with them."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def seen(self, attachment: Attachment, seen: SynAckSeen, now: float) -> list[Output]:
        """The MCP answered: its key makes the token, no key means plain TCP (mptcp-protocol 8)."""
        handshake, known = seen.handshake, self._known
        if attachment.role is GATEWAY:
            return self._server_answered(handshake, now)
        key = flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport)
        subflow = known.table.flows.get(key)
        if subflow is None or subflow.session.unit is not None:
            told, token = known.answered.answered(attachment, seen, now)
            return told + self.learnt(token, now) if token >= 0 else told
        if subflow.kind is not INITIAL:
            mine = subflow.watch and attachment.waypoint.id == subflow.waypoint
            return known.keys.answered(subflow, handshake, now) if mine else []
        session = subflow.session
        if subflow.waypoint:
            chosen = attachment.waypoint.id == subflow.waypoint
        else:  # explicit mode
            chosen = isinstance(attachment.part, Mcp) and attachment.part.id == session.mcp
        if session.state is not SYN_PINNED or not chosen:
            return []  # repeated, or not from the MCP that was chosen: nobody else teaches a token
        token = known.first_answers.seen(session, handshake, now)
        outputs: list[Output] = [_new(Steer, (tuple(session.entries(GATEWAY)), None))]
        if token < 0:
            return outputs
        waited = self.learnt(token, now)
        return outputs + waited if waited else outputs

    def learnt(self, token: int, now: float) -> list[Output]:
        """Whoever waited for a token, or came before it."""
        known = self._known
        outputs = known.strays.learnt(token)
        if known.held:
            for waiting, join in known.held.take(token):
                outputs += known.syn(waiting, join, now)
        return outputs

    def _server_answered(self, handshake: Handshake, now: float) -> list[Output]:
        """A server on the natural path told whether it speaks MPTCP; only asked-for answers count."""
        known = self._known
        known.capabilities.answered(handshake, now)
        flow = flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport)
        token = known.natives.answered(flow, handshake, now)
        if token is not None:
            known.withdrawal.answered(flow, token, handshake.version, now)
        waiting = known.held.take(token) if token is not None else ()
        return [output for where, join in waiting for output in known.syn(where, join, now)]
