"""Implicit mode, draft-nam Figures 7 and 8: the first subflow goes to the server's address, later ones to the MCP's
address.

The MCP announces its own address (ADD_ADDR) and asks hosts not to join by the server's address (C flag). The network
of `off-path`. The host's second address is a `fullmesh` endpoint: otherwise Linux would join from its first address.
"""

import json
import sys
from dataclasses import replace
from typing import Any

from topologies.kit.captures import ADD_ADDR, C_FLAG, CAPABLE, JOIN, Capture, Segment, distinct, frames
from topologies.kit.controller import flows_of
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Plan, address_of
from topologies.kit.processes import StartedProcess, relay
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import aggregation
from topologies.networks import off_path

ROWS = ("N-5.2.2b", "N-5.2.2c", "N-5.2.2d", "N-5.2.2e", "N-F7", "N-F8", "N-5.6.1m")
MCP = "core"
SECONDS = 5.0
JOINED_S = 10.0  # for joins that need more: a lost SYN is sent again after 1, 3 and 7 s
FORGED, STRANGER = 40_002, "12345678"


def _plan(*words: str) -> Plan:
    base = off_path.PLAN
    boxes = (replace(box, relay=words) if box.name == MCP else box for box in base.boxes)
    return replace(base, name="implicit", boxes=tuple(boxes))


ADDRESS = address_of(off_path.PLAN.box(MCP), 4)
ADVERTISE, FLAG = ("--advertise", ADDRESS), ("--c-flag",)
PLAN = _plan(*ADVERTISE, *FLAG)


def run(options: Options, report: Report) -> None:
    """Upload with both signals, send a forged join to the MCP's address, then upload without the C flag."""
    words = (
        *(() if "advertising" in options.without else ADVERTISE),
        *(() if "c-flag" in options.without else FLAG),
    )
    with running(_plan(*words), options.say, options.without, options.keep) as lab:
        lab.start_services()
        ue = lab.host("ue")
        ue.run(
            "ip mptcp endpoint flush",
            f"ip mptcp endpoint add 10.2.0.2 dev {ue.interface(1)} subflow fullmesh",
        )
        lab.start_controller(options.without)
        aggregation.warm_up(lab, 4)
        near = [lab.capture_port("s1:1"), lab.capture_port("s2:1")]
        own = lab.controller.metric("steering_joins_total", result="own-address")
        on = aggregation.upload(lab, 4, options.seconds or SECONDS)
        _judge_first(lab, report, on, near)
        told = lab.controller.metric("steering_joins_total", result="own-address") - own
        report.expect(
            "joins to its own address that the controller admitted", told >= 1, "at least 1", told, "REST"
        )
        _forge(lab, report, options)
        _without_flag(lab, report, options)
        if options.prompt:
            lab.command_line()


def _judge_first(lab: Lab, report: Report, on: aggregation.Transfer, near: list[Capture]) -> None:
    lte, wlan = near
    server = address_of(PLAN.box("server"), 4)
    aggregation.check_pinned(report, on, MCP, "implicit")
    report.equal("the transfer succeeds", "", on.error)
    wanted = aggregation.GAIN * off_path.ACCESS_MBIT
    report.rate(
        "goodput over one access", on.mbit >= wanted, f"at least {wanted:.0f} Mbit/s", f"{on.mbit:.1f} Mbit/s"
    )
    opened = distinct(s for s in lte.segments() if s.syn and CAPABLE in s.options)
    report.equal("SYN 1, MP_CAPABLE", [("10.1.0.2", server)], _ends(opened), "capture")
    joins = [s for s in [*lte.segments(), *wlan.segments()] if s.syn and JOIN in s.options]
    report.equal("SYN 2, MP_JOIN", [("10.2.0.2", ADDRESS)], sorted(set(_ends(joins))), "capture")
    announced = [s for s in lte.segments() if ADD_ADDR in s.options and s.flow.src == server]
    times = [min((s.time for s in seen), default=0.0) for seen in (opened, announced, joins)]
    report.expect(
        "SYN, then ADD_ADDR, then MP_JOIN",
        0 < times[0] < times[1] < times[2],
        "in this order",
        [round(t - times[0], 4) for t in times],
        "capture",
    )
    named = frames(lte.file, f"tcp.options.mptcp.ipv4 == {ADDRESS} && ip.src == {server}")
    report.expect("ADD_ADDRs with the MCP's address", named >= 1, "at least 1", named, "capture")
    report.expect(
        "ADD_ADDR's echo at the MCP",
        on.count(MCP, "EchoAdd") >= 1,
        "at least 1",
        on.count(MCP, "EchoAdd"),
        "kernel",
    )
    report.equal("SYN/ACKs of MP_CAPABLE with the C flag", 1, frames(lte.file, C_FLAG), "capture")


def _ends(segments: list[Segment]) -> list[tuple[str, str]]:
    return [(s.flow.src, s.flow.dst) for s in segments]


def _forge(lab: Lab, report: Report, options: Options) -> None:
    """Send a join to the MCP's own address with a token of no session. Like one to a server's address, it must not
    pass."""
    options.say("a join to the MCP's address with a token of nobody")
    lab.mark()
    mcp = lab.capture_port("s3:1")
    rogue = StartedProcess(
        lab.record, "rogue", [sys.executable, "-m", "topologies.programs.rogue"], lab.host("ue"), talk=True
    )
    order: Any = rogue.popen.stdin
    order.write(json.dumps({"words": ["repeat", ADDRESS, "5001", str(FORGED), STRANGER, "1", "1.0"]}) + "\n")
    order.flush()
    answer: Any = rogue.popen.stdout
    said = answer.readline() or json.dumps({"error": rogue.last_line()})
    report.equal("what the forger heard", {"heard": []}, json.loads(said))
    rogue.end()
    lab.stop_captures()
    seen = [s for s in mcp.segments() if s.flow.sport == FORGED]
    report.equal("forged joins at the MCP", 0, len(seen), "capture")
    report.equal("joins without a session at the MCP", 0, lab.counted(MCP)["MPJoinNoTokenFound"], "kernel")
    told = lab.controller.metric("steering_refusals_total", reason="unknown-token")
    report.expect("refused for their token", told >= 1, "at least 1", told, "REST")


def _without_flag(lab: Lab, report: Report, options: Options) -> None:
    """Check that a join to the server's address is still led to the session's MCP."""
    options.say("without the C flag: joins to the server's address too, pinned")
    lab.relays[MCP].end()
    lab.relays[MCP] = relay(lab.record, lab.host(MCP), PLAN.services, PLAN.server_prefixes(), ADVERTISE)
    wlan = lab.capture_port("s2:1")
    lab.mark()
    server = address_of(PLAN.box("server"), 4)
    opened = lab.agents["ue"].ask("open", group="flagless", dst=server, ports=[5001], mptcp=True, first=True)
    report.equal("without the C flag: the connection works", "", opened["opened"][0].get("error", ""))
    lab.agents["ue"].ask("ping", dst=server, count=2)  # this gives its joins time
    until(lambda: lab.counted("ue")["MPJoinSynTx"] == lab.counted(MCP)["MPJoinAckRx"] > 0, JOINED_S)
    sessions = [s for s in lab.controller.taken_up() if s["state"] == "established"]
    lab.stop_captures()
    joins = {(s.flow.src, s.flow.dst) for s in wlan.segments() if s.syn and JOIN in s.options}
    report.expect(
        "without the C flag: a join to the server's address",
        ("10.2.0.2", server) in joins,
        server,
        sorted(joins),
        "capture",
    )
    sent, done = lab.counted("ue")["MPJoinSynTx"], lab.counted(MCP)["MPJoinAckRx"]
    report.expect(
        "without the C flag: joins sent and completed at the MCP",
        sent == done >= 1,
        "as many",
        f"{sent}, {done}",
        "kernel",
    )
    led = {(f.src, f.dst) for s in sessions for f in flows_of(s)}
    report.expect(
        "without the C flag: the controller has each", joins <= led, sorted(joins), sorted(led), "REST"
    )


SCENARIO = Scenario(
    name="implicit",
    figure="draft-nam Figures 7 (host) and 8",
    rows=ROWS,
    summary="implicit mode: SYN, ADD_ADDR, MP_JOIN to the MCP's own address, admitted by its token; a forged one is not",
    plan=PLAN,
    run=run,
    controls=controls(
        "token-lookup",
        advertising="the MCP announces no address",
        c_flag="hosts are not asked to leave the server's address alone",
    ),
)
