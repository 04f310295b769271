"""Cuts links, and measures what an application notices: its longest silence, and whether it got an error."""

import subprocess
import time
from collections.abc import Callable
from typing import Any

from topologies.kit.lab import Lab
from topologies.kit.network import drop_endpoints
from topologies.kit.plan import Wire, address_of
from topologies.kit.processes import LabError
from topologies.networks.backbones import SERVICE

MBIT, STEP_S = 2.0, 0.005
PATIENCE_S = 60.0  # seconds to wait for a stream's end, and for the network to be whole again


def ip(*words: str) -> None:
    """`ip` outside the hosts' namespaces."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Cable:
    """A link between two switches."""

    def __init__(self, lab: Lab, wire: Wire) -> None:
        self.wire = wire
        self._ends = [lab.interface(port) for port in (wire.a, wire.b)]
        self._lab = lab

    def cut(self) -> None:
        """Take the carrier of both ends away."""
        ip("link", "set", self._ends[1], "down")

    def mend(self) -> None:
        ip("link", "set", self._ends[1], "up")

    def silence(self) -> None:
        """Let no packet pass, while both ends keep their carrier."""
        for end in self._ends:
            subprocess.run(
                ["tc", "qdisc", "add", "dev", end, "root", "blackhole"], check=True, capture_output=True
            )

    def speak(self) -> None:
        """Undo `silence`."""
        for end in self._ends:
            subprocess.run(["tc", "qdisc", "del", "dev", end, "root"], check=True, capture_output=True)

    def flap(self, seconds: float, times_a_second: float = 10.0) -> int:
        """Take the carrier away and give it back `times_a_second` times a second; the number of losses. The link ends with
        carrier."""
        count, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            self.cut()
            time.sleep(0.5 / times_a_second)
            self.mend()
            time.sleep(0.5 / times_a_second)
            count += 1
        return count

    def counts(self) -> bool:
        """Whether the controller considers both directions of the link up."""
        return {(self.wire.a, self.wire.b), (self.wire.b, self.wire.a)} <= links_up(self._lab)


def links_up(lab: Lab) -> set[tuple[str, str]]:
    """The directed links that the controller considers up, by their ports."""
    return {(link["a"], link["b"]) for link in lab.controller.get("/v1/topology")["links"] if link["up"]}


def run_bfd(lab: Lab, every_ms: int) -> None:
    """Switch BFD on at the switches whose links run BFD by the site file, as an operator would."""
    for wire in lab.plan.wires:
        if wire.bfd:
            for port in (wire.a, wire.b):
                words = ["set", "interface", lab.interface(port), "bfd:enable=true"]
                words += [f"bfd:min_tx={every_ms}", f"bfd:min_rx={every_ms}"]
                subprocess.run(["ovs-vsctl", *words], check=True, capture_output=True)


def await_(what: Callable[[], bool], seconds: float = PATIENCE_S) -> float | None:
    """The seconds until `what()` is true; None if it is not within `seconds`."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(0.05)
    return time.monotonic() - began


def is_whole(lab: Lab) -> bool:
    """Whether the controller considers every link of the plan up, and nothing that the site expects is missing."""
    try:
        wanted = {ends for w in lab.plan.wires for ends in ((w.a, w.b), (w.b, w.a))}
        return wanted <= links_up(lab) and not lab.controller.get("/v1/status")["missing"]
    except (OSError, LabError):
        return False


class Stream:
    """A pinned session of one subflow with an echoed stream."""

    def __init__(self, lab: Lab, name: str = "stream", **order: Any) -> None:
        self._agent, self._name = lab.agents["ue"], name
        self._agent.ask(
            "start", name=name, kind="steady", dst=address_of(lab.plan.box("server"), 4), port=SERVICE,
            mbit=MBIT, step=STEP_S, seconds=600.0, mptcp=True, **order,
        )  # fmt: skip
        time.sleep(1.0)

    def port(self) -> int:
        """Its connection's own TCP port; 0 while it has none."""
        found: int = self._agent.ask("status", name=self._name).get("local", ["", 0])[1]
        return found

    def end(self) -> dict[str, Any]:
        """End the stream; its longest silence `silence_s`, the longest without this machine's lateness `own_s`, its `silences` (when
        each ended, and its own seconds), its `error` ("" for none), whether `wrong` bytes came, and the session's `token`."""
        self._agent.ask("stop", name=self._name)
        done = self._agent.finish(self._name, PATIENCE_S)
        silence = done.get("longest_gap_s", PATIENCE_S)
        return {
            "silence_s": round(silence, 3),
            "own_s": round(done.get("own_gap_s", silence), 3),
            "silences": done.get("silences", []),
            "error": done.get("error", ""),
            "wrong": bool(done.get("wrong", True)),
            "token": done.get("token"),
        }


def silence_at(seen: dict[str, Any], lost_at: float, within: float) -> float:
    """The longest of a stream's own silences that something brought about which happened at a time: those that began before, or
    so many seconds after it, and ended after it."""
    return max((own for end, own in seen["silences"] if end > lost_at > end - own - within), default=0.0)


def one_subflow(lab: Lab) -> None:
    """Have hosts open only the first subflow of a session, so that no other subflow can take over."""
    drop_endpoints(lab.host("ue"))
