"""Waiting in tests for what another thread or process does."""

import time
from collections.abc import Callable


def wait_for(what: Callable[[], object], seconds: float = 30.0) -> None:
    """Until `what()` is true; fails after `seconds`."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "did not come true in time"
        time.sleep(0.02)
