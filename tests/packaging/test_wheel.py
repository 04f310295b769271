"""The wheel outside of a checkout: every command works or says in one line what it needs, and it carries its types."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from steering.cli.main import COMMANDS
from tests.packaging.built import built

ROOT = Path(__file__).resolve().parents[2]
CONSUMER = """\
from steering.client import AsyncSteeringClient
from steering.model.network import Site
from steering.wire.crypto import token

def sessions(site: Site) -> int:
    return sum(mcp.capacity_sessions or len(token(1, b"key")) for mcp in site.mcps)

async def loads(controller: AsyncSteeringClient) -> list[str]:
    async for event in controller.events(kinds={"alarm"}):
        print(event.kind.upper())
    return [mcp["name"] for mcp in (await controller.mcps())["mcps"]]

wrong: int = token(1, b"key")  # what is wrong must be seen to be wrong: else the types were not read
"""


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed `steering`, in a folder of its own and with a clean environment."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    command = [str(installed / "bin" / "steering"), *words]
    return subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_has_all_examples_and_nothing_of_the_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"steering/examples/{path.name}" for path in (ROOT / "policies").iterdir()} <= names
    assert {"steering/py.typed", "steering/northbound/openapi.json", "topologies/breaks.json"} <= names
    assert not [name for name in names if name.startswith(("tests/", "policies/")) or "__pycache__" in name]


def test_it_is_the_wheel_that_runs(installed: Path, tmp_path: Path) -> None:
    python = installed / "bin" / "python"
    code = "import steering, topologies; print(steering.__file__); print(topologies.__file__)"
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env={}, capture_output=True, text=True, check=True
    )
    assert all(line.startswith(str(installed)) for line in done.stdout.splitlines()), done.stdout


def test_every_command_loads_and_explains_itself(installed: Path, tmp_path: Path) -> None:
    # All of them in one process, as each start costs its imports.
    code = "from steering.cli.main import build_whole_parser as b; print(len(b()._subparsers._group_actions[0].choices))"
    done = subprocess.run(
        [installed / "bin" / "python", "-c", code],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == len(COMMANDS)


def test_a_first_site_comes_from_the_examples(installed: Path, tmp_path: Path) -> None:
    copied = run(installed, tmp_path, "examples", "--copy", "mine")
    assert copied.returncode == 0 and (tmp_path / "mine" / "off-path.site.yaml").exists(), copied.stderr
    files = ["--site", "mine/off-path.site.yaml", "--policy", "mine/default.policy.yaml"]
    checked = run(installed, tmp_path, "check", *files)
    assert checked.returncode == 0, checked.stderr
    assert run(installed, tmp_path, "examples", "default.policy.yaml").stdout.startswith("# Every key")
    unknown = run(installed, tmp_path, "examples", "default.polic.yaml")
    assert unknown.returncode == 2 and "did you mean 'default.policy.yaml'?" in unknown.stderr


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("status",), 1, "start one with 'steering run'"),
        (("bench", "--quick", "--against", "HEAD"), 2, "run it from a checkout"),
        (("lab", "list"), 2, "apt-get install mininet"),
        (("relay",), 2, "--port is required"),
    ],
)
def test_what_cannot_work_here_says_what_it_needs(
    installed: Path, tmp_path: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    done = run(installed, tmp_path, *words)
    assert done.returncode == status and said in done.stderr and len(done.stderr.splitlines()) == 1, (
        done.stderr
    )


def test_the_benchmarks_are_in_it(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "bench", "--quick", "--only", "policy,selection")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "bench.json").read_text())["not_measured"] == {}


def test_a_program_that_uses_it_gets_its_types(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--python-executable",
        str(installed / "bin" / "python"),
        "--strict",
    ]
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path / "cache"), "consumer.py"],
        cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 1 and "consumer.py:13: " in errors[0], done.stdout


def test_the_sdist_has_what_builds_the_wheel(tmp_path: Path) -> None:
    sdist = built(tmp_path, "build_sdist")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"setup.cfg", "pyproject.toml", "README.rst", "LICENSE", "steering/cli/main.py"} <= names
    assert "steering/examples/default.policy.yaml" in names
