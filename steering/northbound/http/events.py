"""Events for those who listen: numbered, kept a while, and sent as Server-Sent Events (WHATWG HTML, 9.2).

A stream has a queue of its own. Who does not read fast enough is dropped, and may come back and name the
last event it saw; nobody ever waits for a reader.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition
from typing import Any, NamedTuple

from steering.model.event_kind import EventKind
from steering.model.view import Pause, no_pause

Json = dict[str, Any]

MAX_STREAMS = 64
MAX_QUEUE = 1_024
KEPT = 1_024
WRITTEN_AT_ONCE = 32  # events, then others have their turn
HEARTBEAT = 15.0  # seconds of silence after which a comment is sent
LOOK = 0.5  # seconds of silence after which the server has a turn: it looks whether the reader is still there
MEDIA_TYPE = "text/event-stream"

_LAST = re.compile(r"([0-9a-f]{8})-([0-9]{1,18})", re.ASCII)


class StreamEvent(NamedTuple):
    """`kind` is the event's name, `data` a JSON object."""

    number: int
    kind: str
    data: Json


Wants = Callable[[StreamEvent], bool]


class TooManyStreams(Exception):
    """MAX_STREAMS are open already."""


class Stream:
    """The queue of one listener."""

    def __init__(self, wants: Wants, hears_sessions: bool) -> None:
        self.wants = wants
        self.hears_sessions = hears_sessions
        self.queue: deque[StreamEvent] = deque()
        self.is_over = False


class EventHub:
    """`epoch`: 8 hex digits that tell this run's numbers from those of an earlier one."""

    def __init__(self, epoch: str) -> None:
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
    def hears_sessions(self) -> bool:
        """Whether some stream wants what changes of sessions."""
        return any(stream.hears_sessions for stream in self._streams)

    def publish(self, kind: str, data: Json) -> None:
        """Tell every stream that wants it; never waits."""
        with self._changed:
            self._number += 1
            event = StreamEvent(self._number, kind, data)
            self._kept.append(event)
            for stream in list(self._streams):
                if not stream.wants(event):
                    continue
                if len(stream.queue) >= MAX_QUEUE:
                    self.dropped += 1
                    self._end(stream)
                else:
                    stream.queue.append(event)
            self._changed.notify_all()

    def open(
        self, wants: Wants, last: str, first: list[tuple[str, Json]], hears_sessions: bool = True
    ) -> Stream:
        """A stream of what comes from now on. `last`: the Last-StreamEvent-ID, or ""; what followed it is sent again
        if it is still kept, else the event `reset` says that something was missed. `first`: kinds and data
        that only this stream gets, how things stand: before anything new, and after what is sent again. `hears_sessions`: False where `wants` takes no event of
        a session, so that nobody looks for them. Raises TooManyStreams."""
        with self._changed:
            if len(self._streams) >= MAX_STREAMS:
                raise TooManyStreams
            stream = Stream(wants, hears_sessions)
            missed = self._since(last)
            if missed is None:
                stream.queue.append(StreamEvent(self._number, EventKind.RESET, {}))
            stream.queue.extend(event for event in missed or () if wants(event))
            stream.queue.extend(StreamEvent(self._number, kind, data) for kind, data in first)
            self._streams.add(stream)
            return stream

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
            return b"".join(self._text(stream.queue.popleft()) for _ in range(few))

    def _text(self, event: StreamEvent) -> bytes:
        data = json.dumps(event.data, separators=(",", ":"))
        return f"id: {self._epoch}-{event.number}\nevent: {event.kind}\ndata: {data}\n\n".encode()

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
