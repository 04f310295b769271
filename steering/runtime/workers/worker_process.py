"""One worker as a child of the parent: started, ended, and started again when it died."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from steering.runtime.workers.worker_settings import WORKER

SHORTEST, LONGEST = 0.5, 30.0  # seconds until a worker that died is started again: at first, and at most
LASTED = 60.0  # seconds of life after which the next wait is the shortest again
# The service manager watches the parent.
_NOT_INHERITED = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})

log = logging.getLogger(__name__)


class WorkerProcess:
    """`name`: the worker's. `place`: the word of the environment that makes the same command this worker."""

    def __init__(self, name: str, place: str, environ: Mapping[str, str] = os.environ) -> None:
        self.name = name
        self.starts = 0
        self._environ = {key: value for key, value in environ.items() if key not in _NOT_INHERITED} | {
            WORKER: place
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._wait = SHORTEST
        self._due: float | None = None

    @property
    def pid(self) -> int:
        """The process, 0 where there is none."""
        return 0 if self._process is None else self._process.pid

    def start(self, now: float) -> None:
        """Start the worker: this program's own command again, as when a controller begins anew. If the
        system has no room for a process now, it is tried again later, and the other workers go on."""
        command = [sys.executable, *sys.orig_argv[1:]]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=self._environ)
        except OSError as error:
            log.error("worker %s cannot be started for the moment: %s", self.name, error.strerror)
            self._again(now)
            return
        self._began, self._due = now, None
        self.starts += 1

    def ended(self, now: float) -> int | None:
        """The status of the worker where it has ended since the last call. It is due to be started again then."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        self._process = None
        if now > self._began + LASTED:
            self._wait = SHORTEST
        self._again(now)
        return status

    def _again(self, now: float) -> None:
        self._due = now + self._wait
        self._wait = min(2 * self._wait, LONGEST)

    def start_if_due(self, now: float) -> None:
        if self._due is not None and now >= self._due:
            self.start(now)

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False where it has not ended in time."""
        if self._process is not None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
        return True
