"""Events: numbered, the last KEPT of them kept, and sent to listeners as Server-Sent Events (WHATWG HTML, 9.2).

Each listener's stream has a queue of its own, and nothing waits for a listener. A stream whose queue is full is ended; the
listener may open another one and name the last event it saw.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Condition, RLock
from typing import Any, NamedTuple

from steering.model.event_kind import EventKind
from steering.model.identity import Identity, Role
from steering.model.period_begin import PeriodBegin
from steering.model.view import Pause, no_pause
from steering.northbound.http.event_positions import Position

Json = dict[str, Any]

MAX_STREAMS = 64  # most streams of all operators and readers
MAX_OF_READER = 16  # most streams of one reader's token
MAX_STREAMS_OF_MCPS = 512  # most streams of all MCPs: 256 relays have two each
MAX_OF_MCP = 4  # most streams of one MCP's token: streams that a relay has just lost count for a moment, too
KEPT = 1_024
MAX_QUEUE = 2 * KEPT  # events that may wait in a stream: as many as two controllers keep
WRITTEN_AT_ONCE = 32  # events that are sent between two pauses
HEARTBEAT = 15.0  # seconds of silence after which a comment is sent
LOOK = 0.5  # seconds of silence after which the server can check whether the reader is still connected
MEDIA_TYPE = "text/event-stream"

# Events that only streams with `hears_sessions` want. There may be thousands a second.
_OF_SESSIONS = frozenset((EventKind.SESSION, EventKind.SUBFLOW))

_LAST = re.compile(r"([0-9a-f]{8})-([0-9]{1,18})", re.ASCII)


class StreamEvent(NamedTuple):
    """`kind` is the event's name, `data` a JSON object. In a cluster `origin` is the name of the event's controller, and `run`
    the run to which `number` belongs; `run` is "" for an event that the reader's own controller makes about another one.
    `time`: when the event was published, seconds since 1970; None for a present state and for an event about the stream."""

    number: int
    kind: str
    data: Json
    origin: str = ""
    run: str = ""
    time: float | None = None


class EventPage(NamedTuple):
    """A controller's own events after `begin`, as another controller reads them. `end`: the number up to which the page goes.
    `more`: whether further events follow."""

    begin: Position
    events: list[StreamEvent]
    end: int
    more: bool


EventFilter = Callable[[StreamEvent], bool]


class TooManyStreams(Exception):
    """No further stream may be opened, at all or with this token. The message is one line."""


class StreamShare(NamedTuple):
    """The owner of a stream, and how many streams the owner may have. The streams of MCPs are counted apart from all others, so that
    MCPs and people who watch take no streams from each other."""

    owner: str = ""
    most: int = MAX_STREAMS
    is_mcps: bool = False

    @property
    def in_all(self) -> int:
        """How many streams all MCPs together may have, or all others together."""
        return MAX_STREAMS_OF_MCPS if self.is_mcps else MAX_STREAMS


EVERYBODYS = StreamShare()


def share_of(who: Identity) -> StreamShare:
    """The share of the client with this identity. An operator may have all streams."""
    if who.role is Role.OPERATOR:
        return EVERYBODYS
    if who.role is Role.MCP:
        return StreamShare(who.id, MAX_OF_MCP, is_mcps=True)
    return StreamShare(who.id, MAX_OF_READER)


class Stream:
    """The queue of one listener."""

    hears_others = False  # whether the listener wants events of other controllers
    changed: Condition  # of the hub's lock: only the stream that has something new wakes up

    def __init__(self, wants: EventFilter, hears_sessions: bool) -> None:
        self.wants = wants
        self.hears_sessions = hears_sessions
        self.queue: deque[StreamEvent] = deque()
        self.is_over = False
        self.share = EVERYBODYS
        self._begun_with = 0  # events

    @property
    def is_full(self) -> bool:
        """Whether MAX_QUEUE events wait beyond those that the stream began with."""
        return len(self.queue) >= self._begun_with + MAX_QUEUE

    def begin_with_these(self) -> None:
        """Leave the events that wait now out of `is_full`: they were put in before the reader could read."""
        self._begun_with = len(self.queue)

    def takes(self, event: StreamEvent) -> bool:
        """Whether the listener gets an event. A subclass notes an event that it accepts as told."""
        return self.wants(event)

    def begins_anew(self) -> bool:
        """Whether a full queue was replaced by one `reset` event. That is possible only before the listener reads."""
        return False

    def text(self, event: StreamEvent, epoch: str) -> bytes:
        data = json.dumps(event.data, separators=(",", ":"))
        return f"id: {epoch}-{event.number}\n{time_line(event)}event: {event.kind}\ndata: {data}\n\n".encode()


def time_line(event: StreamEvent) -> str:
    """The `time` field of an event. A reader that follows the standard ignores a field name it does not know (9.2.6)."""
    if event.time is None:
        return ""
    return f"time: {datetime.fromtimestamp(event.time, UTC):%Y-%m-%dT%H:%M:%S}.{int(event.time % 1 * 1000):03d}Z\n"


class EventHub:
    """All streams of a controller, and its last KEPT events. `epoch`: 8 hex digits that tell this run's event numbers from an
    earlier run's. `controller`: this controller's name in a cluster, else "". `now`: the clock of `heard_for`, seconds.
    `wall`: seconds since 1970, the time of events."""

    def __init__(
        self,
        epoch: str,
        controller: str = "",
        now: Callable[[], float] = lambda: 0.0,
        wall: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.controller = controller
        self._now, self._wall = now, wall
        self._heard_from: float | None = None  # since when events of sessions are made, seconds since 1970
        self._heard_until = 0.0  # end of the last `heard_for`, on the clock `now`
        self._silences = 0  # how often events of sessions ceased to be made
        self._whole_from = 0  # number of the last event when they last ceased
        self._epoch = epoch
        self._number = 0
        self._kept: deque[StreamEvent] = deque(maxlen=KEPT)
        self._streams: set[Stream] = set()
        # Under eventlet this is a green lock: only the waiting stream waits.
        self._lock = RLock()
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
        """Whether a listener, here or at another controller, wants events of sessions."""
        return self._is_leased or any(stream.hears_sessions for stream in self._streams)

    @property
    def hears_others(self) -> bool:
        """Whether some stream wants the events of other controllers."""
        return any(stream.hears_others for stream in self._streams)

    @property
    def _is_leased(self) -> bool:
        return self._now() < self._heard_until

    def heard_for(self, seconds: float) -> None:
        """Count a listener for so many seconds that will not say when it leaves: another controller, or a listener that lost
        its stream and will open another."""
        self._heard_until = max(self._heard_until, self._now() + seconds)

    def begin_to_be_heard(self) -> None:
        """Note that events of sessions are made from now on."""
        self._heard_from = self._wall()

    def fall_silent(self) -> None:
        """Note that events of sessions are made no more. A new run of positions begins."""
        self._heard_from = None
        self._silences += 1
        self._whole_from = self._number

    @property
    def position(self) -> Position:
        """The position behind this controller's last own event."""
        return Position(f"{self._epoch}{self._silences:x}", self._number)

    def publish(self, kind: str, data: Json) -> None:
        """Number and keep an event, and queue it in every stream that wants it. Never waits for a reader."""
        with self._lock:
            self._number += 1
            event = StreamEvent(self._number, kind, data, self.controller, self.position.run, self._wall())
            self._kept.append(event)
            if kind in _OF_SESSIONS:
                self._tell(event, {stream for stream in self._streams if stream.hears_sessions})
            else:
                self._tell(event, self._streams)

    def pass_on(self, event: StreamEvent) -> None:
        """Queue an event of another controller, or about one, in the streams that hear others. The event is not kept."""
        with self._lock:
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
            stream.changed.notify_all()

    def open(
        self,
        wants: EventFilter,
        last: str,
        first: list[tuple[str, Json]],
        hears_sessions: bool = True,
        since: PeriodBegin | None = None,
        share: StreamShare = EVERYBODYS,
    ) -> Stream:
        """A stream of the events from now on. `last`: the reader's Last-Event-ID, or "". The kept events after it are sent
        again; where some are no longer kept, the event `reset` says that events were missed. `first`: kinds and data that
        only this stream gets, the present state; they come after the repeated events and before new ones.
        `hears_sessions`: False where `wants` takes no event of a session, so that none is made for this stream. `since`: used
        without a `last`; the kept events from that time on are sent first, after a `reset` where some are missing. Raises
        TooManyStreams, and ValueError for a `since` in the future."""
        with self._lock:
            history = None if since is None or last else self.history(since)
            stream = self.add(Stream(wants, hears_sessions), share)
            missed, is_whole = (self._since(last), True) if history is None else history
            if missed is None or not is_whole:
                before = missed[0].number - 1 if missed else self._number
                stream.queue.append(StreamEvent(before, EventKind.RESET, {}))
            stream.queue.extend(event for event in missed or () if wants(event))
            stream.queue.extend(StreamEvent(self._number, kind, data) for kind, data in first)
            stream.begin_with_these()
            return stream

    def add(self, stream: Stream, share: StreamShare = EVERYBODYS) -> Stream:
        """Raises TooManyStreams."""
        with self._lock:
            alike = [one.share.owner for one in self._streams if one.share.is_mcps == share.is_mcps]
            if len(alike) >= share.in_all:
                whose = " of MCPs" if share.is_mcps else ""
                raise TooManyStreams(f"{share.in_all} event streams{whose} are open, which is all there are")
            if alike.count(share.owner) >= share.most:
                raise TooManyStreams(
                    f"this token has {share.most} event streams open, which is all that it may have"
                )
            stream.share = share
            stream.changed = Condition(self._lock)
            self._streams.add(stream)
            return stream

    def since(self, seen: Position) -> list[StreamEvent] | None:
        """The own events after a position; None where some of them are no longer kept."""
        return [one for one in self._kept if one.number > seen.number] if self._knows(seen) else None

    def history(self, since: PeriodBegin) -> tuple[list[StreamEvent], bool]:
        """The kept own events from a time on, and whether none is missing. Some are missing where more than KEPT were
        published since, and where no events of sessions were made for a part of that time. Raises ValueError for a time in
        the future."""
        moment = since.moment(self._wall())
        kept = list(self._kept)
        # Times may fall where the clock was set back: all events from the first late enough one on are taken.
        first = next((at for at, one in enumerate(kept) if (one.time or 0.0) >= moment), len(kept))
        is_kept = first > 0 or self._number == len(kept)
        return kept[first:], is_kept and self._heard_from is not None and self._heard_from <= moment

    def page(self, after: Position | None, wants: EventFilter, most: int, size: int) -> EventPage:
        """A page of own events that `wants` takes: at most `most` events and some `size` bytes of data. The page begins behind
        `after`, or at the oldest kept event where what follows `after` is no longer kept whole. Without a position it is empty."""
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
        """The least event number after which no event is missing."""
        oldest = self._kept[0].number if self._kept else self._number + 1
        return max(self._whole_from, oldest - 1)

    def _since(self, last: str) -> list[StreamEvent] | None:
        """The events after the one with id `last`; None where some of them are no longer kept."""
        if not last:
            return []
        named = _LAST.fullmatch(last)
        if named is None or named[1] != self._epoch or int(named[2]) > self._number:
            return None
        number = int(named[2])
        oldest = self._kept[0].number if self._kept else self._number + 1
        return [event for event in self._kept if event.number > number] if number >= oldest - 1 else None

    def take(self, stream: Stream, seconds: float) -> bytes | None:
        """The next WRITTEN_AT_ONCE events as text, b"" after `seconds` of silence, None when the stream is over."""
        with self._lock:
            stream.changed.wait_for(lambda: stream.queue or stream.is_over, seconds)
            if stream.is_over:
                return None
            few = min(len(stream.queue), WRITTEN_AT_ONCE)
            return b"".join(stream.text(stream.queue.popleft(), self._epoch) for _ in range(few))

    def leave(self, stream: Stream) -> None:
        """End a stream whose reader is gone."""
        with self._lock:
            self._end(stream)

    def close(self) -> None:
        """End every stream."""
        with self._lock:
            for stream in list(self._streams):
                self._end(stream)

    def _end(self, stream: Stream) -> None:
        stream.is_over = True
        stream.queue.clear()
        stream.changed.notify_all()
        self._streams.discard(stream)


class EventBody:
    """A stream as the body of a WSGI answer; the server calls `close` when the client went away.

    While no event comes, the body yields an empty piece each LOOK seconds, for which the server sends nothing (PEP 3333),
    and a comment each `heartbeat` seconds."""

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
            return b"retry: 1000\n\n"  # the server sends the headers with this first piece
        if self._stream.queue:
            self._pause()  # writing to a socket that has room does not switch threads
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
