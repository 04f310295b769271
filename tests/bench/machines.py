"""The processes of the set-up benchmark: generator, controllers, responder; each pinned where there are two cores."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from tests.bench import network

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCES = ("generator.c", "connections.c", "held.c", "responder.c", "wire.c")
READY_S = 60.0
PROCESS_LIMIT_S = 240
QUIET_MS = 700  # without a rule: the controller has filled its switches


class BenchError(RuntimeError):
    """The benchmark itself went wrong; one line."""


def cores() -> tuple[int | None, int | None]:
    """A core for the controller and one for the generator; None where there is only one for both."""
    known = sorted(os.sched_getaffinity(0))
    return (known[0], known[1]) if len(known) > 1 else (None, None)


def build(directory: Path) -> Path:
    """Compile the generator. Raises BenchError."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise BenchError("no C compiler for the load generator: apt-get install gcc libc6-dev")
    program = directory / "generator"
    command = [compiler, "-O2", "-std=gnu11", "-o", str(program), *(str(HERE / source) for source in SOURCES)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise BenchError(f"the load generator does not compile: {made.stderr.strip().splitlines()[-1]}")
    return program


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def by_itself(module: str, *words: str) -> dict[str, Any]:
    """What a measurement prints that runs in a process of its own: what others left in memory costs it nothing.
    Raises BenchError."""
    command = [sys.executable, "-m", module, *words]
    try:
        made = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PROCESS_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"not done after {PROCESS_LIMIT_S} s") from None
    if made.returncode:
        raise BenchError((made.stderr.strip().splitlines() or ["no output"])[-1])
    answer: dict[str, Any] = json.loads(made.stdout)
    return answer


class Process:
    """A child process with its log; ended by `end`."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, core: int | None, talk: bool = False
    ) -> None:
        self.name, self.log = name, log
        with log.open("wb") as out:
            self.popen: subprocess.Popen[Any] = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talk else out,
                stderr=out,
                text=talk,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        if core is not None:
            os.sched_setaffinity(self.popen.pid, {core})

    def wait_listening(self, port: int) -> None:
        """Until it accepts connections. Raises BenchError."""
        limit = time.monotonic() + READY_S
        while time.monotonic() < limit and self.popen.poll() is None:
            if _listening(port):
                return
            time.sleep(0.05)
        raise BenchError(f"{self.name} does not listen; its last word: {self.last_line()}")

    def last_line(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "its log is empty"

    def memory(self) -> int:
        """Resident set in bytes."""
        pages = int(Path(f"/proc/{self.popen.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_ns(self) -> int:
        """Processor time of all its threads so far, and of its children."""
        return _cpu_ns(self.popen.pid)

    def end(self) -> None:
        """SIGTERM, and after a while SIGKILL."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(3.0)
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(3.0)
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream is not None:
                stream.close()


def _cpu_ns(pid: int) -> int:
    """Processor time of a process and of those that it started, of all threads that live."""
    found = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread may end meanwhile
            found += int((task / "schedstat").read_text().split()[0])
            found += sum(_cpu_ns(int(child)) for child in (task / "children").read_text().split())
    return found


def _listening(port: int) -> bool:
    """Whether a socket listens on a port of loopback; asked of the kernel, as a probe would count as a switch."""
    wanted = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(wanted) and fields[3] == "0A":
            return True
    return False


class Bench:
    """A directory with everything made for one run, and its processes."""

    def __init__(self, sessions: int, token_count: int) -> None:
        self.sessions = sessions
        self.directory = Path(tempfile.mkdtemp(prefix="st-bench-"))
        self.controller_core, self.generator_core = cores()
        self._processes: list[Process] = []
        self.generator = build(self.directory)
        token_file = self.directory / "tokens"
        token_file.write_bytes(network.tokens(token_count))
        self._write("site.yaml", network.site_text())
        self._write("policy.yaml", network.POLICY)
        self._write("site.json", json.dumps(network.naive_site()))
        self._write("plan", network.plan_text(token_file))
        self._write("learning-plan", network.plan_text(token_file, learning=True))

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def path(self, name: str) -> str:
        """A file of this run."""
        return str(self.directory / name)

    def start(self, name: str, command: Sequence[str], core: int | None, talk: bool = False) -> Process:
        """Start a process that ends with the run."""
        process = Process(name, command, self.directory / f"{name}.log", core, talk)
        self._processes.append(process)
        return process

    def steering(self, *options: str, name: str = "steering", pinned: bool = True) -> "Arm":
        """`steering run` as it is. `pinned`: it has a core of its own, and the generator another one."""
        port = free_port()
        command = [sys.executable, "-m", "steering", "run", "--site", self.path("site.yaml")]
        command += [
            "--policy",
            self.path("policy.yaml"),
            "--listen",
            f"127.0.0.1:{port}",
            "--rest",
            "127.0.0.1:0",
        ]
        state = "state" if name == "steering" else f"state-{name}"
        command += ["--state-dir", self.path(state), "--log-level", "warning", *options]
        return self._arm(name, command, port, "plan", pinned)

    def naive(self) -> "Arm":
        """The naive application, with its sessions already in its dicts."""
        port = free_port()
        command = [sys.executable, str(HERE / "naive_app.py"), "--listen", str(port)]
        command += ["--site", self.path("site.json"), "--sessions", str(self.sessions)]
        arm = self._arm("naive", command, port, "plan")
        arm.driver.ask(f"first {self.sessions}")
        arm.driver.ask(f"targets {self.sessions}")
        return arm

    def testcontroller(self) -> "Arm":
        """Debian's ovs-testcontroller, a learning switch in C. Raises BenchError."""
        program = shutil.which("ovs-testcontroller")
        if program is None:
            raise BenchError("no ovs-testcontroller: apt-get install openvswitch-testcontroller")
        port = free_port()
        command = [program, "-O", "OpenFlow13", "-v", "warn", f"--unixctl={self.path('testcontroller.ctl')}"]
        return self._arm("testcontroller", [*command, f"ptcp:{port}:127.0.0.1"], port, "learning-plan")

    def responder(self) -> "Arm":
        """The generator's own trivial responder: what it reaches here is its ceiling."""
        port = free_port()
        return self._arm(
            "responder", [str(self.generator), "respond", self.path("plan"), str(port)], port, "plan"
        )

    def _arm(self, name: str, command: Sequence[str], port: int, plan: str, pinned: bool = True) -> "Arm":
        process = self.start(name, command, self.controller_core if pinned else None)
        process.wait_listening(port)
        drive = [str(self.generator), "generate", self.path(plan), "127.0.0.1", str(port)]
        core = self.generator_core if pinned else None
        driver = Driver(self.start(f"generator-{name}", drive, core, talk=True), process)
        driver.fill()
        driver.ask("greet")
        driver.fill()
        return Arm(process, driver)


class Driver:
    """Orders to one generator."""

    def __init__(self, process: Process, controller: Process) -> None:
        self._process, self._controller = process, controller

    def ask(self, order: str) -> dict[str, Any]:
        """One order, its answer. Raises BenchError."""
        stdin: IO[str] = self._process.popen.stdin  # type: ignore[assignment]
        stdout: IO[str] = self._process.popen.stdout  # type: ignore[assignment]
        try:
            stdin.write(order + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise BenchError(
                f"{self._process.name}: '{order}': {self._process.last_line()} "
                f"({self._controller.name}: {self._controller.last_line()})"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def fill(self) -> None:
        """Wait until every switch is connected and has its rules. Raises BenchError."""
        answer = self.ask(f"fill {QUIET_MS} {int(READY_S * 1000)}")
        if not answer["filled"]:
            raise BenchError(
                f"{self._controller.name} does not fill its switches: {self._controller.last_line()}"
            )


class Arm:
    """A controller and the generator that drives it."""

    def __init__(self, controller: Process, driver: Driver) -> None:
        self.controller, self.driver = controller, driver

    def run(
        self,
        mode: str,
        *,
        window: int = 8,
        switches: int = network.SWITCHES,
        warm: float = 0.2,
        seconds: float = 1.0,
        count: int = 0,
    ) -> dict[str, Any]:
        """One measurement, checked. Raises BenchError when an answer was wrong or missing."""
        ms = 0 if count else round(seconds * 1000)
        before = self.controller.cpu_ns()
        answer = self.driver.ask(
            f"run {mode} {window} {switches} {0 if count else round(warm * 1000)} {ms} {count}"
        )
        wrong = {
            k: answer[k]
            for k in ("lost", "order_errors", "token_errors", "errors", "unexpected")
            if answer[k]
        }
        if wrong or not answer["completed"]:
            raise BenchError(f"{self.controller.name}, {mode}: {wrong or 'nothing was answered'}")
        # Of everything answered, warm-up and drain too: on a busy machine this is steadier than the rate.
        answer["cpu_us"] = round((self.controller.cpu_ns() - before) / 1000 / answer["completed"], 2)
        return answer
