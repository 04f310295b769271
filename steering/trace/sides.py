"""One end of a TCP connection: what it sent, as far as a capture shows it."""

from dataclasses import dataclass

from steering.wire.mptcp import MpCapable, MpJoinAck
from steering.wire.segment import Flags, Segment

from .options import LARGEST_SCALE, SegmentOptions
from .sequence import SEQ_SPACE, earlier, is_after, later

_LEAST_WINDOW = 1 << 12  # bytes; a capture may lack the segment that opened the window
_MOST_TAGS = 4
_MOST_THIRDS = 4


@dataclass(slots=True)
class Side:
    """One end of a leg. Sequence numbers are None until a segment tells them."""

    begin: int | None = None  # the initial sequence number
    data_in_syn: int = 0  # bytes that the SYN carried (RFC 7413)
    first: int | None = None  # the earliest known number after the SYN
    last: int | None = None  # the number of the latest segment
    next: int | None = None  # the number after all sent data
    acknowledged: int | None = None  # the latest number of the other end that this end acknowledged
    acknowledged_first: int | None = None
    stray: int | None = None  # the number of the latest segment that was far from all known ones
    window: int = 0  # the largest advertised window, not scaled
    scale: int | None = None  # the window scale of its SYN
    options_of_syn: bool = False  # whether the SYN was captured, so that its options are known
    data: int | None = None  # the number of the first data
    bare: bool = False  # whether the first data had no MPTCP option
    finished: bool = False
    went_on: bool = False  # whether it sent more than SYN and RST
    kept_mptcp: bool = False  # ... and with MPTCP options
    beyond_handshake: bool = False  # ... and with MPTCP options that are no part of the handshake
    thirds: tuple[
        MpCapable | MpJoinAck, ...
    ] = ()  # options of the third ACK or the first data, each value once
    tags: tuple[bytes, ...] = ()  # the link tags of its segments

    def take_syn(self, segment: Segment, options: SegmentOptions) -> None:
        """Learn from the SYN or SYN/ACK that this end sent."""
        self.last = segment.seq
        self.data_in_syn = max(self.data_in_syn, len(segment.payload) + segment.cut)
        self.next = later((segment.seq + 1 + self.data_in_syn) % SEQ_SPACE, self.next)
        self.scale = options.window_scale if self.scale is None else self.scale
        self.options_of_syn = True
        self._acknowledge(segment)
        if segment.link_tag and segment.link_tag not in self.tags and len(self.tags) < _MOST_TAGS:
            self.tags += (segment.link_tag,)

    def take(self, segment: Segment, options: SegmentOptions) -> None:
        """Learn from another segment that this end sent."""
        if self.begin is not None and not is_after(segment.seq + 1, self.begin):
            return  # it is from an earlier connection with the same addresses and ports
        self.last = segment.seq
        self.tags = self.tags or ((segment.link_tag,) if segment.link_tag else ())
        self.first = earlier(segment.seq, self.first)
        if segment.flags & Flags.RST:
            return
        length = len(segment.payload) + segment.cut
        self.next = later((segment.seq + length + bool(segment.flags & Flags.FIN)) % SEQ_SPACE, self.next)
        self.went_on = True
        self.window = max(self.window, segment.window)
        self.kept_mptcp = self.kept_mptcp or bool(options.mptcp)
        self.beyond_handshake = self.beyond_handshake or options.beyond_handshake
        self.finished = self.finished or bool(segment.flags & Flags.FIN)
        self._acknowledge(segment)
        third = options.third
        if third is not None and third not in self.thirds and len(self.thirds) < _MOST_THIRDS:
            self.thirds += (third,)
        if length:
            self._take_data(segment.seq, not options.mptcp)

    def _acknowledge(self, segment: Segment) -> None:
        if segment.flags & Flags.ACK:
            self.acknowledged = later(segment.ack, self.acknowledged)
            self.acknowledged_first = earlier(segment.ack, self.acknowledged_first)

    def _take_data(self, seq: int, bare: bool) -> None:
        if self.data is None or is_after(self.data, seq):
            self.data, self.bare = seq, bare
        elif self.data == seq:
            self.bare = self.bare or bare

    @property
    def known(self) -> int | None:
        """A sequence number near those that this end sends now, or None."""
        return self.next if self.last is None else self.last

    def has_first_data(self) -> bool:
        """Whether the first data after the SYN was captured. Data of the SYN itself may have been accepted, in part, or
        not."""
        if self.begin is None or self.data is None:
            return False
        return (self.data - self.begin - 1) % SEQ_SPACE <= self.data_in_syn

    def window_bytes(self, other: "Side") -> int:
        """The largest receive window of this end, in bytes; scaled if both SYNs agreed on scaling (RFC 7323 2.2)."""
        if self.options_of_syn and other.options_of_syn:
            scale = 0 if self.scale is None or other.scale is None else self.scale
        else:
            scale = LARGEST_SCALE
        return max(_LEAST_WINDOW, self.window << scale)
