"""The controller under test: a process `steering run`, and requests to its REST interface."""

import contextlib
import json
import random
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any

from topologies.kit.kernel_counters import FiveTuple
from topologies.kit.plan import Plan, site_text
from topologies.kit.processes import LabError, StartedProcess
from topologies.kit.records import Record

LOOPBACK = "127.0.0.1"
READY_S = 30.0
PAGE = 500
PATIENCE = 20  # how often a request is sent again that REST answers with "later"


def free_port() -> int:
    """A TCP port of loopback on which nobody listens now.

    It is below the range of ephemeral ports. Otherwise a switch that retries for long would connect to itself.
    """
    while True:
        number = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", number))
            return number


class Gone(LabError):
    """The resource does not exist, or no longer exists (status 404)."""


class Controller:
    """A controller process that can be started again with the same ports and state directory."""

    def __init__(
        self,
        record: Record,
        plan: Plan,
        disabled: Sequence[str] = (),
        what: str = "controller",
        more: Sequence[str] = (),
    ) -> None:
        """`what`: its name among the lab's processes; `more`: further options."""
        self._record = record
        self._what, self.more = what, tuple(more)
        self._plan = plan
        self._disabled = tuple(disabled)
        self.port, self.rest_port = free_port(), free_port()
        self.address = LOOPBACK  # at which it is reached
        self.inside: tuple[str, ...] = ()  # words before its command, which put it into a namespace
        self._state = record.directory / what
        self._running: StartedProcess | None = None
        self.site = record.directory / "site.yaml"
        self.policy = record.directory / "policy.yaml"
        self.site.write_text(site_text(plan))
        self.policy.write_text(plan.policy)

    @property
    def state(self) -> Path:
        """Its state directory."""
        return self._state

    def start(self, disabled: Sequence[str] | None = None) -> None:
        """Start the process. `disabled`: mechanisms to switch off, in place of those that were given at first."""
        if disabled is not None:
            self._disabled = tuple(disabled)
        command = [
            *self.inside,
            sys.executable,
            "-m",
            "steering",
            "run",
            "--site",
            str(self.site),
            "--policy",
            str(self.policy),
        ]
        command += ["--listen", f"{self.address}:{self.port}", "--rest", f"{self.address}:{self.rest_port}"]
        if self.address != LOOPBACK:
            command += ["--switch-insecure", "--rest-allow-remote"]
        command += ["--state-dir", str(self._state), *self.more]
        for mechanism in self._disabled:
            command += ["--disable", mechanism]
        self._running = StartedProcess(self._record, self._what, command)

    def wait_ready(self) -> None:
        """Wait until every switch is connected, every link found and every MCP resolved. Raises LabError."""
        assert self._running is not None
        self._running.wait_for(lambda: not self._missing(), READY_S, "not ready")

    def _missing(self) -> bool:
        try:
            health, topology = self.health(), self.get("/v1/topology")
            mcps = self.mcps().values()
        except (OSError, LabError):
            return True
        up = [link for link in topology["links"] if link["up"]]
        return not (
            health["status"] == "ok"
            and health["switches"]["connected"] >= len(self._plan.switches)
            and len(up) >= 2 * len(self._plan.wires)  # each direction of a wire is a link of its own
            and all(mcp["reachable"] for mcp in mcps)
        )

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._running is not None and self._running.alive()

    def stop(self) -> int:
        """Send SIGTERM and wait for the end; the exit status."""
        return self._running.end() if self._running is not None else 0

    def kill(self) -> None:
        """Send SIGKILL. To the switches this looks like a crash."""
        if self._running is not None:
            self._running.popen.kill()
            self._running.popen.wait(5.0)

    def get(self, path: str) -> Any:
        """A resource as JSON. Raises LabError for an answer that is not 200, OSError when nobody listens."""
        return self.request("GET", path)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request with the operator's token; the answer's JSON. A `body` that is text goes out as YAML, any
        other as JSON. A resource is replaced whatever its version (`If-Match: *`). Where REST says that requests come
        too often, this waits as long as it says. Raises LabError for a refusal, Gone for status 404, OSError."""
        token = (self._state / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        data = None
        if body is not None:
            text = body if isinstance(body, str) else json.dumps(body)
            data = text.encode()
            headers["Content-Type"] = "application/yaml" if isinstance(body, str) else "application/json"
            headers["If-Match"] = "*"
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers=headers, method=method)
        for again in range(PATIENCE, -1, -1):
            try:
                with urllib.request.urlopen(request, timeout=10.0) as answer:
                    told = answer.read()
                break
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    raise Gone(f"{method} {path}: 404") from None
                if error.code != 429 or not again:
                    raise LabError(f"{method} {path}: {error.code} {error.read(400)!r}") from None
                time.sleep(float(error.headers.get("Retry-After") or 1))
        return told.decode() if path == "/metrics" else json.loads(told)

    def put_policy(self, text: str) -> int:
        """Put a policy in force over REST; its version. Raises LabError with the findings where it is refused."""
        version: int = self.request("PUT", "/v1/policy", text)["version"]
        return version

    def whatif(self, source: str, destination: str, port: int) -> dict[str, Any]:
        """What the controller would do with a connection."""
        asked = {"source": source, "destination": destination, "port": port}
        found: dict[str, Any] = self.request("POST", "/v1/whatif", asked)
        return found

    def ask(
        self, method: str, path: str, body: Any, headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, Any]:
        """Send a request that changes something; the status and body of its answer, also of a refusal. A `body` that
        is text goes out as YAML; with None there is no body."""
        kind = "application/yaml" if isinstance(body, str) else "application/json"
        data = body if isinstance(body, str) else json.dumps(body)
        token = (self._state / "token").read_text().strip()
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=None if body is None else data.encode(),
            method=method,
            headers={"Authorization": f"Bearer {token}", "Content-Type": kind, "If-Match": "*", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=10.0) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def _get_or_none(self, path: str) -> Any:
        try:
            return self.get(path)
        except Gone:
            return None

    def health(self) -> dict[str, Any]:
        """/v1/health."""
        found: dict[str, Any] = self.get("/v1/health")
        return found

    def sessions(self) -> list[dict[str, Any]]:
        """Every session's row, all pages."""
        rows: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self.get(f"/v1/sessions?limit={PAGE}{after}")
            rows += page["sessions"]
            if page["next"] is None:
                return rows
            after = f"&cursor={page['next']}"

    def detailed(self) -> list[dict[str, Any]]:
        """Every session with its subflows. A session that ends before its details are read is left out."""
        found = (self._get_or_none(f"/v1/sessions/{row['id']}") for row in self.sessions())
        return [session for session in found if session is not None]

    def taken_up(self, seconds: float = 30.0) -> list[dict[str, Any]]:
        """The same, once no session is half open: that a host goes on is seen a second or two after its SYN."""
        ends = time.monotonic() + seconds
        while True:
            found = self.detailed()
            if all(s["state"] not in ("syn-pinned", "answered") for s in found) or time.monotonic() > ends:
                return found
            time.sleep(0.1)

    def mcps(self) -> dict[str, dict[str, Any]]:
        """MCPs by name."""
        return {mcp["name"]: mcp for mcp in self.get("/v1/mcps")["mcps"]}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of those samples of a metric that have these labels; 0 if none has.

        Raises LabError for a metric that the controller does not have.
        """
        total, told = 0.0, self.get("/metrics")
        if f"# TYPE {name} " not in told:
            raise LabError(f"the controller has no metric '{name}'")
        for line in told.splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name and all(f'{k}="{v}"' in head for k, v in labels.items()):
                total += float(value)
        return total

    def settled(self, name: str, wanted: float, seconds: float = 10.0, **labels: str) -> float:
        """The value of a metric as soon as it is `wanted`, or else its value after `seconds`."""
        limit = time.monotonic() + seconds
        while (found := self.metric(name, **labels)) < wanted and time.monotonic() < limit:
            time.sleep(0.2)
        return found

    @property
    def url(self) -> str:
        """The address of its REST interface."""
        return f"http://{self.address}:{self.rest_port}"

    @property
    def state_dir(self) -> Path:
        """Its state directory, which holds the operator's token and the file of all other tokens."""
        return self._state

    def log_path(self) -> Path:
        """Its log file. A restart appends to it."""
        return self._record.directory / "controller.log"


def flows_of(session: dict[str, Any]) -> list[FiveTuple]:
    """The 5-tuples of the subflows of a session with details, the host's end first."""
    return [
        FiveTuple(str(ip_address(s["src"])), s["sport"], str(ip_address(s["dst"])), s["dport"])
        for s in session["subflows"]
    ]
