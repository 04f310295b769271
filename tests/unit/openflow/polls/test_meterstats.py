"""Counters of SYN meters become rates, whatever the switch sends."""

from itertools import count
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.inputs import CopiesLost, HostSynsLost, SynRate
from steering.model.rules import Meter
from steering.openflow.polls.meterstats import POLL, MeterPoll, parse, request
from steering.openflow.polls.statistics_requests import PATIENCE
from steering.openflow.ports.known_ports import MAX_PORTS


def row(
    meter: int, packets: int, seconds: int, nanoseconds: int = 0, bands: int = 1, dropped: int = 0
) -> bytes:
    head = pack(">IH6xIQQII", meter, 40 + 16 * bands, 1, packets, 0, seconds, nanoseconds)
    return head + pack(">QQ", dropped, 0) + bytes(16 * (bands - 1))


class Line:
    def __init__(self):
        self.sent = b""

    def write(self, data):
        self.sent += data


def polled():
    fed: list[Any] = []
    line = Line()
    return MeterPoll({1: line}, count(7), fed.append, fed.append), fed, line


def test_it_asks_every_switch_every_second():
    poll, _, line = polled()
    poll.tick(0.0)
    poll.tick(POLL - 0.1)
    assert line.sent == request(7)
    assert poll.asked.answers(1, 7, 100, False)
    poll.tick(POLL)
    assert line.sent == request(7) + request(8)


def test_a_switch_that_has_not_answered_is_not_asked_again_before_it_had_its_time():
    poll, _, line = polled()
    for second in range(int(PATIENCE) + 1):
        poll.tick(float(second))
    assert line.sent == request(7)
    poll.tick(PATIENCE + 1.0)
    assert line.sent == request(7) + request(8)
    assert not poll.asked.answers(1, 7, 100, False)


def test_meters_without_end_are_not_remembered():
    poll, fed, _ = polled()
    for packets in (100, 200):
        for first in range(0, 3 * MAX_PORTS, 1_000):
            rows = (row(Meter.SYN_BASE + 1 + first + n, packets, packets) for n in range(1_000))
            poll.answer(1, b"".join(rows))
    assert len(fed) == MAX_PORTS


def test_rates_are_told_of_syn_meters_only():
    poll, fed, _ = polled()
    syn = Meter.SYN_BASE + 3
    poll.answer(1, row(Meter.FIN, 1, 10, bands=2) + row(syn, 100, 10))
    assert fed == []
    poll.answer(1, row(Meter.FIN, 9_999, 12, bands=2) + row(syn, 60_100, 12))
    (rate,) = fed
    assert (rate.dpid, rate.port, rate.rate) == (1, 3, 30_000.0)


def test_a_meter_that_was_changed_and_a_switch_that_left_begin_anew():
    poll, fed, _ = polled()
    syn = Meter.SYN_BASE + 3
    poll.answer(1, row(syn, 5_000, 10))
    poll.answer(1, row(syn, 10, 1))
    assert fed == []
    poll.forget(1)
    poll.answer(1, row(syn, 90_000, 2))
    assert fed == []
    poll.answer(1, row(syn, 90_010, 3))
    assert [one.rate for one in fed] == [10.0]


def test_what_meters_of_copies_dropped_is_told_once() -> None:
    poll, fed, _ = polled()
    lte, wlan = Meter.SYN_ACK_BASE, Meter.FIN_BASE + 1
    poll.answer(1, row(lte, 100, 10, dropped=7) + row(wlan, 100, 10))
    assert fed == [], "what was so before the first answer is not known to be new"
    poll.answer(1, row(lte, 900, 11, dropped=57) + row(wlan, 300, 11, dropped=3))
    poll.answer(1, row(lte, 900, 12, dropped=57) + row(wlan, 300, 12, dropped=3))
    assert fed == [CopiesLost(1, ((lte, 50), (wlan, 3)))]
    poll.answer(1, row(lte, 5, 1, dropped=2))
    poll.answer(1, row(lte, 5, 2, dropped=4))
    assert fed[1:] == [CopiesLost(1, ((lte, 2),))] * 2, "a meter that was changed begins anew at 0"


@pytest.mark.row("N-7.2c")
def test_what_the_meter_of_a_port_dropped_of_its_syns_is_told_beside_their_rate() -> None:
    poll, fed, _ = polled()
    syn = Meter.SYN_BASE + 3
    poll.answer(1, row(syn, 1_000, 10, dropped=400))
    poll.answer(1, row(syn, 31_000, 11, dropped=29_400))
    assert sorted(fed, key=len) == [CopiesLost(1, ((syn, 29_000),)), SynRate(1, 3, 30_000.0)]


def test_what_hosts_own_meters_dropped_is_told_apart_from_their_ports() -> None:
    poll, fed, _ = polled()
    host, reserved, port = Meter.HOST_SYN_BASE + 5, Meter.RESERVED_BASE, Meter.SYN_BASE + 3
    for second, dropped in ((10, 0), (11, 90)):
        rows = (row(meter, 100, second, dropped=dropped) for meter in (host, reserved, port))
        poll.answer(1, b"".join(rows))
    assert sorted(fed[1:], key=str) == [CopiesLost(1, ((port, 90),)), HostSynsLost(1, ((host, 90),))]


@given(st.binary(max_size=300))
def test_whatever_comes_it_ends(data):
    list(parse(data))
    list(parse(row(1, 1, 1) + data))
