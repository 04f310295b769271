"""Mobile broadband: a CPE with LTE and WLAN in place of DSL and LTE (draft-nam section 4.2).

All else is as in hybrid-access: plain hosts, an MCP in the CPE, and one in the network that is on no natural path.
"""

from topologies.kit.lab import running
from topologies.kit.plan import Attachment
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.cpe_transfer import check_dual, observed, warm_up
from topologies.networks.hybrid import DSL, LTE, off_path, with_relay

SECONDS = 5.0
ROWS = ("N-4.2b",)
PLAN = off_path(
    "hybrid-mobile",
    accesses=(
        Attachment("lte", DSL, ("s1:1",), "cellular"),
        Attachment("wlan", LTE, ("s2:1",), "wlan"),
    ),
)


def run(options: Options, report: Report) -> None:
    """Have one plain host send and another receive."""
    plan = with_relay(PLAN, "cpe", "--server-leg", "tcp") if "cpe" in options.without else PLAN
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        warm_up(lab)
        for host, kind in (("lan1", "upload"), ("lan2", "download")):
            seen = observed(lab, host, kind, options.seconds or SECONDS)
            check_dual(report, f"{kind} at {host}", seen, lab, "core")
            report.figures[kind] = {"goodput_mbit": round(seen.mbit, 2)}
        if options.prompt:
            lab.command_line()


SCENARIO = Scenario(
    name="hybrid-mobile",
    figure="draft-nam section 4.2",
    rows=ROWS,
    summary="plain hosts behind a CPE's MCP use LTE and WLAN at once; the network's MCP is on no natural path",
    plan=PLAN,
    run=run,
    controls=controls("steering", cpe="the CPE dials plain TCP: one access at a time"),
)
