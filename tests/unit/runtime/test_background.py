"""Work beside the switches' thread: one piece at a time, and it gives way."""

import sys
import time
from collections.abc import Iterator

import eventlet
import pytest

from steering.runtime.background import GIVES_WAY, Background, give_way


@pytest.fixture
def _interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_of_many_callers_one_is_served_at_a_time_and_each_gets_its_answer() -> None:
    work, at_work, most = Background(), [0], [0]

    def piece(number: int) -> int:
        at_work[0] += 1
        most[0] = max(most[0], at_work[0])
        time.sleep(0.01)
        at_work[0] -= 1
        return number

    callers = [eventlet.spawn(work, piece, number) for number in range(10)]
    assert [caller.wait() for caller in callers] == list(range(10))
    assert most == [1]


def test_one_that_fails_lets_the_next_one_work() -> None:
    work = Background()
    with pytest.raises(ZeroDivisionError):
        work(divmod, 1, 0)
    assert work(divmod, 7, 2) == (3, 1)


@pytest.mark.usefixtures("_interval")
def test_threads_that_compute_give_way_ten_times_as_soon() -> None:
    give_way()
    assert sys.getswitchinterval() == pytest.approx(GIVES_WAY)
    assert GIVES_WAY <= 0.005 / 10
