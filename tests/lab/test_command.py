"""`steering lab` itself: usage, cleaning, interruption."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.running import ROOT

DEPLOYMENTS = """off-path on-path off-path-v6 pinning on-path-self two-gateways multi-mcp ip-gateway nanocell data-center
third-party-wlan hybrid-access hybrid-access-on-path explicit implicit demux withdraw source-modes address-families
server-initiated handover low-rate slow-server dscp md5-ao mss compare"""  # what the drafts and slides draw or demand

LAB = [sys.executable, "-m", "steering", "lab"]


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LAB, *words], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def bridges() -> list[str]:
    listed = subprocess.run(["ovs-vsctl", "list-br"], capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split() if name.startswith("st-lab-")]


def links() -> list[str]:
    return [path.name for path in Path("/sys/class/net").glob("st-lab-*")]


def test_the_list_names_every_scenario_and_mechanism() -> None:
    listed = json.loads(lab("list", "--json").stdout)
    names = {scenario["name"]: scenario["controls"] for scenario in listed["scenarios"]}
    assert set(DEPLOYMENTS.split()) <= set(names)
    assert not [name for name, controls in names.items() if not controls]
    assert {"token-lookup", "un-wildcarding", "hold-queue", "wrong-mcp"} <= set(names["pinning"])
    assert all(scenario["rows"] and scenario["figure"] for scenario in listed["scenarios"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "off-pth"), "did you mean 'off-path'?"),
        (("run", "off-path", "--without", "gravity"), "off-path has steering"),
        (("run", "off-path", "--seconds", "-1"), "--seconds"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(words: tuple[str, ...], says: str) -> None:
    done = lab(*words)
    assert done.returncode == 2
    assert says in done.stderr and len(done.stderr.splitlines()) == 1


def test_without_mininet_one_line_says_what_to_do() -> None:
    code = "import sys; sys.modules['mininet'] = None; from steering.cli.main import main; sys.exit(main(['lab', 'list']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "apt-get install mininet" in done.stderr and len(done.stderr.splitlines()) == 1


def test_mininet_makes_no_logger_but_its_own() -> None:
    code = (
        "import logging, topologies.kit.lab\n"
        "ours = logging.getLogger('steering.made.later')\n"
        "assert type(ours) is logging.Logger and ours.propagate and not ours.level and not ours.handlers"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_without_root_one_line_says_what_to_do() -> None:
    code = "import os, sys; os.geteuid = lambda: 1; from steering.cli.main import main; sys.exit(main(sys.argv[1:]))"
    for words in (["lab", "run", "off-path"], ["lab", "clean"]):
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "need root" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_lab_takes_everything_down(number: int) -> None:
    running = subprocess.Popen([*LAB, "run", "off-path"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    limit = time.monotonic() + 240
    while not links() and time.monotonic() < limit:
        time.sleep(0.1)
    assert links()
    time.sleep(1.0)
    running.send_signal(number)
    assert running.wait(240) == 130
    assert running.stderr is not None and "taken down" in running.stderr.read()
    assert bridges() == [] and links() == []


def test_clean_ends_a_killed_lab_and_leaves_others_alone() -> None:
    other = subprocess.Popen(["sleep", "600"])
    namespace = f"st-labtest-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    running = subprocess.Popen([*LAB, "run", "off-path"], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 240
        while (
            not list(Path("/run/steering-lab").glob("off-path-*/controller.log")) and time.monotonic() < limit
        ):
            time.sleep(0.1)
        running.kill()
        running.wait(30)
        assert bridges() != []
        done = lab("clean")
        assert done.returncode == 0 and "off-path" in done.stdout
        assert bridges() == [] and links() == []
        assert list(Path("/run/steering-lab").glob("off-path-*")) == []
        assert other.poll() is None
        assert namespace in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
        assert lab("clean").stdout.strip() == "nothing to clean"
    finally:
        other.kill()
        other.wait()
        subprocess.run(["ip", "netns", "del", namespace], check=True)


def test_a_network_that_cannot_be_built_is_one_line_and_leaves_nothing() -> None:
    code = (
        "import sys\nfrom topologies.kit import network\n"
        "network.HOST_SYSCTLS += ('net.ipv4.no_such_setting=1',)\n"
        "from steering.cli.main import main\nsys.exit(main(['lab', 'run', 'off-path']))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    complaints = [line for line in done.stdout.splitlines() if "FAILED" in line]
    assert len(complaints) == 1 and "cannot be built" in complaints[0] and "no_such_setting" in complaints[0]
    assert bridges() == [] and links() == []


# What `mn --custom` does with a file. Not by `mn` itself: when that fails, it removes every bridge of the machine.
AS_MN_DOES = """
import sys
from mininet.net import Mininet
from mininet.util import buildTopo
names = {}
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), names, names)
net = Mininet(topo=buildTopo(names["topos"], sys.argv[2]), controller=None, build=False)
try:
    net.build()
    net.start()
    print(*net.hosts)
finally:
    net.stop()
"""
MN_PYTHON = "/usr/bin/python3"  # mn's own, which has nothing of the virtual environment


@pytest.mark.parametrize("name", ["off_path", "off_path_v6", "on_path", "pinning", "restart", "natural"])
def test_every_scenario_loads_as_mininet_loads_it(name: str) -> None:
    words = ["topologies/custom.py", name.replace("_", "-")]
    command = [MN_PYTHON, "-c", AS_MN_DOES, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "server" in done.stdout.split()
