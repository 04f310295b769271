"""The sessions that live at one MCP, as the MCP reports them (docs/relay-reports.rst).

A ledger holds what one MCP has reported, and checks the order of its batches. It says nothing about sessions of other
MCPs.

An MCP may have a million sessions. So their reports are in indexes that never pause for a large copy, the garbage collector does
not examine them, and those of an earlier run or set are freed in portions.
"""

from collections import deque
from collections.abc import Sized

from steering.core.inputs import McpSessions
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.garbage_collector import untrack_all
from steering.core.sessions.indexes import HashedIndex
from steering.core.sessions.records import Session
from steering.model.ids import Token

NEVER = float("-inf")
SILENT = 5.0  # seconds without a batch after which a ledger proves nothing
FREE = 16  # a whole set is asked for again when 1/FREE of the bound is free
# Sessions without room that are remembered by their ids, in some 4 MB. Further ones are only counted.
LEFT_OUT = 65_536
RUNS = 8  # runs of an MCP that are remembered: a batch of one of them comes too late
FREED_AT_ONCE = 10_000  # void reports that are freed at each tick, or a few more: some 2 ms


class ReportedSession:
    """A live session that the MCP has reported. `session`: the id of its record, 0 if none is known. `early`: it was reported
    before its SYN was handled here (early_reports). `again`: other sessions had its flow shortly before."""

    __slots__ = ("again", "early", "flow", "session", "token")

    def __init__(self, token: Token, flow: FlowKey, session: int) -> None:
        self.token = token
        self.flow = flow
        self.session = session
        self.early = self.again = False


class McpLedger:
    """The ledger of one MCP. `whole`: a whole set was reported, and all changes since. Only then a session that is not in the
    ledger does not live at the MCP. A "run" of the MCP is named by its generation. `most`: the expected number of sessions."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.generation = ""
        self._runs_before: deque[str] = deque(maxlen=RUNS)  # generations of the MCP's runs before this one
        self.sequence = 0
        self.whole = False
        self.heard = NEVER  # when the last batch came
        self._part = 0  # the last part of an incomplete set; 0 if no set is incomplete
        self._live: HashedIndex[int, ReportedSession] = HashedIndex(most)
        self._flows: HashedIndex[FlowKey, ReportedSession] = HashedIndex(most)
        self._tokens: HashedIndex[Token, int] = HashedIndex(most)  # token -> how many live sessions have it
        # The live sessions of the MCP's run before this one. None as soon as all records were compared.
        self._flows_before: HashedIndex[FlowKey, ReportedSession] | None = None
        self._tokens_before: HashedIndex[Token, int] | None = None
        self._new: list[object] = []  # reports that the garbage collector still tracks
        self._void: deque[Sized] = deque()  # parts of indexes that are to be freed
        self.restarted = NEVER  # time of the first batch of this run, if there was a run before
        self.overflowed = False
        # Live sessions without room: ids of some, and the number of the others. The end of an unknown id counts as the end of
        # one of the others.
        self._left_out: set[int] = set()
        self._more_left_out = 0

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, number: int) -> bool:
        return number in self._live

    def is_last(self, given: McpSessions) -> bool:
        """Whether this is the last batch once more."""
        return (given.generation, given.sequence) == (self.generation, self.sequence)

    def follows(self, given: McpSessions, now: float) -> bool:
        """Whether this batch is the next one in order. A batch of an earlier run is not, nor is a set that was begun before
        the last batch: a request that hung may come after those that followed it. If the last batch is long ago, nothing followed
        this one: then a batch that hung was taken for that of a new run."""
        if given.part == 1:
            same = given.generation == self.generation
            late = given.sequence <= self.sequence if same else given.generation in self._runs_before
            return not late or now - self.heard > SILENT
        if given.generation != self.generation or given.sequence != self.sequence + 1:
            return False
        # Part 0 is a batch of changes. It may only come when no set is incomplete.
        return given.part == (self._part + 1 if self._part else 0)

    def begin(self, given: McpSessions, now: float) -> None:
        """Begin to take a batch. Part 1 of a set makes all earlier reports void. A new generation means that the MCP has
        restarted, and that the sessions of its run before are gone."""
        if given.part == 1:
            if self.generation and given.generation != self.generation:
                # If the run before was too short to be compared, the sessions of the run before that are still kept.
                if self.whole and not self._flows_before:
                    self._forget_before()
                    self._flows_before, self._tokens_before = self._flows, self._tokens
                    self._flows, self._tokens = HashedIndex(self._most), HashedIndex(self._most)
                self.restarted = now
                self._runs_before.append(self.generation)
            self._void += (*self._live.take_apart(), *self._flows.take_apart(), *self._tokens.take_apart())
            self.whole = self.overflowed = False
            self._left_out, self._more_left_out = set(), 0
        self.generation, self.sequence, self.heard = given.generation, given.sequence, now
        self._part = 0 if given.last else given.part

    def _forget_before(self) -> None:
        if self._flows_before is not None and self._tokens_before is not None:
            self._void += (*self._flows_before.take_apart(), *self._tokens_before.take_apart())
        self._flows_before = self._tokens_before = None

    def dissolve(self) -> None:
        """The MCP was removed or replaced: all its reports are void."""
        self._void += (*self._live.take_apart(), *self._flows.take_apart(), *self._tokens.take_apart())
        self._forget_before()

    def settle(self) -> None:
        """Called after each batch: untrack the new reports (garbage_collector)."""
        untrack_all(self._new)

    def free_some(self) -> bool:
        """Called at each tick: free a portion of the void reports. Returns whether there are more."""
        left = FREED_AT_ONCE
        while self._void and left > 0:
            left -= 1 + len(self._void.popleft())
        return bool(self._void)

    def complete(self) -> None:
        """The last part of a set was taken."""
        self.whole = not self.overflowed

    def add(self, number: int, told: ReportedSession) -> None:
        """Add a live session."""
        self._left_out.discard(number)
        self._new.append(told)
        self._live.put(number, told)
        self._flows.put(told.flow, told)
        if told.token >= 0:
            self._tokens.put(told.token, self._tokens.get(told.token, 0) + 1)

    def full(self, number: int) -> None:
        """A live session found no room. From now on, sessions that are not in the ledger may live, until a whole set is
        reported."""
        self.overflowed = True
        self.whole = False
        if number in self._left_out:
            return
        if len(self._left_out) < LEFT_OUT:
            self._left_out.add(number)
        else:
            self._more_left_out += 1

    def fits_again(self, most: int) -> bool:
        """Whether sessions found no room before, and all live sessions would leave 1/FREE of `most` free now. With less, an
        MCP whose sessions vary around the bound would have to send its whole set again and again."""
        if not self.overflowed:
            return False
        free = most - len(self) - len(self._left_out) - self._more_left_out
        return free >= max(1, -(-most // FREE))

    def remove(self, number: int) -> ReportedSession | None:
        """Remove a session that has ended. Returns its record here, None for an unknown number."""
        told = self._live.pop(number, None)
        if told is None:
            # Or the session was refused as another MCP's, or its end is reported twice. These are not distinguished.
            if number in self._left_out:
                self._left_out.discard(number)
            elif self._more_left_out:
                self._more_left_out -= 1
            return None
        if self._flows.get(told.flow) is told:
            del self._flows[told.flow]
        if told.token >= 0:
            left = self._tokens[told.token] - 1
            if left:
                self._tokens[told.token] = left
            else:
                del self._tokens[told.token]
        return told

    def compared(self) -> None:
        """All session records were compared with a whole set of this run. The sessions of the run before are forgotten."""
        if self.whole:
            self._forget_before()

    def is_true(self, now: float) -> bool:
        """Whether the ledger is up to date: sessions in it live at the MCP, others do not. `now`: seconds."""
        return self.whole and now - self.heard <= SILENT

    def lives(self, session: Session) -> bool:
        """Whether the MCP has reported this session as live, by its first flow or by its token. If found by its flow, the
        report is linked with the record."""
        told = self._flows.get(session.first)
        if told is not None and (told.token < 0 or session.token in (-1, told.token)):
            told.session = told.session or session.id
            return told.session == session.id
        return session.token >= 0 and session.token in self._tokens

    def came_first(self, session: Session) -> bool:
        """A session has begun whose flow the MCP has reported before. Report and record are linked, even if the report was
        linked with an older session on this flow. Returns whether the session is plain TCP at the MCP."""
        told = self._flows.get(session.first)
        if told is None or (told.token >= 0 and session.token not in (-1, told.token)):
            return False
        told.session, told.early = session.id, True
        return told.token < 0

    def lived(self, session: Session) -> bool:
        """Whether the MCP's run before this one had this session when it ended."""
        if self._flows_before is None or self._tokens_before is None:
            return False
        told = self._flows_before.get(session.first)
        if told is not None and (told.token < 0 or session.token in (-1, told.token)):
            return told.session in (0, session.id)
        return session.token >= 0 and session.token in self._tokens_before
