"""Values of arguments that several commands take, read and bounded."""

import argparse

from steering.model.period_begin import PeriodBegin, read_since, read_span


def positive(text: str) -> int:
    """A whole number from 1 to a million. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError("a whole number from 1 to 1000000 is wanted")
    return int(text)


def age(text: str) -> float:
    """A span of time with its unit, such as 90s, 10m, 2h or 1d, in seconds. Raises ArgumentTypeError."""
    try:
        return read_span(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def since(text: str) -> PeriodBegin:
    """A beginning: a span of time before now, or a time with its zone. Raises ArgumentTypeError."""
    try:
        return read_since(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
