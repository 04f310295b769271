"""On-path MCP, draft-deng Figure 2: both accesses meet at s3, and the only path from there to the gateway s4 leads
through the MCP. The MCP takes M-sessions, and forwards legacy TCP unchanged.

The MCP is on the path whatever the controller does: both subflows pass it also when steering is off.
"""

from topologies.kit.captures import CAPABLE, JOIN, Capture
from topologies.kit.kernel_counters import FiveTuple
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import aggregation

ACCESS_MBIT = 20.0
LTE, WLAN, NET = (
    ("10.1.0.0/24", "fd00:1::/64"),
    ("10.2.0.0/24", "fd00:2::/64"),
    ("10.9.0.0/24", "fd00:9::/64"),
)

MOST_LOST = 0.02  # of a connection's segments, in a busy userspace datapath
ROWS = ("D-F2", "D-4.b", "D-4.1a", "D-4.1b", "N-F1", "N-F4", "N-3.1", "S-3", "D-1.u3")
LEGACY_MBIT = 1.0
OFF_S = 3.0
PLAN = Plan(
    name="on-path",
    switches=("s1", "s2", "s3", "s4"),
    wires=(Wire("s1:2", "s3:2"), Wire("s2:2", "s3:3")),
    boxes=(
        Box(
            "ue",
            Kind.DUAL,
            (
                Nic("s1:1", ("10.1.0.2/24", "fd00:1::2/64"), ACCESS_MBIT),
                Nic("s2:1", ("10.2.0.2/24", "fd00:2::2/64"), ACCESS_MBIT),
            ),
        ),
        Box(
            "inline",
            Kind.MCP,
            (
                Nic("s3:1", ("10.8.0.2/24", "fd00:8::2/64")),
                Nic("s4:2", ("10.8.1.2/24", "fd00:18::2/64")),
            ),
            relay=("--interception", "mptcp", "--inside", "inline-eth0"),
            inward=(*LTE, *WLAN),
        ),
        Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24", "fd00:9::2/64")),)),
    ),
    accesses=(
        Attachment("lte", LTE, ("s1:1",), "cellular"),
        Attachment("wlan", WLAN, ("s2:1",), "wlan"),
    ),
    gateways=(Attachment("internet", NET, ("s4:1",)),),
    points=(Point("inline", "s3:1", ("10.8.0.2", "10.8.1.2", "fd00:8::2", "fd00:18::2"), outside="s4:2"),),
)


def run(options: Options, report: Report) -> None:
    """Run with steering off, then on: an M-session over both accesses, and a legacy connection beside it."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        if "relay" in options.without:
            lab.relays["inline"].end()
        options.say("controller with steering off")
        lab.start_controller(("steering",))
        aggregation.warm_up(lab, 4)
        off = aggregation.upload(lab, 4, OFF_S)
        lab.controller.stop()
        _crosses(report, off, "off")
        options.say("controller with steering on")
        lab.start_controller(options.without)
        aggregation.warm_up(lab, 4)
        on = _both_at_once(lab, report, options.seconds or aggregation.SECONDS)
        if options.prompt:
            lab.command_line()
        report.table = [["steering", "goodput", *(f"sent by {a}" for a in on.access_bytes)]]
        for name, seen in (("off", off), ("on", on)):
            sent = (f"{count / 1e6:.1f} MB" for count in seen.access_bytes.values())
            report.table.append([name, f"{seen.mbit:.1f} Mbit/s", *sent])
        report.figures["on"] = {
            "goodput_mbit": round(on.mbit, 2),
            "access_bytes": on.access_bytes,
            "counters": on.counted,
        }


def _both_at_once(lab: Lab, report: Report, seconds: float) -> aggregation.Transfer:
    near, far = lab.capture_port("s1:1"), lab.capture_port("s4:1")
    agent = lab.agents["ue"]
    target = address_of(PLAN.box("server"), 4)
    agent.ask(
        "start", name="legacy", kind="steady", dst=target, port=5001, mbit=LEGACY_MBIT, seconds=seconds - 1
    )
    on = aggregation.upload(lab, 4, seconds)
    legacy = agent.finish("legacy", 30)
    report.equal("the M-session's transfer succeeds", "", on.error)
    report.rate(
        "goodput of both accesses",
        on.mbit >= aggregation.GAIN * ACCESS_MBIT,
        f"at least {aggregation.GAIN * ACCESS_MBIT:.0f} Mbit/s",
        f"{on.mbit:.1f} Mbit/s",
    )
    aggregation.check_pinned(report, on, "inline")
    _crosses(report, on, "on")
    report.equal(
        "both accesses carry data",
        [True, True],
        [count > 0.1 * sum(on.access_bytes.values()) for count in on.access_bytes.values()],
        "kernel",
    )
    paths = sorted(s["path"] for session in on.sessions for s in session["subflows"])
    report.equal("both subflows on their natural path", ["natural", "natural"], paths, "REST")
    report.equal("legacy TCP beside it succeeds", "", legacy.get("error", ""))
    local = legacy.get("local") or ["", 0]
    flow = FiveTuple(local[0], local[1], target, 5001)
    _untouched(report, flow, near, far)
    merged = {s.flow for s in far.segments() if s.syn} - {flow}
    report.equal("connections the M-session became at the server", 1, len(merged), "capture")
    report.equal("connections the MCP took", 1, on.count("inline", "MPCapableSYNRX"), "kernel")
    return on


def _crosses(report: Report, seen: aggregation.Transfer, label: str) -> None:
    """Check that the first segments of both subflows are at the MCP's inside port."""
    syns = {s.flow.src: s.options for s in seen.ports["inline"].segments() if s.syn and s.options}
    wanted = {"10.1.0.2": (CAPABLE,), "10.2.0.2": (JOIN,)}
    report.equal(f"{label}: both subflows cross s3, where the MCP stands", wanted, syns, "capture")


def _untouched(report: Report, flow: FiveTuple, near: Capture, far: Capture) -> None:
    """Check that a connection passes unchanged (K-OPT). A relay would answer the SYN itself, with other sequence
    numbers and options, so that hardly a segment would be seen at both places. A segment may be lost between them."""

    def shapes(capture: Capture) -> dict[tuple[FiveTuple, int, int, int], set[str]]:
        found: dict[tuple[FiveTuple, int, int, int], set[str]] = {}
        for s in capture.segments():
            if flow in (s.flow, s.flow.reversed()):
                found.setdefault((s.flow, s.sequence, s.flags, s.length), set()).add(s.raw_options)
        return found

    before, behind = shapes(near), shapes(far)
    both = before.keys() & behind.keys()
    alone = len(before.keys() ^ behind.keys())
    # What was sent again has other timestamps: one of them may be lost, too.
    changed = sum(1 for one in both if before[one].isdisjoint(behind[one]))
    report.expect(
        "the legacy connection's segments before and behind the MCP, option for option",
        not changed and len(both) > 100 and alone <= MOST_LOST * len(both),
        f"the same, more than 100, at most {MOST_LOST:.0%} lost between",
        f"{len(both)} at both, {changed} of them changed, {alone} at one only",
        "capture",
    )


SCENARIO = Scenario(
    name="on-path",
    figure="draft-deng Figure 2",
    rows=ROWS,
    summary="in-line MCP on the common link, steering off and on: M-session over both accesses, legacy TCP untouched",
    plan=PLAN,
    run=run,
    controls=controls("steering", relay="the in-line MCP only forwards"),
)
