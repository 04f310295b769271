"""Arithmetic of TCP sequence numbers, which wrap at 2^32 (RFC 9293 3.4)."""

SEQ_SPACE = 1 << 32
_HALF = SEQ_SPACE // 2


def gap(number: int, other: int) -> int:
    """The distance of two numbers, in either order."""
    return min((number - other) % SEQ_SPACE, (other - number) % SEQ_SPACE)


def is_after(number: int, other: int) -> bool:
    """Whether `number` comes after `other` by less than half of the number space."""
    return 0 < (number - other) % SEQ_SPACE < _HALF


def earlier(number: int, known: int | None) -> int:
    """The earlier one of two numbers."""
    return number if known is None or is_after(known, number) else known


def later(number: int, known: int | None) -> int:
    """The later one of two numbers."""
    return number if known is None or is_after(number, known) else known
