"""SYNs at four times the rate of the default meter. The meter drops each of them, or it is led to an MCP, or it takes its natural
path, and each is counted by what happened to it (N-7.2c).

The flood and an honest host share the port of LTE. The port's meter cannot tell them apart, but the controller knows the host.
While the meter drops SYNs, the host has a meter of its own, so none of its connections loses three SYNs. A connection that did
would become plain TCP, as the fourth SYN has no MPTCP option, and the host's kernel would count it (MPCapableSYNTXDrop;
net.mptcp.syn_retrans_before_tcp_fallback is 2). A host of WLAN notices nothing.
"""

import re
import sys
import time
from typing import Any

from steering.model.policy import Meters
from steering.model.rules import VIRTUAL_MAC, Meter, Table
from topologies.kit.captures import frames
from topologies.kit.kernel_counters import counters
from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.processes import PROGRAMS, Agent, StartedProcess
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until

ROWS = ("N-7.2c",)
DEFAULT = Meters().syn_per_port
RATE = 4 * DEFAULT  # below the rate at which a port counts as flooded and its meter is cut
SECONDS = 8.0  # least that the flood lasts; it ends once the hosts have what they want
LONGEST_S = 50.0  # most that it does
NOTICED_S = 10.0  # most until the host has a meter of its own: rates are read once a second, and twice
SYNS_S = 6.0  # in which a host has sent all its SYNs with MPTCP, at 0, 1 and 2 s, and one without at 3 s
HALF_OPEN = 2_000  # an access port may have half of them; the SYNs beyond go their natural way
HONEST, OTHERS = 24, 10
POLICY = f"policy: 1\nlimits: {{half_open: {HALF_OPEN}}}\n"
OPEN_METER = f"meters: {{syn_per_port: {20 * DEFAULT}}}\n"
TITLES = {
    "syns": "steering_packet_ins_total",
    "started": "steering_sessions_started_total",
    "natural": "steering_natural_syns_total",
    "again": "steering_retransmitted_syns_total",
    "challenged": "steering_challenged_syns_total",
    "fallbacks": "steering_fallbacks_total",
    "dropped": "steering_syns_dropped_total",
    "floods": "steering_floods_total",
}
LABELS = {"syns": {"class": "syn"}, "dropped": {"attachment": "lte"}}

PLAN = Plan(
    name="syn-meter",
    switches=("s1", "s2", "s3"),
    wires=(Wire("s1:2", "s3:2"), Wire("s2:2", "s3:3")),
    boxes=(
        Box("ue", Kind.DUAL, (Nic("s1:1", ("10.1.0.2/24",)),)),
        Box("other", Kind.DUAL, (Nic("s2:1", ("10.2.0.2/24",)),)),
        Box("core", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24",)),)),
        Box("server", Kind.SERVER, (Nic("s3:4", ("10.9.0.2/24",)),)),
    ),
    accesses=(
        Attachment("lte", ("10.1.0.0/24",), ("s1:1",), "cellular", hosts="learned"),
        Attachment("wlan", ("10.2.0.0/24",), ("s2:1",), "wlan"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s3:4",)),),
    points=(Point("core", "s3:1", ("10.8.0.2",)),),
    policy=POLICY,
)


def run(options: Options, report: Report) -> None:
    """Send the flood, compare the counters, and check what the hosts noticed."""
    policy = POLICY + (OPEN_METER if "meter" in options.without else "")
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        if "no-cookies" in options.without:
            lab.host("core").run("sysctl -qw net.ipv4.tcp_syncookies=2")
        lab.start_controller(options.without)
        lab.controller.put_policy(policy)
        for name in ("ue", "other"):
            lab.agents[name].ask("ping", dst=_server(), count=2)
        _flooded(lab, report)
        if options.prompt:
            lab.command_line()


def _server() -> str:
    return address_of(PLAN.box("server"), 4)


def _flooded(lab: Lab, report: Report) -> None:
    at_server = lab.capture_port("s3:4", "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn")
    lab.mark()
    time.sleep(2.5)  # the controller reads meters once a second, and needs one reading to start from
    before, meter = _told(lab), _meter(lab)
    listening = counters(lab.host("core"), "TcpExt")
    flood = _flood(lab)
    begun = time.monotonic()
    time.sleep(0.5)
    judge_own_meter(report, until(lambda: _has_own_meter(lab), NOTICED_S))
    ue = lab.agents["ue"]
    order = {"kind": "upload", "dst": _server(), "port": 5001, "seconds": 0.1, "wait": 40.0, "mptcp": True}
    for number in range(HONEST):
        ue.ask("start", name=f"honest-{number}", **order)
    group = {"group": "others", "dst": _server(), "ports": [5001], "mptcp": True, "first": True}
    others = lab.agents["other"].ask("open", count=OTHERS, **group)["opened"]
    sent_all = time.monotonic() + SYNS_S
    until(lambda: _are_done(ue) or time.monotonic() > sent_all, 2 * SYNS_S)
    time.sleep(max(0.0, begun + SECONDS - time.monotonic()))
    report.figures["flood_outlasted_syns"] = flood.alive()
    flood.end(seconds=60.0)
    honest = [ue.finish(f"honest-{number}", 60.0) for number in range(HONEST)]
    time.sleep(1.0)  # what came last has passed the meter by then
    came, dropped = (now - then for now, then in zip(_meter(lab), meter, strict=True))
    lab.controller.settled(TITLES["dropped"], before["dropped"] + dropped, 10.0, **LABELS["dropped"])
    told = {name: round(now - before[name]) for name, now in _told(lab).items()}
    lab.stop_captures()
    report.figures |= {"meter": {"came": came, "dropped": dropped}, "told": told}
    _judge_meter(report, flood, came, dropped, told)
    own = {address_of(PLAN.box(name), 4) for name in ("ue", "other")}
    strangers = " && ".join(f"ip.src != {address}" for address in sorted(own))
    _judge_ways(lab, report, told, frames(at_server.file, f"tcp && {strangers}"))
    _judge_hosts(lab, report, honest, others, told)
    refused = counters(lab.host("core"), "TcpExt")
    names = ("SyncookiesSent", "TCPReqQFullDoCookies", "TCPReqQFullDrop", "ListenDrops")
    grown = {name: refused[name] - listening[name] for name in names}
    report.equal(
        "SYN cookies of the MCP, and SYNs that its backlog dropped", dict.fromkeys(names, 0), grown, "kernel"
    )


def _are_done(ue: Agent) -> bool:
    """Whether all connections of the host that shares the port have ended."""
    return all(ue.ask("status", name=f"honest-{number}")["done"] for number in range(HONEST))


def judge_own_meter(report: Report, has_one: bool) -> None:
    """Check that a known host has a meter of its own while its port's meter drops SYNs."""
    name = "the host that shares the port has a meter of its own"
    report.expect(name, has_one, "an entry that leads to it", "one" if has_one else "none", "flow")


def _told(lab: Lab) -> dict[str, float]:
    return {name: lab.controller.metric(title, **LABELS.get(name, {})) for name, title in TITLES.items()}


def _meter(lab: Lab) -> tuple[int, int]:
    """Packets that came to the meter of LTE's port, and that it dropped; none where there is no such meter."""
    shown = ofctl(lab.switch("s1"), "meter-stats", f"meter={Meter.SYN_BASE + 1}")
    found = re.search(r"packet_in_count:(\d+).*?0: packet_count:(\d+)", shown, re.DOTALL)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _has_own_meter(lab: Lab) -> bool:
    """Whether the switch of LTE has an entry for the host's own SYNs."""
    shown = ofctl(lab.switch("s1"), "dump-flows", f"table={int(Table.CLASSIFY)}")
    meters = map(int, re.findall(r"meter_id=(\d+)", shown))
    return any(Meter.HOST_SYN_BASE <= meter < Meter.RESERVED_BASE for meter in meters)


def _flood(lab: Lab) -> StartedProcess:
    host = lab.host("ue")
    script = str(PROGRAMS / "flooding.py")
    words = [host.interface(0), VIRTUAL_MAC, "10.1.0.0/24", _server(), "5001", str(RATE), str(LONGEST_S)]
    flood = StartedProcess(lab.record, "flooding", [sys.executable, script, *words], host)
    flood.wait_for(lambda: "ready" in flood.log.read_text(), 30, "its frames")
    return flood


def _judge_meter(
    report: Report, flood: StartedProcess, came: int, dropped: int, told: dict[str, int]
) -> None:
    sent = int(flood.numbers(2)[0])
    report.figures["sent"] = sent
    least = int(2 * DEFAULT * SECONDS)  # some are lost before it, where the machine is busy
    report.expect("SYNs that came to the meter", came > least, f"over {least}", came, "kernel")
    report.expect("SYNs that it dropped", dropped > came / 2, f"over half of {came}", dropped, "kernel")
    report.equal("SYNs that it dropped, as the controller counts them", dropped, told["dropped"], "REST")
    seen, passed = told["syns"], came - dropped
    report.expect(
        "SYNs that it let through, as the controller counts them", abs(seen - passed) <= 0.02 * passed + OTHERS,
        f"{passed}, and {OTHERS} of WLAN", seen, "REST",
    )  # fmt: skip
    report.equal("times that the meter was cut", 0, told["floods"], "REST")


def _judge_ways(lab: Lab, report: Report, told: dict[str, int], strangers: int) -> None:
    led = told["started"] + told["natural"] + told["again"] + told["challenged"]
    report.equal("SYNs led to the MCP, let go naturally, repeated", told["syns"], led, "REST")
    heard = lab.counted("core")["MPCapableSYNRX"]
    report.expect(
        "SYNs with MP_CAPABLE at the MCP",
        0 <= heard - told["started"] <= told["again"],
        f"{told['started']}, and {told['again']} repeated at most",
        heard,
        "kernel",
    )
    report.expect(
        "SYNs let go naturally", told["natural"] > HONEST, "some of the flood's", told["natural"], "REST"
    )
    # A host's own that went naturally cannot be told from its server legs there.
    report.expect(
        "the flood's SYNs at the server",
        0 <= told["natural"] - strangers <= 4 * HONEST,
        f"{told['natural']}, less what the host sent",
        strangers,
        "capture",
    )


def _judge_hosts(
    lab: Lab, report: Report, honest: list[dict[str, Any]], others: list[dict[str, Any]], told: dict[str, int]
) -> None:
    errors = [done["error"] for done in honest if "error" in done]
    report.equal("errors of the host that shares the port", [], errors)
    fallen = sum(done.get("token") is None for done in honest)
    at_ue = lab.counted("ue")
    lost, declined = at_ue["MPCapableSYNTXDrop"], at_ue["MPCapableFallbackSYNACK"]
    report.equal(
        "its connections: with MPTCP, without as their SYNs were lost, without as they went naturally",
        HONEST, at_ue["MPCapableSYNACKRX"] + lost + declined, "kernel",
    )  # fmt: skip
    report.equal("its connections that lost three SYNs with MPTCP in a row", 0, lost, "kernel")
    # The flood fills the port, which may lose a third ACK and the data after it: the MCP's kernel counts that one.
    at_core = lab.counted("core")
    late = at_core["MPCapableFallbackACK"] + at_core["MPCapableDataFallback"]
    report.equal("those without MPTCP, by cause", fallen, lost + declined + late, "kernel")
    report.equal("fallbacks at an MCP", 0, told["fallbacks"], "REST")
    report.figures["honest"] = {
        "lost": lost,
        "declined": declined,
        "late": late,
        "blackholes": at_ue["Blackhole"],
    }
    with_mptcp = sum(bool(one.get("token")) for one in others)
    report.equal("sessions of the other access", OTHERS, with_mptcp, "kernel")
    lab.agents["other"].ask("close", group="others")


SCENARIO = Scenario(
    name="syn-meter",
    figure="draft-nam section 7",
    rows=ROWS,
    summary="SYNs at four times the default meter: each is counted as dropped, led or let go, and each fallback by its cause",
    plan=PLAN,
    run=run,
    controls=controls(
        "host-meters",
        meter="the meter lets all through",
        no_cookies="the MCP answers with SYN cookies",
    ),
    alone=True,
)
