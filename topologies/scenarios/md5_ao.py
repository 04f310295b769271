"""SYNs that no MCP may take (draft-deng section 6.7): signed by TCP-MD5 or TCP-AO, with an unknown option, or without
room for another option. They reach the server unchanged, and the MCP sees none of them.

Then follows a real TCP-MD5 session under proactive insertion, which leads all TCP of a subscriber through the MCP.
There the relay's own rules have to let the session pass, or it could not be set up.
"""

import re
import sys
import time
from dataclasses import replace

from topologies.kit.captures import frames
from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.network import LabHost
from topologies.kit.plan import Box, address_of
from topologies.kit.processes import REPOSITORY, LabError, StartedProcess, listeners, relay_status
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import aggregation
from topologies.networks import off_path

ROWS = ("D-6.7.3", "D-6.7.4", "D-6.7.6", "N-7.4")
PORT, SIGNED_PORT, KEY, ROUNDS = 5001, 5003, "lab-key", 20
IN_FORCE_S, SETTLED_S = 30.0, 2.0  # most for the policy to be in force, and for its entries

MPC = "1e040101"
USUAL = "020405b4" + "0402080a0000000100000000" + "01030307" + MPC
MD5, AO, UNKNOWN = "1312" + "5a" * 16, "1d100101" + "a5" * 12, "fd045354"
SYNS = {  # name -> (source port, options, the reason that the controller counts)
    "TCP-AO and MP_CAPABLE": (41001, AO + MPC, "signed"),
    "MP_CAPABLE and TCP-AO": (41002, MPC + AO, "signed"),
    "TCP-MD5 and MP_CAPABLE": (41003, "0101" + MD5 + MPC, "signed"),
    "unknown kind 253": (41004, USUAL + UNKNOWN, "unknown-option"),
    "40 bytes of options": (41005, USUAL + "01" * 16, "option-space"),
}
STEERED = (41010, USUAL)  # a SYN without such an option: it has to reach the MCP
TINY = 41020  # source port of the fragmented SYN, and the identification of its datagram
AHEAD = """\
policy: 1
subscribers:
  - {id: household, prefixes: [10.1.0.2/32, 10.2.0.2/32]}
rules:
  - {name: ahead, when: {subscriber: household}, then: {insertion: proactive}}
"""


def _more_ports(box: Box) -> Box:
    return replace(box, relay=("--port", str(SIGNED_PORT))) if box.name in ("core", "edge") else box


PLAN = replace(off_path.PLAN, name="md5-ao", boxes=tuple(_more_ports(box) for box in off_path.PLAN.boxes))


def run(options: Options, report: Report) -> None:
    """Send the crafted SYNs, each with MP_CAPABLE too, then run the session."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        aggregation.warm_up(lab, 4)
        _crafted(lab, report)
        _fragments(lab, report, "fragment-rule" in options.without)
        if "relay-rules" in options.without:
            _take_rules_away(lab.host("core"))
            _take_rules_away(lab.host("edge"))
        _session(lab, report)
        if options.prompt:
            lab.command_line()


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "topologies.programs.keyed", *words]


def _crafted(lab: Lab, report: Report) -> None:
    source, target = address_of(PLAN.box("ue"), 4), address_of(PLAN.box("server"), 4)
    sent, far = lab.capture_host("ue"), lab.capture_host("server")
    at_mcps = [lab.capture_port(point.port) for point in PLAN.points]
    before = {reason: _refused(lab, reason) for _, _, reason in SYNS.values()}
    lab.mark()
    lab.say(f"{len(SYNS)} crafted SYNs, and one that an MCP may take")
    for number, raw in ((sport, raw) for sport, raw in (*((s, o) for s, o, _ in SYNS.values()), STEERED)):
        words = ("syn", source, target, str(PORT), str(number), raw)
        StartedProcess(lab.record, f"syn-{number}", _command(*words), lab.host("ue")).wait(60)
    time.sleep(1.0)
    counted = {name: lab.counted(name) for name in ("core", "edge")}
    lab.stop_captures()
    for what, (sport, raw, _) in SYNS.items():
        views = [
            [s.raw_options for s in c.segments() if s.syn and s.flow.sport == sport] for c in (sent, far)
        ]
        report.equal(f"{what}: options at the server as the host sent them", [[raw], [raw]], views, "capture")
        seen = [s for c in at_mcps for s in c.segments() if sport in (s.flow.sport, s.flow.dport)]
        report.equal(f"{what}: its segments at an MCP", 0, len(seen), "capture")
    taken = sum(c["MPCapableSYNRX"] for c in counted.values())
    report.equal("MP_CAPABLE SYNs that MCPs took: the one they may", 1, taken, "kernel")
    for reason in before:
        wanted = sum(r == reason for _, _, r in SYNS.values())
        report.equal(
            f"SYNs left alone as '{reason}'", wanted, int(_refused(lab, reason) - before[reason]), "REST"
        )


def _fragments(lab: Lab, report: Report, unguarded: bool) -> None:
    """Send a SYN whose TCP header is split over two fragments (RFC 1858), which its edge drops. Other fragments
    pass."""
    source, target = address_of(PLAN.box("ue"), 4), address_of(PLAN.box("server"), 4)
    edge = lab.switch("s1")
    if unguarded:
        ofctl(edge, "del-flows", "table=0,ip,nw_proto=6,nw_frag=first")
    lab.say("a SYN in two fragments, the first of 8 bytes; and a ping of 3,000 bytes")
    captures = [lab.capture_host("server", what="ip")] + [lab.capture_port(p.port, "ip") for p in PLAN.points]
    words = ("fragments", source, target, str(PORT), str(TINY), USUAL)
    StartedProcess(lab.record, "fragments", _command(*words), lab.host("ue")).wait(60)
    said = lab.host("ue").pexec(f"ping -c 2 -i 0.2 -W 2 -s 3000 -I {source} {target}")[0]
    time.sleep(0.5)
    counted = [
        int(found)
        for line in ofctl(edge, "dump-flows", "table=0").splitlines()
        if "nw_frag=first" in line and "tp_src=0" in line
        for found in re.findall(r"n_packets=(\d+)", line)
    ]
    lab.stop_captures()
    first = f"ip.id == {TINY} && ip.frag_offset == 0"
    report.equal("tiny first fragments at the server", 0, frames(captures[0].file, first), "capture")
    at_mcps = sum(frames(c.file, f"ip.id == {TINY}") for c in captures[1:])
    report.equal("fragments of that SYN at an MCP", 0, at_mcps, "capture")
    report.equal("tiny first fragments that the edge switch dropped", 1, sum(counted), "kernel")
    report.expect("a large ping, fragmented, passes", "2 received" in said, "2 received", said[-90:])


def _refused(lab: Lab, reason: str) -> float:
    return lab.controller.metric("steering_refusals_total", reason=reason)


def _take_rules_away(mcp: LabHost) -> None:
    """Remove the relay's rules that let signed SYNs pass, and nothing else."""
    listed, _, _ = mcp.pexec("nft -a list chain inet steering_relay fresh")
    handles = [line.rpartition(" ")[2] for line in listed.splitlines() if "md5sig" in line]
    if len(handles) != 1:
        raise LabError(f"{mcp.name}: not one rule about TCP-MD5 but {len(handles)}")
    mcp.pexec(f"nft delete rule inet steering_relay fresh handle {handles[0]}")


def _session(lab: Lab, report: Report) -> None:
    lab.controller.put_policy(AHEAD)
    server, ue = lab.host("server"), lab.host("ue")
    source, target = address_of(PLAN.box("ue"), 4), address_of(PLAN.box("server"), 4)
    until(lambda: lab.controller.whatif(source, target, PORT)["reason"] == "proactive", IN_FORCE_S)
    time.sleep(SETTLED_S)
    listening = StartedProcess(lab.record, "signed", _command("serve", str(SIGNED_PORT), source, KEY), server)
    listening.wait_for(lambda: f":{SIGNED_PORT} " in listeners(server), 5, "no listener")
    lab.say(f"a TCP-MD5 session, {ROUNDS} echoes, with all TCP of the host led through an MCP")
    accepted = _accepted(lab)
    at_mcps = [lab.capture_port(point.port) for point in PLAN.points]
    far = lab.capture_host("server")
    talk = _command("talk", target, str(SIGNED_PORT), KEY, str(ROUNDS))
    said, error, _ = ue.pexec(["env", f"PYTHONPATH={REPOSITORY}", *talk])
    lab.stop_captures()
    report.equal("echoes of the TCP-MD5 session", str(ROUNDS), (said or error).strip())
    report.equal("connections that a relay took meanwhile", 0, _accepted(lab) - accepted, "kernel")
    arrived = [s for s in far.segments() if s.flow.dport == SIGNED_PORT]
    signed = [s for s in arrived if "1312" in s.raw_options]
    report.expect(
        "segments at the server that are signed", len(arrived) == len(signed) >= ROUNDS,
        f"all, at least {ROUNDS}", f"{len(signed)} of {len(arrived)}", "capture",
    )  # fmt: skip
    through = [s for c in at_mcps for s in c.segments() if s.flow.dport == SIGNED_PORT]
    report.expect(
        "they came through an MCP, which forwards them", len(through) >= ROUNDS, f"at least {ROUNDS}",
        len(through), "capture",
    )  # fmt: skip
    report.figures["signed_segments"] = len(signed)


def _accepted(lab: Lab) -> int:
    return sum(int(relay_status(lab.record, p.name)["counters"]["accepted"]) for p in PLAN.points)


SCENARIO = Scenario(
    name="md5-ao",
    figure="draft-deng section 6.7",
    rows=ROWS,
    summary="TCP-MD5, TCP-AO, unknown options and full option space pass by every MCP, byte for byte",
    plan=PLAN,
    run=run,
    controls=controls(
        "option-bypass",
        relay_rules="the relay takes a SYN with TCP-MD5 as any other that is led to it",
        fragment_rule="the edge switch has no rule against first fragments that hide a TCP header",
    ),
)
