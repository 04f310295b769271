"""Assigns the segments of a capture to legs.

A leg is one TCP connection. Both legs of a transparent relay have the same addresses and ports, and ports can be used
again for further legs. So a leg is identified by its initial sequence number. A later segment belongs to the leg
whose sequence numbers are near; where several legs are near, to the one with the same link addresses, or interface
and direction. Where both ends send a SYN at once (RFC 9293 3.5, figure 7), the SYN/ACKs show that both SYNs belong to
one leg. A capture that was taken at two points may hold a packet twice. The second one belongs to the same leg and is
ignored.

Captures of several interfaces are not quite in order, so segments may come before the SYN of their leg. A SYN or
SYN/ACK belongs to a leg without SYN if the known segments of that leg follow closely in sequence. For a leg that has
ended (by both FINs, or by a RST), no data may be missing in between. After an end, segments with distant numbers
belong to another leg.
"""

from collections import deque
from collections.abc import Iterable

from steering.wire.errors import WireRefusal
from steering.wire.segment import Flags, Segment

from .legs import Leg, LegEnd
from .sequence import SEQ_SPACE, gap

_FAST_OPEN = 1 << 16  # most bytes of data in a SYN that a SYN/ACK may acknowledge (RFC 7413)
_BEYOND_END = 1 << 24  # how far the numbers of late segments may be from a leg that has ended
_LEGS_PER_PAIR = (
    8  # most legs of one pair of endpoints that still get segments; live ones are the last to give way
)

_Legs = deque[Leg] | tuple[()]


class LegTable:
    """The legs of a capture, at most `limit`. `ignored` counts the segments of further legs."""

    def __init__(self, limit: int) -> None:
        self._legs: list[Leg] = []
        self._crossed: set[Leg] = set()  # legs that turned out to be a part of another one
        self.ignored = 0
        self._limit = limit
        self._by_pair: dict[tuple[LegEnd, LegEnd], deque[Leg]] = {}
        self._by_syn: dict[tuple[LegEnd, LegEnd, int], Leg] = {}  # initiator, responder, number of the SYN

    @property
    def legs(self) -> list[Leg]:
        """All legs, in the order of their first segments."""
        return [leg for leg in self._legs if leg not in self._crossed]

    def take(self, segment: Segment) -> WireRefusal | None:
        """Give a segment to its leg; the damage in its list of options, or None."""
        src, dst = (segment.src, segment.sport), (segment.dst, segment.dport)
        pair = (src, dst) if src < dst else (dst, src)
        leg = self._find(segment, src, dst, self._by_pair.get(pair, ()))
        new = leg is None
        if leg is None:
            leg = self._add(segment, src, dst)
            if leg is None:
                self.ignored += 1
                return None
        elif segment.flags & Flags.SYN and leg.syn_seq is None:
            leg.begin(segment, dst if segment.flags & Flags.ACK else src)
        damage = leg.take(segment, leg.side_of(src))
        if new or segment.flags & Flags.SYN:
            self._remember(leg, pair)
        return damage

    def _remember(self, leg: Leg, pair: tuple[LegEnd, LegEnd]) -> None:
        """Have a leg receive the segments of its pair of endpoints: it is new, or its SYN or SYN/ACK came again."""
        if leg.syn_seq is not None:
            self._by_syn[leg.initiator, leg.responder, leg.syn_seq] = leg
        legs = self._by_pair.setdefault(pair, deque())
        if any(one is leg for one in legs):
            return
        if len(legs) >= _LEGS_PER_PAIR:
            # A live connection stays, however many SYNs are forged in its name.
            legs.remove(next((one for one in legs if one.over or one.is_attempt), legs[0]))
        legs.append(leg)

    def _find(self, segment: Segment, src: LegEnd, dst: LegEnd, legs: _Legs) -> Leg | None:
        if not segment.flags & Flags.SYN:
            return _nearest(segment, src, legs)
        if segment.flags & Flags.ACK:
            return (
                self._opened_by_both(segment, src, dst, legs)
                or self._answered_by(segment, src, dst, legs)
                or _begun_by(segment, src, legs)
            )
        same = self._by_syn.get((src, dst, segment.seq)) or _guessed_for(segment, src, legs)
        return same or _answered_with(segment, src, legs) or _begun_by(segment, src, legs)

    def _opened_by_both(self, segment: Segment, src: LegEnd, dst: LegEnd, legs: _Legs) -> Leg | None:
        """The leg of this SYN/ACK, if the SYN/ACK repeats a SYN of its sender and answers a SYN of its receiver, which may be captured
        later. Of two legs, one may have its answer already: the other one's SYN was captured after its SYN/ACK."""
        answers = (segment.ack - 1) % SEQ_SPACE
        own = self._by_syn.get((src, dst, segment.seq))
        other = self._by_syn.get((dst, src, answers))
        if own is None or own is other:
            return own
        if other is None:
            if own.initiator != src or (own.answered and not own.has_answer(answers)):
                return None
            self._by_syn[dst, src, answers] = own
            own.sides[1].begin = answers
            return own
        leg, part = sorted((own, other), key=lambda one: (not one.answered, one.order))
        if part.answered or (leg.answered and not leg.has_answer(part.syn_seq or 0)):
            return None
        self._crossed.add(part)
        if legs and part in legs:
            legs.remove(part)
        self._by_syn[part.initiator, part.responder, part.syn_seq or 0] = leg
        leg.sides[1].begin = part.syn_seq
        return leg

    def _answered_by(self, segment: Segment, src: LegEnd, dst: LegEnd, legs: _Legs) -> Leg | None:
        """The leg whose SYN this SYN/ACK answers."""
        syn = (segment.ack - 1) % SEQ_SPACE
        asked = [leg for leg in legs if leg.responder == src and leg.syn_seq is not None]
        known = self._by_syn.get((dst, src, syn))
        if known is not None and known not in asked:
            asked.append(known)
        # A server with SYN cookies sends each SYN/ACK of a connection with another number.
        fitting = [
            (((syn - (leg.syn_seq or 0)) % SEQ_SPACE), not leg.has_answer(segment.seq), at, leg)
            for at, leg in enumerate(asked)
            if not leg.answered or leg.has_answer(segment.seq) or (leg.syn_seq == syn and not leg.over)
        ]
        nearest = min(fitting, default=None)
        return nearest[3] if nearest and nearest[0] <= _FAST_OPEN else None

    def _add(self, segment: Segment, src: LegEnd, dst: LegEnd) -> Leg | None:
        if len(self._legs) >= self._limit:
            return None
        if segment.flags & Flags.SYN and segment.flags & Flags.ACK:
            leg = Leg(dst, src, len(self._legs))
            leg.sides[0].begin = (segment.ack - 1) % SEQ_SPACE
            before = self._by_syn.get((dst, src, leg.sides[0].begin))
            if before is not None:  # the port was used again, with the same initial sequence number
                leg.offer, leg.syn_seen = before.offer, before.syn_seen
        else:
            leg = Leg(src, dst, len(self._legs))
        self._legs.append(leg)
        return leg


def _nearest(segment: Segment, src: LegEnd, legs: Iterable[Leg]) -> Leg | None:
    """The leg that a segment without SYN belongs to."""
    nearest = min(legs, key=lambda leg: leg.fit(segment, leg.side_of(src)), default=None)
    if nearest is None or segment.flags & Flags.RST:
        return nearest
    last = nearest.sides[nearest.side_of(src)].last
    beyond = last is not None and gap(segment.seq, last) > _BEYOND_END
    return None if beyond and all(leg.over for leg in legs) else nearest


def _guessed_for(segment: Segment, src: LegEnd, legs: Iterable[Leg]) -> Leg | None:
    """The leg whose SYN/ACK came before this SYN, and acknowledged data of the SYN too."""
    length = len(segment.payload) + segment.cut
    for leg in legs:
        if leg.initiator == src and not leg.syn_seen and leg.syn_seq is not None and length:
            if (leg.syn_seq - segment.seq) % SEQ_SPACE <= length:
                return leg
    return None


def _answered_with(segment: Segment, src: LegEnd, legs: Iterable[Leg]) -> Leg | None:
    """The leg that was answered with the number of this SYN: both ends opened it, and the SYN was captured behind its SYN/ACK."""
    return next((leg for leg in legs if leg.responder == src and leg.has_answer(segment.seq)), None)


def _begun_by(segment: Segment, src: LegEnd, legs: Iterable[Leg]) -> Leg | None:
    """The leg whose SYN or SYN/ACK this is, where other segments of the leg came earlier."""
    behind = [(leg.behind(segment, leg.side_of(src)), at, leg) for at, leg in enumerate(legs)]
    return min(((gap, at, leg) for gap, at, leg in behind if gap is not None), default=(0, 0, None))[2]
