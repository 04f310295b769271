"""Waits for a condition, so that a check looks when the condition has come true, and not after a fixed time."""

import time
from collections.abc import Callable

PATIENCE_S = 15.0  # a SYN that is lost is sent again after 1, 3 and 7 s
STEP_S = 0.1


def until(came: Callable[[], object], seconds: float = PATIENCE_S, step: float = STEP_S) -> bool:
    """Wait until `came()` is true; whether that was within `seconds`. `came` is called at least once, and once more at the
    end."""
    limit = time.monotonic() + seconds
    while not came():
        left = limit - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(step, left))
    return True
