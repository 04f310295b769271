"""A neighbour behind the same access sends segments in a victim's name, with numbers that it guesses: no session dies.

100 sessions of the victim live through one plain SYN for each port that a host may use, and then, at the right ports,
through SYNs, MP_CAPABLEs, MP_JOINs, FINs and resets. What counts is the application: an echo on every session after each
attack, and on the wire no segment of theirs beside their MCP. (Hosts of this WLAN are `learned`: elsewhere a neighbour speaks
in the name of those behind its own port alone.)
"""

import sys
import time

from steering.model.rules import VIRTUAL_MAC
from topologies.kit.captures import Capture
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.processes import StartedProcess
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls

SESSIONS = 100
SERVICE = 5001
SWEPT, SWEEP_RATE = "32768-60999", 900  # a host's ephemeral ports; the rate stays below every meter
PRECISE_RATE = 100
PRECISE = ("syn", "mp-capable", "mp-join", "fin", "reset")
ECHO_GAP_S = 0.005
SETTLE_S = 3.0
PATIENCE_S = 3.0  # a session that answers later than this is dead: a lost segment is sent again after 0.2 s
ENOUGH = 10  # dead sessions are waited for one after the other
VICTIM_PORT, NATURAL_LINK = "s1:1", "s1:2"

ROWS = ("D-6.4h", "N-7.2c")
PLAN = Plan(
    name="blind-attack",
    switches=("s1", "s2", "s3", "s4"),
    wires=(
        Wire("s1:2", "s4:2"),  # the natural way
        Wire("s1:4", "s3:3"),  # the way to the MCP
        Wire("s2:2", "s4:3"),
        Wire("s3:2", "s4:4"),
    ),
    boxes=(
        Box("ue", Kind.DUAL, (Nic("s1:1", ("10.2.0.2/24",)), Nic("s2:1", ("10.1.0.2/24",)))),
        Box("neighbour", Kind.PLAIN, (Nic("s1:3", ("10.2.0.66/24",)),)),
        Box("core", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24",)),)),
        Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24",)),)),
    ),
    accesses=(
        Attachment("wlan", ("10.2.0.0/24",), ("s1:1", "s1:3"), "wlan", hosts="learned"),
        Attachment("lte", ("10.1.0.0/24",), ("s2:1",), "cellular"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s4:1",)),),
    points=(Point("core", "s3:1", ("10.8.0.2",)),),
    services=(SERVICE,),
)


def run(options: Options, report: Report) -> None:
    """Open, sweep, aim, and ask every session after each."""
    count = options.sessions or SESSIONS
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        server = address_of(PLAN.box("server"), 4)
        for name in ("ue", "neighbour"):
            lab.agents[name].ask("ping", dst=server, count=3)
        natural = lab.capture_port(NATURAL_LINK)
        victim = lab.capture_port(VICTIM_PORT)
        order = {"group": "all", "dst": server, "ports": [SERVICE], "mptcp": True, "count": count}
        opened = lab.agents["ue"].ask("open", **order, first=True)["opened"]
        ports = [one["local"][1] for one in opened if "error" not in one]
        report.equal("sessions of the victim", count, len(ports))
        _wait_for_joins(lab, count)
        report.table = [["attack", "segments", "seconds", "sessions that no longer answer"]]
        _attack(lab, report, "syn", SWEPT, SWEEP_RATE, "one plain SYN for each port that a host may use")
        aimed = ",".join(map(str, ports))
        for kind in PRECISE:
            if any(row[-1] != "0" for row in report.table[1:]):
                break  # who is dead cannot be killed, and each would be waited for
            _attack(lab, report, kind, aimed, PRECISE_RATE, f"a {kind} at each session's own port")
        lab.stop_captures()
        if options.prompt:
            lab.command_line()
        _judge_wire(lab, report, natural, victim, count)


def _wait_for_joins(lab: Lab, count: int) -> None:
    limit = time.monotonic() + 15
    while lab.counted("core")["MPJoinAckRx"] < count and time.monotonic() < limit:
        time.sleep(0.1)


def _attack(lab: Lab, report: Report, kind: str, ports: str, rate: int, what: str) -> None:
    lab.say(what)
    host = lab.host("neighbour")
    words = [address_of(PLAN.box("ue"), 4), address_of(PLAN.box("server"), 4), str(SERVICE), str(rate)]
    command = [sys.executable, "-m", "topologies.programs.blind", host.interface(0), VIRTUAL_MAC, *words]
    attack = StartedProcess(lab.record, f"blind-{kind}-{len(ports)}", [*command, kind, ports], host)
    asked = {"group": "all", "gap": ECHO_GAP_S, "wait": PATIENCE_S, "enough": ENOUGH}
    failed: list[str] = []
    while attack.alive():
        failed = failed or lab.agents["ue"].ask("echo", **asked)["failed"]
        time.sleep(0.1)
    sent, seconds = attack.last_line().split()
    time.sleep(SETTLE_S)
    failed = failed or lab.agents["ue"].ask("echo", **asked)["failed"]
    report.table.append([what, sent, seconds, str(len(failed))])
    report.figures.setdefault("lost", {})[what] = len(failed)
    report.equal(f"{what}: sessions that no longer answer", 0, len(failed))


def _judge_wire(lab: Lab, report: Report, natural: Capture, victim: Capture, count: int) -> None:
    flows = {s.flow for s in victim.segments() if s.syn and s.options}
    report.equal("sessions seen at the victim's port", count, len(flows), "capture")
    both = flows | {flow.reversed() for flow in flows}
    past = [str(s.flow) for s in natural.segments() if not s.syn and s.flow in both]
    report.equal("segments of the sessions that went past their MCP", 0, len(past), "capture")
    joined = lab.counted("core")["MPJoinAckRx"]
    report.expect("each session has joined", joined >= count, f"at least {count}", joined, "kernel")
    resets = sum(1 for s in victim.segments() if s.flags & 0x04 and s.flow.reversed() in flows)
    report.equal("resets that the victim was sent", 0, resets, "capture")
    report.equal("the controller is well", "ok", lab.controller.get("/v1/health")["status"], "REST")


SCENARIO = Scenario(
    name="blind-attack",
    figure="draft-deng section 6.4 (h)",
    rows=ROWS,
    summary="a neighbour sends SYNs, joins, FINs and resets in a victim's name: its 100 sessions do not notice",
    plan=PLAN,
    run=run,
    controls=controls("live-pins"),
)
