"""What switches count of packets with tags of nobody becomes a metric, whatever a switch answers."""

from itertools import count
from struct import pack
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from steering.core.counters import Counters
from steering.core.inputs import TagsRefused
from steering.core.network.site_index import SiteMap
from steering.core.pipeline.vlans import vlan_rules
from steering.core.supervision.refused_tags import RefusedTags
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import FIRST_TAGGED, PortRef, VlanLine
from steering.model.rules import COOKIE_KIND_MASK, FOREIGN_TAG, FOREIGN_TAG_COOKIE
from steering.openflow.polls.foreign_tags import MOST, POLL, ForeignTagsPoll, request
from tests.support.sites import off_path_site

ONE = DatapathId(1)


class Line:
    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data


def polled() -> tuple[ForeignTagsPoll, list[Any], Line]:
    fed: list[Any] = []
    line = Line()
    return ForeignTagsPoll({ONE: line}, count(7), fed.append), fed, line  # type: ignore[dict-item]


def answer(packets: int, entries: int = 1) -> bytes:
    return pack("!QQI4x", packets, 64 * packets, entries)


def test_it_asks_every_five_seconds_and_tells_what_came_since() -> None:
    poll, fed, line = polled()
    poll.tick(0.0)
    poll.tick(POLL - 0.1)
    assert line.sent == request(7)
    assert not poll.answer(ONE, 6, answer(99)), "nobody asked that"
    for number, packets in enumerate((3, 3, 10)):
        assert poll.answer(ONE, 7 + number, answer(packets))
        poll.tick(POLL * (number + 1))
    assert fed == [TagsRefused(ONE, 3), TagsRefused(ONE, 7)]


def test_a_switch_that_counts_anew_is_believed() -> None:
    poll, fed, _ = polled()
    for number, body in enumerate((answer(10), answer(4), answer(9, entries=0))):  # there is no such entry
        poll.tick(POLL * number)
        assert poll.answer(ONE, 7 + number, body)
        poll.forget(ONE)
    assert fed == [TagsRefused(ONE, 10), TagsRefused(ONE, 4)]


def test_whoever_comes_with_one_datapath_id_after_the_other_fills_no_memory() -> None:
    fed: list[Any] = []
    lines: dict[DatapathId, Line] = {}
    poll = ForeignTagsPoll(lines, count(7), fed.append)
    for turn, number in enumerate((*range(MOST + 1), MOST, 0)):
        lines.clear()
        lines[DatapathId(number)] = Line()
        poll.tick(POLL * turn)
        assert poll.answer(DatapathId(number), 7 + turn, answer(5))
    assert fed[MOST + 1 :] == [TagsRefused(DatapathId(0), 5)], "the oldest alone was forgotten"


@given(st.binary(max_size=60))
def test_any_answer_is_survived(body: bytes) -> None:
    poll, fed, _ = polled()
    poll.tick(0.0)
    assert poll.answer(ONE, 7, body)
    assert len(body) == 24 or not fed


def test_one_entry_alone_has_that_cookie() -> None:
    line = VlanLine(PortNumber(1), (20,))
    rules = list(vlan_rules(0x1234, (PortRef(ONE, PortNumber(FIRST_TAGGED), line),)))
    mask = COOKIE_KIND_MASK | FOREIGN_TAG
    (found,) = [rule for rule in rules if rule.cookie & mask == FOREIGN_TAG_COOKIE]
    assert found.match == (("vlan_vid", (0x1000, 0x1000)),) and not found.actions


def test_they_are_counted_by_names_of_the_site_file_alone() -> None:
    counters = Counters()
    part = RefusedTags(SiteMap(off_path_site()), counters)
    for dpid in (1, 1, 99):
        part.refused(TagsRefused(DatapathId(dpid), 5), 0.0)
    assert counters.tags_refused == {"s1": 10}
