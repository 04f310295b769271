"""A device asks its MCP to keep a port open (N-5.2.1e). A host on the Internet connects to that port of the MCP's
address and reaches the device over both of its accesses. When the lifetime of the binding is over, connections are
reset.

The network of server_initiated.py. No rule has MCPs take connections of servers, so no session entry is made.
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

from topologies.kit import processes
from topologies.kit.captures import CAPABLE, JOIN, distinct
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, running
from topologies.kit.processes import relay_status
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import priorities
from topologies.measures.aggregation import access_bytes
from topologies.networks.server_initiated import ACCESS_MBIT, HOST, MCP
from topologies.networks.server_initiated import PLAN as BASE

INNER, OUTER = 7001, 50_001
SECOND = "10.2.0.2"
SECONDS, SHORT_S = 6.0, 3
OPENED_S = 30.0  # for the MCP to open the port
ROWS = ("N-5.2.1e", "S-14")
PLAN = replace(
    BASE, name="bindings", policy="policy: 1\n", boxes=tuple(replace(box, relay=()) for box in BASE.boxes)
)
KNOCK = (
    "import socket,sys\ns = socket.socket()\ns.settimeout(3)\n"
    f"print(s.connect_ex(('{MCP}', {OUTER})), end='')"
)
REFUSED = "111"  # ECONNREFUSED, which a reset causes


def run(options: Options, report: Report) -> None:
    """Make a binding with the device's own token, use it, renew it, and let it end."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services({"core": [*priorities.way_to_controller(lab, "core"), "--bindings"]})
        processes.serve(lab.record, lab.host("ue"), [INNER], mptcp=True)
        lab.host("ue").run("ip mptcp endpoint flush", f"ip mptcp endpoint add {SECOND} dev ue-eth1 signal")
        lab.start_controller(options.without)
        for access in (HOST, SECOND):
            lab.agents["server"].ask("ping", dst=access, count=3)
        report.equal("before: who knocks is reset", REFUSED, _knock(lab), "kernel")
        bound = _bind(lab, report) if "binding" not in options.without else None
        _transfer(lab, report, options.seconds or SECONDS)
        if bound is not None:
            _over(lab, report, bound)
        if options.prompt:
            lab.command_line()


def _knock(lab: Lab) -> str:
    """Connect from the Internet by plain TCP: 0, or an errno."""
    return str(lab.host("server").pexec([sys.executable, "-c", KNOCK])[0])


def _token(lab: Lab) -> str:
    words = [
        "token",
        "add",
        "--role",
        "device",
        "--name",
        "ue",
        "--json",
        "--state-dir",
        str(lab.controller.state),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "steering", *words], capture_output=True, text=True, check=True
    )
    return str(json.loads(done.stdout)["token"])


def _bind(lab: Lab, report: Report) -> dict[str, Any] | None:
    """Make a binding with the device's own token; None where it is refused. Bindings of other addresses, or before the device
    is paired, are refused."""
    mine = {"Authorization": f"Bearer {_token(lab)}"}
    wish = {"mcp": "core", "ext_port": OUTER, "int_port": INNER, "lifetime_s": 600}
    early = lab.controller.ask("POST", "/v1/bindings", wish, mine)[0]
    lab.controller.ask("PUT", "/v1/pairings/ue", {"addresses": [HOST]}, mine)
    foreign = lab.controller.ask("POST", "/v1/bindings", wish | {"address": "10.1.0.9"}, mine)[0]
    status, bound = lab.controller.ask("POST", "/v1/bindings", wish, mine)
    twice = lab.controller.ask("POST", "/v1/bindings", wish, mine)[0]
    report.equal(
        "bound: unpaired, another's address, its own, once more", [409, 422, 201, 409],
        [early, foreign, status, twice], "REST",
    )  # fmt: skip
    if status != 201:
        return None
    opened = until(lambda: str(OUTER) in relay_status(lab.record, "core")["inbound"]["ports"], OPENED_S)
    report.equal("bound: the MCP opens the port", True, opened, "kernel")
    return {**bound, "headers": mine}


def _transfer(lab: Lab, report: Report, seconds: float) -> None:
    accesses = {"lte": lab.capture_port("s1:1"), "wlan": lab.capture_port("s2:1")}
    at_server = lab.capture_port("s4:1")
    lab.mark()
    before = access_bytes(lab, "ue", received=True)
    lab.say(f"a host on the Internet sends to the MCP's port for {seconds:.0f} s")
    order = {"kind": "upload", "dst": MCP, "port": OUTER, "seconds": seconds}
    lab.agents["server"].ask("start", name="in", **order)
    time.sleep(seconds / 2)
    seen = [s for s in subflows(lab.host("ue")) if s.flow.sport == INNER and s.state == "ESTAB"]
    done = lab.agents["server"].finish("in", seconds + 45)
    got = {name: count - before[name] for name, count in access_bytes(lab, "ue", received=True).items()}
    lab.stop_captures()
    report.equal("the transfer succeeds", "", done.get("error", ""))
    mbit, wanted = done.get("mbit", 0.0), 1.1 * ACCESS_MBIT
    report.rate(
        "goodput of more than one access", mbit > wanted, f"over {wanted:.1f} Mbit/s", f"{mbit:.1f} Mbit/s"
    )
    sent = done.get("bytes", 0)  # without any, what is counted is what hosts tell their neighbours
    report.expect(
        "both accesses carry bytes",
        min(got.values()) > sent / 10 > 0,
        "over a tenth of the transfer each",
        f"{got} of {sent}",
        "kernel",
    )
    report.equal(
        "the device's subflows, and their tokens",
        (2, 1),
        (len(seen), len({s.own_token for s in seen})),
        "kernel",
    )
    syns = [
        (name, s.flow.src, s.flow.dst, kind)
        for name, capture in accesses.items()
        for s in distinct(s for s in capture.segments() if s.syn)
        for kind in (CAPABLE, JOIN)
        if kind in s.options
    ]
    first = [("lte", MCP, HOST, CAPABLE), ("wlan", MCP, SECOND, JOIN)]
    report.equal("first segments to the device: the MCP's own", first, syns, "capture")
    data = [s for s in at_server.segments() if s.length]
    plain = bool(data) and not any(s.options for s in at_server.segments())
    report.expect(
        "the host outside speaks plain TCP",
        plain,
        "data, no MPTCP option",
        f"{len(data)} segments",
        "capture",
    )
    ends = {frozenset((s.flow.src, s.flow.dst)) for s in data}
    report.equal("with the MCP's address", {frozenset((MCP, "10.9.0.2"))}, ends, "capture")
    report.figures["in"] = {"goodput_mbit": round(mbit, 2), "access_bytes": got}
    report.table = [["direction", "goodput", *(f"by {a}" for a in got)]]
    report.table.append(
        ["outside to device", f"{mbit:.1f} Mbit/s", *(f"{n / 1e6:.1f} MB" for n in got.values())]
    )


def _over(lab: Lab, report: Report, bound: dict[str, Any]) -> None:
    """Renew the binding for a short time, and wait until it ends."""
    path = f"/v1/bindings/{bound['id']}"
    status, renewed = lab.controller.ask("PUT", path, {"lifetime_s": SHORT_S}, bound["headers"])
    lasts = (status, *((renewed or {}).get(key) for key in ("lifetime_s", "version")))
    report.equal("renewed for a moment", (200, SHORT_S, 2), lasts, "REST")
    report.equal("meanwhile who knocks is let in", "0", _knock(lab), "kernel")
    time.sleep(SHORT_S + 1.5)
    left = lab.controller.get("/v1/bindings")["bindings"]
    report.equal("its lifetime is over: who knocks is reset", (REFUSED, []), (_knock(lab), left), "kernel")


SCENARIO = Scenario(
    name="bindings",
    figure="draft-nam section 5.2.1",
    rows=ROWS,
    summary="a port that the MCP keeps open for a device: reached from outside over both accesses, reset when it is over",
    plan=PLAN,
    run=run,
    controls=controls(binding="the device binds nothing"),
)
