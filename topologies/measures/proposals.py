"""The slides' proposals for how a CPE reaches the network's MCP, and a measurement of what each costs."""

import os
import re
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from topologies.kit import processes
from topologies.kit.captures import Segment
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, ofctl
from topologies.kit.plan import address_of
from topologies.kit.processes import StartedProcess, listeners
from topologies.measures import from_outside, native, socks_client
from topologies.networks.hybrid import SERVICE, UNSERVED

HOST, CPE, MCP = "lan1", "cpe", "core"
CONVERT, SOCKS, FOREIGN = 8803, 1080, 1081
HELD = 20  # connections that are open while state is counted
PROBES = 10  # connections whose bytes are counted
SHORT_BYTES, LONG_BYTES = 1_000_000, 20_000_000
PATIENCE_S = 6.0  # how long a LAN host waits when the MCP is dead
WINDOW = "49152-50175"  # source ports of connections that CPEs open, where the network has to recognise these
NATURAL = "policy: 1\nrules:\n  - {name: nobody, then: {action: bypass}}\n"
STEERED = "policy: 1\n"
EITHER_END = "rules:\n  - {name: towards-hosts, when: {direction: server}, then: {action: proxy}}\n"
TOLD_APART = f"""\
policy: 1
marker: {{source_ports: ["{WINDOW}"]}}
rules: [{{name: upstream-only, then: {{terminate_only: [proxied]}}}}]
"""
Figures = dict[str, Any]
_PORT = re.compile(r"tp_(?:src|dst)=(\d+)\b")


@dataclass(frozen=True)
class Way:
    """A way in which connections of the LAN reach the MCP. `cpe` and `mcp`: further options of the two relays."""

    name: str
    title: str
    port: int = SERVICE
    cpe: tuple[str, ...] = ()
    mcp: tuple[str, ...] = ()
    foreign: bool = False
    policy: str = NATURAL

    @property
    def addressed(self) -> int | None:
        """The port of the MCP to which the CPE connects; None where it connects to the server's address."""
        return int(self.cpe[-1].rpartition(":")[2]) if "--via" in self.cpe else None


def ways(mcp: str, either_end: bool = True) -> tuple[Way, ...]:
    """All ways: without an MCP, by routing, by Convert, by SOCKS, and by SOCKS with a server of another author.

    Only for the way by routing the network's policy steers anything.
    """
    return (
        Way("none", "no MCP: the CPE's NAT, one access", UNSERVED),
        Way("routing", "#3 routing", policy=STEERED + (EITHER_END if either_end else "")),
        Way(
            "convert",
            "#1 Convert",
            SERVICE,
            ("--via", f"convert://{mcp}:{CONVERT}"),
            ("--explicit", "convert"),
        ),
        Way("socks", "#2 SOCKS", SERVICE, ("--via", f"socks://{mcp}:{SOCKS}"), ("--explicit", "socks")),
        Way(
            "microsocks", "#2 SOCKS, microsocks", SERVICE, ("--via", f"socks://{mcp}:{FOREIGN}"), foreign=True
        ),
    )


class Bench:
    """A lab in which one way is measured after the other. Both relays are started anew for each."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._server = address_of(lab.plan.box("server"), 4)
        self._body: StartedProcess = lab.relays[MCP]
        self.keys = 0

    def take(self, way: Way) -> None:
        """Start both relays anew and put the policy in force, as this way needs them."""
        lab, plan = self._lab, self._lab.plan
        lab.controller.put_policy(way.policy)
        for running in (lab.relays[CPE], lab.relays[MCP], self._body):
            running.end()
        box, mcp = plan.box(CPE), plan.box(MCP)
        options = (*mcp.relay, *way.mcp)
        lab.relays[MCP] = processes.relay(
            lab.record, lab.host(MCP), plan.services, plan.server_prefixes(), options
        )
        lab.relays[CPE] = processes.upstream_relay(
            lab.record, lab.host(CPE), len(box.nics), (*box.relay, *way.cpe)
        )
        said = str(lab.relays[CPE].popen.args)
        self.keys = len(re.findall(r"'--(?!apply|status)", said))
        self._body = lab.relays[MCP]
        if way.foreign:
            where = lab.host(MCP)
            command = ["mptcpize", "run", "microsocks", "-i", address_of(mcp, 4), "-p", str(FOREIGN)]
            self._body = StartedProcess(lab.record, "microsocks", command, where)
            self._body.wait_for(lambda: f":{FOREIGN} " in listeners(where), 5, "no microsocks")

    def measure(self, way: Way, count: int, long_bytes: int) -> Figures:
        """Measure all figures of a way. The MCP is dead afterwards."""
        found: Figures = {"title": way.title, "cpe_options": self.keys}
        if way.foreign:
            found["curl"] = self._curl()
            self.take(way)
        found |= self._set_up(way, count)
        found |= self._added(way)
        found |= self._state(way)
        for name, size in (("short", SHORT_BYTES), ("long", long_bytes)):
            found[name] = self._flow(way, size)
        if way.name != "none":
            found["native"] = native.measure(self._lab)
            found["outside"] = from_outside.measure(self._lab)
        found |= {} if way.name == "none" else self._death(way)
        return found

    def told_apart(self, way: Way, marked: bool = True) -> Figures:
        """Measure a LAN host's own MPTCP once more, where the CPE marks its connections and the MCP serves no others.

        `served`: whether the MCP still serves the connections of the CPE.
        """
        policy = TOLD_APART if marked else way.policy
        self.take(replace(way, cpe=("--source-ports", WINDOW), policy=policy))
        found = native.measure(self._lab)
        before = processes.relay_status(self._lab.record, MCP)["counters"]["accepted"]
        done = self._task(way, "first-bytes", count=1)
        after = processes.relay_status(self._lab.record, MCP)["counters"]["accepted"]
        return found | {"served": (len(done["took"]), after - before) == (1, 1), "cpe_options": self.keys}

    def _curl(self) -> Figures:
        """Run curl on a host that addresses the MCP itself. The CPE's relay takes its connections to the SOCKS port
        too."""
        lab = self._lab
        lab.relays[CPE].end()
        box = lab.plan.box(CPE)
        options = (*box.relay, "--port", str(FOREIGN))
        lab.relays[CPE] = processes.upstream_relay(lab.record, lab.host(CPE), len(box.nics), options)
        return socks_client.measure(lab, FOREIGN)

    def _task(self, way: Way, kind: str, **order: Any) -> Figures:
        self._start(way, kind, **order)
        return self._lab.agents[HOST].finish(kind, 90)

    def _start(self, way: Way, kind: str, **order: Any) -> None:
        where = {"dst": self._server, "port": way.port}
        self._lab.agents[HOST].ask("start", name=kind, kind=kind, **where, **order)

    def _set_up(self, way: Way, count: int) -> Figures:
        """Measure the time from the LAN host's SYN to the first byte of the server, ms."""
        self._task(way, "first-bytes", count=3)
        done = self._task(way, "first-bytes", count=count, gap=0.005)
        took = sorted(1000 * s for s in done["took"]) or [0.0]
        return {
            "connections": len(done["took"]),
            "failed": done["failed"],
            "first_byte_ms": {"p50": round(statistics.median(took), 2), "p95": round(_at(took, 0.95), 2)},
        }

    def _added(self, way: Way) -> Figures:
        """Count, per connection, the bytes between the two proxies that are not the host's, and the segments of round
        trips."""
        captures = [self._lab.capture_port(port) for port in ("s1:1", "s2:1")]
        home = self._lab.capture_host(HOST)
        self._task(way, "first-bytes", count=PROBES, gap=0.1)
        self._lab.stop_captures()
        far = [
            s
            for c in captures
            for s in c.segments()
            if {way.addressed, way.port} & {s.flow.sport, s.flow.dport}
        ]
        near = [s for s in home.segments() if way.port in (s.flow.sport, s.flow.dport)]
        data = [s for s in far if s.length]
        return {
            "added_bytes": (_payload(far) - _payload(near)) / PROBES,
            "segments": len(far) / PROBES,
            "data_segments": len(data) / PROBES,
        }

    def _state(self, way: Way) -> Figures:
        """Count, per open connection, the session entries in each switch and the TCP sockets at both proxies."""
        lab = self._lab
        time.sleep(1.0)
        before = self._sockets(CPE), self._sockets(MCP)
        order = {"group": way.name, "dst": self._server, "ports": [way.port], "count": HELD, "first": True}
        lab.agents[HOST].ask("open", **order)
        self._await_joins(HELD if way.name != "none" else 0)
        sockets = self._sockets(CPE) - before[0], self._sockets(MCP) - before[1]
        held = [s for s in subflows(lab.host(MCP)) if s.state == "ESTAB"]
        entries = self._entries({s.flow.dport for s in held})
        lab.agents[HOST].ask("close", group=way.name)
        return {
            "entries": {name: round(n / HELD, 1) for name, n in entries.items() if n},
            "sockets": {"cpe": sockets[0] / HELD, "mcp": sockets[1] / HELD},
            "joined": sum(s.join for s in held) / HELD,
        }

    def _await_joins(self, wanted: int) -> None:
        """Wait a second for joins, or longer where a SYN was lost: the host sends it again after a second."""
        limit = time.monotonic() + 3.0
        time.sleep(1.0)
        while time.monotonic() < limit:
            if sum(s.join for s in subflows(self._lab.host(MCP)) if s.state == "ESTAB") >= wanted:
                return
            time.sleep(0.2)

    def _entries(self, ports: set[int]) -> dict[str, int]:
        """How many entries of each switch match one of these ports, which are ports of subflows."""
        found = dict.fromkeys(self._lab.plan.switches, 0)
        for name in found:
            named = _PORT.findall(ofctl(self._lab.switch(name), "dump-flows"))
            found[name] = sum(int(port) in ports for port in named)
        return found

    def _sockets(self, name: str) -> int:
        return len(self._lab.host(name).pexec("ss -tnHO state established")[0].splitlines())

    def _flow(self, way: Way, size: int) -> Figures:
        """Download so many bytes: goodput, CPU seconds of both proxies for each GB, and bytes of TCP options between
        them."""
        access = self._lab.capture_port("s1:1") if size > SHORT_BYTES else None
        bodies = {"cpe": self._lab.relays[CPE].popen.pid, "mcp": self._body.popen.pid}
        before = {name: _cpu(pid) for name, pid in bodies.items()}
        done = self._task(way, "fetch", bytes=size)
        spent = {name: (_cpu(pid) - before[name]) * 1e9 / size for name, pid in bodies.items()}
        if access is not None:
            self._lab.stop_captures()
        data = [s for s in access.segments() if s.length > 500] if access is not None else []
        options = sum(len(s.raw_options) // 2 for s in data) / len(data) if data else 0.0
        return {
            "bytes": done.get("bytes", 0),
            "error": done.get("error", ""),
            "seconds": round(done.get("seconds", 0.0), 3),
            "mbit": round(done.get("mbit", 0.0), 2),
            "cpu_s_per_gb": {name: round(s, 2) for name, s in spent.items()},
            "option_bytes": round(options, 1),
        }

    def _death(self, way: Way) -> Figures:
        """Kill the MCP: what becomes of an open connection, and of new ones."""
        agent = self._lab.agents[HOST]
        order = {
            "group": "death",
            "dst": self._server,
            "ports": [way.port],
            "first": True,
            "wait": PATIENCE_S,
        }
        agent.ask("open", **order)
        self._body.popen.kill()
        self._body.popen.wait(5.0)
        began = time.monotonic()
        failed = agent.ask("echo", group="death", wait=PATIENCE_S)["failed"]
        said = {"open": _outcome(failed[0] if failed else "", time.monotonic() - began)}
        for name, pause in (("new", 0.0), ("new_later", 4.0)):
            time.sleep(pause)
            began = time.monotonic()
            opened = agent.ask("open", **(order | {"group": name}))["opened"][0]
            said[name] = _outcome(opened.get("error", ""), time.monotonic() - began)
        for name in ("death", "new", "new_later"):
            agent.ask("close", group=name)
        return {"death": said}


def _payload(segments: Sequence[Segment]) -> int:
    """Bytes of data. Bytes that were sent again count once."""
    return sum(length for _flow, _sequence, length in {(s.flow, s.sequence, s.length) for s in segments})


def _outcome(error: str, seconds: float) -> Figures:
    return {"error": error, "seconds": round(seconds, 2)}


def _at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def _cpu(pid: int) -> float:
    """Seconds of user and system time of a process (proc(5), fields 14 and 15); 0 for a process that has ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
