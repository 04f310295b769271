"""Reads JSON from a controller, which the relay trusts no more than any peer: one object, bounded in depth and numbers.

Python reads 1e999 as infinity, NaN as a number, and whole numbers of any length. Each of them breaks code that expects an
ordinary number: `int(inf)` raises OverflowError, and every comparison with NaN is false.
Python also takes any text behind the `%` of an IPv6 address as its zone. Written again, such an address may contain
words that nft would read.
"""

import json
from collections import Counter
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import isfinite
from typing import Any, NoReturn

Json = dict[str, Any]

MOST_DIGITS = 19
"""Most digits of a whole number. The largest number that a controller sends, a 32-bit token, has ten."""


class JsonRefusal(StrEnum):
    """Why JSON of a controller is not read."""

    SYNTAX = "syntax"
    NOT_OBJECT = "not-object"
    TOO_DEEP = "too-deep"
    NUMBER = "number"
    """NaN, Infinity, one that no float holds, or a whole number with too many digits."""


class JsonRefused(ValueError):
    """JSON of a controller is not read, with the reason."""

    def __init__(self, reason: JsonRefusal) -> None:
        super().__init__(f"refused JSON: {reason.value}")
        self.reason = reason


RefusalCounts = Counter[JsonRefusal]


def counted(refused: RefusalCounts) -> dict[str, int]:
    """Every reason with its count, also those with 0."""
    return {reason.value: refused[reason] for reason in JsonRefusal}


def read_object(data: bytes) -> Json:
    """The JSON object in `data`. Raises JsonRefused."""
    try:
        found = json.loads(data, parse_float=_float, parse_int=_int, parse_constant=_constant)
    except JsonRefused:
        raise
    except RecursionError:
        raise JsonRefused(JsonRefusal.TOO_DEEP) from None
    except ValueError:
        raise JsonRefused(JsonRefusal.SYNTAX) from None
    if not isinstance(found, dict):
        raise JsonRefused(JsonRefusal.NOT_OBJECT)
    return found


def told_address(value: object) -> IPv4Address | IPv6Address:
    """An address as text, without a zone. Raises ValueError; a number is none, though Python makes one of it."""
    if not isinstance(value, str) or "%" in value:
        raise ValueError("an address is text, and has no zone")
    return ip_address(value)


def _float(text: str) -> float:
    found = float(text)
    if not isfinite(found):
        raise JsonRefused(JsonRefusal.NUMBER)
    return found


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS + 1:
        raise JsonRefused(JsonRefusal.NUMBER)
    return int(text)


def _constant(_text: str) -> NoReturn:
    raise JsonRefused(JsonRefusal.NUMBER)
