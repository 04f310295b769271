"""Limits the requests of each bearer token by a token bucket. Time is an argument, so this module reads no clock."""

from math import ceil

from steering.model.token_bucket import TokenBucket

RATE = 100.0  # requests a second
BURST = 200.0
MAX_BUCKETS = 4_096


class Throttle:
    """A bucket for each caller; above MAX_BUCKETS callers the one that asked longest ago is forgotten. `rate`: requests a
    second; `burst`: requests at once."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[str, TokenBucket] = {}

    def wait(self, caller: str, now: float) -> int:
        """0 when `caller` may go on, else whole seconds for Retry-After (RFC 9110 section 10.2.3)."""
        bucket = self._buckets.pop(caller, None)
        if bucket is None:
            if len(self._buckets) >= MAX_BUCKETS:
                del self._buckets[next(iter(self._buckets))]
            bucket = TokenBucket(self._rate, self._burst, now)
        self._buckets[caller] = bucket  # last in order: used most recently
        return ceil(bucket.take(now))
