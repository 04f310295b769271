"""Long work that leaves packets their turns: a slice at a time, and one piece of work after the other, since each goes by what
those before it left."""

from collections.abc import Generator, Hashable, Iterable
from typing import Any

from steering.core.outputs import GoOn, Output

# Yields how many records it dealt with since it yielded last, and is sent the time. Begins by yielding 0 before it does
# anything; returns what leaves at its end.
Work = Generator[int, float, list[Output]]

AT_ONCE = 96  # records: some 2 ms
PORTION = 32  # records between two yields


def portions(records: list[Any]) -> Generator[list[Any]]:
    """Some records at a time."""
    for at in range(0, len(records), PORTION):
        yield records[at : at + PORTION]


class LongWork:
    """Who ends it: it ends by itself, as what it goes through is a list that does not grow; `stop` ends one whose switch is
    gone, and an error the one that it comes from. There is one piece of work for each name."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._works: dict[Hashable, Work] = {}
        self._is_going_on = False  # GoOn was told, and nothing went on yet

    def __bool__(self) -> bool:
        return bool(self._works)

    def has_any(self, names: Iterable[Hashable]) -> bool:
        """Whether work of one of these names is under way."""
        return not self._works.keys().isdisjoint(names)

    def begin(self, name: Hashable, work: Work, now: float) -> list[Output]:
        """Work is to be done, behind all that is under way. Its first slice is done at once where there is none."""
        self.stop(name)
        next(work)
        self._works[name] = work
        return [] if self._is_going_on else self.go_on(now)

    def stop(self, name: Hashable) -> None:
        """What was done of it stays."""
        work = self._works.pop(name, None)
        if work is not None:
            work.close()

    def go_on(self, now: float) -> list[Output]:
        """Do one slice, which ends where a work ends. GoOn is among the outputs if there are more. An error ends the work
        that it comes from and is raised, and takes no other's outputs with it; the others wait for `resume`."""
        left, outputs = self._at_once, list[Output]()
        self._is_going_on = False
        while self._works and left > 0:
            name, work = next(iter(self._works.items()))
            try:
                left -= work.send(now)
            except StopIteration as ended:
                self._works.pop(name, None)
                outputs, left = ended.value, 0  # no error of the next one may cost what this one brings
            except BaseException:
                self._works.pop(name, None)
                raise
        self._is_going_on = bool(self._works)
        return [*outputs, GoOn()] if self._is_going_on else outputs

    def resume(self, now: float) -> list[Output]:
        """Go on where an error took a GoOn away, be it one of the works or of what else was done in the same turn; called
        each tick."""
        if not self._works:
            return []
        return [GoOn()] if self._is_going_on else self.go_on(now)
