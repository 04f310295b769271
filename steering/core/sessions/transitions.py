"""The life of a session as a table: (state, event) -> (next state, action). Only this module changes a session's state.

`BEGINNINGS` has the ways in which a session begins, `TRANSITIONS` the events of a session. An action is a method of the session
table, which sets what the session counts as from then on. A pair of state and event without a row is refused and counted
(`steering_session_events_refused_total`). Then nothing changes, and no error is raised. packaging/reference.py makes the table
and the diagram of docs/design/session-life.rst from this module.
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

    # A first SYN is steered to an MCP, or a SYN/ACK shows that proactive entries led one there.
    SYN_STEERED = "SYN steered"
    # A starting controller finds the session in switches or in the store.
    FOUND_WITH_TOKEN = "found with its token"
    FOUND_PLAIN = "found without a token"
    FOUND_PENDING = "found half open"  # perhaps it was answered: the counter of its entry will show
    FOUND_ANSWERED = "found answered"  # its token is known, but its entry has counted no segment of the host
    LEFT_TO_ITS_ENDS = "left to its ends"  # host and server speak MPTCP, and by the policy MCPs withdraw


class Event(StrEnum):
    """An event of a session."""

    KEY_SEEN = "key seen"  # the SYN/ACK has a key, or the MCP has reported the token: the token is known
    NO_KEY = "no key"  # the SYN/ACK has no key: the connection fell back to plain TCP
    TAKEN_UP = "taken up"  # the host has sent more than its SYN, and the token is known
    SEGMENTS_SEEN = "segments seen"  # the same without a token: plain TCP, or the SYN/ACK was not seen
    UNHEARD = "unheard"  # the host has sent nothing for a while: the session counts as no load any more
    JOINED = "joined"  # the session has one more subflow
    SILENT = "silent"  # no activity for the idle limit, and the MCP does not report the session as live
    GOES_ON = "goes on"  # entries of an idle session with a token have counted segments
    GOES_ON_PLAIN = "goes on, plain"  # the same for a session without a token
    # Each subflow has FINs of both ends, or a reset by the MCP. Or the MCP has reported the session's end.
    ALL_CLOSED = "all subflows closed"
    SUBFLOWS_OVER = "last subflow over"  # the linger time of the last subflow is over, and its entry goes
    OVER = "over"  # the session ends: its entries and its record go


StateAction = Callable[[SessionTable, Session], None]
BeginAction = Callable[[SessionTable, Session, QuotaKeys | None], None]  # QuotaKeys: as in SessionLife.begin


class Step(NamedTuple):
    """The right half of a row: the next state (None: the session is over), and the action."""

    state: SessionState | None
    action: StateAction


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
    (_CLOSING, Event.JOINED): Step(_ESTABLISHED, _Books.reopen),
    (_CLOSING, Event.ALL_CLOSED): Step(_CLOSING, _Books.nothing),
    (_CLOSING, Event.SUBFLOWS_OVER): Step(_LINGER, _Books.rest),
    (_CLOSING, Event.OVER): Step(None, _Books.forget),
    (_LINGER, Event.JOINED): Step(_ESTABLISHED, _Books.revive),
    (_LINGER, Event.OVER): Step(None, _Books.forget),
    (_WITHDRAWN, Event.OVER): Step(None, _Books.forget),
}


class SessionLife:
    """Changes the states of sessions. Nothing else does."""

    def __init__(self, table: SessionTable, counters: Counters) -> None:
        self._table = table
        self._counters = counters

    def begin(
        self, how: Beginning, mcp: McpId, ruling: Ruling | None, now: float, entrance: WaypointId = NO_WAYPOINT,
        first: FlowKey = NO_FLOW, version: int = 1, returns: Returns = (), dscp: int = 0,
        reverse: bool = False, unit: str | None = None, loads: tuple[int, ...] = (), keys: QuotaKeys | None = None,
    ) -> Session:  # fmt: skip
        """Begin a session. `mcp`: the MCP's id, NO_MCP for none. `entrance`: the waypoint where the session came in. `keys`: the
        session's `quota_keys`, if the caller has them. The other arguments are those of `Session`. The caller has checked
        that the table has room."""
        table = self._table
        state, action = BEGINNINGS[how]
        session = table.create(
            state, mcp, ruling, now, entrance, first, version, returns, dscp, reverse, unit, loads
        )
        action(table, session, keys)
        return session

    def happened(self, session: Session, event: Event) -> bool:
        """Apply an event to a session. Returns False if the session's state does not allow the event. A session that is over
        keeps its last state."""
        table, before = self._table, session.state
        step = TRANSITIONS.get((before, event))
        # A session with subflows is in the table. This is known without a look-up.
        if step is None or (isinstance(session.oldest, bytes) and table.by_id.get(session.id) is None):
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
        """The host of a session has sent more than its SYN, or its MCP reports the session as live. If the session was
        half-open, it is so no longer."""
        state = session.state
        if state is not _ANSWERED and state is not _PINNED:
            return
        if isinstance(session.oldest, bytes) and session.id not in self._table.half_open:
            return
        if state is _PINNED:
            self._counters.answers_unseen += 1
        self.happened(session, Event.TAKEN_UP if session.token >= 0 else Event.SEGMENTS_SEEN)
