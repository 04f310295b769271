"""Explicit mode with one virtual address for two MCPs (draft-nam 5.2.1). The controller chooses which of them serves.

    LTE -- s1 -- s3 (core) --+-- s4 -- server        10.8.9.9, the virtual address, is core's and edge's:
    WLAN - s2 -- s5 (edge) --+                       the nearer one is core from LTE, edge from WLAN

Hosts know only that address. Without the controller, a join would go to the MCP that is nearest to its access.
"""

import sys
import time
from dataclasses import dataclass, replace

from topologies.kit.captures import CAPABLE, JOIN
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, running, session_entries
from topologies.kit.plan import Plan, SharedAddress, address_of
from topologies.kit.processes import PROGRAMS
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import explicit_mode as em
from topologies.measures.aggregation import warm_up
from topologies.networks.off_path import PLAN as OFF_PATH

SECONDS, LEFT_S = 5.0, 1.0  # of an upload, and before its end when subflows are listed at last
ACCESS_MBIT, GAIN = 10.0, 1.6
VIRTUAL, SERVER, SERVICE = "10.8.9.9", "10.9.0.2", 5001
LTE, WLAN = "10.1.0.2", "10.2.0.2"
MCPS = ("core", "edge")
PORTS = {"core": "s3:1", "edge": "s5:1"}
ROWS = ("N-5.2.1b", "N-5.2.1c", "D-6.1b", "D-6.2c")


def plan(owners: tuple[str, ...] = MCPS) -> Plan:
    """The network of `off-path`. `owners`: the MCPs that the site file puts behind the virtual address."""
    boxes = (
        replace(
            box,
            relay=("--server-leg", "tcp", "--explicit", f"convert:{em.CONVERT}") if box.name in MCPS else (),
            nics=tuple(replace(nic, mbit=nic.mbit and ACCESS_MBIT) for nic in box.nics),
        )
        for box in OFF_PATH.boxes
    )
    shared = (SharedAddress(VIRTUAL, owners, em.CONVERT),)
    return replace(OFF_PATH, name="virtual-address", boxes=tuple(boxes), virtual=shared)


PLAN = plan()


@dataclass(frozen=True)
class Round:
    """One upload: the access of its first subflow, and the MCP that has to serve it."""

    title: str
    source: str
    mcp: str


ROUNDS = (
    Round("LTE first", LTE, "core"),
    Round("WLAN first", WLAN, "edge"),
    Round("LTE first, core drained", LTE, "edge"),
)


def run(options: Options, report: Report) -> None:
    """Upload once from near each MCP, and once while the nearest MCP is drained. Then send joins with unknown
    tokens."""
    made = plan(MCPS[:1]) if "second-owner" in options.without else PLAN
    with running(made, options.say, options.without, options.keep) as lab:
        for name in MCPS:
            lab.host(name).run(f"ip addr add {VIRTUAL}/32 dev {lab.host(name).interface(0)}")
        lab.start_services()
        lab.start_controller(options.without)
        warm_up(lab, 4)
        lab.host("ue").run(f"ip mptcp endpoint add {LTE} dev {lab.host('ue').interface(0)} subflow")
        report.table = [["first subflow", "served by", "goodput", "subflows there", "session entries"]]
        for number, one in enumerate(ROUNDS):
            if "drained" in one.title:
                lab.controller.request("POST", "/v1/mcps/core/drain")
            transfer(lab, options, report, number, one)
        check_strays(lab, report)
        if options.prompt:
            lab.command_line()


def transfer(lab: Lab, options: Options, report: Report, number: int, one: Round) -> None:
    """Run one upload by Convert to the virtual address, and check it at the accesses, both MCPs and the server."""
    seconds, title, listen = options.seconds or SECONDS, one.title, 7001 + number
    other = next(name for name in MCPS if name != one.mcp)
    via = em.client(lab, "ue", f"convert://{VIRTUAL}:{em.CONVERT}", listen, f"{SERVER}:{SERVICE}",
                    "--from", one.source)  # fmt: skip
    accesses = [lab.capture_port("s1:1"), lab.capture_port("s2:1")]
    at = {name: lab.capture_port(port) for name, port in PORTS.items()}
    server = lab.capture_port("s4:1", em.SYNS)
    lab.mark()
    lab.say(f"{title}: uploading for {seconds:.0f} s")
    order = {"dst": "127.0.0.1", "port": listen, "mptcp": False, "seconds": seconds}
    lab.agents["ue"].ask("start", name=title, kind="upload", **order)
    time.sleep(seconds / 2)
    until(lambda: lab.counted(one.mcp)["MPJoinAckRx"] > 0, max(0.0, seconds / 2 - LEFT_S))
    there = {name: subflows(lab.host(name)) for name in MCPS}
    sessions = [s for s in lab.controller.detailed() if s["state"] == "established" and s["explicit"]]
    entries = session_entries(lab)
    done = lab.agents["ue"].finish(title, seconds + 45)
    via.end()
    lab.stop_captures()
    report.equal(f"{title}: the transfer succeeds", "", done.get("error", ""))
    mbit = done.get("mbit", 0.0)
    report.rate(f"{title}: goodput over one access", mbit >= GAIN * ACCESS_MBIT,
                  f"at least {GAIN * ACCESS_MBIT:.0f} Mbit/s", f"{mbit:.1f} Mbit/s")  # fmt: skip
    em.check_addressed(report, title, accesses, VIRTUAL, (LTE, WLAN))
    first = {name: len(em.syns(at[name].segments(), CAPABLE)) for name in MCPS}
    report.equal(f"{title}: MP_CAPABLE SYNs at each MCP", {one.mcp: 1, other: 0}, first, "capture")
    joins = {name: len(em.syns(at[name].segments(), JOIN)) for name in MCPS}
    report.equal(f"{title}: joins at each MCP", {one.mcp: 1, other: 0}, joins, "capture")
    told = lab.counted("ue")["MPJoinSynTx"], lab.counted(one.mcp)["MPJoinAckRx"]
    report.equal(f"{title}: joins sent, and completed at {one.mcp}", (1, 1), told, "kernel")
    answers = {s.flow.src for s in at[one.mcp].segments() if s.syn_ack and s.options}
    report.equal(f"{title}: {one.mcp} answers as the virtual address", {VIRTUAL}, answers, "capture")
    own = address_of(lab.plan.box(one.mcp), 4)
    begun = {(s.flow.src, s.flow.dst) for s in server.segments() if s.syn}
    report.equal(f"{title}: the server's SYN", {(own, SERVER)}, begun, "capture")
    tokens = sorted({s.own_token for s in there[one.mcp] if s.join})
    account = [(s["token"], s["mcp"], len(s["subflows"])) for s in sessions if s["token"] in tokens]
    wanted = [(token, one.mcp, 2) for token in tokens] or "a session of two subflows"
    report.equal(f"{title}: the controller's account", wanted, account, "REST")
    report.expect(f"{title}: each subflow has its session entry", entries >= 2, "at least 2", entries, "REST")
    row = [title, one.mcp, f"{mbit:.1f} Mbit/s", str(len(there[one.mcp])), str(entries)]
    report.table.append(row)
    report.figures[title] = {"goodput_mbit": round(mbit, 2), "session_entries": entries}


def check_strays(lab: Lab, report: Report) -> None:
    """Check that a join with a token of no session reaches neither MCP, from either access."""
    lab.say("joins to the virtual address with a token of nobody")
    at = {name: lab.capture_port(port, em.SYNS) for name, port in PORTS.items()}
    before = lab.controller.metric("steering_refusals_total", reason="unknown-token")
    lab.mark()
    script = str(PROGRAMS / "stray_join.py")
    for source in (LTE, WLAN):
        lab.host("ue").run(f"{sys.executable} {script} join {source} {VIRTUAL} {em.CONVERT}")
    refused = lab.controller.settled("steering_refusals_total", before + 2, reason="unknown-token") - before
    lab.stop_captures()
    came = {name: len(em.syns(capture.segments(), JOIN)) for name, capture in at.items()}
    report.equal("stray joins at each MCP", dict.fromkeys(MCPS, 0), came, "capture")
    known = {name: lab.counted(name)["MPJoinNoTokenFound"] for name in MCPS}
    report.equal("stray joins counted by the MCPs' kernels", dict.fromkeys(MCPS, 0), known, "kernel")
    report.equal("joins refused for their token", 2.0, refused, "REST")


SCENARIO = Scenario(
    name="virtual-address",
    figure="draft-nam section 5.2.1, Figure 6 (host-based)",
    rows=ROWS,
    summary="one address in front of two MCPs: the controller chooses, joins land on the MCP that has the session",
    plan=PLAN,
    run=run,
    controls=controls(
        "token-lookup",
        "hold-queue",
        second_owner="the site file puts core alone behind the virtual address; edge may not answer as it",
    ),
)
