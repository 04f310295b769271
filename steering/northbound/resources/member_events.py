"""Events of all controllers of a cluster at any of them: who listens here hears of the others too.

While anybody does, each other controller is asked twice a second what happened since, by one question at a time, however many
listen. Being asked counts as a listener there, for a while. A controller that does not answer is named by an event, and asked
again; what happened meanwhile is told then, or an event says that some is missing.
"""

from itertools import pairwise
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlencode

from steering.model.cluster import ClusterPeers, PeerFailure, PeerReply, PeerRequest
from steering.model.event_kind import EventKind
from steering.model.identity import Role
from steering.model.since import LAST, Since
from steering.model.view import Pause
from steering.northbound.http.event_positions import Position, positions
from steering.northbound.http.events import EventHub, StreamEvent
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.member_streams import MemberStream
from steering.northbound.http.problems import bad_request, shown
from steering.northbound.resources.peer_reads import PATIENCE, PeerReads
from steering.northbound.resources.watcher import Watcher
from steering.northbound.schema.member_events import SHARED

Json = dict[str, Any]

LEASE = 10.0  # seconds for which a question counts as a listener: a reader that lost its stream is there again before
MOST = 200  # events of one answer: it is read in one go, and packets wait meanwhile
SIZE = 96 << 10  # bytes of events in one answer
PAGES = 6  # answers of one controller in one look; together they hold all events that it keeps
TOLD_AT_ONCE = 32  # events, then others have their turn
SELDOM = 4  # looks until a controller that did not answer is asked again: others wait for it

# In what an event tells, since controllers of earlier versions take no further field of the event itself.
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
    """`look()` wants calling every `watcher.PERIOD` seconds, by who may wait. `pause` lets others have a turn."""

    def __init__(
        self, hub: EventHub, reads: PeerReads, peers: ClusterPeers, watcher: Watcher, pause: Pause
    ) -> None:
        self._hub, self._reads, self._peers, self._watcher, self._pause = hub, reads, peers, watcher, pause
        self._heard: dict[str, Position] = {}  # up to where events of others were told
        self._failing: dict[str, PeerFailure] = {}
        self._rests: dict[str, int] = {}  # looks in which who fails is not asked
        self._is_behind = False  # a listener wants events before those that were told last
        self._turn = Lock()

    # ---- as another controller asks ---------------------------------------------------------------

    def page(self, call: Call) -> RestReply:
        """This controller's own events after those that the asking one has. From now on they are made for it."""
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
        """A stream from now on, or after the last event that its listener saw. When this returns all others are listened to,
        or named in it as not heard. Raises TooManyStreams, and Problem 400 for a controller that there is not."""
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
        self._hub.add(stream)
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
            with self._turn:  # who comes in another's first look waits for it
                known = self._heard.keys() | self._failing.keys()
                if self._is_behind or not known.issuperset(self._peers.others()):
                    self._round()
            stream.is_opening = False
        except BaseException:
            self._hub.leave(stream)
            raise
        return stream

    def _history(self, since: Since | None, wanted: list[str]) -> tuple[list[StreamEvent], bool] | None:
        """Own events from a time on, and whether these are all. What others told before anybody listened here, they keep
        themselves. Raises Problem 400."""
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
        """Have a stream told what is kept of the own events. Where nobody listened for a while, it says that some is missing."""
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
        """Have a stream told what followed the last event of a controller that its listener saw."""
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
                # All that others have seen already is left out of their streams.
                self._heard[name], self._is_behind = last, True

    # ---- asking -----------------------------------------------------------------------------------

    def look(self) -> None:
        """Tell what others' events there are. Nothing happens while nobody listens, or another look goes on."""
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
        """Tell what a controller has answered. Whether it has more."""
        part = self._part(name, reply)
        if isinstance(part, PeerFailure):
            self._fails(name, part)
            return False
        if self._heard.get(name) != after:
            return (
                False  # somebody came meanwhile who wants earlier ones: they are asked for, and these again
            )
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
                    return False  # likewise
        return part.more

    def _tell(self, event: StreamEvent) -> None:
        self._hub.pass_on(event)

    def _fails(self, name: str, why: PeerFailure) -> None:
        if why is PeerFailure.BUSY:
            return  # this controller has no room to ask: it will have
        self._rests[name] = SELDOM
        if name not in self._failing:
            self._tell(_unheard(name, why))
        self._failing[name] = why

    def _part(self, name: str, reply: PeerReply | PeerFailure) -> MemberPart | PeerFailure:
        """What a controller has answered, if it can be that. Each listener's stream leaves out what it has already, so that a
        wrong place to begin at repeats nothing."""
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
    """When it was told there, as far as that is a time."""
    if not isinstance(told_at, int | float) or isinstance(told_at, bool):
        return None
    return told_at if 0 <= told_at < LAST else None


def _is_its_own(event: StreamEvent) -> bool:
    """A controller tells of no other's sessions."""
    part = _NAMES_ITS_SESSION.get(EventKind(event.kind))
    return part is None or str(event.data.get(part, "")).startswith(f"{event.origin}:")
