"""Places at REST: strangers by source, those who are known by token, operators with room of their own."""

from typing import Any

import pytest

from steering.core.counters import Counters
from steering.model.identity import Identity, Role
from steering.model.refused_connections import RestRefusal
from steering.openflow.connection.descriptors import MOST_OF_REST
from steering.runtime.http import visitors
from steering.runtime.http.visitors import (
    LONGEST_DELAY,
    MOST_STRANGERS,
    OF_TOKEN,
    STRANGERS_OF_SOURCE,
    Visitor,
    Visitors,
)

OPERATOR = Identity("first", Role.OPERATOR)
READER = Identity("0000000a", Role.READER)


class Connection:
    def __init__(self) -> None:
        self.is_open = True

    def shutdown(self, how: int) -> None:
        self.is_open = False


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, places: int = 200) -> None:
        monkeypatch.setattr(visitors, "rest_places", lambda: places)
        self.counters = Counters()
        self.now = 0.0
        self.visitors = Visitors(self.counters, lambda: self.now)

    def enter(self, host: str = "10.0.0.1") -> Visitor:
        return self.visitors.enter(Connection(), host)

    def enter_as(self, who: Identity) -> bool:
        return self.enter().welcome(who)


def is_open(visitor: Visitor) -> Any:
    return visitor.connection.is_open


def test_the_oldest_stranger_of_a_source_gives_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    other = bench.enter("10.0.0.2")
    found = [bench.enter() for _ in range(STRANGERS_OF_SOURCE + 3)]
    assert [is_open(one) for one in found] == [False] * 3 + [True] * STRANGERS_OF_SOURCE
    assert is_open(other) and bench.counters.rest_refused[RestRefusal.TOO_MANY_STRANGERS] == 3


def test_who_showed_a_token_is_no_stranger_and_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    operator = bench.enter()
    assert operator.welcome(OPERATOR) and operator.welcome(OPERATOR)
    for _ in range(1_000):
        bench.enter()
    assert is_open(operator)


def test_one_token_has_so_many_connections_and_operators_have_room_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch)
    assert [bench.enter_as(READER) for _ in range(OF_TOKEN + 2)] == [True] * OF_TOKEN + [False] * 2
    others = [Identity(f"{n:08x}", Role.MCP, mcp="core") for n in range(100)]
    assert sum(bench.enter_as(one) for one in others) == 75 - OF_TOKEN
    assert [bench.enter_as(OPERATOR) for _ in range(26)] == [True] * 25 + [False]
    assert bench.counters.rest_refused[RestRefusal.TOO_MANY_OF_TOKEN] == 2 + 100 - 75 + OF_TOKEN + 1


def test_a_site_with_many_relays_has_room_for_them_and_no_more_for_strangers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch, MOST_OF_REST)
    relays = [Identity(f"{n:08x}", Role.MCP, mcp=f"mcp{n}") for n in range(256)]
    assert all(bench.enter_as(one) for one in relays for _ in range(3)), "two streams and reports"
    reader = bench.enter()
    assert not reader.welcome(READER) and bench.enter_as(OPERATOR)
    bench.visitors.leave(reader)
    found = [bench.enter(f"10.0.0.{n % 100}") for n in range(MOST_STRANGERS + 3)]
    assert sum(map(is_open, found)) == MOST_STRANGERS


def test_who_leaves_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    for _ in range(3 * OF_TOKEN):
        one = bench.enter()
        assert one.welcome(READER)
        bench.visitors.leave(one)
    assert not bench.visitors._known and bench.visitors._operators == 0


def test_wrong_tokens_are_counted_wait_longer_each_time_and_are_told_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(monkeypatch)
    waits = [bench.visitors.wrong_token("10.0.0.1") for _ in range(100)]
    assert waits == sorted(waits) and waits[0] < waits[1] and waits[-1] == LONGEST_DELAY
    assert bench.visitors.wrong_token("10.0.0.2") == waits[0], "each source by itself"
    assert bench.counters.rest_refused[RestRefusal.WRONG_TOKEN] == 101
    assert len(caplog.records) == 1
    bench.now = 61.0
    assert bench.visitors.wrong_token("10.0.0.1") == waits[0], "a minute later it is forgotten"
    assert len(caplog.records) == 2 and "100 more" in caplog.records[1].getMessage()


def test_sources_of_wrong_tokens_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    for number in range(3 * visitors.REMEMBERED):
        bench.visitors.wrong_token(str(number))
    assert len(bench.visitors._wrong_of) <= visitors.REMEMBERED
