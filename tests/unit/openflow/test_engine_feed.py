"""Inputs go to the engine one by one; one that fails costs no other its answer, and times are counted once."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from steering.core.counters import Counters
from steering.core.inputs import SynSeen, Tick
from steering.model.usual_segment import UsualSyn
from steering.openflow import engine_feed
from steering.openflow.engine_feed import EngineFeed
from steering.wire.errors import WireError, WireRefusal

FIRST, BAD, BROKEN, LAST = (UsualSyn(1, 1, bytes(12), isn, 1, b"") for isn in range(4))


class Fed:
    """A feed of an engine that answers with what it was given, refuses `BAD` and fails on `BROKEN`."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.executed: list[list[object]] = []
        engine = SimpleNamespace(handle=self.handle)
        self.feed = EngineFeed(engine, self.counters, lambda outputs, now: self.executed.append(outputs))

    def handle(self, given, now):
        if given is BAD:
            raise WireError(WireRefusal.BAD_VALUE)
        if given is BROKEN:
            raise RuntimeError("a defect")
        return [given]


def test_what_fails_among_usual_segments_costs_no_other_its_answer() -> None:
    fed = Fed()
    fed.feed.give_all([FIRST, BAD, BROKEN, LAST], 1.0)
    assert fed.executed == [[FIRST, LAST]]
    assert fed.counters.malformed == {WireRefusal.BAD_VALUE.value: 1}


def test_decisions_are_counted_once_and_other_inputs_are_none() -> None:
    fed = Fed()
    fed.feed.give_all([FIRST, LAST], 1.0)
    fed.feed.give(SynSeen(1, 1, None, b""), 1.0)
    fed.feed.give(Tick(), 1.0)
    for _ in range(2):
        fed.feed.count_times()
        assert sum(fed.counters.decision_seconds.counts) == 3
    times = fed.counters.decision_seconds
    assert 0 < times.longest <= times.total


def test_what_takes_long_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[float] = iter(range(1_000))
    monkeypatch.setattr(engine_feed, "perf_counter", lambda: float(next(clock)))
    fed = Fed()
    fed.feed.give(Tick(), 1.0)
    fed.feed.give_all([FIRST], 1.0)
    assert list(fed.counters.stalls) == ["Tick", "UsualMessages"]
