"""Events for those who listen: numbered, kept a while, and sent as Server-Sent Events (WHATWG HTML, 9.2).

A stream has a queue of its own. Who does not read fast enough is dropped, and may come back and name the
last event it saw; nobody ever waits for a reader.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Condition
from typing import Any, NamedTuple

from steering.model.event_kind import EventKind
from steering.model.since import Since
from steering.model.view import Pause, no_pause
from steering.northbound.http.event_positions import Position

Json = dict[str, Any]

MAX_STREAMS = 64
KEPT = 1_024
MAX_QUEUE = 2 * KEPT  # events that wait for a reader beyond those it began with: what two controllers keep
WRITTEN_AT_ONCE = 32  # events, then others have their turn
HEARTBEAT = 15.0  # seconds of silence after which a comment is sent
LOOK = 0.5  # seconds of silence after which the server has a turn: it looks whether the reader is still there
MEDIA_TYPE = "text/event-stream"

_LAST = re.compile(r"([0-9a-f]{8})-([0-9]{1,18})", re.ASCII)


class StreamEvent(NamedTuple):
    """`kind` is the event's name, `data` a JSON object. In a cluster: `origin`, the controller that it is of, and the `run` in which
    it has its number, "" for what only the reader's controller tells. `time`: when it was told, seconds since 1970; None for how
    things stand and for what is about the stream."""

    number: int
    kind: str
    data: Json
    origin: str = ""
    run: str = ""
    time: float | None = None


class EventPage(NamedTuple):
    """A controller's own events after `begin`, as another one reads them. `end`: up to where they go; `more`: others follow."""

    begin: Position
    events: list[StreamEvent]
    end: int
    more: bool


Wants = Callable[[StreamEvent], bool]


class TooManyStreams(Exception):
    """MAX_STREAMS are open already."""


class Stream:
    """The queue of one listener."""

    hears_others = False  # controllers

    def __init__(self, wants: Wants, hears_sessions: bool) -> None:
        self.wants = wants
        self.hears_sessions = hears_sessions
        self.queue: deque[StreamEvent] = deque()
        self.is_over = False
        self._begun_with = 0  # events

    @property
    def is_full(self) -> bool:
        """Whether more wait than a reader may be late by."""
        return len(self.queue) >= self._begun_with + MAX_QUEUE

    def begin_with_these(self) -> None:
        """What waits now was put in at once, before anybody could read: its reader is not late by it."""
        self._begun_with = len(self.queue)

    def takes(self, event: StreamEvent) -> bool:
        """Whether an event is for it. One that is counts as told."""
        return self.wants(event)

    def begins_anew(self) -> bool:
        """Whether what a full queue holds could be replaced by the word that events were missed: nobody reads it yet."""
        return False

    def text(self, event: StreamEvent, epoch: str) -> bytes:
        data = json.dumps(event.data, separators=(",", ":"))
        return f"id: {epoch}-{event.number}\n{time_line(event)}event: {event.kind}\ndata: {data}\n\n".encode()


def time_line(event: StreamEvent) -> str:
    """The field that says when it was told. Who follows the standard passes over a name that it does not know (9.2.6)."""
    if event.time is None:
        return ""
    return f"time: {datetime.fromtimestamp(event.time, UTC):%Y-%m-%dT%H:%M:%S}.{int(event.time % 1 * 1000):03d}Z\n"


class EventHub:
    """`epoch`: 8 hex digits that tell this run's numbers from those of an earlier one. `controller`: this one's name in a cluster,
    where others listen as well; `now`: their clock, seconds; `wall`: seconds since 1970."""

    def __init__(
        self,
        epoch: str,
        controller: str = "",
        now: Callable[[], float] = lambda: 0.0,
        wall: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.controller = controller
        self._now, self._wall = now, wall
        self._heard_from: float | None = None  # since when somebody hears of sessions, seconds since 1970
        self._heard_until = 0.0  # by who does not say that it went
        self._silences = 0  # times after which nobody knows what happened
        self._whole_from = 0  # number of the last event before the last of them ended
        self._epoch = epoch
        self._number = 0
        self._kept: deque[StreamEvent] = deque(maxlen=KEPT)
        self._streams: set[Stream] = set()
        # Under eventlet this is a green condition: only the waiting stream waits.
        self._changed = Condition()
        self.dropped = 0

    @property
    def streams(self) -> int:
        return len(self._streams)

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens, here or at another controller."""
        return bool(self._streams) or self._is_leased

    @property
    def hears_sessions(self) -> bool:
        """Whether somebody wants what changes of sessions."""
        return self._is_leased or any(stream.hears_sessions for stream in self._streams)

    @property
    def hears_others(self) -> bool:
        """Whether some stream wants the events of other controllers."""
        return any(stream.hears_others for stream in self._streams)

    @property
    def _is_leased(self) -> bool:
        return self._now() < self._heard_until

    def heard_for(self, seconds: float) -> None:
        """Somebody listens for so long who does not say when it is over: another controller, or a listener that lost its
        stream and will ask for another."""
        self._heard_until = max(self._heard_until, self._now() + seconds)

    def begin_to_be_heard(self) -> None:
        """Somebody hears of sessions from now on: what changes is told."""
        self._heard_from = self._wall()

    def fall_silent(self) -> None:
        """Nobody hears of sessions any more: what changes from now on is told by no event."""
        self._heard_from = None
        self._silences += 1
        self._whole_from = self._number

    @property
    def position(self) -> Position:
        """Where this controller's own events are now."""
        return Position(f"{self._epoch}{self._silences:x}", self._number)

    def publish(self, kind: str, data: Json) -> None:
        """Tell every stream that wants it; never waits."""
        with self._changed:
            self._number += 1
            event = StreamEvent(self._number, kind, data, self.controller, self.position.run, self._wall())
            self._kept.append(event)
            self._tell(event, self._streams)

    def pass_on(self, event: StreamEvent) -> None:
        """Tell what is another controller's, or about it, to the streams that hear others. It is not kept."""
        with self._changed:
            self._tell(event, {stream for stream in self._streams if stream.hears_others})

    def _tell(self, event: StreamEvent, streams: set[Stream]) -> None:
        for stream in list(streams):
            if not stream.takes(event):
                continue
            if not stream.is_full:
                stream.queue.append(event)
            elif not stream.begins_anew():
                self.dropped += 1
                self._end(stream)
        self._changed.notify_all()

    def open(
        self,
        wants: Wants,
        last: str,
        first: list[tuple[str, Json]],
        hears_sessions: bool = True,
        since: Since | None = None,
    ) -> Stream:
        """A stream of what comes from now on. `last`: the Last-StreamEvent-ID, or ""; what followed it is sent again
        if it is still kept, else the event `reset` says that something was missed. `first`: kinds and data
        that only this stream gets, how things stand: before anything new, and after what is sent again. `hears_sessions`: False where `wants` takes no event of
        a session, so that nobody looks for them. `since`: without a last event, what is kept from then on is sent first, and `reset` before it where that is
        not all. Raises TooManyStreams, and ValueError for a time that is still to come."""
        with self._changed:
            history = None if since is None or last else self.history(since)
            stream = self.add(Stream(wants, hears_sessions))
            missed, is_whole = (self._since(last), True) if history is None else history
            if missed is None or not is_whole:
                before = missed[0].number - 1 if missed else self._number
                stream.queue.append(StreamEvent(before, EventKind.RESET, {}))
            stream.queue.extend(event for event in missed or () if wants(event))
            stream.queue.extend(StreamEvent(self._number, kind, data) for kind, data in first)
            stream.begin_with_these()
            return stream

    def add(self, stream: Stream) -> Stream:
        """Raises TooManyStreams."""
        with self._changed:
            if len(self._streams) >= MAX_STREAMS:
                raise TooManyStreams
            self._streams.add(stream)
            return stream

    def since(self, seen: Position) -> list[StreamEvent] | None:
        """The own events after a position; None where some are not known any more."""
        return [one for one in self._kept if one.number > seen.number] if self._knows(seen) else None

    def history(self, since: Since) -> tuple[list[StreamEvent], bool]:
        """The own events that are kept from a time on, and whether these are all: no more are kept than KEPT, and while nobody
        hears of sessions their changes are told by none. Raises ValueError for a time that is still to come."""
        moment = since.moment(self._wall())
        kept = list(self._kept)
        # A clock may have been set back: from the first one on, whatever the others say.
        first = next((at for at, one in enumerate(kept) if (one.time or 0.0) >= moment), len(kept))
        is_kept = first > 0 or self._number == len(kept)
        return kept[first:], is_kept and self._heard_from is not None and self._heard_from <= moment

    def page(self, after: Position | None, wants: Wants, most: int, size: int) -> EventPage:
        """Own events that `wants` takes: after a position, after the oldest that is kept where it is not known any more, none where
        there is no position. At most so many, and so many bytes of them."""
        begin = Position(self.position.run, self._first_known)
        if after is None:
            begin = self.position
        elif self._knows(after):
            begin = after
        found: list[StreamEvent] = []
        end = begin.number
        for event in self._kept:
            if event.number <= begin.number:
                continue
            if wants(event):
                size -= len(json.dumps(event.data))
                if len(found) == most or (found and size < 0):
                    return EventPage(begin, found, end, True)
                found.append(event)
            end = event.number
        return EventPage(begin, found, end, False)

    def _knows(self, seen: Position) -> bool:
        run, number = self.position
        return seen.run == run and self._first_known <= seen.number <= number

    @property
    def _first_known(self) -> int:
        """The least number after which all is known."""
        oldest = self._kept[0].number if self._kept else self._number + 1
        return max(self._whole_from, oldest - 1)

    def _since(self, last: str) -> list[StreamEvent] | None:
        """The events after the one named `last`; None if they are not known any more."""
        if not last:
            return []
        named = _LAST.fullmatch(last)
        if named is None or named[1] != self._epoch or int(named[2]) > self._number:
            return None
        number = int(named[2])
        oldest = self._kept[0].number if self._kept else self._number + 1
        return [event for event in self._kept if event.number > number] if number >= oldest - 1 else None

    def take(self, stream: Stream, seconds: float) -> bytes | None:
        """The next few events as text, nothing after `seconds` of silence, None when the stream is over."""
        with self._changed:
            self._changed.wait_for(lambda: stream.queue or stream.is_over, seconds)
            if stream.is_over:
                return None
            few = min(len(stream.queue), WRITTEN_AT_ONCE)
            return b"".join(stream.text(stream.queue.popleft(), self._epoch) for _ in range(few))

    def leave(self, stream: Stream) -> None:
        """Its reader is gone."""
        with self._changed:
            self._end(stream)

    def close(self) -> None:
        """End every stream."""
        with self._changed:
            for stream in list(self._streams):
                self._end(stream)
            self._changed.notify_all()

    def _end(self, stream: Stream) -> None:
        stream.is_over = True
        stream.queue.clear()
        self._streams.discard(stream)


class EventBody:
    """A stream as the body of a WSGI answer; the server calls `close` when the client went away.

    In silence there is an empty piece each LOOK seconds, of which the server sends nothing (PEP 3333), and a comment
    each `heartbeat` seconds."""

    def __init__(
        self, hub: EventHub, stream: Stream, heartbeat: float = HEARTBEAT, pause: Pause = no_pause
    ) -> None:
        self._hub = hub
        self._pause = pause
        self._stream = stream
        self._heartbeat = heartbeat
        self._begun = False
        self._silent = 0.0  # seconds

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._begun:
            self._begun = True
            return b"retry: 1000\n\n"  # and with it the headers go out
        if self._stream.queue:
            self._pause()  # a socket with room lets nobody else have a turn
        seconds = min(LOOK, self._heartbeat)
        told = self._hub.take(self._stream, seconds)
        if told is None:
            raise StopIteration
        self._silent = 0.0 if told else self._silent + seconds
        if told or self._silent < self._heartbeat:
            return told
        self._silent = 0.0
        return b":\n\n"

    def close(self) -> None:
        self._hub.leave(self._stream)
