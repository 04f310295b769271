"""Reads parts of the bodies of messages between controllers, and refuses wrong lengths and values."""

from struct import Struct

from .errors import WireError, WireRefusal


def refused(reason: WireRefusal = WireRefusal.BAD_VALUE) -> WireError:
    """The error for a body that is refused."""
    return WireError(reason)


def whole(layout: Struct, body: bytes) -> tuple[int, ...]:
    """The values of a body that has this layout and nothing else. Raises WireError."""
    if len(body) != layout.size:
        raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
    return layout.unpack(body)


def head(layout: Struct, body: bytes) -> tuple[tuple[int, ...], bytes]:
    """The values that a body begins with, and the rest of it. Raises WireError."""
    if len(body) < layout.size:
        raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
    return layout.unpack_from(body), body[layout.size :]


def flag(value: int) -> bool:
    """A value that is 0 or 1. Raises WireError."""
    if value > 1:
        raise refused()
    return bool(value)


def of_length(value: bytes, lengths: tuple[int, ...]) -> bytes:
    """Bytes of one of these lengths. Raises WireError."""
    if len(value) not in lengths:
        raise refused(WireRefusal.BAD_MESSAGE_LENGTH)
    return value
