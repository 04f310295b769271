"""Workers' names: the first worker has the share that decides for orders, whoever comes and goes."""

from string import ascii_lowercase

import pytest

from steering.cluster.shares import Allotment, granted, share_name, share_names, worker_names
from steering.model.cluster import ClusterMember, ShareAssignment
from steering.runtime.settings import MOST_WORKERS


class Levelled:
    """The shares of a cell, after as many looks as there is something to agree on."""

    def __init__(self, workers: int) -> None:
        self.shares = share_names(workers)
        self.now: dict[str, ShareAssignment] = {}
        self._last = 0

    def of(self, *names: str) -> dict[str, str]:
        """Share -> owner, where these are there."""
        members = [ClusterMember(name, "x:1") for name in sorted(names)]
        while True:
            changed = False
            for share, wanted in Allotment(members, self.shares, self.now).wanted().items():
                assignment, self._last = granted(wanted, self.now.get(share), self._last)
                changed = changed or assignment != self.now.get(share)
                self.now[share] = assignment
            if not changed:
                return {share: one.owner.controller for share, one in self.now.items()}


@pytest.mark.parametrize("workers", range(2, MOST_WORKERS + 1))
def test_the_first_worker_has_the_first_share_whoever_died_and_came_back(workers: int) -> None:
    names = worker_names(workers)
    assert len(set(names)) == workers
    assert [name.rstrip(ascii_lowercase) for name in names] == [f"w{n}" for n in range(1, workers + 1)]
    cell = Levelled(workers)
    for number in range(1, workers + 1):  # they join one after the other
        owners = cell.of(*names[:number])
        assert owners[share_name(0)] == names[0]
    assert sorted(owners.values()) == sorted(names), "each has one"
    for dead in names:
        cell.of(*(name for name in names if name != dead))
        owners = cell.of(*names)
        assert owners[share_name(0)] == names[0] and sorted(owners.values()) == sorted(names)
