"""The record of what a lab has made on this machine, written while it is made. So all of that can be removed, and
nothing else.

A process is known by its id *and* its start time: another process may have the same id later.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path

ROOT = Path("/run/steering-lab")
LAST_LOGS = ROOT / "last-logs"  # of the latest lab, a directory for each of its networks
RECORD = "record.json"
END_WAIT_S = 5.0


class Keep(Enum):
    """What is kept of a lab's directory after the lab."""

    NOTHING = "nothing"  # logs only where the lab could not go on
    LOGS = "logs"  # logs and captures, until it is known whether the checks held
    ALL = "all"  # the directory, with the site file


class Busy(RuntimeError):
    """Another lab runs. The text is one line."""


@dataclass(frozen=True)
class Process:
    """`start` is in clock ticks since boot (proc(5), field 22 of stat)."""

    pid: int
    start: int
    what: str

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return start_time(self.pid) == self.start


@dataclass
class Record:
    """All that one lab has made. The record is saved at each change."""

    directory: Path
    name: str
    keeper: Process
    switches: list[str] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)

    def add_process(self, pid: int, what: str) -> None:
        """Add a process that was just started."""
        start = start_time(pid)
        if start is not None:
            self.processes.append(Process(pid, start, what))
            self.save()

    def save(self) -> None:
        """Write the record, whole or not at all."""
        text = json.dumps(asdict(self) | {"directory": str(self.directory)}, indent=1)
        fresh = self.directory / f"{RECORD}.new"
        fresh.write_text(text)
        fresh.rename(self.directory / RECORD)


def start_time(pid: int) -> int | None:
    """The start time of a process; None where there is no such process, or it is a zombie."""
    try:
        after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after[0] == "Z" else int(after[19])


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Only one lab at a time may run on a machine: two would share the one thread of the switch daemon. Raises Busy."""
    ROOT.mkdir(mode=0o700, exist_ok=True)
    with (ROOT / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                "another lab is running: wait for it, end it with Ctrl-C, or `steering lab clean`"
            ) from None
        yield


def open_record(name: str) -> Record:
    """Make a new directory with a record for this process."""
    directory = ROOT / f"{name}-{os.getpid()}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)
    keeper = Process(os.getpid(), start_time(os.getpid()) or 0, "steering lab")
    record = Record(directory, name, keeper)
    record.save()
    return record


def load_records() -> list[Record]:
    """All records on this machine. Those that cannot be read are left out."""
    found: list[Record] = []
    for path in sorted(ROOT.glob(f"*/{RECORD}")):
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
            data = json.loads(path.read_text())
            found.append(
                Record(
                    path.parent,
                    data["name"],
                    Process(**data["keeper"]),
                    list(data["switches"]),
                    [Process(**one) for one in data["processes"]],
                )
            )
    return found


def remove(record: Record, keep_directory: bool = False) -> None:
    """End the processes of a record, and delete its switches and files. Namespaces end with their processes."""
    end_processes(record.processes)
    for switch in record.switches:
        subprocess.run(["ovs-vsctl", "--if-exists", "del-br", switch], capture_output=True, check=False)
        # When a bridge of the userspace datapath is deleted, its links stay.
        for path in Path("/sys/class/net").glob(f"{switch}-eth*"):
            subprocess.run(["ip", "link", "del", path.name], capture_output=True, check=False)
    if not keep_directory:
        shutil.rmtree(record.directory, ignore_errors=True)


def end_processes(processes: list[Process]) -> None:
    """Ask all processes to end, the newest first. Kill those that have not ended after a few seconds."""
    ask, kill = signal.SIGTERM, signal.SIGKILL
    for process in reversed(processes):
        _signal(process, ask)
    limit = time.monotonic() + END_WAIT_S
    while any(p.alive() for p in processes) and time.monotonic() < limit:
        # The shells of Mininet's nodes ignore SIGTERM. They hold nothing but their namespace, so they are killed.
        for process in processes:
            if process.what.startswith("namespace "):
                _signal(process, kill)
        time.sleep(0.05)
    for process in processes:
        _signal(process, kill)


def _signal(process: Process, number: int) -> None:
    if process.alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def next_logs(name: str) -> Path:
    """Where the logs of a network go: a lab may build several networks of one name, one after the other."""
    target, number = LAST_LOGS / name, 1
    while target.exists():
        number += 1
        target = LAST_LOGS / f"{name}-{number}"
    return target


def forget_logs() -> None:
    """Remove the logs that were kept of a lab that failed."""
    shutil.rmtree(LAST_LOGS, ignore_errors=True)


def clean() -> list[str]:
    """End and remove every lab that has a record, also labs that run. Returns a line for each thing removed."""
    lines: list[str] = []
    for record in load_records():
        if record.keeper.alive() and record.keeper.pid != os.getpid():
            _signal(record.keeper, signal.SIGTERM)
            limit = time.monotonic() + 2 * END_WAIT_S
            while record.keeper.alive() and time.monotonic() < limit:
                time.sleep(0.1)
            _signal(record.keeper, signal.SIGKILL)
        alive = sum(process.alive() for process in record.processes)
        remove(record)
        lines.append(f"{record.name}: {alive} processes, {len(record.switches)} switches, {record.directory}")
    return lines
