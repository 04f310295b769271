"""Compares the segments that were captured at two places of their path: which were changed, and which were lost.

A segment that was lost and sent again does not count as changed. Neither does another order of segments, nor another cut of the
same bytes into segments by offload.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from topologies.kit.captures import Segment

FIN, SYN, RST, PSH = 0x01, 0x02, 0x04, 0x08
CONTROL = FIN | SYN | RST  # a segment with none of these flags and without data is a pure acknowledgement
HALF = 1 << 31  # half of the range of sequence numbers; all of one direction are nearer to each other


class Passage(NamedTuple):
    """`altered`: segments that arrived and were not sent in this form; all bytes of TCP options are compared. `lost`: segments
    that were sent, and of which no copy arrived."""

    sent: int
    altered: list[Segment]
    lost: list[Segment]

    @property
    def faithful(self) -> bool:
        """Whether there were segments, and all of them arrived as they were sent."""
        return self.sent > 0 and not self.altered and not self.lost

    def told(self) -> str:
        """The result in words, for a report."""
        return f"{self.sent} sent, {len(self.altered)} altered, {len(self.lost)} lost"


def passage(sent: Iterable[Segment], arrived: Iterable[Segment]) -> Passage:
    """Compare what was sent at one place with what arrived at the other."""
    here, there = list(sent), list(arrived)
    shapes, copies = set(map(_shape, here)), set(map(_copy, there))
    strange = [one for one in there if _shape(one) not in shapes]
    missing = [one for one in here if _copy(one) not in copies]
    altered = [s for s in strange if not _recut(s, [o for o in here if o.raw_options == s.raw_options])]
    return Passage(len(here), altered, [one for one in missing if not _within(one, there)])


def both_ways(near: Iterable[Segment], far: Iterable[Segment], at_far: Collection[str]) -> Passage:
    """Compare segments of both directions. Those from addresses in `at_far` were sent at the far place, all others at the near
    one."""
    here, there = list(near), list(far)
    out = passage(
        (s for s in here if s.flow.src not in at_far), (s for s in there if s.flow.src not in at_far)
    )
    back = passage((s for s in there if s.flow.src in at_far), (s for s in here if s.flow.src in at_far))
    return Passage(out.sent + back.sent, out.altered + back.altered, out.lost + back.lost)


def _shape(one: Segment) -> tuple[object, ...]:
    """The parts of a segment that must not change on its path."""
    return one.flow, one.sequence, one.flags, one.length, one.raw_options


def _copy(one: Segment) -> tuple[object, ...]:
    """The parts that a segment has in common with its repetitions, whose timestamps differ. A pure acknowledgement is not
    repeated: the next one of its flow acknowledges at least as much."""
    if one.length or one.flags & CONTROL:
        return one.flow, one.sequence, one.length, one.flags & CONTROL, one.options
    return one.flow, one.options


def _recut(one: Segment, others: Iterable[Segment]) -> bool:
    """Whether offload may have made an arrived segment from parts of others that were sent. Offload sets PSH and FIN on the
    segment with the last byte, so these two flags may differ. All other flags are those of each part."""
    alike = [other for other in others if not (other.flags ^ one.flags) & ~(PSH | FIN)]
    same = any((o.flow, o.sequence, o.length) == (one.flow, one.sequence, one.length) for o in alike)
    return not same and _within(one, alike)


def _within(one: Segment, others: Iterable[Segment]) -> bool:
    """Whether other segments of the flow together carry all bytes of a segment and its FIN."""
    if not one.length or one.flags & (SYN | RST):
        return False
    parts = [
        (_after(one, other), other) for other in others if other.flow == one.flow and not other.flags & (SYN | RST)
    ]  # fmt: skip
    reach = 0
    for start, other in sorted(parts, key=lambda part: part[0]):
        if start <= reach:
            reach = max(reach, start + other.length)
    ended = not one.flags & FIN or any(o.flags & FIN and at + o.length == one.length for at, o in parts)
    return reach >= one.length and ended


def _after(one: Segment, other: Segment) -> int:
    """By how many bytes another segment begins after this one; sequence numbers may wrap."""
    return (other.sequence - one.sequence + HALF) % (2 * HALF) - HALF
