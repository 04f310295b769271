"""`packaging/setup.sh`: what it refuses with one line, what it starts, and that a second run does nothing."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "packaging" / "setup.sh"
# Where Open vSwitch keeps its sockets, its database and its logs: private ones for the test.
SWITCH_FOLDERS = "/run/openvswitch /etc/openvswitch /var/log/openvswitch"


def run(*line: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def open_tree() -> Iterator[Path]:
    """A copy of the script that any user may read and run."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        tree.chmod(0o755)
        (tree / "packaging").mkdir(mode=0o755)
        shutil.copy(SETUP, tree / "packaging" / "setup.sh")
        (tree / "packaging" / "setup.sh").chmod(0o755)
        yield tree


def test_who_is_not_root_gets_one_line_and_nothing_happens(open_tree: Path) -> None:
    script = open_tree / "packaging" / "setup.sh"
    ran = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", script, "lab")
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert "need root" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert [path.name for path in open_tree.iterdir()] == ["packaging"]


def test_a_kernel_without_mptcp_gets_one_line(open_tree: Path) -> None:
    script = open_tree / "packaging" / "setup.sh"
    hide = f"mount -t tmpfs none /proc/sys/net/mptcp && exec {script} lab"
    ran = run("unshare", "--mount", "sh", "-c", hide)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert "has no MPTCP" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert [path.name for path in open_tree.iterdir()] == ["packaging"]


def test_a_second_run_does_nothing() -> None:
    first = run(SETUP, "lab")
    assert first.returncode == 0, first.stderr
    second = run(SETUP, "lab")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_open_vswitch_is_started_where_it_does_not_run() -> None:
    private = (
        f"mkdir -p {SWITCH_FOLDERS}; for d in {SWITCH_FOLDERS}; do mount -t tmpfs none $d || exit 9; done;"
        " ovs-vsctl --timeout=3 show && exit 8;"
        # No systemd is seen either, so that the same path is taken on a machine that has one.
        " [ ! -d /run/systemd/system ] || mount -t tmpfs none /run/systemd || exit 7;"
        f" {SETUP} lab && {SETUP} lab && ovs-vsctl --timeout=60 show && ovs-appctl --timeout=60 version"
    )
    ran = run("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c", private)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("starting Open vSwitch ...") == 1
    assert "ovs-vswitchd" in ran.stdout
