"""The relay's log: one line an event on standard error, for people or as JSON. Never a key, never a payload."""

import json
import sys
import time
from typing import TextIO

BURST_PER_SECOND = 20
"""Lines a second that peers can cause; the rest is counted and told in the next second that has room."""


class Log:
    """Writes events with their fields."""

    def __init__(self, as_json: bool, verbose: bool, stream: TextIO | None = None) -> None:
        self._json = as_json
        self.verbose = verbose
        self._stream = stream or sys.stderr
        self._second = 0
        self._lines = 0
        self._suppressed = 0

    def event(self, name: str, **fields: object) -> None:
        """One line of the operator's own doing: start, rules, end."""
        shown = {key: value for key, value in fields.items() if value is not None}
        if self._json:
            line = json.dumps(
                {"time": round(time.time(), 3), "component": "relay", "event": name, **shown}, default=str
            )
        else:
            line = f"relay: {name}" + "".join(f" {key}={value}" for key, value in shown.items())
        print(line, file=self._stream, flush=True)

    def peer_event(self, name: str, **fields: object) -> None:
        """One line that a peer caused: bounded, so that nobody can fill the log's disk."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
            if self._suppressed:
                suppressed, self._suppressed = self._suppressed, 0
                self.event("log lines suppressed", count=suppressed)
        self._lines += 1
        if self._lines <= BURST_PER_SECOND:
            self.event(name, **fields)
        else:
            self._suppressed += 1
