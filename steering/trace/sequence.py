"""Arithmetic of TCP sequence numbers, which wrap at 2^32 (RFC 9293 3.4)."""

SEQ_SPACE = 1 << 32


def gap(number: int, last: int | None) -> int:
    if last is None:
        return SEQ_SPACE // 2
    return min((number - last) % SEQ_SPACE, (last - number) % SEQ_SPACE)


def earlier(number: int, known: int | None) -> int:
    return number if known is None or (number - known) % SEQ_SPACE > SEQ_SPACE // 2 else known
