"""What a relay has to tell its controller of its sessions: which began, which ended, in batches that can be resumed.

No I/O and no clock. The relay's loop writes down what happens, the reporter's thread takes batches and says what became
of each; one lock stands between them. The format and what a controller makes of it: docs/relay-reports.rst.

Two rules make a report resumable. A *generation* is one run of a relay: ids of sessions mean something inside it alone.
A batch has a *sequence* number, one more than the batch accepted before it; it is repeated as it was until somebody
says what became of it. Where the controller does not know what came before (it restarted, or a batch was lost), or
where more waits than is kept, the whole set of live sessions is told anew, and what is not in it has ended.
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
"""Of one batch: at most some 55 kB, a controller takes 64 KiB of an MCP."""
MOST_WAITING = 20_000
"""Events kept for a controller that is away. With more the whole set is told, which is shorter than that."""


class SessionEvent(StrEnum):
    """What happened to a session."""

    BEGAN = "began"
    ENDED = "ended"


class SessionLedger:
    """Live sessions, events that wait, and the batch that is on its way. `generation` names this run of the relay."""

    def __init__(
        self, generation: str, news: Callable[[], object] = lambda: None, most_waiting: int = MOST_WAITING
    ) -> None:
        """`news` is called when there is something to tell; it must not wait."""
        self.generation = generation
        self._news = news
        self._most = most_waiting
        self._lock = threading.Lock()
        self._live: dict[int, Json] = {}
        self._events: deque[Json] = deque()
        self._whole: Iterator[Json] | None = iter(())  # what is left of a whole set; the first batch is one
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
        """A session began, seconds since 1970; its id. `token` is that of our key, None for plain TCP."""
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
        """The session of that id ended; once for each."""
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
        """The batch to send: the one that nobody has answered yet, or the next. `state`: load and health now."""
        with self._lock:
            if self._sent is None:
                self._sent = self._next()
            return self._sent | {"state": state}

    def accepted(self) -> None:
        """The controller has taken what `batch` gave last."""
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
        """The controller does not know what came before, or would never take what was sent: the whole set is next."""
        with self._lock:
            self._start_over()

    def _start_over(self) -> None:
        self._events.clear()
        if self._sent is not None:  # it may have been taken though nobody heard so: its number is used up
            self._sequence = self._sent["sequence"]
            self._sent = None
        self._part = 0
        rows = list(self._live.values())
        self._whole, self._left = iter(rows), len(rows)

    def _next(self) -> Json:
        whole = None
        if self._whole is not None:
            if not self._part:  # the set is of this moment: events that waited are in it
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
