"""A data centre with one MCP (draft-nam 4.3, use case 2): clients speak plain TCP, and both links inside are used.

The MCP stands in line at the entrance. It takes plain TCP, and speaks MPTCP to a server with two addresses.

    client -- s1 == entrance == s2 --+-- s3 -- server (10.9.0.2)
                                     +-- s4 -- server (10.9.1.2, announced by it)
"""

from topologies.kit.lab import running
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.data_center_transfer import SECONDS, transfer, warm_up
from topologies.networks.data_center import plan

ROWS = ("N-3.2", "N-4.3a", "N-F2")


PLAN = plan()


def run(options: Options, report: Report) -> None:
    """Have the client send and then receive by plain TCP."""
    made = plan("tcp") if "mptcp-leg" in options.without else PLAN
    with running(made, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        warm_up(lab)
        for kind in ("upload", "download"):
            options.say(f"{kind} of the client for {options.seconds or SECONDS:.0f} s")
            transfer(lab, report, kind, options.seconds or SECONDS)
        if options.prompt:
            lab.command_line()


SCENARIO = Scenario(
    name="data-center",
    figure="draft-nam Figure 2",
    rows=ROWS,
    summary="plain clients of a server with two addresses: the MCP at the entrance uses both links",
    plan=PLAN,
    run=run,
    controls=controls(mptcp_leg="the MCP offers the server plain TCP"),
)
