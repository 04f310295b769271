"""Reports of a relay to its controller: sessions, load and health (docs/relay-reports.rst), mappings of shared addresses
(N-5.6.7), and slow servers (N-5.6.1d).

A thread of its own sends them. The relay's loop only queues things here and never waits. While the controller is away
reports wait in bounded queues. Mappings that do not fit are counted and not reported; the relay's own log still has them.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

from steering.relay.controller.session_ledger import SessionLedger
from steering.relay.counters import RelayCounters
from steering.relay.log import Log
from steering.relay.model import ControllerAccess, RelayHealth

if TYPE_CHECKING:  # loaded only where there is a controller: http.client and ssl take 5 MB
    from steering.relay.controller.http_request import ControllerConnection

Json = dict[str, Any]

BATCH, BATCH_BYTES = 500, 60_000
"""Most mappings of one request, and most bytes: a controller accepts requests of 64 KiB from an MCP."""
MOST_WAITING = 10_000
GATHER_S = 0.2
"""Seconds in which news are collected for one request."""
HEARTBEAT_S, LONGEST_HEARTBEAT_S = 0.2, 60.0
"""Shortest and longest seconds between two reports; the controller chooses. A report is sent also when no session began or
ended. Each report says when the next one comes, and the controller takes a relay that is late for dead."""
STUCK_S = 1.0
"""Seconds after which a relay's loop that has set no state counts as stuck. The reporter then reports no more."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 2.0
"""Shortest and longest seconds between two attempts while the controller is away."""
AGAIN_S = 60.0
"""Seconds after which slow servers are reported again, since a controller keeps them in memory only. So long the reporter
also waits before it offers sessions again to a controller that refused them."""
TIMEOUT_S = 5.0
STOP_S = 0.5
"""Seconds in which `stop` returns, since a relay has to end within a second. Its log says how many mappings were not sent."""
MOST_SLOW = 256
_NEVER = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
"""Statuses that a controller would give to the same request again."""
_NO_SESSIONS = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
"""Statuses of a controller that knows no reports of sessions."""
MOST_BATCHES = 64
"""Most batches of sessions before mappings and slow servers are sent."""


class ReportRefused(Exception):
    """The controller refused a report, with its HTTP status. `never`: it would refuse the same report again."""

    def __init__(self, status: int) -> None:
        super().__init__(f"it answers {status}")
        self.status = status
        self.never = status in _NEVER


def state_of(health: RelayHealth, counters: RelayCounters, most_sessions: int) -> Json:
    """The part of a report with load and health. Its counters count since the relay's start."""
    return {
        "health": health.value,
        "load": round(min(1.0, counters.active / most_sessions), 3),
        "sessions": counters.active,
        "most_sessions": most_sessions,
        "accepted": counters.accepted,
        "fallback": counters.fallback,
        "dial_failed": counters.dial_failed,
        "refused": counters.refused_limit,
    }


class Reporter:
    """The reporter's thread: call `start`, then `stop`. `mapping`, `slow_servers` and `state` may be called from the relay's
    thread at any time.

    `generation`: 16 hex digits for this run of the relay. With it the sessions of `ledger` are reported, without it none.
    """

    def __init__(
        self, options: ControllerAccess, log: Log, generation: str = "", most: int = MOST_WAITING
    ) -> None:
        self._options = options
        self._log = log
        self._most = most
        self._lines: deque[Json] = deque()
        self._slow: list[Json] | None = None  # None: nothing to report
        self._last_slow: list[Json] = []
        self._again = 0.0
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._over = threading.Event()
        self.ledger = SessionLedger(generation, self._work.set) if generation else None
        self._state: Json = {}
        self._state_at = time.monotonic()
        self._pace = HEARTBEAT_S
        self._channel: ControllerConnection | None = None
        self._sessions_after = 0.0  # time before which no sessions are sent, as the controller refused them
        self._rest_after, self._rest_wait = (
            0.0,
            FIRST_WAIT_S,
        )  # time before which nothing else is sent, and the seconds of the next wait
        self.reported = 0
        self.refused = 0
        self.dropped = 0
        self.failed = 0
        self.sessions_refused = 0
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Try once more to send what waits, and end the thread within STOP_S, also if it never began."""
        self._over.set()
        self._work.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)
        if self._lines:
            self._log.event("mappings not reported", count=len(self._lines))

    def counters(self) -> dict[str, int]:
        """Mappings and events of sessions by what became of them, and requests that failed."""
        told = {
            "mappings_reported": self.reported,
            "mappings_refused": self.refused,
            "mappings_dropped": self.dropped,
            "reports_failed": self.failed,
        }
        if self.ledger is not None:
            told |= {
                "session_events_reported": self.ledger.told,
                "session_sets_reported": self.ledger.whole_sets,
                "session_events_overflowed": self.ledger.overflowed,
                "session_batches_refused": self.sessions_refused,
            }
        return told

    def mapping(self, line: Json) -> None:
        """Queue a line of the mapping log. When MOST_WAITING lines wait, the new line is dropped and the older ones stay."""
        with self._lock:
            if len(self._lines) >= self._most:
                self.dropped += 1
                return
            self._lines.append(reported(line))
        self._work.set()

    def slow_servers(self, servers: Sequence[tuple[str, float]], wall: float) -> None:
        """Queue the slow servers: address and seconds left of each; `wall` is the time now, seconds since 1970."""
        told = [{"address": address, "until": round(wall + left, 1)} for address, left in servers]
        with self._lock:
            self._slow = self._last_slow = told[-MOST_SLOW:]
        self._work.set()

    def state(self, state: Json) -> None:
        """Set load and health, as `state_of` makes them; they go with the next report of sessions."""
        self._state, self._state_at = state, time.monotonic()

    # -- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        wait = FIRST_WAIT_S
        gather = (
            0.0  # the first report goes at once: with it the controller ends the sessions of the run before
        )
        last = False
        while not last:
            last = self._over.is_set()
            if not last:
                self._work.wait(max(0.0, self._pace - GATHER_S))
            self._over.wait(gather)
            gather = GATHER_S
            try:
                self._tell()
                wait = FIRST_WAIT_S
            except (
                Exception
            ) as error:  # also a defect of this program must not end the reports: the controller would
                # take the relay for frozen.
                self._failed(error)
                self._over.wait(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)

    def _failed(self, error: Exception) -> None:
        self.failed += 1
        self._log.peer_event("not reported", reason=str(error) or type(error).__name__)

    def _tell(self) -> None:
        """Send everything that waits. What was not sent stays queued. Raises OSError, ValueError, and
        ReportRefused if sessions are refused: load and health are sent together with sessions, at the promised pace. A refusal of
        anything else must not delay them."""
        self._work.clear()
        if self.ledger is not None:
            self._tell_sessions(self.ledger)
        if time.monotonic() < self._rest_after and not self._over.is_set():
            return
        try:
            self._tell_slow()
            self._tell_mappings()
            self._rest_wait = FIRST_WAIT_S
        except Exception as error:
            self._failed(error)
            self._rest_after = time.monotonic() + self._rest_wait
            self._rest_wait = min(2 * self._rest_wait, LONGEST_WAIT_S)

    def _tell_mappings(self) -> None:
        """Send mappings that wait. If there are very many, as after an absence of the controller, the next report of sessions goes
        first: its pace was promised."""
        until = time.monotonic() + GATHER_S
        while self._lines:
            batch = self._batch()
            try:
                self._send("POST", "mappings", {"mappings": batch})
                self.reported += len(batch)
            except ReportRefused as error:
                if not error.never:
                    raise
                self.refused += len(batch)
                self._log.peer_event("mappings refused", count=len(batch), reason=str(error))
            with self._lock:
                for _ in batch:
                    self._lines.popleft()
            if time.monotonic() >= until and not self._over.is_set():
                self._work.set()
                return

    def _batch(self) -> list[Json]:
        """The lines that wait longest, as many as one request holds."""
        size, batch = 0, list[Json]()
        with self._lock:
            for line in islice(self._lines, BATCH):
                size += len(json.dumps(line)) + 2
                if batch and size > BATCH_BYTES:
                    break
                batch.append(line)
        return batch

    def _tell_sessions(self, ledger: SessionLedger) -> None:
        """Send the batches of sessions that wait, and at least one batch, as load and health go with it."""
        now = time.monotonic()
        if now < self._sessions_after and not self._over.is_set():
            return
        if self._state and now - self._state_at > STUCK_S and not self._over.is_set():
            return  # the loop is stuck: this thread must not report that the relay is well
        conflicts = 0
        for _ in range(MOST_BATCHES):
            try:
                state = self._state | {"pace": self._pace} if self._state else self._state
                self._set_pace(self._send("POST", "sessions", ledger.batch(state)))
            except ReportRefused as error:
                if not (error.never or error.status in _NO_SESSIONS or error.status == HTTPStatus.CONFLICT):
                    raise
                self.sessions_refused += 1
                ledger.start_over()
                if error.status == HTTPStatus.CONFLICT and not conflicts:  # it lacks what came before
                    conflicts += 1
                    continue
                if error.status != HTTPStatus.CONFLICT:
                    self._sessions_after = time.monotonic() + AGAIN_S
                self._log.peer_event("sessions refused", reason=str(error))
                return
            else:
                ledger.accepted()
                if not ledger.waiting:
                    return
        self._work.set()

    def _tell_slow(self) -> None:
        with self._lock:
            now = time.monotonic()
            if self._slow is None and self._last_slow and now >= self._again:
                self._slow = self._last_slow
            told, self._again = self._slow, now + AGAIN_S if self._slow is not None else self._again
        if told is None:
            return
        self._send("PUT", "load", {"slow_servers": told})
        with self._lock:
            if self._slow is told:
                self._slow = None

    def _set_pace(self, answer: Json) -> None:
        """Take over the controller's wish for the seconds between two reports."""
        told = answer.get("pace")
        if isinstance(told, int | float) and not isinstance(told, bool):
            self._pace = min(max(told, HEARTBEAT_S), LONGEST_HEARTBEAT_S)

    def _send(self, method: str, what: str, body: Json) -> Json:
        """The body of the controller's answer. Raises ReportRefused where its status is not 202."""
        if self._channel is None:
            from steering.relay.controller.http_request import ControllerConnection

            self._channel = ControllerConnection(self._options)
        status, said = self._channel.ask(method, what, body, STOP_S if self._over.is_set() else TIMEOUT_S)
        if status != HTTPStatus.ACCEPTED:
            raise ReportRefused(status)
        return said


def reported(line: Json) -> Json:
    """A line of the log in the controller's form: a destination without its port."""
    destination = line.get("destination")
    if not isinstance(destination, str):
        return line
    address = (
        destination[1:].partition("]")[0] if destination.startswith("[") else destination.rpartition(":")[0]
    )
    return line | {"destination": address or destination}
