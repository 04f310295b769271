"""Implicit mode used by a CPE, the second half of draft-nam Figure 7: uMCP@1 to the server's address, uMCP@2 to
dMCP@.

Hybrid access. The network's MCP announces its own address (ADD_ADDR) and asks not to be joined by the server's (C
flag). The CPE's kernel obeys: from its other uplink it joins the MCP's address. The server sees the address uMCP@1.
"""

from topologies.kit.captures import ADD_ADDR, C_FLAG, CAPABLE, JOIN, frames
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Plan, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.cpe_transfer import ObservedTransfer, check_chain, observed, syns, warm_up
from topologies.networks.hybrid import CPE, SERVICE, off_path, with_relay

ACCESS_MBIT = 10.0
SECONDS = 5.0
ROWS = ("N-F7", "N-5.2.2a", "N-5.2.2b", "N-5.2.2c", "N-5.2.2d", "N-5.2.2e")
BASE = off_path("implicit-cpe", mbit=ACCESS_MBIT)
MCP = address_of(BASE.box("core"), 4)


def plan(without: tuple[str, ...] = ()) -> Plan:
    """The plan, in which the network's MCP sends both signals, without those that a negative control leaves out."""
    words = () if "advertising" in without else ("--advertise", MCP)
    return with_relay(BASE, "core", *words, *(() if "c-flag" in without else ("--c-flag",)))


PLAN = plan()


def run(options: Options, report: Report) -> None:
    """Have one plain host send and another receive."""
    with running(plan(options.without), options.say, options.without, options.keep) as lab:
        lab.start_services()
        if "fullmesh" in options.without:
            _narrow(lab)
        lab.start_controller(options.without)
        warm_up(lab)
        for host, kind in (("lan1", "upload"), ("lan2", "download")):
            before = lab.controller.metric("steering_joins_total", result="own-address")
            seen = observed(lab, host, kind, options.seconds or SECONDS)
            check(report, lab, f"{kind} at {host}", seen)
            admitted = lab.controller.metric("steering_joins_total", result="own-address") - before
            report.expect(f"{kind} at {host}: joins to its own address that the controller admitted",
                          admitted >= 1, "at least 1", admitted, "REST")  # fmt: skip
            report.figures[kind] = {"goodput_mbit": round(seen.mbit, 2)}
        if options.prompt:
            lab.command_line()


def _narrow(lab: Lab) -> None:
    """Have the CPE's second uplink join only at the address to which the session was opened."""
    cpe = lab.host("cpe")
    listed, _, _ = cpe.pexec("ip mptcp endpoint show")
    for line in listed.splitlines():
        if "fullmesh" in line:
            cpe.run(f"ip mptcp endpoint change id {line.split()[2]} nofullmesh")


def check(report: Report, lab: Lab, title: str, seen: ObservedTransfer) -> None:
    """The CPE's half of N-F7: the addresses on each leg, the order of the subflows, and the address that the server
    sees."""
    server, wan = address_of(lab.plan.box("server"), 4), address_of(CPE, 4, 1)
    check_chain(report, title, seen, lab, "core", (server, MCP))
    dsl, lte = seen.segments("dsl"), seen.segments("lte")
    opened, joined = syns(dsl, CAPABLE), syns([*dsl, *lte], JOIN)
    announced = [s for s in dsl if ADD_ADDR in s.options and s.flow.src == server]
    times = [min((s.time for s in some), default=0.0) for some in (opened, announced, joined)]
    report.expect(f"{title}: SYN, then ADD_ADDR, then MP_JOIN", 0 < times[0] < times[1] < times[2],
                  "in this order", [round(t - times[0], 4) for t in times], "capture")  # fmt: skip
    file = seen.captures["dsl"].file
    report.equal(f"{title}: SYN/ACKs with the C flag", 1, frames(file, C_FLAG), "capture")
    echoed = seen.count("core", "EchoAdd")
    report.expect(f"{title}: ADD_ADDR's echo by the CPE", echoed >= 1, "at least 1", echoed, "kernel")
    begun = {s.flow.src for s in seen.segments("server") if s.syn and s.flow.dport == SERVICE}
    report.equal(f"{title}: the server sees the CPE's first address", {wan}, begun, "capture")


SCENARIO = Scenario(
    name="implicit-cpe",
    figure="draft-nam Figure 7 (CPE)",
    rows=ROWS,
    summary="implicit mode by a CPE: opened to the server's address, joined at the MCP's own from the other uplink",
    plan=PLAN,
    run=run,
    controls=controls(
        "token-lookup",
        advertising="the MCP announces no address",
        c_flag="the CPE is not asked to leave the server's address alone",
        fullmesh="the CPE's second uplink does not go for what the MCP announces",
    ),
)
