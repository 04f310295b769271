"""What a controller does whose switch obeys another one now.

Of several owners, one hands a share over when that was agreed on, and goes on with the rest. Who took the switch may tell etcd some
moments later, so an owner that knows of nothing waits that long. After that it counts as one that was away, and begins anew: what
it knows is older than what the switches hold. A start needs etcd, so it is not begun before etcd answers.
"""

import logging
from collections.abc import Callable

from steering.cluster.coordination import PATIENCE, Coordination
from steering.model.ids import DatapathId
from steering.store.etcd.access import EtcdError

LOOK = 0.1  # seconds

log = logging.getLogger(__name__)


class Demotion:
    """`look`: tells the engine who decides where; None where one controller decides for all switches. `ask` is any question to
    etcd, and raises EtcdError. `now`: seconds, monotonic."""

    def __init__(
        self,
        coordination: Coordination,
        look: Callable[[], None] | None,
        ask: Callable[[], object],
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._coordination = coordination
        self._look = look
        self._ask = ask
        self._now = now
        self._sleep = sleep
        self._open: dict[
            DatapathId, float
        ] = {}  # switches whose owner nobody has told yet, until when that is waited for

    def of(self, dpid: DatapathId) -> bool:
        """A switch obeys another controller. Whether `wait` has to be called: it is open what comes of it, and nobody waits."""
        if self._is_agreed(dpid):
            assert self._look is not None
            self._look()
            return False
        waits = bool(self._open)
        self._open.setdefault(dpid, self._now() + PATIENCE)
        return not waits

    def wait(self) -> bool:
        """Wait until all that is open is settled, or this controller has to begin anew and can. Which of them: True for the
        second."""
        while self._look is not None:
            agreed = [dpid for dpid in self._open if self._is_agreed(dpid)]
            for dpid in agreed:
                del self._open[dpid]
            if agreed:
                self._look()
            if not self._open:
                return False
            if self._now() >= min(self._open.values()):
                break
            self._sleep(LOOK)
        self.wait_for_etcd()
        return True

    def wait_for_etcd(self) -> None:
        """Until etcd answers."""
        waits = False
        while True:
            try:
                self._ask()
                return
            except EtcdError as error:
                if not waits:
                    log.warning("this controller has to begin anew, and waits for etcd: %s", error)
                waits = True
                self._sleep(LOOK)

    def _is_agreed(self, dpid: DatapathId) -> bool:
        """Whether etcd says that another controller decides there."""
        coordination = self._coordination
        others = coordination.owner_of(dpid) not in ("", coordination.me.id)
        return self._look is not None and others and coordination.reached
