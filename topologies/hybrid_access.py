"""Hybrid access with an MCP in the CPE and one in the network that lies on no natural path (draft-nam Figures 3 and 5).

Two plain hosts behind the CPE send and receive over DSL and LTE at once; the server sees plain TCP.
"""

import sys
import time
from pathlib import Path

# `mn --custom` runs this file by its path, outside its package.
sys.path.append(str(Path(sys._getframe().f_code.co_filename).resolve().parents[1]))

from topologies.hybrid import SERVICE, Watch, check_dual, off_path, with_relay
from topologies.lab import Lab, running
from topologies.network import topology
from topologies.plan import address_of
from topologies.report import Report
from topologies.scenario import Options, Scenario, controls

SECONDS = 5.0
SETTLED_S = 1.5
MCP = "core"
ROWS = ("D-1.c", "D-1.p1", "D-F1", "D-3.1b", "D-5.4a", "N-1.b", "N-3.3", "N-4.2a", "N-F3", "N-F5")
PLAN = off_path("hybrid-access")


def run(options: Options, report: Report) -> None:
    """Up from one host, down to the other, then what is not eligible."""
    seconds = options.seconds or SECONDS
    plan = with_relay(PLAN, "cpe", "--server-leg", "tcp") if "cpe" in options.without else PLAN
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        warm_up(lab)
        for host, kind in (("lan1", "upload"), ("lan2", "upload")):
            options.say(f"{kind} at {host} for {seconds:.0f} s")
            watch = Watch(lab, host)
            order = {"dst": address_of(plan.box("server"), 4), "port": SERVICE, "seconds": seconds}
            lab.agents[host].ask("start", name="task", kind=kind, **order)
            time.sleep(SETTLED_S)
            watch.look()
            seen = watch.finish(lab.agents[host].finish("task", seconds + 45))
            check_dual(report, f"{kind} at {host}", seen, lab, MCP)
        if options.prompt:
            lab.command_line()


def warm_up(lab: Lab) -> None:
    """Neighbours are found before anything is measured, on every leg."""
    target = address_of(lab.plan.box("server"), 4)
    for nic in (1, 2):
        source = address_of(lab.plan.box("cpe"), 4, nic)
        lab.host("cpe").pexec(f"ping -c 3 -i 0.2 -W 1 -I {source} {target}")
    for host in ("lan1", "lan2"):
        lab.agents[host].ask("ping", dst=target, count=2)


SCENARIO = Scenario(
    name="hybrid-access",
    figure="draft-nam Figures 3 and 5, draft-deng Figure 1",
    rows=ROWS,
    summary="plain hosts behind a CPE's MCP use DSL and LTE at once; the network's MCP is on no natural path",
    plan=PLAN,
    run=run,
    controls=controls("steering", cpe="the CPE dials plain TCP: one access at a time"),
)
topos = {"hybrid-access": topology(PLAN)}
