"""A lab in namespaces of its own: network, processes, mounts, and an Open vSwitch of its own.

So several labs can run side by side, and none of them touches the machine's own Open vSwitch. `command` wraps a
command line. Run as a program, this file is the first process inside the namespaces; when it ends, all processes
inside end too.
"""

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from topologies.kit.records import LAST_LOGS

# Directories to which Open vSwitch, `ip netns` and the records of labs write, whatever the network namespace.
PRIVATE = ("/run/openvswitch", "/etc/openvswitch", "/var/log/openvswitch", "/run/steering-lab", "/run/netns")
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
DATABASE = "/etc/openvswitch/conf.db"
SOCKET = "/run/openvswitch/db.sock"
DAEMON = ("--pidfile", "--detach", "--no-chdir", "--log-file", "-vconsole:off")
GRACE_S = 30.0  # for a lab that is told to end: it removes its network first


def command(words: list[str], logs: Path) -> list[str]:
    """The command line that runs `words` isolated. The logs of a lab that failed are copied to `logs`."""
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*unshare, sys.executable, "-m", "topologies.kit.isolation", str(logs), *words]


def main(arguments: list[str]) -> int:
    """The first process inside: prepare the namespaces, run the command, keep its logs; the exit status."""
    logs, words = Path(arguments[0]), arguments[1:]
    _make_place()
    # The first process of a PID namespace is sent no signal that it does not handle.
    running = subprocess.Popen(words)

    def end(number: int, _frame: FrameType | None) -> None:
        running.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    status = running.wait()
    if status and LAST_LOGS.is_dir():
        shutil.copytree(LAST_LOGS, logs, dirs_exist_ok=True)
    with contextlib.suppress(subprocess.SubprocessError):
        subprocess.run(
            ["ovs-appctl", "-t", "ovs-vswitchd", "exit"], capture_output=True, timeout=5, check=False
        )
    return status


def _make_place() -> None:
    """Prepare the namespaces. Raises subprocess.CalledProcessError."""
    _do("mount", "--make-rprivate", "/")
    _do(
        "mount", "-t", "sysfs", "sysfs", "/sys"
    )  # a sysfs shows the interfaces of the network namespace in which it was mounted
    for directory in PRIVATE:
        Path(directory).mkdir(parents=True, exist_ok=True)
        _do("mount", "-t", "tmpfs", "tmpfs", directory)
    _do("ip", "link", "set", "lo", "up")
    _do("ovsdb-tool", "create", DATABASE, SCHEMA)
    _do("ovsdb-server", DATABASE, f"--remote=punix:{SOCKET}", *DAEMON)
    _do("ovs-vsctl", "--no-wait", "init")
    _do("ovs-vswitchd", f"unix:{SOCKET}", *DAEMON)


def _do(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def end(running: "subprocess.Popen[str]") -> None:
    """End an isolated command from outside. `unshare` itself ignores signals, so they go to the process inside it."""
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    with contextlib.suppress(OSError):
        for child in children.read_text().split():
            subprocess.run(["kill", "-TERM", child], check=False, capture_output=True)
    limit = time.monotonic() + GRACE_S
    while running.poll() is None and time.monotonic() < limit:
        time.sleep(0.1)
    running.kill()
    running.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
