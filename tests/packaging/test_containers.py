"""The containers, built and started by what packaging/Containerfile says, without an engine for containers and without a network.

`make container-test` does the same with podman or docker, Debian's mirror and pip's index.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(600)  # some twenty seconds of CPU


def test_controller_and_relay_are_built_and_started(wheels: Path, tmp_path: Path) -> None:
    alone = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    done = subprocess.run(
        [*alone, sys.executable, "-m", "tests.packaging.container_build", str(wheels), str(tmp_path)],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(": ")[1] for line in done.stdout.splitlines()] == [
        "controller and relay are built",
        "the controller serves as its own user, and its health check passes",
        "it ends when it is told to",
        "the relay runs",
    ]
