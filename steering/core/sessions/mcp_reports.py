"""Handles the reports of MCPs about their sessions (docs/relay-reports.rst). A session that has ended at its MCP, or that its
MCP never had, ends here, too.

By a restart, an MCP loses the sessions that it had. Unless their FINs were seen before, these sessions are aborted like those
of a dead MCP (sessions.dead_mcps).

The controller may miss a SYN/ACK or a FIN, because copies of segments are metered. The MCP knows both. An MCP is trusted only
about its own sessions. A report about a session of another MCP is refused, and counted under the name of the reporting MCP.
"""

from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from steering.core.counters import Counters, ReportRefusal, SessionReport
from steering.core.inputs import McpSessions, SessionBegan, SessionOver
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output, Steer, SweepEntries
from steering.core.part import McpsChange, Part
from steering.core.sessions.early_reports import EarlyReports, used_again
from steering.core.sessions.first_answer import FirstAnswers
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.core.sessions.mcp_ledger import SILENT, McpLedger, ReportedSession
from steering.core.sessions.network_view import (
    STANDING,
    ended,
    ended_in_order,
    is_aborted,
    is_addressed,
    unanswered,
)
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.set_comparison import SetComparison
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.model.ids import NO_TOKEN, DatapathId, McpId, Token
from steering.model.network import PortRole
from steering.model.session import SessionState

GRACE = 2.0  # seconds in which an MCP must report a session whose handshake is complete
CHECKED_EACH_TICK = 2_000  # most sessions that are looked up in their MCP's ledger in one tick
# Most sessions that are over at their MCP and are examined in one tick: 10 ms, if all of them go.
LEFT_EACH_TICK = 1_000
# Seconds for which entries stay after an orderly end: with a token, and for plain TCP. MPTCP sends FINs when all data was
# acknowledged. A plain connection may have to repeat its last segment.
LAST_ACKS, LAST_SEGMENTS = 0.5, 2.0
QUIET = 2.0  # if FINs were not seen: seconds without a packet after which no segment can be under way
COUNTED_EACH_S = 10_000  # most entries per second whose counters are read for this


class ReportOutcome(NamedTuple):
    """The result of a batch: outputs, and the tokens that became known by it."""

    outputs: list[Output]
    tokens: tuple[Token, ...] = ()


class McpReports(Part):
    """Takes reports of MCPs.

    `recovering` returns whether the entries of some switches were not read yet. `ledgers`: by MCP; only this part changes
    them, others read them. `cut_off` aborts a session that its MCP has lost by a restart, and returns whether this is news.
    `attempted` begins the session of a SYN that came on a live subflow's flow, if there was one (handshakes.new_attempts).
    `early`: reports about sessions whose SYN was not handled yet.
    """

    def __init__(
        self,
        sitemap: SiteMap,
        table: SessionTable,
        teardown: Teardown,
        first_answers: FirstAnswers,
        counters: Counters,
        recovering: Callable[[], bool],
        ledgers: dict[McpId, McpLedger],
        cut_off: Callable[[Session], bool],
        attempted: Callable[[McpId, FlowKey, float], list[Output]],
    ) -> None:
        self._map = sitemap
        self._table = table
        self._teardown = teardown
        self._first_answers = first_answers
        self._counters = counters
        self._recovering = recovering
        self._ledgers = ledgers
        self._cut_off = cut_off
        self._attempted = attempted
        self._looked_at = 0  # the youngest session for which an early report was looked for
        self._checked = 0  # the youngest session that was checked; all older ones were, too
        self._dissolved: list[McpLedger] = []  # of MCPs that were removed or replaced, until they are freed
        self._comparison = SetComparison(table, ledgers)
        self._leaving: dict[int, float] = {}  # session -> when its MCP reported its end
        self.early = EarlyReports(counters)
        # Sessions whose begin and end were reported before their SYN was handled -> whether the end was orderly.
        self._early_ends: dict[int, bool] = {}
        self._counted: dict[DatapathId, float] = {}  # switch -> when its counters were read last
        self._count_at = 0.0  # time of the next reading of counters

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """Forget the reports of MCPs that were removed or replaced."""
        for number in {*change.gone, *change.others}:
            ledger = self._ledgers.pop(number, None)
            if ledger is not None:
                ledger.dissolve()
                self._dissolved.append(ledger)
            self.early.forget(number)
        return []

    def taken(self, mcp: McpId) -> tuple[str, int] | None:
        """The generation and sequence number of the last batch that was taken from an MCP, None if there was none."""
        ledger = self._ledgers.get(mcp)
        return None if ledger is None else (ledger.generation, ledger.sequence)

    # ---- a batch --------------------------------------------------------------------------------

    def reported(self, given: McpSessions, now: float) -> ReportOutcome:
        """Take a batch of an MCP, completely or not at all. If it is refused, the MCP will send its whole set."""
        mcp = self._map.mcps.get(given.mcp)
        if mcp is None:
            return ReportOutcome([])
        ledger = self._ledgers.get(given.mcp)
        if ledger is None:
            ledger = self._ledgers[given.mcp] = McpLedger(self._table.limits.sessions)
        if ledger.is_last(given):
            ledger.heard = now
            return ReportOutcome([])
        if self._recovering():
            return self._refused(given.mcp, ReportRefusal.RECOVERING)
        if not ledger.follows(given, now):
            return self._refused(given.mcp, ReportRefusal.OUT_OF_ORDER)
        # A ledger that is not whole cannot prove that a session is gone. As soon as there is room, a whole set is wanted.
        if not given.part and ledger.fits_again(self._table.limits.sessions):
            return self._refused(given.mcp, ReportRefusal.INCOMPLETE)
        if now - ledger.heard > SILENT:
            self._comparison.want(given.mcp)
        ledger.begin(given, now)
        outputs: list[Output] = []
        tokens: list[Token] = []
        again = used_again(given.events)
        for event in given.events:
            if isinstance(event, SessionBegan):
                token = self._began(given.mcp, ledger, event, again.get(event.id), outputs, now)
                if token >= 0:
                    tokens.append(token)
            else:
                outputs += self._over(given.mcp, ledger, event, now)
        ledger.settle()
        if given.part and given.last:
            ledger.complete()
            self._comparison.want(given.mcp)
        return ReportOutcome(outputs, tuple(tokens))

    def _refused(self, mcp: McpId, why: ReportRefusal) -> ReportOutcome:
        self._counters.session_reports_refused[self._map.mcps[mcp].name, why] += 1
        return ReportOutcome([])

    def _began(
        self,
        mcp: McpId,
        ledger: McpLedger,
        event: SessionBegan,
        last: bool | None,
        outputs: list[Output],
        now: float,
    ) -> Token:
        """Take the report of a live session. Returns the token that became known by it, or NO_TOKEN. `last`: whether this
        session is the last of several on the same flow in the batch; None if it is the only one."""
        flow = flow_key(event.src, event.dst, event.sport, event.dport)
        known = self._table.flows.get(flow)
        if self._foreign(mcp, event.token) or (known is not None and known.session.mcp != mcp):
            self._refused(mcp, ReportRefusal.FOREIGN)
            return NO_TOKEN
        if event.id in ledger:
            self._refused(mcp, ReportRefusal.REPEATED)
            return NO_TOKEN
        if len(ledger) >= self._table.limits.sessions:
            self._refused(mcp, ReportRefusal.FULL)
            ledger.full(event.id)
            return NO_TOKEN
        self._counters.session_reports[SessionReport.BEGAN] += 1
        told = ReportedSession(event.token, flow, 0)
        ledger.add(event.id, told)
        if last is not False and (known is None or self._is_of_a_later_one(known, event.token, ledger)):
            outputs += self._attempted(mcp, flow, now)
            known = self._table.flows.get(flow)
        session = known.session if known is not None and known.session.first == flow else None
        if last is False and not (session is not None and ended(session)):
            return NO_TOKEN  # the record on this flow may belong to a later session
        # If the session of the record is over already, the report is about another session.
        told.early = event.token < 0 and (
            known is None or (session is not None and session.id in self._leaving)
        )
        told.again = bool(last)  # more SYNs on this flow may still come
        if told.early or told.again:
            self.early.began(mcp, flow, now, told.again)
        if told.early:
            return NO_TOKEN
        if session is None or not ledger.lives(session):
            return NO_TOKEN
        return self._lives(session, event.token, outputs, now)

    def _is_of_a_later_one(self, known: Subflow, token: Token, ledger: McpLedger) -> bool:
        """Whether a report of a live session on the flow of a subflow is about a later session than the subflow's."""
        session = known.session
        over = session.id in self._leaving or session.ending or session.created < ledger.restarted
        if session.first != known.key or over:
            return True
        # One whose host did not take it up as MPTCP falls back after its answer, so it is plain TCP at its MCP alone.
        fell_back = token < 0 and session.state not in STANDING
        return 0 <= session.token != token and not fell_back

    def _lives(self, session: Session, token: Token, outputs: list[Output], now: float) -> Token:
        """A session is live by its MCP's report. Returns the token that became known by it, or NO_TOKEN."""
        if session.reverse or session.unit is not None or not unanswered(session, token):
            self._teardown.heard(session)
            return NO_TOKEN
        self._counters.session_reports[SessionReport.HEALED] += 1
        self._first_answers.told(session, token, now)
        outputs.append(Steer(session.entries(PortRole.GATEWAY), None))
        return token

    def _foreign(self, mcp: McpId, token: Token) -> bool:
        """Whether sessions of other MCPs have a token, and no session of this MCP."""
        if token < 0:
            return False
        owners = {session.mcp for session in self._table.with_token(token) if session.token == token}
        return bool(owners) and mcp not in owners

    def _over(self, mcp: McpId, ledger: McpLedger, event: SessionOver, now: float) -> list[Output]:
        """Take the report of a session's end."""
        told = ledger.remove(event.id)
        if told is None:
            if self._foreign(mcp, event.token):
                self._refused(mcp, ReportRefusal.FOREIGN)
            return []
        self._counters.session_reports[SessionReport.ENDED] += 1
        session = self._table.by_id.get(told.session)
        if session is None and not told.session and told.token >= 0:
            owners = self._table.with_token(told.token)
            session = owners[0] if len(owners) == 1 and owners[0].token == told.token else None
        if told.again or (told.early and not told.session):
            self.early.ended(mcp, told.flow, event.orderly, now, told.again)
        if told.early:
            if session is not None:
                self._early_ends[session.id] = event.orderly
            return []
        return [] if session is None or session.mcp != mcp else self._end(session, event.orderly, now)

    def _end(self, session: Session, orderly: bool, now: float) -> list[Output]:
        """End a session that has ended at its MCP: at once, or after an orderly end when its last segments have passed."""
        if is_aborted(session):
            return []
        if not orderly:
            return self._teardown.end(session)
        self._leaving.setdefault(session.id, now)
        self._teardown.ended_at_mcp(session)
        return []

    # ---- time -----------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Output]:
        """End sessions whose last segments have passed, and sessions that their MCP does not have."""
        outputs = self._leave(now) if self._leaving else []
        if self._early_ends:
            outputs += self._end_early(now)
        for ledger in self._ledgers.values():
            ledger.free_some()
        if self._dissolved and not self._dissolved[0].free_some():
            del self._dissolved[0]
        for session in self._comparison.sessions(CHECKED_EACH_TICK):
            outputs += self._check(session, now)
        return outputs + self._check_young(now)

    def _check_young(self, now: float) -> list[Output]:
        """Check new sessions, each once, when their MCP must have reported them."""
        youngest = self._table.youngest
        outputs: list[Output] = []
        if self.early:
            self.early.expire(now)
            new = range(self._looked_at + 1, youngest + 1)
            for begun in filter(None, map(self._table.by_id.get, new)):
                self._take_early(begun, outputs, now)
        self._looked_at = youngest
        # Numbers are in order of age, so no queue of the young sessions is needed.
        for number in range(self._checked + 1, min(youngest, self._checked + CHECKED_EACH_TICK) + 1):
            session = self._table.by_id.get(number)
            if session is not None:
                told_by, ledger = self._told_by(session), self._ledgers.get(session.mcp)
                if told_by > now or (ledger is not None and ledger.heard < told_by and ledger.is_true(now)):
                    break  # its MCP may report it with its next batch
                outputs += self._check(session, now)
            self._checked = number
        return outputs

    def _take_early(self, session: Session, outputs: list[Output], now: float) -> None:
        """Apply the MCP's early report to a session that has just begun, if there is one."""
        early, ledger = self.early.take(session.mcp, session.first), self._ledgers.get(session.mcp)
        if early is None or ledger is None:
            return
        if early.over:
            self._early_ends[session.id] = early.orderly
        elif ledger.came_first(session):
            self._lives(session, NO_TOKEN, outputs, now)

    def _end_early(self, now: float) -> list[Output]:
        """End sessions that were reported before their SYN was handled, and whose end was reported.

        The SYN may belong to another session that follows on the same flow. Then the MCP reports this session, too, as soon
        as its host has answered the SYN/ACK. So the end is delayed until then.
        """
        outputs: list[Output] = []
        for number, orderly in list(self._early_ends.items()):
            session = self._table.by_id.get(number)
            ledger = None if session is None else self._ledgers.get(session.mcp)
            if session is None or ledger is None:
                del self._early_ends[number]
                continue
            # If no segment of the host was seen, the SYN/ACK may have to be repeated (half_open).
            grace = GRACE if session.state in STANDING else self._teardown.timers.half_open / 2
            if ledger.heard >= session.created + grace and ledger.is_true(now):
                del self._early_ends[number]
                if not ledger.lives(session):
                    outputs += self._end(session, orderly, now)
        return outputs

    def _check(self, session: Session, now: float) -> list[Output]:
        """End a session that its MCP does not have. A session that has just begun is checked later."""
        ledger = self._ledgers.get(session.mcp)
        if ledger is None or not ledger.is_true(now):
            return []
        # An answered session is looked up, too: its switch may tell only later, or never, that its host took it up.
        state = session.state
        found = state is SessionState.SYN_PINNED and session.ruling is None  # half open before a restart
        known = found or state is SessionState.ANSWERED or state in STANDING
        if not known or session.id in self._leaving or ledger.lives(session):
            return []
        if is_aborted(session):
            return []
        lived = ledger.lived(session)
        # A session that a server opened may be reported with the addresses of its other leg. A session to an MCP's own
        # address may belong to another program at the MCP.
        if not lived and (self._told_by(session) > ledger.heard or session.reverse or is_addressed(session)):
            return []
        if lived or session.created < ledger.restarted:
            if ended_in_order(session):  # before the restart, but the MCP could not report the end any more
                self._leaving.setdefault(session.id, now)
                self._teardown.ended_at_mcp(session)
                return []
            self._counters.session_reports[SessionReport.CUT_OFF] += self._cut_off(session)
            return []
        self._counters.session_reports[SessionReport.ABSENT] += 1
        return self._teardown.end(session)

    def _told_by(self, session: Session) -> float:
        """The time by which its MCP must have reported a session, because its handshake is complete or given up by then: a batch of
        this time or later says whether it lives. The handshake of a session that was read back was complete before."""
        return session.created + (GRACE if session.ruling is None else self._teardown.timers.half_open)

    def _leave(self, now: float) -> list[Output]:
        """End sessions that are over at their MCP, as soon as none of their segments can be under way. If there are very many,
        they have their turns one after the other: where no copies of FINs come, they wait until counters were read."""
        outputs: list[Output] = []
        late: set[DatapathId] = set()
        for number, since in list(islice(self._leaving.items(), LEFT_EACH_TICK)):
            del self._leaving[number]
            session = self._table.by_id.get(number)
            if session is None:
                continue
            if now >= since + (LAST_ACKS if session.token >= 0 else LAST_SEGMENTS):
                if ended(session) or self._quiet(session, since, now):
                    outputs += self._teardown.end(session)
                    continue
                late |= {subflow.dpid for subflow in session.subflows}
            self._leaving[number] = since  # behind all others
        if late and now >= self._count_at:
            self._count_at = now + 1.0 + len(self._table.flows) / COUNTED_EACH_S
            outputs += [SweepEntries(dpid) for dpid in sorted(late)]
        return outputs

    def counted(self, dpid: DatapathId, asked_at: float) -> None:
        """All counters of a switch were read, with values of `asked_at` or later. Teardown.counted has recorded the activity
        of subflows before."""
        if self._leaving:
            self._counted[dpid] = asked_at

    def _quiet(self, session: Session, since: float, now: float) -> bool:
        """Whether the counters of a session's entries do not grow any more. For a session without entries: whether a fixed
        time has passed."""
        if not all(subflow.waypoint for subflow in session.subflows):
            return now >= since + self._teardown.timers.fin_linger
        for subflow in session.subflows:
            read = self._counted.get(subflow.dpid, 0.0)
            if read < since + QUIET or read < subflow.active + QUIET:
                return False
        self._counters.session_reports[SessionReport.LATE] += 1
        return True
