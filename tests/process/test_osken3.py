"""The other way to start it: `osken-manager steering.app` on os-ken 3.1.1, in an environment of its own."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.network import Network
from tests.support.controller_process import ROOT, Running, environment
from tests.support.fakes.rawswitch import RawSwitch

pytestmark = pytest.mark.timeout(600)  # the first run installs a whole environment
OLD = "os-ken==3.1.1"


def pins() -> list[str]:
    """What the second environment installs: os-ken 3.1.1, and the rest as constraints.txt has it."""
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {re.split("==", line)[0].lower(): line for line in constraints if "==" in line}
    names = (
        "eventlet",
        "networkx",
        "webob",
        "routes",
        "pydantic",
        "pyyaml",
        "prometheus_client",
        "dpkt",
        "pyrad",
        "rich",
    )
    # pbr, which os-ken needs, imports pkg_resources; setuptools has dropped that since.
    return [OLD, "setuptools<81", *(pinned[name] for name in names)]


@pytest.fixture(scope="session")
def manager() -> Path:
    """The osken-manager of a virtual environment in build/, made once for each set of pins."""
    wanted = pins()
    name = hashlib.sha256("\n".join([sys.version, *wanted]).encode()).hexdigest()[:12]
    folder = ROOT / "build" / f"osken3-{name}"
    done = folder / "made"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--retries=20",  # a registry may be away for a moment
        ]
        subprocess.run([*pip, *wanted], check=True, timeout=500)
        done.touch()
    return folder / "bin" / "osken-manager"


class Managed(Running):
    """The same controller, started by osken-manager."""

    def __init__(self, folder: Path, manager: Path) -> None:
        super().__init__(folder)
        self.command = [
            str(manager), "--ofp-listen-host", "127.0.0.1", "--ofp-tcp-listen-port", str(self.port), "steering.app",
        ]  # fmt: skip
        self.environment = environment(
            STEERING_SITE=str(folder / "site.yaml"),
            STEERING_POLICY=str(folder / "policy.yaml"),
            STEERING_STATE_DIR=str(self.state),
            STEERING_REST="127.0.0.1:0",
        )


def test_it_steers_under_osken_manager(tmp_path: Path, manager: Path) -> None:
    network = Network(tmp_path)
    network.running = Managed(tmp_path, manager)
    with network:
        network.establish()
        late = network.join()
        network.wait_for_release(2, late)
        health = network.running.json("/v1/health")
        assert health["switches"]["connected"] == 4 and health["sessions"]["established"] == 1
        assert "Traceback" not in network.running.log()


def test_a_bad_site_ends_it_with_status_2(tmp_path: Path, manager: Path) -> None:
    managed = Managed(tmp_path, manager)
    (tmp_path / "site.yaml").write_text("site: 1\nswichtes: {}\n")
    ran = subprocess.run(
        managed.command, env=managed.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 2, ran.stderr
    assert "site.yaml:2:" in ran.stderr and "Traceback" not in ran.stderr


def test_without_a_site_it_says_what_is_missing(tmp_path: Path, manager: Path) -> None:
    managed = Managed(tmp_path, manager)
    del managed.environment["STEERING_SITE"]
    ran = subprocess.run(
        managed.command, env=managed.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 2 and "STEERING_SITE" in ran.stderr


def test_a_hello_that_hangs_os_ken_does_not_hang_it(tmp_path: Path, manager: Path) -> None:
    with Managed(tmp_path, manager) as running, RawSwitch(1) as bad, RawSwitch(2) as good:
        bad.connect(running.port, bytes.fromhex("04000010000000130001000000000010"))
        assert bad.ended.wait(30)
        good.connect(running.port).quiet()
