"""One TCP connection of a capture, called a leg, and what its segments tell."""

from dataclasses import dataclass, field

from steering.wire.errors import WireRefusal
from steering.wire.mptcp import Dss, MpCapable, MpFastclose, MpJoinAck, MpJoinSyn, MpJoinSynAck, MpTcprst
from steering.wire.segment import Flags, Segment

from .options import SegmentOptions, read_options
from .resets import Reset, ResetEnds
from .sequence import SEQ_SPACE, gap, is_after
from .sides import Side

LegEnd = tuple[bytes, int]  # address, port
LegAnswer = MpCapable | MpJoinSynAck | None
_BEHIND_SYN = 1 << 20  # bytes; how far after its SYN the first known segment of a leg may be
_PLAUSIBLE = 1 << 24  # bytes; how far a segment usually is from the known segments of its leg, at most
_MOST_ANSWERS = 4  # most SYN/ACKs of a leg: a server with SYN cookies sends each with another number


@dataclass(slots=True, eq=False)
class Leg:
    """One TCP connection. `initiator`: the end that sent the SYN, or where that was not captured, the end that was
    seen first."""

    initiator: LegEnd
    responder: LegEnd
    order: int
    offer: MpCapable | MpJoinSyn | None = None  # the option of the SYN
    syn_seen: bool = False
    infinite_mapping: bool = False
    # The option of the initiator's own SYN/ACK, where both ends sent a SYN at once.
    initiator_answer: LegAnswer = None
    spoke_mptcp: bool = False  # whether a segment of either side carried an MPTCP option
    # Initiator first. Where the SYN was not captured yet, the initiator may turn out to be the other end.
    sides: list[Side] = field(default_factory=lambda: [Side(), Side()])
    _answers: dict[int, LegAnswer] = field(default_factory=dict)  # SYN/ACKs by sequence number
    _ends: ResetEnds = field(default_factory=ResetEnds)

    @property
    def syn_seq(self) -> int | None:
        return self.sides[0].begin

    @property
    def answered(self) -> bool:
        """Whether a SYN/ACK was captured."""
        return bool(self._answers)

    @property
    def answer(self) -> LegAnswer:
        """The SYN/ACK. Of several, the one that the initiator acknowledged."""
        return self._answers.get(-1 if self.sides[1].begin is None else self.sides[1].begin)

    @property
    def is_plain(self) -> bool:
        """Whether the handshake was captured and offers no MPTCP. Later MPTCP options mean nothing then."""
        return self.syn_seen and self.offer is None and self.answer is None

    @property
    def is_join(self) -> bool:
        opening = self.offer or self.answer or next(iter(self.sides[0].thirds), None)
        return not self.is_plain and isinstance(opening, MpJoinSyn | MpJoinSynAck | MpJoinAck)

    @property
    def bare_data(self) -> bool:
        """Whether the first data of either side had no MPTCP option."""
        return any(side.has_first_data() and side.bare for side in self.sides)

    @property
    def stripped(self) -> bool:
        """Whether one end acknowledged the other's first data, and sent no MPTCP option after the handshake."""
        return any(
            sender.has_first_data()
            and sender.data is not None
            and receiver.acknowledged is not None
            and is_after(receiver.acknowledged, sender.data)
            and not receiver.beyond_handshake
            for sender, receiver in (self.sides, self.sides[::-1])
        )

    @property
    def reset(self) -> Reset | None:
        return self._ends.reset(self.sides)

    @property
    def fastcloses(self) -> list[tuple[int, bytes, bool]]:
        """All MP_FASTCLOSEs: (sender, 0 for the initiator; key; whether the leg went on)."""
        return self._ends.fastcloses(self.sides)

    @property
    def is_attempt(self) -> bool:
        """Whether nothing came after its SYN."""
        return not self.answered and not any(side.went_on for side in self.sides)

    @property
    def over(self) -> bool:
        """Whether both sides have ended it, or it was reset."""
        return all(side.finished for side in self.sides) or self.reset is not None

    def side_of(self, host: LegEnd) -> int:
        """0 for the initiator, 1 for the responder."""
        return 0 if self.initiator == host else 1

    def fit(self, segment: Segment, side: int) -> tuple[int, bool, int]:
        """How badly a segment of `side` (0 initiator, 1 responder) fits this leg; smaller is better.

        First: 2 where its numbers are far from all known ones, 1 where no number is known, else 0. Second: whether
        its link tag is new. Third: how far its numbers are from the known ones.
        """
        sender, receiver = self.sides[side], self.sides[1 - side]
        gaps = []
        near = receiver.acknowledged if sender.known is None else sender.known
        if near is not None:
            gaps.append(gap(segment.seq, near))
        near = sender.acknowledged if receiver.known is None else receiver.known
        if near is not None and segment.flags & Flags.ACK:
            gaps.append(gap(segment.ack, near))
        far = 1 if not gaps else 2 if max(gaps) > _PLAUSIBLE else 0
        return far, bool(sender.tags) and segment.link_tag not in sender.tags, sum(gaps)

    def behind(self, segment: Segment, side: int) -> int | None:
        """How far after this SYN or SYN/ACK the known part of the leg begins; None if the segment is not of this
        leg."""
        if self.syn_seq is not None:
            return None
        begins = [(self.sides[side].first, segment.seq + 1)]
        if segment.flags & Flags.ACK:
            begins.append((self.sides[1 - side].first, segment.ack))
        gaps = [(first - begin) % SEQ_SPACE for first, begin in begins if first is not None]
        elsewhere = bool(self.sides[side].tags) and segment.link_tag not in self.sides[side].tags
        most = 0 if self.over or elsewhere else _BEHIND_SYN
        return max(gaps) if gaps and max(gaps) <= most else None

    def begin(self, segment: Segment, initiator: LegEnd) -> None:
        """Take the leg's SYN or SYN/ACK, which came after other segments of the leg."""
        if self.initiator != initiator:
            self.initiator, self.responder = self.responder, self.initiator
            self.sides.reverse()
            self._ends.turn()
        if segment.flags & Flags.ACK:
            self.sides[0].begin = (segment.ack - 1) % SEQ_SPACE

    def has_answer(self, seq: int) -> bool:
        """Whether a SYN/ACK of that number was captured."""
        return seq in self._answers

    def take(self, segment: Segment, side: int) -> WireRefusal | None:
        """Learn from a segment of this leg; the damage in its list of options, or None."""
        is_syn = segment.flags & (Flags.SYN | Flags.ACK) == Flags.SYN
        options = read_options(segment.options, is_syn)
        self.spoke_mptcp = self.spoke_mptcp or bool(options.mptcp)
        already_over = all(one.finished for one in self.sides)
        stray = not segment.flags & Flags.SYN and self._is_stray(segment, side)
        if segment.flags & Flags.SYN:
            self._take_syn(segment, side, options)
        elif stray and not segment.flags & Flags.RST:
            return options.damage
        else:
            # A RST is judged by what was known before it came.
            self._take_end(segment, side, options, already_over)
            if stray:
                return options.damage
            self.sides[side].take(segment, options)
            if segment.flags & Flags.ACK:
                other = self.sides[1 - side]
                other.first = (
                    segment.ack if other.first is None or is_after(other.first, segment.ack) else other.first
                )
        self._choose_answer()
        return options.damage

    def _is_stray(self, segment: Segment, side: int) -> bool:
        """Whether no host would take a segment without SYN for one of this leg: somebody who does not see the leg's numbers
        sent it. But where a second one is near it, the capture lacks what lies between, and both are the leg's."""
        sender, receiver = self.sides[side], self.sides[1 - side]
        near = [number for number in (sender.next, receiver.acknowledged) if number is not None]
        if not near or min(gap(segment.seq, number) for number in near) <= _PLAUSIBLE:
            return False
        before, sender.stray = sender.stray, segment.seq
        return before is None or before == segment.seq or gap(segment.seq, before) > _PLAUSIBLE

    def _take_syn(self, segment: Segment, side: int, options: SegmentOptions) -> None:
        if not segment.flags & Flags.ACK:
            self.syn_seen = True
            self.sides[side].begin = segment.seq
            if side == 0:
                self.offer = self.offer or options.offer
        elif side == 0:
            self.initiator_answer = self.initiator_answer or options.answer
        elif segment.seq in self._answers or len(self._answers) < _MOST_ANSWERS:
            self._answers[segment.seq] = self._answers.get(segment.seq) or options.answer
            if self.sides[1].begin is None or not self.sides[0].went_on:
                self.sides[1].begin = segment.seq
        self.sides[side].take_syn(segment, options)

    def _choose_answer(self) -> None:
        acknowledged = self.sides[0].acknowledged_first
        if len(self._answers) > 1 and acknowledged is not None:
            begin = (acknowledged - 1) % SEQ_SPACE
            if begin in self._answers:
                self.sides[1].begin = begin

    def _take_end(self, segment: Segment, side: int, options: SegmentOptions, already_over: bool) -> None:
        reset, key = None, b""
        for option in options.mptcp:
            if isinstance(option, MpFastclose):
                key = option.receiver_key
            elif isinstance(option, MpTcprst):
                reset = Reset(option.reason, option.transient)
            elif isinstance(option, Dss) and option.mapping and option.mapping.data_length == 0:
                # On a segment without data an infinite mapping means nothing (RFC 8684 3.7).
                self.infinite_mapping = self.infinite_mapping or bool(segment.payload or segment.cut)
        is_reset = segment.flags & Flags.RST and not already_over
        if is_reset or key:
            found = (reset or Reset(None, False)) if is_reset else None
            self._ends.take(segment, side, self.sides, found, key)
