"""The relay's log: one line for each event on standard error, as text or JSON. It holds no key and no payload."""

import json
import sys
import time
from typing import TextIO

BURST_PER_SECOND = 20
"""Lines that peers can cause in a second. Further lines are left out, and a line in a later second says how many."""


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
        """Write a line about the relay itself: start, rules, end. Fields that are None are left out."""
        shown = {key: value for key, value in fields.items() if value is not None}
        if self._json:
            line = json.dumps(
                {"time": round(time.time(), 3), "component": "relay", "event": name, **shown}, default=str
            )
        else:
            line = f"relay: {name}" + "".join(f" {key}={value}" for key, value in shown.items())
        print(line, file=self._stream, flush=True)

    def peer_event(self, name: str, **fields: object) -> None:
        """Write a line that a peer caused. At most BURST_PER_SECOND are written, so that no peer can fill the log's disk."""
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
