"""`steering run --workers 2` as a process, with the bridges of `cluster_cell`: s1 (LTE) and s3 (the MCP) are of one worker, s2 (WLAN)
and s4 (the gateway) of the other."""

import copy
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.attached_host import AttachedHost
from tests.support.cluster_cell import BRIDGES, WAIT, connected_bridges
from tests.support.controller_process import LINKS, SITE, Running
from tests.support.share_owners import LTE, WLAN, Place, attached
from tests.support.waiting import wait_for

HALVES = [["s1", "s3"], ["s2", "s4"]]


class Workers(NamedTuple):
    """`running`: the command, whose REST is the first worker's. `second`: the second worker, as REST and its state directory show
    it."""

    running: Running
    second: Running
    lte: AttachedHost
    wlan: AttachedHost
    mcp: AttachedHost

    def both(self) -> tuple[Running, Running]:
        return self.running, self.second

    @property
    def at_lte(self) -> Place:
        return Place(self.lte, LTE, BRIDGES[0], self._of("s1"))

    @property
    def at_wlan(self) -> Place:
        return Place(self.wlan, WLAN, BRIDGES[1], self._of("s2"))

    def _of(self, switch: str) -> Running:
        return next(one for one in self.both() if switch in masters(one))

    def pid(self, one: Running) -> int:
        """A worker's process: the child of the command that has its state directory's lock."""
        assert self.running.process is not None
        for pid in children(self.running.process.pid):
            number = environment_of(pid).get("STEERING_WORKER", "").partition(":")[0]
            if number == ("1" if one is self.running else "2"):
                return pid
        raise AssertionError("that worker does not run")


def children(pid: int) -> list[int]:
    """The children of a process, whichever of its threads started them."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def environment_of(pid: int) -> dict[str, str]:
    words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(word.split("=", 1) for word in words if "=" in word)


def told(one: Running, path: str) -> Any:
    """What a worker answers; None while it starts."""
    try:
        return one.json(path)
    except (OSError, ValueError):
        return None


def masters(one: Running) -> list[str]:
    """The switches that a worker says it is MASTER of."""
    found = told(one, "/v1/cluster")
    return [] if found is None else sorted(x["name"] for x in found["switches"] if x["role"] == "master")


def divided(one: Running, other: Running) -> bool:
    return sorted((masters(one), masters(other))) == HALVES


@contextmanager
def workers(folder: Path, *arguments: str, policy: str = "policy: 1\n") -> Iterator[Workers]:
    """Both workers have their switches."""
    running = Running(folder, SITE + LINKS, "--workers", "2", *arguments)
    (folder / "policy.yaml").write_text(policy)
    second = copy.copy(running)
    second.state = running.state / "workers" / "2"
    with connected_bridges(f"tcp:127.0.0.1:{running.port}"):
        try:
            running.start()
            wait_for(lambda: divided(running, second), WAIT)
            with attached() as (lte, wlan, mcp):
                yield Workers(running, second, lte, wlan, mcp)
        finally:
            pids = children(running.process.pid) if running.is_alive() and running.process else []
            running.kill()
            wait_for(lambda: not any(map(is_there, pids)))  # workers end when their parent is gone


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(pid, number)
