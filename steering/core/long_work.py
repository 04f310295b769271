"""Long work in slices, so that packets are handled between two slices. One piece of work follows the other, because each
builds on the results of those before it."""

from collections.abc import Generator, Hashable, Iterable
from typing import Any

from steering.core.outputs import GoOn, Output

# A generator. It first yields 0 and does nothing. Then it yields the number of records handled since its last yield, and
# is sent the time. It returns the outputs of the whole work.
Work = Generator[int, float, list[Output]]

AT_ONCE = 96  # records in one slice: some 2 ms
PORTION = 32  # records between two yields


def portions(records: list[Any]) -> Generator[list[Any]]:
    """The records in lists of at most PORTION."""
    for at in range(0, len(records), PORTION):
        yield records[at : at + PORTION]


class LongWork:
    """Pieces of work, one for each name.

    Each piece ends by itself, because its list of records does not grow. `stop` ends a piece whose switch is gone. An
    error ends the piece that raised it.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._works: dict[Hashable, Work] = {}
        self._is_going_on = False  # a GoOn was returned, and its Continue has not come yet

    def __bool__(self) -> bool:
        return bool(self._works)

    def has_any(self, names: Iterable[Hashable]) -> bool:
        """Whether work of one of these names is under way."""
        return not self._works.keys().isdisjoint(names)

    def begin(self, name: Hashable, work: Work, now: float) -> list[Output]:
        """Add a piece of work behind all others. If there are no others, do its first slice at once."""
        self.stop(name)
        next(work)
        self._works[name] = work
        return [] if self._is_going_on else self.go_on(now)

    def stop(self, name: Hashable) -> None:
        """End a piece of work early. What it has done so far stays."""
        work = self._works.pop(name, None)
        if work is not None:
            work.close()

    def go_on(self, now: float) -> list[Output]:
        """Do one slice, which ends at the latest where a piece of work ends. GoOn is among the outputs if work is left.

        If a piece of work raises an error, the piece ends and the error is raised. The other pieces wait for `resume`, and
        no outputs are lost.
        """
        left, outputs = self._at_once, list[Output]()
        self._is_going_on = False
        while self._works and left > 0:
            name, work = next(iter(self._works.items()))
            try:
                left -= work.send(now)
            except StopIteration as ended:
                self._works.pop(name, None)
                outputs, left = ended.value, 0  # an error in the next piece must not lose these outputs
            except BaseException:
                self._works.pop(name, None)
                raise
        self._is_going_on = bool(self._works)
        return [*outputs, GoOn()] if self._is_going_on else outputs

    def resume(self, now: float) -> list[Output]:
        """Called at each tick: go on if a GoOn got lost, because an error was raised in the same turn."""
        if not self._works:
            return []
        return [GoOn()] if self._is_going_on else self.go_on(now)
