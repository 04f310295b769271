"""Two controllers, a real etcd and a real Open vSwitch: one decides, the other follows it when it is killed or frozen."""

import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from steering.model.network import PortRef, PortRole, mcp_id, waypoint_id
from steering.model.session import Entry, EntryKind, pack_cookie
from steering.openflow.templates import entry_add
from tests.integration.ovs import Switch, run
from tests.support.controller_process import SITE, Running, refused
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
FEW = 100  # rules that four switches have more of
QUIET = 2.0  # seconds
TOKEN = 0x12345678
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


@contextmanager
def cell(folder: Path, etcd: EtcdMembers) -> Iterator[Cell]:
    controllers = {}
    certificates(folder, *NAMES)
    for name in NAMES:
        (folder / name).mkdir()
        urls = ",".join(map(str, etcd.access.endpoints))
        controllers[name] = Running(
            folder / name, SITE + LINKS, "--cluster", urls, "--cluster-name", name, "--cluster-cell", folder.name,
            "--peer-listen", "127.0.0.1:0", "--peer-ca", str(folder / "ca.pem"),
            "--peer-cert", str(folder / f"{name}.crt"), "--peer-key", str(folder / f"{name}.key"),
        )  # fmt: skip
    targets = [f"tcp:127.0.0.1:{one.port}" for one in controllers.values()]
    try:
        for number, bridge in enumerate(BRIDGES, 1):
            run(
                *("ovs-vsctl", "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"),
                *("protocols=OpenFlow13", f"other-config:datapath-id={number:016x}", "fail_mode=secure"),
                "other-config:disable-in-band=true",
            )
            for port in range(1, PORTS + 1):
                name = f"{bridge}p{port}"
                run(
                    *("ovs-vsctl", "add-port", bridge, name, "--", "set", "interface", name, "type=internal"),
                    f"ofport_request={port}",
                )
                run("ip", "link", "set", name, "up")
            run("ovs-vsctl", "set-controller", bridge, *targets)
        for one in run("ovs-vsctl", "--bare", "--columns=_uuid", "list", "controller").split():
            run("ovs-vsctl", "set", "controller", one, "max_backoff=1000", "inactivity_probe=5000")
        for running in controllers.values():
            running.start()
        yield Cell(etcd, controllers)
    finally:
        for running in controllers.values():
            if running.process is not None and running.is_alive():
                running.process.send_signal(signal.SIGCONT)
            running.kill()
        for bridge in BRIDGES:
            run("ovs-vsctl", "--if-exists", "del-br", bridge)


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdMembers]:
    members = EtcdMembers(tmp_path_factory.mktemp("etcd"))
    members.start()
    yield members
    members.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, etcd: EtcdMembers) -> Iterator[Cell]:
    with cell(tmp_path_factory.mktemp("cell"), etcd) as made:
        wait_for(lambda: any(made.decides(one) for one in NAMES) and any(map(made.stands_by, NAMES)), WAIT)
        yield made


def owner_and_standby(pair: Cell) -> tuple[str, str]:
    wait_for(lambda: any(pair.decides(one) for one in NAMES) and any(map(pair.stands_by, NAMES)), WAIT)
    owner = next(one for one in NAMES if pair.decides(one))
    return owner, next(one for one in NAMES if one != owner)


def pin(bridge: str) -> None:
    """A session's uplink entry at an access switch, as the owner would have written it."""
    way = waypoint_id("core", PortRef(3, 1))
    cookie = pack_cookie(EntryKind.INITIAL, 0, mcp_id("core"), TOKEN)
    entry = Entry(
        1, PortRole.ACCESS, 4, bytes((10, 1, 0, 2)), bytes((10, 9, 0, 2)), 40_000, 5201, way, 0, cookie, 0
    )
    switch = Switch(bridge)
    assert switch.send(entry_add(entry)) == []
    switch.close()


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_the_standby_takes_over_and_changes_no_rule(pair: Cell, how: signal.Signals) -> None:
    """Killed, or frozen: in either case the switches hold what they should, and go on holding it."""
    owner, standby = owner_and_standby(pair)
    process = pair.controllers[owner].process
    assert process is not None
    wait_for(lambda: len(rules()) > FEW, WAIT)
    if how is signal.SIGKILL:
        pin(BRIDGES[0])
    before = settled()
    frozen_at = pair.controllers[owner].url()
    process.send_signal(how)
    wait_for(lambda: pair.decides(standby), WAIT)
    # It has read them back: the session is known, by its token.
    running = pair.controllers[standby]
    wait_for(lambda: running.json("/v1/sessions")["total"] == 1, WAIT)
    wait_for(lambda: running.json("/v1/health")["status"] != "recovering", WAIT)
    after = settled()
    assert before.keys() - after.keys() == after.keys() - before.keys() == set()
    changed = [(what, before[what], one) for what, one in after.items() if one[0] != before[what][0]]
    assert not changed, "rules with another cookie"
    anew = [(what, before[what], one) for what, one in after.items() if one[1] < before[what][1]]
    assert not anew, "rules that were added again"
    if how is signal.SIGSTOP:
        process.send_signal(signal.SIGCONT)
        # What it knew is old: it begins anew.
        wait_for(lambda: pair.controllers[owner].url() not in ("", frozen_at), WAIT)
    else:
        pair.controllers[owner].start()
    # Who comes back, or thaws, stands by: the other one decides still.
    wait_for(lambda: pair.stands_by(owner) and pair.decides(standby), WAIT)


def change(running: Running, method: str, path: str, body: str) -> int:
    """The status of a change by REST; nothing while it starts again."""
    try:
        url, token = ((running.state / name).read_text().strip() for name in ("rest", "token"))
        request = urllib.request.Request(url + path, body.encode(), method=method)
        for name, value in (
            ("Authorization", f"Bearer {token}"), ("If-Match", "*"), ("Content-Type", "application/yaml")
        ):  # fmt: skip
            request.add_header(name, value)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def policy_of(running: Running) -> str:
    try:
        return str(running.json("/v1/policy")["text"])
    except (OSError, ValueError):
        return ""


def test_what_the_owner_was_told_is_known_to_who_follows_it(pair: Cell) -> None:
    owner, standby = owner_and_standby(pair)
    text = "policy: 1\nrules:\n  - {name: only-https, then: {action: bypass}}\n"
    assert change(pair.controllers[standby], "PUT", "/v1/policy", text) == 503
    assert change(pair.controllers[owner], "PUT", "/v1/policy", text) == 200
    # A standby has nothing to lose: it reads anew what is kept, and stands by again.
    wait_for(lambda: policy_of(pair.controllers[standby]) == text, WAIT)
    wait_for(lambda: pair.stands_by(standby), WAIT)
    process = pair.controllers[owner].process
    assert process is not None
    process.kill()
    wait_for(lambda: pair.decides(standby), WAIT)
    assert policy_of(pair.controllers[standby]) == text
    # And to who starts with another file.
    pair.controllers[owner].start()
    wait_for(lambda: policy_of(pair.controllers[owner]) == text, WAIT)


def test_a_site_that_differs_is_a_finding_and_nothing_starts(pair: Cell, tmp_path: Path) -> None:
    owner_and_standby(pair)  # both are members
    words = pair.controllers["a"].command
    cluster = words[words.index("--cluster") :]
    other = Running(tmp_path, SITE.replace("10000", "9999") + LINKS, *cluster, "--cluster-name", "c")
    assert "the site file differs from that of a, b" in refused(other)
