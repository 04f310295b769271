"""The list of TCP options: bounded reading, packing, and the space that is left (RFC 9293 3.1)."""

from .errors import WireError, WireRefusal
from .segment import Buffer

OPTION_SPACE = 40  # bytes a TCP header has for options
END = 0
NOP = 1
MD5 = 19
MPTCP = 30
AO = 29
KEYED = frozenset((MD5, AO))
"""Options that sign a segment, its addresses and its ports (RFC 2385, RFC 5925). A relay breaks the signature, because
it sends a segment of its own."""

COMMON = frozenset((END, NOP, 2, 3, 4, 5, 8, MPTCP, 34))
"""Options that a relay passes on in its own way: MSS, window scale, SACK permitted, SACK, timestamps, MPTCP, Fast Open."""

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
    """The options before the first malformed one, and the fault of the malformed one, None if all are well-formed.

    Hosts read an option list in the same way.
    """
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
    """Options one after the other, padded with END to a multiple of 4 bytes. Raises WireError(options-too-long)."""
    packed = b"".join(options)
    packed += bytes(-len(packed) % 4)
    if len(packed) > OPTION_SPACE:
        raise WireError(WireRefusal.OPTIONS_TOO_LONG)
    return packed


def can_inject(used: int, need: int) -> bool:
    """Whether `need` more bytes of options fit beside the `used` ones (D-6.7.4).

    `used` includes the header's padding, as `Handshake.options_length` does. Padding is not given up for an option,
    because the sender's segment is never edited.
    """
    return used + need <= OPTION_SPACE
