"""Traces of set-ups: of a session from its first SYN until its host goes on, and of each later subflow of such a session.

It sees what goes into the engine and what comes out (openflow.traced_feed), asks a snapshot what became of a flow, and
tells the phases as spans. How spans leave is the exporter's (runtime.traces.otlp). A trace is begun for as many a second as are
wanted; what is under way is bounded in number and in time.
"""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Any

from steering.core.counters import Counters, TraceSkip
from steering.core.engine import Engine
from steering.core.inputs import Authorised, CountersRead, Input, McpSessions, SweepRead, Tick, WatchedSeen
from steering.core.outputs import NATURAL, Authorise, Output, Release, Steer
from steering.core.peer_facts import PeerTold
from steering.core.snapshots import set_up
from steering.model.session import FlowKey, Refusal, SessionState
from steering.model.set_up import SetUpFacts, SetUpOutcome, SetUpPart, SetUpSegment
from steering.model.token_bucket import TokenBucket
from steering.runtime.traces.open_trace import LONGEST, Attributes, OpenTrace, SetUpSpan, decision, ends

MOST_OPEN = 1_024  # set-ups under way that are traced
MOST_LINKED = 10_000  # traced sessions that later joins are linked to
SESSION, JOIN = "session set-up", "join"  # names of the root spans
PEER = "steering.peer"  # another controller, which passed a join on, or to which it was passed on

_NEWS = (
    Tick,
    CountersRead,
    SweepRead,
    McpSessions,
)  # may tell that a host goes on; a join tells it of its session
_ANSWERS = (PeerTold, Authorised, WatchedSeen)  # may tell what a SYN waits for
_HALF_OPEN = (SessionState.SYN_PINNED, SessionState.ANSWERED)


class SetUpTraces:
    """Watches set-ups. `begin` makes a root span of its name, the time it began and its attributes. `rate`: traces that
    begin in a second at most, and as many of joins."""

    def __init__(
        self,
        engine: Engine,
        counters: Counters,
        begin: Callable[[str, float, Attributes], SetUpSpan],
        rate: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._engine = engine
        self._counters = counters
        self._begin = begin
        self._clock = clock
        now = clock()
        self._sessions, self._joins = TokenBucket(rate, rate, now), TokenBucket(rate, rate, now)
        self._open: dict[FlowKey, OpenTrace] = {}
        self._waiting: dict[FlowKey, OpenTrace] = {}  # of them: nothing is decided yet
        self._unwritten: list[OpenTrace] = []  # decided in this turn, and waiting for no other switch
        self._unconfirmed: dict[int, OpenTrace] = {}  # by identity of the segment that waits
        self._asked: OrderedDict[int, bytes] = OrderedDict()  # question to an authoriser -> source
        self._linked: OrderedDict[int, Any] = OrderedDict()  # session -> context of its root span
        self._of_session: dict[int, OpenTrace] = {}  # those of sessions, by these
        self._refusals: dict[Refusal, int] = {}  # as they were before what is being handled
        self._segment: SetUpSegment | None = None  # what is being handled, if it is one

    @property
    def under_way(self) -> int:
        """How many traces have not ended."""
        return len(self._open)

    # ---- what the feed tells ---------------------------------------------------------------------

    def wants(self, given: Input, now: float) -> bool:
        """Whether an input begins a set-up that is to be traced, or may tell of one that is."""
        segment = self._segment = set_up.segment_of(self._engine, given)
        if segment is None:
            kind = type(given)
            # Other controllers tell of all their tokens, and watched segments may show one: only who waits for one wants to know.
            wanted = (bool(self._waiting) and kind in _ANSWERS) or (bool(self._open) and kind in _NEWS)
        elif segment.part is SetUpPart.ANSWER:
            wanted = segment.key in self._open or bool(self._waiting)
        else:
            wanted = self._wants_syn(segment, now)
        if wanted:
            self._refusals = dict(self._counters.refusals)
        return wanted

    def handled(self, given: Input, outputs: list[Output], now: float, begun: float, ended: float) -> None:
        """See steering.openflow.traced_feed."""
        segment, refusals = self._segment, self._grown()
        if segment is not None and segment.part is not SetUpPart.ANSWER:
            self._syn(segment, outputs, refusals[0] if refusals else None, now, begun, ended)
            return
        if segment is not None:
            self._answered(segment.key, now)
        if self._waiting:
            self._go_on(given, outputs, refusals, now, begun, ended)
        if type(given) in _NEWS:
            self._look(now)

    def written(self, now: float) -> None:
        """What was decided is written, where no other switch has to confirm it."""
        if self._unwritten:
            done, self._unwritten = self._unwritten, []
            for trace in done:
                self._released(trace, now)

    def let_go(self, release: Release, is_confirmed: bool) -> None:
        """A segment that waited for other switches went on, or is dropped."""
        trace = self._unconfirmed.pop(id(release), None)
        if trace is None:
            return
        now = self._clock()
        trace.release = None
        if is_confirmed:
            self._released(trace, now)
        else:
            self._wrote(trace, now)
            self._end(trace, SetUpOutcome.REFUSED, now, Refusal.BARRIER_TIMEOUT)

    def close(self) -> None:
        """End what is under way: the controller stops."""
        now = self._clock()
        for trace in list(self._open.values()):
            self._end(trace, SetUpOutcome.UNFINISHED, now)

    # ---- SYNs ------------------------------------------------------------------------------------

    def _wants_syn(self, segment: SetUpSegment, now: float) -> bool:
        if segment.key in self._open:
            return True  # repeated
        if set_up.is_subflow(self._engine, segment.key) or set_up.access_of(self._engine, segment) is None:
            return False
        # Whether a join is of a traced session, or a server's SYN opens one, is known when it has been handled.
        return segment.part is not SetUpPart.FIRST_SYN or self._has_room(self._sessions, now)

    def _has_room(self, bucket: TokenBucket, now: float) -> bool:
        if len(self._open) >= MOST_OPEN:
            self._counters.traces_skipped[TraceSkip.OPEN] += 1
            return False
        if bucket.take(now):
            self._counters.traces_skipped[TraceSkip.RATE] += 1
            return False
        return True

    def _syn(
        self,
        segment: SetUpSegment,
        outputs: list[Output],
        refusal: Refusal | None,
        now: float,
        begun: float,
        ended: float,
    ) -> None:
        known = self._open.get(segment.key)
        if known is not None:
            known.span.note("SYN repeated", now)
            return
        is_join = segment.part in (SetUpPart.JOIN, SetUpPart.MCP_JOIN)
        if not (
            (is_join and self._is_traced(segment, outputs, refusal, now))
            or (segment.part is SetUpPart.SERVER_SYN and self._is_servers(segment, outputs, refusal, now))
            or segment.part is SetUpPart.FIRST_SYN
        ):
            return
        span = self._begin(JOIN if is_join else SESSION, now, self._about(segment))
        trace = self._open[segment.key] = OpenTrace(segment, span, now)
        for output in outputs:
            if type(output) is Authorise:
                self._asks(output.request, output.source)
        if not self._decided(trace, outputs, refusal, now, begun, ended):
            trace.since = ended
            self._waiting[trace.key] = trace
            if not trace.is_join:
                trace.until = now + set_up.patience(self._engine)

    def _is_traced(
        self, segment: SetUpSegment, outputs: list[Output], refusal: Refusal | None, now: float
    ) -> bool:
        """Whether a join is traced: it is of a traced session, or waits, or is refused."""
        found = set_up.facts(self._engine, segment.key)
        if found is not None:
            if found.session not in self._linked:
                return False
            if found.session in self._of_session:
                self._see(self._of_session[found.session], now)
        elif (
            refusal is None
            and not set_up.is_held(self._engine, segment.token, segment.part is SetUpPart.MCP_JOIN)
            and not _is_natural(outputs, segment.frame)
        ):
            return False  # another controller traces it, or nobody answers it
        return self._has_room(self._joins, now)

    def _is_servers(
        self, segment: SetUpSegment, outputs: list[Output], refusal: Refusal | None, now: float
    ) -> bool:
        """Whether a SYN without MPTCP opens a session of a server, or would if an MCP took it."""
        is_to_be = refusal is not None and _is_natural(outputs, segment.frame)
        return (is_to_be or set_up.is_subflow(self._engine, segment.key)) and self._has_room(
            self._sessions, now
        )

    def _about(self, segment: SetUpSegment) -> Attributes:
        """What is known of a set-up by its SYN."""
        told = {**ends(segment), "steering.access": set_up.access_of(self._engine, segment) or ""}
        if segment.part is SetUpPart.SERVER_SYN:
            told["steering.direction"] = "server"
        elif segment.part is SetUpPart.MCP_JOIN:
            told["steering.direction"] = "mcp"
        if segment.peer:
            told[PEER] = segment.peer
        return told

    def _decided(
        self, trace: OpenTrace, outputs: list[Output], refusal: Refusal | None, now: float, begun: float, ended: float
    ) -> bool:  # fmt: skip
        """Whether the engine has decided about a SYN; if so its trace goes on, or ends."""
        found = set_up.facts(self._engine, trace.key)
        if found is not None:
            trace.span.child("decide", begun, ended, decision(found))
            self._steered(trace, found, outputs, ended)
        elif _is_natural(outputs, trace.frame):
            trace.span.child("decide", begun, ended, {})
            self._end(trace, SetUpOutcome.NATURAL, ended, refusal)
        elif peer := set_up.passed_on_to(outputs, trace.frame):
            trace.span.child("decide", begun, ended, {})
            trace.span.add({PEER: peer})
            self._end(trace, SetUpOutcome.PASSED_ON, ended)
        elif refusal is not None:
            trace.span.child("decide", begun, ended, {})
            self._end(trace, SetUpOutcome.REFUSED, ended, refusal)
        else:
            return False
        return True

    def _steered(self, trace: OpenTrace, found: SetUpFacts, outputs: list[Output], ended: float) -> None:
        """A flow is a subflow from now on; its segment leaves with the outputs, or waits for other switches."""
        trace.session, trace.since, trace.is_reverse = found.session, ended, found.is_reverse
        trace.span.add({**decision(found), "steering.session.id": str(found.session)})
        if trace.is_join:
            context = self._linked.get(found.session)
            if context is not None:
                trace.span.link(context)
            if trace.is_mcps:
                self._end(trace, SetUpOutcome.FORWARDED, ended)
                return
        else:
            self._of_session[found.session] = trace
            self._linked[found.session] = trace.span.context
            if len(self._linked) > MOST_LINKED:
                self._linked.popitem(last=False)
        for output in outputs:
            release = output.release if isinstance(output, Steer) else None
            if isinstance(output, Steer) and release is not None and release.frame is trace.frame:
                switches = {entry.dpid for entry in output.entries}
                trace.entries = len(output.entries)
                trace.switches = set_up.switch_names(self._engine, switches)
                if switches - {release.dpid}:
                    trace.release = release
                    self._unconfirmed[id(release)] = trace
                    return
        self._unwritten.append(trace)

    # ---- what waits for a token or an authoriser ---------------------------------------------------

    def _go_on(
        self,
        given: Any,
        outputs: list[Output],
        refusals: list[Refusal],
        now: float,
        begun: float,
        ended: float,
    ) -> None:
        """See which of the SYNs that waited wait no longer."""
        source = self._asked.pop(given.request, None) if type(given) is Authorised else None
        for output in outputs:
            if type(output) is Authorise:
                self._asks(output.request, output.source)
                source = None  # another one is asked
        for trace in list(self._waiting.values()):
            if trace.is_join:
                is_over = not set_up.is_held(self._engine, trace.token, trace.is_mcps)
                why = _why_unknown(refusals, type(given) is Tick)
            else:
                is_denied = trace.source == source and bool(refusals)
                is_over = trace.until <= now or is_denied
                why = refusals[0] if is_denied else Refusal.UNAUTHORISED
            if trace.is_join and not is_over:
                continue  # while its token is not known, nothing is decided
            waited_since = trace.since
            if self._decided(trace, outputs, None, now, begun, ended) or is_over:
                self._waiting.pop(trace.key, None)
                what = "wait for its token" if trace.is_join else "wait for an authoriser"
                trace.span.child(what, waited_since, begun, {})
                if trace.key in self._open and not trace.session:
                    self._nobodys(trace, ended, why)

    def _nobodys(self, trace: OpenTrace, now: float, why: Refusal) -> None:
        """What a SYN waited for never came: it is refused, unless it went on long ago."""
        if trace.is_mcps:
            self._end(trace, SetUpOutcome.NATURAL, now)
        else:
            self._end(trace, SetUpOutcome.REFUSED, now, why)

    def _asks(self, request: int, source: bytes) -> None:
        self._asked[request] = source
        if len(self._asked) > MOST_OPEN:
            self._asked.popitem(last=False)

    # ---- phases ----------------------------------------------------------------------------------

    def _wrote(self, trace: OpenTrace, now: float) -> None:
        told: Attributes = {"steering.entries": trace.entries, "steering.switches": trace.switches}
        trace.span.child("write rules", trace.since, now, told)
        trace.since = now

    def _released(self, trace: OpenTrace, now: float) -> None:
        if self._open.get(trace.key) is not trace:
            return  # it took too long
        if trace.entries:
            self._wrote(trace, now)
        trace.span.child("release SYN", now, now, {})
        trace.since = now
        if trace.is_join:
            self._end(trace, SetUpOutcome.PINNED, now)

    def _answered(self, key: FlowKey, now: float) -> None:
        """A SYN/ACK came. It counts if the engine took it for the answer of the session's MCP."""
        trace = self._open.get(key)
        if trace is None or trace.is_join or trace.was_answered or not trace.session:
            return
        found = set_up.facts(self._engine, key)
        if found is not None and found.state is not SessionState.SYN_PINNED:
            trace.was_answered = True
            trace.span.child("await SYN/ACK", trace.since, now, {"steering.token.learnt": found.has_token})
            trace.since = now
            self._see(trace, now)

    def _look(self, now: float) -> None:
        """See which hosts went on, and what became too old."""
        for trace in list(self._open.values()):
            if trace.session and not trace.is_join:
                self._see(trace, now)
            if now - trace.began >= LONGEST and trace.key in self._open:
                self._end(trace, SetUpOutcome.UNFINISHED, now)

    def _see(self, trace: OpenTrace, now: float) -> None:
        state = set_up.state_of(self._engine, trace.session)
        if state in _HALF_OPEN:
            return
        # Closed before anybody answered: its MCP reset it.
        if state is None or (state is SessionState.CLOSING and not trace.was_answered):
            self._end(trace, SetUpOutcome.UNFINISHED, now)
            return
        if not (trace.is_reverse and trace.was_answered):  # there the host's SYN/ACK is what was awaited
            trace.span.child("await host", trace.since, now, {})
        plain = state is SessionState.PLAIN
        self._end(trace, SetUpOutcome.PLAIN if plain else SetUpOutcome.ESTABLISHED, now)

    def _end(
        self, trace: OpenTrace, outcome: SetUpOutcome, now: float, refusal: Refusal | None = None
    ) -> None:
        del self._open[trace.key]
        self._waiting.pop(trace.key, None)
        if not trace.is_join:
            self._of_session.pop(trace.session, None)
        if trace.release is not None:
            del self._unconfirmed[id(trace.release)]
        told = {"steering.outcome": outcome.value}
        if refusal is not None:
            told["steering.refusal"] = refusal.value
        is_failed = outcome is SetUpOutcome.REFUSED
        if is_failed and refusal is not None:
            told["error.type"] = refusal.value
        trace.span.end(max(now, trace.since), told, is_failed)

    def _grown(self) -> list[Refusal]:
        """Why something was refused in what was handled just now: the reasons that the engine counted there."""
        before = self._refusals
        return [r for r, n in self._counters.refusals.items() if n != before.get(r, 0)]


def _why_unknown(refusals: list[Refusal], is_tick: bool) -> Refusal:
    """Why a join that waited for its token is refused. In a tick much else may be refused as well."""
    if not is_tick and refusals:
        return refusals[0]
    return Refusal.PEER_UNREACHABLE if Refusal.PEER_UNREACHABLE in refusals else Refusal.UNKNOWN_TOKEN


def _is_natural(outputs: list[Output], frame: bytes) -> bool:
    """Whether a SYN goes its natural way."""
    return any(type(o) is Release and o.waypoint == NATURAL and o.frame is frame for o in outputs)
