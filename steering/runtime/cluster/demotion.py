"""Decides what a controller does when one of its switches obeys another controller.

With several shares, a controller hands an agreed share over and goes on with its other shares. The controller that took
the switch may write the change to etcd a moment later. So the old owner waits for PATIENCE seconds until etcd says who
decides. Without such an agreement the controller must have been cut off for a while. Then it begins anew, because the
switches hold newer sessions than it knows. A start needs etcd, so the controller waits until etcd answers.

A share may go to another controller and come back before this controller notices that its switches obeyed the other one. Then this controller
has the newer generation. It gives such a switch up and takes it over again, and goes on with all other switches.
"""

import logging
from collections.abc import Callable

from steering.cluster.coordination import PATIENCE, Coordination
from steering.model.ids import DatapathId
from steering.store.etcd.access import EtcdError

LOOK = 0.1  # seconds

log = logging.getLogger(__name__)


class Demotion:
    """`look` tells the engine which controller decides for which switch; None if one controller decides for all. `ask` sends any request to
    etcd, and raises EtcdError. `now`: monotonic seconds. `taken_back` tells the engine that another controller decided for a switch in
    between, and that this controller does again; None as for `look`."""

    def __init__(
        self,
        coordination: Coordination,
        look: Callable[[], None] | None,
        ask: Callable[[], object],
        now: Callable[[], float],
        sleep: Callable[[float], None],
        taken_back: Callable[[DatapathId], None] | None = None,
    ) -> None:
        self._coordination = coordination
        self._look = look
        self._ask = ask
        self._now = now
        self._sleep = sleep
        self._taken_back = taken_back
        self._open: dict[
            DatapathId, float
        ] = {}  # switches without an agreed new owner -> until when the agreement is waited for

    def of(self, dpid: DatapathId) -> bool:
        """A switch obeys another controller. Returns whether the caller has to call `wait`: no agreement is known yet,
        and no other call of `wait` is running."""
        if self._is_agreed(dpid):
            assert self._look is not None
            self._look()
            return False
        if self._taken_back is not None and self._is_back(dpid):
            self._taken_back(dpid)
            return False
        waits = bool(self._open)
        self._open.setdefault(dpid, self._now() + PATIENCE)
        return not waits

    def wait(self) -> bool:
        """Wait until an agreement is known for every such switch; returns False then. Returns True where this controller
        has to begin anew, as soon as etcd answers."""
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
        """Wait until etcd answers."""
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
        """Whether etcd says that another controller decides for the switch."""
        coordination = self._coordination
        others = coordination.owner_of(dpid) not in ("", coordination.me.id)
        return self._look is not None and others and coordination.reached

    def _is_back(self, dpid: DatapathId) -> bool:
        """Whether etcd says that this controller decides for the switch, with a newer generation than the one that the switch has refused.
        It is asked only at once after the refusal: later the switch obeys this controller again, and is read then."""
        coordination = self._coordination
        return coordination.owner_of(dpid) == coordination.me.id and coordination.reached
