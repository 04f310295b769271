"""Explicit mode used by a CPE, the second half of draft-nam Figure 6, and Figure 14: uMCP@1 and uMCP@2 to dMCP@.

Hybrid access. The CPE connects to its MCP and names the destination by Convert, then by SOCKS. Hosts of the LAN
connect to the server and know nothing of that. No session has an entry in a switch. The server sees the MCP's
address.
"""

import sys

from topologies.kit import processes
from topologies.kit.captures import JOIN
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Plan, address_of
from topologies.kit.processes import PROGRAMS
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import explicit_mode as em
from topologies.measures.cpe_transfer import check_chain, observed, warm_up
from topologies.networks.hybrid import SERVICE, off_path, with_relay

ACCESS_MBIT = 10.0
SECONDS = 4.0
ROWS = ("N-F6", "N-F14", "N-5.2.1b", "N-5.2.1c", "N-5.2.1d")
BASE = with_relay(off_path("explicit-cpe", mbit=ACCESS_MBIT), "core", *em.OFFERS)
MCP = address_of(BASE.box("core"), 4)
WAYS = (("convert", em.CONVERT, "lan1", "upload"), ("socks", em.SOCKS, "lan2", "download"))


def plan(way: str = "convert", port: int = em.CONVERT) -> Plan:
    """The plan. `way` and `port`: the options by which the CPE's relay is told its MCP."""
    return with_relay(BASE, "cpe", "--via", f"{way}://{MCP}:{port}")


PLAN = plan()


def run(options: Options, report: Report) -> None:
    """Use Convert, then SOCKS. Each time one plain host sends and another receives."""
    with running(BASE, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        warm_up(lab)
        for way, port, host, kind in WAYS:
            _transfer(lab, options, report, way, port, host, kind)
        _stray(lab, report)
        if options.prompt:
            lab.command_line()


def _transfer(lab: Lab, options: Options, report: Report, way: str, port: int, host: str, kind: str) -> None:
    if "via" not in options.without:
        lab.relays["cpe"].end()
        words = plan(way, port).box("cpe").relay
        lab.relays["cpe"] = processes.upstream_relay(lab.record, lab.host("cpe"), 3, words)
    title = f"{way}, {kind} at {host}"
    seen = observed(lab, host, kind, options.seconds or SECONDS)
    check_chain(report, title, seen, lab, "core", (MCP, MCP), port)
    server = address_of(lab.plan.box("server"), 4)
    begun = {(s.flow.src, s.flow.dst) for s in seen.segments("server") if s.syn and s.flow.dport == SERVICE}
    report.equal(f"{title}: the server's SYN", {(MCP, server)}, begun, "capture")
    told = [s["explicit"] for s in seen.sessions]
    report.equal(f"{title}: the controller's account, explicit", [True], told, "REST")
    report.equal(f"{title}: session entries in switches", 0, seen.entries, "REST")
    if way == "convert":
        _, first = em.first_bytes(seen.captures["dsl"], MCP, port)
        wanted = em.connect_bytes(server, SERVICE)
        report.equal(f"{title}: the first bytes", wanted.hex(), first[: len(wanted)].hex(), "capture")
    report.figures[title] = {"goodput_mbit": round(seen.mbit, 2)}


def _stray(lab: Lab, report: Report) -> None:
    """Send a join with a token of no session from the CPE's own address. It must not reach the MCP."""
    core = lab.capture_port("s4:1", em.SYNS)
    script = str(PROGRAMS / "stray_join.py")
    lab.host("cpe").run(f"{sys.executable} {script} join 10.2.0.2 {MCP} {em.CONVERT}")
    refused = lab.controller.settled("steering_refusals_total", 1, reason="unknown-token")
    lab.stop_captures()
    came = [s for s in em.syns(core.segments(), JOIN) if s.token == em.STRANGER]
    report.equal("stray joins captured at core", 0, len(came), "capture")
    report.expect("joins refused for their token", refused >= 1, "at least 1", refused, "REST")


SCENARIO = Scenario(
    name="explicit-cpe",
    figure="draft-nam Figures 6 (CPE) and 14",
    rows=ROWS,
    summary="a CPE names its MCP by Convert or SOCKS: both uplinks to the MCP's address, no entry, joins checked",
    plan=PLAN,
    run=run,
    controls=controls("hold-queue", via="the CPE is not told its MCP and leaves it to the network"),
)
