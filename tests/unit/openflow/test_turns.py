"""Long work in turns: others are served between them, and nothing is left out."""

from math import inf

import pytest

from steering.openflow.budgets import Budgets
from steering.openflow.slices import in_turns


@pytest.mark.parametrize(("turn", "pauses"), [(2.0, 5), (100.0, 0), (inf, 0)])
def test_work_pauses_each_time_its_turn_is_over(turn: float, pauses: int) -> None:
    done: list[int] = []
    paused: list[int] = []

    def pause() -> None:
        paused.append(len(done))

    in_turns(range(10), done.append, turn, pause, lambda: float(len(done)))
    assert done == list(range(10))
    assert paused == [2, 4, 6, 8, 10][:pauses]


class Desk:
    """What channels ask of their adapter in a pause. `unsent`: answers of other channels."""

    foyer = None

    def __init__(self) -> None:
        self.unsent: list[str] = []

    def settle(self, now: float) -> None:
        self.unsent.clear()


def test_what_others_are_to_be_told_leaves_before_a_connection_has_its_next_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os_ken.base.app_manager  # noqa: F401  (os-ken's modules import each other in a circle)

    from steering.openflow import channel

    flood, desk = channel.Channel.__new__(channel.Channel), Desk()
    flood.adapter, flood._budgets, flood._in_foyer = desk, Budgets(), False  # type: ignore[assignment]
    monkeypatch.setattr(channel.hub, "sleep", lambda seconds: desk.unsent.append("echo reply"))
    flood.pause()
    assert not desk.unsent
