"""The off-path lab over IPv6: the same network, the same claims."""

import sys
from dataclasses import replace
from pathlib import Path

# `mn --custom` runs this file by its path, outside its package.
sys.path.append(str(Path(sys._getframe().f_code.co_filename).resolve().parents[1]))

from topologies.aggregation import off_then_on
from topologies.network import topology
from topologies.off_path import PLAN as OFF_PATH
from topologies.report import Report
from topologies.scenario import Options, Scenario, controls

ROWS = ("D-F3", "D-4.2c", "D-4.d")
PLAN = replace(OFF_PATH, name="off-path-v6")


def run(options: Options, report: Report) -> None:
    """Steering off, then on, over IPv6."""
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
topos = {"off-path-v6": topology(PLAN)}
