"""A thread beside the relay's loop: what it is woken for, and how it ends."""

import io
from collections.abc import Iterator
from queue import Queue

import pytest

from steering.relay.kernel import side_thread
from steering.relay.kernel.readable import readable
from steering.relay.kernel.side_thread import SideThread
from steering.relay.log import Log


class Work:
    """What the thread does: it tells each time that it was woken, and that it is over."""

    def __init__(self) -> None:
        self.told: Queue[str] = Queue()
        self.log = io.StringIO()
        self.fails = 0  # times that the work still fails
        self.thread = SideThread("test", self._run, Log(False, False, self.log))

    def _run(self) -> None:
        if self.fails:
            self.fails -= 1
            raise KeyError("a defect")
        while not self.thread.is_ending:
            if readable([self.thread.woken], 30.0) and not self.thread.is_ending:
                self.thread.woken.recv(1)
                self.told.put("woken")
        self.told.put("over")


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work()
    yield made
    made.thread.end()


def test_it_is_woken_as_often_as_somebody_says_so(work: Work) -> None:
    work.thread.wake()  # before it began
    work.thread.start()
    work.thread.wake()
    assert [work.told.get(timeout=30) for _ in range(2)] == ["woken"] * 2


def test_it_ends_though_it_waits_for_long(work: Work) -> None:
    work.thread.start()
    work.thread.end()
    assert work.told.get(timeout=30) == "over" and work.told.empty()


def test_one_that_never_began_ends_too_and_may_be_woken_after_its_end(work: Work) -> None:
    work.thread.end()
    work.thread.wake()
    assert work.told.empty() and work.thread.woken.fileno() == -1


def test_whoever_wakes_it_is_never_held_up(work: Work) -> None:
    for _ in range(10_000):  # more than the pipe takes, and nobody reads
        work.thread.wake()


def test_a_defect_does_not_end_it_and_is_told(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_thread, "AGAIN_S", 0.0)
    work.fails = 2
    work.thread.start()
    work.thread.wake()
    assert work.told.get(timeout=30) == "woken" and work.thread.faults == 2
    assert work.log.getvalue().count("thread failed thread=test reason=KeyError") == 2
