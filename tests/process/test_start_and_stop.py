"""`steering run` as a process: how it starts, refuses to, and ends."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.controller_process import LINKS, SITE, Running, refused
from tests.support.fakes.rawswitch import RawSwitch
from tests.support.waiting import wait_for

LEAST_TIME_OUT_S = 4.9  # of a switch that says nothing, and of a request that does not come, it is 5 s


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("switches", [0, 1])
def test_a_signal_ends_it_quickly_with_status_0(tmp_path: Path, number: int, switches: int) -> None:
    with Running(tmp_path) as running:
        connected = [RawSwitch(n + 1).connect(running.port) for n in range(switches)]
        for switch in connected:
            switch.quiet()
        status, seconds = running.end(number)
        for switch in connected:
            switch.close()
        assert status == 0, running.log()
        assert seconds < max(running.start_s, LEAST_TIME_OUT_S), "it waits for nobody's time-out"
        assert not (running.state / "rest").exists()
        assert "Traceback" not in running.log()


def is_stopped(running: Running) -> bool:
    """Whether SIGSTOP has reached it (proc(5))."""
    assert running.process is not None
    return "State:\tT" in Path(f"/proc/{running.process.pid}/status").read_text()


def test_the_service_manager_is_told_of_its_start_its_life_and_its_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        running = Running(tmp_path)
        running.environment |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        with running:
            assert running.process is not None
            heard = [manager.recv(100) for _ in range(3)]
            os.kill(running.process.pid, signal.SIGSTOP)
            wait_for(lambda: is_stopped(running))
            manager.setblocking(False)
            with suppress(BlockingIOError):  # what it said before
                while True:
                    manager.recv(100)
            manager.settimeout(1.5)
            with pytest.raises(TimeoutError):  # what hangs says nothing
                manager.recv(100)
            os.kill(running.process.pid, signal.SIGCONT)
            running.end()
            manager.settimeout(30)
            while (last := manager.recv(100)) != b"STOPPING=1":
                assert last == b"WATCHDOG=1"
    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_what_it_prints_when_all_is_well(tmp_path: Path) -> None:
    with Running(tmp_path) as running:
        running.end()
        log = running.log()
    assert f"127.0.0.1:{running.port}" in log
    assert "precated" not in log and "WARNING" not in log and "ERROR" not in log


def test_json_logs_are_json_and_hold_no_secret(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.command.append("--log-json")
    with running, RawSwitch(1) as switch:
        switch.connect(running.port).quiet()
        switch.close()
        running.end()
        lines = [json.loads(line) for line in running.log().splitlines()]
        secrets = [(running.state / name).read_text().strip() for name in ("token",)]
    assert lines and all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert any("s1" in line["message"] for line in lines)
    assert not [secret for secret in secrets if secret in running.log()]


def test_secrets_are_private_and_kept(tmp_path: Path) -> None:
    site = SITE  # without static links it discovers, so there is a discovery key
    with Running(tmp_path, site) as running:
        for name in ("token", "lldp.key"):
            assert stat.S_IMODE((running.state / name).stat().st_mode) == 0o600
        first = (running.state / "token").read_text()
        running.end()
    with running:
        assert (running.state / "token").read_text() == first
        assert running.json("/v1/health")["status"] == "no-switch"


def test_the_native_hub_is_refused_with_the_reason(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.environment["OSKEN_HUB_TYPE"] = "native"
    said = refused(running)
    assert "native hub" in said and "event loop" in said and len(said.splitlines()) == 1


def test_every_finding_of_both_files_is_printed_and_nothing_starts(tmp_path: Path) -> None:
    running = Running(tmp_path, SITE.replace("type: cellular", "type: cellar").replace("s3:1", "s1:1"))
    (tmp_path / "policy.yaml").write_text("policy: 1\nselektion: {}\n")
    lines = refused(running).splitlines()
    assert any("site.yaml:3:" in line and "cellar" in line for line in lines)
    assert any("policy.yaml:2:" in line and "selektion" in line for line in lines)
    assert not running.state.exists()


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with Running(tmp_path / "one") as first:
        second = Running(tmp_path / "two")
        said = refused(second, "--listen", f"127.0.0.1:{first.port}")
        assert (
            said == f"steering: --listen: cannot listen on 127.0.0.1:{first.port}: Address already in use\n"
        )
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            said = refused(second, "--rest", f"127.0.0.1:{port}")
        assert said == f"steering: --rest: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        (["--rest", "0.0.0.0:0"], "--rest-allow-remote"),
        (["--listen", "nowhere"], "ADDRESS:PORT"),
        (["--listen", "127.0.0.1:0"], "ADDRESS:PORT"),
        (["--listen", "127.0.0.1:70000"], "ADDRESS:PORT"),
        (["--disable", "gravity"], "token-lookup"),
        (["--log-level", "loud"], "--help"),
    ],
)
def test_bad_usage_is_one_line(tmp_path: Path, changes: list[str], word: str) -> None:
    said = refused(Running(tmp_path), *changes)
    assert word in said and len(said.splitlines()) == 1


def test_a_state_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.state.mkdir()
    os.chmod(running.state, 0o777)
    said = refused(running)
    assert "chmod 700" in said and len(said.splitlines()) == 1


def test_the_command_patches_before_anything_imports_a_socket(tmp_path: Path) -> None:
    probe = (
        "import sys; import steering.cli.main, steering.cli.commands.run\n"
        "assert not {'socket', 'os_ken', 'eventlet'} & set(sys.modules)\n"
        "from steering.runtime.hub import prepare; prepare()\n"
        "import socket; print(socket.socket.__module__)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", probe],
        env=Running(tmp_path, SITE + LINKS).environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "eventlet" in ran.stdout and not ran.stderr, ran.stderr


@pytest.mark.row("D-6.2c")
def test_a_switch_that_comes_while_it_starts_waits_for_it(tmp_path: Path) -> None:
    """The port listens before the long part of the start; who came then is greeted once, and is a switch."""
    running = Running(tmp_path)
    with RawSwitch(1) as switch, ThreadPoolExecutor() as pool:
        starting = pool.submit(running.start)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                switch.connect(running.port)
                break
            except ConnectionRefusedError:
                time.sleep(0.002)
        try:
            starting.result()
            wait_for(lambda: running.json("/v1/health")["switches"]["connected"])
            wait_for(lambda: "switch s1 connected" in running.log())
            assert [seen.type for seen in switch.seen].count(0) == 1  # HELLO
        finally:
            running.kill()


def test_commands_find_a_controller_whose_rest_listens_on_all_addresses(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.command[running.command.index("--rest") + 1] = "0.0.0.0:0"
    running.command.append("--rest-allow-remote")
    with running:
        assert (running.state / "rest").read_text().startswith("http://127.0.0.1:")
        ran = subprocess.run(
            [sys.executable, "-m", "steering", "status", "--state-dir", str(running.state)],
            env=running.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "no-switch" in ran.stdout and "steering:" not in ran.stderr
        running.end()
        assert not (running.state / "rest").exists()
