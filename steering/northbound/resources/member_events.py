"""Events of all controllers of a cluster: a listener at this controller gets the events of the others too.

While anybody listens here, this controller asks each other one for its new events twice a second, with one request at a time
however many listeners there are. At the other controller such a request counts as a listener for LEASE seconds. Where a
controller does not answer, an event `controller` names it. This controller keeps asking it, then tells the events that it
missed, or a `reset` event where some are lost.
"""

from itertools import pairwise
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlencode

from steering.model.cluster import ClusterPeers, PeerFailure, PeerReply, PeerRequest
from steering.model.event_kind import EventKind
from steering.model.identity import Role
from steering.model.period_begin import LAST, PeriodBegin
from steering.model.view import Pause
from steering.northbound.http.event_positions import Position, positions
from steering.northbound.http.events import EventHub, StreamEvent, share_of
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.member_streams import MemberStream
from steering.northbound.http.problems import bad_request, shown
from steering.northbound.resources.peer_reads import PATIENCE, PeerReads
from steering.northbound.resources.watcher import Watcher
from steering.northbound.schema.member_events import SHARED

Json = dict[str, Any]

LEASE = 10.0  # seconds for which a request counts as a listener: longer than a reader needs to open a lost stream again
MOST = 200  # events of one answer: an answer is parsed in one go, and packets wait meanwhile
SIZE = 96 << 10  # bytes of events in one answer
PAGES = 6  # answers of one controller in one look; together they hold all events that a controller keeps
TOLD_AT_ONCE = 32  # events that are told between two pauses
SELDOM = 4  # looks until a controller that did not answer is asked again: a request to it holds up the look

# A key of an event's `data`: controllers of earlier versions refuse an unknown field of the event itself.
TOLD_AT = "told_at"  # seconds since 1970
_NAMES_ITS_SESSION = {EventKind.SESSION: "id", EventKind.SUBFLOW: "session"}


class MemberPart(NamedTuple):
    """Events of another controller that followed `begin`."""

    begin: Position
    events: list[StreamEvent]
    end: Position
    more: bool


def is_shared(event: StreamEvent) -> bool:
    return event.kind in SHARED


class MemberEvents:
    """`look()` is called every `watcher.PERIOD` seconds, by a thread that may wait for answers. `pause` lets other threads
    run."""

    def __init__(
        self, hub: EventHub, reads: PeerReads, peers: ClusterPeers, watcher: Watcher, pause: Pause
    ) -> None:
        self._hub, self._reads, self._peers, self._watcher, self._pause = hub, reads, peers, watcher, pause
        self._heard: dict[str, Position] = {}  # by controller, the position up to which its events were told
        self._failing: dict[str, PeerFailure] = {}
        self._rests: dict[str, int] = {}  # by failing controller, the looks in which it is not asked
        self._is_behind = False  # whether a new listener wants events that were already told to others
        self._turn = Lock()

    # ---- as another controller asks ---------------------------------------------------------------

    def page(self, call: Call) -> RestReply:
        """A page of this controller's own events for another controller, which from now on counts as a listener for LEASE
        seconds."""
        was_heard = self._hub.hears_sessions
        self._hub.heard_for(LEASE)
        if not was_heard:
            self._watcher.look()
        run, events, end, more = self._hub.page(call.query["after"], is_shared, MOST, SIZE)
        told = [
            {"number": one.number, "kind": one.kind, "data": one.data | {TOLD_AT: one.time}} for one in events
        ]
        return RestReply({"run": run.run, "begin": run.number, "end": end, "more": more, "events": told})

    # ---- as listeners here ask --------------------------------------------------------------------

    def open(self, call: Call) -> MemberStream:
        """A stream from now on, or after the last event that the listener saw. When this returns, every other controller was
        asked for its events, or an event in the stream says that it does not answer. Raises TooManyStreams, and Problem 400
        for an unknown controller."""
        only = call.query["controller"]
        names = sorted({self._peers.name, *self._peers.others()})
        if only is not None and only not in names:
            raise bad_request(f"no controller {shown(only)}; known: {', '.join(names)}")
        wanted = names if only is None else [only]
        history = self._history(call.query["since"], wanted) if not call.last_event else None
        last = positions(call.last_event) if call.last_event else {}
        heard = self._heard | {self._peers.name: self._hub.position}
        seen = {name: heard[name] for name in wanted if name in heard}
        stream = MemberStream(is_shared, self._peers.name in wanted, seen, bool(last), only)
        self._hub.add(stream, share_of(call.who))
        try:
            if last is None:
                stream.queue.append(StreamEvent(0, EventKind.RESET, {}))
            elif history is not None:
                self._go_back(stream, *history)
            elif last:
                for name in wanted:
                    self._go_on(stream, name, last.get(name))
            for name, why in self._failing.items():
                if stream.takes(word := _unheard(name, why)):
                    stream.queue.append(word)
            stream.begin_with_these()
            self._hub.heard_for(LEASE)
            self._watcher.look()
            with self._turn:  # a second listener waits until the first one's look is over
                known = self._heard.keys() | self._failing.keys()
                if self._is_behind or not known.issuperset(self._peers.others()):
                    self._round()
            stream.is_opening = False
        except BaseException:
            self._hub.leave(stream)
            raise
        return stream

    def _history(self, since: PeriodBegin | None, wanted: list[str]) -> tuple[list[StreamEvent], bool] | None:
        """Own events from the time `since` on, and whether none is missing; None without `since`. Raises Problem 400 where the
        stream is of other controllers too: their earlier events are kept there, not here."""
        if since is None:
            return None
        own = self._peers.name
        if wanted != [own]:
            raise bad_request(
                f"since goes for a controller's own events: ask each for its own, this one with controller={own}"
            )
        try:
            return self._hub.history(since)
        except ValueError as error:
            raise bad_request(f"since: {error}") from None

    def _go_back(self, stream: MemberStream, events: list[StreamEvent], is_whole: bool) -> None:
        """Queue kept own events in a stream. A `reset` stands where events are missing because nobody listened then."""
        own, here = self._peers.name, self._hub.position
        run = None
        for event in events:
            before = Position(event.run, event.number - 1)
            if run is None and is_whole:
                stream.goes_on_from(own, before)
            elif event.run != run:
                stream.missed(own, before)
            run = event.run
            if stream.takes(event):
                stream.queue.append(event)
        if run is None and is_whole:
            stream.goes_on_from(own, here)
        elif run != here.run:
            stream.missed(own, here)

    def _go_on(self, stream: MemberStream, name: str, last: Position | None) -> None:
        """Queue in a stream, or have the next look fetch, a controller's events after the last one that the listener saw."""
        own = name == self._peers.name
        here = self._hub.position if own else self._heard.get(name)
        if own and last is not None and (missed := self._hub.since(last)) is not None:
            stream.goes_on_from(name, last)
            for event in filter(stream.takes, missed):
                stream.queue.append(event)
        elif here is None:
            if last is not None:
                self._heard[name], self._is_behind = last, True
                stream.goes_on_from(name, last)
        elif own or last is None or last.run != here.run:
            stream.missed(name, here)
        else:
            stream.goes_on_from(name, last)
            if last.number < here.number:
                # Listeners that have seen these events get none twice: each stream leaves out what it has.
                self._heard[name], self._is_behind = last, True

    # ---- asking -----------------------------------------------------------------------------------

    def look(self) -> None:
        """Fetch and tell new events of the other controllers. Does nothing while nobody listens to them, or while another
        look goes on."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            if self._hub.hears_others:
                self._hub.heard_for(LEASE)
                self._round()
            else:
                for known in (self._heard, self._failing, self._rests):
                    known.clear()
        finally:
            self._turn.release()

    def _round(self) -> None:
        self._is_behind = False
        names = self._peers.others()
        is_first = not self._heard and not self._failing
        for name in (self._heard.keys() | self._failing.keys()).difference(names):
            if name not in self._failing:
                self._tell(_unheard(name, PeerFailure.UNREACHABLE))
            for known in (self._heard, self._failing, self._rests):
                known.pop(name, None)
        new = set() if is_first else set(names) - self._heard.keys() - self._failing.keys()
        asked = {name: self._heard.get(name) for name in names if not self._is_at_rest(name)}
        for _ in range(PAGES):
            if not asked:
                return
            replies = self._peers.ask({name: self._question(one) for name, one in asked.items()}, PATIENCE)
            asked = {
                name: self._heard[name]
                for name, reply in replies.items()
                if self._answered(name, asked[name], reply, name in new)
            }
            new.clear()

    def _is_at_rest(self, name: str) -> bool:
        left = self._rests.pop(name, 0)
        if left > 1:
            self._rests[name] = left - 1
        return left > 0

    def _question(self, after: Position | None) -> PeerRequest:
        query = "" if after is None else f"?{urlencode({'after': str(after)})}"
        return PeerRequest("GET", f"/v1/events{query}", Role.READER.value, self._peers.name)

    def _answered(
        self, name: str, after: Position | None, reply: PeerReply | PeerFailure, is_new: bool
    ) -> bool:
        """Tell the events of a controller's answer. Whether to ask the controller for more at once."""
        part = self._part(name, reply)
        if isinstance(part, PeerFailure):
            self._fails(name, part)
            return False
        if self._heard.get(name) != after:
            return False  # a new listener wants earlier events: they are asked for, and these once more
        if self._failing.pop(name, None) is not None or is_new:
            self._tell(StreamEvent(0, EventKind.CONTROLLER, {"heard": True, "why": None}, name))
        self._heard[name] = part.end
        if part.begin != after:
            self._tell(StreamEvent(part.begin.number, EventKind.RESET, {}, name, part.begin.run))
        for told, event in enumerate(part.events, 1):
            self._tell(event)
            if not told % TOLD_AT_ONCE:
                self._pause()
                if self._heard.get(name) != part.end:
                    return False  # a new listener wants earlier events, as above
        return part.more

    def _tell(self, event: StreamEvent) -> None:
        self._hub.pass_on(event)

    def _fails(self, name: str, why: PeerFailure) -> None:
        if why is PeerFailure.BUSY:
            return  # too many requests of this controller are under way: the next look asks again
        self._rests[name] = SELDOM
        if name not in self._failing:
            self._tell(_unheard(name, why))
        self._failing[name] = why

    def _part(self, name: str, reply: PeerReply | PeerFailure) -> MemberPart | PeerFailure:
        """The checked answer of a controller, or why there is none. A wrong `begin` in it repeats no event to a listener, as each
        stream leaves out what it has."""
        if isinstance(reply, PeerFailure):
            return reply
        body = self._reads.checked(name, reply, "MemberEvents")
        if isinstance(body, PeerFailure):
            return body
        begin, end = Position(body["run"], body["begin"]), Position(body["run"], body["end"])
        events = [
            StreamEvent(one["number"], one["kind"], data, name, begin.run, _time_of(data.pop(TOLD_AT, None)))
            for one in body["events"]
            for data in [one["data"]]
        ]
        numbers = [begin.number, *(one.number for one in events), end.number]
        rises = all(a < b for a, b in pairwise(numbers[:-1])) and numbers[-2] <= end.number
        if not (begin.is_one and end.is_one and rises and all(map(_is_its_own, events))):
            self._peers.failed(name, PeerFailure.MALFORMED)
            return PeerFailure.MALFORMED
        return MemberPart(begin, events, end, body["more"])


def _unheard(name: str, why: PeerFailure) -> StreamEvent:
    return StreamEvent(0, EventKind.CONTROLLER, {"heard": False, "why": why.value}, name)


def _time_of(told_at: object) -> float | None:
    """The time of an event at its controller, seconds since 1970; None for a value that is no time."""
    if not isinstance(told_at, int | float) or isinstance(told_at, bool):
        return None
    return told_at if 0 <= told_at < LAST else None


def _is_its_own(event: StreamEvent) -> bool:
    """Whether an event about a session is about a session of the controller that sent it."""
    part = _NAMES_ITS_SESSION.get(EventKind(event.kind))
    return part is None or str(event.data.get(part, "")).startswith(f"{event.origin}:")
