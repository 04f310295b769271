"""What kernels do with MPTCP beside the usual: checksums, data in a SYN, address id 0 and ids used again, and more addresses than
the kernel takes.

The off-path network. WLAN's interface gets further addresses where a part needs them.
"""

import re
import time
from dataclasses import replace
from functools import partial
from typing import Any

from topologies.kit.captures import CAPABLE, Capture, Segment, distinct, frames
from topologies.kit.kernel_counters import counters, subflows
from topologies.kit.lab import Lab, running
from topologies.kit.plan import address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import aggregation
from topologies.networks import off_path

ROWS = ("D-6.2c", "D-6.3f", "D-6.4i", "N-7.2b")
CHECKED, LEFT, TAKEN, IDS, MANY, ALL = range(5001, 5007)
HOSTS = ("ue", "core", "edge")
ENDPOINTS = 8  # most that a kernel has, and most subflows beside the initial one
ADDRESSES = 10  # of WLAN, of which each would be an endpoint
ALLOWED = 4  # subflows of a session by the policy's default
CHECKED_S = 5.0
JOINED_S = (
    10.0  # seconds for what a host's kernel repeats where it is lost: the SYN of a join after 1, 3 and 7 s
)
BYTES = 20_000  # of a connection whose first bytes go with the SYN
FULL = 1_000  # a SYN's data is more than that: all that fits
# Of net.ipv4.tcp_fastopen: as a client alone; every listener takes a SYN's data from who has a cookie, or from anybody.
CLIENT, WITH_COOKIE, FROM_ANYBODY = 0x1, 0x403, 0x603
DSS_WITH_CHECKSUM = re.compile("1e(14|18|1c)2")  # RFC 8684 section 3.3: kind, length, subtype
WIDE = f"policy: 1\nlimits: {{subflows_per_session: {2 * ADDRESSES}}}\n"

PLAN = replace(
    off_path.PLAN, name="kernel-rest", services=(CHECKED, LEFT, TAKEN, IDS, MANY, ALL), policy="policy: 1\n"
)


def run(options: Options, report: Report) -> None:
    """Each in turn, at one network."""
    plan = replace(PLAN, policy=WIDE) if "limits" in options.without else PLAN
    asked = "settings" not in options.without
    with running(plan, options.say, options.without, options.keep) as lab:
        if asked:
            _set(lab, "net.mptcp.checksum_enabled=1", *HOSTS)
            # The kernel looks at these when a listener is made.
            _set(lab, f"net.ipv4.tcp_fastopen={WITH_COOKIE}", "ue", "server")
            _set(lab, f"net.ipv4.tcp_fastopen={FROM_ANYBODY}", "core")
        lab.start_services()
        lab.start_controller(options.without)
        aggregation.warm_up(lab, 4)
        for part in (_checksums, _in_syn, _ids, _many):
            options.say((part.__doc__ or "").splitlines()[0])
            part(lab, report)
        if options.prompt:
            lab.command_line()


def _set(lab: Lab, setting: str, *hosts: str) -> None:
    for name in hosts:
        lab.host(name).run(f"sysctl -qw {setting}")


def _checksums(lab: Lab, report: Report) -> None:
    """both ends want checksums: the session aggregates, and is pinned"""
    done = aggregation.upload(lab, 4, CHECKED_S, port=CHECKED)
    access = off_path.ACCESS_MBIT
    report.equal("checksums: the transfer succeeds", "", done.error)
    report.rate(
        "checksums: goodput over one access",
        done.mbit >= aggregation.GAIN * access,
        f"at least {aggregation.GAIN * access:.0f} Mbit/s",
        f"{done.mbit:.1f} Mbit/s",
    )
    aggregation.check_pinned(report, done, "core", "checksums")
    wanted = "tcp.options.mptcp.checksumreq.flags == 1 && tcp.flags.syn == 1 && tcp.flags.ack == "
    at, own = done.ports["core"], lab.host("core").MAC()
    asked = [frames(at.file, f"{wanted}{ack} && eth.{end} == {own}") for ack, end in ((0, "dst"), (1, "src"))]
    report.equal("checksums: asked for in SYN and SYN/ACK", [1, 1], asked, "capture")
    data = [s for s in _incoming(lab, at) if s.length and s.options]
    carried = sum(bool(DSS_WITH_CHECKSUM.search(s.raw_options)) for s in data)
    many = carried > len(data) / 2
    report.expect("checksums: data with one to the MCP", many, f"most of {len(data)}", carried, "capture")
    bad = sum(done.count(name, "DataCsumErr") for name in HOSTS)
    report.equal("checksums: wrong ones", 0, bad, "kernel")
    report.figures["checksums"] = {"mbit": done.mbit, "segments": carried}


def _incoming(lab: Lab, capture: Capture) -> list[Segment]:
    """What went to `core`, of all that was captured at its port."""
    own = lab.host("core").MAC()
    return [s for s in capture.segments() if s.source_mac != own]


def _in_syn(lab: Lab, report: Report) -> None:
    """data in a SYN: plain TCP's goes its natural way, MPTCP's to the MCP, whether that takes it or not

    Where the other side leaves it, Linux sends it again without a mapping, and the session goes on as plain TCP: so it is with
    any server (measured between two namespaces, 6.18).
    """
    _exchanged(lab, "cookie", LEFT, False)  # the server's kernel gives one
    at_server = lab.capture_port("s4:1", f"tcp port {LEFT}", 0)
    before = _taken(lab, "server")
    plain = _exchanged(lab, "plain", LEFT, False)
    lab.stop_captures()
    taken = _taken(lab, "server") - before
    report.equal("plain TCP's SYN with data: all bytes came back", (True, None), plain)
    report.equal("plain TCP's SYN with data: SYNs whose data the server took", 1, taken, "kernel")
    syns = distinct(s for s in at_server.segments() if s.syn and s.length)
    report.equal("plain TCP's SYN with data: those at the gateway", 1, len(syns), "capture")
    for name, port, how in (("left by", LEFT, CLIENT), ("taken by", TAKEN, FROM_ANYBODY)):
        if "settings" not in report.without:
            _set(lab, f"net.ipv4.tcp_fastopen={how}", "core")
        title = f"MPTCP's SYN with data, {name} the MCP"
        came, went, strayed = (lab.capture_port(at, f"tcp port {port}", 0) for at in ("s1:1", "s3:1", "s5:1"))
        lab.mark()
        before = _taken(lab, "core")
        left = int(how == CLIENT)
        done = _exchanged(lab, name, port, True)
        time.sleep(1.0)  # for the join, and for one that must not come
        until(partial(_complete, lab, port, 1 - left), JOINED_S)
        session = _sessions(lab, port)
        lab.agents["ue"].ask("stop", name=name)
        lab.agents["ue"].finish(name, 10.0)
        lab.stop_captures()
        report.equal(f"{title}: all bytes came back", (True, None), done)
        sent, seen = _first(came.segments()), _first(_incoming(lab, went))
        many = len(sent) == 1 and sent[0] > FULL
        report.expect(f"{title}: bytes in the SYN", many, f"over {FULL}", sent, "capture")
        report.equal(f"{title}: the same at the MCP", sent, seen, "capture")
        report.equal(f"{title}: at another MCP", [], _first(strayed.segments()), "capture")
        counted = lab.counted("core")
        at_core = (counted["MPCapableSYNRX"], counted["MPJoinAckRx"])
        report.equal(f"{title}: sessions and joins at the MCP", (1, 1 - left), at_core, "kernel")
        fallen = (lab.counted("ue")["MPCapableDataFallback"], counted["MPCapableFallbackACK"])
        report.equal(f"{title}: fallbacks for that, at host and MCP", (left, left), fallen, "kernel")
        none = lab.counted("ue")["MPCapableFallbackSYNACK"]
        report.equal(f"{title}: SYN/ACKs without MP_CAPABLE", 0, none, "kernel")
        report.equal(
            f"{title}: SYNs whose data the MCP took", 1 - left, _taken(lab, "core") - before, "kernel"
        )
        report.equal(f"{title}: MCP and subflows of the session", [("core", 2 - left)], session, "REST")


def _taken(lab: Lab, name: str) -> int:
    """How many SYNs with data a host's kernel has accepted with these."""
    return counters(lab.host(name), "TcpExt")["TCPFastOpenPassive"]


def _first(segments: list[Segment]) -> list[int]:
    """Bytes of data of first SYNs with MP_CAPABLE."""
    return [s.length for s in distinct(s for s in segments if s.syn and CAPABLE in s.options)]


def _exchanged(lab: Lab, name: str, port: int, mptcp: bool) -> tuple[Any, Any]:
    """Send and get back bytes, the first of them with the SYN: whether they are the same, and the error. An MPTCP session
    lives on until it is stopped."""
    ue = lab.agents["ue"]
    order = {"dst": address_of(lab.plan.box("server"), 4), "port": port, "bytes": BYTES}
    ue.ask("start", name=name, kind="exchange", mptcp=mptcp, fast_open=True, hold=mptcp, **order)
    until(lambda: {"same", "error"} & set(ue.ask("status", name=name)), 20.0, 0.05)
    done = ue.ask("status", name=name)
    return done.get("same"), done.get("error")


def _complete(lab: Lab, port: int, joins: int) -> bool:
    """Whether the controller has one session with so many joins at a port, and the MCP's kernel has completed them."""
    counted = lab.counted("core")["MPJoinAckRx"]
    return counted >= joins and _sessions(lab, port) == [("core", 1 + joins)]


def _sessions(lab: Lab, port: int) -> list[tuple[str, int]]:
    """MCP and number of subflows of the live sessions with a service port. The entries of one that closes stay for its
    last segments."""
    found = [s for s in lab.controller.detailed() if any(one["dport"] == port for one in s["subflows"])]
    return [(s["mcp"], len(s["subflows"])) for s in found if s["state"] not in ("closing", "linger")]


def _address(number: int) -> str:
    return f"10.2.0.{number}"


def _give(lab: Lab, number: int) -> str:
    """One more address for WLAN's interface; its text."""
    ue, text = lab.host("ue"), _address(number)
    ue.run(f"ip addr add {text}/24 dev {ue.interface(1)}", f"ip rule add from {text} table 102")
    return text


def _ids(lab: Lab, report: Report) -> None:
    """the initial address, whose id is 0, goes and comes back; another address gets the id of one that went"""
    ue, agent = lab.host("ue"), lab.agents["ue"]
    lte, wlan = (address_of(lab.plan.box("ue"), 4, nic) for nic in (0, 1))
    other = _give(lab, 3)
    ue.run("ip mptcp endpoint flush", f"ip mptcp endpoint add {wlan} id 7 dev {ue.interface(1)} subflow")
    order = {"dst": address_of(lab.plan.box("server"), 4), "port": IDS, "seconds": 120.0}
    agent.ask("start", name="ids", kind="steady", mptcp=True, mbit=2.0, **order)
    time.sleep(2.0)
    until(lambda: _at_core(lab) == {lte, wlan}, JOINED_S)
    steps = (
        ("id 0", lte, (f"ip mptcp endpoint delete id 0 {lte}",), f"{lte} dev {ue.interface(0)}"),
        ("an id used again", other, ("ip mptcp endpoint delete id 7",), f"{other} id 7 dev {ue.interface(1)}"),
    )  # fmt: skip
    for name, address, gone, comes in steps:
        captures = [lab.capture_port(port, f"tcp port {IDS}") for port in ("s3:1", "s5:1")]
        lab.mark()
        ue.run(*gone)
        time.sleep(1.5)
        rest = {wlan if address == lte else lte}
        until(partial(_gone, lab, rest), JOINED_S)
        without = _at_core(lab)
        ue.run(f"ip mptcp endpoint add {comes} subflow")
        time.sleep(2.0)
        until(partial(_back, lab, address), JOINED_S)
        told = _sources(lab)
        lab.stop_captures()
        here, there = ([s for s in c.segments() if s.syn and s.token] for c in captures)
        counted, at_ue = lab.counted("core"), lab.counted("ue")
        report.equal(
            f"{name}: REMOVE_ADDRs sent, read", (1, 1), (at_ue["RmAddrTx"], counted["RmAddr"]), "kernel"
        )
        report.equal(f"{name}: joins at the MCP", 1, counted["MPJoinAckRx"], "kernel")
        report.equal(f"{name}: joins at the other MCP", 0, lab.counted("edge")["MPJoinSynRx"], "kernel")
        report.equal(
            f"{name}: where the join came to", ({address}, set()),
            ({s.flow.src for s in here}, {s.flow.src for s in there}), "capture",
        )  # fmt: skip
        report.equal(f"{name}: subflows meanwhile", rest, without, "kernel")
        report.expect(f"{name}: subflows with it again", address in told, address, sorted(told), "REST")
    agent.ask("stop", name="ids")
    done = agent.finish("ids", 30.0)
    report.equal(
        "ids: the stream's error, and wrong bytes", (None, False), (done.get("error"), done.get("wrong"))
    )
    report.equal("ids: whole seconds without a byte", 0, done.get("empty_seconds"))
    report.figures["ids"] = {"longest_gap_s": done.get("longest_gap_s")}


def _sources(lab: Lab) -> set[str]:
    """Addresses of the host's subflows with IDS, as the controller has them."""
    found = [s for one in lab.controller.detailed() for s in one["subflows"]]
    return {s["src"] for s in found if s["dport"] == IDS}


def _at_core(lab: Lab) -> set[str]:
    """Addresses of the host's subflows with IDS, as the MCP's kernel has them."""
    return {s.flow.dst for s in subflows(lab.host("core")) if s.flow.sport == IDS}


def _gone(lab: Lab, rest: set[str]) -> bool:
    """Whether the MCP's kernel has read of an address that it is gone, and has these."""
    return _at_core(lab) == rest and lab.counted("core")["RmAddr"] > 0


def _back(lab: Lab, address: str) -> bool:
    """Whether the controller has a subflow from an address, and the MCP's kernel has completed a join."""
    return address in _sources(lab) and lab.counted("core")["MPJoinAckRx"] > 0


def _many(lab: Lab, report: Report) -> None:
    """more addresses than the kernel takes: its limit holds, and so does the policy's"""
    ue = lab.host("ue")
    ue.run("ip mptcp endpoint flush")
    refused = 0
    for number in range(2, 2 + ADDRESSES):
        text = _address(number) if number < 4 else _give(lab, number)
        refused += ue.pexec(f"ip mptcp endpoint add {text} dev {ue.interface(1)} subflow")[2] != 0
    report.equal("many: endpoints that the kernel refuses", ADDRESSES - ENDPOINTS, refused, "kernel")
    _opened(lab, report, "many, by default", MANY, ALLOWED)
    lab.controller.put_policy(WIDE)
    _opened(lab, report, "many, all allowed", ALL, 1 + ENDPOINTS)


def _opened(lab: Lab, report: Report, name: str, port: int, most: int) -> None:
    """A session of a host with so many endpoints: so many subflows become of it, and no more."""
    agent = lab.agents["ue"]
    capture = lab.capture_port("s3:1", f"tcp port {port}")
    lab.mark()
    before = lab.controller.metric("steering_refusals_total", reason="subflows-full")
    order = {"dst": address_of(lab.plan.box("server"), 4), "port": port, "seconds": 30.0}
    agent.ask("start", name=name, kind="steady", mptcp=True, mbit=2.0, **order)
    time.sleep(3.0)
    until(lambda: _complete(lab, port, most - 1), JOINED_S)
    told = _sessions(lab, port)
    beyond = 1 + ENDPOINTS - most
    refused = lab.controller.settled(
        "steering_refusals_total", before + beyond, JOINED_S, reason="subflows-full"
    )
    time.sleep(2.0)
    agent.ask("stop", name=name)
    done = agent.finish(name, 30.0)
    lab.stop_captures()
    counted, at_ue = lab.counted("core"), lab.counted("ue")
    joins = {s.flow.src for s in capture.segments() if s.syn and s.token}
    report.equal(f"{name}: joins that the host tried", ENDPOINTS, at_ue["MPJoinSynTx"], "kernel")
    report.equal(f"{name}: joins that the MCP took", most - 1, counted["MPJoinAckRx"], "kernel")
    report.equal(f"{name}: joins that the MCP rejected", 0, counted["MPJoinRejected"], "kernel")
    report.equal(f"{name}: addresses whose joins left for the MCP", most - 1, len(joins), "capture")
    report.equal(f"{name}: MCP and subflows of the session", [("core", most)], told, "REST")
    report.equal(f"{name}: joins refused", beyond, round(refused - before), "REST")
    report.equal(f"{name}: the stream's error", None, done.get("error"))


SCENARIO = Scenario(
    name="kernel-rest",
    figure="draft-deng Figure 3",
    rows=ROWS,
    summary="checksums, data in a SYN, address id 0 and ids used again, and a host with more addresses than its kernel takes",
    plan=PLAN,
    run=run,
    controls=controls(
        "wrong-mcp",
        settings="kernels are as they are by default: no checksums, no data in a SYN",
        limits="the policy allows more subflows than a kernel has",
    ),
)
