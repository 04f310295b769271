"""Labs in which policy acts on live subflows: MCPs with agents, and what captures show of priorities and data."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from topologies.kit.captures import Capture, Segment
from topologies.kit.kernel_counters import FiveTuple
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Kind, Plan, address_of
from topologies.kit.processes import LabError, StartedProcess, relay_status
from topologies.kit.report import Report
from topologies.kit.scenario import Options
from topologies.kit.waiting import until
from topologies.programs.lateness import Lateness

AGENT = "agent"  # the negative control in which relays have no agent
LISTEN = 8443  # the management port inside MCPs
SETTLE_S = 10.0
PROMPT_S = 1.0  # time in which a change has to take effect
LATE_S = 5.0  # time after which an MP_PRIO is no answer to a change any more


@contextmanager
def managed(plan: Plan, options: Options) -> Iterator[Lab]:
    """A lab whose MCPs obey the controller, each with a token of its own. Under the control `agent` they do not."""
    with running(plan, options.say, options.without, options.keep) as lab:
        mcps = [box.name for box in plan.of_kind(Kind.MCP)]
        more = {} if AGENT in options.without else {name: way_to_controller(lab, name) for name in mcps}
        lab.start_services(more)
        lab.start_controller(options.without)
        for name in more:
            _wait_connected(lab, name)
        yield lab


def way_to_controller(lab: Lab, name: str) -> list[str]:
    """Make a token for an MCP, and a connection from it to the controller; the options of the relay for both."""
    command = [sys.executable, "-m", "steering", "token", "add", "--role", "mcp", "--mcp", name, "--json"]
    command += ["--state-dir", str(lab.controller.state)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise LabError(f"no token for {name}: {made.stderr.strip()}")
    file = lab.record.directory / f"{name}.token"
    file.write_text(json.loads(made.stdout)["token"])
    file.chmod(0o600)  # a relay refuses a token that others can read
    host = lab.host(name)
    words = [str(host.pid), str(LISTEN), str(lab.controller.rest_port)]
    way = StartedProcess(
        lab.record, f"management-{name}", [sys.executable, "-m", "topologies.programs.management", *words]
    )
    way.wait_for(lambda: f":{LISTEN} " in host.pexec("ss -tlnH")[0], 5, "no management port")
    return ["--controller", f"http://127.0.0.1:{LISTEN}", "--mcp", name, "--token-file", str(file)]


def _wait_connected(lab: Lab, name: str) -> None:
    if not until(lambda: relay_status(lab.record, name)["agent"]["connected"], SETTLE_S):
        raise LabError(f"the agent of {name} does not reach the controller")


@dataclass(frozen=True)
class Priority:
    """An MP_PRIO (RFC 8684 section 3.3.8) that was sent to a host, and its capture time."""

    time: float
    host: str
    backup: bool


def fresh(segments: Iterable[Segment], begin: float) -> int:
    """Bytes of payload, of segments in the order of their times, that were sent from a time on and never before on their
    flow. Sequence numbers may wrap; all of a flow are less than 2 GiB apart."""
    found = 0
    ends: dict[FiveTuple, int] = {}  # flow -> the sequence number after the last byte that was sent
    for one in segments:
        if one.length:
            behind = one.sequence + one.length & 0xFFFF_FFFF
            new = behind - ends.get(one.flow, one.sequence) & 0xFFFF_FFFF
            if 0 < new < 1 << 31:
                ends[one.flow] = behind
                found += min(new, one.length) if one.time >= begin else 0
    return found


class WatchedTransfer:
    """A transfer of one host, with a capture at each of its access ports. It is judged when the captures have ended."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._lab, self.host = lab, host
        box = lab.plan.box(host)
        names = {port: access.name for access in lab.plan.accesses for port in access.ports}
        self.addresses = {names[nic.peer]: address_of(box, 4, n) for n, nic in enumerate(box.nics)}
        self._captures: dict[str, Capture] = {names[n.peer]: lab.capture_port(n.peer) for n in box.nics}
        self.done: dict[str, Any] = {}

    def upload(self, port: int, seconds: float) -> None:
        """Begin an upload to the server."""
        self.begin("upload", port, seconds)

    def begin(self, kind: str, port: int, seconds: float, **more: Any) -> None:
        """Begin a task of one of the kinds in `streams` with the server."""
        target = address_of(self._lab.plan.box("server"), 4)
        order = {"name": f"task-{port}", "kind": kind, "dst": target, "port": port} | more
        self._lab.agents[self.host].ask("start", seconds=seconds, mptcp=True, **order)

    def finish(self, port: int, seconds: float = 60.0) -> dict[str, Any]:
        """Wait for the end of the transfer; its last status."""
        self.done = self._lab.agents[self.host].finish(f"task-{port}", seconds)
        return self.done

    def segments(self, access: str, port: int) -> list[Segment]:
        """Segments over one access, in both directions, of connections to a service port."""
        found = self._captures[access].segments()
        return [s for s in found if port in (s.flow.dport, s.flow.sport)]

    def sent(self, access: str, port: int, begin: float, end: float = float("inf")) -> int:
        """Bytes of payload that the host sent over one access between two times."""
        here = self.addresses[access]
        chosen = self.segments(access, port)
        return sum(s.length for s in chosen if s.flow.src == here and begin <= s.time < end)

    def sent_anew(self, access: str, port: int, begin: float, end: float = float("inf")) -> int:
        """The same without what its subflow had sent before: TCP repeats what was lost, however long ago it was sent."""
        here = self.addresses[access]
        return fresh((s for s in self.segments(access, port) if s.flow.src == here and s.time < end), begin)

    def frames_sent(self, access: str, port: int, begin: float, end: float = float("inf")) -> int:
        """Bytes of whole frames that the host sent over one access between two times: what a switch counts."""
        here = self.addresses[access]
        return sum(
            s.size for s in self.segments(access, port) if s.flow.src == here and begin <= s.time < end
        )

    def got(self, access: str, port: int, begin: float, end: float = float("inf")) -> int:
        """Bytes of payload that reached the host over one access between two times."""
        here = self.addresses[access]
        chosen = self.segments(access, port)
        return sum(s.length for s in chosen if s.flow.dst == here and begin <= s.time < end)

    def priorities(self, access: str, port: int, begin: float = 0.0) -> list[Priority]:
        """MP_PRIOs that were sent to the host on one access, from a time on."""
        here = self.addresses[access]
        return [
            Priority(s.time, here, "1e0351" in s.raw_options)
            for s in self.segments(access, port)
            if "5" in s.options and s.flow.dst == here and s.time >= begin
        ]

    def joined(self, access: str, port: int, otherwise: float) -> float:
        """When the first join over one access was complete at the host, seen by the first segment after its SYN. `otherwise`
        where there was no join. (A lost SYN is sent again after a second, so the SYN's time says little.)"""
        flows = {s.flow for s in self.joins(access, port)}
        sent = (s.time for s in self.segments(access, port) if s.flow in flows and not s.syn)
        return min(sent, default=otherwise)

    def joins(self, access: str, port: int) -> list[Segment]:
        """SYNs of joins that the host sent over one access."""
        return [s for s in self.segments(access, port) if s.syn and "1" in s.options]


def expect_priority(
    report: Report, what: str, watched: WatchedTransfer, access: str, port: int, since: float, backup: bool
) -> float:
    """Check that a change of time `since` reached the host by MP_PRIO, and that it took less than PROMPT_S. Returns when it
    did, or `since` plus PROMPT_S."""
    seen = [
        p for p in watched.priorities(access, port, since) if p.backup is backup and p.time < since + LATE_S
    ]
    name = f"{what}: MP_PRIO '{'backup' if backup else 'no backup'}' on {access}"
    took = f"{seen[0].time - since:.3f} s" if seen else "none"
    report.expect(name, bool(seen), "one", took, "capture")
    prompt = bool(seen) and seen[0].time - since < PROMPT_S
    report.expect(f"{name}, within a second", prompt, f"within {PROMPT_S:g} s", took, "capture")
    return seen[0].time if seen else since + PROMPT_S


def expect_little_before(
    report: Report,
    name: str,
    watched: WatchedTransfer,
    access: str,
    port: int,
    since: float,
    mbit: float,
    most: int,
    late: Lateness,
    grace: float = 0.0,
) -> int:
    """Check the bytes that a host sent over an access between its join at `since` and the MP_PRIO that made it leave the access.
    Allowed are `most` bytes, and `mbit` for the time until the MP_PRIO and `grace` seconds after it. That time may be PROMPT_S,
    longer by the seconds that this machine was `late`; `mbit` may be all that the access carries. If no MP_PRIO came, all bytes
    count, against `mbit` for PROMPT_S. Returns the bytes."""
    told = [p.time for p in watched.priorities(access, port, since) if p.backup and p.time < since + LATE_S]
    waited = min(told[0] - since, PROMPT_S + late.during_wall(since, told[0])) + grace if told else PROMPT_S
    sent = watched.sent(access, port, since, told[0] + grace if told else float("inf"))
    allowed = most + int(mbit * 1e6 / 8 * waited)
    report.expect(name, sent <= allowed, f"at most {allowed}", sent, "capture")
    return sent


def cable(lab: Lab, port: str, up: bool) -> None:
    """Pull or plug the cable of an access port. Both ends lose or get their carrier."""
    command = ["ip", "link", "set", lab.interface(port), "up" if up else "down"]
    subprocess.run(command, check=True, capture_output=True)


def wanted(lab: Lab, port: int) -> dict[str, str]:
    """The priorities that the controller wants for the live subflows to a service port, by access."""
    found: dict[str, str] = {}
    for session in lab.controller.detailed():
        found |= {s["access_network"]: s["wanted"] for s in session["subflows"] if s["dport"] == port}
    return found


def expect_wanted(lab: Lab, report: Report, what: str, port: int, wish: Mapping[str, str]) -> None:
    """Check that the controller comes to want these priorities for the live subflows to a port. How soon it does is judged
    by the MP_PRIO, as the subflows may still have to begin."""
    until(lambda: wanted(lab, port) == wish, SETTLE_S, 0.05)
    report.equal(f"{what}: wanted", dict(wish), wanted(lab, port), "REST")
