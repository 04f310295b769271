"""A token bucket. Pure: time is an argument."""


class TokenBucket:
    """Holds up to `burst` tokens, and gets `rate` per second. It is full at time `now`."""

    __slots__ = ("_at", "_burst", "_held", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._held = burst
        self._at = now

    def take(self, now: float) -> float:
        """Take a token and return 0, or return the seconds until there will be one."""
        self._held = min(self._burst, self._held + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        if self._held >= 1.0:
            self._held -= 1.0
            return 0.0
        return (1.0 - self._held) / self._rate
