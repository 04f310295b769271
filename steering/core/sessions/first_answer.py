"""Handles the first answer (SYN/ACK) to a session's SYN. With a key in the answer, the session's token becomes known. Without a
key, the session has fallen back to plain TCP.

The answer comes from the MCP, or from the host if a server opened the session. Sessions of proactive insertion become known by
their answer only. All three kinds are handled here.

An answer does not prove that the host exists. The counter of the session's entry proves it, or for a session without an
entry the report of the MCP (half_open). Only if there is neither, the answer itself is enough.
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

CAPABLE = Kind.CAPABLE  # core.sessions.records says why it has a name
KEY_SEEN, NO_KEY = Event.KEY_SEEN, Event.NO_KEY


class LearntToken(NamedTuple):
    """A handler's result for a segment that may make a token known. `token`: the token that is known from now on, or
    NO_TOKEN. The dispatcher replays the joins that waited for the token."""

    outputs: list[Output]
    token: Token = NO_TOKEN


class FirstAnswers:
    """Learns tokens. `keys`: learns keys from the initial subflow, if the policy needs them. `ledgers`: by MCP, the sessions
    that the MCP has reported. `believes`, for the negative control: the answer alone makes a session established."""

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
        """Take the first SYN/ACK of a session's initial subflow. Returns the session's token, or NO_TOKEN for plain TCP (RFC
        8684 section 3.7). The caller writes the session's entries again, because their cookies have changed."""
        if handshake.kind is CAPABLE and handshake.key:
            return self.taught(session, handshake.version, handshake.key, now)
        session.touch(now)
        onset = session.onset
        if not onset.reverse:  # otherwise the answer is a host's, which says nothing about the MCP
            self._counters.first_answer(onset.entrance, session.mcp, True)
            self._outcomes.first_answer(session, True, now)
        self._counters.fallbacks += 1
        if session.secrets is not None:
            self._keys.forget(session)
        self._life.happened(session, NO_KEY)
        if self._answer_has_to_do(session, now):
            self._life.heard(session)
        return NO_TOKEN

    def taught(self, session: Session, version: int, key: bytes, now: float) -> Token:
        """Take the first SYN/ACK of a session's initial subflow, if it has a key. `version`: of MPTCP. Returns the token."""
        session.touch(now)
        onset = session.onset
        if not onset.reverse:
            self._counters.first_answer(onset.entrance, session.mcp, False)
            self._outcomes.first_answer(session, False, now)
        if version != onset.version:
            session.speaks(version)
        token = read_token(token_of(version, key), "big")
        self._table.learn(session, token)
        if session._page.extras and session.secrets is not None:  # few pages have extras
            self._keys.verify(session)
        self._life.happened(session, KEY_SEEN)
        if self._answer_has_to_do(session, now):
            self._life.heard(session)
        return token

    def _answer_has_to_do(self, session: Session, now: float) -> bool:
        """Whether the answer alone has to prove that the host exists, because nothing else will. If a server opened the
        session, the host itself has answered."""
        if self._believes or session.onset.reverse:
            return True
        if session.has_counter:
            return False
        ledger = self._ledgers.get(session.mcp)
        return ledger is None or not ledger.is_true(now)

    def told(self, session: Session, token: Token, now: float) -> None:
        """The MCP itself reports that it serves the session, with `token`, or as plain TCP (NO_TOKEN). The SYN/ACK was not
        seen so far. Keys of the initial subflow may still be seen. The caller writes the session's entries again."""
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
