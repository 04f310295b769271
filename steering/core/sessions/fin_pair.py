"""Two FINs of one connection, and whether they belong together: only then is it closed (RFC 9293 3.6, RFC 5961).

A FIN's copy alone proves nothing: anybody may send one with a host's address. The two FINs of a connection that closes
acknowledge each other: the later one acknowledges the earlier one exactly, or, where both ends close at once, each
acknowledges what the other had sent until then. Who sends blindly would have to hit 32 bits for the first, and for the
second both numbers within CLOSE, which is one of 2^20 tries.
"""

from typing import NamedTuple

MASK = 0xFFFF_FFFF
CLOSE = 1 << 22  # bytes that may be under way while both ends close at once

HOST_FIN = 1
MCP_FIN = 2
BOTH_FINS = HOST_FIN | MCP_FIN


class Fin(NamedTuple):
    """The numbers of one FIN."""

    end: int  # the sequence number after it: what acknowledges it
    acknowledges: int


def fin(sequence: int, payload: int, acknowledges: int) -> Fin:
    """A FIN with `payload` bytes before it."""
    return Fin(sequence + payload + 1 & MASK, acknowledges)


def belong_together(one: Fin, other: Fin) -> bool:
    """Whether these are the FINs of the two ends of one connection."""
    if one.acknowledges == other.end or other.acknowledges == one.end:
        return True
    return _nearly(one.end, other.acknowledges) and _nearly(other.end, one.acknowledges)


def _nearly(end: int, acknowledged: int) -> bool:
    return end - acknowledged & MASK <= CLOSE


class FinPair:
    """The last FIN of each end. `closed`: the ends that count as closed (records.HOST_FIN, MCP_FIN)."""

    __slots__ = ("closed", "fins")

    def __init__(self) -> None:
        self.closed = 0
        self.fins: dict[int, Fin] = {}  # by side

    def closes(self, side: int, one: Fin) -> bool:
        """One end's FIN was seen; whether it and the other end's belong together."""
        self.fins[side] = one
        return any(belong_together(one, other) for end, other in self.fins.items() if end != side)
