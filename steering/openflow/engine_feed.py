"""Gives inputs to the engine and the engine's outputs to the sender, and counts the time that decisions take."""

import logging
from collections.abc import Callable
from time import perf_counter

from steering.core.counters import STALL, Counters
from steering.core.engine import Engine
from steering.core.inputs import Input, SynSeen
from steering.core.outputs import Output
from steering.model.log_limit import LogLimit
from steering.model.standing_work import StandingWork
from steering.model.usual_segment import UsualJoin, UsualSyn
from steering.openflow.fastpath.reader import UsualMessages
from steering.wire.errors import WireError

LOG_INTERVAL = 1.0  # seconds between log lines about inputs that the engine failed on
_SYNS = (UsualSyn, UsualJoin, SynSeen)

log = logging.getLogger(__name__)


class EngineFeed:
    """Gives inputs to `engine`. `execute` carries the engine's outputs out."""

    def __init__(
        self, engine: Engine, counters: Counters, execute: Callable[[list[Output], float], None]
    ) -> None:
        self._engine = engine
        self._counters = counters
        self._execute = execute
        self._lines = LogLimit(LOG_INTERVAL)
        self._decisions: list[float] = []  # seconds of each decision since the last `count_times`

    def give(self, given: Input, now: float) -> None:
        """Handle an input, then carry its outputs out."""
        begun = perf_counter()
        outputs = self._handled(given, now)
        if outputs:
            self._execute(outputs, now)
        if (took := perf_counter() - begun) > STALL:
            self._counters.stalled(type(given).__name__, took)

    def give_all(self, many: list[Input], now: float) -> None:
        """Handle usual segments, then carry all their outputs out."""
        begun = perf_counter()
        outputs: list[Output] = []
        for given in many:
            outputs += self._handled(given, now)
        if outputs:
            self._execute(outputs, now)
        if (took := perf_counter() - begun) > STALL:
            self._counters.stalled(UsualMessages.__name__, took)

    def _handled(self, given: Input, now: float) -> list[Output]:
        """The engine's outputs for an input; empty where the engine refuses the input, or fails."""
        begun = perf_counter()
        try:
            outputs = self._engine.handle(given, now)
        except WireError as refused:
            self._counters.malformed[refused.reason.value] += 1
            return []
        except Exception as error:
            self._counters.work_faults.counted(StandingWork.HANDLING, error)
            # One packet that the engine cannot take must not cost the switch its connection.
            if self._lines.left_out(type(given).__name__, now) is not None:
                log.exception("the engine failed on %s", type(given).__name__)
            return []
        if type(given) in _SYNS:
            self._decisions.append(perf_counter() - begun)
        return outputs

    def count_times(self) -> None:
        """Count how long decisions took: called when a turn ends, and once a tick."""
        if self._decisions:
            self._counters.decision_seconds.observe_all(self._decisions)
            self._decisions.clear()
