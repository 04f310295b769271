"""Off-path MCP, draft-deng Figure 3: the natural path of the second access misses the MCP's switch.

LTE enters at s1 and reaches the gateway s4 by s3, to which the MCP `core` is attached. WLAN enters at s2 and reaches
s4 without s3. The MCP `edge`, behind s5, is a decoy. The server does not speak MPTCP.
"""

from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.aggregation import off_then_on
from topologies.networks.off_path import PLAN

ROWS = ("D-F1", "D-F3", "D-4.2c", "D-4.c", "D-4.d", "D-1.a", "D-1.b", "D-6.1b")


def run(options: Options, report: Report) -> None:
    """Run with steering off, then on, over IPv4."""
    off_then_on(PLAN, 4, options, report)


SCENARIO = Scenario(
    name="off-path",
    figure="draft-deng Figure 3",
    rows=ROWS,
    summary="off-path MCP: steering off, then on; the WLAN subflow has to leave its natural path",
    plan=PLAN,
    run=run,
    controls=controls("steering", "wrong-mcp"),
)
