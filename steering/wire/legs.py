"""TCP connections as a capture shows them, one by one: which segment belongs to which, and what it tells.

A leg is one TCP connection. Both legs of a transparent relay have the same addresses and ports, and when the
ports are used again there are more of them; so a leg is known by its initial sequence number, and later
segments go to the leg whose link addresses (or interface and direction) and sequence numbers are nearest.
A packet that a capture on several interfaces holds twice is the same leg and tells nothing new.
"""

from collections import deque
from dataclasses import dataclass, field

from .decode import mptcp_options
from .mptcp import (
    Dss,
    MpCapable,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MptcpOption,
    MpTcprst,
)
from .segment import Flags, Segment

Endpoint = tuple[bytes, int]  # address, port
_SEQ_SPACE = 1 << 32
_FAST_OPEN = 1 << 16  # the most data of a SYN that a SYN/ACK may acknowledge (RFC 7413)
_LEGS_PER_PAIR = 8  # legs of one pair of endpoints that still receive segments


@dataclass(frozen=True, slots=True)
class Reset:
    """Why a leg was reset: MP_TCPRST's reason and T flag, or None for a RST without one."""

    reason: int | None
    transient: bool


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
    third: MpCapable | MpJoinAck | None = None  # of the third ACK, or of the first data
    initiator_went_on: bool = False  # the initiator sent more than SYN and RST
    initiator_kept_mptcp: bool = False  # ... with MPTCP options
    infinite_mapping: bool = False
    spoke_mptcp: bool = False  # any segment, of whichever side, carried an MPTCP option
    bare_data: list[bool] = field(default_factory=lambda: [False, False])  # by side: its first data had none
    fastclose: bool = False
    reset: Reset | None = None
    _last: list[int | None] = field(default_factory=lambda: [None, None])
    _tags: list[bytes] = field(default_factory=lambda: [b"", b""])
    _finished: list[bool] = field(default_factory=lambda: [False, False])

    @property
    def is_join(self) -> bool:
        return isinstance(self.offer or self.answer or self.third, MpJoinSyn | MpJoinSynAck | MpJoinAck)

    def distance(self, segment: Segment, side: int) -> tuple[bool, int]:
        """How badly a segment sent by `side` (0 initiator, 1 responder) fits."""
        far = _gap(segment.seq, self._last[side])
        if segment.flags & Flags.ACK:
            far += _gap(segment.ack, self._last[1 - side])
        return self._tags[side] not in (b"", segment.link_tag), far

    def take(self, segment: Segment, side: int) -> None:
        """Learn from a segment of this leg. Raises WireError for a malformed option list."""
        options = mptcp_options(segment.options)
        self.spoke_mptcp = self.spoke_mptcp or bool(options)
        self._last[side] = segment.seq
        self._tags[side] = self._tags[side] or segment.link_tag
        handshake = segment.flags & (Flags.SYN | Flags.ACK)
        if handshake == Flags.SYN:
            self.syn_seq = segment.seq
            self.offer = self.offer or _offer(options)
        elif segment.flags & Flags.SYN:
            self.answered = True
            self.syn_ack_seq = segment.seq
            self.answer = self.answer or _answer(options)
        elif side == 0 and not segment.flags & Flags.RST:
            self.initiator_went_on = True
            self.initiator_kept_mptcp = self.initiator_kept_mptcp or bool(options)
            self.third = self.third or _third(options)
        begin = (self.syn_seq, self.syn_ack_seq)[side]
        if begin is not None and segment.payload and segment.seq == (begin + 1) % _SEQ_SPACE:
            self.bare_data[side] = not options and not segment.flags & Flags.SYN
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
            self._finished[side] = True
        # A RST after both FINs is only a host that has forgotten the connection.
        if segment.flags & Flags.RST and not all(self._finished):
            if self.reset is None or (self.reset.reason is None and reset is not None):
                self.reset = reset or Reset(None, False)


def _gap(number: int, last: int | None) -> int:
    if last is None:
        return _SEQ_SPACE // 2
    return min((number - last) % _SEQ_SPACE, (last - number) % _SEQ_SPACE)


def _usable(option: MpCapable) -> bool:
    """Not an extension, and a crypto algorithm that exists: else the option counts as absent."""
    return not option.extension and bool(option.crypto & 1)


def _offer(options: list[MptcpOption]) -> MpCapable | MpJoinSyn | None:
    for option in options:
        if isinstance(option, MpJoinSyn):
            return option
        if isinstance(option, MpCapable) and _usable(option) and not option.receiver_key:
            if bool(option.sender_key) == (option.version == 0):
                return option
    return None


def _answer(options: list[MptcpOption]) -> MpCapable | MpJoinSynAck | None:
    for option in options:
        if isinstance(option, MpJoinSynAck):
            return option
        if isinstance(option, MpCapable) and _usable(option):
            if option.sender_key and not option.receiver_key:
                return option
    return None


def _third(options: list[MptcpOption]) -> MpCapable | MpJoinAck | None:
    for option in options:
        if isinstance(option, MpJoinAck):
            return option
        if isinstance(option, MpCapable) and _usable(option) and option.receiver_key:
            return option
    return None


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
        leg.take(segment, 0 if leg.initiator == src else 1)

    def _find(self, segment: Segment, src: Endpoint, legs: "deque[Leg] | tuple[()]") -> Leg | None:
        if not segment.flags & Flags.SYN:
            return min(
                legs, key=lambda leg: leg.distance(segment, 0 if leg.initiator == src else 1), default=None
            )
        if not segment.flags & Flags.ACK:
            same = (leg for leg in legs if leg.initiator == src and leg.syn_seq == segment.seq)
            return next(same, None)
        acked = [
            ((segment.ack - 1 - leg.syn_seq) % _SEQ_SPACE, at, leg)
            for at, leg in enumerate(legs)
            if leg.responder == src and leg.syn_seq is not None and leg.syn_ack_seq in (None, segment.seq)
        ]
        nearest = min(acked, default=None)
        return nearest[2] if nearest and nearest[0] <= _FAST_OPEN else None

    def _add(self, segment: Segment, src: Endpoint, dst: Endpoint) -> Leg | None:
        if len(self.legs) >= self._limit:
            return None
        if segment.flags & Flags.SYN and segment.flags & Flags.ACK:
            leg = Leg(dst, src, len(self.legs), syn_seq=(segment.ack - 1) % _SEQ_SPACE)
        else:
            leg = Leg(src, dst, len(self.legs))
        self.legs.append(leg)
        return leg
