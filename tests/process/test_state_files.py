"""What stands in the state directory when a controller starts: a named refusal in one line, or a start; never a hang."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.controller_process import Running, refused

NESTED = "[" * 100_000 + "]" * 100_000


def state(running: Running) -> Path:
    running.state.mkdir(mode=0o700)
    return running.state


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


@pytest.mark.parametrize(
    "name", ["links.json", "acl.json", "registry.json", "pairings.json", "bindings.json"]
)
def test_a_file_that_is_nested_too_deep_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    running = Running(tmp_path)
    put(state(running) / name, NESTED)
    said = refused(running)
    assert name in said and "nested too deep" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "name", ["acl.json", "mcps.json", "numbers.json", "token", "pseudonym.key", "controller.lock"]
)
def test_a_fifo_in_a_files_place_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    running = Running(tmp_path)
    os.mkfifo(state(running) / name, 0o600)
    said = refused(running)
    assert name in said and "no regular file" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "directory"])
def test_what_no_start_needs_costs_itself_alone(tmp_path: Path, make: Any) -> None:
    running = Running(tmp_path)
    folder = state(running)
    for name in (
        "sessions.jsonl",
        "leases.jsonl",
        "network.json",
        "usage.json",
        "reservations.json",
        "mappings.jsonl",
    ):
        make(folder / name, 0o700)
    with running:
        assert running.metric("steering_not_restored_total", what="file") == 5
        status, _ = running.end()
    assert status == 0 and "Traceback" not in running.log()


def test_a_state_directory_has_one_controller(tmp_path: Path) -> None:
    with Running(tmp_path) as running:
        second = tmp_path / "second"
        second.mkdir()
        other = Running(second)
        other.command[other.command.index("--state-dir") + 1] = str(running.state)
        said = refused(other)
        assert "another controller has the state directory" in said and len(said.splitlines()) == 1
        assert running.json("/v1/health")["status"] == "no-switch"
        running.kill()
        shutil.rmtree(second)
    with running:  # who died holds nothing
        assert running.is_alive()


def test_a_full_disk_at_the_start_is_named_in_one_line(tmp_path: Path) -> None:
    running = Running(tmp_path)
    with running:
        running.end()
    running.command = [
        "bash",
        "-c",
        'ulimit -f 1; exec "$@" 2>&1 | cat >&2; exit ${PIPESTATUS[0]}',
        "-",
        *running.command,
    ]
    said = refused(running)
    assert "File too large" in said and len(said.splitlines()) == 1 and "Traceback" not in said
