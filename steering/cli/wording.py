"""Texts of client commands for values of REST: durations, addresses, costs, paths."""

from datetime import UTC, datetime
from typing import Any

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def duration(seconds: float) -> str:
    """`12s`, `3m20s`, `1h02m`, `2d03h`: the two largest units."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole}s"
    if whole < HOUR:
        return f"{whole // MINUTE}m{whole % MINUTE:02d}s"
    if whole < DAY:
        return f"{whole // HOUR}h{whole % HOUR // MINUTE:02d}m"
    return f"{whole // DAY}d{whole % DAY // HOUR:02d}h"


def endpoint(address: str, port: int) -> str:
    """`10.1.0.2:80` or `[fd00::1]:80`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def number(value: float | None) -> str | None:
    """A cost or score with four digits; None stays None."""
    return None if value is None else f"{value:.4g}"


def speed(kbit: int | None) -> str | None:
    """`10 Gbit/s`, `100 Mbit/s`; None stays None."""
    if kbit is None:
        return None
    return f"{kbit / 1e6:g} Gbit/s" if kbit >= 1_000_000 else f"{kbit / 1e3:g} Mbit/s"


def counted(count: int, noun: str, many: str | None = None) -> str:
    """`1 link`, `2 links`. `many`: the plural where it is not the noun with an s."""
    return f"{count} {noun}" if count == 1 else f"{count} {many or noun + 's'}"


def size_of(value: Any) -> Any:
    """The length of a list. A number, which is the length already, stays as it is."""
    return len(value) if isinstance(value, list) else value


def when(seconds: float) -> str:
    """Seconds since 1970 as a time for people, in UTC. A number that is no time of the calendar stays a number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g} s after 1970"


def printable(value: Any) -> Any:
    """JSON data without control characters, which could control a terminal."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join(c if c.isprintable() else "?" for c in value)
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [printable(item) for item in value]
    return value
