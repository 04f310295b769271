"""A session's life as a table: (state, event) -> (next state, what is done). Only this module changes a state.

`BEGINNINGS` says how a session begins, `TRANSITIONS` what may happen to one that is there. What is done is a method of
the session table: what the session counts as from then on. A pair that stands in no row is refused, named and counted
(`steering_session_events_refused_total`); nothing changes then, and nothing is raised. The table and the diagram of
docs/design/session-life.rst are made from here by packaging/reference.py.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from steering.core.counters import Counters
from steering.core.selection.quotas import QuotaKeys
from steering.core.sessions.flow_key import NO_FLOW, FlowKey
from steering.core.sessions.records import Session
from steering.core.sessions.shared_parts import Returns
from steering.core.sessions.table import SessionTable
from steering.model.decision import Ruling
from steering.model.ids import NO_WAYPOINT, McpId, WaypointId
from steering.model.session import SessionState


class Beginning(StrEnum):
    """How a session begins."""

    # A first SYN goes to an MCP, or a SYN/ACK tells that entries set ahead led one there.
    SYN_STEERED = "SYN steered"
    # In switches or in the store, by a controller that starts.
    FOUND_WITH_TOKEN = "found with its token"
    FOUND_PLAIN = "found without a token"
    FOUND_PENDING = "found half open"  # nobody knows whether it was answered: what its entry counts tells
    FOUND_ANSWERED = "found answered"  # its token is known, and its entry has not counted its host yet
    LEFT_TO_ITS_ENDS = "left to its ends"  # host and server speak MPTCP, and the policy has MCPs withdraw


class Event(StrEnum):
    """What may happen to a session."""

    KEY_SEEN = "key seen"  # the SYN/ACK carries a key, or the MCP told its token: the token is known
    NO_KEY = "no key"  # the SYN/ACK carries none: the connection fell back to plain TCP
    TAKEN_UP = (
        "taken up"  # its host sent more than its SYN: the handshake is complete, and the token is known
    )
    SEGMENTS_SEEN = (
        "segments seen"  # the same where no token is known: plain TCP, or no SYN/ACK was seen here
    )
    UNHEARD = "unheard"  # its host has sent nothing for a while: it counts as no load any more
    JOINED = "joined"  # one more subflow
    SILENT = "silent"  # for the idle limit, and its MCP does not say that it lives; its entries stay
    GOES_ON = "goes on"  # entries of an idle session counted segments; the session has a token
    GOES_ON_PLAIN = "goes on, plain"  # the same where it has none
    # On each subflow a FIN both ways, or a reset by the MCP; or the MCP reports the session's end.
    ALL_CLOSED = "all subflows closed"
    SUBFLOWS_OVER = "last subflow over"  # closed and lingered; its entry goes
    OVER = "over"  # nothing keeps it: entries and record go


Action = Callable[[SessionTable, Session], None]
BeginAction = Callable[
    [SessionTable, Session, QuotaKeys | None], None
]  # with what the session counts towards


class Step(NamedTuple):
    """The right half of a row: the state that follows (None: the session is no more), and what is done."""

    state: SessionState | None
    action: Action


_PINNED, _ANSWERED = SessionState.SYN_PINNED, SessionState.ANSWERED
_ESTABLISHED, _PLAIN = SessionState.ESTABLISHED, SessionState.PLAIN
_CLOSING, _LINGER, _WITHDRAWN = SessionState.CLOSING, SessionState.LINGER, SessionState.WITHDRAWN
_IDLE = SessionState.IDLE
_Books = SessionTable

BEGINNINGS: Mapping[Beginning, tuple[SessionState, BeginAction]] = {
    Beginning.SYN_STEERED: (_PINNED, _Books.await_host),
    Beginning.FOUND_WITH_TOKEN: (_ESTABLISHED, _Books.take_over),
    Beginning.FOUND_PLAIN: (_PLAIN, _Books.take_over),
    Beginning.FOUND_PENDING: (_PINNED, _Books.await_host),
    Beginning.FOUND_ANSWERED: (_ANSWERED, _Books.await_host),
    Beginning.LEFT_TO_ITS_ENDS: (_WITHDRAWN, _Books.keep_record),
}

TRANSITIONS: Mapping[tuple[SessionState, Event], Step] = {
    (_PINNED, Event.KEY_SEEN): Step(_ANSWERED, _Books.nothing),
    (_PINNED, Event.NO_KEY): Step(_ANSWERED, _Books.nothing),
    (_PINNED, Event.SEGMENTS_SEEN): Step(_PLAIN, _Books.establish),
    (_PINNED, Event.UNHEARD): Step(_PINNED, _Books.discount),
    (_PINNED, Event.ALL_CLOSED): Step(_CLOSING, _Books.dismiss),
    (_PINNED, Event.OVER): Step(None, _Books.forget),
    (_ANSWERED, Event.KEY_SEEN): Step(_ANSWERED, _Books.nothing),
    (_ANSWERED, Event.TAKEN_UP): Step(_ESTABLISHED, _Books.establish),
    (_ANSWERED, Event.SEGMENTS_SEEN): Step(_PLAIN, _Books.establish),
    (_ANSWERED, Event.JOINED): Step(_ESTABLISHED, _Books.establish),
    (_ANSWERED, Event.UNHEARD): Step(_ANSWERED, _Books.discount),
    (_ANSWERED, Event.ALL_CLOSED): Step(_CLOSING, _Books.dismiss),
    (_ANSWERED, Event.OVER): Step(None, _Books.forget),
    (_ESTABLISHED, Event.JOINED): Step(_ESTABLISHED, _Books.nothing),
    (_ESTABLISHED, Event.ALL_CLOSED): Step(_CLOSING, _Books.nothing),
    (_ESTABLISHED, Event.SUBFLOWS_OVER): Step(_LINGER, _Books.rest),
    (_ESTABLISHED, Event.OVER): Step(None, _Books.forget),
    (_PLAIN, Event.KEY_SEEN): Step(_ESTABLISHED, _Books.nothing),
    (_PLAIN, Event.ALL_CLOSED): Step(_CLOSING, _Books.nothing),
    (_PLAIN, Event.OVER): Step(None, _Books.forget),
    (_ESTABLISHED, Event.SILENT): Step(_IDLE, _Books.doze),
    (_PLAIN, Event.SILENT): Step(_IDLE, _Books.doze),
    (_IDLE, Event.GOES_ON): Step(_ESTABLISHED, _Books.wake),
    (_IDLE, Event.GOES_ON_PLAIN): Step(_PLAIN, _Books.wake),
    (_IDLE, Event.KEY_SEEN): Step(_ESTABLISHED, _Books.wake),
    (_IDLE, Event.JOINED): Step(_ESTABLISHED, _Books.wake),
    (_IDLE, Event.ALL_CLOSED): Step(_CLOSING, _Books.wake),
    (_IDLE, Event.SUBFLOWS_OVER): Step(_LINGER, _Books.doze_on),
    (_IDLE, Event.OVER): Step(None, _Books.forget),
    (_CLOSING, Event.JOINED): Step(_ESTABLISHED, _Books.establish),
    (_CLOSING, Event.ALL_CLOSED): Step(_CLOSING, _Books.nothing),
    (_CLOSING, Event.SUBFLOWS_OVER): Step(_LINGER, _Books.rest),
    (_CLOSING, Event.OVER): Step(None, _Books.forget),
    (_LINGER, Event.JOINED): Step(_ESTABLISHED, _Books.revive),
    (_LINGER, Event.OVER): Step(None, _Books.forget),
    (_WITHDRAWN, Event.OVER): Step(None, _Books.forget),
}


class SessionLife:
    """Changes sessions' states, and nothing else does."""

    def __init__(self, table: SessionTable, counters: Counters) -> None:
        self._table = table
        self._counters = counters

    def begin(
        self, how: Beginning, mcp: McpId, ruling: Ruling | None, now: float, edge: WaypointId = NO_WAYPOINT,
        first: FlowKey = NO_FLOW, version: int = 1, returns: Returns = (), dscp: int = 0,
        reverse: bool = False, unit: str | None = None, loads: tuple[int, ...] = (), keys: QuotaKeys | None = None,
    ) -> Session:  # fmt: skip
        """Begin a session. `mcp`: the MCP's id, NO_MCP for none; `edge`: the waypoint the session came in at; `keys`:
        its `quota_keys`, from a caller that has them; the rest as in `Session`. The caller has asked whether the table
        has room."""
        table = self._table
        state, action = BEGINNINGS[how]
        session = table.create(
            state, mcp, ruling, now, edge, first, version, returns, dscp, reverse, unit, loads
        )
        action(table, session, keys)
        return session

    def happened(self, session: Session, event: Event) -> bool:
        """An event happened to a session. False if the session's state knows no such event. The end of a session is
        counted under the state that it had."""
        table, before = self._table, session.state
        step = TRANSITIONS.get((before, event))
        if step is None or table.by_id.get(session.id) is None:
            self._counters.session_events_refused[before, event] += 1
            return False
        after, action = step
        if after is not before:
            if table.journal is not None:
                table.journal.changes(session)
            table.states[before] -= 1
            if after is not None:
                table.states[after] += 1
                session.state = after
        action(table, session)
        return True

    def heard(self, session: Session) -> None:
        """A session's host has sent more than its SYN, or its MCP says that it lives: it is half open no longer.
        Nothing where it was not."""
        if self._table.half_open.get(session.id) is None:
            return
        if session.state is _PINNED:
            self._counters.answers_unseen += 1
        self.happened(session, Event.TAKEN_UP if session.token >= 0 else Event.SEGMENTS_SEEN)
