"""One TCP connection of a capture (a leg), and what its segments told."""

from dataclasses import dataclass, field

from steering.wire.decode import mptcp_options
from steering.wire.mptcp import (
    Dss,
    MpCapable,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MptcpOption,
    MpTcprst,
)
from steering.wire.segment import Flags, Segment

from .handshake_options import answer_in, offer_in, third_in
from .sequence import SEQ_SPACE, earlier, gap

Endpoint = tuple[bytes, int]  # address, port
_BEHIND_SYN = 1 << 20  # how far behind its SYN the first segment known of a leg may be


@dataclass(frozen=True, slots=True)
class Reset:
    """Why a leg was reset: MP_TCPRST's reason and T flag, or None for a RST without one."""

    reason: int | None
    transient: bool


@dataclass(slots=True)
class _Side:
    """What one end of a leg sent. Sequence numbers: `first` and `last` known, `data` of the first data."""

    first: int | None = None
    last: int | None = None
    data: int | None = None
    bare: bool = False  # its first data had no MPTCP option
    tag: bytes = b""
    finished: bool = False
    went_on: bool = False
    kept_mptcp: bool = False
    third: MpCapable | MpJoinAck | None = None

    def take(self, segment: Segment, options: list[MptcpOption], begin: int | None) -> None:
        """Learn from a segment that this end sent; `begin` is its initial sequence number."""
        self.last = segment.seq
        self.tag = self.tag or segment.link_tag
        if segment.flags & Flags.SYN:
            return
        self.first = earlier(segment.seq, self.first)
        if not segment.flags & Flags.RST:
            self.went_on = True
            self.kept_mptcp = self.kept_mptcp or bool(options)
            self.third = self.third or third_in(options)
        if segment.payload:
            first = earlier(segment.seq, self.data) if begin is None else (begin + 1) % SEQ_SPACE
            if first == segment.seq:
                self.data, self.bare = segment.seq, not options


@dataclass(slots=True)
class Leg:
    """One TCP connection. `initiator` sent the SYN (or, where that was not captured, was seen first)."""

    initiator: Endpoint
    responder: Endpoint
    order: int
    syn_seq: int | None = None
    syn_ack_seq: int | None = None
    offer: MpCapable | MpJoinSyn | None = None  # of the SYN
    answered: bool = False  # a SYN/ACK was seen
    answer: MpCapable | MpJoinSynAck | None = None  # of the SYN/ACK
    infinite_mapping: bool = False
    spoke_mptcp: bool = False  # any segment, of whichever side, carried an MPTCP option
    fastclose: bool = False
    reset: Reset | None = None
    # By side, the initiator's first: where the SYN was not captured yet, it may turn out to be the other one.
    _sides: list["_Side"] = field(default_factory=lambda: [_Side(), _Side()])

    @property
    def third(self) -> MpCapable | MpJoinAck | None:
        """Of the third ACK, or of the first data."""
        return self._sides[0].third

    @property
    def initiator_went_on(self) -> bool:
        """The initiator sent more than SYN and RST."""
        return self._sides[0].went_on

    @property
    def initiator_kept_mptcp(self) -> bool:
        """... with MPTCP options."""
        return self._sides[0].kept_mptcp

    @property
    def bare_data(self) -> bool:
        """The first data of either side had no MPTCP option."""
        begins = zip(self._sides, (self.syn_seq, self.syn_ack_seq), strict=True)
        return any(
            begin is not None and side.data == (begin + 1) % SEQ_SPACE and side.bare for side, begin in begins
        )

    @property
    def over(self) -> bool:
        """Ended by both sides, or reset."""
        return self.reset is not None or all(side.finished for side in self._sides)

    @property
    def is_join(self) -> bool:
        return isinstance(self.offer or self.answer or self.third, MpJoinSyn | MpJoinSynAck | MpJoinAck)

    def side_of(self, host: Endpoint) -> int:
        """0 for the initiator, 1 for the responder."""
        return 0 if self.initiator == host else 1

    def last_of(self, host: Endpoint) -> int | None:
        """The sequence number of what it sent last."""
        return self._sides[self.side_of(host)].last

    def distance(self, segment: Segment, side: int) -> tuple[bool, int]:
        """How badly a segment sent by `side` (0 initiator, 1 responder) fits."""
        far = gap(segment.seq, self._sides[side].last)
        if segment.flags & Flags.ACK:
            far += gap(segment.ack, self._sides[1 - side].last)
        return self._sides[side].tag not in (b"", segment.link_tag), far

    def behind(self, segment: Segment, side: int) -> int | None:
        """How far behind this SYN or SYN/ACK what is known of the leg begins; None if that is not this leg's."""
        if self.syn_seq is not None:
            return None
        begins = [(self._sides[side].first, segment.seq + 1)]
        if segment.flags & Flags.ACK:
            begins.append((self._sides[1 - side].first, segment.ack))
        gaps = [(first - begin) % SEQ_SPACE for first, begin in begins if first is not None]
        elsewhere = self._sides[side].tag not in (b"", segment.link_tag)
        most = 0 if self.over or elsewhere else _BEHIND_SYN
        return max(gaps) if gaps and max(gaps) <= most else None

    def begin(self, segment: Segment, initiator: Endpoint) -> None:
        """The leg's SYN or SYN/ACK has come, behind others of its segments."""
        if self.initiator != initiator:
            self.initiator, self.responder = self.responder, self.initiator
            self._sides.reverse()
        if segment.flags & Flags.ACK:
            self.syn_seq = (segment.ack - 1) % SEQ_SPACE

    def take(self, segment: Segment, side: int) -> None:
        """Learn from a segment of this leg. Raises WireError for a malformed option list."""
        options = mptcp_options(segment.options)
        self.spoke_mptcp = self.spoke_mptcp or bool(options)
        handshake = segment.flags & (Flags.SYN | Flags.ACK)
        if handshake == Flags.SYN:
            self.syn_seq = segment.seq
            self.offer = self.offer or offer_in(options)
        elif segment.flags & Flags.SYN:
            self.answered = True
            self.syn_ack_seq = segment.seq
            self.answer = self.answer or answer_in(options)
        begin = (self.syn_seq, self.syn_ack_seq)[side]
        self._sides[side].take(segment, options, begin)
        if segment.flags & Flags.ACK:
            self._sides[1 - side].first = earlier(segment.ack, self._sides[1 - side].first)
        self._take_ends(segment, side, options)

    def _take_ends(self, segment: Segment, side: int, options: list[MptcpOption]) -> None:
        reset = None
        for option in options:
            if isinstance(option, MpFastclose):
                self.fastclose = True
            elif isinstance(option, MpTcprst):
                reset = Reset(option.reason, option.transient)
            elif isinstance(option, Dss) and option.mapping and option.mapping.data_length == 0:
                self.infinite_mapping = True
        if segment.flags & Flags.FIN:
            self._sides[side].finished = True
        # A RST after both FINs is only a host that has forgotten the connection.
        if segment.flags & Flags.RST and not all(side.finished for side in self._sides):
            if self.reset is None or (self.reset.reason is None and reset is not None):
                self.reset = reset or Reset(None, False)
