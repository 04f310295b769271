"""A listener outlives the moments without descriptors, and accepts at a pace."""

import errno
from typing import Any

import pytest

from steering.model.token_bucket import TokenBucket
from steering.openflow.connection import listener
from steering.openflow.connection.descriptors import rest_places, switch_places
from steering.openflow.connection.listener import PAUSE, Listener


class Waiting:
    """A socket on which `accept` does one thing after another, and is closed then."""

    def __init__(self, *what: Any) -> None:
        self._what = list(what)

    def accept(self) -> tuple[Any, tuple[str, int]]:
        if not self._what:
            raise OSError(errno.EBADF, "closed")
        next_one = self._what.pop(0)
        if isinstance(next_one, int):
            raise OSError(next_one, "no")
        return next_one, ("10.0.0.1", 1)


class Peer:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Bench:
    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *what: Any, rate: float = 1e9, admits: bool = True
    ) -> None:
        self.served: list[Any] = []
        self.slept: list[float] = []
        self.pauses = 0
        monkeypatch.setattr(listener.hub, "spawn", lambda serve, *args: serve(*args))
        monkeypatch.setattr(listener.hub, "sleep", self._sleep)
        monkeypatch.setattr(listener, "monotonic", lambda: sum(self.slept))
        made = Listener(
            "switches",
            Waiting(*what),
            TokenBucket(rate, 2.0, 0.0),
            lambda address: admits,
            self._serve,
            self._paused,
        )
        made.run()

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def _serve(self, accepted: Any, address: Any) -> None:
        self.served.append(accepted)

    def _paused(self) -> None:
        self.pauses += 1


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_without_resources_it_pauses_is_counted_and_comes_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    bench = Bench(monkeypatch, "a", number, number, "b")
    assert bench.served == ["a", "b"]
    assert bench.pauses == 2 and bench.slept.count(PAUSE) == 2
    assert len(caplog.records) == 1, "one line a minute"


def test_a_peer_that_is_gone_already_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, errno.ECONNABORTED, "a")
    assert (bench.served, bench.pauses) == (["a"], 0)


def test_it_accepts_at_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, *"abcdef", rate=1.0)
    assert bench.served == list("abcdef")
    assert sum(bench.slept) >= 4.0, "two at once, then one a second"


def test_whom_it_does_not_admit_it_hangs_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = Peer()
    bench = Bench(monkeypatch, peer, admits=False)
    assert peer.closed and not bench.served


@pytest.mark.parametrize("descriptors", [64, 256, 1_024, 65_536])
def test_places_of_switches_and_rest_leave_descriptors_to_the_process(
    monkeypatch: pytest.MonkeyPatch, descriptors: int
) -> None:
    monkeypatch.setattr("steering.openflow.connection.descriptors.descriptors", lambda: descriptors)
    assert switch_places() >= 8 and rest_places() >= 8
    assert switch_places() + rest_places() <= descriptors - 40
