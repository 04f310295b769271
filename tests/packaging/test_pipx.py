"""The wheel as `pipx run` runs it: no checkout, an environment of its own, and what it needs resolved by its metadata.

Without a network: the wheels that it needs are made from the packages of this virtual environment.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)  # some twenty seconds of CPU


def test_pipx_runs_it(wheel: Path, wheels: Path, tmp_path: Path) -> None:
    clean = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_NO_COMPILE": "1",
    }  # fmt: skip
    pipx = [
        sys.executable,
        "-m",
        "pipx",
        "run",
        "--quiet",
        "--skip-maintenance",
        "--backend",
        "pip",
        "--python",
        "/usr/bin/python3",
    ]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*pipx, "--spec", str(wheel), "steering", *words],
            cwd=tmp_path, env=clean, capture_output=True, text=True, check=False,
        )  # fmt: skip

    copied = run("examples", "--copy", "mine")
    assert copied.returncode == 0, copied.stdout + copied.stderr
    # What was made for the first command is there for the second.
    files = ["--site", "mine/off-path.site.yaml", "--policy", "mine/default.policy.yaml"]
    checked = run("check", *files)
    assert checked.returncode == 0, checked.stderr
    asked = run("status")
    assert asked.returncode == 1 and "start one with 'steering run'" in asked.stderr
