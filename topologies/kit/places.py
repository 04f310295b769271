"""Places for controllers: a network namespace each, with a cable to the lab's management network. So a controller can be cut
off from its peers, from etcd or from its switches, both ways or one way. Places end with their processes.
"""

import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from topologies.kit.processes import LabError, StartedProcess
from topologies.kit.records import Record

ROOT_ADDRESS = "192.0.2.1"  # of the lab's own namespace, where switches and etcd are
FIRST = 11  # the last byte of the first place's address
TABLE = "table inet cut"
READY_S = 10.0  # for a process to be in its namespace


class Place:
    """A place in the management network. `pid`: of a process that is there."""

    def __init__(self, record: Record, name: str) -> None:
        self._holder = StartedProcess(record, f"place-{name}", ["unshare", "--net", "sleep", "infinity"])
        self.pid = self._holder.popen.pid
        self.address = ""
        own = Path("/proc/self/ns/net").readlink()
        limit = time.monotonic() + READY_S
        while Path(f"/proc/{self.pid}/ns/net").readlink() == own:
            if time.monotonic() > limit or not self._holder.alive():
                raise LabError(f"place-{name}: no namespace: {self._holder.last_line()}")
            time.sleep(0.02)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *words: str) -> str:
        """Run a command there; its output. Raises LabError."""
        return _do("mnexec", "-a", str(self.pid), *words)

    def cut(self, incoming: Iterable[str], outgoing: Iterable[str]) -> None:
        """Drop what matches one of these expressions of nft, of what comes in and of what goes out."""
        lines = [f"add {TABLE}"]
        for hook, matches in (("input", incoming), ("output", outgoing)):
            lines.append(f"add chain inet cut {hook} {{ type filter hook {hook} priority 0 ; }}")
            lines += [f"add rule inet cut {hook} {match} counter drop" for match in matches]
        self.run("nft", "\n".join(lines))

    def mend(self) -> int:
        """Undo `cut`; how many packets it dropped."""
        listed = self.run("nft", f"list {TABLE}")
        self.run("nft", f"delete {TABLE}")
        return sum(map(int, re.findall(r"counter packets (\d+)", listed)))


def places(record: Record, names: Sequence[str]) -> dict[str, Place]:
    """A place for each name, all in one network with the lab's own namespace (ROOT_ADDRESS). Raises LabError."""
    middle = Place(record, "middle")
    middle.run("ip", "link", "add", "bridge", "type", "bridge")
    middle.run("ip", "link", "set", "bridge", "up")
    found = {}
    for number, name in enumerate(names):
        place = Place(record, name)
        place.address = f"192.0.2.{FIRST + number}"
        _cable(middle, f"to-{name}", "eth0", "netns", str(place.pid))
        middle.run("ip", "link", "set", f"to-{name}", "master", "bridge", "up")
        place.run("ip", "addr", "add", f"{place.address}/24", "dev", "eth0")
        place.run("ip", "link", "set", "eth0", "up")
        found[name] = place
    outside = "st-lab-places"
    _cable(middle, "to-root", outside)
    middle.run("ip", "link", "set", "to-root", "master", "bridge", "up")
    _do("ip", "addr", "add", f"{ROOT_ADDRESS}/24", "dev", outside)
    _do("ip", "link", "set", outside, "up")
    return found


def _cable(middle: Place, inner: str, *outer: str) -> None:
    """A cable whose one end is in the middle, where the bridge is; `outer`: the other end's name, and its namespace."""
    own = ("ip", "link", "add", inner, "netns", str(middle.pid), "type", "veth")
    _do(*own, "peer", "name", *outer)


def _do(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
