"""Questions about single entries: bounded, answered together, given up in time."""

from itertools import count
from typing import Any

from steering.core.inputs import CountersRead
from steering.core.outputs import ReadCounters
from steering.model.session import Entry
from steering.model.session_rule import session_rule
from steering.openflow.messages.encode import aggregate_request
from steering.openflow.messages.templates import entry_count, marked_entry
from steering.openflow.polls.entry_counters import MOST, PATIENCE, EntryCounters


class Bytes(list):
    """A switch's line."""

    def write(self, data: bytes) -> None:
        self.append(data)


def entry(sport: int, dpid: int = 1) -> Entry:
    return Entry(dpid, 1, 4, bytes(4), bytes(4), sport, 443, 5, 0, sport)


class Asked:
    def __init__(self) -> None:
        self.line = Bytes()
        self.fed: list[Any] = []
        self.asking = EntryCounters({1: self.line}, count(1), self.fed.append)


def body(packets: int, size: int) -> bytes:
    return packets.to_bytes(8, "big") + size.to_bytes(8, "big") + b"\0\0\0\1\0\0\0\0"


def test_the_question_is_the_general_encoders_byte_for_byte() -> None:
    for family in (4, 6):
        one, _ = marked_entry(family)
        assert entry_count(one, 0x8000_0007) == aggregate_request(session_rule(one), 0x8000_0007)


def test_answers_come_as_one_when_the_last_is_there() -> None:
    to = Asked()
    to.asking.ask(ReadCounters(1, (entry(1), entry(2))), 0.0)
    assert len(to.line) == 1 and len(to.line[0]) == 2 * 112
    assert to.asking.answer(1, 2, body(7, 900)) and not to.fed
    assert to.asking.answer(1, 1, body(0, 0))
    (read,) = to.fed
    assert [(one.entry.sport, one.packets, one.bytes) for one in read.entries] == [(2, 7, 900), (1, 0, 0)]


def test_what_nobody_asked_is_not_believed() -> None:
    to = Asked()
    to.asking.ask(ReadCounters(1, (entry(1),)), 0.0)
    assert not to.asking.answer(1, 9, body(1, 1)) and not to.asking.answer(2, 1, body(1, 1))
    assert to.asking.answer(1, 1, b"torn") and to.fed == [CountersRead(1, [])]
    assert not to.asking.answer(1, 1, body(1, 1)), "a second answer"


def test_what_is_not_answered_in_time_is_given_up_and_the_rest_told() -> None:
    to = Asked()
    to.asking.ask(ReadCounters(1, (entry(1), entry(2))), 0.0)
    to.asking.answer(1, 1, body(3, 300))
    to.asking.expire(PATIENCE - 0.1)
    assert not to.fed
    to.asking.expire(PATIENCE)
    assert [one.entry.sport for one in to.fed[0].entries] == [1] and len(to.asking) == 0


def test_a_switch_that_goes_owes_nothing() -> None:
    to = Asked()
    to.asking.ask(ReadCounters(1, (entry(1),)), 0.0)
    to.asking.ask(ReadCounters(7, (entry(1, 7),)), 0.0)
    to.asking.switch_down(1)
    to.asking.expire(PATIENCE)
    assert len(to.asking) == 0 and not to.fed


def test_questions_are_bounded() -> None:
    to = Asked()
    to.asking.ask(ReadCounters(1, tuple(entry(n) for n in range(MOST))), 0.0)
    to.asking.ask(ReadCounters(1, (entry(1),)), 0.0)
    assert len(to.asking) == MOST and len(to.line) == 1
