"""The first answer to a session's SYN: an answer with a key teaches the session's token, an answer without one
means that the connection fell back.

An MCP's SYN/ACK answers a host's session, and a host's SYN/ACK answers a session that a server opened. A session
that entries set ahead brought to its MCP is known by its SYN/ACK only. All three kinds learn here.

An answer proves nothing of the host. What does is told by the session's entry, or where it has none by the report of its
MCP (half_open). Only where neither is there the answer has to do.
"""

from collections.abc import Mapping
from typing import NamedTuple

from steering.core.counters import Counters
from steering.core.outputs import Output
from steering.core.sessions.join_authentication import KeyWatch
from steering.core.sessions.mcp_ledger import McpLedger
from steering.core.sessions.records import Session
from steering.core.sessions.syn_outcomes import SynOutcomes
from steering.core.sessions.table import SessionTable
from steering.core.sessions.transitions import Event, SessionLife
from steering.model.ids import NO_TOKEN, McpId, Token, read_token
from steering.wire.crypto import token as token_of
from steering.wire.handshake import Handshake, Kind

CAPABLE = Kind.CAPABLE  # Members under names of their own: core.sessions.records says why.
KEY_SEEN, NO_KEY = Event.KEY_SEEN, Event.NO_KEY


class LearntToken(NamedTuple):
    """What a handler made of a segment that may teach a token. `outputs`: to be sent. `token`: the token that is
    known from now on, or NO_TOKEN. The dispatcher acts on the token: it replays the joins that waited for it."""

    outputs: list[Output]
    token: Token = NO_TOKEN


class FirstAnswers:
    """Learns tokens. `keys`: where the policy needs keys, they are looked for on the initial subflow. `believes`: the
    answer alone makes a session established (a negative control). `ledgers`: by MCP what it told of its sessions."""

    def __init__(
        self,
        table: SessionTable,
        life: SessionLife,
        keys: KeyWatch,
        counters: Counters,
        outcomes: SynOutcomes,
        ledgers: Mapping[McpId, McpLedger],
        believes: bool = False,
    ) -> None:
        self._table = table
        self._life = life
        self._keys = keys
        self._counters = counters
        self._outcomes = outcomes
        self._ledgers = ledgers
        self._believes = believes

    def seen(self, session: Session, handshake: Handshake, now: float) -> Token:
        """The SYN/ACK of a session's initial subflow was seen for the first time. Returns the token that it taught,
        or NO_TOKEN for plain TCP (RFC 8684 section 3.7). The caller writes the session's entries again, because
        their cookies have changed."""
        if handshake.kind is CAPABLE and handshake.key:
            return self.taught(session, handshake.version, handshake.key, now)
        session.active = now
        onset = session.onset
        if not onset.reverse:  # there a host answers its MCP
            self._counters.first_answer(onset.edge, session.mcp, True)
            self._outcomes.first_answer(session, True)
        self._counters.fallbacks += 1
        if session.secrets is not None:
            self._keys.forget(session)
        self._life.happened(session, NO_KEY)
        if self._answer_has_to_do(session, now):
            self._life.heard(session)
        return NO_TOKEN

    def taught(self, session: Session, version: int, key: bytes, now: float) -> Token:
        """The SYN/ACK of a session's initial subflow was seen for the first time, with a key of this MPTCP version. Returns the
        token."""
        session.active = now
        onset, extras = session.onset, session.extras
        if not onset.reverse:
            self._counters.first_answer(onset.edge, session.mcp, False)
            self._outcomes.first_answer(session, False)
        if version != onset.version:
            session.speaks(version)
        token = read_token(token_of(version, key), "big")
        self._table.learn(session, token)
        if extras is not None and extras.secrets is not None:
            self._keys.verify(session)
        self._life.happened(session, KEY_SEEN)
        if self._answer_has_to_do(session, now):
            self._life.heard(session)
        return token

    def _answer_has_to_do(self, session: Session, now: float) -> bool:
        """Whether nobody else tells that the host goes on. To a server's SYN its host answers when the MCP has a whole
        connection."""
        if self._believes or session.onset.reverse:
            return True
        if session.has_counter:
            return False
        ledger = self._ledgers.get(session.mcp)
        return ledger is None or not ledger.is_true(now)

    def told(self, session: Session, token: Token, now: float) -> None:
        """The MCP itself says that it serves the session; NO_TOKEN: as plain TCP. The SYN/ACK was not seen, or not
        yet. Keys of the initial subflow may still be seen. The caller writes the session's entries again."""
        session.touch(now)
        if token < 0:
            self._counters.fallbacks += 1
            if session.secrets is not None:
                self._keys.forget(session)
            self._life.happened(session, NO_KEY)
            self._life.heard(session)
            return
        self._table.learn(session, token)
        if session.secrets is not None:
            self._keys.verify(session)
        self._life.happened(session, KEY_SEEN)
        self._life.heard(session)
