"""What labs of explicit mode share: clients that name their MCP, and a reading of the first bytes on a leg."""

import sys
from collections.abc import Sequence

from topologies.kit.captures import CAPABLE, JOIN, Capture, Segment, distinct, frame_fields
from topologies.kit.lab import Lab
from topologies.kit.processes import StartedProcess, listeners
from topologies.kit.report import Report

CONVERT, SOCKS = 8803, 1080
OFFERS = ("--explicit", f"convert:{CONVERT}", "--explicit", f"socks:{SOCKS}")
SYNS = "tcp[tcpflags] & tcp-syn != 0"  # of IPv4 only: such a capture is quick to read
STRANGER = "badc0de5"  # the token of `stray_join`


def client(lab: Lab, name: str, via: str, listen: int, server: str, *options: str) -> StartedProcess:
    """Start `steering connect` on a host: its applications reach `server` by port `listen` of loopback."""
    host = lab.host(name)
    command = [sys.executable, "-m", "steering", "connect", "--via", via]
    command += ["--listen", f"127.0.0.1:{listen}", *options, server]
    running = StartedProcess(lab.record, f"connect-{name}-{listen}", command, host)
    running.wait_for(lambda: f":{listen} " in listeners(host), 10, "no listener")
    return running


def mptcp_segments(captures: Sequence[Capture]) -> list[Segment]:
    """Every segment of these captures that carries an MPTCP option."""
    return [s for capture in captures for s in capture.segments() if s.options]


def syns(segments: Sequence[Segment], *kinds: str) -> list[Segment]:
    """SYNs with one of these MPTCP options; what TCP repeated is no further one."""
    return distinct(s for s in segments if s.syn and any(kind in s.options for kind in kinds))


def first_bytes(capture: Capture, where: str, port: int) -> tuple[bool, bytes]:
    """The first data that was sent to `where`:`port`: whether the SYN carried it, and its bytes. Raises LabError."""
    version = "ipv6" if ":" in where else "ip"
    data = f"{version}.dst == {where} && tcp.dstport == {port} && tcp.len > 0"
    options = ["-o", "tcp.desegment_tcp_streams:FALSE"]
    for line in frame_fields(capture.file, data, ["tcp.flags", "tcp.payload"], options):
        flags, _, payload = line.partition("|")
        return bool(int(flags, 16) & 0x02), bytes.fromhex(payload)
    return False, b""


def connect_bytes(server: str, port: int) -> bytes:
    """A Convert message for an IPv4 server, written byte by byte from the figures of RFC 8803."""
    octets = bytes(int(part) for part in server.split("."))
    return (
        bytes.fromhex("01062263 0a05".replace(" ", ""))
        + port.to_bytes(2, "big")
        + bytes(10)
        + b"\xff\xff"
        + octets
    )


def check_addressed(
    report: Report, title: str, captures: Sequence[Capture], mcp: str, host: Sequence[str]
) -> None:
    """Check that every MPTCP segment is between the host's own addresses and the MCP's, and that each access opened
    one subflow."""
    seen = mptcp_segments(captures)
    strangers = {a for s in seen for a in (s.flow.src, s.flow.dst)} - {mcp, *host}
    report.expect(
        f"{title}: every MPTCP segment is to or from {mcp}",
        bool(seen) and not strangers and all(mcp in (s.flow.src, s.flow.dst) for s in seen),
        f"{mcp} and {', '.join(host)} only",
        f"{len(seen)} segments, others: {sorted(strangers) or 'none'}",
        "capture",
    )
    opened = {s.flow.src for s in syns(seen, CAPABLE)}, {s.flow.src for s in syns(seen, JOIN)}
    report.expect(
        f"{title}: one access opens, the other joins",
        all(len(sources) == 1 for sources in opened) and opened[0] != opened[1],
        "a source each",
        f"MP_CAPABLE from {sorted(opened[0])}, MP_JOIN from {sorted(opened[1])}",
        "capture",
    )
