"""The off-path lab over IPv6: the same network, the same checks."""

from dataclasses import replace

from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.aggregation import off_then_on
from topologies.networks.off_path import PLAN as OFF_PATH

ROWS = ("D-F3", "D-4.2c", "D-4.d")
PLAN = replace(OFF_PATH, name="off-path-v6")


def run(options: Options, report: Report) -> None:
    """Run with steering off, then on, over IPv6."""
    off_then_on(PLAN, 6, options, report)


SCENARIO = Scenario(
    name="off-path-v6",
    figure="draft-deng Figure 3, IPv6",
    rows=ROWS,
    summary="the off-path lab over IPv6",
    plan=PLAN,
    run=run,
    controls=controls("steering", "wrong-mcp"),
)
