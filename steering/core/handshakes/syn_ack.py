"""SYN/ACKs: an MCP's SYN/ACK gives the session's token, a server's SYN/ACK shows whether the server speaks MPTCP."""

from steering.core.counters import Counters
from steering.core.handshakes.native_mptcp import NativeSessions
from steering.core.handshakes.new_attempts import NewAttempts, acknowledges
from steering.core.handshakes.server_capability import Capabilities
from steering.core.handshakes.withdrawal import Withdrawal
from steering.core.inputs import SynAckSeen
from steering.core.network.site_index import Attachment
from steering.core.outputs import Output, Steer
from steering.core.proactive.learned_sessions import LearnedSessions
from steering.core.sessions.first_answer import FirstAnswers, LearntToken
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.core.sessions.join_authentication import KeyWatch
from steering.core.sessions.records import Subflow
from steering.core.sessions.table import SessionTable
from steering.model.ids import NO_TOKEN, Token
from steering.model.network import Mcp, PortRole
from steering.model.session import EntryKind, SessionState
from steering.wire.handshake import Handshake

# Names for members of enums: core.sessions.records says why.
ACCESS, GATEWAY, INITIAL = PortRole.ACCESS, PortRole.GATEWAY, EntryKind.INITIAL
SYN_PINNED = SessionState.SYN_PINNED
TAUGHT_BY_KEY = (SessionState.PLAIN, SessionState.ANSWERED)
_new = tuple.__new__


class SynAckHandler:
    """Handles copies of SYN/ACKs, whose originals the switch has forwarded. It learns tokens, and writes entries again whose
    cookies change."""

    def __init__(
        self,
        counters: Counters,
        *,
        table: SessionTable,
        attempts: NewAttempts,
        first_answers: FirstAnswers,
        keys: KeyWatch,
        learned: LearnedSessions,
        capabilities: Capabilities,
        natives: NativeSessions,
        withdrawal: Withdrawal,
    ) -> None:
        self._counters = counters
        self._table = table
        self._attempts = attempts
        self._first_answers = first_answers
        self._keys = keys
        self._learned = learned
        self._capabilities = capabilities
        self._natives = natives
        self._withdrawal = withdrawal

    def seen(self, attachment: Attachment, seen: SynAckSeen, now: float) -> LearntToken:
        """A SYN/ACK came in at the port of a gateway or an MCP."""
        handshake = seen.handshake
        if attachment.role is GATEWAY:
            return LearntToken([], self._server_answered(handshake, now))
        key = flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport)
        subflow = self._table.flows.get(key)
        if subflow is None or subflow.session.onset.unit is not None:
            return self._learned.answered(attachment, seen, now)
        waypoint = subflow.course.waypoint
        if waypoint:
            chosen = attachment.waypoint.id == waypoint
        else:  # explicit mode
            chosen = isinstance(attachment.part, Mcp) and attachment.part.id == subflow.session.mcp
        if not chosen:
            return LearntToken([])  # only a SYN/ACK of the chosen MCP counts
        if self._attempts:
            return self._after_attempts(subflow, key, handshake, now)
        return self._taught(subflow, handshake, now)

    def _taught(self, subflow: Subflow, handshake: Handshake, now: float) -> LearntToken:
        """Take the answer of its MCP to the SYN of a subflow."""
        if subflow.course.kind is not INITIAL:
            if acknowledges(handshake, subflow.isn):
                subflow.was_answered()
            return LearntToken(self._keys.answered(subflow, handshake, now) if subflow.watch else [])
        session = subflow.session
        # A session may count as plain because its first SYN/ACK was not seen, or had no key. A later SYN/ACK with a key
        # corrects this.
        late = session.token < 0 and handshake.key and session.state in TAUGHT_BY_KEY
        taught = session.state is SYN_PINNED or late
        if not taught or not acknowledges(handshake, subflow.isn):
            return LearntToken([])  # a repeated SYN/ACK, or one of another connection
        token = self._first_answers.seen(session, handshake, now)
        outputs: list[Output] = [_new(Steer, (session.entries(GATEWAY), None))]
        return _new(LearntToken, (outputs, token))

    def _after_attempts(
        self, subflow: Subflow, key: FlowKey, handshake: Handshake, now: float
    ) -> LearntToken:
        """Take a SYN/ACK while there are attempts: it may answer an attempt on this subflow's 5-tuple."""
        made = self._attempts.answered(subflow, key, handshake, now)
        outputs, token = self._taught(self._table.flows.get(key, subflow), handshake, now)
        return LearntToken(made + outputs, token)

    def _server_answered(self, handshake: Handshake, now: float) -> Token:
        """Take a server's SYN/ACK on the natural path. It counts only if it is awaited. Returns the token of a native
        session, or NO_TOKEN."""
        self._capabilities.answered(handshake, now)
        flow = flow_key(handshake.dst, handshake.src, handshake.dport, handshake.sport)
        token = self._natives.answered(flow, handshake, now)
        if token is None:
            return NO_TOKEN
        self._withdrawal.answered(flow, token, handshake.version, now)
        return token
