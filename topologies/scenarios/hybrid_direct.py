"""Hybrid access without the network's MCP: the CPE's MPTCP goes end to end to a server that speaks MPTCP (draft-deng
5.4).

It also shows what the network's MCP is good for: without it, a server whose firewall drops MP_CAPABLE costs three
seconds.
"""

import time

from topologies.kit.captures import JOIN
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Kind, address_of
from topologies.kit.processes import relay_status
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.cpe_transfer import GAIN, observed, syns, warm_up
from topologies.networks.hybrid import ACCESS_MBIT, CPE, SERVICE, off_path

SECONDS = 4.0
SLOW_S, QUICK_S = 2.5, 0.5  # seconds to the first byte, without the MCP at least and with it at most
ROWS = ("D-5.4b", "D-5.4c")
PLAN = off_path("hybrid-direct", Kind.M_SERVER)
WITHOUT_MCP = """\
policy: 1
rules: [{name: no-mcp, then: {action: bypass}}]
"""
NO_OPTION = "tcp flags & (syn | ack) == syn tcp option mptcp exists drop"


def run(options: Options, report: Report) -> None:
    """Run with the network's MCP disabled, then enabled."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        with_mcp = lab.controller.policy.read_text()
        lab.controller.policy.write_text(WITHOUT_MCP)
        lab.start_controller(options.without)
        warm_up(lab)
        check_direct(lab, report, options.seconds or SECONDS)
        lab.host("server").run(
            "nft add table inet firewall",
            "nft add chain inet firewall pre { type filter hook prerouting priority -300 ; }",
            f"nft add rule inet firewall pre {NO_OPTION}",
        )
        slow = first_byte(lab)
        report.expect(
            "no MCP: first byte of a server that drops MP_CAPABLE",
            slow >= SLOW_S,
            f"over {SLOW_S} s",
            f"{slow:.2f} s",
        )
        lab.controller.stop()
        if "mcp" not in options.without:
            lab.controller.policy.write_text(with_mcp)
        lab.start_controller(options.without)
        before = _accepted(lab)
        quick = first_byte(lab)
        report.expect(
            "with the MCP: first byte of that server", quick < QUICK_S, f"under {QUICK_S} s", f"{quick:.2f} s"
        )
        report.equal("with the MCP: it took the connection", 1, _accepted(lab) - before, "kernel")
        if options.prompt:
            lab.command_line()
        report.figures["first_byte_s"] = {"without": round(slow, 2), "with": round(quick, 2)}


def check_direct(lab: Lab, report: Report, seconds: float) -> None:
    """D-5.4b: the CPE's joins end at the server itself."""
    before = _accepted(lab)
    seen = observed(lab, "lan1", "upload", seconds)
    report.equal("no MCP: the transfer succeeds", "", seen.done.get("error", ""))
    report.rate(
        "no MCP: goodput over one access",
        seen.mbit >= GAIN * ACCESS_MBIT,
        f"at least {GAIN * ACCESS_MBIT:.0f} Mbit/s",
        f"{seen.mbit:.1f} Mbit/s",
    )
    report.expect(
        "no MCP: joins of the CPE, completed at the server",
        seen.count("cpe", "MPJoinSynTx") == seen.count("server", "MPJoinAckRx") >= 1,
        "as many, and at least one",
        f"{seen.count('cpe', 'MPJoinSynTx')} sent, {seen.count('server', 'MPJoinAckRx')} completed",
        "kernel",
    )
    joined = {s.flow.src for s in syns(seen.segments("server"), JOIN)}
    report.equal("no MCP: whence joins reach the server", {address_of(CPE, 4, 2)}, joined, "capture")
    told = sum(bool(s.options) for s in seen.segments("lan"))
    report.equal("no MCP: segments with an MPTCP option at the lan", 0, told, "capture")
    report.equal("no MCP: connections at the network's MCP", 0, _accepted(lab) - before, "kernel")
    report.equal("no MCP: sessions of the controller", [], seen.sessions, "REST")
    report.figures["goodput_mbit"] = round(seen.mbit, 2)


def first_byte(lab: Lab) -> float:
    """Open a connection of a plain host: seconds until its first answer."""
    order = {"group": "first", "dst": address_of(lab.plan.box("server"), 4), "ports": [SERVICE]}
    began = time.monotonic()
    lab.agents["lan1"].ask("open", first=True, wait=10.0, **order)
    return time.monotonic() - began


def _accepted(lab: Lab) -> int:
    found: int = relay_status(lab.record, "core")["counters"]["accepted"]
    return found


SCENARIO = Scenario(
    name="hybrid-direct",
    figure="draft-deng section 5.4",
    rows=ROWS,
    summary="a CPE's MCP with an MPTCP server and no MCP in the network; and how long a fallback takes without one",
    plan=PLAN,
    run=run,
    controls=controls("steering", mcp="the network's MCP stays disabled"),
)
