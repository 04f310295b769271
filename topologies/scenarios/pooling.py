"""Pooling of two accesses of one ISP, of any kinds: WLAN with WLAN, fixed with WLAN, cellular with WLAN, cellular
with fixed. Both directions are tested, and applications that know nothing of MPTCP. No natural path passes the MCP.

    lte s1, wlan s2, hotspot s3, dsl s4: each has a link to s5, with the servers, and to s6, with the MCP `core`
"""

import statistics
import time
from typing import Any

from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import foreign_programs as programs
from topologies.measures.aggregation import access_bytes
from topologies.measures.pins import KernelView, capture_view, kernel_view

ACCESS_MBIT = 5.0
GAIN = 1.6  # least median over the pairs: the rate of two equal accesses, as a multiple of the rate of one
EACH_GAIN = 1.25  # the same of each pair: one loss that is repaired by a time-out costs one second of five
SECONDS = 5.0
SETTLED_S, LEFT_S = 2.0, 1.5  # when subflows are listed: after the begin, and at last before the end
SERVICE = 5001
SYNS = "tcp[tcpflags] & tcp-syn != 0"
EDGES = {"lte": "s1", "wlan": "s2", "hotspot": "s3", "dsl": "s4"}
TYPES = {"lte": "cellular", "wlan": "wlan", "hotspot": "wlan", "dsl": "fixed"}
PAIRS = {
    "ww": ("wlan", "hotspot"),
    "fw": ("dsl", "wlan"),
    "cw": ("lte", "wlan"),
    "cf": ("lte", "dsl"),
}
# Two pairs at a time. With all four, the userspace datapath would have to forward 80 Mbit/s, and as much on the
# server legs. It would lose packets of its own, from which a flow of five seconds does not recover.
AT_ONCE = (("ww", "fw"), ("cw", "cf"))
ROWS = ("D-3.2a", "D-6.6.5", "D-3.1a", "D-1.u3", "N-4.1", "S-3", "S-8", "S-26", "D-4.e")
POLICY = f"""\
policy: 1
rules:
  - name: nothing-relayed
    when: {{port: {programs.NATURAL_PORT}}}
    then: {{action: proxy, transports: []}}
"""


def _prefix(access: str) -> str:
    return f"10.{1 + list(EDGES).index(access)}.0"


def _host(number: int, name: str) -> Box:
    nics = [
        Nic(f"{EDGES[access]}:{number + 1}", (f"{_prefix(access)}.{number + 2}/24",), ACCESS_MBIT)
        for access in PAIRS[name]
    ]
    return Box(name, Kind.DUAL, tuple(nics))


def _ports(access: str) -> tuple[str, ...]:
    return tuple(f"{EDGES[access]}:{n + 1}" for n, pair in enumerate(PAIRS.values()) if access in pair)


PLAN = Plan(
    name="pooling",
    switches=("s1", "s2", "s3", "s4", "s5", "s6"),
    wires=(
        *(Wire(f"{edge}:8", f"s5:{n}") for n, edge in enumerate(EDGES.values(), start=2)),
        *(Wire(f"{edge}:9", f"s6:{n}") for n, edge in enumerate(EDGES.values(), start=2)),
        Wire("s5:9", "s6:9"),
    ),
    boxes=(
        *(_host(number, name) for number, name in enumerate(PAIRS)),
        Box("core", Kind.MCP, (Nic("s6:1", ("10.8.0.2/24",)),), relay=programs.RELAY),
        Box("server", Kind.SERVER, (Nic("s5:1", ("10.9.0.2/24",)),)),
    ),
    accesses=tuple(Attachment(a, (f"{_prefix(a)}.0/24",), _ports(a), TYPES[a]) for a in EDGES),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s5:1",)),),
    points=(Point("core", "s6:1", ("10.8.0.2",)),),
    services=(SERVICE,),
    policy=POLICY,
)


def run(options: Options, report: Report) -> None:
    """Run two pairs at once, then the other two, each up and down. Then run programs of others."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        for name in PAIRS:
            lab.agents[name].ask("ping", dst="10.9.0.2", count=3)
        report.table = [["pair", "direction", "goodput", "first", "second"]]
        for kind in ("upload", "download"):
            for at_once in AT_ONCE:
                _pairs(lab, report, kind, at_once, options.seconds or SECONDS)
            mbit = statistics.median(report.figures[f"{kind} {name}"]["mbit"] or 0.0 for name in PAIRS)
            report.rate(
                f"{kind}: median goodput of the pairs",
                mbit >= GAIN * ACCESS_MBIT,
                f"at least {GAIN * ACCESS_MBIT:g} Mbit/s",
                f"{mbit:.1f} Mbit/s",
            )
        programs.in_a_row(lab, report, "cw")
        programs.natural(lab, report, "cf")
        if options.prompt:
            lab.command_line()


def _view(lab: Lab, names: tuple[str, ...]) -> KernelView:
    hosts = {name: [s for s in subflows(lab.host(name)) if s.flow.dport == SERVICE] for name in names}
    return kernel_view(hosts, {"core": subflows(lab.host("core"))}, (SERVICE,))


def _pairs(lab: Lab, report: Report, kind: str, names: tuple[str, ...], seconds: float) -> None:
    both = f"{kind} of {' and '.join(names)}"
    down = kind == "download"
    edges = [lab.capture_port(port, SYNS) for access in PLAN.accesses for port in access.ports]
    at_mcp = lab.capture_port("s6:1", SYNS)
    lab.mark()
    before = {name: access_bytes(lab, name, down) for name in names}
    lab.say(f"{both} at once for {seconds:.0f} s")
    order: dict[str, Any] = {"kind": kind, "port": SERVICE, "seconds": seconds, "mptcp": True}
    for name in names:
        lab.agents[name].ask("start", name=kind, dst=address_of(PLAN.box("server"), 4), **order)
    time.sleep(SETTLED_S)
    until(lambda: not _view(lab, names).wrong, max(0.0, seconds - SETTLED_S - LEFT_S))
    view = _view(lab, names)
    sessions = {s["token"]: s for s in lab.controller.detailed()}
    done = {name: lab.agents[name].finish(kind, seconds + 45) for name in names}
    after = {name: access_bytes(lab, name, down) for name in names}
    lab.stop_captures()
    for name in names:
        pair = PAIRS[name]
        moved = {access: after[name][access] - before[name][access] for access in pair}
        _judge_rate(report, f"{kind} over {pair[0]} and {pair[1]}", done[name], moved)
        report.table.append(
            [
                f"{TYPES[pair[0]]} + {TYPES[pair[1]]}",
                kind,
                f"{done[name].get('mbit', 0.0):.1f} Mbit/s",
                *(f"{access} {count / 1e6:.1f} MB" for access, count in moved.items()),
            ]
        )
        report.figures[f"{kind} {name}"] = {"mbit": done[name].get("mbit"), "access_bytes": moved}
    _judge_pins(report, both, names, view, sessions)
    seen = capture_view([s for c in edges for s in c.segments()], {"core": at_mcp.segments()}, [])
    report.equal(f"{both}: joins seen at the edges", len(names), seen.joins, "capture")
    report.equal(
        f"{both}: those not at the MCP that has their key", [], seen.mispinned + seen.undelivered, "capture"
    )


def _judge_rate(report: Report, what: str, done: dict[str, Any], moved: dict[str, int]) -> None:
    report.equal(f"{what}: it succeeds", "", done.get("error", ""))
    report.rate(
        f"{what}: goodput over one access",
        done.get("mbit", 0.0) >= EACH_GAIN * ACCESS_MBIT,
        f"at least {EACH_GAIN * ACCESS_MBIT:g} Mbit/s",
        f"{done.get('mbit', 0.0):.1f} Mbit/s",
    )
    shares = {name: round(count / max(1, sum(moved.values())), 2) for name, count in moved.items()}
    report.expect(
        f"{what}: each carries bytes", min(shares.values()) > 0.1, "over a tenth each", shares, "kernel"
    )


def _judge_pins(
    report: Report, both: str, names: tuple[str, ...], view: KernelView, sessions: dict[str, dict[str, Any]]
) -> None:
    report.equal(f"{both}: sessions whose subflows are not both at the MCP", [], view.wrong, "kernel")
    tokens = view.pinned["core"]
    report.equal(f"{both}: sessions with both subflows at the MCP", len(names), len(tokens), "kernel")
    pairs = [sorted(s["access_network"] for s in sessions[t]["subflows"]) for t in tokens if t in sessions]
    wanted = sorted(sorted(PAIRS[name]) for name in names)
    report.equal(f"{both}: accesses of each session", wanted, sorted(pairs), "REST")


SCENARIO = Scenario(
    name="pooling",
    figure="draft-nam Figure 4",
    rows=ROWS,
    summary="four pairs of access types, up and down; iperf3, HTTP and another port in a row; UDP and ICMP natural",
    plan=PLAN,
    run=run,
    controls=controls("steering"),
)
