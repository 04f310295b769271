"""How long this machine keeps waiting who wants to run: what a limit in seconds has to leave aside."""

import threading
import time
from typing import Self

STEP_S = 0.01


class Lateness:
    """`seconds`: by how much a thread that wants to run each STEP_S was late, in all, since the context began."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _run(self) -> None:
        before = time.monotonic()
        while not self._over.wait(STEP_S):
            now = time.monotonic()
            self.seconds += max(0.0, now - before - STEP_S)
            before = now
