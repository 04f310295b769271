"""Several workers on one machine, at one port of switches, without etcd: sessions at both, joins across them, deaths, orders."""

import json
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.attached_host import entries
from tests.support.cluster_cell import BRIDGES, WAIT, settled
from tests.support.controller_process import LINKS, SITE, Running, refused
from tests.support.rest_calls import steering
from tests.support.share_owners import SERVER, joined, opened, sessions
from tests.support.waiting import wait_for
from tests.support.worker_cell import (
    HALVES,
    children,
    divided,
    environment_of,
    is_there,
    kill,
    masters,
    told,
    workers,
)

SAYS_NOTHING = 2_000


def total(running: Running) -> int:
    """How many sessions REST tells of; -1 while it starts."""
    found = told(running, "/v1/sessions")
    return -1 if found is None else int(found["total"])


@pytest.mark.row("D-6.7.1", "D-6.2c")
def test_both_workers_have_sessions_joins_cross_them_and_one_may_die(tmp_path: Path) -> None:
    with workers(tmp_path) as made:
        first, second = made.at_lte, made.at_wlan
        assert first.owner is not second.owner
        opened(first, made.mcp, 40_000)
        assert entries(BRIDGES[3], nw_src=SERVER, tp_dst="40000"), (
            "the way back, at the other worker's gateway"
        )
        assert joined(second, 40_001) and sessions(second.owner) == 0, "it is the other worker's session"
        opened(second, made.mcp, 41_000, 1)
        assert (sessions(first.owner), sessions(second.owner)) == (1, 1)
        wait_for(lambda: total(made.running) == 2)  # REST tells of both workers' sessions
        before = settled()

        pid = made.pid(second.owner)
        kill(pid)
        wait_for(
            lambda: masters(first.owner) == sorted([*HALVES[0], *HALVES[1]]) or divided(*made.both()), WAIT
        )
        wait_for(lambda: divided(*made.both()), WAIT)  # the worker is started again, and has its part again
        assert made.pid(made.at_wlan.owner) != pid
        wait_for(lambda: total(made.running) == 2, WAIT)
        assert before.keys() == settled().keys(), "no entry of a session is lost"
        opened(made.at_wlan, made.mcp, 41_001, 2)
        assert joined(made.at_wlan, 40_002), "of the first session, again"


@pytest.mark.row("D-6.7.1")
def test_a_worker_that_freezes_is_replaced(tmp_path: Path) -> None:
    with workers(tmp_path) as made:
        frozen = made.pid(made.at_wlan.owner)
        kill(frozen, signal.SIGSTOP)
        wait_for(lambda: not is_there(frozen), WAIT)
        wait_for(lambda: divided(*made.both()), WAIT)
        opened(made.at_wlan, made.mcp, 41_000)
        assert "gives no sign of life, and is killed" in made.running.log()


def test_orders_reach_all_workers_and_outlive_the_command(tmp_path: Path) -> None:
    with workers(tmp_path) as made:
        done = steering(made.running, "mcp", "drain", "core")
        assert done.returncode == 0, done.stderr
        policy = tmp_path / "another.yaml"
        policy.write_text("policy: 1\n# another one\n")
        done = steering(made.running, "policy", "apply", str(policy))
        assert done.returncode == 0, done.stderr
        wait_for(
            lambda: all((told(one, "/v1/policy") or {}).get("version") == 2 for one in made.both()), WAIT
        )
        status, _ = made.running.end()
        assert status == 0
        made.running.start()
        wait_for(lambda: divided(*made.both()), WAIT)
        done = steering(made.running, "mcp", "drain", "core", "--json")
        assert json.loads(done.stdout)["changed"] is False, "it was so before"
        assert made.running.json("/v1/policy")["version"] == 1, "a start begins with --policy"


def test_strangers_at_the_port_are_counted_and_keep_no_switch_out(tmp_path: Path) -> None:
    with workers(tmp_path) as made, ExitStack() as stack:
        for _ in range(SAYS_NOTHING):
            stack.enter_context(socket.create_connection(("127.0.0.1", made.running.port), timeout=30))
        with socket.create_connection(("127.0.0.1", made.running.port), timeout=30) as rubbish:
            rubbish.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert rubbish.recv(100)[:1] in (b"\x04", b"")
            made.running.wait_for_metric("steering_disconnects_total", 1, reason="bad-version")
        made.running.wait_for_metric(
            "steering_disconnects_total", SAYS_NOTHING // 2, reason="too-many-newcomers"
        )
        kill(made.pid(made.second))
        wait_for(lambda: divided(*made.both()), WAIT)
        opened(made.at_wlan, made.mcp, 41_000)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    with Running(tmp_path, SITE + LINKS, "--workers", "2") as running:
        assert running.process is not None
        pids = both(running)
        again = subprocess.run(
            running.command, env=running.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert again.returncode == 2 and "another controller has the state directory" in again.stderr
        (place,) = {environment_of(pid)["STEERING_WORKER"].partition(":")[2] for pid in pids}
        running.kill()
        wait_for(lambda: not any(map(is_there, pids)), 60)
        assert not Path(place).exists(), "the folder of sockets"
        running.start()
        pids = both(running)
        assert running.end()[0] == 0 and not any(map(is_there, pids))
        assert "Traceback" not in running.log()


@pytest.mark.parametrize(
    ("site", "why"), [("site: 1\nno: such\n", "no"), (SITE, "--workers: the site file has to name the links")]
)
def test_what_workers_cannot_use_is_told_once(tmp_path: Path, site: str, why: str) -> None:
    found = Running(tmp_path, site, "--workers", "2")
    lines = refused(found).splitlines()
    assert any(why in line for line in lines) and len(lines) == len(set(lines)), lines


def both(running: Running) -> list[int]:
    """The processes of both workers."""
    assert running.process is not None
    pid = running.process.pid
    wait_for(lambda: len(children(pid)) == 2)
    return children(pid)


def test_the_log_names_the_workers(tmp_path: Path) -> None:
    with Running(tmp_path, SITE + LINKS, "--workers", "2", "--log-json") as running:
        wait_for(lambda: len(_controllers(running)) == 2)
        assert _controllers(running) == {one["name"] for one in running.json("/v1/cluster")["members"]}


def _controllers(running: Running) -> set[str]:
    lines = [json.loads(line) for line in running.log().splitlines() if line.startswith("{")]
    return {line["controller"] for line in lines if "controller" in line}


def test_only_a_worker_gets_switches(tmp_path: Path) -> None:
    """Another process of the same user that connects to the parent's socket is hung up on."""
    with Running(tmp_path, SITE + LINKS, "--workers", "2") as running:
        (place,) = {
            word.partition(":")[2]
            for pid in both(running)
            for name, word in environment_of(pid).items()
            if name == "STEERING_WORKER"
        }
        assert Path(place).stat().st_mode & 0o777 == 0o700
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            stranger.settimeout(30)
            stranger.connect(f"{place}/switches")
            assert stranger.recv(1) == b""
