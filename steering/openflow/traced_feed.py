"""The engine's feed where set-ups are traced: a watch sees inputs and what came of them. Without traces it is not loaded."""

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
    """Sees set-ups go by. Times are seconds of the monotonic clock."""

    def wants(self, given: Input, now: float) -> bool:
        """Whether to be shown what comes of an input that is about to be handled."""

    def handled(self, given: Input, outputs: list[Output], now: float, begun: float, ended: float) -> None:
        """The engine handled, from `begun` to `ended`, an input that was wanted and came in at `now`."""

    def written(self, now: float) -> None:
        """What came of all inputs so far is written, but for steers that wait for other switches."""

    def let_go(self, release: Release, is_confirmed: bool) -> None:
        """A segment that waited for other switches went on, or is dropped as they did not confirm."""


class TracedFeed(EngineFeed):
    """A watch that fails costs no packet: it is logged, and the packet goes on."""

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
        """For the sender: a segment that waited for other switches does so no longer."""
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
