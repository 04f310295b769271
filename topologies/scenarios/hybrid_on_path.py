"""Hybrid access with the network's MCP on the default path (IETF 98 slides, next steps).

The MCP stands between s3 and the gateway s4, so both accesses pass it. It takes only connections that a CPE has
marked by their source port.
"""

from dataclasses import replace

from topologies.kit.lab import running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.cpe_transfer import check_dual, observed, warm_up
from topologies.networks.hybrid import ACCESSES, CPE, DSL, HOME, LTE, NET, SERVICE

SECONDS = 5.0
WINDOW = "49152-50175"
ROWS = ("S-28",)


def plan(marked: bool = True) -> Plan:
    """The plan. The MCP takes marked connections. `marked`: whether the CPE marks its connections."""
    cpe = replace(CPE, relay=(*CPE.relay, "--source-ports", WINDOW) if marked else CPE.relay)
    return Plan(
        name="hybrid-access-on-path",
        switches=("s1", "s2", "s3", "s4"),
        wires=(Wire("s1:2", "s3:2"), Wire("s2:2", "s3:3")),
        boxes=(
            *(box for box in HOME if box.name != "cpe"),
            cpe,
            Box(
                "core",
                Kind.MCP,
                (Nic("s3:1", ("10.8.0.2/24", "fd00:8::2/64")), Nic("s4:2", ("10.8.1.2/24", "fd00:18::2/64"))),
                relay=(
                    *("--interception", "mptcp", "--inside", "core-eth0"),
                    *("--server-leg", "tcp", "--marked-ports", WINDOW),
                ),
                inward=(*DSL, *LTE),
            ),
            Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24", "fd00:9::2/64")),)),
        ),
        accesses=ACCESSES,
        gateways=(Attachment("internet", NET, ("s4:1",)),),
        points=(Point("core", "s3:1", ("10.8.0.2", "10.8.1.2", "fd00:8::2", "fd00:18::2"), outside="s4:2"),),
        services=(SERVICE,),
    )


PLAN = plan()


def run(options: Options, report: Report) -> None:
    """Have a plain host send and receive."""
    made = plan("mark" not in options.without)
    with running(made, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        warm_up(lab)
        for host, kind in (("lan1", "upload"), ("lan2", "download")):
            seen = observed(lab, host, kind, options.seconds or SECONDS)
            check_dual(report, f"{kind} at {host}", seen, lab, "core", "natural")
            report.figures[kind] = {"goodput_mbit": round(seen.mbit, 2)}
        if options.prompt:
            lab.command_line()


SCENARIO = Scenario(
    name="hybrid-access-on-path",
    figure="draft-nam Figure 5, the concentrator in line",
    rows=ROWS,
    summary="plain hosts behind a CPE's MCP use DSL and LTE at once; the network's MCP is on the default path",
    plan=PLAN,
    run=run,
    controls=controls(mark="the CPE does not mark what it opens, and the in-line MCP leaves it alone"),
)
