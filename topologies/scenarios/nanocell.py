"""A nanocell: one base station with a cellular radio and a WLAN, its MCP beside them, and an IP backhaul.

cell, wlan s1 [mcp] -- s2 -- s3 cellular core [anchor] -- s5 Internet     with local breakout the Internet is
                        \\---- s4 WLAN controller -------- s5              at the station's own gateway, s1:5
macro s6 -- s3
"""

from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import aggregation, leaving, receive_buffers

RADIO_MBIT = 10.0
SECONDS = 4.0
BULK, CALLS = 5001, 5002
CORE_BRANCH, CONTROLLER_BRANCH = "s2:3", "s2:4"
# Most bytes on a link that is not used: LLDP and neighbour probes. Every transfer here has more.
IDLE_BYTES = 6_000
POLICY = f"""\
policy: 1
rules:
  - name: calls
    when: {{port: {CALLS}}}
    then: {{action: proxy, expectation: continuity, max_stretch: 10.0, mcps: [anchor]}}
  - name: rest
    then: {{action: proxy, expectation: bulk}}
"""
ROWS = ("D-F4", "D-2.8", "D-2.9", "D-5.3a", "D-5.3b", "D-6.5p3", "D-6.5p4", "D-4.b")


def nanocell(breakout: bool) -> Plan:
    """The plan. `breakout`: whether the way to the Internet is at the station, or behind the core."""
    return Plan(
        name="nanocell",
        switches=("s1", "s2", "s3", "s4", "s5", "s6"),
        wires=(
            Wire("s1:3", "s2:2"),
            Wire(CORE_BRANCH, "s3:2"),
            Wire(CONTROLLER_BRANCH, "s4:2"),
            Wire("s3:3", "s5:2"),
            Wire("s4:3", "s5:3"),
            Wire("s6:2", "s3:4"),
        ),
        boxes=(
            Box(
                "ue",
                Kind.DUAL,
                (
                    Nic("s1:1", ("10.1.0.2/24",), RADIO_MBIT),
                    Nic("s1:2", ("10.2.0.2/24",), RADIO_MBIT),
                    Nic("s6:1", ("10.3.0.2/24",), RADIO_MBIT),
                ),
            ),
            Box("station", Kind.MCP, (Nic("s1:9", ("10.8.1.2/24",)),)),
            Box("anchor", Kind.MCP, (Nic("s3:9", ("10.8.3.2/24",)),)),
            Box("server", Kind.SERVER, (Nic("s1:5" if breakout else "s5:1", ("10.9.0.2/24",)),)),
        ),
        accesses=(
            Attachment("cell", ("10.1.0.0/24",), ("s1:1",), "cellular"),
            Attachment("wlan", ("10.2.0.0/24",), ("s1:2",), "wlan"),
            Attachment("macro", ("10.3.0.0/24",), ("s6:1",), "cellular"),
        ),
        gateways=(Attachment("internet", ("10.9.0.0/24",), ("s1:5" if breakout else "s5:1",)),),
        points=(
            Point(
                "station",
                "s1:9",
                ("10.8.1.2",),
                type="on-path",
                location="small-cell",
                accesses=("cell", "wlan"),
            ),
            Point("anchor", "s3:9", ("10.8.3.2",), location="ip-gateway"),
        ),
        services=(BULK, CALLS),
        policy=POLICY,
    )


PLAN = nanocell(breakout=False)


def run(options: Options, report: Report) -> None:
    """Use both radios of the station, without and with local breakout. Without it, the host leaves the cell at the
    end."""
    report.table = [["local breakout", "goodput", "core branch", "controller branch"]]
    for breakout in (False, True):
        plan = nanocell(breakout and "breakout" not in options.without)
        with running(plan, options.say, options.without, options.keep) as lab:
            receive_buffers.enlarge(lab, "ue", "station", "anchor")
            lab.start_services()
            # The host cannot reach the macro cell until it leaves.
            lab.host("ue").run(
                "ip mptcp endpoint flush", "ip mptcp endpoint add 10.2.0.2 dev ue-eth1 subflow"
            )
            lab.start_controller(options.without)
            aggregation.warm_up(lab, 4)
            _both_radios(lab, report, breakout, options.seconds or SECONDS)
            if not breakout:
                lab.host("ue").run("ip mptcp endpoint flush", "ip link set ue-eth1 down")
                wanted = {BULK: ("server", "station", False), CALLS: ("server", "anchor", True)}
                leaving.leave(lab, report, wanted, old=0, new=2)
            if options.prompt:
                lab.command_line()


def _both_radios(lab: Lab, report: Report, breakout: bool, seconds: float) -> None:
    label = f"breakout {'on' if breakout else 'off'}"
    types = {a["name"]: a["type"] for a in lab.controller.get("/v1/access-networks")["access_networks"]}
    report.equal(
        f"{label}: the station's radios", ("cellular", "wlan"), (types["cell"], types["wlan"]), "REST"
    )
    mcps = lab.controller.mcps()
    seen = (mcps["station"]["location"], mcps["station"]["type_computed"])
    report.equal(f"{label}: its MCP", ("small-cell", "on-path"), seen, "REST")
    before = [_bytes(lab, branch) for branch in (CORE_BRANCH, CONTROLLER_BRANCH)]
    on = aggregation.upload(lab, 4, seconds)
    branches = [_bytes(lab, b) - was for b, was in zip((CORE_BRANCH, CONTROLLER_BRANCH), before, strict=True)]
    report.equal(f"{label}: the transfer succeeds", "", on.error)
    report.rate(
        f"{label}: goodput of both radios",
        on.mbit >= aggregation.GAIN * RADIO_MBIT,
        f"at least {aggregation.GAIN * RADIO_MBIT:.0f} Mbit/s",
        f"{on.mbit:.1f} Mbit/s",
    )
    aggregation.check_pinned(report, on, "station", label)
    carried = on.mbit * 1e6 / 8 * on.seconds
    if breakout:
        quiet = sum(branches) < IDLE_BYTES
        report.expect(
            f"{label}: nothing of it on the backhaul's branches",
            quiet,
            f"under {IDLE_BYTES}",
            branches,
            "kernel",
        )
    else:
        report.expect(
            f"{label}: all of it leaves by them",
            sum(branches) > carried,
            f"over {carried:.0f}",
            branches,
            "kernel",
        )
    megabytes = [f"{count / 1e6:.2f} MB" for count in branches]
    report.table.append(["on" if breakout else "off", f"{on.mbit:.1f} Mbit/s", *megabytes])
    report.figures[label] = {"goodput_mbit": round(on.mbit, 2), "branch_bytes": branches}


def _bytes(lab: Lab, port: str) -> int:
    """Bytes in both directions at a link's port, by its switch's own count."""
    bridge, _, number = port.partition(":")
    words = ofctl(lab.switch(bridge), "dump-ports", number).replace(",", " ").split()
    return sum(int(word.partition("=")[2]) for word in words if word.startswith("bytes="))


SCENARIO = Scenario(
    name="nanocell",
    figure="draft-deng Figure 4",
    rows=ROWS,
    summary="both radios of one small cell, its MCP with and without local breakout; then the host leaves the cell",
    plan=PLAN,
    run=run,
    controls=controls("steering", "wrong-mcp", breakout="the station has no gateway of its own"),
    variants={"nanocell-breakout": nanocell(breakout=True)},
)
