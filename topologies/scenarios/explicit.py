"""Explicit mode of hosts: draft-nam Figures 6 (first part) and 13. The host connects to its MCP and names the
destination in the first bytes, by Convert (RFC 8803) or SOCKS5. No session has an entry in a switch, and joins are
checked all the same.

The network of `off-path`. Explicit mode needs nothing of it but a natural path to the MCP, which every access has.
"""

import sys
import time
from dataclasses import replace

from topologies.kit.captures import CAPABLE, JOIN
from topologies.kit.kernel_counters import Subflow, subflows
from topologies.kit.lab import Lab, running, session_entries
from topologies.kit.plan import Plan
from topologies.kit.processes import PROGRAMS, LabError, relay_status
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import explicit_mode as em
from topologies.measures.aggregation import warm_up
from topologies.networks.off_path import PLAN as OFF_PATH

SECONDS, LEFT_S = 5.0, 1.0  # of an upload, and before its end when subflows are listed at last
ACCESS_MBIT = 10.0
GAIN = 1.6
MCP, SERVER, LTE, WLAN = "10.8.0.2", "10.9.0.2", "10.1.0.2", "10.2.0.2"
SERVICES = (5001, 5002)
MALFORMED = "010622630a00138900000000000000000000ffff0a090002"  # a Connect TLV whose length is 0
TRUNCATED = em.connect_bytes(SERVER, 5001)[:12].hex()
ROWS = ("N-F6", "N-F13", "N-5.2.1b", "N-5.2.1c", "N-5.2.1d", "S-13", "S-24", "S-25")


def _plan() -> Plan:
    boxes = (
        replace(
            box,
            relay=("--server-leg", "tcp", *em.OFFERS) if box.name == "core" else (),
            nics=tuple(replace(nic, mbit=nic.mbit and ACCESS_MBIT) for nic in box.nics),
        )
        for box in OFF_PATH.boxes
    )
    return replace(OFF_PATH, name="explicit", boxes=tuple(boxes), services=SERVICES)


PLAN = _plan()


def run(options: Options, report: Report) -> None:
    """Use Convert from LTE, Convert from WLAN and SOCKS, then send malformed messages and a stray join."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        warm_up(lab, 4)
        lab.host("ue").run(f"ip mptcp endpoint add {LTE} dev {lab.host('ue').interface(0)} subflow")
        report.table = [["preface", "first on", "server", "goodput", "subflows at core", "session entries"]]
        rounds = (("convert", LTE, 5001), ("convert", WLAN, 5002), ("socks", LTE, 5002))
        for number, (how, source, service) in enumerate(rounds):
            transfer(lab, options, report, number, how, source, service)
        check_refused(lab, options, report)
        if options.prompt:
            lab.command_line()


def transfer(
    lab: Lab, options: Options, report: Report, number: int, how: str, source: str, service: int
) -> None:
    """Run an upload of an application that connects to loopback only."""
    seconds = options.seconds or SECONDS
    title = f"{how} from {source} to port {service}"
    port = em.CONVERT if how == "convert" else em.SOCKS
    listen = 7001 + number
    via = em.client(lab, "ue", f"{how}://{MCP}:{port}", listen, f"{SERVER}:{service}", "--from", source)
    accesses = [lab.capture_port("s1:1"), lab.capture_port("s2:1")]
    server = lab.capture_port("s4:1", em.SYNS)
    lab.mark()
    lab.say(f"{title}: uploading for {seconds:.0f} s")
    order = {"dst": "127.0.0.1", "port": listen, "mptcp": False}
    if "explicit" in options.without:
        order = {"dst": SERVER, "port": service, "mptcp": True}
    lab.agents["ue"].ask("start", name=title, kind="upload", seconds=seconds, **order)
    time.sleep(seconds / 2)
    until(lambda: len(_at_core(lab, port)) == 2, max(0.0, seconds / 2 - LEFT_S))
    at_core = _at_core(lab, port)
    sessions = [s for s in lab.controller.detailed() if s["state"] == "established"]
    entries = session_entries(lab)
    done = lab.agents["ue"].finish(title, seconds + 45)
    via.end()
    lab.stop_captures()
    report.equal(f"{title}: the transfer succeeds", "", done.get("error", ""))
    report.rate(
        f"{title}: goodput over one access",
        done.get("mbit", 0.0) >= GAIN * ACCESS_MBIT,
        f"at least {GAIN * ACCESS_MBIT:.0f} Mbit/s",
        f"{done.get('mbit', 0.0):.1f} Mbit/s",
    )
    em.check_addressed(report, title, accesses, MCP, (LTE, WLAN))
    opened = {s.flow.src for capture in accesses for s in em.syns(capture.segments(), CAPABLE)}
    report.equal(f"{title}: the first subflow's address", {source}, opened, "capture")
    begun = {(s.flow.src, s.flow.dst, s.flow.dport) for s in server.segments() if s.syn}
    report.equal(f"{title}: the server's SYN", {(MCP, SERVER, service)}, begun, "capture")
    if how == "convert":
        _, first = em.first_bytes(accesses[source == WLAN], MCP, port)
        wanted = em.connect_bytes(SERVER, service)
        report.equal(f"{title}: the first bytes", wanted.hex(), first[: len(wanted)].hex(), "capture")
        report.figures["signalling_bytes"] = len(wanted)
    tokens = {s.own_token for s in at_core}
    report.expect(
        f"{title}: subflows at core, of one session",
        len(at_core) == 2 and len(tokens) == 1,
        "2 of one token",
        f"{len(at_core)} of {sorted(tokens)}",
        "kernel",
    )
    report.equal(
        f"{title}: joins sent and completed",
        (1, 1),
        (lab.counted("ue")["MPJoinSynTx"], lab.counted("core")["MPJoinAckRx"]),
        "kernel",
    )
    told = [(s["token"], s["explicit"], len(s["subflows"])) for s in sessions if s["token"] in tokens]
    report.equal(f"{title}: the controller's account", [(t, True, 2) for t in sorted(tokens)], told, "REST")
    report.equal(f"{title}: session entries in switches", 0, entries, "REST")
    row = [how, source, f"{SERVER}:{service}", f"{done.get('mbit', 0.0):.1f} Mbit/s", str(len(at_core))]
    report.table.append([*row, str(entries)])


def _at_core(lab: Lab, port: int) -> list[Subflow]:
    return [s for s in subflows(lab.host("core")) if s.flow.sport == port]


def check_refused(lab: Lab, options: Options, report: Report) -> None:
    """Check that malformed messages lead to no connection to a server, and that a stray join does not reach the MCP."""
    lab.say("malformed and truncated prefaces, and a join with a token of nobody")
    core, server = lab.capture_port("s3:1", em.SYNS), lab.capture_port("s4:1", em.SYNS)
    before = relay_status(lab.record, "core")["counters"]["preface_refused"]
    lab.mark()
    script = str(PROGRAMS / "stray_join.py")
    answers = []
    # Else the host may join a connection of its own that the relay has refused and closed: a token that nobody has.
    lab.host("ue").run("ip mptcp limits set subflows 0")
    for preface in (MALFORMED, TRUNCATED):
        said, complaint, status = lab.host("ue").pexec(
            [sys.executable, script, "say", MCP, str(em.CONVERT), preface]
        )
        if status:
            raise LabError(f"stray_join say: {complaint.strip()}")
        answers.append(said.strip())
    lab.host("ue").run(f"{sys.executable} {script} join {WLAN} {MCP} {em.CONVERT}")
    unknown = lab.controller.settled("steering_refusals_total", 1, reason="unknown-token")
    refused = relay_status(lab.record, "core")["counters"]["preface_refused"] - before
    lab.stop_captures()
    report.equal(
        "a malformed preface's answer: an Error TLV, malformed message",
        "010222631e010100",
        answers[0],
        "capture",
    )
    report.equal("prefaces refused by the relay", 2, refused, "kernel")
    report.equal("SYNs to the server meanwhile", 0, sum(s.syn for s in server.segments()), "capture")
    came = [s for s in em.syns(core.segments(), JOIN) if s.token == em.STRANGER]
    report.equal("stray joins captured at core", 0, len(came), "capture")
    report.equal(
        "stray joins counted by core's kernel", 0, lab.counted("core")["MPJoinNoTokenFound"], "kernel"
    )
    report.expect("joins refused for their token", unknown >= 1, "at least 1", unknown, "REST")


SCENARIO = Scenario(
    name="explicit",
    figure="draft-nam Figures 6 (host-based) and 13",
    rows=ROWS,
    summary="hosts name their MCP and say where to by Convert or SOCKS: no entry for a session, joins still checked",
    plan=PLAN,
    run=run,
    controls=controls("hold-queue", explicit="the host's applications connect to the server itself"),
)
