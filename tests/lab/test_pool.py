"""Labs beside each other: who runs with whom, what runs twice, and that nothing stays when the tests end."""

import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.lab.pool import LabSlots, Pool, Wanted
from tests.lab.running import Ran
from tests.support.waiting import wait_for


class Written(Pool):
    """Labs whose outcome was written down before; notes who was inside together."""

    def __init__(self, directory: Path, jobs: int, answers: dict[str, list[list[str]]]) -> None:
        super().__init__(directory, jobs)
        self._answers = answers
        self._inside: set[str] = set()
        self.together: list[set[str]] = []
        self.release = threading.Event()

    def _do(self, words: tuple[str, ...]) -> Ran:
        self._inside.add(words[0])
        self.together.append(set(self._inside))
        self.release.wait(60)
        time.sleep(0.02)
        self._inside.remove(words[0])
        failed = self._answers.get(words[0], [[]]).pop(0)
        checks = [{"name": name, "held": False, "rate": "goodput" in name} for name in failed]
        report: dict[str, Any] = {"checks": checks}
        return Ran(int(bool(failed)), report, "", 0.0)


def test_two_at_a_time_in_order_and_one_alone(tmp_path: Path) -> None:
    with Written(tmp_path, 2, {}) as pool:
        wanted = [Wanted(("a",)), Wanted(("b",)), Wanted(("c",), alone=True), Wanted(("d",)), Wanted(("e",))]
        pool.start([*wanted, wanted[0]])
        time.sleep(0.1)
        assert pool.together == []
        pool.allow(2)
        limit = time.monotonic() + 30
        while len(pool.together) < 2 and time.monotonic() < limit:
            time.sleep(0.01)
        pool.release.set()
        assert [pool.result(one).status for one in wanted] == [0] * 5
    assert {"c"} in pool.together and {"a", "b"} in pool.together
    assert not any("c" in inside and len(inside) > 1 for inside in pool.together)
    assert len(pool.together) == 5 and max(map(len, pool.together)) == 2


def test_who_wants_to_be_alone_is_not_overtaken() -> None:
    slots, order = LabSlots(3), []

    def visit(name: str, alone: bool) -> None:
        with slots.entered(alone):
            order.append(name)

    with slots.entered(False):
        visitors = [threading.Thread(target=visit, args=one) for one in (("alone", True), ("late", False))]
        for waiting, visitor in enumerate(visitors, 1):
            visitor.start()
            wait_for(lambda waiting=waiting: len(slots._queue) == waiting)  # type: ignore[misc]
        time.sleep(0.1)
        assert order == []
    for visitor in visitors:
        visitor.join(30)
    assert order == ["alone", "late"]


def test_none_beside_what_is_measured(tmp_path: Path) -> None:
    with Written(tmp_path, 2, {}) as pool:
        pool.start([Wanted(("a",)), Wanted(("b",))])
        pool.allow(1)
        wait_for(lambda: pool.together)
        none = threading.Thread(target=pool.allow, args=(0,))
        none.start()
        wait_for(lambda: not pool._slots._most)
        time.sleep(0.1)
        assert none.is_alive(), "it waits for the one that runs"
        pool.release.set()
        none.join(30)
        assert not none.is_alive() and pool.together == [{"a"}]
        time.sleep(0.1)
        assert pool.together == [{"a"}]
        pool.allow(2)
        assert pool.result(Wanted(("b",))).status == 0


@pytest.mark.parametrize(
    ("words", "first", "runs"),
    [
        (("x",), ["on: goodput of both"], 2),
        (("x",), ["up: goodput", "down: goodput", "on: goodput of both"], 2),
        (("x",), ["on: goodput of both", "joins completed"], 1),
        (("x",), ["joins completed"], 1),
        (("x",), ["all are told within a second"], 1),
        (("x", "--without", "steering"), ["on: goodput of both"], 1),
        (("x",), [], 1),
    ],
)
def test_a_lab_that_missed_nothing_but_rates_runs_once_more(
    tmp_path: Path, words: tuple[str, ...], first: list[str], runs: int
) -> None:
    with Written(tmp_path, 2, {"x": [first, []]}) as pool:
        pool.release.set()
        pool.allow(2)
        pool.start([Wanted(words)])
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert pool.result(Wanted(words)).failed() == (first if runs == 1 else [])
    assert [str(first) in str(one.message) for one in said] == [True] * (runs - 1)
    assert len(pool.together) == runs


def test_the_end_takes_down_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    with Pool(tmp_path, 1) as pool:
        first, second = Wanted(("off-path",)), Wanted(("on-path",))
        pool.start([first, second])
        pool.allow(1)
        text = tmp_path / "1-off-path.txt"
        limit = time.monotonic() + 240
        while not (text.exists() and "building" in text.read_text()) and time.monotonic() < limit:
            time.sleep(0.1)
        pool.end()
        assert "interrupted; everything is taken down" in text.read_text()
        assert pool.result(first).status == 130 and not list(tmp_path.glob("2-*"))
