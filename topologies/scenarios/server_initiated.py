"""A session that the server begins: it opens plain TCP to the host. The MCP takes the connection, and speaks MPTCP to
the host over both accesses. The host announces its second address, and the MCP joins it from the MCP's own address.

No natural path passes an MCP: LTE s1 and WLAN s2 have links to s4, where the server is. The MCP `core` is at s3.
"""

import time
from dataclasses import replace

from topologies.kit import processes
from topologies.kit.captures import CAPABLE, JOIN, Capture, distinct
from topologies.kit.kernel_counters import CounterChanges, Subflow, subflows
from topologies.kit.lab import Lab, running
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures.aggregation import GAIN, access_bytes
from topologies.measures.pins import token_of
from topologies.networks.server_initiated import ACCESS_MBIT, HOST, MCP, PLAN, PORT, SERVER

SECONDS, LEFT_S = 6.0, 1.0  # of the transfer, and before its end when subflows are listed at last
ROWS = ("S-20", "D-4.a", "D-4.d", "D-6.1b")


def run(options: Options, report: Report) -> None:
    """Upload from the server to the host, then run a session that the host begins."""
    seconds = options.seconds or SECONDS
    plan = replace(PLAN, policy="policy: 1\n") if "rule" in options.without else PLAN
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.start_services()
        processes.serve(lab.record, lab.host("ue"), [PORT], mptcp=True)
        lab.host("ue").run("ip mptcp endpoint flush", "ip mptcp endpoint add 10.2.0.2 dev ue-eth1 signal")
        for name in ("core", "edge"):
            lab.host(name).run("ip mptcp limits set subflows 8 add_addr_accepted 8")
        lab.start_controller(options.without)
        for access in (HOST, "10.2.0.2"):
            lab.agents["server"].ask("ping", dst=access, count=3)
        _transfer(lab, report, seconds)
        if options.prompt:
            lab.command_line()


def _transfer(lab: Lab, report: Report, seconds: float) -> None:
    accesses = {"lte": lab.capture_port("s1:1"), "wlan": lab.capture_port("s2:1")}
    at_server, decoy = lab.capture_port("s4:1"), lab.capture_port("s5:1")
    lab.mark()
    before = access_bytes(lab, "ue", received=True)
    lab.say(f"the server sends to the host for {seconds:.0f} s")
    order = {"kind": "upload", "dst": HOST, "port": PORT, "seconds": seconds}
    lab.agents["server"].ask("start", name="in", **order)
    time.sleep(seconds / 2)
    until(lambda: _joined(lab), max(0.0, seconds / 2 - LEFT_S))
    seen = _at_host(lab)
    sessions = lab.controller.detailed()
    done = lab.agents["server"].finish("in", seconds + 45)
    got = {name: count - before[name] for name, count in access_bytes(lab, "ue", received=True).items()}
    counted = {name: lab.counted(name) for name in ("ue", "core", "edge", "server")}
    lab.stop_captures()

    report.equal("the server's transfer succeeds", "", done.get("error", ""))
    mbit = done.get("mbit", 0.0)
    wanted = GAIN * ACCESS_MBIT
    report.rate(
        "goodput of both accesses", mbit >= wanted, f"at least {wanted:.0f} Mbit/s", f"{mbit:.1f} Mbit/s"
    )
    shares = {name: round(count / max(1, sum(got.values())), 2) for name, count in got.items()}
    report.expect(
        "both accesses carry bytes", min(shares.values()) > 0.1, "over a tenth each", shares, "kernel"
    )
    _kernels(report, counted, {s.own_token for s in seen}, len(seen))
    tokens = {s.own_token for s in seen}
    ours = [s for s in sessions if s["token"] in tokens]
    paths = [(s["mcp"], len(s["subflows"])) for s in ours]
    report.equal("the session by the token of the host's key", [("core", 2)], paths, "REST")
    _captured(report, accesses, at_server, decoy, tokens)
    report.table = [["direction", "goodput", *(f"by {a}" for a in got)]]
    report.table.append(
        ["server to host", f"{mbit:.1f} Mbit/s", *(f"{n / 1e6:.1f} MB" for n in got.values())]
    )
    report.figures["in"] = {"goodput_mbit": round(mbit, 2), "access_bytes": got, "counters": counted}


def _at_host(lab: Lab) -> list[Subflow]:
    return [s for s in subflows(lab.host("ue")) if s.flow.sport == PORT and s.state == "ESTAB"]


def _joined(lab: Lab) -> bool:
    """Whether host and controller have both subflows: a SYN that is lost is sent again after a second."""
    return len(_at_host(lab)) == 2 and any(len(s["subflows"]) == 2 for s in lab.controller.detailed())


def _kernels(report: Report, counted: dict[str, CounterChanges], tokens: set[str], subflows: int) -> None:
    joins = [
        counted[n][c] for n, c in (("core", "MPJoinSynTx"), ("ue", "MPJoinSynRx"), ("ue", "MPJoinAckRx"))
    ]
    report.equal("joins: sent by the MCP, come to the host, completed", [1, 1, 1], joins, "kernel")
    report.equal("the host's subflows, and its tokens", (2, 1), (subflows, len(tokens)), "kernel")
    report.equal("MP_CAPABLE the server sent", 0, counted["server"]["MPCapableSYNTX"], "kernel")
    report.equal("connections at the other MCP", 0, counted["edge"]["MPCapableSYNTX"], "kernel")


def _captured(
    report: Report, accesses: dict[str, Capture], at_server: Capture, decoy: Capture, tokens: set[str]
) -> None:
    syns = [
        (name, s.flow.src, s.flow.dst, kind)
        for name, capture in accesses.items()
        for s in distinct(s for s in capture.segments() if s.syn)
        for kind in (CAPABLE, JOIN)
        if kind in s.options
    ]
    wanted = [("lte", SERVER, HOST, CAPABLE), ("wlan", MCP, "10.2.0.2", JOIN)]
    report.equal("first segments to the host: the server's name, then the MCP's own", wanted, syns, "capture")
    keys = {s.key for s in accesses["lte"].segments() if s.syn_ack and s.key}
    joined = {s.token for s in accesses["wlan"].segments() if s.syn and s.token}
    same = {token_of(key) for key in keys} == joined == tokens != set()
    report.expect("token of the join: of the key in the host's SYN/ACK", same, tokens, joined, "capture")
    data = [s for s in at_server.segments() if s.length]
    plain = bool(data) and not any(s.options for s in at_server.segments())
    report.expect(
        "the server speaks plain TCP", plain, "data, no MPTCP option", f"{len(data)} segments", "capture"
    )
    ends = {frozenset((s.flow.src, s.flow.dst)) for s in data}
    report.equal("with the host's own address", {frozenset((SERVER, HOST))}, ends, "capture")
    report.equal("segments at the other MCP", 0, len(decoy.segments()), "capture")


SCENARIO = Scenario(
    name="server-initiated",
    figure="IETF 98 slides: sessions from either end",
    rows=ROWS,
    summary="the server opens TCP to a host: MPTCP on both accesses, the MCP's join is known by the host's key",
    plan=PLAN,
    run=run,
    controls=controls("steering", rule="no rule lets servers' connections be taken"),
)
