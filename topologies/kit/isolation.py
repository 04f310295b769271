"""A lab in namespaces of its own: network, processes, mounts, and an Open vSwitch that nobody else sees.

Several labs then run side by side, and none meets the machine's own switch. `command` wraps a command line;
run as a program this file is the first process inside, and all that it started ends with it.
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

# What Open vSwitch, `ip netns` and the labs' own records write outside of a network namespace.
PRIVATE = ("/run/openvswitch", "/etc/openvswitch", "/var/log/openvswitch", "/run/steering-lab", "/run/netns")
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
DATABASE = "/etc/openvswitch/conf.db"
SOCKET = "/run/openvswitch/db.sock"
DAEMON = ("--pidfile", "--detach", "--no-chdir", "--log-file", "-vconsole:off")
GRACE_S = 30.0  # a lab that is told to end takes its network down


def command(words: list[str], logs: Path) -> list[str]:
    """The command line that runs `words` isolated; `logs` gets what a lab that went wrong leaves."""
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*unshare, sys.executable, "-m", "topologies.kit.isolation", str(logs), *words]


def main(arguments: list[str]) -> int:
    """Inside: make the place, run the command, keep its logs. Its exit status."""
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
    """Raises subprocess.CalledProcessError."""
    _do("mount", "--make-rprivate", "/")
    _do("mount", "-t", "sysfs", "sysfs", "/sys")  # shows the interfaces of the namespace that mounted it
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
    """End an isolated command from outside: `unshare` itself takes no signal, what is in it does."""
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
