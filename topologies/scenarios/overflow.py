"""Load sharing by overflow: WLAN carries everything while it has capacity; when it is full, LTE helps (draft-deng
section 1).

The off-path network with 10 Mbit/s on each access, as the site file says. The controller polls the load of the access
ports, and the MCP tells the host by MP_PRIO. The host sends 5 Mbit/s, then 15.
"""

import time
from dataclasses import replace

from topologies.kit.lab import Lab
from topologies.kit.plan import Nic
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.aggregation import warm_up
from topologies.measures.priorities import (
    WatchedTransfer,
    expect_little_before,
    expect_priority,
    expect_wanted,
    managed,
)
from topologies.networks.off_path import PLAN as OFF_PATH
from topologies.programs.lateness import Lateness

ACCESS_MBIT = 10.0
LITTLE, MUCH = 5.0, 15.0
ROWS = ("D-1.e", "N-5.6.2a")
LOW, HIGH = 5001, 5002
SLIPPED = 150_000  # bytes that LTE may carry before the host has been told
CAPACITY = "capacity"  # the negative control in which the site file does not say the capacity of accesses
POLL = 5.0  # seconds between two polls of the ports by the controller
PROMPT_S = POLL + 1.0  # with the time for the MP_PRIO
POLICY = """\
policy: 1
distribution: overflow
rules:
  - {name: cheapest-first, then: {pooling: {preferred: [fixed, wlan, cellular]}}}
"""


def _narrow(nic: Nic) -> Nic:
    return replace(nic, mbit=ACCESS_MBIT)


PLAN = replace(
    OFF_PATH,
    name="overflow",
    services=(LOW, HIGH),
    policy=POLICY,
    accesses=tuple(replace(access, mbit=ACCESS_MBIT) for access in OFF_PATH.accesses),
    boxes=tuple(
        replace(b, nics=tuple(map(_narrow, b.nics))) if b.name == "ue" else b for b in OFF_PATH.boxes
    ),
)


def run(options: Options, report: Report) -> None:
    """Send less than WLAN can carry, then more."""
    plan = PLAN
    if CAPACITY in options.without:
        plan = replace(PLAN, accesses=tuple(replace(access, mbit=None) for access in PLAN.accesses))
    with managed(plan, options) as lab:
        warm_up(lab, 4)
        _named(lab, report)
        report.table = [["offered", "lte", "wlan"]]
        _little(lab, report)
        _much(lab, report)
        if options.prompt:
            lab.command_line()


def _named(lab: Lab, report: Report) -> None:
    """Check the parameter that names the scheme (N-5.6.2a): each MCP shows it, and other values are refused."""
    said = {one["name"]: one["distribution"] for one in lab.controller.get("/v1/mcps")["mcps"]}
    report.equal("distribution at each MCP", {"core": "overflow", "edge": "overflow"}, said, "REST")
    for word in ("redundant", "round-robin"):
        status, _ = lab.controller.ask("PUT", "/v1/policy", f"policy: 1\ndistribution: {word}\n")
        report.equal(f"distribution {word}", 422, status, "REST")


def _little(lab: Lab, report: Report) -> None:
    """Send 5 of 10 Mbit/s: LTE is not used."""
    seen = WatchedTransfer(lab, "ue")
    begun = time.time()
    with Lateness() as late:
        seen.begin("upload", LOW, PROMPT_S + 3, mbit=LITTLE)
        expect_wanted(lab, report, "little", LOW, {"lte": "backup", "wlan": "active"})
        done = seen.finish(LOW)
    lab.stop_captures()
    report.equal("little: the transfer succeeds", None, done.get("error"))
    joined = seen.joined("wlan", LOW, begun)
    told = expect_priority(report, "little", seen, "lte", LOW, joined, True)
    name = "little: sent by LTE before the host was told"
    first = expect_little_before(report, name, seen, "lte", LOW, joined, LITTLE, SLIPPED, late, 0.3)
    report.equal("little: data bytes on LTE from then on", 0, seen.sent("lte", LOW, told + 0.3), "capture")
    wlan = seen.sent("wlan", LOW, begun)
    report.expect("little: data bytes on WLAN", wlan > 1_000_000, "> 1 MB", wlan, "capture")
    report.table.append([f"{LITTLE:g} Mbit/s", f"{first / 1e6:.2f} MB", f"{wlan / 1e6:.2f} MB"])


def _much(lab: Lab, report: Report) -> None:
    """Send 15 Mbit/s, of which WLAN carries 10: LTE helps within an interval of polls."""
    seen = WatchedTransfer(lab, "ue")
    begun = time.time()
    seen.begin("upload", HIGH, 3 * POLL + 3, mbit=MUCH)
    done = seen.finish(HIGH)
    lab.stop_captures()
    report.equal("much: the transfer succeeds", None, done.get("error"))
    waits = [p.time for p in seen.priorities("lte", HIGH) if p.backup]
    helps = [p.time for p in seen.priorities("lte", HIGH) if not p.backup]
    # The first poll may cover time before the transfer began; the next one shows that WLAN is full.
    limit = 2 * POLL + 1.0
    took = helps[0] - begun if helps else float("inf")
    name, told = "much: MP_PRIO 'no backup' on LTE", f"{took:.1f} s"
    report.expect(name, took < limit + POLL, "one", told, "capture")
    report.expect(
        f"{name}, within a second of the poll", took < limit, f"within {limit:g} s", told, "capture"
    )
    upto = helps[0] if helps else begun + limit
    before = seen.sent("lte", HIGH, (waits[0] if waits else begun) + 0.5, upto)
    report.equal("much: data bytes on LTE before", 0, before, "capture")
    after = seen.sent("lte", HIGH, upto)
    report.expect("much: data bytes on LTE after", after > 300_000, "> 0.3 MB", after, "capture")
    wlan = seen.sent("wlan", HIGH, begun)
    report.table.append([f"{MUCH:g} Mbit/s", f"{after / 1e6:.2f} MB", f"{wlan / 1e6:.2f} MB"])
    report.figures["much"] = {"helps_after_s": round(took, 1), "mbit": done.get("mbit")}


SCENARIO = Scenario(
    name="overflow",
    figure="draft-deng section 1, load sharing",
    rows=ROWS,
    summary="one access while it has room, the other helps when it is full, by polled port counters",
    plan=PLAN,
    run=run,
    controls=controls(
        agent="the MCP is not told what policy wants of live subflows",
        capacity="the site does not say what its accesses carry",
    ),
)
