"""How a session uses its accesses, draft-deng section 1: native, active/backup, single, and a quota.

The off-path network. Each way has a service port of its own, so that one policy holds all ways at once (N-5.6.2c).
The host is not configured for any: its kernel joins from WLAN whenever it can, and gets MP_PRIO from the MCP.
"""

import time
from dataclasses import replace

from topologies.kit.lab import Lab
from topologies.kit.network import add_endpoints, drop_endpoints
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures.aggregation import warm_up
from topologies.measures.priorities import (
    WatchedTransfer,
    cable,
    expect_little_before,
    expect_priority,
    expect_wanted,
    managed,
    wanted,
)
from topologies.networks.off_path import ACCESS_MBIT
from topologies.networks.off_path import PLAN as OFF_PATH
from topologies.programs.lateness import Lateness

NATIVE, BACKUP, SINGLE, QUOTA = 5001, 5002, 5003, 5004
QUOTA_BYTES = 5_000_000
LTE_PORT = "s1:1"
SEEN_S = 5.0  # most that is waited for what the controller has to see while a transfer lives
FALLBACKS = (
    "MPCapableFallbackSYNACK", "MPCapableSYNTXDrop", "MPCapableSYNTXDisabled", "MPCapableDataFallback", "DssFallback",
)  # fmt: skip
STOPPED_S = 0.8  # seconds after an MP_PRIO in which what the host's kernel had given to a subflow leaves it
# Bytes that a backup subflow may carry before its host has been told: in 0.2 s at an access's rate, of some ten seconds.
SLIPPED = 500_000
POLICY = f"""\
policy: 1
timers: {{sweep: 1}}
rules:
  - {{name: native, when: {{port: {NATIVE}}}, then: {{usage_mode: native}}}}
  - {{name: backup, when: {{port: {BACKUP}}}, then: {{usage_mode: active-backup}}}}
  - {{name: single, when: {{port: {SINGLE}}}, then: {{usage_mode: single}}}}
  - {{name: quota, when: {{port: {QUOTA}}}, then: {{pooling: {{quota_bytes: {{cellular: {QUOTA_BYTES}}}}}}}}}
"""

ROWS = (
    "D-1.m1", "D-1.m2", "D-1.m3", "D-3.3b", "N-0.a", "N-5.6.1k3", "N-5.6.1n",
)  # fmt: skip
PLAN = replace(OFF_PATH, name="usage", services=(NATIVE, BACKUP, SINGLE, QUOTA), policy=POLICY)


def run(options: Options, report: Report) -> None:
    """Run each way in turn, all under one policy."""
    with managed(PLAN, options) as lab:
        warm_up(lab, 4)
        for part in (native, active_backup, single, quota):
            options.say(part.__doc__ or "")
            part(lab, report)
        if options.prompt:
            lab.command_line()


def native(lab: Lab, report: Report) -> None:
    """native: both subflows carry"""
    seen = WatchedTransfer(lab, "ue")
    seen.upload(NATIVE, 3.0)
    done = seen.finish(NATIVE)
    lab.stop_captures()
    report.equal("native: the transfer succeeds", None, done.get("error"))
    sent = {name: seen.sent(name, NATIVE, 0) for name in ("lte", "wlan")}
    least = min(sent.values()) / max(1, sum(sent.values()))
    report.expect(
        "native: the lesser access's part of the bytes", least > 0.1, "> 10 %", f"{least:.0%}", "capture"
    )
    told = [p for name in sent for p in seen.priorities(name, NATIVE)]
    report.equal("native: MP_PRIOs", [], told, "capture")
    report.figures["native"] = sent


def active_backup(lab: Lab, report: Report) -> None:
    """active-backup: WLAN waits, until LTE's cable is pulled"""
    seen = WatchedTransfer(lab, "ue")
    begun = time.time()
    with Lateness() as late:
        seen.upload(BACKUP, 10.0)
        expect_wanted(lab, report, "active-backup", BACKUP, {"lte": "active", "wlan": "backup"})
        time.sleep(3.0)
        cut = time.time()
        cable(lab, LTE_PORT, False)
        until(lambda: wanted(lab, BACKUP).get("wlan") == "active", SEEN_S)
        after = wanted(lab, BACKUP)
        done = seen.finish(BACKUP)
    lab.stop_captures()
    cable(lab, LTE_PORT, True)
    report.equal("active-backup: the transfer succeeds", None, done.get("error"))
    joined = seen.joined("wlan", BACKUP, begun)
    told = expect_priority(report, "active-backup", seen, "wlan", BACKUP, joined, True)
    name = "active-backup: sent by WLAN before the host was told"
    slipped = expect_little_before(report, name, seen, "wlan", BACKUP, joined, ACCESS_MBIT, SLIPPED, late)
    waiting = seen.sent_anew("wlan", BACKUP, told + STOPPED_S, cut)
    report.equal("active-backup: data bytes on the backup while the other works", 0, waiting, "capture")
    report.expect(
        "active-backup: data bytes on LTE meanwhile",
        (n := seen.sent("lte", BACKUP, told + STOPPED_S, cut)) > 1_000_000,
        "> 1 MB",
        n,
        "capture",
    )
    carried = seen.sent("wlan", BACKUP, cut)
    report.expect(
        "active-backup: data bytes on the backup after the cut",
        carried > 1_000_000,
        "> 1 MB",
        carried,
        "capture",
    )
    report.equal("active-backup: wanted of WLAN after the cut", "active", after.get("wlan"), "REST")
    report.figures["active-backup"] = {"slipped": slipped, "waiting": waiting, "after_cut": carried}


def single(lab: Lab, report: Report) -> None:
    """single: a second subflow only once the first has failed"""
    ue, box = lab.host("ue"), lab.plan.box("ue")
    lab.mark()
    before = lab.controller.metric("steering_refusals_total", reason="single-subflow")
    seen = WatchedTransfer(lab, "ue")
    seen.upload(SINGLE, 2 * SEEN_S + 5)
    time.sleep(2.0)
    lab.controller.settled("steering_refusals_total", before + 1, SEEN_S, reason="single-subflow")
    early = lab.counted("ue")
    alone = wanted(lab, SINGLE)
    refused = lab.controller.metric("steering_refusals_total", reason="single-subflow") - before
    lab.say("LTE's cable is pulled; the host's WLAN address is announced to its kernel a second later")
    drop_endpoints(ue)
    cut = time.time()
    cable(lab, LTE_PORT, False)
    time.sleep(1.0)
    add_endpoints(ue, box.nics[1], 1)
    until(lambda: "wlan" in wanted(lab, SINGLE), SEEN_S)
    late = wanted(lab, SINGLE)
    done = seen.finish(SINGLE)
    counted = lab.counted("core")
    lab.stop_captures()
    cable(lab, LTE_PORT, True)
    # A host that fell back, or whose kernel could not join, asks nothing of the policy: these say which it was.
    fell_back = {name: early[name] for name in FALLBACKS if early[name]}
    report.equal("single: fallbacks of the host, after the cable came back", {}, fell_back, "kernel")
    report.expect(
        "single: joins that the host tried meanwhile",
        early["MPJoinSynTx"] >= 1,
        "1 or more",
        {name: n for name, n in early.items() if name.startswith("MPJoin")},
        "kernel",
    )
    report.equal("single: subflows while the first works", {"lte": "active"}, alone, "REST")
    report.expect("single: joins refused meanwhile", refused >= 1, "at least 1", refused, "REST")
    report.equal("single: data bytes on WLAN before the cut", 0, seen.sent("wlan", SINGLE, 0, cut), "capture")
    tried = [s.time - cut for s in seen.joins("wlan", SINGLE) if s.time > cut]
    report.expect(
        "single: the late join's SYN", bool(tried), "after the cut", [f"{t:.2f} s" for t in tried], "capture"
    )
    report.equal("single: joins completed at the MCP", 1, counted["MPJoinAckRx"], "kernel")
    report.expect(
        "single: the late join is in the session's record", "wlan" in late, "wlan", sorted(late), "REST"
    )
    report.equal("single: the transfer succeeds", None, done.get("error"))
    report.figures["single"] = {"join_after_s": tried, "mbit": done.get("mbit")}


def quota(lab: Lab, report: Report) -> None:
    """quota: LTE until 5 MB are used up, then WLAN"""
    seen = WatchedTransfer(lab, "ue")
    seen.upload(QUOTA, 9.0)
    done = seen.finish(QUOTA)
    ended = time.time()
    lab.stop_captures()
    told = seen.priorities("lte", QUOTA)
    used = seen.sent("lte", QUOTA, 0)
    report.expect(
        "quota: MP_PRIO 'backup' on LTE", [p.backup for p in told] == [True], "one", told, "capture"
    )
    upto = told[0].time if told else ended
    before = seen.frames_sent("lte", QUOTA, 0, upto)
    report.expect(
        "quota: used on LTE when it came", before >= QUOTA_BYTES, f">= {QUOTA_BYTES}", before, "capture"
    )
    report.equal(
        f"quota: new data bytes on LTE from then on, after {STOPPED_S} s",
        0,
        seen.sent_anew("lte", QUOTA, upto + STOPPED_S),
        "capture",
    )
    wlan = seen.sent("wlan", QUOTA, upto + STOPPED_S)
    report.expect("quota: data bytes on WLAN from then on", wlan > 1_000_000, "> 1 MB", wlan, "capture")
    report.equal("quota: the transfer succeeds", None, done.get("error"))
    report.figures["quota"] = {"lte_bytes": used, "when_told": before}


SCENARIO = Scenario(
    name="usage",
    figure="draft-deng section 1, usage modes",
    rows=ROWS,
    summary="native, active-backup and single sessions and a quota, told to live subflows by MP_PRIO",
    plan=PLAN,
    run=run,
    controls=controls(agent="the MCP is not told what policy wants of live subflows"),
)
