"""Decides whether two FINs belong to the same close of a connection (RFC 9293 3.6, RFC 5961).

A single FIN proves nothing, because anybody may send one with a host's address. When a connection closes, the later FIN
acknowledges the earlier one exactly. If both ends close at the same time, each FIN acknowledges what the other end had sent
before. To forge the first case blindly, an attacker has to guess 32 bits. For the second case both numbers have to be right
within CLOSE, which is one of 2^20 tries.
"""

from typing import NamedTuple

MASK = 0xFFFF_FFFF
CLOSE = 1 << 22  # bytes that may be under way while both ends close at once

HOST_FIN = 1
MCP_FIN = 2
BOTH_FINS = HOST_FIN | MCP_FIN


class Fin(NamedTuple):
    """The numbers of one FIN."""

    end: int  # the sequence number after the FIN, by which it is acknowledged
    acknowledges: int


def fin(sequence: int, payload: int, acknowledges: int) -> Fin:
    """The numbers of a FIN segment with `payload` bytes of data."""
    return Fin(sequence + payload + 1 & MASK, acknowledges)


def belong_together(one: Fin, other: Fin) -> bool:
    """Whether these are the FINs of both ends of one connection."""
    if one.acknowledges == other.end or other.acknowledges == one.end:
        return True
    return _nearly(one.end, other.acknowledges) and _nearly(other.end, one.acknowledges)


def _nearly(end: int, acknowledged: int) -> bool:
    return end - acknowledged & MASK <= CLOSE


class FinPair:
    """The last FIN of each end. `closed`: the ends that count as closed (HOST_FIN, MCP_FIN)."""

    __slots__ = ("closed", "fins")

    def __init__(self) -> None:
        self.closed = 0
        self.fins: dict[int, Fin] = {}  # by end: HOST_FIN or MCP_FIN

    def closes(self, side: int, one: Fin) -> bool:
        """Record a FIN of one end. Returns whether it belongs together with the other end's FIN."""
        self.fins[side] = one
        return any(belong_together(one, other) for end, other in self.fins.items() if end != side)
