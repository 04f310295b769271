"""TCP connections as a capture shows them, one by one: which segment belongs to which, and what it tells.

A leg is one TCP connection. Both legs of a transparent relay have the same addresses and ports, and when the
ports are used again there are more of them; so a leg is known by its initial sequence number, and later
segments go to the leg whose link addresses (or interface and direction) and sequence numbers are nearest.
A packet that a capture on several interfaces holds twice is the same leg and tells nothing new.

Captures of several interfaces are not quite in order: segments may come before the SYN of their leg. A SYN or SYN/ACK
is the beginning of a leg that has none if what is known of that leg comes at once behind it; of a leg that ended (both
FINs, or a RST) only if nothing is missing between them. After such an end, what is far from it is another leg.
"""

from collections import deque
from collections.abc import Iterable
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
_BEHIND_SYN = 1 << 20  # how far behind its SYN the first segment known of a leg may be
_BEYOND_END = 1 << 24  # how far from a leg that ended its own late segments are at most
_LEGS_PER_PAIR = 8  # legs of one pair of endpoints that still receive segments


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
        self.first = _earlier(segment.seq, self.first)
        if not segment.flags & Flags.RST:
            self.went_on = True
            self.kept_mptcp = self.kept_mptcp or bool(options)
            self.third = self.third or _third(options)
        if segment.payload:
            first = _earlier(segment.seq, self.data) if begin is None else (begin + 1) % _SEQ_SPACE
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
            begin is not None and side.data == (begin + 1) % _SEQ_SPACE and side.bare
            for side, begin in begins
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
        far = _gap(segment.seq, self._sides[side].last)
        if segment.flags & Flags.ACK:
            far += _gap(segment.ack, self._sides[1 - side].last)
        return self._sides[side].tag not in (b"", segment.link_tag), far

    def behind(self, segment: Segment, side: int) -> int | None:
        """How far behind this SYN or SYN/ACK what is known of the leg begins; None if that is not this leg's."""
        if self.syn_seq is not None:
            return None
        begins = [(self._sides[side].first, segment.seq + 1)]
        if segment.flags & Flags.ACK:
            begins.append((self._sides[1 - side].first, segment.ack))
        gaps = [(first - begin) % _SEQ_SPACE for first, begin in begins if first is not None]
        elsewhere = self._sides[side].tag not in (b"", segment.link_tag)
        most = 0 if self.over or elsewhere else _BEHIND_SYN
        return max(gaps) if gaps and max(gaps) <= most else None

    def begin(self, segment: Segment, initiator: Endpoint) -> None:
        """The leg's SYN or SYN/ACK has come, behind others of its segments."""
        if self.initiator != initiator:
            self.initiator, self.responder = self.responder, self.initiator
            self._sides.reverse()
        if segment.flags & Flags.ACK:
            self.syn_seq = (segment.ack - 1) % _SEQ_SPACE

    def take(self, segment: Segment, side: int) -> None:
        """Learn from a segment of this leg. Raises WireError for a malformed option list."""
        options = mptcp_options(segment.options)
        self.spoke_mptcp = self.spoke_mptcp or bool(options)
        handshake = segment.flags & (Flags.SYN | Flags.ACK)
        if handshake == Flags.SYN:
            self.syn_seq = segment.seq
            self.offer = self.offer or _offer(options)
        elif segment.flags & Flags.SYN:
            self.answered = True
            self.syn_ack_seq = segment.seq
            self.answer = self.answer or _answer(options)
        begin = (self.syn_seq, self.syn_ack_seq)[side]
        self._sides[side].take(segment, options, begin)
        if segment.flags & Flags.ACK:
            self._sides[1 - side].first = _earlier(segment.ack, self._sides[1 - side].first)
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


def _gap(number: int, last: int | None) -> int:
    if last is None:
        return _SEQ_SPACE // 2
    return min((number - last) % _SEQ_SPACE, (last - number) % _SEQ_SPACE)


def _earlier(number: int, known: int | None) -> int:
    return number if known is None or (number - known) % _SEQ_SPACE > _SEQ_SPACE // 2 else known


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


def _nearest(segment: Segment, src: Endpoint, legs: Iterable[Leg]) -> Leg | None:
    """The leg that a segment without SYN belongs to."""
    nearest = min(legs, key=lambda leg: leg.distance(segment, leg.side_of(src)), default=None)
    if nearest is None or segment.flags & Flags.RST:
        return nearest
    last = nearest.last_of(src)
    beyond = last is not None and _gap(segment.seq, last) > _BEYOND_END
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
            ((segment.ack - 1 - leg.syn_seq) % _SEQ_SPACE, at, leg)
            for at, leg in enumerate(legs)
            if leg.responder == src and leg.syn_seq is not None and leg.syn_ack_seq in (None, segment.seq)
        ]
        nearest = min(acked, default=None)
        return nearest[2] if nearest and nearest[0] <= _FAST_OPEN else _begun_by(segment, src, legs)

    def _add(self, segment: Segment, src: Endpoint, dst: Endpoint) -> Leg | None:
        if len(self.legs) >= self._limit:
            return None
        if segment.flags & Flags.SYN and segment.flags & Flags.ACK:
            leg = Leg(dst, src, len(self.legs), syn_seq=(segment.ack - 1) % _SEQ_SPACE)
        else:
            leg = Leg(src, dst, len(self.legs))
        self.legs.append(leg)
        return leg
