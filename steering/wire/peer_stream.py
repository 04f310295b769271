"""The stream between controllers, cut into messages. It carries what controllers tell each other of sessions.

A message is its body's length (2 bytes), its type (1), a zero (1) and its body. TLS is below it, so there is no checksum. The
types and bodies stand in `peer_messages`.
"""

from struct import Struct

from .errors import WireError, WireRefusal

HEAD = 4  # bytes before a body
LONGEST = 16_384  # bytes of a body
MESSAGES = 1_024  # cut at a time: cutting cannot be interrupted

_HEAD = Struct(">HBB")


def framed(kind: int, body: bytes) -> bytes:
    """A message as it goes over the wire. Raises WireError for a body that is too long."""
    if len(body) > LONGEST:
        raise WireError(WireRefusal.MESSAGE_TOO_LONG)
    return _HEAD.pack(len(body), kind, 0) + body


def cut(stream: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole messages at the start of `stream` as (type, body), at most MESSAGES of them, and the bytes after these.
    Raises WireError where no message can follow; the rest of such a stream means nothing."""
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
