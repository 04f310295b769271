"""What became of SYNs that were led to MCPs: by MCP, by the port that they came in at, and by their source.

A host can send SYNs that no MCP answers (a wrong checksum, a TTL that ends on the way), and the controller does not see that. So
an outcome speaks of its MCP as this source at this port met it, and nobody's failures outweigh that others are served.
"""

from collections import deque
from collections.abc import Mapping

from steering.core.sessions.flow_key import origin_of
from steering.core.sessions.records import UNANSWERED, Session, Subflow
from steering.core.sessions.table import SessionTable
from steering.model.ids import McpId, WaypointId
from steering.model.network import PortRole
from steering.model.session import SessionState

PATIENCE = 0.3  # seconds in which an MCP answers a SYN
WINDOW = 10.0  # seconds for which outcomes count
KEPT = 64  # failures whose time and source are kept, the youngest; all are counted
SERVED = 8  # sources that were served last, of which the same is kept
JOINS = 10_000  # joins that wait to be judged
JUDGED_AT_ONCE = 2_500  # numbers of sessions

# Members under names of their own: core.sessions.records says why.
SYN_PINNED, GATEWAY = SessionState.SYN_PINNED, PortRole.GATEWAY


class Tally:
    """Failures and successes of one kind within a window. Times are those at which the SYNs came."""

    __slots__ = ("_bad", "_base", "_failed", "_good", "_samples", "_served")

    def __init__(self) -> None:
        self._bad = self._good = 0  # totals
        self._failed: deque[tuple[float, bytes]] = deque(maxlen=KEPT)
        self._served: dict[bytes, float] = {}  # source -> its youngest SYN that was served, the youngest last
        self._base = (0, 0)  # totals when the window began
        self._samples: deque[tuple[float, int, int]] = deque()  # time of a look, totals then

    def failed(self, source: bytes, came: float) -> None:
        self._bad += 1
        self._failed.append((came, source))

    def served(self, source: bytes, came: float) -> None:
        self._good += 1
        self._keep(source, came)

    def served_all(self, count: int, youngest: Mapping[bytes, float]) -> None:
        """So many were served; `youngest` of them, those that count: source -> its youngest, the youngest last."""
        self._good += count
        for source, came in youngest.items():
            self._keep(source, came)

    def _keep(self, source: bytes, came: float) -> None:
        came = max(came, self._served.pop(source, came))
        if len(self._served) >= SERVED:
            del self._served[next(iter(self._served))]
        self._served[source] = came

    def look(self, now: float) -> None:
        """Note the totals as they are, so that `since` can tell what came later."""
        while self._samples and self._samples[0][0] < now - WINDOW:
            self._base = self._samples.popleft()[1:]
        last = self._samples[-1][1:] if self._samples else self._base
        if last != (self._bad, self._good):
            self._samples.append((now, self._bad, self._good))

    def since(self, start: float) -> tuple[int, int]:
        """Failures and successes that were told since a time."""
        bad, good = self._base
        for at, bad_then, good_then in self._samples:
            if at > start:
                break
            bad, good = bad_then, good_then
        return self._bad - bad, self._good - good

    def first_failure(self, last: int) -> float:
        """When the first of the last so many failed SYNs came, as far as it is kept."""
        kept = min(last, len(self._failed))
        return self._failed[-kept][0] if kept else float("inf")

    def serves_others(self, since: float) -> bool:
        """Whether a SYN that came at this time or later was served, of a source whose later SYNs did not fail."""
        last = {source: came for came, source in self._failed}
        return any(came >= since and came > last.get(source, -1.0) for source, came in self._served.items())

    @property
    def last_served(self) -> float:
        """When the youngest SYN that was served came."""
        return max(self._served.values(), default=float("-inf"))


class McpAtPort:
    """How one MCP serves those who come in at one port."""

    __slots__ = ("answered", "answers", "last", "syns")

    def __init__(self) -> None:
        self.last = 0.0  # when something of it was looked at
        # First SYNs that were answered with MPTCP since: when each came, and from where. The next look counts them, at most
        # one for each session that began since.
        self.answered: list[tuple[float, bytes]] = []
        self.syns = Tally()  # first SYNs and joins: unanswered, or answered
        self.answers = Tally()  # first answers: without MPTCP, or with it

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


class SynOutcomes:
    """`at`: outcomes by MCP and by the waypoint where SYNs came in; pairs that are quiet are not kept. Of a large site these are
    many, so a look is at those alone of which something came."""

    def __init__(self, table: SessionTable) -> None:
        self._table = table
        self._looked_at = 0  # the youngest session that was looked at
        self._joins: deque[tuple[float, WaypointId, Subflow]] = deque(maxlen=JOINS)
        self.at: dict[tuple[McpId, WaypointId], McpAtPort] = {}
        self._touched: dict[tuple[McpId, WaypointId], None] = {}  # since the last look
        self._cleaned = 0.0

    def pair(self, mcp: McpId, edge: WaypointId) -> McpAtPort:
        key = (mcp, edge)
        self._touched[key] = None
        known = self.at.get(key)
        if known is None:
            known = self.at[key] = McpAtPort()
        return known

    def forget(self, mcp: McpId, edge: WaypointId | None = None) -> None:
        """Begin anew with an MCP, or with it at one port."""
        for pair in [one for one in self.at if one[0] == mcp and edge in (None, one[1])]:
            del self.at[pair]

    def first_answer(self, session: Session, plain: bool) -> None:
        """An MCP answered a session's first SYN; `plain`: without MPTCP."""
        key, answered = (session.mcp, session.onset.edge), (session.created, origin_of(session.first))
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

    def joins(self, edge: WaypointId, subflow: Subflow, now: float) -> None:
        """A join was led to its session's MCP."""
        if subflow.course.role != GATEWAY:
            self._joins.append((now, edge, subflow))

    def look(self, now: float) -> list[tuple[tuple[McpId, WaypointId], McpAtPort]]:
        """Judge the SYNs that should have been answered by now, each once. Returns pairs of which something came since the
        last look."""
        self._first_syns(now)
        while self._joins and self._joins[0][0] <= now - PATIENCE:
            came, edge, subflow = self._joins.popleft()
            tally, source = self.pair(subflow.session.mcp, edge).syns, origin_of(subflow.key)
            (tally.failed if subflow.progress == UNANSWERED else tally.served)(source, came)
        touched, self._touched = self._touched, {}
        found = [(key, self.at[key]) for key in touched if key in self.at]
        for _, pair in found:
            pair.look(now)
        if now - self._cleaned >= 1.0:
            self._cleaned = now
            for key in [key for key, pair in self.at.items() if pair.last < now - WINDOW]:
                del self.at[key]
        return found

    def _first_syns(self, now: float) -> None:
        """First SYNs that nobody answered; of a great many some now, and some at the next look."""
        table = self._table
        found, self._looked_at = table.half_open.following(self._looked_at, table.youngest, JUDGED_AT_ONCE)
        for session in found:
            if session.created > now - PATIENCE:
                self._looked_at = session.id - 1
                break
            if session.mcp and not session.reverse and session.state is SYN_PINNED:
                tally = self.pair(session.mcp, session.onset.edge).syns
                tally.failed(origin_of(session.first), session.created)
