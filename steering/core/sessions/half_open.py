"""Half-open sessions: no segment of the host is known since its SYN. A SYN proves nothing, although an MCP answers each.

The host's third ACK completes a handshake. Switches forward it without a copy to the controller, but the session's entry
counts it. Therefore the controller reads the counter of this single entry: once after a second or two, when nearly all honest
hosts have sent their third ACK, and then twice more. A join, an answered FIN or a report of the MCP prove the same without
reading a counter.

If the entry has counted nothing, the session ends within `timers.half_open`. It ends in half of this time if its access port or
its source has very many half-open sessions, or if there are very many in all. The counters of these are read only once, so
that they are gone soon after a flood. Half of the time is still enough for a third ACK over a satellite after 3 seconds, and
for a repeated SYN/ACK. A half-open session whose host is late counts as no load, neither for an MCP nor for a quota.

If a session has no entry (explicit mode, or proactive insertion), the report of its MCP decides. If the MCP reports nothing,
its answer is enough (first_answer).

If the switch of an answered session cannot be read, the session stays until the switch is back. If the switch had lost the
entry, as after a reboot, the session counts as established: its counter is lost, and the host may be silent since.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from steering.core.inputs import CountersRead, Input
from steering.core.outputs import GoOn, Output, ReadCounters, RemoveEntries
from steering.core.part import Handler, Part
from steering.core.sessions.flow_key import flow_key, source_of
from steering.core.sessions.mcp_ledger import McpLedger
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.core.sessions.transitions import Event, SessionLife
from steering.model.ids import DatapathId, McpId
from steering.model.policy import Policy
from steering.model.session import Entry, SessionState

# Names for members of enums: core.sessions.records says why.
ANSWERED, SYN_PINNED = SessionState.ANSWERED, SessionState.SYN_PINNED

# When a session is examined ("look"), in parts of `timers.half_open` since its SYN. At the last look, the entry of an
# answered session is read again, and a session without an answer ends.
LOOKS = (0.15, 0.45, 0.85, 1.0)
FIRST, EARLY, LATE, LAST = range(4)
READ_EACH_TICK = 1_500  # most entries that are read in one tick
READ_AT_ONCE = 250  # most entries that are read in one slice, because other inputs wait for a slice
NOTED_AT_ONCE = 5_000  # most numbers of new sessions in one slice
LOOKED_AT_ONCE = 2_000  # most sessions that are examined in one slice
# Half-open sessions in all that count as many, and that count as many no longer: as many as can be read in a second, and in a
# tenth of a second.
MANY, FEW = (
    30_000,
    3_000,
)
ENDED_AT_ONCE = 250  # most sessions that are ended in one slice
CROWDED = 1 / 2  # part of the most sessions of an access port or source from which on they are very many


class HalfOpenSessions(Part):
    """Finds out whether the host of each half-open session has completed the handshake, and ends the session if not.
    `ledgers`: by MCP, the sessions that the MCP has reported (sessions.mcp_reports)."""

    def __init__(
        self,
        table: SessionTable,
        life: SessionLife,
        teardown: Teardown,
        policy: Policy,
        ledgers: Mapping[McpId, McpLedger],
    ) -> None:
        self._table = table
        self._life = life
        self._teardown = teardown
        self._ledgers = ledgers
        self._policy = policy
        self._known = 0  # the youngest session that was put into `_waiting`
        # For each look: due times and sessions.
        self._waiting: tuple[deque[tuple[float, int]], ...] = tuple(deque() for _ in LOOKS)
        self._many = False  # there are more than MANY, or were and are more than FEW
        self._left = 0  # entries that may still be read until the next tick
        self._judged: set[int] = set()  # sessions that end if their counter shows nothing
        self._doomed: deque[int] = deque()  # sessions that are to end

    def takes(self) -> Mapping[type[Input], Handler]:
        return {CountersRead: self.counted}

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        shorter = policy.timers.half_open < self._policy.timers.half_open
        self._policy = policy
        if shorter:
            patience = policy.timers.half_open
            for look, queue in zip(LOOKS, self._waiting, strict=True):
                known = [(min(due, now + look * patience), number) for due, number in queue]
                queue.clear()
                queue.extend(sorted(known))
        return []

    # ---- time -----------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Output]:
        """Examine some of the sessions that are due, and end some of those whose host sent nothing more."""
        self._table.settle()
        self._many = len(self._table.half_open) > (FEW if self._many else MANY)
        self._left = READ_EACH_TICK
        return self.go_on(now)

    def go_on(self, now: float) -> list[Output]:
        """Do one slice of this work. GoOn is among the outputs if there is more."""
        if self._known < self._table.youngest:
            self._note_new()
        if not self._doomed and not [queue for queue in self._waiting if queue and queue[0][0] <= now]:
            return [GoOn()] if self._known < self._table.youngest else []
        outputs = self._ask(now)
        self._last(now)
        outputs += self._end_some()
        return [*outputs, GoOn()] if self._has_more(now) else outputs

    def _has_more(self, now: float) -> bool:
        looks = self._waiting if self._left else self._waiting[LAST:]
        unnoted = self._known < self._table.youngest
        return bool(self._doomed) or unnoted or any(queue and queue[0][0] <= now for queue in looks)

    def _ask(self, now: float) -> list[Output]:
        asked: dict[DatapathId, list[Entry]] = {}
        allowed = left = min(READ_AT_ONCE, self._left)
        looks_left = LOOKED_AT_ONCE
        half_open, patience = self._table.half_open, self._policy.timers.half_open
        # Sessions that have waited longest come first. After a long pause, a session may be due for its next look at once.
        for look in (LATE, EARLY, FIRST, EARLY, LATE):
            queue = self._waiting[look]
            while left and looks_left and queue and queue[0][0] <= now:
                _, number = queue.popleft()
                looks_left -= 1
                session = half_open.get(number)
                if session is not None:
                    # If a look is late, the next one is moved on, so that the switch's answer comes before it.
                    begun = session.created
                    if session.state is not SessionState.SYN_PINNED or session.ruling is None:
                        begun = max(begun, now - LOOKS[look] * patience)
                    self._waiting[look + 1].append((begun + LOOKS[look + 1] * patience, number))
                    left -= self._look(session, look, now, asked)
        self._left -= allowed - left
        return [ReadCounters(dpid, tuple(entries)) for dpid, entries in asked.items()]

    def _note_new(self) -> None:
        """Put some of the new sessions into the queue of the first look."""
        half_open, youngest = self._table.half_open, self._table.youngest
        new, self._known = half_open.following(self._known, youngest, NOTED_AT_ONCE)
        after = LOOKS[FIRST] * self._policy.timers.half_open
        self._waiting[FIRST].extend([session.when_and_which(after) for session in new])

    def _look(self, session: Session, look: int, now: float, asked: dict[DatapathId, list[Entry]]) -> bool:
        """Examine a session. Returns whether its entry has to be read. If so, the entry was added to `asked`."""
        ledger = self._ledgers.get(session.mcp)
        if ledger is not None and ledger.lives(session):
            self._life.heard(session)
            return False
        crowded = look != LATE and self._is_crowded(session)
        if look == FIRST and crowded:
            return False
        if look != FIRST:
            self._life.happened(session, Event.UNHEARD)
        is_late = now >= session.created + LOOKS[LATE] * self._policy.timers.half_open
        judged = look == LATE or (look == EARLY and (crowded or is_late))
        entry = session.entry(session.subflows[0]) if session.has_counter else None
        if entry is None:
            if judged and session.state is SessionState.ANSWERED and not _is_split(session):
                self._judge_by_report(session, ledger, now)
            return False
        if judged:
            self._judged.add(session.id)
        asked.setdefault(entry.dpid, []).append(entry)
        return True

    def _judge_by_report(self, session: Session, ledger: McpLedger | None, now: float) -> None:
        """Judge a session without a counting entry that its MCP has not reported: the MCP does not have it, unless the MCP's
        reports have stopped."""
        if ledger is not None and ledger.is_true(now):
            self._doomed.append(session.id)
        else:
            self._life.heard(session)

    def _is_crowded(self, session: Session) -> bool:
        """Whether there are very many half-open sessions at its access port, from its source, or in all."""
        table, limits = self._table, self._policy.limits
        if self._many:
            return True
        here, free = table.half_open_at[session.entrance], limits.half_open - len(table.half_open)
        source = table.half_open_from[table.origin_of(source_of(session.first))]
        return here > CROWDED * free or source > CROWDED * limits.half_open_per_source

    def _last(self, now: float) -> None:
        """End some of the sessions at their last look. If an answered session is still half-open, its switch did not answer:
        its entry is read again later."""
        queue, again = self._waiting[LAST], self._waiting[LATE]
        patience = self._policy.timers.half_open
        for _ in range(min(LOOKED_AT_ONCE, len(queue))):
            if queue[0][0] > now:
                break
            _, number = queue.popleft()
            session = self._table.half_open.get(number)
            self._judged.discard(number)
            if session is None:
                continue
            if session.state is SessionState.SYN_PINNED and not _is_split(session):
                self._doomed.append(number)
            else:
                again.append((now + LOOKS[LATE] * patience, number))

    # ---- counters of switches ---------------------------------------------------------------------

    def counted(self, read: CountersRead, now: float) -> list[Output]:
        """A switch reports counters of entries. A session whose host has sent more is established. A session whose counter
        shows nothing ends, if it was to be judged by this."""
        flows = self._table.flows
        for entry, packets, size in read.entries:
            subflow = flows.get(flow_key(entry.src, entry.dst, entry.sport, entry.dport))
            if subflow is None:
                continue
            session = subflow.session
            subflow.count_packets(packets, now)
            state = session.state
            if (state is not ANSWERED and state is not SYN_PINNED) or session.first != subflow.key:
                continue
            if subflow.shows_host(packets, size):
                self._life.heard(session)
                continue
            self._life.happened(session, Event.UNHEARD)
            if session.id in self._judged:
                self._doomed.append(session.id)
        outputs = self._end_some()
        return [*outputs, GoOn()] if self._doomed else outputs

    def put_back(self, entries: Iterable[Entry]) -> None:
        """A switch gets session entries again that it had lost. Their counters begin anew, so they do not prove that a host
        was silent."""
        for entry in entries:
            subflow = self._table.flows.get(flow_key(entry.src, entry.dst, entry.sport, entry.dport))
            session = subflow.session if subflow is not None else None
            if session is not None and session.state is SessionState.ANSWERED:
                self._judged.discard(session.id)
                self._life.heard(session)

    def _end_some(self) -> list[Output]:
        """End some of the sessions whose host sent nothing more."""
        removed: list[Entry] = []
        outputs: list[Output] = []
        for _ in range(min(ENDED_AT_ONCE, len(self._doomed))):
            session = self._table.half_open.get(self._doomed.popleft())
            if session is None:
                continue
            self._judged.discard(session.id)
            for output in self._teardown.end(session):
                if isinstance(output, RemoveEntries):
                    removed += output.entries
                else:
                    outputs.append(output)
        if removed:
            outputs.append(RemoveEntries(tuple(removed)))
        return outputs


def _is_split(session: Session) -> bool:
    """Whether only the server leg's entry of a session was read back, and the switch of its host was not read yet."""
    return not session.subflows
