"""What lives at one MCP, by its own word: the controller's half of a relay's report (docs/relay-reports.rst).

Nothing here is believed of another MCP's sessions: the ledger only says what one MCP told, and in which order.
"""

from steering.core.inputs import McpSessions
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.records import Session
from steering.model.ids import Token

NEVER = float("-inf")
SILENT = 5.0  # seconds without a batch after which a ledger proves nothing any more


class Told:
    """A session that lives at the MCP. `session`: the id of the record that it is, 0 for none that is known."""

    __slots__ = ("flow", "session", "token")

    def __init__(self, token: Token, flow: FlowKey, session: int) -> None:
        self.token = token
        self.flow = flow
        self.session = session


class McpLedger:
    """One MCP. `whole`: that a whole set was told, and everything since; only then what is not here does not live."""

    def __init__(self) -> None:
        self.generation = ""
        self.sequence = 0
        self.whole = False
        self.heard = NEVER  # when a batch came last
        self._part = 0  # of the set that is being told; 0: none is
        self._live: dict[int, Told] = {}
        self._flows: dict[FlowKey, Told] = {}
        self._tokens: dict[Token, int] = {}  # token -> how many live sessions have it
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, number: int) -> bool:
        return number in self._live

    def is_last(self, given: McpSessions) -> bool:
        """Whether this is the batch that was taken last, sent again."""
        return (given.generation, given.sequence) == (self.generation, self.sequence)

    def follows(self, given: McpSessions) -> bool:
        """Whether this batch may be taken now; what it tells is to be taken then."""
        if given.part == 1:
            return True
        if given.generation != self.generation or given.sequence != self.sequence + 1:
            return False
        # Part 0 is that of changes: they follow when no set is incomplete.
        return given.part == (self._part + 1 if self._part else 0)

    def begin(self, given: McpSessions, now: float) -> None:
        """The batch is taken. With part 1 of a set all that was told before is void."""
        self.generation, self.sequence, self.heard = given.generation, given.sequence, now
        if given.part == 1:
            self._live.clear()
            self._flows.clear()
            self._tokens.clear()
            self.whole = self.overflowed = False
        self._part = 0 if given.last else given.part

    def complete(self) -> None:
        """The last part of a set was told."""
        self.whole = not self.overflowed

    def add(self, number: int, told: Told) -> None:
        """A session lives."""
        self._live[number] = told
        self._flows[told.flow] = told
        if told.token >= 0:
            self._tokens[told.token] = self._tokens.get(told.token, 0) + 1

    def full(self) -> None:
        """One that lives could not be noted: from now on what is not here may live, until a whole set is told."""
        self.overflowed = True
        self.whole = False

    def remove(self, number: int) -> Told | None:
        """A session lives no more; None for a number that is not known."""
        told = self._live.pop(number, None)
        if told is None:
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

    def is_true(self, now: float) -> bool:
        """Whether what is here lives at the MCP, and what is not here does not."""
        return self.whole and now - self.heard <= SILENT

    def lives(self, session: Session) -> bool:
        """Whether the MCP told of this session, by its token or by its first flow; it is tied to what was told."""
        told = self._flows.get(session.first)
        if told is not None and (told.token < 0 or session.token in (-1, told.token)):
            told.session = told.session or session.id
            return told.session == session.id
        return session.token >= 0 and session.token in self._tokens
