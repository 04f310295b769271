"""Two controllers of one cell as processes, with a real etcd and four bridges of a real Open vSwitch."""

import fcntl
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.integration.ovs import run
from tests.support.controller_process import SITE, Running
from tests.support.etcd import EtcdMembers
from tests.support.rest_calls import certificates
from tests.support.waiting import wait_for

NAMES = ("a", "b")
BRIDGES = ("cl1", "cl2", "cl3", "cl4")
LINKS = """\
links:
  - {ports: [s1:2, s3:2]}
  - {ports: [s2:2, s3:3]}
  - {ports: [s4:2, s3:4]}
"""
PORTS = 4
WAIT = 120.0  # seconds, on a slow machine
QUIET = 2.0  # seconds
LOCK = Path(tempfile.gettempdir()) / "steering-test-cell.lock"
CHANGES = re.compile(r"cookie=(0x[0-9a-f]+), duration=([0-9.]+)s, table=(\d+).*? (priority=.*)")


class Cell(NamedTuple):
    """The controllers by name, the bridges by datapath id."""

    etcd: EtcdMembers
    controllers: dict[str, Running]

    def roles(self, name: str) -> set[str]:
        """What the switches say that a controller is to them; empty until all say so."""
        port = self.controllers[name].port
        told = run(
            "ovs-vsctl", "--columns=role", "--bare", "find", "controller", f'target="tcp:127.0.0.1:{port}"'
        )
        words = told.split()
        return set(words) if len(words) == len(BRIDGES) else set()

    def masters(self, name: str) -> set[str]:
        """The switches that a controller says it is MASTER of."""
        try:
            told = self.controllers[name].json("/v1/cluster")
        except (OSError, ValueError):
            return set()
        return {one["name"] for one in told["switches"] if one["role"] == "master"}

    def decides(self, name: str) -> bool:
        return self.roles(name) == {"master"}

    def stands_by(self, name: str) -> bool:
        """A switch says "slave" of one that does not know of it yet: the controller must say so itself."""
        try:
            told = self.controllers[name].json("/v1/cluster")
        except (OSError, ValueError):
            return False
        own = {one["role"] for one in told["switches"]}
        members = {one["name"] for one in told["members"]}
        return self.roles(name) == own == {"slave"} and name in members


def rules() -> dict[str, tuple[str, float]]:
    """Bridge, table and match -> cookie, and seconds since it was added. Leases, which are renewed all the time, are left
    out."""
    found = {}
    for bridge in BRIDGES:
        for line in run("ovs-ofctl", "-O", "OpenFlow13", "dump-flows", bridge).splitlines():
            match = CHANGES.search(line)
            if match is not None and "hard_timeout" not in line:
                found[f"{bridge} {match[3]} {match[4]}"] = (match[1], float(match[2]))
    return found


def settled() -> dict[str, tuple[str, float]]:
    """The rules when nothing has been added or deleted for a while."""
    ends = time.monotonic() + WAIT
    before = rules()
    while True:
        time.sleep(1.0)
        now = rules()
        if now.keys() == before.keys() and all(one[1] > QUIET for one in now.values()):
            return now
        assert time.monotonic() < ends, "the rules change all the time"
        before = now


def _remove_bridges() -> None:
    for bridge in BRIDGES:
        run("ovs-vsctl", "--if-exists", "del-br", bridge)


@contextmanager
def _bridges() -> Iterator[None]:
    """The bridges are free for the caller: another run of these tests on this machine is waited for, and what a killed run left is removed."""
    with LOCK.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        _remove_bridges()
        try:
            yield
        finally:
            _remove_bridges()


@contextmanager
def connected_bridges(*targets: str) -> Iterator[None]:
    """The bridges with their ports. Each connects to all targets, such as `tcp:127.0.0.1:6653`."""
    with _bridges():
        for number, bridge in enumerate(BRIDGES, 1):
            run(
                *("ovs-vsctl", "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"),
                *("protocols=OpenFlow13", f"other-config:datapath-id={number:016x}", "fail_mode=secure"),
                "other-config:disable-in-band=true",
            )
            for port in range(1, PORTS + 1):
                name = f"{bridge}p{port}"
                run(
                    *("ovs-vsctl", "add-port", bridge, name),
                    *("--", "set", "interface", name, "type=internal", f"ofport_request={port}"),
                )
                run("ip", "link", "set", name, "up")
            run("ovs-vsctl", "set-controller", bridge, *targets)
        for one in run("ovs-vsctl", "--bare", "--columns=_uuid", "list", "controller").split():
            run("ovs-vsctl", "set", "controller", one, "max_backoff=1000", "inactivity_probe=5000")
        yield


@contextmanager
def cell(
    folder: Path,
    etcd: EtcdMembers,
    *arguments: str,
    policy: str = "policy: 1\n",
    site: str = SITE,
    one_by_one: bool = False,
) -> Iterator[Cell]:
    """Run two controllers of a cell. `arguments`: further arguments for both. `site`: a site file without its links. `one_by_one`: the
    second controller starts when the first one decides for all switches. Otherwise each controller gets the shares of the switches that
    connect to it first."""
    controllers = {}
    certificates(folder, *NAMES)
    for name in NAMES:
        (folder / name).mkdir()
        urls = ",".join(map(str, etcd.access.endpoints))
        controllers[name] = Running(
            folder / name, site + LINKS, "--cluster", urls, "--cluster-name", name, "--cluster-cell", folder.name,
            "--peer-listen", "127.0.0.1:0", "--peer-ca", str(folder / "ca.pem"),
            "--peer-cert", str(folder / f"{name}.crt"), "--peer-key", str(folder / f"{name}.key"),
            *arguments,
        )  # fmt: skip
        (folder / name / "policy.yaml").write_text(policy)
    targets = [f"tcp:127.0.0.1:{one.port}" for one in controllers.values()]
    with connected_bridges(*targets):
        try:
            made = Cell(etcd, controllers)
            for name, running in controllers.items():
                running.start()
                if one_by_one and name == NAMES[0]:
                    wait_for(lambda: len(made.masters(NAMES[0])) == len(BRIDGES), WAIT)
            yield made
        finally:
            for running in controllers.values():
                if running.process is not None and running.is_alive():
                    running.process.send_signal(signal.SIGCONT)
                running.kill()
