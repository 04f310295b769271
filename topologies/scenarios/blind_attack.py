"""A neighbour behind the same access sends segments in a victim's name, with numbers that it guesses: no session dies.

The victim's 100 sessions first meet one plain SYN for each port that a host may use, and then, at the right ports, SYNs,
MP_CAPABLEs, MP_JOINs, FINs and resets. After each attack every session must still echo, and no segment of theirs may miss its MCP.
Before that, forged FINs meet uploads whose server has ended its direction. These uploads are plain TCP, since an MPTCP subflow
sends its FIN only when both directions have ended. (Hosts of this WLAN are `learned`. In other access networks a neighbour can
send only with the addresses of hosts behind its own port.)
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

SESSIONS, UPLOADS = 100, 10
SERVICE, HALF_CLOSED = 5001, 5002
SWEPT, SWEEP_RATE = "32768-60999", 900  # a host's ephemeral ports; the rate stays below every meter
PRECISE_RATE = 100
ON_UPLOADS = "a fin at each half-closed upload's own port"
PRECISE = ("syn", "mp-capable", "mp-join", "fin", "reset")
ECHO_GAP_S = 0.005
SETTLE_S = 3.0
# A dead session never answers. A live one answers as soon as this machine gets to it: under a load of 18 some took more than 3 s.
# Without the machine's lateness none takes that long, since lost data is sent again after 0.2, 0.6, 1.4 s and so on.
PATIENCE_S, ECHO_S = 30.0, 3.0
ENOUGH = 3  # dead sessions are waited for one after the other
OPENED_S = 20.0  # for a connection and its first echo
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
    services=(SERVICE, HALF_CLOSED),
    policy="policy: 1\ntimers: {fin_linger: 1}\n",  # less than SETTLE_S: what a FIN takes is gone by then
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
        order["wait"] = OPENED_S
        opened = lab.agents["ue"].ask("open", **order, first=True)["opened"]
        ports = [one["local"][1] for one in opened if "error" not in one]
        report.equal("sessions of the victim", count, len(ports))
        _wait_for_joins(lab, count)
        report.table = [["attack", "segments", "seconds", "sessions that no longer answer"]]
        _attack_uploads(lab, report, server)
        _attack(lab, report, "syn", SWEPT, SWEEP_RATE, "one plain SYN for each port that a host may use")
        aimed = ",".join(map(str, ports))
        for kind in PRECISE:
            if any(row[-1] != "0" for row in report.table[2:]):
                break  # dead sessions cannot be attacked again, and each one would be waited for
            _attack(lab, report, kind, aimed, PRECISE_RATE, f"a {kind} at each session's own port")
        lab.stop_captures()
        if options.prompt:
            lab.command_line()
        _judge_wire(lab, report, natural, victim, count)


def _wait_for_joins(lab: Lab, count: int) -> None:
    limit = time.monotonic() + PATIENCE_S
    while lab.counted("core")["MPJoinAckRx"] < count and time.monotonic() < limit:
        time.sleep(0.1)


def _attack_uploads(lab: Lab, report: Report, server: str) -> None:
    """Fall back to plain TCP, have the server end its direction, forge the host's FIN: the uploads go on."""
    victim = lab.agents["ue"]
    lab.host("core").run(
        "nft add table inet fallback",
        "nft add chain inet fallback out { type filter hook output priority 0 ; }",
        f"nft add rule inet fallback out tcp sport {HALF_CLOSED} tcp flags & (syn|ack) == (syn|ack) reset tcp option mptcp",
    )
    order = {"group": "uploads", "dst": server, "ports": [HALF_CLOSED], "mptcp": True, "count": UPLOADS}
    order["wait"] = OPENED_S
    opened = victim.ask("open", **order)["opened"]
    ports = ",".join(str(one["local"][1]) for one in opened if "error" not in one)
    report.equal(
        "uploads whose server has ended its direction",
        UPLOADS,
        victim.ask("half-close", group="uploads", wait=PATIENCE_S)["ended"],
    )
    plain = sum("error" not in one and one["token"] is None for one in opened)
    report.equal("uploads that fell back to plain TCP", UPLOADS, plain, "kernel")
    lab.say(ON_UPLOADS)
    attack = _start(lab, "fin", ports, PRECISE_RATE, HALF_CLOSED)
    while attack.alive():
        time.sleep(0.1)
    time.sleep(SETTLE_S)
    lost = len(victim.ask("push", group="uploads", wait=PATIENCE_S)["failed"])
    _told(report, ON_UPLOADS, attack, lost)
    victim.ask("close", group="uploads")


def _start(lab: Lab, kind: str, ports: str, rate: int, service: int = SERVICE) -> StartedProcess:
    host = lab.host("neighbour")
    words = [address_of(PLAN.box("ue"), 4), address_of(PLAN.box("server"), 4), str(service), str(rate)]
    command = [sys.executable, "-m", "topologies.programs.blind", host.interface(0), VIRTUAL_MAC, *words]
    return StartedProcess(lab.record, f"blind-{kind}-{service}-{len(ports)}", [*command, kind, ports], host)


def _told(report: Report, what: str, attack: StartedProcess, lost: int) -> None:
    sent, seconds = attack.numbers(2)
    report.table.append([what, f"{sent:.0f}", f"{seconds:g}", str(lost)])
    report.figures.setdefault("lost", {})[what] = lost
    report.expect(f"{what}: segments of the attack", sent > 0, "more than 0", f"{sent:.0f}")
    report.equal(f"{what}: sessions that no longer answer", 0, lost)


def _attack(lab: Lab, report: Report, kind: str, ports: str, rate: int, what: str) -> None:
    lab.say(what)
    attack = _start(lab, kind, ports, rate)
    asked = {"group": "all", "gap": ECHO_GAP_S, "wait": PATIENCE_S, "enough": ENOUGH}
    failed: list[str] = []
    longest, over = 0.0, False
    while not over:
        over = not attack.alive()
        time.sleep(SETTLE_S if over else 0.1)
        if not failed:
            told = lab.agents["ue"].ask("echo", **asked)
            failed, longest = told["failed"], max(longest, told["longest_own_s"])
    _told(report, what, attack, len(failed))
    judge_echoes(report, what, longest)


def judge_echoes(report: Report, what: str, longest: float) -> None:
    """The longest echo of the sessions that still answer, in seconds without what this machine was late."""
    name = f"{what}: the longest echo without what this machine was late"
    report.expect(name, longest < ECHO_S, f"under {ECHO_S:g} s", f"{longest:.2f} s")


def _judge_wire(lab: Lab, report: Report, natural: Capture, victim: Capture, count: int) -> None:
    flows = {s.flow for s in victim.segments() if s.syn and s.options}
    report.equal("sessions seen at the victim's port", count + UPLOADS, len(flows), "capture")
    lasting = {flow for flow in flows if flow.dport == SERVICE}
    both = lasting | {flow.reversed() for flow in lasting}
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
