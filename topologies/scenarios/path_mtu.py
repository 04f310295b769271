"""A link of MTU 1,300 behind the gateway. Its router answers packets that are too large with ICMP (RFC 1191, RFC 8201).

    ue -- s1, s2 .. s3 core, s5 edge .. s4 -- near router == 1,300 == far router -- server

`core` preserves hosts' addresses, so the router sends its ICMP errors about the MCP's packets to the host's address. `edge` uses
addresses of its pools. Both MCPs' kernels may not try smaller segments by themselves, so an upload goes on only when the error
reaches the MCP. Streams of both families run through both MCPs at once.
"""

import re
import time
from dataclasses import dataclass, replace
from typing import Any

from topologies.kit.captures import Capture, frames
from topologies.kit.controller import flows_of
from topologies.kit.lab import Lab, running
from topologies.kit.network import FIRST_TABLE
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, address_of, first_host
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import aggregation
from topologies.networks import off_path

ROWS = ("N-5.6.4", "D-6.7.5a", "N-5.4.1b")
NARROW, USUAL = 1300, 1500
ETHERNET = 14
SECONDS, MBIT = 3.0, 2.0
SECOND = 1.0  # longest wait in seconds that a user may notice
PATIENCE_S = 4.0  # seconds that a client waits for a connection to an unreachable address
NOBODY = {4: "10.9.0.66", 6: "fd00:9::66"}  # addresses that the far router reports as unreachable
POOLS = ("192.0.2.32/28", "2001:db8:b::/56")
TOLD = {4: "icmp.type == 3 && icmp.code == 4", 6: "icmpv6.type == 2"}
POLICY = """\
policy: 1
rules:
  - {name: preserved, when: {port: 5001}, then: {mcps: [core], max_stretch: 9.0}}
  - {name: pooled, when: {port: 5002}, then: {mcps: [edge], max_stretch: 9.0}}
"""


@dataclass(frozen=True)
class Way:
    """A stream's source mode, by service port and family, and the MCP that serves it."""

    mode: str
    port: int
    family: int
    mcp: str

    @property
    def name(self) -> str:
        """The name of this stream in checks and figures."""
        return f"{self.mode} IPv{self.family}"


WAYS = (
    Way("transparent", 5001, 4, "core"),
    Way("ipv6-address", 5001, 6, "core"),
    Way("shared", 5002, 4, "edge"),
    Way("nptv6", 5002, 6, "edge"),
)


def _plan() -> Plan:
    base = off_path.PLAN
    pools = [word for pool in POOLS for word in ("--pool", pool)]
    modes = ("--source-mode", "ipv4=shared", "--source-mode", "ipv6=nptv6", "--name", "edge", *pools)
    behind = (
        Box("near", Kind.ROUTER, (Nic("s4:1", ("10.7.0.2/24", "fd00:7::2/64")), Nic("far:0", ("10.6.0.1/24", "fd00:6::1/64")))),
        Box("far", Kind.ROUTER, (Nic("near:1", ("10.6.0.2/24", "fd00:6::2/64")), Nic("server:0", ("10.9.0.1/24", "fd00:9::1/64")))),
        Box("server", Kind.SERVER, (Nic("far:1", ("10.9.0.2/24", "fd00:9::2/64")),)),
    )  # fmt: skip
    boxes = tuple(
        replace(box, relay=modes) if box.name == "edge" else box for box in base.boxes if box.name != "server"
    )
    given = f'source_mode: {{ipv4: shared, ipv6: nptv6}}, pools: [{POOLS[0]}, "{POOLS[1]}"]'
    internet = Attachment(
        "internet",
        ("10.9.0.0/24", "fd00:9::/64", "10.7.0.0/24", "fd00:7::/64", "10.6.0.0/24", "fd00:6::/64"),
        ("s4:1",),
        next_hops=("10.7.0.2", "fd00:7::2"),
    )
    return replace(
        base,
        name="path-mtu",
        boxes=(*boxes, *behind),
        gateways=(internet,),
        points=tuple(replace(p, source=given) if p.name == "edge" else p for p in base.points),
        services=(5001, 5002),
        policy=POLICY,
    )


PLAN = _plan()


def run(options: Options, report: Report) -> None:
    """Run four streams at once, then connect to an address that the far router cannot reach."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        _narrow(lab)
        lab.start_services()
        for mcp in ("core", "edge"):
            lab.host(mcp).run("sysctl -qw net.ipv4.tcp_mtu_probing=0")
            if "leading" in options.without:
                _unlead(lab, mcp)
        lab.start_controller(options.without)
        for family in (4, 6):
            aggregation.warm_up(lab, family)
        report.table = [["source mode", "longest silence", "told of an error", "path MTU at its MCP"]]
        _streams(lab, report, options.seconds or SECONDS)
        for family in (4, 6):
            _unreachable(lab, report, family)
        if options.prompt:
            lab.command_line()


def _narrow(lab: Lab) -> None:
    near, far = lab.host("near"), lab.host("far")
    for host, number in ((near, 1), (far, 0)):
        host.run(f"ip link set {host.interface(number)} mtu {NARROW}")
    near.run("ip route add 10.9.0.0/24 via 10.6.0.2", "ip -6 route add fd00:9::/64 via fd00:6::2")
    far.run(
        f"ip route add unreachable {NOBODY[4]}/32",
        f"ip -6 route add unreachable {NOBODY[6]}/128",
    )
    # The server's own segments fit from the start, since this lab is about the MCP's sending. Besides, this kernel loses data of a
    # connection that fell back from MPTCP where repeated segments overlap (docs/design/measured.rst).
    server = lab.host("server")
    for family, advmss in ((4, USUAL - 40), (6, USUAL - 60)):
        by = f"via {first_host(PLAN.box('server').nics[0].addresses[family == 6])} dev {server.interface(0)}"
        server.run(
            f"ip -{family} route replace default {by} table {FIRST_TABLE} mtu lock {NARROW} advmss {advmss}"
        )


def _unlead(lab: Lab, mcp: str) -> None:
    """Remove the rule by which ICMP errors reach the relay's sockets."""
    table = "inet steering_relay prerouting"
    for handle in re.findall(r"icmp.*# handle (\d+)", lab.host(mcp).pexec(f"nft -a list chain {table}")[0]):
        lab.host(mcp).run(f"nft delete rule {table} handle {handle}")


def _streams(lab: Lab, report: Report, seconds: float) -> None:
    lab.say(f"four streams for {seconds:.0f} s, echoed by the server")
    near, far = lab.capture_host("near", 0, "icmp or icmp6"), lab.capture_host("far", 1)
    at = {mcp: lab.capture_port(PLAN.box(mcp).nics[0].peer, "icmp or icmp6") for mcp in ("core", "edge")}
    agent = lab.agents["ue"]
    for way in WAYS:
        target = address_of(PLAN.box("server"), way.family)
        agent.ask(
            "start", name=way.name, kind="steady", dst=target, port=way.port, mptcp=True, mbit=MBIT, seconds=seconds
        )  # fmt: skip
    time.sleep(seconds * 2 / 3)
    known = {way: _path_mtu(lab, way) for way in WAYS}
    sessions = lab.controller.detailed()
    done = {way: agent.finish(way.name, seconds + 45) for way in WAYS}
    lab.stop_captures()
    for way in WAYS:
        _judge(report, way, done[way])
        report.equal(f"{way.name}: the path MTU that its MCP's kernel knows", NARROW, known[way], "kernel")
        mcps = {
            session["mcp"]
            for session in sessions
            for flow in flows_of(session)
            if flow.dport == way.port and (":" in flow.src) == (way.family == 6)
        }
        report.equal(f"{way.name}: the controller's MCP", {way.mcp}, mcps, "REST")
        _judge_captures(report, way, near, far, at)
        silence = f"{done[way].get('longest_gap_s', seconds):.2f} s"
        report.table.append([way.name, silence, done[way].get("error", "") or "no", str(known[way])])
    led = lab.controller.metric("steering_leg_errors_total")
    report.expect("errors that the controller brought to an MCP", led >= 2, "2 or more", f"{led:.0f}", "REST")


def _judge(report: Report, way: Way, done: dict[str, Any]) -> None:
    report.equal(f"{way.name}: the stream's error", "", done.get("error", ""))
    report.equal(f"{way.name}: wrong bytes in the stream", False, done.get("wrong"))
    silence = done.get("longest_gap_s", PATIENCE_S)
    own = done.get("own_gap_s", silence)
    report.expect(
        f"{way.name}: the stream's longest silence",
        own < SECOND,
        f"under {SECOND:g} s, without what this machine was late",
        f"{own:.2f} s, {silence:.2f} s with it",
    )
    report.figures[way.name] = {
        "longest_silence_s": round(silence, 2),
        "told_of_an_error": bool(done.get("error")),
    }


def _judge_captures(report: Report, way: Way, near: Capture, far: Capture, at: dict[str, Capture]) -> None:
    """Check that the router sent an ICMP error, that the stream's MCP got it and the other MCP did not, and that the segments that
    passed fit the link and were not fragmented."""
    about = f"{TOLD[way.family]} && tcp.dstport == {way.port}"
    report.expect(
        f"{way.name}: errors of the router", (told := frames(near.file, about)) > 0, "some", told, "capture"
    )
    for mcp, capture in at.items():
        heard = frames(capture.file, about)
        right = heard > 0 if mcp == way.mcp else heard == 0
        report.expect(
            f"{way.name}: errors at {mcp}", right, "some" if mcp == way.mcp else "none", heard, "capture"
        )
    if way.family == 4:
        loose = "ip.flags.df == 0 || ip.flags.mf == 1 || ip.frag_offset > 0"
        report.equal(
            f"{way.name}: segments that might be fragmented, or were", 0,
            frames(far.file, f"tcp.dstport == {way.port} && tcp.len > 0 && ({loose})"), "capture",
        )  # fmt: skip
    full = f"frame.len == {NARROW + ETHERNET} && tcp.dstport == {way.port} && {'ip' if way.family == 4 else 'ipv6'}"
    large = frames(far.file, full)
    report.expect(f"{way.name}: segments that fill the narrow link", large > 0, "some", large, "capture")


def _path_mtu(lab: Lab, way: Way) -> int:
    """The path MTU that the MCP's kernel uses for the server leg; 0 if there is no such leg."""
    server = address_of(PLAN.box("server"), way.family)
    bracketed = f"[{server}]" if way.family == 6 else server
    listed = lab.host(way.mcp).pexec(f"ss -tinH dst {bracketed} dport = :{way.port}")[0]
    found = re.search(r"pmtu:(\d+)", listed)
    return int(found[1]) if found else 0


def _unreachable(lab: Lab, report: Report, family: int) -> None:
    """Check that a connection to an unreachable address fails at once, through an MCP as without one."""
    began = time.monotonic()
    order = {"kind": "first-bytes", "dst": NOBODY[family], "port": 5001, "mptcp": True, "count": 1}
    lab.agents["ue"].ask("start", name=f"nobody{family}", wait=PATIENCE_S, **order)
    done = lab.agents["ue"].finish(f"nobody{family}", PATIENCE_S + 10)
    took = time.monotonic() - began
    errors = done.get("errors", [])
    report.expect(
        f"unreachable IPv{family}: the host is told, and does not wait",
        any("reset" in error for error in errors),
        "a reset",
        f"{errors} after {took:.2f} s",
    )
    report.figures[f"unreachable IPv{family}"] = {"told_after_s": round(took, 2), "errors": errors}


SCENARIO = Scenario(
    name="path-mtu",
    figure="draft-nam section 5.6.4",
    rows=ROWS,
    summary="a link of MTU 1300 behind the gateway: ICMP errors about an MCP's leg reach that MCP, in four source modes",
    plan=PLAN,
    run=run,
    controls=controls("icmp-errors", leading="the relay's rules lead no ICMP error to its sockets"),
)
