"""On-path MCP, draft-deng Figure 2: both accesses meet at s3, and the only way on to the gateway s4 is through
the MCP, which takes M-sessions and forwards legacy TCP as it is.
"""

import sys
from pathlib import Path

# `mn --custom` runs this file by its path, outside its package.
sys.path.append(str(Path(sys._getframe().f_code.co_filename).resolve().parents[1]))

from topologies import aggregation
from topologies.lab import Lab, running
from topologies.network import topology
from topologies.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.processes import relay_status
from topologies.report import Report
from topologies.scenario import Options, Scenario, controls

ACCESS_MBIT = 20.0
LTE, WLAN, NET = (
    ("10.1.0.0/24", "fd00:1::/64"),
    ("10.2.0.0/24", "fd00:2::/64"),
    ("10.9.0.0/24", "fd00:9::/64"),
)

ROWS = ("D-F2", "D-4.b", "D-4.1a", "D-4.1b")
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
    """An M-session over both accesses, then a legacy connection that the MCP leaves alone."""
    seconds = options.seconds or aggregation.SECONDS
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller()
        aggregation.warm_up(lab, 4)
        on = aggregation.upload(lab, 4, seconds)
        report.equal("the M-session's transfer succeeds", "", on.error)
        report.expect(
            "goodput of both accesses",
            on.mbit >= aggregation.GAIN * ACCESS_MBIT,
            f"at least {aggregation.GAIN * ACCESS_MBIT:.0f} Mbit/s",
            f"{on.mbit:.1f} Mbit/s",
        )
        aggregation.check_pinned(report, on, "inline")
        paths = sorted(s["path"] for session in on.sessions for s in session["subflows"])
        report.equal("both subflows on their natural path", ["natural", "natural"], paths, "REST")

        options.say("a legacy TCP connection through the MCP's node")
        lab.mark()
        relayed = _accepted(lab)
        inside, gateway = lab.capture_port("s3:1"), lab.capture_port("s4:1")
        target = address_of(PLAN.box("server"), 4)
        opened = lab.agents["ue"].ask(
            "open", group="legacy", dst=target, ports=[5001], mptcp=False, first=True
        )
        lab.stop_captures()
        report.expect(
            "legacy TCP is served", "error" not in opened["opened"][0], "an echo", opened["opened"][0]
        )
        report.equal("the relay took no part in it", relayed, _accepted(lab), "kernel")
        # The relay would answer a SYN itself, with sequence numbers of its own.
        both = [{s.flow for s in capture.segments()} for capture in (inside, gateway)]
        report.expect(
            "the same segments before and behind the MCP",
            both[0] == both[1] != set(),
            sorted(map(str, both[0])),
            sorted(map(str, both[1])),
            "capture",
        )
        if options.prompt:
            lab.command_line()
        report.table = [
            ["", "goodput", *(f"sent by {a}" for a in on.access_bytes)],
            ["M-session", f"{on.mbit:.1f} Mbit/s", *(f"{b / 1e6:.1f} MB" for b in on.access_bytes.values())],
        ]
        report.figures["on"] = {
            "goodput_mbit": round(on.mbit, 2),
            "access_bytes": on.access_bytes,
            "counters": on.counted,
        }


def _accepted(lab: Lab) -> int:
    """Connections that the relay has taken so far."""
    accepted: int = relay_status(lab.record, "inline")["counters"]["accepted"]
    return accepted


SCENARIO = Scenario(
    name="on-path",
    figure="draft-deng Figure 2",
    rows=ROWS,
    summary="in-line MCP on the common link: M-session over both accesses, legacy TCP untouched",
    plan=PLAN,
    run=run,
    controls=controls(),
)
topos = {"on-path": topology(PLAN)}
