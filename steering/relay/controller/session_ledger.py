"""The ledger of a relay: which sessions began and ended, in batches for the controller, so that a report can be resumed.

The ledger does no I/O and reads no clock. The relay's loop enters what happens. The reporter's thread takes batches and says
what became of each. One lock protects both. docs/relay-reports.rst has the format and what a controller makes of it.

Two numbers make a report resumable. A *generation* is one run of a relay; ids of sessions are valid within it alone. The
*sequence* of a batch is one more than that of the batch accepted before. A batch is repeated unchanged until the reporter
says what became of it. Where the controller does not know the batch before (it restarted, or a batch was lost), or where
more events wait than are kept, the whole set of live sessions is sent anew. Sessions that are not in the set have ended.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import islice
from typing import Any

from steering.relay.model import Endpoint

Json = dict[str, Any]

VERSION = 1
MOST_EVENTS = 250
"""Most events of one batch, which makes some 55 kB: a controller accepts requests of 64 KiB from an MCP."""
MOST_WAITING = 20_000
"""Most events that are kept for a controller that is away. With more events the whole set is sent in their place."""


class SessionEvent(StrEnum):
    """What happened to a session."""

    BEGAN = "began"
    ENDED = "ended"


class SessionLedger:
    """Live sessions, events that wait, and the batch that was sent and not answered. `generation` names this run of the relay."""

    def __init__(
        self, generation: str, news: Callable[[], object] = lambda: None, most_waiting: int = MOST_WAITING
    ) -> None:
        """`news` is called when an event was entered; it must not block."""
        self.generation = generation
        self._news = news
        self._most = most_waiting
        self._lock = threading.Lock()
        self._live: dict[int, Json] = {}
        self._events: deque[Json] = deque()
        self._whole: Iterator[Json] | None = iter(())  # the rest of a whole set; the first batch begins one
        self._left = 0
        self._part = 0
        self._sequence = 0
        self._sent: Json | None = None
        self._ids = 0
        self.told = 0
        self.whole_sets = 0
        self.overflowed = 0

    @property
    def waiting(self) -> bool:
        """Whether there is something to tell besides load and health."""
        with self._lock:
            return bool(self._events) or self._whole is not None or self._sent is not None

    @property
    def live(self) -> int:
        """Sessions that began and have not ended."""
        return len(self._live)

    # ---- the relay's loop ----------------------------------------------------------------------

    def begin(self, token: int | None, client: Endpoint, server: Endpoint, at: float) -> int:
        """Enter a session that began at `at`, seconds since 1970; its id. `token`: the token of the relay's own key, None for
        plain TCP."""
        with self._lock:
            self._ids += 1
            row = {
                "event": SessionEvent.BEGAN.value,
                "id": self._ids,
                "token": None if token is None else f"{token:08x}",
                "client": list(client),
                "server": list(server),
                "at": round(at, 3),
            }
            self._live[self._ids] = row
            self._put(row)
            return self._ids

    def end(self, number: int, how: str, at: float) -> None:
        """Enter the end of a session at `at`, seconds since 1970. Raises KeyError for an id that is not live."""
        with self._lock:
            row = self._live.pop(number)
            self._put(
                {
                    "event": SessionEvent.ENDED.value,
                    "id": number,
                    "token": row["token"],
                    "how": how,
                    "at": round(at, 3),
                }
            )

    def _put(self, event: Json) -> None:
        self._news()
        if len(self._events) < self._most:
            self._events.append(event)
            return
        self.overflowed += 1
        self._start_over()

    # ---- the reporter's thread -----------------------------------------------------------------

    def batch(self, state: Json) -> Json:
        """The batch to send: the last one while it is unanswered, else the next. `state`: present load and health."""
        with self._lock:
            if self._sent is None:
                self._sent = self._next()
            return self._sent | {"state": state}

    def accepted(self) -> None:
        """Note that the controller has accepted the last batch."""
        with self._lock:
            if self._sent is None:
                return
            self._sequence = self._sent["sequence"]
            self.told += len(self._sent["events"])
            whole = self._sent["whole"]
            if whole is not None and whole["last"]:
                self.whole_sets += 1
            self._sent = None

    def start_over(self) -> None:
        """Have the next batch begin a whole set: the controller lacks earlier batches, or refuses the last one for good."""
        with self._lock:
            self._start_over()

    def _start_over(self) -> None:
        self._events.clear()
        if (
            self._sent is not None
        ):  # the controller may have accepted it and its answer was lost: the number is used up
            self._sequence = self._sent["sequence"]
            self._sent = None
        self._part = 0
        rows = list(self._live.values())
        self._whole, self._left = iter(rows), len(rows)

    def _next(self) -> Json:
        whole = None
        if self._whole is not None:
            if not self._part:  # the set is made now, so it contains the events that waited
                self._start_over()
            events = list(islice(self._whole, MOST_EVENTS))
            self._left -= len(events)
            self._part += 1
            whole = {"part": self._part, "last": self._left == 0}
            if not self._left:
                self._whole, self._part = None, 0
        else:
            events = [self._events.popleft() for _ in range(min(MOST_EVENTS, len(self._events)))]
        return {
            "version": VERSION,
            "generation": self.generation,
            "sequence": self._sequence + 1,
            "whole": whole,
            "live": len(self._live),
            "waiting": len(self._events) + self._left,
            "events": events,
        }
