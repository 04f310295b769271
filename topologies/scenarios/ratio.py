"""A ratio for the available paths: two equal accesses carry 3:1 of a session's data, and 1:3 when the policy says so
(draft-deng 6.6k).

The off-path network, with one transfer up and one down. The kernel's scheduler has no weights. So the MCP sets the
access of the smaller share to backup, by MP_PRIO, whenever that access has carried more than its share.
"""

import time
from dataclasses import replace

from topologies.kit.lab import Lab
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.aggregation import access_bytes, warm_up
from topologies.measures.priorities import WatchedTransfer, managed
from topologies.networks.off_path import ACCESS_MBIT
from topologies.networks.off_path import PLAN as OFF_PATH

UPLOAD, DOWNLOAD = 5001, 5002
ROWS = ("D-6.6k",)
TOLERANCE = 10  # percentage points
SETTLE_S = 3.0  # seconds after a change
STEP_S = 8.0
LEAST = (
    1.1  # least rate, as a multiple of the rate of one access: an almost idle session would keep any ratio
)


def _policy(lte: int, wlan: int) -> str:
    shares = f"ratio: {{lte: {lte}, wlan: {wlan}}}"
    return f"policy: 1\nrules:\n  - {{name: weighted, then: {{distribution: ratio, {shares}}}}}\n"


PLAN = replace(OFF_PATH, name="ratio", services=(UPLOAD, DOWNLOAD), policy=_policy(3, 1))


def run(options: Options, report: Report) -> None:
    """Run an upload and then a download, each with both ratios."""
    with managed(PLAN, options) as lab:
        warm_up(lab, 4)
        report.table = [["transfer", "ratio", "lte", "wlan", "goodput"]]
        for kind, port in (("upload", UPLOAD), ("download", DOWNLOAD)):
            lab.controller.put_policy(_policy(3, 1))
            _transfer(lab, report, kind, port)
        if options.prompt:
            lab.command_line()


def _transfer(lab: Lab, report: Report, kind: str, port: int) -> None:
    """Run one transfer. At half its time the policy inverts the ratio."""
    down = kind == "download"
    seen = WatchedTransfer(lab, "ue")
    seen.begin(kind, port, 2 * (SETTLE_S + STEP_S))
    times, counts = [], []
    for step in range(2):
        time.sleep(SETTLE_S)
        times.append(time.time())
        counts.append(access_bytes(lab, "ue", down))
        time.sleep(STEP_S - 0.5)
        times.append(time.time())
        counts.append(access_bytes(lab, "ue", down))
        said = {
            s["access_network"]: s["share"]
            for one in lab.controller.detailed()
            for s in one["subflows"]
            if s["dport"] == port
        }
        wanted = {"lte": 1, "wlan": 3} if step else {"lte": 3, "wlan": 1}
        report.equal(f"{kind}: shares wanted, part {step + 1}", wanted, said, "REST")
        if not step:
            lab.controller.put_policy(_policy(1, 3))
            time.sleep(0.5)
    done = seen.finish(port)
    lab.stop_captures()
    report.equal(f"{kind}: it succeeds", None, done.get("error"))
    for step, (words, part) in enumerate((("3:1", 75), ("1:3", 25))):
        begin, end = times[2 * step : 2 * step + 2]
        moved = {name: (seen.got if down else seen.sent)(name, port, begin, end) for name in ("lte", "wlan")}
        before, after = counts[2 * step : 2 * step + 2]
        crossed = {name: after[name] - before[name] for name in ("lte", "wlan")}
        for what, view in ((moved, "capture"), (crossed, "kernel")):
            share = 100 * what["lte"] / max(1, sum(what.values()))
            report.expect(
                f"{kind}, {words}: LTE's part of the bytes",
                abs(share - part) <= TOLERANCE,
                f"{part} ± {TOLERANCE} %",
                f"{share:.0f} %",
                view,
            )
        mbit = sum(moved.values()) * 8 / (end - begin) / 1e6
        report.expect(
            f"{kind}, {words}: they are not stifled",
            mbit > LEAST * ACCESS_MBIT,
            f"> {LEAST * ACCESS_MBIT:.0f} Mbit/s",
            f"{mbit:.1f} Mbit/s",
            "capture",
        )
        report.table.append([kind, words, *(f"{moved[n] / 1e6:.1f} MB" for n in moved), f"{mbit:.1f} Mbit/s"])
    report.figures[kind] = {"mbit": done.get("mbit")}


SCENARIO = Scenario(
    name="ratio",
    figure="draft-deng section 6.6k",
    rows=ROWS,
    summary="two accesses share 3:1, and 1:3 once the policy says so, up and down",
    plan=PLAN,
    run=run,
    controls=controls("ratio-limits"),
)
