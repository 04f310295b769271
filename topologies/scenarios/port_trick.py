"""With the C flag and an announced port, an MCP needs no listener for each service port (`steering relay
--listener`).

Linux resets a join that reaches a listener whose port differs from that of the session (MPTcpExtMismatchPortSynRx).
So an MCP with one listener for all service ports asks hosts not to join by the server's address (C flag), and
announces its own address with a port (ADD_ADDR, RFC 8684 section 3.4.1) on which its kernel listens. The network of
`off-path`.
"""

import subprocess
import sys
from dataclasses import replace

from topologies.kit.captures import JOIN
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Plan, address_of
from topologies.kit.processes import PROGRAMS, REPOSITORY, listeners
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import aggregation
from topologies.measures import explicit_mode as em
from topologies.networks import off_path

SECONDS = 4.0
ACCESS_MBIT = 10.0
MCP, WLAN = "core", "10.2.0.2"
ADDRESSES = tuple(address_of(off_path.PLAN.box(MCP), family) for family in (4, 6))
LISTENER, ANNOUNCED = 15000, 5999
SERVED, UNSERVED = (5001, 5002, 5003), 5004
ROWS = ("N-5.2.2b", "N-5.2.2c", "N-5.2.2d", "D-6.2c")
OPTIONS = (
    *("--listener", str(LISTENER), "--c-flag"),
    *("--advertise", f"{ADDRESSES[0]}:{ANNOUNCED}", "--advertise", f"[{ADDRESSES[1]}]:{ANNOUNCED}"),
)


def _plan() -> Plan:
    base = off_path.PLAN
    boxes = (
        replace(
            box,
            relay=OPTIONS if box.name == MCP else (),
            nics=tuple(replace(nic, mbit=nic.mbit and ACCESS_MBIT) for nic in box.nics),
        )
        for box in base.boxes
    )
    served = f"source_mode: transparent, tcp_ports: [{SERVED[0]}-{SERVED[-1]}]"
    return replace(
        base,
        name="port-trick",
        boxes=tuple(boxes),
        points=tuple(replace(point, source=served) for point in base.points),
        services=(*SERVED, UNSERVED),
        policy=f"policy: 1\neligible: {{ports: [{SERVED[0]}-{UNSERVED}]}}\n",
    )


PLAN = _plan()


def run(options: Options, report: Report) -> None:
    """Run an upload, open a connection to each port of the one listener and one to a port that no MCP serves, and
    send a join with an unknown token."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        ue, core = lab.host("ue"), lab.host(MCP)
        ue.run(
            "ip mptcp endpoint flush", f"ip mptcp endpoint add {WLAN} dev {ue.interface(1)} subflow fullmesh"
        )
        if "announced-port" in options.without:
            core.run("ip mptcp endpoint flush", "sysctl -qw net.mptcp.allow_join_initial_addr_port=1")
        lab.start_controller(options.without)
        aggregation.warm_up(lab, 4)
        numbers = {int(line.split()[3].rpartition(":")[2]) for line in listeners(core).splitlines()}
        report.equal("MCP: its listeners' numbers", {LISTENER, ANNOUNCED}, numbers, "kernel")
        wlan = lab.capture_port("s2:1", em.SYNS)
        on = aggregation.upload(lab, 4, options.seconds or SECONDS)
        aggregation.check_pinned(report, on, MCP, "upload")
        wanted = aggregation.GAIN * ACCESS_MBIT
        report.rate("goodput over one access", on.mbit >= wanted, f"at least {wanted:.0f} Mbit/s",
                      f"{on.mbit:.1f} Mbit/s")  # fmt: skip
        joins = {(s.flow.src, s.flow.dst, s.flow.dport) for s in em.syns(wlan.segments(), JOIN)}
        report.equal("joins", {(WLAN, ADDRESSES[0], ANNOUNCED)}, joins, "capture")
        report.equal("joins reset for their port", 0, on.count(MCP, "MismatchPortSynRx"), "kernel")
        report.figures["goodput_mbit"] = round(on.mbit, 2)
        _each_port(lab, report)
        _unserved(lab, report)
        _stranger(lab, report)
        if options.prompt:
            lab.command_line()


def _open(lab: Lab, port: int) -> str:
    """Open a connection that echoes once and stays open; its error, or ""."""
    order = {
        "group": f"port-{port}",
        "dst": address_of(PLAN.box("server"), 4),
        "ports": [port],
        "mptcp": True,
    }
    opened = lab.agents["ue"].ask("open", first=True, **order)["opened"]
    lab.agents["ue"].ask("ping", dst=address_of(PLAN.box("server"), 4), count=2)  # this gives its join time
    return str(opened[0].get("error", ""))


def _each_port(lab: Lab, report: Report) -> None:
    for port in SERVED[1:]:
        lab.mark()
        report.equal(f"port {port}: served", "", _open(lab, port))
        told = lab.counted("ue")["MPJoinSynTx"], lab.counted(MCP)["MPJoinAckRx"]
        report.equal(f"port {port}: joins sent, and completed at {MCP}", (1, 1), told, "kernel")


def _unserved(lab: Lab, report: Report) -> None:
    """Use an eligible port for which no MCP has a listener. It is bypassed, and `steering check` says so."""
    lab.mark()
    at = lab.capture_port("s3:1", em.SYNS)
    error = _open(lab, UNSERVED)
    lab.stop_captures()
    report.equal(f"port {UNSERVED}, which no MCP serves: the server answers", "", error)
    came = [s for s in at.segments() if s.flow.dport == UNSERVED]
    report.equal(f"port {UNSERVED}: SYNs at the MCP", 0, len(came), "capture")
    declined = lab.counted("ue")["MPCapableFallbackSYNACK"]
    report.equal(f"port {UNSERVED}: answered by the server, without MPTCP", 1, declined, "kernel")
    command = [sys.executable, "-m", "steering", "check", "--site", str(lab.controller.site)]
    command += ["--policy", str(lab.controller.policy)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    wanted = f"eligible port {UNSERVED} is in no MCP's tcp_ports"
    report.expect(
        "steering check says so", said.returncode == 0 and wanted in said.stderr, wanted, said.stderr
    )


def _stranger(lab: Lab, report: Report) -> None:
    """Send a join to the announced port with a token of no session."""
    at = lab.capture_port("s3:1", em.SYNS)
    script = str(PROGRAMS / "stray_join.py")
    lab.host("ue").run(f"{sys.executable} {script} join {WLAN} {ADDRESSES[0]} {ANNOUNCED}")
    refused = lab.controller.settled("steering_refusals_total", 1, reason="unknown-token")
    lab.stop_captures()
    came = [s for s in em.syns(at.segments(), JOIN) if s.token == em.STRANGER]
    report.equal("a stranger's joins at the MCP", 0, len(came), "capture")
    report.expect("joins refused for their token", refused >= 1, "at least 1", refused, "REST")


SCENARIO = Scenario(
    name="port-trick",
    figure="draft-nam section 5.2.2, an MCP with one listener for all ports",
    rows=ROWS,
    summary="C flag and an announced port: one listener serves every port, joins come by the announced one",
    plan=PLAN,
    run=run,
    controls=controls(
        "hold-queue",
        announced_port="the MCP announces no port, and joins go to the service's, not the listener's number",
    ),
)
