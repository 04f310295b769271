"""A token bucket: so many at once, and so many more each second. Pure: time is an argument."""


class TokenBucket:
    """Holds up to `burst`; `rate` come back each second. It is full at `now`."""

    __slots__ = ("_at", "_burst", "_held", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._held = burst
        self._at = now

    def take(self, now: float) -> float:
        """0 when one was there and is taken, else the seconds until one will be."""
        self._held = min(self._burst, self._held + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        if self._held >= 1.0:
            self._held -= 1.0
            return 0.0
        return (1.0 - self._held) / self._rate
