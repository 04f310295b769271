"""A hotspot of another operator, draft-deng section 4.2: the host there reaches the MCP from the Internet, through a
NAT.

    ue --- lte  s1 --- s2 (core) --- s3 --- Internet --- server
     \\--- hotspot --- nat ---------------------/

The operator steers nothing in the hotspot. The MCP has an address that can be reached from the Internet, and
announces it (ADD_ADDR). A join to that address comes in at the Internet's port. Its token alone decides whether it is
admitted, and only where the policy pools accesses of third parties.
"""

import json
import sys
import time
from typing import Any

from topologies.kit.captures import CAPABLE, JOIN
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire
from topologies.kit.processes import StartedProcess
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls

ROWS = ("D-4.2a", "D-6.2d", "D-6.2c", "D-6.4.0", "N-5.2.2a", "D-6.4h")
SECONDS, MBIT, GAIN = 4.0, 10.0, 1.6
SERVER, HOTSPOT, PUBLIC, MCP = "198.51.100.2", "10.3.0.2", "198.51.100.9", "203.0.113.2"
PORT = 5001
FORGED, STRANGER = 40_002, "12345678"
POOLING = "policy: 1\nthird_party_pooling: true\n"
PLAN = Plan(
    name="third-party-wlan",
    switches=("s1", "s2", "s3"),
    wires=(Wire("s1:2", "s2:2"), Wire("s2:3", "s3:2")),
    boxes=(
        Box("ue", Kind.DUAL, (Nic("s1:1", ("10.1.0.2/24",), MBIT), Nic("nat:0", (f"{HOTSPOT}/24",), MBIT))),
        Box("core", Kind.MCP, (Nic("s2:1", (f"{MCP}/24",)),), relay=("--advertise", MCP, "--c-flag")),
        Box("net", Kind.BRIDGE, (Nic("s3:1"),)),
        Box("server", Kind.SERVER, (Nic("net:1", (f"{SERVER}/24",)),)),
        Box("nat", Kind.NAT, (Nic("ue:1", ("10.3.0.1/24",)), Nic("net:2", (f"{PUBLIC}/24",)))),
    ),
    accesses=(Attachment("lte", ("10.1.0.0/24",), ("s1:1",), "cellular"),),
    gateways=(Attachment("internet", ("198.51.100.0/24",), ("s3:1",)),),
    points=(Point("core", "s2:1", (MCP,), public=(MCP,)),),
    policy=POOLING,
)


def run(options: Options, report: Report) -> None:
    """Run with third parties pooled, beside a forged join; then without pooling them; then with the first subflow in
    the hotspot."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        ue = lab.host("ue")
        ue.run(
            "ip mptcp endpoint flush",
            f"ip mptcp endpoint add {HOTSPOT} dev {ue.interface(1)} subflow fullmesh",
        )
        lab.start_controller(options.without)
        lab.agents["ue"].ask("ping", dst=SERVER, count=4)
        if "pooling" in options.without:
            lab.controller.put_policy("policy: 1\n")
        _pooled(lab, options, report)
        _forged(lab, report)
        lab.controller.put_policy("policy: 1\n")
        _refused(lab, report)
        _first_elsewhere(lab, report)
        if options.prompt:
            lab.command_line()


def _pooled(lab: Lab, options: Options, report: Report) -> None:
    seconds = options.seconds or SECONDS
    lab.say(f"upload for {seconds:.0f} s, third parties pooled")
    lab.mark()
    mcp, gateway = lab.capture_port("s2:1"), lab.capture_port("s3:1")
    order = {"dst": SERVER, "port": PORT, "seconds": seconds, "mptcp": True}
    lab.agents["ue"].ask("start", name="up", kind="upload", **order)
    time.sleep(seconds - 1.0)
    seen = [s for s in subflows(lab.host("ue")) if s.join]
    sessions = lab.controller.detailed()
    done = lab.agents["ue"].finish("up", seconds + 30)
    lab.stop_captures()
    report.equal("the transfer succeeds", "", done.get("error", ""))
    mbit = done.get("mbit", 0.0)
    report.rate(
        "goodput over one access", mbit >= GAIN * MBIT, f"at least {GAIN * MBIT:.0f}", f"{mbit:.1f} Mbit/s"
    )
    joined = {(s.flow.src, s.flow.dst) for s in gateway.segments() if s.syn and JOIN in s.options}
    report.equal("the join comes from the Internet, by the NAT's address", {(PUBLIC, MCP)}, joined, "capture")
    at_mcp = {s.flow.src for s in mcp.segments() if s.syn and JOIN in s.options}
    report.equal("it is at the MCP", {PUBLIC}, at_mcp, "capture")
    report.equal("joins completed at the MCP", 1, lab.counted("core")["MPJoinAckRx"], "kernel")
    tokens = {s.peer_token for s in seen}
    held = [(s["mcp"], sorted(x["src"] for x in s["subflows"])) for s in sessions if s["token"] in tokens]
    report.equal("the session has both subflows", [("core", ["10.1.0.2", PUBLIC])], held, "REST")
    natural = {s.flow.src for s in gateway.segments() if s.syn and s.flow.dport == PORT}
    report.equal(
        "SYNs at the Internet port: the server leg, and that join", {"10.1.0.2", PUBLIC}, natural, "capture"
    )


def _forged(lab: Lab, report: Report) -> None:
    lab.say("a join with a token of nobody, from behind the same NAT's address")
    before = lab.controller.metric("steering_refusals_total", reason="unknown-token")
    mcp = lab.capture_port("s2:1")
    rogue = StartedProcess(
        lab.record, "rogue", [sys.executable, "-m", "topologies.programs.rogue"], lab.host("nat"), talk=True
    )
    order: Any = rogue.popen.stdin
    order.write(json.dumps({"words": ["repeat", MCP, str(PORT), str(FORGED), STRANGER, "1", "1.0"]}) + "\n")
    order.flush()
    answer: Any = rogue.popen.stdout
    said = answer.readline() or json.dumps({"error": rogue.last_line()})
    report.equal("what the forger heard", {"heard": []}, json.loads(said))
    rogue.end()
    lab.stop_captures()
    report.equal("forged joins at the MCP", 0, sum(s.flow.sport == FORGED for s in mcp.segments()), "capture")
    told = lab.controller.metric("steering_refusals_total", reason="unknown-token") - before
    report.expect("refused for its token", told >= 1, "at least 1", told, "REST")


def _refused(lab: Lab, report: Report) -> None:
    lab.say("third parties are not pooled, as is the default")
    lab.mark()
    before = lab.controller.metric("steering_refusals_total", reason="third-party")
    before += lab.controller.metric("steering_refusals_total", reason="internet-side")
    mcp = lab.capture_port("s2:1")
    opened = lab.agents["ue"].ask("open", group="kept", dst=SERVER, ports=[PORT], mptcp=True, first=True)
    report.equal("unpooled: the connection works", "", opened["opened"][0].get("error", ""))
    time.sleep(1.5)  # for its joins
    lab.stop_captures()
    joins = sum(s.syn and JOIN in s.options for s in mcp.segments())
    report.equal("unpooled: joins at the MCP", 0, joins, "capture")
    sent = lab.counted("ue")["MPJoinSynTx"]
    report.expect("unpooled: the host tried", sent >= 1, "at least 1", sent, "kernel")
    after = lab.controller.metric("steering_refusals_total", reason="third-party")
    after += lab.controller.metric("steering_refusals_total", reason="internet-side")
    report.expect("unpooled: refused", after > before, f"more than {before:.0f}", f"{after:.0f}", "REST")


def _first_elsewhere(lab: Lab, report: Report) -> None:
    lab.say("a first subflow in the hotspot")
    lab.mark()
    mcp = lab.capture_port("s2:1")
    order = {"group": "away", "dst": SERVER, "ports": [PORT], "mptcp": True, "first": True, "src": HOTSPOT}
    opened = lab.agents["ue"].ask("open", **order)
    lab.stop_captures()
    report.equal("begun in the hotspot: it works", "", opened["opened"][0].get("error", ""))
    seen = sum(s.syn and CAPABLE in s.options for s in mcp.segments())
    report.equal("begun in the hotspot: nothing of it at the MCP", 0, seen, "capture")
    report.equal(
        "begun in the hotspot: sessions at the MCP", 0, lab.counted("core")["MPCapableSYNRX"], "kernel"
    )


SCENARIO = Scenario(
    name="third-party-wlan",
    figure="draft-deng section 4.2",
    rows=ROWS,
    summary="a NATed hotspot of somebody else: joins to the MCP's public address, by token, only where pooled",
    plan=PLAN,
    run=run,
    controls=controls("token-lookup", pooling="the policy does not pool third parties"),
)
