"""Decides which RST of a capture ended its leg, as hosts accept only some (RFC 9293 3.10.7, RFC 5961 3).

* While the initiator waits for the SYN/ACK, it accepts only a RST that acknowledges its SYN.
* Later, a RST counts if its sequence number lies in the window of its receiver.
* A RST did not end a leg that went on: its receiver acknowledged later data, or, where the RST answers the SYN, the
  initiator went on.
* A RST after both FINs does not count: its sender has only forgotten the connection.
"""

from typing import NamedTuple

from steering.wire.segment import Flags, Segment

from .sequence import SEQ_SPACE, gap, is_after
from .sides import Side

_ONE_WAY = (
    1 << 24
)  # bytes; how far a RST may be from the data of its sender, where its receiver was not captured
_MOST_KEPT = 8
_MOST_REMEMBERED = 8


class Reset(NamedTuple):
    """Why a leg was reset: reason and T flag of MP_TCPRST, or None for a RST without one."""

    reason: int | None
    transient: bool


class End(NamedTuple):
    """A RST or MP_FASTCLOSE that its receiver would accept: its sender (0 for the initiator) and its sequence
    number."""

    side: int
    seq: int
    answers_syn: bool  # it came while the initiator waited for the SYN/ACK
    reset: Reset | None
    key: bytes  # of MP_FASTCLOSE, else b""


def sides_are_waiting(sides: list[Side]) -> bool:
    """Whether the initiator has sent its SYN, and only RSTs came after it."""
    initiator, responder = sides
    return initiator.begin is not None and not initiator.went_on and responder.next is None


def acceptable(segment: Segment, side: int, sides: list[Side]) -> bool:
    """Whether the receiver of a segment would accept it, as far as is known when it comes."""
    sender, receiver = sides[side], sides[1 - side]
    if side == 1 and sides_are_waiting(sides):
        begin = receiver.begin or 0
        covered = (segment.ack - begin) % SEQ_SPACE
        return bool(segment.flags & Flags.ACK) and 1 <= covered <= 1 + receiver.data_in_syn
    if receiver.acknowledged is not None:
        return (segment.seq - receiver.acknowledged) % SEQ_SPACE <= receiver.window_bytes(sender)
    return sender.next is None or gap(segment.seq, sender.next) <= _ONE_WAY


class ResetEnds:
    """The RSTs and MP_FASTCLOSEs of one leg that may have ended it, at most `_MOST_KEPT`."""

    __slots__ = ("_found", "_seen")

    def __init__(self) -> None:
        self._found: list[End] = []
        self._seen: tuple[tuple[int, int, int, int, bytes], ...] = ()

    def take(self, segment: Segment, side: int, sides: list[Side], reset: Reset | None, key: bytes) -> None:
        """Take a RST (`reset`), an MP_FASTCLOSE (`key`) or both. A copy of an earlier one is ignored."""
        identity = (side, segment.seq, segment.ack, segment.flags, segment.options)
        if identity in self._seen:
            return
        if len(self._seen) < _MOST_REMEMBERED:
            self._seen += (identity,)
        if not acceptable(segment, side, sides):
            return
        if len(self._found) >= _MOST_KEPT:
            self._found = [end for end in self._found if not _lived_on(end, sides)]
        if len(self._found) < _MOST_KEPT:
            waiting = side == 1 and sides_are_waiting(sides)
            self._found.append(End(side, segment.seq, waiting, reset, key))

    def turn(self) -> None:
        """Exchange the ends of the leg, whose initiator turned out to be the other one."""
        self._found = [end._replace(side=1 - end.side) for end in self._found]

    def reset(self, sides: list[Side]) -> Reset | None:
        """Of the RSTs that count, the first that gives a reason, else the first."""
        found = [end.reset for end in self._found if end.reset is not None and not _lived_on(end, sides)]
        return next((reset for reset in found if reset.reason is not None), found[0] if found else None)

    def fastcloses(self, sides: list[Side]) -> list[tuple[int, bytes, bool]]:
        """All MP_FASTCLOSEs: (side, key, whether the leg went on)."""
        return [(end.side, end.key, _lived_on(end, sides)) for end in self._found if end.key]


def _lived_on(end: End, sides: list[Side]) -> bool:
    if end.answers_syn:
        return sides[0].went_on
    acknowledged = sides[1 - end.side].acknowledged
    return acknowledged is not None and is_after(acknowledged, end.seq)
