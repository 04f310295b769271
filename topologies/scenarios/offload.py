"""Bulk traffic moves to WLAN while interactive traffic stays. Ports tell them apart, and both directions move
(draft-deng 3.2).

The off-path network. A host has a bulk transfer, up and later down, and a steady echo. Both use LTE, with WLAN as
backup. Then the policy gets a rule for the bulk port.
"""

import time
from dataclasses import replace

from topologies.kit.lab import Lab
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.aggregation import warm_up
from topologies.measures.priorities import PROMPT_S, WatchedTransfer, expect_priority, expect_wanted, managed
from topologies.networks.off_path import PLAN as OFF_PATH

ROWS = ("D-3.2e", "N-5.6.2b")
UPLOAD, DOWNLOAD, INTERACTIVE = 5001, 5002, 5003
STEP_S = 3.5
STOPPED_S = 1.0  # seconds after an MP_PRIO in which the last data of both sides arrives
MOVED = 500_000  # bytes of bulk in a step, at least
AGAIN = 131_072  # most bytes on the backup, of some 10 MB: at the end the kernel sends what is in flight there once more
STEADY_MBIT = 0.4
BEFORE = """\
policy: 1
rules:
  - {name: rest, then: {usage_mode: active-backup, pooling: {preferred: [cellular, wlan]}}}
"""
AFTER = f"""\
policy: 1
rules:
  - name: bulk
    when: {{port: [{UPLOAD}, {DOWNLOAD}]}}
    then: {{usage_mode: active-backup, pooling: {{preferred: [wlan, cellular]}}}}
  - {{name: rest, then: {{usage_mode: active-backup, pooling: {{preferred: [cellular, wlan]}}}}}}
"""
PLAN = replace(OFF_PATH, name="offload", services=(UPLOAD, DOWNLOAD, INTERACTIVE), policy=BEFORE)


def run(options: Options, report: Report) -> None:
    """Run an upload, then a download, each beside an interactive session."""
    with managed(PLAN, options) as lab:
        warm_up(lab, 4)
        for kind, port in (("upload", UPLOAD), ("download", DOWNLOAD)):
            lab.controller.put_policy(BEFORE)
            _moves(lab, report, kind, port)
        if options.prompt:
            lab.command_line()


def _moves(lab: Lab, report: Report, kind: str, port: int) -> None:
    seen = WatchedTransfer(lab, "ue")
    seen.begin("steady", INTERACTIVE, 2 * STEP_S + 1, mbit=STEADY_MBIT)
    seen.begin(kind, port, 2 * STEP_S + 1)
    time.sleep(STEP_S)
    moved = time.time()
    lab.controller.put_policy(AFTER)
    expect_wanted(lab, report, f"{kind}: bulk", port, {"lte": "backup", "wlan": "active"})
    expect_wanted(lab, report, f"{kind}: interactive", INTERACTIVE, {"lte": "active", "wlan": "backup"})
    done = [seen.finish(p) for p in (port, INTERACTIVE)]
    lab.stop_captures()
    report.equal(f"{kind}: both succeed", [None, None], [one.get("error") for one in done])
    carried = seen.got if kind == "download" else seen.sent
    off = expect_priority(report, kind, seen, "lte", port, moved, True)
    on = expect_priority(report, kind, seen, "wlan", port, moved, False)
    joined = seen.joined("wlan", port, moved)
    waits = [p.time for p in seen.priorities("wlan", port, joined) if p.backup and p.time < moved]
    first = carried("wlan", port, min([*waits, joined + PROMPT_S]) + STOPPED_S, moved)
    report.equal(f"{kind}: bulk bytes on WLAN before the rule", 0, first, "capture")
    for access, begin, end in (("lte", joined, moved), ("wlan", on, float("inf"))):
        n = carried(access, port, begin, end)
        report.expect(
            f"{kind}: bulk bytes on {access} when it carries", n > MOVED, f"> {MOVED}", n, "capture"
        )
    late = carried("lte", port, off + STOPPED_S)
    report.expect(f"{kind}: bulk bytes on LTE from then on", late <= AGAIN, f"<= {AGAIN}", late, "capture")
    joined = seen.joined("wlan", INTERACTIVE, moved)
    stayed = {
        name: seen.sent(name, INTERACTIVE, joined + STOPPED_S)
        + seen.got(name, INTERACTIVE, joined + STOPPED_S)
        for name in ("lte", "wlan")
    }
    held = stayed["wlan"] == 0 and stayed["lte"] > 100_000
    report.expect(
        f"{kind}: interactive bytes stay on LTE, both ways", held, "> 100 kB, none on WLAN", stayed, "capture"
    )
    report.figures[kind] = {"mbit": done[0].get("mbit"), "interactive_gap_s": done[1].get("longest_gap_s")}


SCENARIO = Scenario(
    name="offload",
    figure="draft-deng section 3.2",
    rows=ROWS,
    summary="bulk ports move to WLAN up and down while an interactive session stays on LTE",
    plan=PLAN,
    run=run,
    controls=controls(agent="the MCP is not told what policy wants of live subflows"),
)
