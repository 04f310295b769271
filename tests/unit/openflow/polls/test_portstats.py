"""Port counters become utilisation, whatever the switch sends."""

from itertools import count
from struct import pack
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from steering.openflow.polls.portstats import POLL, PortPoll, parse, request


def row(port: int, received: int, sent: int, seconds: int, nanoseconds: int = 0) -> bytes:
    return pack(">I4x12QII", port, 0, 0, received, sent, *[0] * 8, seconds, nanoseconds)


class Line:
    def __init__(self):
        self.sent = b""

    def write(self, data):
        self.sent += data


def polled():
    fed: list[Any] = []
    line = Line()
    return PortPoll({1: line}, count(7), fed.append), fed, line


def test_it_asks_every_switch_now_and_then():
    poll, _, line = polled()
    poll.tick(0.0)
    poll.tick(POLL - 0.1)
    assert line.sent == request(7)
    assert poll.asked.answers(1, 7, 100, False)
    poll.tick(POLL)
    assert line.sent == request(7) + request(8)


def test_utilisation_is_the_busier_direction_over_the_speed():
    poll, fed, _ = polled()
    speeds = {1: 10_000, 2: 0}  # kbit/s; of port 2 the switch says nothing
    poll.answer(1, row(1, 0, 0, 100) + row(2, 0, 0, 100), speeds)
    assert fed == []
    poll.answer(1, row(1, 1_000, 6_250_000, 110) + row(2, 9, 9, 110), speeds)
    (load,) = fed
    assert (load.dpid, load.port, load.utilisation) == (1, 1, 0.5)
    poll.answer(1, row(1, 1_000, 10**12, 120), speeds)
    assert fed[1].utilisation == 1.0


def test_the_sites_word_on_a_line_comes_before_the_switchs_on_its_end_of_it():
    fed: list[Any] = []
    poll = PortPoll({}, count(7), fed.append, {(1, 2): 10_000_000, (1, 3): 10_000_000})
    for at, moved in ((100, 0), (110, 6_250_000)):
        poll.answer(1, row(2, moved, 0, at) + row(3, 0, moved, at), {2: 10_000_000, 3: 0})
    assert [(load.port, load.utilisation) for load in fed] == [(2, 0.5), (3, 0.5)]


def test_a_switch_that_counts_anew_or_went_away_is_no_load():
    poll, fed, _ = polled()
    poll.answer(1, row(1, 500, 500, 100), {1: 1000})
    poll.answer(1, row(1, 0, 0, 1), {1: 1000})
    poll.answer(1, row(1, 0, 0, 11), {1: 1000})
    assert [load.utilisation for load in fed] == [0.0]
    poll.forget(1)
    poll.answer(1, row(1, 0, 10**9, 21), {1: 1000})
    assert len(fed) == 1


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(body):
    assert len(parse(body)) == len(body) // 112
