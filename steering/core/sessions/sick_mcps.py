"""MCPs that answer and serve nothing: first SYNs and joins that they leave unanswered, or sessions that only at them fall
back to plain TCP, above a ratio.

A SYN is unanswered when its SYN/ACK was not seen within PATIENCE. Evidence counts within a window; of little traffic nothing is
said. A sick MCP gets no new sessions, unless the policy wants otherwise, and so no new evidence: after a while, which doubles
each time, it is tried again. Its sessions are left alone. What was seen more often than copies of SYN/ACKs are shown proves
nothing.
"""

from collections import deque
from collections.abc import Mapping

from steering.core.counters import Counters
from steering.core.outputs import Output
from steering.core.part import McpsChange, Part
from steering.core.selection.mcp_health import McpHealth
from steering.core.sessions.table import SessionTable
from steering.model.ids import McpId
from steering.model.policy import Policy
from steering.model.session import SessionState

PERIOD = 0.1  # seconds between looks
PATIENCE = 0.3  # seconds in which an MCP answers a SYN
WINDOW, RECENT = (
    10.0,
    1.0,
)  # seconds for which evidence counts: of little traffic, and of much, which tells sooner
FIRST_REST, LONGEST_REST = 5.0, 60.0  # seconds without new sessions, then it is tried again
MOST = 10_000  # SYNs of a window: of more, some answers were not shown


class McpEvidence:
    """What was seen of one MCP since a window began. Totals only grow; here is what they were then."""

    __slots__ = (
        "answers", "begun", "fallbacks", "history", "join_answers", "late", "overdue", "rest", "samples", "until",
    )  # fmt: skip

    def __init__(self) -> None:
        self.rest = FIRST_REST
        self.until: float | None = None  # it is sick and rests until then
        self.samples: deque[tuple[float, int]] = deque()  # time, joins so far
        self.history: deque[tuple[float, int, int]] = (
            deque()
        )  # time, SYNs left unanswered and answered by then
        self.begun = float("-inf")
        self.late = 0  # first SYNs that were not answered in time
        self.answers = self.fallbacks = self.join_answers = 0
        self.overdue = 0  # joins that should have been answered when the window began

    def recent(self, late: int, served: int, now: float) -> tuple[int, int]:
        """Of SYNs that were left unanswered in this window, and that were answered, those of late."""
        self.history.append((now, late, served))
        while self.history[0][0] < now - RECENT:
            self.history.popleft()
        _, before, served_before = self.history[0]
        return late - before, served - served_before

    def overdue_joins(self, answered: int, now: float) -> int:
        """Joins without an answer that were sent to it so long ago that they must have one."""
        while len(self.samples) > 1 and self.samples[1][0] <= now - PATIENCE:
            self.samples.popleft()
        sent = self.samples[0][1] if self.samples and self.samples[0][0] <= now - PATIENCE else 0
        return max(0, sent - answered)


class SickMcps(Part):
    """`bad`: MCPs that are sick, by id, and what was seen. `health` is of each MCP."""

    def __init__(
        self, table: SessionTable, counters: Counters, health: Mapping[McpId, McpHealth], policy: Policy
    ) -> None:
        self._table = table
        self._counters = counters
        self._health = health
        self._policy = policy
        self._due = 0.0
        self._looked_at = 0  # the youngest session that was looked at
        self._seen: dict[McpId, McpEvidence] = {}
        self.bad: dict[McpId, str] = {}

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        self._policy = policy
        for number in self.bad if not policy.avoid_sick else ():
            self._health[number].sick = False
        return []

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        for number in {*change.gone, *change.others}:
            self._seen.pop(number, None)
            self.bad.pop(number, None)
        return []

    def due(self) -> float:
        return self._due

    def tick(self, now: float) -> list[Output]:
        """Look at what was left unanswered."""
        self._due = now + PERIOD
        for number in self._health:
            if number not in self._seen:
                self._seen[number] = McpEvidence()
                self._begin(number, self._seen[number], now)
        self._count_late(now)
        for mcp, evidence in self._seen.items():
            evidence.samples.append((now, self._counters.joins_of[mcp]))
            why = self._why(mcp, evidence, now)
            if evidence.until is not None and now >= evidence.until:
                evidence.until, self._health[mcp].sick = None, False
                self._begin(mcp, evidence, now)
            elif why and evidence.until is None:
                self.bad[mcp] = why
                evidence.until = now + evidence.rest
                evidence.rest = min(LONGEST_REST, 2 * evidence.rest)
                self._health[mcp].sick = self._policy.avoid_sick
            elif now - evidence.begun >= WINDOW and evidence.until is None:
                if self._counters.answers_of[mcp] > evidence.answers:
                    self.bad.pop(mcp, None)
                    evidence.rest = FIRST_REST
                self._begin(mcp, evidence, now)
        return []

    def _begin(self, mcp: McpId, evidence: McpEvidence, now: float) -> None:
        """A window begins."""
        evidence.history.clear()
        counters = self._counters
        evidence.begun, evidence.late = now, 0
        evidence.answers, evidence.fallbacks = counters.answers_of[mcp], counters.fallbacks_of[mcp]
        evidence.join_answers = counters.join_answers_of[mcp]
        evidence.overdue = evidence.overdue_joins(evidence.join_answers, now)

    def _count_late(self, now: float) -> None:
        """First SYNs that nobody answered, each once."""
        youngest = self._looked_at
        for session in reversed(self._table.half_open.values()):  # the youngest first
            if session.id <= self._looked_at:
                break
            if session.created > now - PATIENCE:
                continue
            youngest = max(youngest, session.id)
            evidence = self._seen.get(session.mcp)
            if evidence is not None and not session.reverse and session.state is SessionState.SYN_PINNED:
                evidence.late += 1
        self._looked_at = youngest

    def _why(self, mcp: McpId, evidence: McpEvidence, now: float) -> str:
        """Why an MCP is sick; empty where it is not, or nothing can be said."""
        terms, counters = self._policy.alarms, self._counters
        answers = counters.answers_of[mcp] - evidence.answers
        joined = counters.join_answers_of[mcp]
        late = evidence.late + max(0, evidence.overdue_joins(joined, now) - evidence.overdue)
        served = answers + joined - evidence.join_answers
        recent = evidence.recent(late, served, now)
        if late + served > MOST:
            return ""
        for unanswered, answered in ((late, served), recent):
            if unanswered >= max(terms.sick_count, terms.sick_ratio * (unanswered + answered)):
                return f"{unanswered} of {unanswered + answered} SYNs were not answered"
        fallbacks = counters.fallbacks_of[mcp] - evidence.fallbacks
        if answers >= terms.fallback_count and fallbacks >= terms.sick_ratio * answers:
            others, fell = self._elsewhere(mcp)
            if others >= terms.fallback_count and fell < terms.sick_ratio / 2 * others:
                return (
                    f"{fallbacks} of {answers} sessions fell back to plain TCP, elsewhere {fell} of {others}"
                )
        return ""

    def _elsewhere(self, mcp: McpId) -> tuple[int, int]:
        """First answers of all other MCPs in their windows, and fallbacks among them: where those are as many, it is not
        this MCP's doing."""
        answers = fallbacks = 0
        for number, evidence in self._seen.items():
            if number != mcp:
                answers += self._counters.answers_of[number] - evidence.answers
                fallbacks += self._counters.fallbacks_of[number] - evidence.fallbacks
        return answers, fallbacks
