"""The list of TCP options: a bounded walk, packing, and the room that is left (RFC 9293 3.1)."""

from .errors import WireError, WireRefusal
from .segment import Buffer

OPTION_SPACE = 40  # bytes a TCP header has for options
END = 0
NOP = 1
MD5 = 19
MPTCP = 30
AO = 29
KEYED = frozenset((MD5, AO))
"""Options that sign a segment, its addresses and ports: whoever makes it anew breaks it (RFC 2385, RFC 5925)."""

COMMON = frozenset((END, NOP, 2, 3, 4, 5, 8, MPTCP, 34))
"""Options whose meaning a relay carries on: MSS, window scale, SACK permitted, SACK, timestamps, MPTCP, Fast Open."""

CAPABLE_SYN, JOIN_SYN = 4, 12  # bytes of MP_CAPABLE (version 1) and MP_JOIN in a SYN


def walk_options(options: Buffer) -> list[tuple[int, bytes]]:
    """The options of a TCP header as (kind, whole option), in order. NOPs are left out, END ends the list.

    Raises WireError for a length below 2, a length past the end and a kind without a length.
    """
    found, damage = walk_until_damage(options)
    if damage is not None:
        raise WireError(damage)
    return found


def walk_until_damage(options: Buffer) -> tuple[list[tuple[int, bytes]], WireRefusal | None]:
    """The options before the first malformed one, and what is wrong with that one; hosts read a list so."""
    found: list[tuple[int, bytes]] = []
    at, end = 0, len(options)
    while at < end:
        kind = options[at]
        if kind == NOP:
            at += 1
            continue
        if kind == END:
            break
        if at + 1 >= end:
            return found, WireRefusal.OPTION_OVERRUN
        length = options[at + 1]
        if length < 2:
            return found, WireRefusal.OPTION_LENGTH_ONE if length else WireRefusal.OPTION_LENGTH_ZERO
        if at + length > end:
            return found, WireRefusal.OPTION_OVERRUN
        found.append((kind, bytes(options[at : at + length])))
        at += length
    return found, None


def pack_options(*options: bytes) -> bytes:
    """Options one after the other, filled up to a 4-byte boundary with END."""
    packed = b"".join(options)
    packed += bytes(-len(packed) % 4)
    if len(packed) > OPTION_SPACE:
        raise WireError(WireRefusal.OPTIONS_TOO_LONG)
    return packed


def can_inject(used: int, need: int) -> bool:
    """Whether `need` more bytes of options fit beside `used` ones (D-6.7.4: never inject where they do not).

    `used` counts the header's padding, as `Handshake.options_length` does: whoever takes padding away edits the
    sender's segment.
    """
    return used + need <= OPTION_SPACE
