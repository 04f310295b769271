"""A rogue host behind the same NAT as a genuine host (draft-deng section 6.4 h): addresses do not tell them apart.

    lte   s1 ------ s3 (core) ------ s4  server      ue joins over the WLAN through `nat`; rogue sits beside it
    wlan  s2 ------ s3                               and sends joins of its own through the same address.

A join with an unknown token never reaches an MCP. However often it is repeated, it costs the controller one packet-in
in ten seconds. A join with the right token but without the keys reaches the MCP's kernel, which checks the HMAC.
"""

import json
import sys
import time
from typing import IO, Any

from topologies.kit.captures import CAPABLE, JOIN, Capture, Segment, distinct
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.processes import PROGRAMS, LabError, StartedProcess
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until

JOINED_S = 10.0  # seconds for a genuine join
UNKNOWN = "deadbeef"
REPEATS, GAP_S = (
    14,
    0.6,
)  # all repeats together take longer than a join is held, and less than a flow of an unknown token is blocked
BLOCKED_S = 10.0  # for which a flow of an unknown token is
STRANGE_PORT, FORGED_PORT = 40_001, 40_002
SERVICE = 5001

ROWS = ("D-6.4h", "D-6.4.0")
PLAN = Plan(
    name="rogue-nat",
    switches=("s1", "s2", "s3", "s4"),
    wires=(Wire("s1:2", "s3:2"), Wire("s2:2", "s3:3"), Wire("s3:4", "s4:2")),
    boxes=(
        Box("ue", Kind.DUAL, (Nic("s1:1", ("10.1.0.2/24",)), Nic("hub:0", ("10.3.0.2/24",)))),
        Box("rogue", Kind.PLAIN, (Nic("hub:1", ("10.3.0.3/24",)),)),
        Box("hub", Kind.BRIDGE, (Nic("ue:1"), Nic("rogue:0"), Nic("nat:0"))),
        Box("nat", Kind.NAT, (Nic("hub:2", ("10.3.0.1/24",)), Nic("s2:1", ("10.2.0.9/24",)))),
        Box("core", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24",)),)),
        Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24",)),)),
    ),
    accesses=(
        Attachment("lte", ("10.1.0.0/24",), ("s1:1",), "cellular"),
        Attachment("wlan", ("10.2.0.0/24",), ("s2:1",), "wlan", "third-party"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s4:1",)),),
    points=(Point("core", "s3:1", ("10.8.0.2",)),),
    services=(SERVICE,),
    policy="policy: 1\nthird_party_pooling: true\n",
)


class Rogue:
    """The rogue's raw joins. Its kernel does not know these connections, and must not reset them."""

    def __init__(self, lab: Lab) -> None:
        host = lab.host("rogue")
        host.run(
            "nft add table ip quiet",
            "nft add chain ip quiet out { type filter hook output priority 0 ; }",
            "nft add rule ip quiet out tcp flags & rst == rst drop",
        )
        script = str(PROGRAMS / "rogue.py")
        self._running = StartedProcess(lab.record, "rogue", [sys.executable, script], host, talk=True)

    def order(self, *words: object) -> None:
        """Give an order of `programs/rogue.py`."""
        stream: IO[str] = self._running.popen.stdin  # type: ignore[assignment]
        stream.write(json.dumps({"words": [str(word) for word in words]}) + "\n")
        stream.flush()

    def heard(self) -> list[str]:
        """The segments that came back after the last order. Raises LabError."""
        line = self._running.popen.stdout.readline()  # type: ignore[union-attr]
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._running.last_line()}
        if "error" in answer:
            raise LabError(f"rogue: {answer['error']}")
        heard: list[str] = answer["heard"]
        return heard


def run(options: Options, report: Report) -> None:
    """Run genuine sessions, then unknown tokens beside them, then the right token without the keys."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        lab.agents["ue"].ask("ping", dst=address_of(PLAN.box("server"), 4), count=3)
        lte, access, mcp = (lab.capture_port(port) for port in ("s1:1", "s2:1", "s3:1"))
        rogue = Rogue(lab)
        server = address_of(PLAN.box("server"), 4)
        lab.mark()
        _genuine(lab, report, "before", 1)
        options.say(f"the rogue repeats a join with an unknown token {REPEATS} times")
        before = lab.controller.metric("steering_packet_ins_total", **{"class": "syn"})
        begun = time.time()
        rogue.order("repeat", server, SERVICE, STRANGE_PORT, UNKNOWN, REPEATS, GAP_S)
        time.sleep(REPEATS * GAP_S / 2)
        _genuine(lab, report, "meanwhile", 2)
        heard = rogue.heard()
        seen = lab.controller.metric("steering_packet_ins_total", **{"class": "syn"}) - before
        ended = time.time()
        options.say("the rogue has the right token and no keys")
        token = _first_token(lab)
        forged: list[str] = []
        if report.expect("the first session has a token", bool(token), "it has", token or "none", "REST"):
            rogue.order("forge", server, SERVICE, FORGED_PORT, token)
            forged = rogue.heard()
        still = [lab.agents["ue"].ask("echo", group=group)["failed"] for group in ("before", "meanwhile")]
        lab.stop_captures()
        if options.prompt:
            lab.command_line()
        _judge_unknown(lab, report, access, mcp, heard)
        meanwhile = [s for c in (lte, access) for s in c.segments() if begun <= s.time <= ended]
        _judge_packet_ins(report, meanwhile, int(seen))
        _judge_forged(lab, report, mcp, token, forged)
        report.equal("the genuine host's sessions that were disturbed", [[], []], still)
        report.figures.update(packet_ins=seen, heard=heard, forged=forged)


def _genuine(lab: Lab, report: Report, group: str, joins: int) -> None:
    server = address_of(PLAN.box("server"), 4)
    opened = lab.agents["ue"].ask("open", group=group, dst=server, ports=[SERVICE], mptcp=True, first=True)
    report.equal(f"the genuine session {group}", [], [o for o in opened["opened"] if "error" in o])
    until(lambda: lab.counted("core")["MPJoinAckRx"] >= joins, JOINED_S)
    found = lab.counted("core")["MPJoinAckRx"]
    report.equal(f"genuine joins through the NAT, {group}", joins, found, "kernel")


def _first_token(lab: Lab) -> str:
    """The token of the first session, which the rogue attacks; "" where there is none."""
    return next((str(row["token"]) for row in lab.controller.sessions()[:1] if row["token"]), "")


def _judge_unknown(lab: Lab, report: Report, access: Capture, mcp: Capture, heard: list[str]) -> None:
    sent = [s for s in access.segments() if s.syn and s.token == UNKNOWN]
    flows = {s.flow for s in sent} | {s.flow.reversed() for s in sent}
    arrived = [s for s in mcp.segments() if s.flow in flows]
    genuine = {s.flow.src for s in access.segments() if s.syn and JOIN in s.options and s.token != UNKNOWN}
    report.expect(
        "the rogue's joins came in at the access, behind the genuine host's address",
        len(sent) == REPEATS and {s.flow.src for s in sent} <= genuine,
        f"{REPEATS} from {sorted(genuine)}",
        f"{len(sent)} from {sorted({s.flow.src for s in sent})}",
        "capture",
    )
    report.equal("segments of the unknown token at the MCP", 0, len(arrived), "capture")
    report.equal("joins whose token the MCP did not know", 0, _count(lab, "MPJoinNoTokenFound"), "kernel")
    report.equal("answers that the rogue heard", [], heard)


def _judge_packet_ins(report: Report, segments: list[Segment], seen: int) -> None:
    """Check the number of SYNs that reached the controller, `seen`. Of the rogue's SYNs one does, and one more each time its block
    has ended. Every MPTCP SYN of the genuine host may, since a busy controller may answer after the host has sent it again.
    `segments`: those captured at the accesses while the rogue sent."""
    strange = [s.time for s in segments if s.syn and s.token == UNKNOWN]
    genuine = [s for s in segments if s.syn and s.options and s.token != UNKNOWN]
    blocks = 1 + int((max(strange, default=0.0) - min(strange, default=0.0)) / BLOCKED_S)
    most = blocks + len(genuine)
    report.expect(
        "packet-ins for SYNs in these ten seconds: one of the rogue's, two genuine",
        1 + len(distinct(genuine)) <= seen <= most,
        f"at least {1 + len(distinct(genuine))}, at most {most}",
        seen,
        "REST",
    )


def _judge_forged(lab: Lab, report: Report, mcp: Capture, token: str, forged: list[str]) -> None:
    report.equal(
        "the MCP refused the HMAC of the right token", 1, _count(lab, "MPJoinAckHMacFailure"), "kernel"
    )
    report.equal(
        "what the rogue heard: the handshake's second part, then a reset", ["syn-ack", "reset"], forged[-2:]
    )
    keys = [s for s in mcp.segments() if s.syn and CAPABLE in s.options]
    joined: list[Segment] = [s for s in mcp.segments() if s.syn and JOIN in s.options and s.token == token]
    report.expect(
        "the right token's joins did reach the MCP",
        len(joined) >= 2 and len(keys) >= 2,
        "the genuine one and the forged one",
        f"{len(joined)} joins",
        "capture",
    )


def _count(lab: Lab, counter: str) -> int:
    return lab.counted("core")[counter]


SCENARIO = Scenario(
    name="rogue-nat",
    figure="draft-deng section 6.4 (h)",
    rows=ROWS,
    summary="a rogue behind the genuine host's NAT: unknown tokens end at the edge, right ones at the HMAC",
    plan=PLAN,
    run=run,
    controls=controls("token-lookup", "stray-drop"),
)
