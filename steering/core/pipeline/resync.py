"""Decides when switches are brought in line: at once after a loss or an order, else at the next tick."""

from collections.abc import Callable, Iterator
from functools import partial

from steering.core.outputs import GoOn, Output
from steering.core.part import Part, Parts
from steering.core.pipeline.pieces import Rules, keyed
from steering.core.pipeline.reconcile import Reconcile
from steering.model.ids import DatapathId


class Resync:
    """Brings switches in line with parts and graph, slice by slice. The outputs contain `GoOn` as long as there is more
    to do. `filled`: called with a switch whose rules are all made; returns the output that fills it."""

    def __init__(self, parts: Parts, reconcile: Reconcile, filled: Callable[[DatapathId], Output]) -> None:
        self._parts = parts
        self._reconcile = reconcile
        self._filled = filled
        self._before: dict[
            DatapathId, Iterator[list[Output]]
        ] = {}  # switch -> the slices of work that come before it is filled
        self._going_on = False  # GoOn was returned, and `go_on` has not been called since
        self._pieces = {part: type(part).__name__ for part in parts.followed()}
        for part, piece in self._pieces.items():
            reconcile.register(piece, partial(_wanted, part))

    def begin(self) -> list[Output]:
        """The wanted rules may have changed. Do the first slice at once, unless slices are under way."""
        self._take_changed()
        self._reconcile.links_changed()
        return [] if self._going_on else self.go_on()

    def fill(self, dpid: DatapathId, before: Iterator[list[Output]]) -> list[Output]:
        """Fill a switch after all slices of `before`. Do the first slice at once, unless slices are under way."""
        self._before.pop(dpid, None)
        self._before[dpid] = before
        return [] if self._going_on else self.go_on()

    def tick(self, now: float) -> list[Output]:
        """Do a slice if a part wants other rules than before, unless slices are under way."""
        if self._take_changed():
            self._reconcile.links_changed()
        return [GoOn()] if self._going_on else self.go_on()

    def go_on(self) -> list[Output]:
        """Do one slice."""
        if not self._before and not self._reconcile.busy:
            self._going_on = False
            return self._parts.synced([], True)
        outputs: list[Output] = self._prepare()
        outputs += self._reconcile.step()
        outputs += map(self._filled, self._reconcile.take_filled())
        self._going_on = self._reconcile.busy or bool(self._before)
        outputs = self._parts.synced(outputs, self._reconcile.settled)
        return [*outputs, GoOn()] if self._going_on else outputs

    def stop_filling(self, dpid: DatapathId) -> None:
        """A switch disconnected: drop the work for it."""
        self._before.pop(dpid, None)
        self._reconcile.stop_filling(dpid)

    def forget(self, dpid: DatapathId) -> None:
        """A switch connected: drop the work of its last connection, and forget what it holds."""
        self._before.pop(dpid, None)
        self._reconcile.forget(dpid)

    def _prepare(self) -> list[Output]:
        """One slice of the work that comes before a switch is filled. When none is left, the filling begins."""
        while self._before:
            dpid = next(iter(self._before))
            made = next(self._before[dpid], None)
            if made is not None:
                return made
            del self._before[dpid]
            self._reconcile.fill(dpid)
        return []

    def _take_changed(self) -> bool:
        changed = self._parts.take_changed()
        for part in changed:
            if part in self._pieces:
                self._reconcile.touch_everywhere(self._pieces[part])
        return bool(changed)


def _wanted(part: Part, dpid: DatapathId) -> Rules:
    """All rules that one part wants at a switch, as one piece."""
    desired = part.desired(dpid)
    return keyed((*desired.forwarding, *desired.admission))
