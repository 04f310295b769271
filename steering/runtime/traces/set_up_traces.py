"""Traces of set-ups: of a session from its first SYN until its host goes on, and of each later subflow of such a session.

`SetUpTraces` sees the inputs and outputs of the engine (openflow.traced_feed), asks a snapshot what became of each flow, and makes a
span of each phase. The exporter sends the spans (runtime.traces.otlp). Only a limited number of traces begins each second. The number of
open traces and their time are bounded.
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
)  # inputs that may show that a host goes on; a join also shows it for its session
_ANSWERS = (PeerTold, Authorised, WatchedSeen)  # inputs that may bring what a SYN waits for
_HALF_OPEN = (SessionState.SYN_PINNED, SessionState.ANSWERED)


class SetUpTraces:
    """Watches set-ups. `begin(name, time, attributes)` makes a root span. `rate`: most traces of sessions, and most traces of joins,
    that begin in a second."""

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
        self._waiting: dict[FlowKey, OpenTrace] = {}  # open traces whose SYN was not decided on yet
        self._unwritten: list[OpenTrace] = []  # traces of SYNs that leave with this turn's outputs
        self._unconfirmed: dict[int, OpenTrace] = {}  # by the id() of a segment that waits for other switches
        self._asked: OrderedDict[int, bytes] = OrderedDict()  # question to an authoriser -> source
        self._linked: OrderedDict[int, Any] = OrderedDict()  # session -> context of its root span
        self._of_session: dict[int, OpenTrace] = {}  # open traces of sessions, by the session's number
        self._refusals: dict[Refusal, int] = {}  # the counters of refusals before the present input
        self._segment: SetUpSegment | None = None  # the segment in the present input, if it has one

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
            # These inputs are frequent: other controllers tell all of their tokens. They matter only while a SYN waits for a token.
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
        """The outputs of this turn were written. Segments that wait for no other switch have left with them."""
        if self._unwritten:
            done, self._unwritten = self._unwritten, []
            for trace in done:
                self._released(trace, now)

    def let_go(self, release: Release, is_confirmed: bool) -> None:
        """A segment that waited for other switches was sent on (`is_confirmed`), or was dropped."""
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
        """End all open traces, because the controller stops."""
        now = self._clock()
        for trace in list(self._open.values()):
            self._end(trace, SetUpOutcome.UNFINISHED, now)

    # ---- SYNs ------------------------------------------------------------------------------------

    def _wants_syn(self, segment: SetUpSegment, now: float) -> bool:
        if segment.key in self._open:
            return True  # the SYN is repeated
        if set_up.is_subflow(self._engine, segment.key) or set_up.access_of(self._engine, segment) is None:
            return False
        # Only after it was handled, it is known whether a join belongs to a traced session, and whether a server's SYN opens a session.
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
        """Whether a join is to be traced: if it belongs to a traced session, waits for its token, or was refused."""
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
            return False  # another controller traces the join, or nobody answers it
        return self._has_room(self._joins, now)

    def _is_servers(
        self, segment: SetUpSegment, outputs: list[Output], refusal: Refusal | None, now: float
    ) -> bool:
        """Whether a SYN without MPTCP opens a server's session, or would have opened one if an MCP had taken it."""
        is_to_be = refusal is not None and _is_natural(outputs, segment.frame)
        return (is_to_be or set_up.is_subflow(self._engine, segment.key)) and self._has_room(
            self._sessions, now
        )

    def _about(self, segment: SetUpSegment) -> Attributes:
        """The attributes of a set-up that its SYN shows."""
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
        """Whether the engine has decided on a SYN. If so, the trace goes on with the next phase, or ends."""
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
        """A SYN was steered: its flow is a subflow now. The SYN leaves with the outputs, or waits for other switches."""
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
        """Find the waiting SYNs on which the engine has decided now, or whose time is over."""
        source = self._asked.pop(given.request, None) if type(given) is Authorised else None
        for output in outputs:
            if type(output) is Authorise:
                self._asks(output.request, output.source)
                source = None  # the next authoriser is asked about this source
        for trace in list(self._waiting.values()):
            if trace.is_join:
                is_over = not set_up.is_held(self._engine, trace.token, trace.is_mcps)
                why = _why_unknown(refusals, type(given) is Tick)
            else:
                is_denied = trace.source == source and bool(refusals)
                is_over = trace.until <= now or is_denied
                why = refusals[0] if is_denied else Refusal.UNAUTHORISED
            if trace.is_join and not is_over:
                continue  # a join whose token is unknown is still held
            waited_since = trace.since
            if self._decided(trace, outputs, None, now, begun, ended) or is_over:
                self._waiting.pop(trace.key, None)
                what = "wait for its token" if trace.is_join else "wait for an authoriser"
                trace.span.child(what, waited_since, begun, {})
                if trace.key in self._open and not trace.session:
                    self._nobodys(trace, ended, why)

    def _nobodys(self, trace: OpenTrace, now: float, why: Refusal) -> None:
        """What a SYN waited for never came, so the SYN counts as refused. An MCP's join counts as natural: the switch has forwarded it."""
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
            return  # the trace has ended, because it was open for too long
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
        """Find the sessions whose hosts went on, and end traces that are too old."""
        for trace in list(self._open.values()):
            if trace.session and not trace.is_join:
                self._see(trace, now)
            if now - trace.began >= LONGEST and trace.key in self._open:
                self._end(trace, SetUpOutcome.UNFINISHED, now)

    def _see(self, trace: OpenTrace, now: float) -> None:
        state = set_up.state_of(self._engine, trace.session)
        if state in _HALF_OPEN:
            return
        # A session that closed before the answer was reset by its MCP.
        if state is None or (state is SessionState.CLOSING and not trace.was_answered):
            self._end(trace, SetUpOutcome.UNFINISHED, now)
            return
        # In a server's session, the host's SYN/ACK was the answer.
        if not (trace.is_reverse and trace.was_answered):
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
        """The reasons of refusals that the engine has counted during the present input."""
        before = self._refusals
        return [r for r, n in self._counters.refusals.items() if n != before.get(r, 0)]


def _why_unknown(refusals: list[Refusal], is_tick: bool) -> Refusal:
    """Why a join that waited for its token was refused. In a tick (`is_tick`) other things may have been refused as well."""
    if not is_tick and refusals:
        return refusals[0]
    return Refusal.PEER_UNREACHABLE if Refusal.PEER_UNREACHABLE in refusals else Refusal.UNKNOWN_TOKEN


def _is_natural(outputs: list[Output], frame: bytes) -> bool:
    """Whether a SYN goes its natural way."""
    return any(type(o) is Release and o.waypoint == NATURAL and o.frame is frame for o in outputs)
