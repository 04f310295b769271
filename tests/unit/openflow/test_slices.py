"""Between two slices of work every connection that has something to read is served."""

import subprocess
import sys

# In a process of its own: the hub that os-ken uses is chosen once, when it is imported.
SCRIPT = """
from steering.runtime.hub import prepare
prepare()
import socket
from os_ken.lib import hub
from steering.model.standing_work import WorkFaults
from steering.openflow.slices import Slices

near, far = socket.socketpair()
seen, slices, left = [], [], 5

def go_on():
    global left
    left -= 1
    seen.append("slice")
    far.send(b"x")
    if left:
        work.wish()
    if left == 2:
        raise ValueError("one slice that fails ends nothing")

def reader():
    while True:
        near.recv(1)
        seen.append("packet")

work = Slices(go_on, WorkFaults())
hub.spawn(work.run, lambda: True)
hub.spawn(reader)
hub.sleep(0.01)
work.wish()
work.wish()
while len(seen) < 10:
    hub.sleep(0.01)
print(" ".join(seen))
"""


def test_a_packet_that_came_during_a_slice_is_read_before_the_next_one() -> None:
    made = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.split() == ["slice", "packet"] * 5
