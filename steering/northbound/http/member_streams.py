"""The stream of a listener to the events of all controllers of a cluster: each event once, and never out of order."""

import json

from steering.model.event_kind import EventKind
from steering.northbound.http.event_positions import Position, event_id
from steering.northbound.http.events import Stream, StreamEvent, Wants, time_line


class MemberStream(Stream):
    """`seen`: up to where its listener knows the events of each controller. `goes_on`: it named the last event that it saw.
    `only`: the one controller that it wants to hear of."""

    hears_others = True

    def __init__(
        self, wants: Wants, hears_sessions: bool, seen: dict[str, Position], goes_on: bool, only: str | None
    ) -> None:
        super().__init__(wants, hears_sessions)
        self.is_opening = True  # nobody reads it yet
        self._goes_on = goes_on
        self._only = only
        self._queued = dict(seen)  # up to where events were put into the queue, or are of no interest
        self._sent = dict(seen)

    def takes(self, event: StreamEvent) -> bool:
        if self._only not in (None, event.origin):
            return False
        if not event.run:
            return True  # a word about a controller, and not an event of it
        if event.kind is EventKind.RESET:
            return self._begins(event)
        seen = self._queued.get(event.origin)
        if seen is None or seen.run != event.run or event.number <= seen.number or not self.wants(event):
            return False
        self._queued[event.origin] = Position(event.run, event.number)
        return True

    def _begins(self, event: StreamEvent) -> bool:
        """A controller's events are told from here on. Whether the listener has missed any."""
        seen, here = self._queued.get(event.origin), Position(event.run, event.number)
        if seen is not None and seen.run == here.run and seen.number >= here.number:
            return False
        self._queued[event.origin] = here
        if seen is not None or self._goes_on or not self.is_opening:
            return True
        self._sent[event.origin] = here
        return False

    def goes_on_from(self, controller: str, last: Position) -> None:
        """Its listener has seen a controller's events up to `last`, and no others."""
        self._queued[controller] = self._sent[controller] = last

    def missed(self, controller: str, here: Position) -> None:
        """Its listener has missed events of a controller; it goes on from `here`."""
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
        # An empty id would make the reader forget where it is.
        head = f"id: {told}\n" if told else ""
        return f"{head}{time_line(event)}event: {event.kind}\ndata: {data}\n\n".encode()
