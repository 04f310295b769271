"""The stream of one listener to the events of all controllers of a cluster. The listener gets each event once, and the
events of one controller in their order."""

import json

from steering.model.event_kind import EventKind
from steering.northbound.http.event_positions import Position, event_id
from steering.northbound.http.events import EventFilter, Stream, StreamEvent, time_line


class MemberStream(Stream):
    """`seen`: the position up to which the listener knows the events, by controller. `goes_on`: whether the listener named
    the last event it saw. `only`: the one controller whose events the listener wants, None for all."""

    hears_others = True

    def __init__(
        self,
        wants: EventFilter,
        hears_sessions: bool,
        seen: dict[str, Position],
        goes_on: bool,
        only: str | None,
    ) -> None:
        super().__init__(wants, hears_sessions)
        self.is_opening = True  # the listener does not read yet
        self._goes_on = goes_on
        self._only = only
        self._queued = dict(seen)  # by controller, the position of the last event that was queued or left out
        self._sent = dict(seen)  # by controller, the position of the last event that was sent

    def takes(self, event: StreamEvent) -> bool:
        if self._only not in (None, event.origin):
            return False
        if not event.run:
            return True  # an event about a controller, not of it: such an event has no number
        if event.kind is EventKind.RESET:
            return self._begins(event)
        seen = self._queued.get(event.origin)
        if seen is None or seen.run != event.run or event.number <= seen.number or not self.wants(event):
            return False
        self._queued[event.origin] = Position(event.run, event.number)
        return True

    def _begins(self, event: StreamEvent) -> bool:
        """Take a controller's `reset` event: its events go on from there. Whether the listener must be told that it has
        missed events."""
        seen, here = self._queued.get(event.origin), Position(event.run, event.number)
        if seen is not None and seen.run == here.run and seen.number >= here.number:
            return False
        self._queued[event.origin] = here
        if seen is not None or self._goes_on or not self.is_opening:
            return True
        self._sent[event.origin] = here
        return False

    def goes_on_from(self, controller: str, last: Position) -> None:
        """Note that the listener has seen a controller's events up to `last` and none after it."""
        self._queued[controller] = self._sent[controller] = last

    def missed(self, controller: str, here: Position) -> None:
        """Queue a `reset`: the listener has missed events of a controller, and goes on from `here`."""
        self._queued[controller] = here
        self.queue.append(StreamEvent(here.number, EventKind.RESET, {}, controller, here.run))

    def begins_anew(self) -> bool:
        if not self.is_opening:
            return False
        kept = [one for one in self.queue if one.kind is EventKind.CONTROLLER]
        self.queue.clear()
        self._sent |= self._queued
        self.queue.append(StreamEvent(0, EventKind.RESET, {}))
        self.queue.extend(kept)
        return True

    def text(self, event: StreamEvent, epoch: str) -> bytes:
        if event.run:
            self._sent[event.origin] = Position(event.run, event.number)
        named = {"controller": event.origin} if event.origin else {}
        data = json.dumps(event.data | named, separators=(",", ":"))
        told = event_id(event.origin, self._sent)
        # An empty id would make the reader drop its Last-Event-ID (WHATWG HTML, 9.2.6).
        head = f"id: {told}\n" if told else ""
        return f"{head}{time_line(event)}event: {event.kind}\ndata: {data}\n\n".encode()
