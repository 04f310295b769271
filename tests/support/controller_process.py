"""The real `steering run` as a subprocess, and what the tests ask of it."""

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]

# LTE on s1, WLAN on s2, the MCP on s3, servers behind s4; s3 in the middle.
SITE = """\
site: 1
access_networks:
  - {name: lte,  type: cellular, trust: operator, prefixes: [10.1.0.0/24, fd00:1::/64], ports: [s1:1]}
  - {name: wlan, type: wlan,     trust: operator, prefixes: [10.2.0.0/24, fd00:2::/64], ports: [s2:1]}
gateways:
  - {name: internet, prefixes: [10.9.0.0/24, fd00:9::/64], ports: [s4:1]}
mcps:
  - {name: core, type: off-path, port: s3:1, interception: steered, addresses: [10.8.0.2, fd00:8::2],
     source_mode: transparent, capacity: {sessions: 10000}}
"""
LINKS = """\
links:
  - {ports: [s1:2, s3:2]}
  - {ports: [s2:2, s3:3]}
  - {ports: [s4:2, s3:4]}
"""


_ports = itertools.count(random.SystemRandom().randrange(10_000, 30_000))


def free_port() -> int:
    """A TCP port of loopback that nobody has, and that nobody gets who takes any: it is below those that the kernel gives
    away (ip_local_port_range), so that it is still free when it is bound later."""
    while True:
        port = 10_000 + next(_ports) % 20_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without settings of os-ken and steering."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OSKEN_", "STEERING_"))}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | changes


class Running:
    """A controller process. Its files are in `folder`; it is killed at the end whatever happens."""

    def __init__(self, folder: Path, site: str = SITE + LINKS, *arguments: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.state = folder / "state"
        (folder / "site.yaml").write_text(site)
        (folder / "policy.yaml").write_text("policy: 1\n")
        self.command = [
            sys.executable, "-m", "steering", "run", "--site", str(folder / "site.yaml"),
            "--policy", str(folder / "policy.yaml"), "--listen", f"127.0.0.1:{self.port}",
            "--rest", "127.0.0.1:0", "--state-dir", str(self.state), *arguments,
        ]  # fmt: skip
        self.environment = environment()
        self.process: subprocess.Popen[bytes] | None = None
        self.start_s = 0.0  # seconds that its last start took

    def start(self) -> Self:
        """Start it and wait until switches can connect and REST can be asked."""
        (self.state / "rest").unlink(missing_ok=True)  # of one that was killed: nobody answers there
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        began = time.monotonic()
        while time.monotonic() < began + 60 and self.process.poll() is None:
            if (self.state / "rest").exists() and self._listens():
                self.start_s = time.monotonic() - began
                return self
            time.sleep(0.05)
        raise AssertionError(f"it did not start: {self.log()}")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End it without any warning."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        (self.state / "rest").unlink(missing_ok=True)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Signal it; its exit status and how many seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(60), time.monotonic() - began

    def log(self) -> str:
        """What it printed so far."""
        return (self.folder / "log").read_text(errors="replace")

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    # ---- REST ----------------------------------------------------------------------------------

    def url(self) -> str:
        """Where REST is, empty while it starts (also anew, in the same process: then it is another port)."""
        try:
            return (self.state / "rest").read_text().strip()
        except FileNotFoundError:
            return ""

    def text(self, path: str) -> str:
        """An answer of the northbound."""
        url = (self.state / "rest").read_text().strip()
        token = (self.state / "token").read_text().strip()
        request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            body: bytes = answer.read()
        return body.decode()

    def json(self, path: str) -> Any:
        return json.loads(self.text(path))

    def metric(self, name: str, **labels: str) -> float:
        """A sample of /metrics."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        for line in self.text("/metrics").splitlines():
            if line.startswith("#") or not line.startswith(name):
                continue
            rest = line[len(name) :]
            if rest[:1] in "{ " and all(label in rest for label in wanted):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no metric {name} {labels}")

    def wait_for_metric(self, name: str, value: float, timeout: float = 30.0, **labels: str) -> None:
        end = time.monotonic() + timeout
        while self.metric(name, **labels) < value:
            assert time.monotonic() < end, f"{name} {labels} is {self.metric(name, **labels)}, not {value}"
            time.sleep(0.05)


def refused(running: Running, *changes: str) -> str:
    """What it says when it does not start; it must say it with status 2 and without a traceback."""
    ran = subprocess.run(
        [*running.command, *changes],
        cwd=running.folder,
        env=running.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2, (ran.returncode, ran.stderr)
    assert "Traceback" not in ran.stderr
    assert not (running.state / "rest").exists()
    return ran.stderr
