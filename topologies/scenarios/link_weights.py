"""Traffic engineering: an operator sets the weight of a link. New sessions take the other path, live sessions stay.

             +-- s2 --+
ue --- s1 ---+        +--- s4 [core] --- s5 --- server      Both paths cost the same; of such, that by s2 is used.
             +-- s3 --+
"""

import time
from typing import Any

from steering.model.rules import OLD_PATH_PRIORITY
from topologies.kit.captures import Capture
from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls

ROWS = ("D-1.d",)
BY_S2, BY_S3 = "s1:2", "s1:3"
LINK = "/v1/links/s1-s2"
STEADY_S, STEADY_MBIT = 8.0, 4.0
MBIT = 50.0  # a rate, so that the site file lists these links
SETTLED_S, FORGOTTEN_S, GAP_S = 5.0, 20.0, 1.0
PORT = 5001
PLAN = Plan(
    name="link-weights",
    switches=("s1", "s2", "s3", "s4", "s5"),
    wires=(
        Wire(BY_S2, "s2:1", MBIT), Wire("s2:2", "s4:2", MBIT), Wire(BY_S3, "s3:1", MBIT), Wire("s3:2", "s4:3", MBIT),
        Wire("s4:4", "s5:2"),
    ),
    boxes=(
        Box("ue", Kind.DUAL, (Nic("s1:1", ("10.1.0.2/24",), 20.0),)),
        Box("core", Kind.MCP, (Nic("s4:1", ("10.8.0.2/24",)),)),
        Box("server", Kind.SERVER, (Nic("s5:1", ("10.9.0.2/24",)),)),
    ),
    accesses=(Attachment("lte", ("10.1.0.0/24",), ("s1:1",), "cellular"),),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s5:1",)),),
    points=(Point("core", "s4:1", ("10.8.0.2",)),),
)  # fmt: skip


def run(options: Options, report: Report) -> None:
    """Run a stream, set a weight, open another connection. When the stream ends, the entries that were kept for it
    go."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        target = address_of(PLAN.box("server"), 4)
        agent = lab.agents["ue"]
        agent.ask("ping", dst=target, count=3)
        lab.say(f"a stream of {STEADY_S:.0f} s, and another weight for s1-s2 in the middle")
        order = {"dst": target, "port": PORT, "mbit": STEADY_MBIT, "seconds": STEADY_S, "mptcp": True}
        agent.ask("start", name="live", kind="steady", **order)
        time.sleep(1.5)
        live: int = agent.ask("status", name="live").get("local", ["", 0])[1]
        _weigh(lab, report, "weight" in options.without)
        captures = {port: lab.capture_port(port) for port in (BY_S2, BY_S3)}
        (opened,) = agent.ask("open", group="new", dst=target, ports=[PORT], mptcp=True, first=True)["opened"]
        agent.ask("echo", group="new")
        report.equal("a new connection works", None, opened.get("error"))
        new = opened.get("local", ["", 0])[1]
        kept = lab.controller.get("/v1/links")["kept_flows"]
        entries = _held_entries(lab)
        done = agent.finish("live", STEADY_S + 45)
        lab.stop_captures()
        _paths(report, captures, live, new)
        _accounts(lab, report, kept, entries, new)
        report.equal(
            "the stream: error, wrong bytes, seconds without a byte",
            ("", False, 0),
            (done.get("error", ""), done.get("wrong"), done.get("empty_seconds")),
        )
        gap = done.get("longest_gap_s", 99.0)
        own = done.get("own_gap_s", gap)  # without what this machine was late in it
        found = f"{own:.2f} s, {gap:.2f} s with it"
        report.expect("the stream: its longest silence", own < GAP_S, f"under {GAP_S:.0f} s", found)
        report.figures["longest_gap_s"] = round(gap, 3)
        _forgotten(lab, report)
        if options.prompt:
            lab.command_line()


def _weigh(lab: Lab, report: Report, not_really: bool) -> None:
    """Set the weight with a wrong ETag, then with the right one, and wait until it is in force."""
    status, _ = lab.controller.ask("PUT", LINK, {"weight": 10.0}, {"If-Match": '"of-yesterday"'})
    report.equal("a weight from who has not seen the present one", 412, status, "REST")
    if not_really:
        return
    began = time.monotonic()
    status, told = lab.controller.ask("PUT", LINK, {"weight": 10.0})
    report.equal("the weight is set", (200, 10.0), (status, (told or {}).get("weight")), "REST")
    while not lab.controller.get("/v1/links")["settled"] and time.monotonic() - began < SETTLED_S:
        time.sleep(0.1)
    took = time.monotonic() - began
    report.expect("it is in force", took < SETTLED_S, f"within {SETTLED_S:.0f} s", f"{took:.1f} s", "REST")
    report.figures["in_force_s"] = round(took, 2)


def _paths(report: Report, captures: dict[str, Capture], live: int, new: int) -> None:
    """Check by which path each connection's segments went, up and down, since the weight is in force."""
    for title, number, here, elsewhere in (("live", live, BY_S2, BY_S3), ("new", new, BY_S3, BY_S2)):
        ways = {
            port: (
                sum(s.flow.sport == number for s in capture.segments()),
                sum(s.flow.dport == number for s in capture.segments()),
            )
            for port, capture in captures.items()
        }
        report.expect(
            f"{title}: segments up and down by {here}",
            min(ways[here]) > 0,
            "some each",
            ways[here],
            "capture",
        )
        report.equal(f"{title}: segments up and down by {elsewhere}", (0, 0), ways[elsewhere], "capture")


def _accounts(lab: Lab, report: Report, kept: int, entries: list[int], new: int) -> None:
    """Check the controller's account, and the entries in s1 and s4 that keep the stream on its path."""
    paths = {}
    for session in lab.controller.detailed():
        if session["decision"]:
            decision = lab.controller.get(f"/v1/decisions/{session['decision']}")
            paths[session["client"]] = next((c["path"] for c in decision["candidates"]), None)
    report.equal("the new session's path", ["s1", "s3", "s4", "s5"], paths.get(f"10.1.0.2:{new}"), "REST")
    report.equal("flows kept on their path: up and down", 2, kept, "REST")
    report.expect(
        "their entries at s1 and s4 have led packets",
        len(entries) == 2 and min(entries) > 0,
        "two, each over 0",
        entries,
        "kernel",
    )


def _held_entries(lab: Lab) -> list[int]:
    """The packet count of each entry that keeps a flow on its path."""
    found: list[int] = []
    for switch in PLAN.switches:
        for line in ofctl(lab.switch(switch), "dump-flows").splitlines():
            if f"priority={OLD_PATH_PRIORITY}," in line:
                found.append(int(line.partition("n_packets=")[2].partition(",")[0]))
    return found


def _forgotten(lab: Lab, report: Report) -> None:
    lab.say("the stream has ended")
    until = time.monotonic() + FORGOTTEN_S
    told: Any = None
    while time.monotonic() < until:
        told = lab.controller.get("/v1/links")["kept_flows"], _held_entries(lab)
        if told == (0, []):
            break
        time.sleep(0.5)
    report.equal("what is kept afterwards, by REST and in switches", (0, []), told, "REST")


SCENARIO = Scenario(
    name="link-weights",
    figure="draft-deng section 1",
    rows=ROWS,
    summary="another weight for a link, over REST: the next session takes the other way, the live one stays",
    plan=PLAN,
    run=run,
    controls=controls("steering", "old-paths", weight="nobody sets the weight"),
)
