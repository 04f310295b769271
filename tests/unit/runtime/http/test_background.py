"""Work beside the switches' thread: one piece at a time, and it gives way."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import eventlet
import pytest
from webob import Request

from steering.core.snapshots import arrangement
from steering.core.snapshots.view import EngineView
from steering.northbound import composition
from steering.northbound.resources import layout
from steering.northbound.schema.representation import JsonView
from steering.runtime.http.background import GIVES_WAY, Background, give_way
from tests.support.fixed_view import TOKEN, served
from tests.support.sites import Driver


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


@pytest.mark.parametrize("path", ["/v1/topology/layout", "/v1/openapi.json"])
def test_what_ten_callers_wait_for_is_worked_out_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def counted(name: str, work: Any) -> Any:
        def piece(*args: Any) -> Any:
            done.append(name)
            time.sleep(0.01)
            return work(*args)

        return piece

    monkeypatch.setattr(layout, "arrange", counted("layout", arrangement.arrange))
    monkeypatch.setattr(composition, "_document", counted("document", composition._document))
    driver = Driver()
    view = JsonView(EngineView(driver.engine, lambda: driver.now, "0.1.0"))
    application = served(view, driver.counters, work=Background())

    def ask() -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return Request.blank(path, headers=headers).get_response(application)

    callers = [eventlet.spawn(ask) for _ in range(10)]
    answers = [caller.wait() for caller in callers]
    assert [answer.status_code for answer in answers] == [200] * 10
    assert len({answer.body for answer in answers}) == 1 and len(done) == 1
