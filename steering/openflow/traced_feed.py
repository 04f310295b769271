"""The engine's feed where set-ups of sessions are traced: a watch sees inputs and the outputs that follow. The module is
loaded only where traces are on."""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from steering.core.counters import Counters
from steering.core.engine import Engine
from steering.core.inputs import Input
from steering.core.outputs import Output, Release
from steering.model.log_limit import LogLimit
from steering.openflow.engine_feed import EngineFeed

LOG_INTERVAL = 60.0  # seconds between log lines about a watch that fails

log = logging.getLogger(__name__)


class SetUpWatch(Protocol):
    """Observes set-ups of sessions. Times are seconds of the monotonic clock."""

    def wants(self, given: Input, now: float) -> bool:
        """Whether `handled` is to be called for an input that is about to be handled."""

    def handled(self, given: Input, outputs: list[Output], now: float, begun: float, ended: float) -> None:
        """The engine handled a wanted input, which came in at `now`, from `begun` to `ended`."""

    def written(self, now: float) -> None:
        """The outputs of all inputs until now are written, except steers that wait for other switches."""

    def let_go(self, release: Release, is_confirmed: bool) -> None:
        """A segment that waited for other switches went on, or is dropped as they did not confirm."""


class TracedFeed(EngineFeed):
    """A feed with a watch. A watch that raises an exception is logged, and the packet is handled all the same."""

    def __init__(
        self,
        engine: Engine,
        counters: Counters,
        execute: Callable[[list[Output], float], None],
        watch: SetUpWatch,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(engine, counters, execute)
        self._watch = watch
        self._clock = clock
        self._faults = LogLimit(LOG_INTERVAL)

    def give(self, given: Input, now: float) -> None:
        super().give(given, now)
        self._written()

    def give_all(self, many: list[Input], now: float) -> None:
        super().give_all(many, now)
        self._written()

    def let_go(self, release: Release, is_confirmed: bool) -> None:
        """Called by the sender: a segment that waited for other switches was sent on or dropped."""
        try:
            self._watch.let_go(release, is_confirmed)
        except Exception:
            self._failed()

    def _written(self) -> None:
        try:
            self._watch.written(self._clock())
        except Exception:
            self._failed()

    def _handled(self, given: Input, now: float) -> list[Output]:
        try:
            is_wanted = self._watch.wants(given, now)
        except Exception:
            self._failed()
            is_wanted = False
        if not is_wanted:
            return super()._handled(given, now)
        begun = self._clock()
        outputs = super()._handled(given, now)
        try:
            self._watch.handled(given, outputs, now, begun, self._clock())
        except Exception:
            self._failed()
        return outputs

    def _failed(self) -> None:
        if self._faults.left_out("watch", self._clock()) is not None:
            log.exception("tracing a set-up failed")
