"""A token bucket. Pure: time is an argument."""


class TokenBucket:
    """Holds up to `burst` tokens, and gains `rate` tokens per second. The bucket is full at time `now`."""

    __slots__ = ("_at", "_burst", "_held", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._held = burst
        self._at = now

    def take(self, now: float, count: float = 1.0) -> float:
        """Take `count` tokens and return 0. If there are fewer, take none and return the seconds until there are `count`.

        `count` may be at most `burst`.
        """
        self._held = min(self._burst, self._held + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        if self._held >= count:
            self._held -= count
            return 0.0
        return (count - self._held) / self._rate
