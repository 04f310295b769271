"""A lab in which nothing comes about, for trying what its judges make of that: no process runs, no packet is sent, and time
passes only where somebody waits.

Scenario, plan, report, and the parts of `topologies.kit` are the real ones. Replaced are the ends of them all: processes,
namespaces, the controller's REST interface and the clock.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.dead_traffic import Clock, Json, Traffic
from topologies.kit import controller, device, etcd, lab, members, processes, records
from topologies.kit.plan import Plan
from topologies.kit.records import Keep
from topologies.kit.report import Progress
from topologies.programs import http_hook, radius_server

NETSTAT = Path("/proc/net/netstat").read_text()
SNMP = Path("/proc/net/snmp").read_text()
PCAP = bytes.fromhex(
    "d4c3b2a1020004000000000000000000ffff000001000000"
)  # the head of a capture without packets
STATUS = {
    "counters": dict.fromkeys(("accepted", "active", "preface_refused"), 0) | {"session_sets_reported": 1},
    "agent": {"connected": True, "avoids_fragments": True},
    "sessions": [],
    "servers": {"slow": []},
    "uplinks": [{"ipv4": None, "up": False, "silent": []}] * 2,
    "inbound": {"ports": {}},
}
"""Of a relay that nobody has called."""


SESSION: Json = {
    "id": "1", "state": "closing", "client": "10.1.0.2:40000", "server": "10.9.0.2:5001", "mcp": None, "token": None,
    "decision": None, "subflows": [], "explicit": False, "insertion": "", "server_leg": None,
}  # fmt: skip
"""Of which the controller saw the SYN alone."""


class Ended:
    """Both ends of a program's pipes. `answered`: what a traffic agent says to an order; None for a program that is dead."""

    def __init__(self, answered: Callable[[Json], Json] | None) -> None:
        self._answered, self._lines = answered, [""]

    def write(self, text: str) -> int:
        if self._answered is not None:
            self._lines.insert(-1, json.dumps(self._answered(json.loads(text))) + "\n")
        return len(text)

    def flush(self) -> None:
        pass

    def readline(self, _limit: int = -1) -> str:
        return self._lines.pop(0) if len(self._lines) > 1 else ""


class Started:
    """In place of `subprocess.Popen`: a process that ends by itself soon after its start and says nothing."""

    def __init__(self, command: Sequence[str], stdout: Any, answered: Callable[[Json], Json]) -> None:
        self.args, self.pid, self.returncode = command, os.getpid(), 0
        self._looks = 0
        self.stdin = self.stdout = Ended(answered if "agent" in command else None)
        if "tcpdump" in command:
            Path(command[command.index("-w") + 1]).write_bytes(PCAP)
            stdout.write(b"0 packets dropped by kernel\n")

    def poll(self) -> int | None:
        self._looks += 1
        return None if self._looks < 3 else 0

    def wait(self, timeout: float | None = None) -> int:
        self._looks = 3
        return 0

    def send_signal(self, _number: int) -> None:
        self._looks = 3

    def kill(self) -> None:
        self._looks = 3


class Host:
    """In place of a Mininet node: its programs find nothing."""

    def __init__(self, name: str, plan: Plan) -> None:
        self.name, self.pid = name, 0
        self._nics = next((len(box.nics) for box in plan.boxes if box.name == name), 0)

    def interface(self, number: int) -> str:
        return f"{self.name}-eth{number}"

    def intfNames(self) -> list[str]:
        return [self.interface(number) for number in range(self._nics)]

    def intf(self, _name: str = "") -> "Host":
        return self

    def intfList(self) -> list[Any]:
        return []

    def start(self, _controllers: object) -> None:
        pass

    def MAC(self) -> str:
        return "02:00:00:00:00:01"

    def run(self, *_commands: str) -> None:
        pass

    def pexec(self, command: str | list[str]) -> tuple[str, str, int]:
        text = command if isinstance(command, str) else " ".join(command)
        if "link show" in text:
            none = {way: {"bytes": 0} for way in ("rx", "tx")}
            return json.dumps([{"ifname": name, "stats64": none} for name in self.intfNames()]), "", 0
        if "nft -a list" in text:
            return "    tcp option md5sig exists accept # handle 7\n", "", 0
        found = {"/proc/net/netstat": NETSTAT, "/proc/net/snmp": SNMP, "tx_bytes": "0"}
        said = next((told for part, told in found.items() if part in text), "")
        return said, "", int(not said and text.startswith(("mptcpize", "iperf3", "curl")))


class Controller(controller.Controller):
    """It runs, and knows of one session at most, of which it has learned nothing (`known`). It takes no
    change."""

    known: tuple[Json, ...] = ()

    @property
    def _role(self) -> str:
        return "master" if self._what == "controller" else "slave"

    def start(self, disabled: Sequence[str] | None = None) -> None:
        self._state.mkdir(exist_ok=True)
        for name in ("token", "pseudonym.key", "lldp.key"):
            (self._state / name).write_text("00" * 16)
        self.log_path().touch()
        self._is_there = True

    def wait_ready(self) -> None:
        pass

    def alive(self) -> bool:
        return getattr(self, "_is_there", False)

    def stop(self) -> int:
        self._is_there = False
        return 0

    def kill(self) -> None:
        self._is_there = False

    def metric(self, name: str, **labels: str) -> float:
        return 0.0

    def request(self, method: str, path: str, body: Any = None) -> Any:
        return self._known(path)

    def ask(self, method: str, path: str, body: Any, headers: Any = None) -> tuple[int, Any]:
        return 503, None

    def _known(self, path: str) -> Any:
        place = path.removeprefix("/v1/").partition("?")[0]
        mcps = [
            {
                "name": point.name, "reachable": True, "health": "up", "sessions": 0, "distribution": "",
                "location": "", "type_computed": "",
            }
            for point in self._plan.points
        ]  # fmt: skip
        found: Json = {
            "sessions": {"sessions": list(self.known), "next": None},
            "sessions/1": SESSION,
            "mcps": {"mcps": mcps},
            "health": {"status": "", "switches": {"connected": 0}, "policy_version": 0},
            "policy": {"version": 0, "text": ""},
            "topology": {"links": [], "hosts": []},
            "links": {"kept_flows": 0, "settled": True},
            "limits": {"use": [], "last_full": None},
            "status": {"missing": []},
            "whatif": dict.fromkeys(("winner", "rule", "outcome", "reason")) | {"candidates": []},
            "subscribers": {"subscribers": []},
            "access-networks": {
                "access_networks": [{"name": a.name, "type": ""} for a in self._plan.accesses]
            },
            "reservations": {"reservations": []},
            "bindings": {"bindings": []},
            "cluster": {"switches": [{"name": name, "role": self._role} for name in self._plan.switches]},
            "registry": {"id": ""},
            "acl": {},
        }
        if place.endswith(("drain", "undrain")):
            return {}
        if place not in found:
            raise controller.Gone(f"{path}: 404")
        return found[place]


class Nothing:
    """In place of the programs of an authoriser: nobody asked them."""

    secret_file, url, requests = "secret", "http://127.0.0.1:1/", ()

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def asked_about(self, _address: str) -> int:
        return 0

    def stop(self) -> None:
        pass


class Record(records.Record):
    """Of a lab without processes: nothing is ended by it."""

    def add_process(self, pid: int, what: str) -> None:
        pass


def deaden(patch: pytest.MonkeyPatch, folder: Path, plain: bool, token: str | None = None) -> None:
    """From here on, every scenario that has been imported runs in a dead lab. Its files go to `folder`."""
    patch.setattr(Controller, "known", (SESSION,) if plain else ())
    clock = Clock()
    traffic = Traffic(clock, plain, token)

    def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        said = (
            json.dumps(STATUS)
            if "--query" in command
            else json.dumps({"token": "0" * 43}) * ("token" in command)
        )
        if command[0] == "ssh-keygen":
            for name in (command[-1], f"{command[-1]}.pub"):
                Path(name).touch()
        if command[:2] == ("git", "init"):
            Path(command[-1]).mkdir()
        return subprocess.CompletedProcess(list(command), 0, said, "")

    def urlopen(request: urllib.request.Request, **_: object) -> None:
        none: Any = {}
        raise urllib.error.HTTPError(request.full_url, 503, "", none, io.BytesIO(b"{}"))

    def popen(command: Sequence[str], stdout: Any = None, **_: object) -> Started:
        return Started(command, stdout, traffic)

    programs = SimpleNamespace(
        **{name: getattr(subprocess, name) for name in ("PIPE", "DEVNULL", "STDOUT", "TimeoutExpired")},
        CompletedProcess=subprocess.CompletedProcess, Popen=popen, run=run,
    )  # fmt: skip

    @contextlib.contextmanager
    def running(
        plan: Plan, say: Progress, disabled: Sequence[str] = (), keep: Keep = Keep.NOTHING
    ) -> Iterator[lab.Lab]:
        here = folder / f"{plan.name}-{len(list(folder.iterdir()))}"
        here.mkdir()
        record = Record(here, plan.name, records.Process(0, 0, ""))
        net: Any = SimpleNamespace(get=lambda name: Host(name, plan), controllers=[])
        yield lab.Lab(plan, record, net, Controller(record, plan), say)

    replaced = {
        time: clock, subprocess: programs, lab.running: running, radius_server.RadiusServer: Nothing,
        http_hook.HttpHook: Nothing, controller.Controller: Controller,
    }  # fmt: skip
    patch.setattr(processes.StartedProcess, "wait_for", lambda *_: None)
    patch.setattr(
        members.Members, "start", lambda self, *_: [one.start() for one in self.controllers.values()]
    )
    patch.setattr(etcd, "free_port", lambda: 20_000)
    patch.setattr(device.Device, "ask", lambda *_: device.Answer(503, {}, None))
    patch.setattr(urllib.request, "urlopen", urlopen)
    for name, module in list(sys.modules.items()):
        if name.startswith("topologies.") and name != "topologies.programs.lateness":
            for key, value in list(vars(module).items()):
                with contextlib.suppress(TypeError):  # what has no hash is none of these
                    if value in replaced and value is not Controller:
                        patch.setattr(module, key, replaced[value])
