"""Half-open sessions: those whose host was not heard since its SYN. A SYN proves nothing, and an MCP answers each.

What completes a handshake is the host's third ACK, and switches forward that without a copy. But each session has an
entry that counts it, so the entry is looked at, alone: once after a second or two, when nearly all honest hosts have
gone on, then twice more. A host that joined, a FIN that was answered, and the report of the session's MCP tell the
same without a question.

A session whose entry counts nothing then is gone within `timers.half_open`, or in half of that where its access port or
its source has half-open ones in great number, or all together are many: these are asked about once only, so that all are
gone soon after a flood. That is still long enough for a satellite's third ACK after 3 seconds, and for a SYN/ACK that has
to be repeated. Meanwhile it is no load: it fills neither an MCP nor a quota.

Of a session without an entry (explicit mode, or led by entries set ahead) its MCP's report tells instead. Where an MCP
reports nothing, its answer has to do (first_answer).

An answered session whose switch cannot be asked is kept until the switch is there again. One whose switch had lost its
entry, as after a reboot, is taken for established: what the entry had counted is lost, and a host may be silent since.
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

# When a session is looked at, in parts of `timers.half_open` since its SYN. At the last an answered session is asked
# again, and one that nobody answered ends.
LOOKS = (0.15, 0.45, 0.85, 1.0)
FIRST, EARLY, LATE, LAST = range(4)
READ_EACH_TICK = 1_500  # entries, in slices
READ_AT_ONCE = 250  # entries: what others have to wait for, and below
NOTED_AT_ONCE = 5_000  # numbers of sessions that began since
LOOKED_AT_ONCE = 2_000  # sessions whose time has come, with or without an entry to be read
MANY, FEW = (
    30_000,
    3_000,
)  # half-open sessions, as many as can be asked about in a second, and in a tenth of one
ENDED_AT_ONCE = 250  # sessions: what others have to wait for
CROWDED = 1 / 2  # of what an access port or a source may have


class HalfOpenSessions(Part):
    """Finds out of each half-open session whether its host goes on, and ends it if not. `ledgers`: by MCP what it
    told of its sessions (sessions.mcp_reports)."""

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
        self._known = 0  # the youngest session that waits to be looked at, or was
        self._waiting: tuple[deque[tuple[float, int]], ...] = tuple(deque() for _ in LOOKS)
        self._many = False  # there are MANY, or were and are more than FEW
        self._left = 0  # entries that may still be read until the next tick
        self._judged: set[int] = set()  # sessions that end if the counters show nothing
        self._doomed: deque[int] = deque()

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
        """Look at some of the sessions whose time has come, and end some of those whose host did not go on."""
        self._table.settle()
        self._many = len(self._table.half_open) > (FEW if self._many else MANY)
        self._left = READ_EACH_TICK
        return self.go_on(now)

    def go_on(self, now: float) -> list[Output]:
        """A slice of that; GoOn is among the outputs if there are more."""
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
        # Those that wait for longest come first; after a long pause a session may be due for its next look too.
        for look in (LATE, EARLY, FIRST, EARLY, LATE):
            queue = self._waiting[look]
            while left and looks_left and queue and queue[0][0] <= now:
                _, number = queue.popleft()
                looks_left -= 1
                session = half_open.get(number)
                if session is not None:
                    # The answer to a look that is late comes before the next one all the same.
                    begun = session.created
                    if session.state is not SessionState.SYN_PINNED or session.ruling is None:
                        begun = max(begun, now - LOOKS[look] * patience)
                    self._waiting[look + 1].append((begun + LOOKS[look + 1] * patience, number))
                    left -= self._look(session, look, now, asked)
        self._left -= allowed - left
        return [ReadCounters(dpid, tuple(entries)) for dpid, entries in asked.items()]

    def _note_new(self) -> None:
        """Some of the sessions that began since."""
        half_open, youngest = self._table.half_open, self._table.youngest
        new, self._known = half_open.following(self._known, youngest, NOTED_AT_ONCE)
        after = LOOKS[FIRST] * self._policy.timers.half_open
        self._waiting[FIRST].extend((session.created + after, session.id) for session in new)

    def _look(self, session: Session, look: int, now: float, asked: dict[DatapathId, list[Entry]]) -> bool:
        """Whether the session's entry is to be read, which is then among `asked`."""
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
        """No entry counts what the host sends, and the MCP has not told of the session: then it has none, unless the
        MCP fell silent meanwhile."""
        if ledger is not None and ledger.is_true(now):
            self._doomed.append(session.id)
        else:
            self._life.heard(session)

    def _is_crowded(self, session: Session) -> bool:
        """Whether its access port or its source has half-open sessions in great number, or all together."""
        table, limits = self._table, self._policy.limits
        if self._many:
            return True
        here, free = table.half_open_at[session.edge], limits.half_open - len(table.half_open)
        source = table.half_open_from[table.origin_of(source_of(session.first))]
        return here > CROWDED * free or source > CROWDED * limits.half_open_per_source

    def _last(self, now: float) -> None:
        """Some of the sessions whose time is over. Of an answered one that stays the switch did not tell: it is asked
        again."""
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

    # ---- what switches counted --------------------------------------------------------------------

    def counted(self, read: CountersRead, now: float) -> list[Output]:
        """A switch tells what entries have counted. A session whose host goes on is established; of the others those
        end that were to be judged by this."""
        flows, half_open = self._table.flows, self._table.half_open
        for entry, packets, size in read.entries:
            subflow = flows.get(flow_key(entry.src, entry.dst, entry.sport, entry.dport))
            if subflow is None:
                continue
            session = subflow.session
            subflow.count_packets(packets, now)
            if half_open.get(session.id) is None or session.first != subflow.key:
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
        """A switch is filled with session entries that it had lost: what they count from now on is not the whole."""
        for entry in entries:
            subflow = self._table.flows.get(flow_key(entry.src, entry.dst, entry.sport, entry.dport))
            session = subflow.session if subflow is not None else None
            if session is not None and session.state is SessionState.ANSWERED:
                self._judged.discard(session.id)
                self._life.heard(session)

    def _end_some(self) -> list[Output]:
        """End some of the sessions whose host did not go on."""
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
    """Whether it was found by its server leg's entry alone: the switch that tells of its host is not there yet."""
    return not session.subflows
