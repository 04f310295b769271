"""A watch of etcd misses nothing: whatever happens to the member that it watches, and to what it has not seen yet."""

from collections.abc import Iterator

import pytest

from tests.support.etcd import EtcdMembers
from tests.support.watch_rounds import WatchRounds


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchRounds]:
    members = EtcdMembers(tmp_path_factory.mktemp("etcd"), 3)
    members.start()
    trial = WatchRounds(members)
    yield trial
    trial.close()
    members.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "fault", ["nothing", "compaction", "compaction-unseen", "killed", "frozen", "restart"]
)
def test_every_event_is_told_once(rounds: WatchRounds, fault: str) -> None:
    """100 rounds of these at random: python -m tests.support.watch_rounds 100."""
    assert rounds.round(fault) == (0, 0)
