"""Waiting in tests for what another thread or process does."""

import time
from collections.abc import Callable

REPEATED_AFTER = 3.0  # seconds


def wait_for(what: Callable[[], object], seconds: float = 30.0) -> None:
    """Until `what()` is true; fails after `seconds`."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "did not come true in time"
        time.sleep(0.02)


def sent_until(send: Callable[[], object], seen: Callable[[], object]) -> int:
    """Send what its sender repeats where nothing comes of it, as TCP does: a machine that holds one process up for a moment has
    it dropped. How often it was sent until `seen()`; fails after ten times."""
    for times in range(1, 11):
        send()
        until = time.monotonic() + REPEATED_AFTER
        while time.monotonic() < until:
            if seen():
                return times
            time.sleep(0.02)
    raise AssertionError("did not come true in time")
