"""Cuts the stream between two controllers into messages.

A message consists of the length of its body (2 bytes), its type (1 byte), a zero (1 byte) and its body. The stream runs
over TLS, so messages have no checksum. `peer_codec` has the types and bodies.
"""

from struct import Struct

from .errors import WireError, WireRefusal

HEAD = 4  # bytes before a body
LONGEST = 16_384  # bytes of a body
MESSAGES = 1_024  # most messages of one call of `cut`, because a call cannot be interrupted

_HEAD = Struct(">HBB")


def framed(kind: int, body: bytes) -> bytes:
    """The bytes of a message of type `kind`. Raises WireError(message-too-long)."""
    if len(body) > LONGEST:
        raise WireError(WireRefusal.MESSAGE_TOO_LONG)
    return _HEAD.pack(len(body), kind, 0) + body


def cut(stream: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole messages at the start of `stream` as (type, body), at most MESSAGES of them, and the bytes that remain.

    Raises WireError for a head that no message has. The rest of such a stream cannot be read.
    """
    found: list[tuple[int, bytes]] = []
    at, end = 0, len(stream)
    while at + HEAD <= end and len(found) < MESSAGES:
        length, kind, zero = _HEAD.unpack_from(stream, at)
        if zero:
            raise WireError(WireRefusal.BAD_VALUE)
        if length > LONGEST:
            raise WireError(WireRefusal.MESSAGE_TOO_LONG)
        if at + HEAD + length > end:
            break
        found.append((kind, stream[at + HEAD : at + HEAD + length]))
        at += HEAD + length
    return found, stream[at:]
