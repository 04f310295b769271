"""Controllers' part in a cell without controllers: each a `Coordination` with its threads, on a real etcd."""

import threading
from collections.abc import Callable

from steering.cluster.coordination import Coordination
from steering.model.cluster import ClusterMember, ShareRole
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.keys import Keys
from tests.support.etcd import EtcdMembers
from tests.support.served_etcd import ServedEtcd
from tests.support.waiting import wait_for

CELL = "/steering/test/cluster/"
LEASE = 60  # seconds


class CellMember:
    """One controller's part, joined and at work."""

    def __init__(
        self,
        etcd: EtcdMembers | ServedEtcd,
        name: str,
        shares: int = 1,
        site: str = "site",
        prefix: str = CELL,
        levels: bool = True,
    ) -> None:
        keys = Keys(EtcdGateway(etcd.access), prefix)
        self.name = name
        # The machine may be slow: a lease ends when a test says so.
        self.coordination = Coordination(
            keys, ClusterMember(name, f"{name}:1"), site, shares, lease=LEASE, levels=levels
        )
        self.coordination.join()
        self._over = threading.Event()  # ends the sleeps too: between two signs of life there are 15 s
        self._threads = [
            threading.Thread(target=self.coordination.follow, daemon=True),
            threading.Thread(target=self.coordination.live, args=(self._over.wait,), daemon=True),
            threading.Thread(target=self.coordination.agree, args=(self._over.wait,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def owns(self, share: str = "s0000") -> bool:
        return self.coordination.duty_of(share).role is ShareRole.OWNER

    def stands_by(self, share: str = "s0000") -> bool:
        return self.coordination.duty_of(share).role is ShareRole.STANDBY

    def crash(self) -> None:
        """End without a word; then the lease runs out."""
        membership = self.coordination._membership
        lease, membership.lease = membership.lease, 0
        self.leave()
        self.coordination._keys.revoke(lease)

    def leave(self) -> None:
        self.coordination.leave()
        self._over.set()
        for thread in self._threads:
            thread.join(20)


def eventually(what: Callable[[], bool]) -> None:
    """Until it is so; a test fails that waits for ever."""
    wait_for(what, 60)
