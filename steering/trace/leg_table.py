"""Which segment of a capture belongs to which leg.

A leg is one TCP connection. Both legs of a transparent relay have the same addresses and ports. Ports that are used
again give further legs. So a leg is known by its initial sequence number. Later segments go to the leg whose link
addresses (or interface and direction) and sequence numbers are nearest.
A packet that a capture on several interfaces holds twice is the same leg and tells nothing new.

Captures of several interfaces are not quite in order: segments may come before the SYN of their leg. A SYN or SYN/ACK
is the beginning of a leg that has none if what is known of that leg comes at once behind it; of a leg that ended (both
FINs, or a RST) only if nothing is missing between them. After such an end, what is far from it is another leg.
"""

from collections import deque
from collections.abc import Iterable

from steering.wire.segment import Flags, Segment

from .legs import Endpoint, Leg
from .sequence import SEQ_SPACE, gap

_FAST_OPEN = 1 << 16  # the most data of a SYN that a SYN/ACK may acknowledge (RFC 7413)
_BEYOND_END = 1 << 24  # how far from a leg that ended its own late segments are at most
_LEGS_PER_PAIR = 8  # legs of one pair of endpoints that still receive segments


def _nearest(segment: Segment, src: Endpoint, legs: Iterable[Leg]) -> Leg | None:
    """The leg that a segment without SYN belongs to."""
    nearest = min(legs, key=lambda leg: leg.distance(segment, leg.side_of(src)), default=None)
    if nearest is None or segment.flags & Flags.RST:
        return nearest
    last = nearest.last_of(src)
    beyond = last is not None and gap(segment.seq, last) > _BEYOND_END
    return None if beyond and all(leg.over for leg in legs) else nearest


def _begun_by(segment: Segment, src: Endpoint, legs: Iterable[Leg]) -> Leg | None:
    """The leg whose SYN or SYN/ACK this is, though others of its segments came before."""
    behind = [(leg.behind(segment, leg.side_of(src)), at, leg) for at, leg in enumerate(legs)]
    return min(((gap, at, leg) for gap, at, leg in behind if gap is not None), default=(0, 0, None))[2]


class LegTable:
    """The legs of a capture, at most `limit`; segments of further ones are counted in `ignored`."""

    def __init__(self, limit: int) -> None:
        self.legs: list[Leg] = []
        self.ignored = 0
        self._limit = limit
        self._by_pair: dict[tuple[Endpoint, Endpoint], deque[Leg]] = {}

    def take(self, segment: Segment) -> None:
        """Give a segment to its leg. Raises WireError for a malformed option list."""
        src, dst = (segment.src, segment.sport), (segment.dst, segment.dport)
        pair = (src, dst) if src < dst else (dst, src)
        leg = self._find(segment, src, self._by_pair.get(pair, ()))
        if leg is None:
            leg = self._add(segment, src, dst)
            if leg is None:
                self.ignored += 1
                return
            self._by_pair.setdefault(pair, deque(maxlen=_LEGS_PER_PAIR)).append(leg)
        elif segment.flags & Flags.SYN and leg.syn_seq is None:
            leg.begin(segment, dst if segment.flags & Flags.ACK else src)
        leg.take(segment, leg.side_of(src))

    def _find(self, segment: Segment, src: Endpoint, legs: "deque[Leg] | tuple[()]") -> Leg | None:
        if not segment.flags & Flags.SYN:
            return _nearest(segment, src, legs)
        if not segment.flags & Flags.ACK:
            same = (leg for leg in legs if leg.initiator == src and leg.syn_seq == segment.seq)
            return next(same, None) or _begun_by(segment, src, legs)
        acked = [
            ((segment.ack - 1 - leg.syn_seq) % SEQ_SPACE, at, leg)
            for at, leg in enumerate(legs)
            if leg.responder == src and leg.syn_seq is not None and leg.syn_ack_seq in (None, segment.seq)
        ]
        nearest = min(acked, default=None)
        return nearest[2] if nearest and nearest[0] <= _FAST_OPEN else _begun_by(segment, src, legs)

    def _add(self, segment: Segment, src: Endpoint, dst: Endpoint) -> Leg | None:
        if len(self.legs) >= self._limit:
            return None
        if segment.flags & Flags.SYN and segment.flags & Flags.ACK:
            leg = Leg(dst, src, len(self.legs), syn_seq=(segment.ack - 1) % SEQ_SPACE)
        else:
            leg = Leg(src, dst, len(self.legs))
        self.legs.append(leg)
        return leg
