"""Outcomes of SYNs that were led to MCPs, by MCP, ingress port and source.

A host can send SYNs that no MCP answers (with a wrong checksum, or a TTL that runs out on the way), and the controller cannot
see this. Therefore failures are kept with their source and port, and they do not count against an MCP that serves other
sources meanwhile. A SYN has failed if it has no answer after the time that the MCP's answers to SYNs from this port need
(sessions.answer_delays).
"""

from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush
from typing import NamedTuple

from steering.core.sessions.answer_delays import PATIENCE, QUICK, AnswerDelays
from steering.core.sessions.flow_key import FlowKey, source_of
from steering.core.sessions.record_pages import UNANSWERED
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.table import SessionTable
from steering.model.ids import McpId, WaypointId
from steering.model.network import PortRole
from steering.model.session import SessionState

WINDOW = 10.0  # seconds for which outcomes count
KEPT = 64  # latest failures that are kept with time and source; all are counted
SERVED = 8  # sources served last that are kept, each with the time of its latest SYN
JOINS = 10_000  # most joins that wait to be judged
MOST_OPEN = 10_000  # most SYNs without an answer at MCPs whose answers take longer than PATIENCE
JUDGED_AT_ONCE = 2_500  # most numbers of sessions that are examined in one check

# Names for members of enums: core.sessions.records says why.
SYN_PINNED, GATEWAY = SessionState.SYN_PINNED, PortRole.GATEWAY


class Tally:
    """Failures and successes of one kind within a window. Times are those of the SYNs."""

    __slots__ = ("_bad", "_base", "_failed", "_good", "_samples", "_served")

    def __init__(self) -> None:
        self._bad = self._good = 0  # totals
        self._failed: deque[tuple[float, bytes]] = deque(maxlen=KEPT)
        self._served: dict[bytes, float] = {}  # source -> time of its latest served SYN; the latest last
        self._base = (0, 0)  # totals at the begin of the window
        self._samples: deque[tuple[float, int, int]] = deque()  # time of a check, and totals then

    def failed(self, source: bytes, came: float) -> None:
        self._bad += 1
        self._failed.append((came, source))

    def served(self, source: bytes, came: float) -> None:
        self._good += 1
        self._keep(source, came)

    def served_all(self, count: int, youngest: Mapping[bytes, float]) -> None:
        """Count served SYNs. `youngest`: the sources served last, each with the time of its latest SYN, the latest last."""
        self._good += count
        for source, came in youngest.items():
            self._keep(source, came)

    def _keep(self, source: bytes, came: float) -> None:
        came = max(came, self._served.pop(source, came))
        if len(self._served) >= SERVED:
            del self._served[next(iter(self._served))]
        self._served[source] = came

    def look(self, now: float) -> None:
        """Record the present totals for `since`."""
        while self._samples and self._samples[0][0] < now - WINDOW:
            self._base = self._samples.popleft()[1:]
        last = self._samples[-1][1:] if self._samples else self._base
        if last != (self._bad, self._good):
            self._samples.append((now, self._bad, self._good))

    def since(self, start: float) -> tuple[int, int]:
        """The failures and successes that were counted since a time."""
        bad, good = self._base
        for at, bad_then, good_then in self._samples:
            if at > start:
                break
            bad, good = bad_then, good_then
        return self._bad - bad, self._good - good

    def first_failure(self, last: int) -> float:
        """The time of the first of the `last` latest failed SYNs, as far as they are kept."""
        kept = min(last, len(self._failed))
        return self._failed[-kept][0] if kept else float("inf")

    def serves_others(self, since: float) -> bool:
        """Whether a SYN of `since` or later was served whose source has no later failure."""
        last = {source: came for came, source in self._failed}
        return any(came >= since and came > last.get(source, -1.0) for source, came in self._served.items())

    @property
    def last_served(self) -> float:
        """The time of the latest SYN that was served."""
        return max(self._served.values(), default=float("-inf"))


class McpAtPort:
    """The outcomes of SYNs from one port at one MCP."""

    __slots__ = ("answered", "answers", "last", "syns")

    def __init__(self) -> None:
        self.last = 0.0  # time of its last check
        # Time and source of first SYNs that were answered with MPTCP since the last check, which counts them.
        self.answered: list[tuple[float, bytes]] = []
        self.syns = Tally()  # first SYNs and joins: a failure is unanswered
        self.answers = Tally()  # first answers: a failure has no MPTCP option

    def look(self, now: float) -> None:
        self.last = now
        if self.answered:
            youngest: dict[bytes, float] = {}
            for came, source in sorted(self.answered, reverse=True):
                youngest.setdefault(source, came)
                if len(youngest) == SERVED:
                    break
            youngest = dict(reversed(youngest.items()))
            self.syns.served_all(len(self.answered), youngest)
            self.answers.served_all(len(self.answered), youngest)
            self.answered.clear()
        self.syns.look(now)
        self.answers.look(now)


class OpenSyn(NamedTuple):
    """A SYN without an answer, which an MCP may still give. `due`: when it is judged. `number`: of the session that it opens,
    which `join` does not; 0 for a join."""

    due: float
    order: int
    came: float
    place: tuple[McpId, WaypointId]
    number: int
    join: Subflow | None


class SynOutcomes:
    """Outcomes by MCP and by the waypoint where the SYNs came in (`at`). Pairs without recent outcomes are not kept. A check
    only examines pairs with new outcomes, because a large site has many pairs."""

    def __init__(self, table: SessionTable) -> None:
        self._table = table
        self._looked_at = 0  # the youngest session that was examined
        self._joins: deque[tuple[float, WaypointId, Subflow]] = deque(maxlen=JOINS)
        self.at: dict[tuple[McpId, WaypointId], McpAtPort] = {}
        self._touched: dict[tuple[McpId, WaypointId], None] = {}  # pairs with new outcomes
        self._cleaned = 0.0
        self._delays = AnswerDelays()
        self._open: list[OpenSyn] = []  # a heap
        self._order = 0
        self._late: dict[tuple[McpId, WaypointId], None] = {}  # pairs with an answer that came too late

    def _source(self, key: FlowKey) -> bytes:
        """The sender of a flow's SYNs. Hosts that share an IPv6 /64 are different senders, because failures of one tell nothing about the
        others."""
        return self._table.origin_of(source_of(key))

    def pair(self, mcp: McpId, entrance: WaypointId) -> McpAtPort:
        key = (mcp, entrance)
        self._touched[key] = None
        known = self.at.get(key)
        if known is None:
            known = self.at[key] = McpAtPort()
        return known

    def forget(self, mcp: McpId, entrance: WaypointId | None = None) -> None:
        """Forget the outcomes of an MCP, or only those at one port."""
        if entrance is None:
            self._delays.forget(mcp)
        for pair in [one for one in self.at if one[0] == mcp and entrance in (None, one[1])]:
            del self.at[pair]

    def first_answer(self, session: Session, plain: bool, now: float) -> None:
        """Record an MCP's answer to a session's first SYN. `plain`: without MPTCP."""
        created = session.created
        key, answered = (session.mcp, session.onset.entrance), (created, self._source(session.first))
        if (now - created > QUICK or self._delays) and self._delays.took(*key, now - created):
            self._late[key] = None
        pair = self.at.get(key)
        if pair is not None and not plain:
            self._touched[key] = None
            pair.answered.append(answered)
            return
        pair, (came, source) = self.pair(*key), answered
        if plain:
            pair.syns.served(source, came)
            pair.answers.failed(source, came)
        else:
            pair.answered.append(answered)

    def joins(self, entrance: WaypointId, subflow: Subflow, now: float) -> None:
        """A join was led to its session's MCP. Its outcome is judged later."""
        if subflow.course.role != GATEWAY:
            self._joins.append((now, entrance, subflow))

    def look(self, now: float) -> list[tuple[tuple[McpId, WaypointId], McpAtPort]]:
        """Judge the SYNs that should have been answered by now, each once. Returns the pairs with new outcomes."""
        self._first_syns(now)
        while self._joins and self._joins[0][0] <= now - PATIENCE:
            came, entrance, subflow = self._joins.popleft()
            place = subflow.session.mcp, entrance
            if subflow.progress != UNANSWERED or not self._waits(came, place, 0, subflow, now):
                self._judge_join(came, place, subflow)
        while self._open and self._open[0].due <= now:
            _, _, came, place, number, join = heappop(self._open)
            if join is None and self._table.half_open.get(number) is None:
                continue  # answered meanwhile, or over
            if self._waits(came, place, number, join, now):
                continue  # meanwhile it is known that answers take longer
            if join is not None:
                self._judge_join(came, place, join)
            else:
                self._fail(self._table.by_id[number])
        touched, self._touched = self._touched, {}
        found = [(key, self.at[key]) for key in touched if key in self.at]
        for _, pair in found:
            pair.look(now)
        if now - self._cleaned >= 1.0:
            self._cleaned = now
            for key in [key for key, pair in self.at.items() if pair.last < now - WINDOW]:
                del self.at[key]
        return found

    def take_late(self) -> list[tuple[McpId, WaypointId]]:
        """The pairs with an answer that came after its SYN had been counted as failed, since the last call. Failures of these pairs prove
        nothing, and are forgotten here. Each such answer makes the patience longer."""
        late, self._late = list(self._late), {}
        for place in late:
            if place in self.at:
                self.at[place].syns = Tally()
        return late

    def _waits(
        self, came: float, place: tuple[McpId, WaypointId], number: int, join: Subflow | None, now: float
    ) -> bool:
        """Whether a SYN without an answer may still get one. If so, it is judged later. If too many are open, it is not judged."""
        due = came + self._delays.patience(*place)
        if due <= now:
            return False
        if len(self._open) < MOST_OPEN:
            self._order += 1
            heappush(self._open, OpenSyn(due, self._order, came, place, number, join))
        return True

    def _judge_join(self, came: float, place: tuple[McpId, WaypointId], join: Subflow) -> None:
        tally, source = self.pair(*place).syns, self._source(join.key)
        (tally.failed if join.progress == UNANSWERED else tally.served)(source, came)

    def _fail(self, session: Session) -> None:
        """Count a session's first SYN, unless it was answered, or its MCP is gone."""
        if session.mcp and not session.reverse and session.state is SYN_PINNED:
            tally = self.pair(session.mcp, session.onset.entrance).syns
            tally.failed(self._source(session.first), session.created)

    def _first_syns(self, now: float) -> None:
        """Count first SYNs without an answer. If there are very many, the rest follows at the next check."""
        table = self._table
        found, self._looked_at = table.half_open.following(self._looked_at, table.youngest, JUDGED_AT_ONCE)
        for session in found:
            if session.created > now - PATIENCE:
                self._looked_at = session.id - 1
                break
            place = session.mcp, session.onset.entrance
            if not (
                session.state is SYN_PINNED and self._waits(session.created, place, session.id, None, now)
            ):
                self._fail(session)
