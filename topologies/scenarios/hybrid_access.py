"""Hybrid access with an MCP in the CPE, and one in the network that is on no natural path (draft-nam Figures 3 and 5).

Two hosts of plain TCP behind the CPE send and receive over DSL and LTE at once. The server sees plain TCP.
"""

from topologies.kit.lab import running
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.cpe_transfer import check_dual, observed, warm_up
from topologies.measures.home_life import (
    check_cut,
    check_ineligible,
    check_memory,
    check_secure,
    check_sluggish,
    count_keys,
)
from topologies.networks.hybrid import off_path, with_relay

SECONDS = 5.0
MCP = "core"
KEYS = 40  # most keys in the site file of TP-5 (S-17)
ROWS = (
    "D-1.c", "D-1.p1", "D-1.p2", "D-F1", "D-3.1b", "D-5.4a", "D-5.4d", "D-5.4e", "N-1.b",
    "N-3.3", "N-4.2a", "N-F3", "N-F5", "S-1", "S-2", "S-6", "S-7", "S-15",
    "S-17", "S-17a", "S-19", "S-21", "S-F1", "S-F2",
)  # fmt: skip
PLAN = off_path("hybrid-access")


def run(options: Options, report: Report) -> None:
    """Upload from one host, download to the other, then check the daily life of a home."""
    seconds = options.seconds or SECONDS
    plan = with_relay(PLAN, "cpe", "--server-leg", "tcp") if "cpe" in options.without else PLAN
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        warm_up(lab)
        for host, kind in (("lan1", "upload"), ("lan2", "download")):
            seen = observed(lab, host, kind, seconds)
            check_dual(report, f"{kind} at {host}", seen, lab, MCP)
            report.figures[kind] = {"goodput_mbit": round(seen.mbit, 2)}
        options.say("HTTPS, what is not eligible, 200 sessions")
        check_secure(lab, report)
        check_ineligible(lab, report)
        check_memory(lab, report)
        check_sluggish(lab, report)
        report.figures["site_keys"] = keys = count_keys(lab.controller.site)
        report.expect("keys in the site file", keys <= KEYS, f"at most {KEYS}", keys)
        check_cut(lab, report)
        if options.prompt:
            lab.command_line()


SCENARIO = Scenario(
    name="hybrid-access",
    figure="draft-nam Figures 3 and 5, draft-deng Figure 1",
    rows=ROWS,
    summary="plain hosts behind a CPE's MCP use DSL and LTE at once; the network's MCP is on no natural path",
    plan=PLAN,
    run=run,
    controls=controls("steering", cpe="the CPE dials plain TCP: one access at a time"),
)
