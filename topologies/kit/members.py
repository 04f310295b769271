"""Several controllers of one cell, each the owner of a share of a lab's switches. They have certificates of their own for the
streams between them."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from steering.model.mechanism import Mechanism
from topologies.kit.apart import SWITCH_PORT, ControllersApart
from topologies.kit.controller import Controller, free_port
from topologies.kit.etcd import member_options, standby
from topologies.kit.lab import Lab
from topologies.kit.processes import LabError, StartedProcess

NAMES = ("a", "b", "c")
READY_S = 90.0  # for members to find each other, divide the switches and read them
SETTLED_S = 2.0  # in which no switch changes hands any more, once each member has a share
PREPARE_S = (
    4.0  # for all members to be prepared for a policy: this machine is one for all of them and the kernels
)
ANSWER_S = 30.0  # for a member to take a change: one that begins anew listens after some seconds


class Members:
    """The members of a cell; the first one is the lab's own controller. `etcd`: its URLs. `apart`: their namespaces, where each
    has its own. No member runs before `start`.

    `there`: those that should decide for switches.
    """

    def __init__(
        self, lab: Lab, etcd: str, disabled: Sequence[str] = (), apart: ControllersApart | None = None
    ) -> None:
        self._lab = lab
        self.there: tuple[str, ...] = NAMES
        self._disabled = tuple(one for one in disabled if one in list(Mechanism))
        _certificates(lab.record.directory)
        self.controllers: dict[str, Controller] = {NAMES[0]: lab.controller}
        self.controllers |= {name: standby(lab, etcd, name) for name in NAMES[1:]}
        for name, one in self.controllers.items():
            if apart is not None:
                one.inside, one.address, one.port = apart.inside(name), apart.addresses[name], SWITCH_PORT
            one.more = (*member_options(etcd, name), *self._peering(name))

    def _peering(self, name: str) -> tuple[str, ...]:
        folder = self._lab.record.directory
        return (
            *("--cluster-patience", f"{PREPARE_S:g}"),
            *("--cluster-shares", str(len(NAMES)), "--peer-listen", self._at(name, free_port())),
            *("--peer-cert", str(folder / f"{name}.crt"), "--peer-key", str(folder / f"{name}.key")),
            *("--peer-ca", str(folder / "peers.pem")),
        )

    def _at(self, name: str, port: int) -> str:
        return f"{self.controllers[name].address}:{port}"

    def start(self, slow: str = "", delay_ms: int = 0) -> None:
        """Start the members of `there`, give every switch their addresses, and wait until each owns its share. Messages of the
        switch `slow` reach them `delay_ms` later. Raises LabError."""
        for name in self.there:
            self.controllers[name].start(self._disabled)
            if name == NAMES[0]:
                # The first member writes its first policy before the others start, so that they see no change of it.
                _until(lambda: self.texts()[NAMES[0]])
        self.tell_switches(self.there, slow, delay_ms)
        if problem := self._settled():
            raise LabError(f"the members do not divide the switches: {problem}")

    def add(self, name: str) -> None:
        """Start a further member beside those that run, and give every switch its address too."""
        self.there = (*self.there, name)
        self.controllers[name].start(self._disabled)
        self.tell_switches(self.there)

    def tell_switches(self, names: Sequence[str], slow: str = "", delay_ms: int = 0) -> None:
        """Give every switch the addresses of these members, and no others."""
        for switch in self._lab.plan.switches:
            targets = list(map(self.target, names))
            if switch == slow:
                targets = [self._delayed(name, self.controllers[name].port, delay_ms) for name in names]
            self.tell_switch(switch, targets)

    def _delayed(self, name: str, port: int, delay_ms: int) -> str:
        own = free_port()
        command = [sys.executable, "-m", "topologies.programs.slow_channel"]
        StartedProcess(self._lab.record, f"slow-{name}", [*command, *map(str, (own, port, delay_ms))])
        return f"tcp:127.0.0.1:{own}"

    def target(self, name: str) -> str:
        """A member as a switch is told of it."""
        return f"tcp:{self._at(name, self.controllers[name].port)}"

    def tell_switch(self, switch: str, targets: Sequence[str]) -> None:
        """Give a switch the addresses of its controllers."""
        bridge = self._lab.switch(switch)
        for words in (("set-controller", bridge, *targets), ("get", "bridge", bridge, "controller")):
            done = subprocess.run(["ovs-vsctl", *words], check=True, capture_output=True, text=True)
        for one in done.stdout.strip("[]\n").split(", "):
            subprocess.run(
                ["ovs-vsctl", "set", "controller", one, "max_backoff=1000"], check=True, capture_output=True
            )

    def masters(self) -> dict[str, set[str]]:
        """Member -> the switches whose MASTER it says it is; empty for a member that does not answer."""
        return {name: _masters(one) for name, one in self.controllers.items()}

    def problem(self) -> str:
        """Why not every member owns a share and has read its switches' entries; "" where all have."""
        found = self.masters()
        if not all(found[name] for name in self.there):
            return f"a member decides for nothing: {found}"
        if sorted(switch for one in found.values() for switch in one) != sorted(self._lab.plan.switches):
            return f"not each switch has one owner: {found}"
        for name in self.there:
            one = self.controllers[name]
            try:
                health, mcps = one.health(), one.mcps().values()
            except (OSError, LabError) as error:
                return f"{name}: {error}"
            if health["status"] != "ok" or not all(mcp["reachable"] for mcp in mcps):
                return f"{name}: health {health}, MCPs {[mcp['reachable'] for mcp in mcps]}"
        return ""

    def whole(self) -> str:
        """Wait until `problem` is ""; the problem that is left, "" for none."""
        problem = ""

        def is_whole() -> bool:
            nonlocal problem
            problem = self.problem()
            return not problem

        _until(is_whole)
        return problem

    def _settled(self) -> str:
        """Wait until `problem` is "" and no switch changes hands for SETTLED_S seconds: where a lab begins earlier, it blames what it does
        for moves of the start. The problem that is left, "" for none."""
        limit = time.monotonic() + READY_S
        while not (problem := self.whole()) and time.monotonic() < limit:
            before, since = self.masters(), time.monotonic()
            while self.masters() == before and not self.problem():
                if time.monotonic() > since + SETTLED_S:
                    return ""
                time.sleep(0.2)
        return problem or "switches change hands again and again"

    def owner_of(self, switch: str) -> str:
        """The member that owns a switch now; "" for none."""
        return next((name for name, found in self.masters().items() if switch in found), "")

    def detailed(self) -> list[dict[str, Any]]:
        """Every session with its subflows, as the members tell them, each token once: of several accounts the one with the most
        subflows counts. Raises LabError, OSError."""
        found: dict[str, dict[str, Any]] = {}
        for one in self.controllers.values():
            for session in one.detailed():
                known = found.get(session["token"])
                if known is None or len(known["subflows"]) < len(session["subflows"]):
                    found[session["token"]] = session
        return list(found.values())

    def metric(self, name: str, **labels: str) -> dict[str, float]:
        """Member -> its value of a metric, of members that answer."""
        found = {}
        for member, one in self.controllers.items():
            with contextlib.suppress(OSError, LabError):
                found[member] = one.metric(name, **labels)
        return found

    def change(self, name: str, method: str, path: str, body: Any = None) -> str:
        """Send a change to a member, or to the member to which that one points; the member that accepted it. Raises LabError."""
        limit = time.monotonic() + ANSWER_S
        while True:
            for other in (name, *(one for one in self.controllers if one != name)):
                try:
                    status, told = self.controllers[other].ask(method, path, body)
                except (OSError, LabError) as error:
                    status, told = 503, str(error)
                if status < 300:
                    return other
                if status != 503:
                    raise LabError(f"{method} {path} at {other}: {status} {told}")
            if time.monotonic() > limit:
                raise LabError(f"{method} {path}: no member takes it; the last answer: {told}")
            time.sleep(0.2)

    def texts(self) -> dict[str, str]:
        """Member -> the text of its policy; "" for a member that does not answer."""
        found = {}
        for name, one in self.controllers.items():
            try:
                found[name] = str(one.get("/v1/policy")["text"])
            except (OSError, LabError):
                found[name] = ""
        return found


def _until(done: Callable[[], object]) -> None:
    """Wait until `done()` is true, READY_S seconds at most."""
    limit = time.monotonic() + READY_S
    while not done() and time.monotonic() < limit:
        time.sleep(0.1)


def _masters(controller: Controller) -> set[str]:
    try:
        told = controller.get("/v1/cluster")["switches"]
    except (OSError, LabError):
        return set()
    return {one["name"] for one in told if one["role"] == "master"}


def _certificates(folder: Path) -> None:
    """Make a CA for the members alone, `peers.pem`, and a certificate for each member with its name. Raises LabError."""
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    _openssl(folder, *new, "-x509", "-keyout", "peers.key", "-out", "peers.pem", "-subj", "/CN=peers")
    for name in NAMES:
        _openssl(folder, *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        _openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "peers.pem", "-CAkey", "peers.key",
            "-CAcreateserial", "-days", "2", "-out", f"{name}.crt",
        )  # fmt: skip


def _openssl(folder: Path, *words: str) -> None:
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"openssl {words[0]}: {done.stderr.strip()}")
