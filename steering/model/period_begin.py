"""Reads the begin of a period as people write it: a span of time before now, or a moment with its time zone."""

from datetime import UTC, datetime
from typing import NamedTuple

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
MOST_DIGITS = 9
MAX_TEXT = 40
SKEW = 60.0  # seconds by which the asker's clock may be ahead
LAST = 1 << 33  # latest moment that is read, in seconds since 1970
WANTED_SPAN = "a whole number with its unit is wanted: 90s, 10m, 2h or 1d"
WANTED = "a span of time (90s, 10m, 2h, 1d) or a time with its zone (2026-11-30T12:00:00Z) is wanted"


class PeriodBegin(NamedTuple):
    """The begin of a period: `seconds` before now if `is_span`, else seconds since 1970."""

    seconds: float
    is_span: bool

    def __str__(self) -> str:
        """The text that `read_since` reads as this value."""
        if self.is_span:
            unit = max((one for one, size in UNITS.items() if not self.seconds % size), key=UNITS.__getitem__)
            return f"{self.seconds / UNITS[unit]:.0f}{unit}"
        return datetime.fromtimestamp(self.seconds, UTC).isoformat().replace("+00:00", "Z")

    def moment(self, now: float) -> float:
        """The begin in seconds since 1970, at most `now`. Raises ValueError if it lies after `now` by more than SKEW."""
        moment = now - self.seconds if self.is_span else self.seconds
        if moment > now + SKEW:
            raise ValueError("that time is still to come")
        return min(moment, now)


def read_span(text: str) -> float:
    """The seconds of a span such as `90s`, `10m`, `2h` or `1d`. Raises ValueError."""
    number, unit = text[:-1], text[-1:]
    if not number.isascii() or not number.isdigit() or len(number) > MOST_DIGITS or unit not in UNITS:
        raise ValueError(WANTED_SPAN)
    return float(int(number) * UNITS[unit])


def read_since(text: str) -> PeriodBegin:
    """Read a span of time, or an ISO 8601 time with a zone. Raises ValueError, also for a time without a zone, because it
    is ambiguous."""
    try:
        return PeriodBegin(read_span(text), True)
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(text if text.isascii() and len(text) <= MAX_TEXT else "")
    except ValueError:
        raise ValueError(WANTED) from None
    if time.utcoffset() is None or not 0 <= time.timestamp() < LAST:
        raise ValueError(WANTED)
    return PeriodBegin(time.timestamp(), False)
