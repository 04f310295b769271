"""A watch of etcd misses nothing: whatever happens to the member that it watches, and to what it has not seen yet."""

import subprocess
import sys
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


STOPPED = """
import sys
from steering.runtime.hub import prepare
prepare()
from os_ken.lib import hub
from steering.store.etcd.access import EtcdAccess, parse_endpoints
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.keys import Keys
from steering.store.etcd.watch import EtcdWatch
watch = EtcdWatch(Keys(EtcdGateway(EtcdAccess(parse_endpoints(sys.argv[1]))), "/stopped/"), "", quiet=600.0)
reader = hub.spawn(watch.run, lambda changes: None)
while not watch.begun:
    hub.sleep(0.05)
hub.sleep(0.2)
watch.stop()
reader.wait()
print("stopped")
"""


@pytest.mark.timeout(120)
def test_a_watch_is_stopped_while_its_greenthread_reads(rounds: WatchRounds) -> None:
    """What another greenthread reads from may not be closed; a controller that ends would fail at that."""
    url = str(rounds.watch._keys.gateway.access.endpoints[0])
    ran = subprocess.run([sys.executable, "-c", STOPPED, url], capture_output=True, text=True, timeout=100)
    assert ran.stdout == "stopped\n", ran.stderr
