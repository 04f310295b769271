"""Programs of others on a lab's network: iperf3 and curl over MPTCP, and traffic that takes its natural path."""

import json
import sys
from typing import Any

from topologies.kit.captures import frames
from topologies.kit.lab import Lab
from topologies.kit.plan import Kind, address_of
from topologies.kit.processes import StartedProcess, listeners
from topologies.kit.report import Report

IPERF_PORT, HTTP_PORT, ECHO_PORT = 5201, 8080, 5001
NATURAL_PORT = 8081
RELAY = ("--port", str(IPERF_PORT), "--port", str(HTTP_PORT), "--port", str(NATURAL_PORT))
FILE_BYTES = 1_000_000
UDP_MBIT = 1


def in_a_row(lab: Lab, report: Report, name: str) -> None:
    """Run iperf3, HTTP and an echo one after the other, from a host with two accesses. Each uses MPTCP (D-3.1a)."""
    target = address_of(lab.plan.box("server"), 4)
    _serve(lab)
    host = lab.host(name)
    mcp = lab.plan.of_kind(Kind.MCP)[0].name
    asked: dict[str, tuple[Any, Any]] = {}
    runs = {
        "iperf3": f"mptcpize run iperf3 -c {target} -p {IPERF_PORT} -t 2 -J",
        "curl": f"mptcpize run curl -s -o /dev/null -w %{{http_code}}:%{{size_download}} http://{target}:{HTTP_PORT}/file",
        "echo": "",
    }
    for program, command in runs.items():
        lab.say(f"{program} from {name}")
        lab.mark()
        if command:
            output, error, status = host.pexec(command)
            found = _said(program, output) if status == 0 else (error or output).strip()
        else:
            order = {"group": "echo", "dst": target, "ports": [ECHO_PORT], "mptcp": True, "first": True}
            found = (
                "answered" if lab.agents[name].ask("open", **order)["opened"][0].get("local") else "failed"
            )
            lab.agents[name].ask("echo", group="echo")
            lab.agents[name].ask("close", group="echo")
        asked[program] = (found, lab.counted(name))
        report.expect(f"{program} works", found == _wanted(program), _wanted(program), found)
        counted, at_mcp = lab.counted(name), lab.counted(mcp)
        answered, fell_back = (counted[n] for n in ("MPJoinSynAckRx", "MPCapableFallbackSYNACK"))
        report.expect(
            f"{program} had more than one subflow, at the MCP, and never fell back",
            answered >= 1 and fell_back == 0 and at_mcp["MPJoinAckRx"] == answered,
            "as many joins at the MCP as answered, at least 1; no fallback",
            f"{answered} answered, {at_mcp['MPJoinAckRx']} at the MCP, {fell_back} fallbacks",
            "kernel",
        )


def _said(program: str, output: str) -> str:
    if program == "curl":
        return output.strip()
    document = json.loads(output)
    received = document["end"]["sum_received"]["bytes"]
    return "bytes arrived" if received > FILE_BYTES else f"{received} bytes arrived"


def _wanted(program: str) -> str:
    return {"curl": f"200:{FILE_BYTES}", "iperf3": "bytes arrived", "echo": "answered"}[program]


def _serve(lab: Lab) -> None:
    server = lab.host("server")
    folder = lab.record.directory / "www"
    folder.mkdir()
    (folder / "file").write_bytes(bytes(FILE_BYTES))
    http = [sys.executable, "-m", "http.server", str(HTTP_PORT), "-d", str(folder)]
    for what, command, port in (
        ("iperf3", ["iperf3", "-s", "-p", str(IPERF_PORT)], IPERF_PORT),
        ("http", http, HTTP_PORT),
        (
            "plain",
            [sys.executable, "-m", "topologies.programs.traffic", "serve", f"--port={NATURAL_PORT}"],
            NATURAL_PORT,
        ),
    ):
        running = StartedProcess(lab.record, what, command, server)
        running.wait_for(lambda port=port: f":{port} " in listeners(server), 5, f"no listener on {port}")  # type: ignore[misc]


def natural(lab: Lab, report: Report, name: str) -> None:
    """UDP, ICMP, and TCP that a rule excludes from relaying take their natural path and are not changed (S-8)."""
    target = address_of(lab.plan.box("server"), 4)
    mcp = lab.plan.of_kind(Kind.MCP)[0].nics[0].peer
    what = f"udp or icmp or (tcp port {NATURAL_PORT})"
    access = lab.plan.box(name).nics[0].peer
    near, at_mcp, far = (
        lab.capture_port(port, what) for port in (access, mcp, lab.plan.box("server").nics[0].peer)
    )
    lab.say(f"UDP, ICMP and TCP port {NATURAL_PORT} from {name}")
    own = address_of(lab.plan.box(name), 4)
    output, error, status = lab.host(name).pexec(
        f"iperf3 -c {target} -p {IPERF_PORT} -B {own} -u -b {UDP_MBIT}M -t 1 -J"
    )
    lost = json.loads(output)["end"]["sum"]["lost_packets"] if status == 0 else (error or output).strip()
    answered = lab.agents[name].ask("ping", dst=target, count=3)["answered"]
    order = {
        "group": "natural",
        "dst": target,
        "ports": [NATURAL_PORT],
        "mptcp": True,
        "first": True,
        "src": own,
    }
    opened = lab.agents[name].ask("open", **order)["opened"][0]
    lab.agents[name].ask("close", group="natural")
    lab.stop_captures()
    report.equal("UDP datagrams lost, pings answered", (0, 3), (lost, answered))
    report.expect(
        "TCP without a transport in its rule is plain", opened.get("token") is None, "no token", opened
    )
    for kind in ("udp", "icmp", "tcp"):
        counts = tuple(frames(capture.file, f"{kind} && ip.addr == {own}") for capture in (near, far, at_mcp))
        report.expect(
            f"{kind}: as many packets leave as came, none at the MCP",
            counts[0] == counts[1] > 0 and counts[2] == 0,
            "equal, more than 0, and 0",
            counts,
            "capture",
        )
