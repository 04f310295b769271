"""Long work in turns: others are served between them, and nothing is left out."""

from math import inf

import pytest

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
