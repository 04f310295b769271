"""The judge of what passes the network unchanged, on made-up segments: what luck does is no change, each real one is seen."""

from dataclasses import replace

import pytest

from topologies.kit.captures import Segment
from topologies.kit.kernel_counters import FiveTuple
from topologies.measures.passage import both_ways, passage

FLOW = FiveTuple("10.1.0.2", 40001, "10.9.0.2", 5001)
SYN, ACK, DATA, END = 0x02, 0x10, 0x18, 0x11


def segment(flags: int, sequence: int, length: int = 0, raw: str = "aa", flow: FiveTuple = FLOW) -> Segment:
    return Segment(0.0, flow, flags, length, ("2",), "", "", "", sequence & 0xFFFF_FFFF, raw)


FIRST = 0xFFFF_FFE0  # the numbers wrap in the middle of the data
SENT = [
    segment(SYN, FIRST - 1, raw="01"),
    segment(ACK, FIRST, raw="02"),
    segment(DATA, FIRST, 41, "03"),
    segment(DATA, FIRST + 41, 59, "03"),
    segment(END, FIRST + 100, raw="04"),
]


def test_what_arrives_as_it_was_sent_in_any_order_passed() -> None:
    assert passage(SENT, SENT).faithful and passage(SENT, reversed(SENT)).faithful


def test_nothing_sent_shows_nothing() -> None:
    assert not passage([], []).faithful


@pytest.mark.parametrize("number", [0, 2, 4])
def test_what_was_lost_and_sent_again_with_another_timestamp_passed(number: int) -> None:
    again = replace(SENT[number], raw_options="ee")
    arrived = [*SENT[:number], *SENT[number + 1 :], again]
    assert passage([*SENT, again], arrived).faithful
    lost = passage(SENT, arrived)
    assert lost.altered == [again] and lost.lost == [], "nobody sent it with that timestamp"


@pytest.mark.parametrize("number", [0, 2, 3, 4])
def test_what_never_arrives_is_lost(number: int) -> None:
    gone = passage(SENT, [*SENT[:number], *SENT[number + 1 :]])
    assert gone.lost == [SENT[number]] and not gone.faithful


def test_an_acknowledgement_alone_may_be_lost_where_another_says_the_same_and_more() -> None:
    later = segment(ACK, FIRST + 100, raw="05")
    assert passage([*SENT, later], [SENT[0], *SENT[2:], later]).faithful
    other = replace(SENT[1], options=("3",))  # an ADD_ADDR, which nothing else has said
    assert passage([*SENT, other], SENT).lost == [other]


def test_bytes_that_offload_cut_or_merged_passed() -> None:
    whole = segment(DATA | END, FIRST, 100, "03")
    rest = segment(END, FIRST + 41, 59, "03")
    assert passage([whole], [SENT[2], rest]).faithful and passage([SENT[2], rest], [whole]).faithful
    assert not passage([whole], [SENT[2], SENT[3]]).faithful, "its FIN is gone"
    assert not passage([whole], [SENT[2]]).faithful, "the rest is gone"
    assert passage([SENT[2], SENT[3]], [whole]).altered == [whole], "nobody sent that FIN"


@pytest.mark.parametrize(
    "changed",
    [
        replace(SENT[2], raw_options="ff"),
        replace(SENT[2], sequence=5000),
        replace(SENT[2], length=200),
        replace(SENT[2], flags=DATA & ~0x08),  # PSH, where nothing was cut in another way
        replace(SENT[2], flags=DATA | 0x20),  # URG
        replace(SENT[2], flags=DATA | 0x40),  # ECE
        replace(SENT[2], flags=DATA | 0x100),  # the nonce sum's
        replace(SENT[3], length=30, flags=DATA | 0x80),  # CWR, cut in another way too
        replace(SENT[0], flags=0x12),
        replace(SENT[2], flow=replace(FLOW, sport=1)),
    ],
)
def test_each_change_on_the_way_is_seen(changed: Segment) -> None:
    place = next(n for n, one in enumerate(SENT) if one.sequence == changed.sequence or n == 2)
    place = 0 if changed.flags & SYN else place
    found = passage(SENT, [*SENT[:place], changed, *SENT[place + 1 :]])
    assert changed in found.altered
    assert changed in passage(SENT, [*SENT, changed]).altered, "beside the right one too"


def test_each_direction_is_judged_from_where_it_was_sent() -> None:
    back = segment(DATA, 1000, 40, "06", FLOW.reversed())
    again = replace(back, raw_options="07")
    near, far = [*SENT, again], [*SENT, back, again]
    assert both_ways(near, far, {"10.9.0.2"}).faithful, "the server's first was lost on the way back"
    assert not both_ways(far, near, {"10.9.0.2"}).faithful, "nobody sent what arrived at the host"
