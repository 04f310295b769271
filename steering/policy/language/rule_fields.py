"""The kinds of values in rules: traffic classes, times of day, families, transports; and lists of values."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from steering.model.network import NetworkAccessType, Trust
from steering.model.policy import Direction, Origin
from steering.policy.language.fields import (
    IpNetwork,
    ListOrItem,
    Name,
    PortRange,
    WordedEnum,
    kind_of,
    refuse,
)
from steering.policy.language.findings import Code, nearest, quoted

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 1440

_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})")

# RFC 2474 section 4.2.2.2 (class selectors), RFC 2597 section 6 (assured), RFC 3246 section 2.7 (expedited),
# RFC 5865 section 2 (voice admit), RFC 8622 section 2 (lower effort).
DSCP_NAMES = {
    "ef": 46,
    "va": 44,
    "le": 1,
    **{f"cs{n}": 8 * n for n in range(8)},
    **{f"af{c}{d}": 8 * c + 2 * d for c in range(1, 5) for d in range(1, 4)},
}


def dscp(value: Any) -> int:
    """A differentiated services code point: 0 to 63, or its name (ef, af41, cs1)."""
    if isinstance(value, str) and value.lower() in DSCP_NAMES:
        return DSCP_NAMES[value.lower()]
    if isinstance(value, str):
        raise refuse(Code.BAD_VALUE, f"{quoted(value)} is no code point's name", nearest(value, DSCP_NAMES))
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(Code.WRONG_TYPE, f"must be a number from 0 to 63 or a name, not {kind_of(value)}")
    if not 0 <= value <= 63:
        raise refuse(Code.OUT_OF_RANGE, f"code point {quoted(value)} is outside 0 to 63")
    return value


def one_of(*known: int) -> Callable[[Any], int]:
    """A function that reads one of a few numbers."""

    def read(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value in known:
            return value
        shown = quoted(value) if isinstance(value, int | str) else kind_of(value)
        raise refuse(Code.BAD_VALUE, f"{shown} is none of {', '.join(map(str, known))}")

    return read


def clock(value: Any) -> int:
    """Minutes since midnight, from a time of day of 00:00 to 24:00."""
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        shown = quoted(value) if isinstance(value, str) else kind_of(value)
        raise refuse(Code.BAD_VALUE, f"{shown} is no time of day such as 17:00")
    minutes = int(match[1]) * 60 + int(match[2])
    if int(match[2]) > 59 or minutes > MINUTES_A_DAY:
        raise refuse(Code.OUT_OF_RANGE, f"{quoted(value)} is outside 00:00 to 24:00")
    return minutes


def days(value: Any) -> frozenset[int]:
    """ISO weekdays, from `mon` or from a range such as `mon-fri`. A range may go past Sunday."""
    if not isinstance(value, str):
        raise refuse(
            Code.WRONG_TYPE, f"must be a day such as mon or days such as mon-fri, not {kind_of(value)}"
        )
    first, dash, last = value.partition("-")
    for day in (first, last) if dash else (first,):
        if day not in DAYS:
            message = f"{quoted(value)} is no day and no days such as mon-fri"
            raise refuse(Code.BAD_VALUE, message, nearest(day, DAYS))
    begin = DAYS.index(first)
    length = (DAYS.index(last) - begin) % 7 if dash else 0
    return frozenset((begin + step) % 7 + 1 for step in range(length + 1))


def transport(value: Any) -> str:
    """A transport that may be relayed into MPTCP (N-5.6.6c). Transports of the drafts that this version lacks have a
    message of their own."""
    if value == "tcp":
        return "tcp"
    if value == "udp":
        raise refuse(Code.UNSUPPORTED, "'udp' is experimental, not in this version, which relays 'tcp'")
    shown = quoted(value) if isinstance(value, str) else kind_of(value)
    raise refuse(Code.UNSUPPORTED, f"{shown} is not supported: this version relays 'tcp'")


_CLOCK_TEXT = WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$"})
_DAY = f"({'|'.join(DAYS)})"
_DAYS_TEXT = WithJsonSchema({"type": "string", "pattern": f"^{_DAY}(-{_DAY})?$"})
_DSCP_NAME = "[Ee][Ff]|[Vv][Aa]|[Ll][Ee]|[Cc][Ss][0-7]|[Aa][Ff][1-4][1-3]"
_DSCP_TEXT = WithJsonSchema(
    {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 63},
            {"type": "string", "pattern": f"^({_DSCP_NAME})$"},
        ]
    }
)

Clock = Annotated[int, PlainValidator(clock), _CLOCK_TEXT]
Days = Annotated[frozenset[int], PlainValidator(days), _DAYS_TEXT]
Dscp = Annotated[int, PlainValidator(dscp), _DSCP_TEXT]
IpVersion = Annotated[int, PlainValidator(one_of(4, 6)), WithJsonSchema({"enum": [4, 6]})]
MptcpVersion = Annotated[int, PlainValidator(one_of(0, 1)), WithJsonSchema({"enum": [0, 1]})]
Transport = Annotated[str, PlainValidator(transport), WithJsonSchema({"type": "string", "enum": ["tcp"]})]
AccessType = Annotated[NetworkAccessType, WordedEnum()]

MAX_LISTED = 1024
_Some = Field(min_length=1, max_length=MAX_LISTED)
Names = Annotated[list[Name], _Some, ListOrItem()]
Networks = Annotated[list[IpNetwork], _Some, ListOrItem()]
AccessTypes = Annotated[list[AccessType], _Some, ListOrItem()]
Trusts = Annotated[list[Annotated[Trust, WordedEnum()]], _Some, ListOrItem()]
Origins = Annotated[list[Annotated[Origin, WordedEnum()]], _Some, ListOrItem()]
Directions = Annotated[list[Annotated[Direction, WordedEnum()]], _Some, ListOrItem()]
SomePorts = Annotated[list[PortRange], _Some, ListOrItem()]
Dscps = Annotated[list[Dscp], _Some, ListOrItem()]
IpVersions = Annotated[list[IpVersion], _Some, ListOrItem()]
MptcpVersions = Annotated[list[MptcpVersion], _Some, ListOrItem()]
DaysOfWeek = Annotated[list[Days], _Some, ListOrItem()]
# An empty list is allowed: nothing is relayed, and all traffic takes its natural path.
Transports = Annotated[list[Transport], Field(max_length=8), ListOrItem()]
