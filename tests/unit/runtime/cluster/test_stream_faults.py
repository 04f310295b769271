"""Faults of the work on streams are the controller's."""

import subprocess
import sys
from pathlib import Path

# In a process of its own: the hub that os-ken uses is chosen once, when it is imported.
SCRIPT = """
from steering.runtime.hub import prepare
prepare()
import sys
from pathlib import Path
from eventlet.green import socket
from os_ken.lib import hub
from steering.model.standing_work import StandingWork, WorkFaults
from steering.runtime.cluster.peer_places import PrivateSockets
from steering.runtime.cluster.peer_streams import PeerStreams
from steering.wire.peer_messages import Hello

way = PrivateSockets(Path(sys.argv[1]))
streams = PeerStreams(Hello("a", 1, bytes(32)), way, lambda given: None, lambda: None)
told = []
streams.works = WorkFaults()
streams.works.tell = lambda work, error: told.append(f"{work} {type(error).__name__}")
streams.start_private()
hub.sleep(0.01)
streams._newcomers = None  # what follows is a defect
caller = socket.socket(socket.AF_UNIX)
caller.connect(way.place("a"))
while len(told) < 2:
    hub.sleep(0.01)
print(*sorted(told), sep=", ")
"""


def test_a_fault_is_counted_where_the_controller_sees_it(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() == "peer-beat TypeError, peer-door TypeError"
