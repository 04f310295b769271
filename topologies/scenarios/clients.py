"""Programs of others use both accesses through an off-path MCP: curl, iperf3, ssh, scp, git, nginx, HAProxy.

The network of `off-path` with one MCP. Each program is Debian's own, and is started under `mptcpize run` on the host.
The file that it fetches has to arrive whole, over two subflows that end at the MCP.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, running
from topologies.kit.plan import address_of
from topologies.kit.processes import StartedProcess, listeners
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.networks.off_path import PLAN as OFF_PATH
from topologies.programs import debian

ROWS = ("D-3.1a", "S-21")
HOST, MCP, SERVER = "ue", "core", "server"
FILE_BYTES = 100_000_000
AGAIN_BYTES = 20_000_000  # size of the file for nginx with MPTCP and for HAProxy
SMALL_BYTES = 8_000_000
MPTCPIZE = ("mptcpize", "run")  # makes a program of plain TCP open MPTCP
PORTS = (debian.SSH, debian.HTTP, debian.HTTPS, debian.IPERF)
PLAN = replace(
    OFF_PATH,
    name="clients",
    boxes=tuple(
        # nginx learns MPTCP while the relay runs, and is to be offered it at once.
        replace(box, relay=(*(word for port in PORTS for word in ("--port", str(port))), "--plain-ttl", "0"))
        if box.name == MCP
        else box
        for box in OFF_PATH.boxes
        if box.name != "edge"
    ),
    points=tuple(point for point in OFF_PATH.points if point.name == MCP),
)


def run(options: Options, report: Report) -> None:
    """Run one program after the other, then nginx with MPTCP, then HAProxy in place of the MCP's relay."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        site = debian.Site(
            lab.record.directory, address_of(PLAN.box(SERVER), 4), FILE_BYTES, AGAIN_BYTES, SMALL_BYTES
        )
        lab.start_services()
        lab.start_controller(options.without)
        at_server = lab.capture_port(PLAN.box(SERVER).nics[0].peer)
        servers = [
            _serve(lab, what, command, port)
            for what, command, port in (
                ("nginx", site.nginx(), debian.HTTPS),
                ("sshd", site.sshd(), debian.SSH),
                ("iperf3", site.iperf(), debian.IPERF),
            )
        ]
        under = () if "mptcpize" in options.without else MPTCPIZE
        for client in site.clients():
            _through(lab, report, client, under)
        lab.stop_captures()
        answers = [s for s in at_server.segments() if s.syn_ack and s.flow.src == site.server]
        report.expect(
            "whom servers answer, and how often with MPTCP",
            {s.flow.dst for s in answers} == {address_of(PLAN.box(HOST), 4)}
            and not any(s.options for s in answers),
            "the host's first address; never",
            f"{sorted({s.flow.dst for s in answers})} in {len(answers)} SYN/ACKs; {sum(bool(s.options) for s in answers)}",
            "capture",
        )
        servers[0].end()
        lab.host(SERVER).pexec("sysctl -qw net.mptcp.enabled=1")
        servers[0] = _serve(lab, "nginx-mptcp", [*MPTCPIZE, *site.nginx()], debian.HTTPS)
        _through(
            lab,
            report,
            replace(site.download("again"), name="curl, nginx with MPTCP", what="curl-nginx-mptcp"),
        )
        report.expect(
            "nginx with MPTCP: what the MCP opened to it is MPTCP",
            lab.counted(SERVER)["MPCapableACKRX"] >= 1,
            "at least one MP_CAPABLE completed",
            lab.counted(SERVER),
            "kernel",
        )
        _haproxy(lab, report, site)
        if options.prompt:
            lab.command_line()


def _serve(lab: Lab, what: str, command: list[str], port: int, where: str = SERVER) -> StartedProcess:
    host = lab.host(where)
    started = StartedProcess(lab.record, what, command, host)
    started.wait_for(lambda: f":{port} " in listeners(host), 5, f"no listener on {port}")
    return started


def _through(lab: Lab, report: Report, client: debian.Client, under: Sequence[str] = MPTCPIZE) -> None:
    """Run a program on the host, and check how it ended, what it fetched, and its subflows at the MCP and in REST."""
    lab.say(client.name)
    lab.mark()
    began = time.monotonic()
    program = StartedProcess(lab.record, f"client-{client.what}", [*under, *client.command], lab.host(HOST))
    most: dict[str, set[str]] = {}
    pinned: set[str] = set()
    while program.alive() and time.monotonic() - began < client.seconds:
        here: dict[str, set[str]] = {}
        for one in subflows(lab.host(MCP)):
            if one.flow.sport == client.port and one.state == "ESTAB":
                here.setdefault(one.own_token, set()).add(one.flow.dst)
        for token, sources in here.items():
            most[token] = most.get(token, set()) | sources
        for session in lab.controller.detailed():
            if len(session["subflows"]) > 1 and session["mcp"] == MCP:
                pinned.add(session["token"])
        time.sleep(0.2)
    took = time.monotonic() - began
    status = program.end() if program.alive() else program.popen.returncode
    name, counted = client.name, (lab.counted(HOST), lab.counted(MCP))
    report.expect(
        f"{name}: ends well",
        status == 0,
        "status 0",
        f"{status}: {program.last_line()[:90]}" if status else 0,
    )
    if client.brings is not None:
        report.equal(f"{name}: sha256 of what arrived", client.sha256, debian.sha256(client.brings))
    both = {token for token, sources in most.items() if len(sources) == 2}
    report.expect(
        f"{name}: sessions at the MCP with both addresses of the host",
        bool(both),
        "at least one",
        sorted(both) or dict(most),
        "kernel",
    )
    report.expect(
        f"{name}: its subflows in the controller, pinned to the MCP",
        bool(both) and both <= pinned,
        sorted(both),
        sorted(pinned),
        "REST",
    )
    fell_back = counted[0]["MPCapableFallbackSYNACK"]
    answered, completed = counted[0]["MPJoinSynAckRx"], counted[1]["MPJoinAckRx"]
    report.expect(
        f"{name}: joins answered by the MCP, fall-backs",
        # A short connection may end before its host has completed the join.
        completed >= 1 and completed <= answered <= completed + 1 and fell_back == 0,
        "as many as it completed or one more, at least one; none",
        f"{answered} answered, {completed} completed, {fell_back}",
        "kernel",
    )
    report.figures[client.what] = {"seconds": round(took, 2), "bytes": client.bytes}


def _haproxy(lab: Lab, report: Report, site: debian.Site) -> None:
    """Run HAProxy in place of the relay. Only the kernel rules are ours, as `steering relay --nft` prints them."""
    lab.say("HAProxy in the MCP's place")
    lab.relays[MCP].end()
    rules = [
        sys.executable,
        "-m",
        "steering",
        "relay",
        "--nft",
        "--source-mode",
        "transparent",
        "--dscp",
        "ignore",
    ]
    rules += ["--port", str(debian.HTTPS), "--prefix", PLAN.server_prefixes()[0]]
    site.install(lab.host(MCP), rules)
    body = _serve(lab, "haproxy", [*MPTCPIZE, *site.haproxy(debian.HTTPS)], debian.HTTPS, MCP)
    at_server = lab.capture_port(PLAN.box(SERVER).nics[0].peer)
    _through(
        lab, report, replace(site.download("again"), name="curl, HAProxy as the MCP", what="curl-haproxy")
    )
    lab.stop_captures()
    peers = {s.flow.src for s in at_server.segments() if s.syn and s.flow.dport == debian.HTTPS}
    report.equal("HAProxy: whom the server sees", {address_of(PLAN.box(HOST), 4)}, peers, "capture")
    report.equal("HAProxy: still runs", True, body.alive())


SCENARIO = Scenario(
    name="clients",
    figure="draft-deng section 3.1; draft-deng Figure 3",
    rows=ROWS,
    summary="curl over TLS, iperf3, ssh, scp, git, nginx and HAProxy as the MCP: programs nobody here wrote",
    plan=PLAN,
    run=run,
    controls=controls("steering", mptcpize="the programs open plain TCP: one access each"),
)
