"""Values of arguments that several commands take, read and bounded."""

import argparse

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def positive(text: str) -> int:
    """A whole number from 1 to a million. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError("a whole number from 1 to 1000000 is wanted")
    return int(text)


def age(text: str) -> float:
    """A span of time with its unit, such as 90s, 10m, 2h or 1d, in seconds. Raises ArgumentTypeError."""
    number, unit = text[:-1], text[-1:]
    if not number.isascii() or not number.isdigit() or len(number) > 9 or unit not in UNITS:
        raise argparse.ArgumentTypeError("a whole number with its unit is wanted: 90s, 10m, 2h or 1d")
    return float(int(number) * UNITS[unit])
