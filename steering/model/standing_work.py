"""Work that a controller does for as long as it runs, and the faults that it survives.

An exception that nobody expected must not end such work: nobody would notice, and from then on nothing would be saved, say.
So the work goes on at its next turn, and the fault is counted and told.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

AGAIN = 1.0  # seconds until work begins again that an exception ended


class StandingWork(StrEnum):
    """What a controller does for as long as it runs (`steering_work_faults_total{work}`)."""

    STATE_KEEPING = "state-keeping"  # writes what outlives the controller
    TELLING_TIME = "telling-time"  # tells the engine the time, and the log which limits were reached
    POLICY_FILE = "policy-file"  # reads a changed policy file
    TELLING_EVENTS = "telling-events"  # publishes events and alarms
    GATHERING_EVENTS = "gathering-events"  # fetches the events of other controllers
    REST_DOOR = "rest-door"  # accepts connections to REST
    TICKING = "ticking"  # the engine's periodic work
    SLICES = "slices"  # long work of the engine, done in slices
    HANDLING = "handling"  # the engine's work on one input
    ROLES = "roles"  # asks switches for the roles of this controller
    MEMBERSHIP = "membership"  # tells the cell that this controller lives
    FOLLOWING_CELL = "following-cell"  # follows the cell's keys in etcd
    SHARING = "sharing"  # agrees with other controllers about who decides
    FOLLOWING_KEPT = "following-kept"  # follows the state that is kept in etcd
    FOLLOWING_POLICY = "following-policy"  # follows the cell's policy
    AGREEING_POLICY = "agreeing-policy"  # repeats what failed of an agreement about a policy
    FOLLOWING_USAGE = "following-usage"  # follows what other controllers counted towards quotas of bytes
    WRITING_USAGE = "writing-usage"  # writes what was counted towards quotas of bytes
    PEER_DOOR = "peer-door"  # accepts streams of other controllers
    PEER_DIAL = "peer-dial"  # dials other controllers
    PEER_BEAT = "peer-beat"  # sends heartbeats to other controllers, and misses theirs
    LOST_MEMBERS = "lost-members"  # finds out which controllers are lost


class WorkFaults:
    """Counts exceptions that nobody expected, and keeps the work going. `tell`: called with the first exception of each type in a
    work, inside its handler. `types`: work -> the type of its latest exception."""

    def __init__(self) -> None:
        self.count: Counter[StandingWork] = Counter()
        self.types: dict[StandingWork, str] = {}
        self.tell: Callable[[StandingWork, Exception], None] = lambda work, error: None
        # Only as many as the program has types.
        self._told: set[tuple[StandingWork, type[Exception]]] = set()

    def counted(self, work: StandingWork, error: Exception) -> bool:
        """Count an exception. Returns whether it is the first of its type in that work."""
        self.count[work] += 1
        self.types[work] = type(error).__name__
        is_first = (work, type(error)) not in self._told
        self._told.add((work, type(error)))
        return is_first

    @contextmanager
    def turn(self, work: StandingWork) -> Iterator[None]:
        """One turn of a work: an exception ends this turn alone."""
        try:
            yield
        except Exception as error:
            if self.counted(work, error):
                self.tell(work, error)

    def keep(
        self, work: StandingWork, sleep: Callable[[float], None], run: Callable[..., object], *args: Any
    ) -> None:
        """Call `run` until it returns: where an exception ends it, it begins again AGAIN seconds later."""
        is_over = False
        while not is_over:
            with self.turn(work):
                run(*args)
                is_over = True
            if not is_over:
                sleep(AGAIN)
