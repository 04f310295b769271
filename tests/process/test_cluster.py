"""Two controllers, a real etcd and a real Open vSwitch: one decides, the other follows it when it is killed or frozen."""

import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from steering.model.network import PortRef, PortRole, mcp_id, waypoint_id
from steering.model.session import Entry, EntryKind, pack_cookie
from steering.openflow.messages.templates import entry_add
from steering.wire.mptcp import MpCapable
from steering.wire.segment import Flags
from tests.integration.ovs import Switch, run
from tests.support.attached_host import AttachedHost, is_used, repeated
from tests.support.cluster_cell import BRIDGES, LINKS, NAMES, WAIT, Cell, cell, rules, settled
from tests.support.controller_process import SITE, Running, refused
from tests.support.etcd import EtcdMembers
from tests.support.sites import packed
from tests.support.waiting import wait_for

TOKEN = 0x12345678
HOST, SERVER = "10.1.0.2", "10.9.0.2"
THIRD_ACK = MpCapable(1, b"host key", b"MCP's k.").encode(1)
FEW = 100  # rules that four switches have more of


@pytest.fixture(scope="module")
def attended(
    tmp_path_factory: pytest.TempPathFactory, etcd: EtcdMembers
) -> Iterator[tuple[Cell, AttachedHost]]:
    with cell(tmp_path_factory.mktemp("cell"), etcd) as made:
        wait_for(lambda: any(made.decides(one) for one in NAMES) and any(map(made.stands_by, NAMES)), WAIT)
        with AttachedHost(BRIDGES[0], HOST) as host:
            yield made, host


@pytest.fixture
def pair(attended: tuple[Cell, AttachedHost]) -> Cell:
    return attended[0]


@pytest.fixture
def host(attended: tuple[Cell, AttachedHost]) -> AttachedHost:
    return attended[1]


def owner_and_standby(pair: Cell) -> tuple[str, str]:
    wait_for(lambda: any(pair.decides(one) for one in NAMES) and any(map(pair.stands_by, NAMES)), WAIT)
    owner = next(one for one in NAMES if pair.decides(one))
    return owner, next(one for one in NAMES if one != owner)


def pin(bridge: str, host: AttachedHost) -> None:
    """A session's uplink entry at an access switch, as the owner would have written it, and the third ACK of its host: a
    session is half open, and ends soon after a crash, of whose host nothing was heard but what may be resets."""
    way = waypoint_id("core", PortRef(3, 1))
    cookie = pack_cookie(EntryKind.INITIAL, 0, mcp_id("core"), TOKEN)
    src, dst = packed(HOST), packed(SERVER)
    entry = Entry(1, PortRole.ACCESS, 4, src, dst, 40_000, 5201, way, 0, cookie, 0)
    switch = Switch(bridge)
    assert switch.send(entry_add(entry)) == []
    switch.close()
    assert repeated(
        lambda: host.sends(SERVER, 40_000, 5201, Flags.ACK, THIRD_ACK),
        lambda: is_used(bridge, tp_src="40000"),
    )


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_the_standby_takes_over_and_changes_no_rule(
    pair: Cell, host: AttachedHost, how: signal.Signals
) -> None:
    """Killed, or frozen: in either case the switches hold what they should, and go on holding it."""
    owner, standby = owner_and_standby(pair)
    process = pair.controllers[owner].process
    assert process is not None
    wait_for(lambda: len(rules()) > FEW, WAIT)
    if how is signal.SIGKILL:
        pin(BRIDGES[0], host)
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


def told_of(pair: Cell, *names: str) -> None:
    """The switches connect to these controllers only."""
    targets = [f"tcp:127.0.0.1:{pair.controllers[name].port}" for name in names]
    for bridge in BRIDGES:
        run("ovs-vsctl", "set-controller", bridge, *targets)
    for one in run("ovs-vsctl", "--bare", "--columns=_uuid", "list", "controller").split():
        run("ovs-vsctl", "set", "controller", one, "max_backoff=1000", "inactivity_probe=5000")


@pytest.mark.row("D-6.7.1")
def test_who_is_cut_off_from_its_switches_alone_is_followed_and_begins_anew(pair: Cell) -> None:
    owner, standby = owner_and_standby(pair)
    at = pair.controllers[owner].url()
    told_of(pair, standby)
    wait_for(lambda: pair.decides(standby), WAIT)
    wait_for(lambda: pair.controllers[owner].url() not in ("", at), WAIT)
    told_of(pair, *NAMES)
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


def put_policy(running: Running, text: str) -> None:
    """Until all members that live are prepared for it: a slow one may not be in time."""
    wait_for(lambda: change(running, "PUT", "/v1/policy", text) == 200, WAIT)


def test_a_policy_that_any_member_is_told_is_in_force_at_both(pair: Cell) -> None:
    """And at who follows, or starts later with another file."""
    owner, standby = owner_and_standby(pair)
    wait_for(lambda: change(pair.controllers[standby], "PUT", "/v1/acl", "{}") == 503, WAIT)
    for writer in (standby, owner):
        text = f"policy: 1\nrules:\n  - {{name: by-{writer}, then: {{action: bypass}}}}\n"
        put_policy(pair.controllers[writer], text)
        wait_for(lambda text=text: all(policy_of(one) == text for one in pair.controllers.values()), WAIT)  # type: ignore[misc]
    process = pair.controllers[owner].process
    assert process is not None
    process.kill()
    wait_for(lambda: pair.decides(standby), WAIT)
    assert policy_of(pair.controllers[standby]) == text
    # And to who starts with another file.
    pair.controllers[owner].start()
    wait_for(lambda: policy_of(pair.controllers[owner]) == text, WAIT)
    wait_for(lambda: pair.stands_by(owner) and pair.decides(standby), WAIT)


def test_a_site_that_differs_is_a_finding_and_nothing_starts(pair: Cell, tmp_path: Path) -> None:
    owner_and_standby(pair)  # both are members
    words = pair.controllers["a"].command
    cluster = words[words.index("--cluster") :]
    other = Running(tmp_path, SITE.replace("10000", "9999") + LINKS, *cluster, "--cluster-name", "c")
    assert "the site file differs from that of a, b" in refused(other)
