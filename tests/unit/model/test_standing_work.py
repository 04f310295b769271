"""Work that a controller does for as long as it runs survives exceptions."""

from steering.model.standing_work import AGAIN, StandingWork, WorkFaults


def test_work_that_an_exception_ends_begins_again_after_a_pause_until_it_returns() -> None:
    faults, slept, began = WorkFaults(), list[float](), list[str]()

    def run(what: str) -> None:
        began.append(what)
        if len(began) < 4:
            raise KeyError(what)

    faults.keep(StandingWork.MEMBERSHIP, slept.append, run, "beat")
    assert began == ["beat"] * 4 and slept == [AGAIN] * 3
    assert faults.count == {StandingWork.MEMBERSHIP: 3} and faults.types == {
        StandingWork.MEMBERSHIP: "KeyError"
    }


def test_each_type_of_exception_in_each_work_is_told_once() -> None:
    faults, told = WorkFaults(), list[tuple[str, str]]()
    faults.tell = lambda work, error: told.append((work, type(error).__name__))
    for error in (KeyError("1"), KeyError("2"), ValueError("3")):
        for work in (StandingWork.TICKING, StandingWork.SLICES):
            with faults.turn(work):
                raise error
    assert told == [
        (work, kind)
        for kind in ("KeyError", "ValueError")
        for work in (StandingWork.TICKING, StandingWork.SLICES)
    ]
    assert faults.count.total() == 6
