"""Processes of a lab, inside a host's namespace or outside. Each is written into the record, and ends with the lab."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from topologies.kit.network import LabHost
from topologies.kit.records import Record

REPOSITORY = Path(__file__).resolve().parents[2]
START_S = 60.0  # least that the start of a process is waited for
PROGRAMS = REPOSITORY / "topologies" / "programs"


class LabError(RuntimeError):
    """The lab itself did not work, which is not the same as a check that failed. The text is one line."""


def _environment() -> dict[str, str]:
    """The environment of the project's own programs. They find their modules and cache them compiled, as an installed package
    does, so that a program that starts again in the middle of a lab need not compile its modules anew."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return inherited | {"PYTHONPATH": _python_path(), "PYTHONUNBUFFERED": "1"}


class StartedProcess:
    """A process that was started. Its output goes to `log` in the lab's directory."""

    def __init__(
        self,
        record: Record,
        what: str,
        command: Sequence[str],
        host: LabHost | None = None,
        talk: bool = False,
    ) -> None:
        self.what = what
        self.log = record.directory / f"{what}.log"
        inside = ["mnexec", "-a", str(host.pid)] if host is not None else []
        with self.log.open("ab") as log:
            self.popen: subprocess.Popen[Any] = subprocess.Popen(
                [*inside, *command],
                stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talk else log,
                stderr=log,
                text=talk,
                start_new_session=True,  # a Ctrl-C reaches the lab alone, and the lab ends its processes in order
                env=_environment(),
            )
        record.add_process(self.popen.pid, what)

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.popen.poll() is None

    def wait_for(self, ready: Callable[[], bool], seconds: float, wanted: str) -> None:
        """Wait until `ready()`. Raises LabError with the last line of the log if the process ends or needs longer than that and
        START_S: no start is so quick that a busy machine could not miss it."""
        seconds = max(seconds, START_S)
        limit = time.monotonic() + seconds
        while not ready():
            if not self.alive() or time.monotonic() > limit:
                ended = None if self.alive() else f"it ended with status {self.popen.returncode}"
                reason = ended or f"waited {seconds:.0f} s"
                raise LabError(f"{self.what}: {wanted}: {reason}; its last word: {self.last_line()}")
            time.sleep(0.05)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended by itself, at most so many seconds; whether it has."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        return not self.alive()

    def numbers(self, count: int) -> list[float]:
        """The numbers of the last line of its log, where these are `count`; otherwise as many zeros, as from a program that did
        not come so far."""
        try:
            found = [float(word) for word in self.last_line().split()]
        except ValueError:
            found = []
        return found if len(found) == count else [0.0] * count

    def last_line(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "its log is empty"

    def end(self, number: int = signal.SIGTERM, seconds: float = 5.0) -> int:
        """Send a signal and wait; kill the process if it does not end in time. Returns the exit status."""
        if self.alive():
            self.popen.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        if self.alive():
            self.popen.kill()
        return self.popen.wait(5.0)


def _python_path() -> str:
    known = os.environ.get("PYTHONPATH")
    return f"{REPOSITORY}{os.pathsep}{known}" if known else str(REPOSITORY)


class Agent:
    """The traffic client of a host (`traffic.py agent`). Each order and each answer is one line."""

    def __init__(self, record: Record, host: LabHost) -> None:
        command = [sys.executable, "-m", "topologies.programs.traffic", "agent"]
        self._running = StartedProcess(record, f"agent-{host.name}", command, host, talk=True)

    def send(self, do: str, **order: Any) -> None:
        """Give an order without waiting for its answer."""
        stream: IO[str] = self._running.popen.stdin  # type: ignore[assignment]
        stream.write(json.dumps({"do": do} | order) + "\n")
        stream.flush()

    def answer(self) -> dict[str, Any]:
        """The answer to the oldest unanswered order. Raises LabError if the agent refused or died."""
        stream: IO[str] = self._running.popen.stdout  # type: ignore[assignment]
        line = stream.readline()
        if not line:
            raise LabError(f"{self._running.what} ended: {self._running.last_line()}")
        got: dict[str, Any] = json.loads(line)
        if "error" in got and len(got) == 1:
            raise LabError(f"{self._running.what}: {got['error']}")
        return got

    def ask(self, do: str, **order: Any) -> dict[str, Any]:
        """Give an order; its answer."""
        self.send(do, **order)
        return self.answer()

    def finish(self, name: str, seconds: float) -> dict[str, Any]:
        """Wait until a task is done; its last status. Raises LabError when it is not done in time."""
        limit = time.monotonic() + seconds
        while True:
            status = self.ask("status", name=name)
            if status["done"]:
                return status
            if time.monotonic() > limit:
                raise LabError(f"{self._running.what}: task {name} is not done after {seconds:.0f} s")
            time.sleep(0.1)


def serve(record: Record, host: LabHost, ports: Sequence[int], mptcp: bool = False) -> StartedProcess:
    """Start a server on all of `ports`, for both address families."""
    command = [
        sys.executable,
        "-m",
        "topologies.programs.traffic",
        "serve",
        *(f"--port={port}" for port in ports),
    ]
    running = StartedProcess(record, f"server-{host.name}", command + (["--mptcp"] if mptcp else []), host)
    first = ports[0]
    running.wait_for(lambda: f":{first} " in listeners(host), 5, f"no listener on port {first}")
    return running


def listeners(host: LabHost) -> str:
    """The listening TCP sockets of a host, as `ss` shows them."""
    out: str = host.pexec("ss -tlnH")[0]
    return out


def relay(
    record: Record, host: LabHost, services: Sequence[int], prefixes: Sequence[str], extra: Sequence[str] = ()
) -> StartedProcess:
    """Start an MCP's relay. It installs its rules; its status socket is in the lab's directory."""
    command = [sys.executable, "-m", "steering", "relay", "--apply"]
    if "--source-mode" not in extra:
        command += ["--source-mode", "transparent"]
    command += ["--status", str(status_path(record, host.name))]
    for port in services:
        command += ["--port", str(port)]
    for prefix in prefixes:
        command += ["--prefix", prefix]
    return _relay(record, host, [*command, *extra])


def upstream_relay(
    record: Record, host: LabHost, nics: int, extra: Sequence[str] = (), apply: bool = True
) -> StartedProcess:
    """Start a CPE's relay between its LAN (eth0) and its uplinks (the other interfaces). It installs its rules.

    Without `apply` it installs none: the rules that an earlier relay left have to be there.
    """
    command = [sys.executable, "-m", "steering", "relay", "--role", "upstream"]
    command += ["--apply"] if apply else []
    command += ["--inside", host.interface(0), "--status", str(status_path(record, host.name))]
    for number in range(1, nics):
        command += ["--uplink", host.interface(number)]
    return _relay(record, host, [*command, *extra])


def _relay(record: Record, host: LabHost, command: Sequence[str]) -> StartedProcess:
    running = StartedProcess(record, f"relay-{host.name}", command, host)
    path = status_path(record, host.name)
    running.wait_for(lambda: path.exists() and "tproxy" in host.pexec("nft list ruleset")[0], 10, "no relay")
    return running


def status_path(record: Record, name: str) -> Path:
    """Where a relay's status socket is."""
    return record.directory / f"{name}.sock"


def relay_status(record: Record, name: str) -> dict[str, Any]:
    """The status document of a relay, as `steering relay --query` prints it. Raises LabError."""
    command = [sys.executable, "-m", "steering", "relay", "--query", str(status_path(record, name)), "--json"]
    env = os.environ | {"PYTHONPATH": _python_path()}
    asked = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if asked.returncode:
        raise LabError(f"relay-{name}: {asked.stderr.strip()}")
    document: dict[str, Any] = json.loads(asked.stdout)
    return document
