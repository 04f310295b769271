"""DSCP through an MCP: marks of host and server are kept on both legs and in both directions (draft-nam 5.6.5).

The kernel does not tell a relay the DSCP of received segments, and sends relayed data with DSCP 0. The host marks
before it connects and changes the mark in mid-flow. The server marks its answers. The relay's configuration changes
one code point.
"""

import time
from dataclasses import replace

from topologies.kit import kernel_counters
from topologies.kit.captures import Capture, frames
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Box, Plan, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import aggregation
from topologies.networks import off_path

ROWS = ("N-5.6.5a", "N-5.6.5b")
HOST, LATER, SERVER = 34, 26, 10
REMARKED, AS = 46, 8
REMAP = ("--dscp-remap", f"{REMARKED}:{AS}")
ROUNDS = 5
SECONDS = 4.0  # of the download, of which a join whose SYN is lost leaves some
CHANGE_S = 1.0  # seconds in which a change has to arrive


def _with_options(*words: str) -> Plan:
    def fit(box: Box) -> Box:
        return replace(box, relay=words) if box.name == "core" else box

    return replace(off_path.PLAN, name="dscp", boxes=tuple(fit(box) for box in off_path.PLAN.boxes))


PLAN = _with_options(*REMAP)


def run(options: Options, report: Report) -> None:
    """Run an M-session over two accesses that is marked from its begin, then give it another mark, then run one whose
    mark the relay changes."""
    plan = _with_options("--dscp", "ignore") if "preserving" in options.without else PLAN
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        aggregation.warm_up(lab, 4)
        target = address_of(plan.box("server"), 4)
        options.say(f"an M-session marked {HOST} before it connects, answered with {SERVER}")
        ends = [lab.capture_host("server"), lab.capture_port("s1:1"), lab.capture_port("s2:1")]
        _open(lab, report, "first", target, HOST)
        _talk(lab, report, "first", ROUNDS)
        subflows = kernel_counters.subflows(lab.host("ue"))
        tokens = {s["token"] for s in lab.controller.detailed()}
        task = {
            "dst": target,
            "port": 5001,
            "mptcp": True,
            "seconds": SECONDS,
            "dscp": HOST,
            "answer_dscp": SERVER,
        }
        lab.agents["ue"].ask("start", name="down", kind="download", **task)
        report.equal("the download succeeds", "", lab.agents["ue"].finish("down", 30).get("error", ""))
        lab.stop_captures()
        server, lte, wlan = ends
        report.equal("the M-session has two subflows", 2, len(subflows), "kernel")
        report.equal(
            "the controller knows its token", {s.peer_token for s in subflows if s.join}, tokens, "REST"
        )
        _all(
            report, "the server's SYN from the MCP", server, "tcp.dstport == 5001 && tcp.flags.syn == 1", HOST
        )
        _all(report, "data to the server", server, "tcp.dstport == 5001 && tcp.len > 0", HOST)
        for access, capture in (("LTE", lte), ("WLAN", wlan)):
            _all(
                report, f"data to the host by {access}", capture, "tcp.srcport == 5001 && tcp.len > 0", SERVER
            )

        options.say(f"marked {LATER} in mid-flow; the first {CHANGE_S:g} s are not looked at")
        lab.agents["ue"].ask("mark", group="first", dscp=LATER)
        _talk(lab, report, "first", 1)
        time.sleep(CHANGE_S)
        after = lab.capture_host("server")
        _talk(lab, report, "first", ROUNDS)
        lab.stop_captures()
        _all(
            report, "data to the server after the change", after, "tcp.dstport == 5001 && tcp.len > 0", LATER
        )

        options.say(f"a session marked {REMARKED}, re-marked as {AS}")
        last = lab.capture_host("server")
        _open(lab, report, "second", target, REMARKED)
        _talk(lab, report, "second", ROUNDS)
        lab.stop_captures()
        marked = f"tcp.dstport == 5001 && tcp.len > 0 && ip.dsfield.dscp != {LATER}"
        _all(report, "data of the re-marked session", last, marked, AS)
        if options.prompt:
            lab.command_line()


def _open(lab: Lab, report: Report, group: str, target: str, dscp: int) -> None:
    opened = lab.agents["ue"].ask(
        "open", group=group, dst=target, ports=[5001], mptcp=True, first=True, dscp=dscp, answer_dscp=SERVER
    )["opened"][0]
    report.equal(f"session '{group}' that failed to open", "", opened.get("error", ""))
    time.sleep(0.5)  # for its join
    token = opened.get("token")
    until(lambda: _joined(lab, token))


def _joined(lab: Lab, token: str | None) -> bool:
    """Whether a session of the host, by its own token, has two subflows, and the MCP has the join too."""
    mine = [
        s for s in kernel_counters.subflows(lab.host("ue")) if s.own_token == token and s.state == "ESTAB"
    ]
    joins = {s.flow.reversed() for s in mine if s.join}
    at_core = {s.flow for s in kernel_counters.subflows(lab.host("core")) if s.state == "ESTAB"}
    return len(mine) == 2 and bool(joins) and joins <= at_core


def _talk(lab: Lab, report: Report, group: str, rounds: int) -> None:
    for _ in range(rounds):
        failed = lab.agents["ue"].ask("echo", group=group)["failed"]
        if failed:
            report.equal(f"echoes of '{group}' that failed", [], failed)


def _all(report: Report, what: str, capture: Capture, which: str, dscp: int) -> None:
    """Check that there are such segments, and that all of them carry the code point."""
    every = frames(capture.file, which)
    marked = frames(capture.file, f"({which}) && ip.dsfield.dscp == {dscp}")
    report.expect(
        f"{what} that carries {dscp}", marked == every > 0, "all of them", f"{marked} of {every}", "capture"
    )


SCENARIO = Scenario(
    name="dscp",
    figure="draft-nam section 5.6.5",
    rows=ROWS,
    summary="DSCP is carried over by the MCP on both legs, both ways, also when it changes; one is re-marked",
    plan=PLAN,
    run=run,
    controls=controls(preserving="the relay carries no DSCP over, as a kernel relay by itself"),
)
