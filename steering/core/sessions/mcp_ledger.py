"""The sessions that live at one MCP, as the MCP reports them (docs/relay-reports.rst).

A ledger holds what one MCP has reported, and checks the order of its batches. It says nothing about sessions of other
MCPs.
"""

from steering.core.inputs import McpSessions
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.records import Session
from steering.model.ids import Token

NEVER = float("-inf")
SILENT = 5.0  # seconds without a batch, after which a ledger proves nothing any more
FREE = 16  # a sixteenth of what fits is to be free before a whole set is asked for again
LEFT_OUT = (
    65_536  # sessions that did not fit and are remembered by their ids, some 4 MB; more are only counted
)


class Told:
    """A session that lives at the MCP. `session`: the id of its record, 0 where no record is known. `early`: it was reported
    before its SYN was handled here (early_reports). `again`: others had its flow shortly before it."""

    __slots__ = ("again", "early", "flow", "session", "token")

    def __init__(self, token: Token, flow: FlowKey, session: int) -> None:
        self.token = token
        self.flow = flow
        self.session = session
        self.early = self.again = False


class McpLedger:
    """The ledger of one MCP. `whole`: a whole set was reported, and all changes since. Only then a session that is
    missing here does not live."""

    def __init__(self) -> None:
        self.generation = ""
        self._generation_before = ""  # of the run of the MCP before this one: what comes of it now comes late
        self.sequence = 0
        self.whole = False
        self.heard = NEVER  # when the last batch came
        self._part = 0  # the last part of a set that is being reported; 0: none is
        self._live: dict[int, Told] = {}
        self._flows: dict[FlowKey, Told] = {}
        self._tokens: dict[Token, int] = {}  # token -> how many live sessions have it
        # What lived in the run of the MCP before this one, as that run told last; empty once it was compared.
        self._flows_before: dict[FlowKey, Told] = {}
        self._tokens_before: dict[Token, int] = {}
        self.restarted = NEVER  # when this run was heard first, where another one was heard before it
        self.overflowed = False
        # Live sessions of this set that could not be added: their ids, and how many more there are, as far as ends of ids that
        # are unknown tell.
        self._left_out: set[int] = set()
        self._more_left_out = 0

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, number: int) -> bool:
        return number in self._live

    def is_last(self, given: McpSessions) -> bool:
        """Whether this is the last batch once more, which was sent again."""
        return (given.generation, given.sequence) == (self.generation, self.sequence)

    def follows(self, given: McpSessions) -> bool:
        """Whether this batch is the next one, so that it has to be taken. A run that is over has no next one."""
        if given.part == 1:
            return given.generation != self._generation_before
        if given.generation != self.generation or given.sequence != self.sequence + 1:
            return False
        # Part 0 stands for changes. They may follow when no set is incomplete.
        return given.part == (self._part + 1 if self._part else 0)

    def begin(self, given: McpSessions, now: float) -> None:
        """Begin to take a batch. Part 1 of a set makes all earlier reports void. A new generation says that the MCP
        has restarted: what lived in the run before it has died with that run."""
        if given.part == 1:
            if self.generation and given.generation != self.generation:
                # A run that was too short to be compared hides nothing of the one before it.
                if self.whole and not self._flows_before:
                    self._flows_before, self._tokens_before = self._flows, self._tokens
                self.restarted, self._generation_before = now, self.generation
            self._live, self._flows, self._tokens = {}, {}, {}
            self.whole = self.overflowed = False
            self._left_out, self._more_left_out = set(), 0
        self.generation, self.sequence, self.heard = given.generation, given.sequence, now
        self._part = 0 if given.last else given.part

    def complete(self) -> None:
        """The last part of a set was reported."""
        self.whole = not self.overflowed

    def add(self, number: int, told: Told) -> None:
        """Add a session that lives."""
        self._left_out.discard(number)
        self._live[number] = told
        self._flows[told.flow] = told
        if told.token >= 0:
            self._tokens[told.token] = self._tokens.get(told.token, 0) + 1

    def full(self, number: int) -> None:
        """A live session could not be added. From now on sessions that are missing here may live, until a whole set
        is reported."""
        self.overflowed = True
        self.whole = False
        if number in self._left_out:
            return
        if len(self._left_out) < LEFT_OUT:
            self._left_out.add(number)
        else:
            self._more_left_out += 1

    def fits_again(self, most: int) -> bool:
        """Whether a session could not be added, and all that live would leave a sixteenth of `most` free now. With less an MCP whose
        sessions swing around the bound would tell its whole set at each swing."""
        if not self.overflowed:
            return False
        free = most - len(self) - len(self._left_out) - self._more_left_out
        return free >= max(1, -(-most // FREE))

    def remove(self, number: int) -> Told | None:
        """Remove a session that has ended, and return it; None for an unknown number."""
        told = self._live.pop(number, None)
        if told is None:
            # Others were never left out: those that were refused as another MCP's, or an end that is told twice.
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
        """Every session was compared with a whole set of this run: the run before it is forgotten."""
        if self.whole and (self._flows_before or self._tokens_before):
            self._flows_before, self._tokens_before = {}, {}

    def is_true(self, now: float) -> bool:
        """Whether the ledger is up to date: sessions in it live at the MCP, and sessions that are missing in it do
        not."""
        return self.whole and now - self.heard <= SILENT

    def lives(self, session: Session) -> bool:
        """Whether the MCP has reported this session, by its token or by its first flow. If so, both are linked."""
        told = self._flows.get(session.first)
        if told is not None and (told.token < 0 or session.token in (-1, told.token)):
            told.session = told.session or session.id
            return told.session == session.id
        return session.token >= 0 and session.token in self._tokens

    def came_first(self, session: Session) -> bool:
        """A session has begun here that the MCP has reported by its flow before. Both are linked, also where the report was
        taken for that of an older session on this flow. Whether it is plain TCP at the MCP."""
        told = self._flows.get(session.first)
        if told is None or (told.token >= 0 and session.token not in (-1, told.token)):
            return False
        told.session, told.early = session.id, True
        return told.token < 0

    def lived(self, session: Session) -> bool:
        """Whether the run of the MCP before this one has reported this session, and not its end."""
        told = self._flows_before.get(session.first)
        if told is not None and (told.token < 0 or session.token in (-1, told.token)):
            return told.session in (0, session.id)
        return session.token >= 0 and session.token in self._tokens_before
