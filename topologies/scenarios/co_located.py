"""MCPs beside other functions: in a home gateway that has a cell of its own (draft-deng 5.3), and in the place of a
TCP accelerator (5.1).

`home`: both radios of the home end at the gateway's own switch, and its line leads out; no core network is passed.
`accelerator`: the MCP splits TCP as an accelerator does. While the server's link is down, the host goes on sending,
and the MCP acknowledges.
"""

import re
import subprocess
import time
from dataclasses import replace

from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import aggregation
from topologies.networks import ip_gateway

ACCESS_MBIT = 8.0
SECONDS = 4.0
AWAY_S = 4.0  # most that the server is away
# Least bytes that are acknowledged beyond what the server has received when it goes away. Without an MCP none are, however long it
# is away. With an MCP they are as many as its buffers hold, which grow with earlier traffic.
ACCELERATED = 100_000
ROWS = ("D-5.3c", "D-5.1d")
HOME = Plan(
    name="co-located",
    switches=("s1", "s2"),
    wires=(Wire("s1:3", "s2:2"),),
    boxes=(
        Box(
            "ue",
            Kind.DUAL,
            (Nic("s1:1", ("10.1.0.2/24",), ACCESS_MBIT), Nic("s1:2", ("10.2.0.2/24",), ACCESS_MBIT)),
        ),
        Box("chosen", Kind.MCP, (Nic("s1:9", ("10.8.1.2/24",)),)),
        Box("other", Kind.MCP, (Nic("s2:9", ("10.8.2.2/24",)),)),
        Box("server", Kind.SERVER, (Nic("s2:1", ("10.9.0.2/24",)),)),
    ),
    accesses=(
        Attachment("femto", ("10.1.0.0/24",), ("s1:1",), "cellular"),
        Attachment("wlan", ("10.2.0.0/24",), ("s1:2",), "wlan"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s2:1",)),),
    points=(
        Point(
            "chosen",
            "s1:9",
            ("10.8.1.2",),
            type="on-path",
            location="home-gateway",
            accesses=("femto", "wlan"),
        ),
        Point("other", "s2:9", ("10.8.2.2",), location="sgi"),
    ),
    policy="policy: 1\nrules:\n  - name: nearest\n    then: {action: proxy, expectation: bulk}\n",
)
_SGI = ip_gateway.gateway_at("sgi")
_UE = replace(_SGI.box("ue"), nics=tuple(replace(nic, mbit=ACCESS_MBIT) for nic in _SGI.box("ue").nics))
ACCELERATOR = replace(
    _SGI,
    name="co-located",
    boxes=(_UE, *(box for box in _SGI.boxes if box.name != "ue")),
    points=tuple(replace(p, location="tcp-accelerator") if p.name == "chosen" else p for p in _SGI.points),
)
_RECEIVED = re.compile(r"bytes_received:(\d+)")
PLACES = {"home-gateway": HOME, "tcp-accelerator": ACCELERATOR}


def run(options: Options, report: Report) -> None:
    """Run the same upload at both places. At the accelerator, the server's link then goes down for a moment."""
    report.table = [["location", "goodput", "acknowledged while the server was away"]]
    for location, plan in PLACES.items():
        with running(plan, options.say, options.without, options.keep) as lab:
            lab.start_services()
            lab.start_controller(options.without)
            aggregation.warm_up(lab, 4)
            mcp = lab.controller.mcps()["chosen"]
            computed = "on-path" if location == "home-gateway" else "off-path"
            report.equal(
                f"{location}: location and computed type",
                (location, computed),
                (mcp["location"], mcp["type_computed"]),
                "REST",
            )
            on = aggregation.upload(lab, 4, options.seconds or SECONDS)
            report.equal(f"{location}: the transfer succeeds", "", on.error)
            least = aggregation.GAIN * (lab.plan.box("ue").nics[0].mbit or 0.0)
            report.rate(
                f"{location}: goodput of both accesses",
                on.mbit >= least,
                f"at least {least:.0f} Mbit/s",
                f"{on.mbit:.1f} Mbit/s",
            )
            aggregation.check_pinned(report, on, "chosen", location)
            told = "-"
            if location == "tcp-accelerator":
                told = f"{_away(lab, report) / 1e3:.0f} kB"
            report.table.append([location, f"{on.mbit:.1f} Mbit/s", told])
            if options.prompt:
                lab.command_line()


def _away(lab: Lab, report: Report) -> int:
    """How many bytes the host has acknowledged that the server does not have: the server is away until these are enough."""
    lab.say(f"an upload, the server's link down for {AWAY_S:g} s at most")
    order = {"dst": address_of(lab.plan.box("server"), 4), "port": 5001, "seconds": 3.0, "mptcp": True}
    lab.agents["ue"].ask("start", name="split", kind="upload", **order)
    time.sleep(1.0)
    link = lab.interface(lab.plan.box("server").nics[0].peer)
    subprocess.run(["ip", "link", "set", link, "down"], check=True)
    until(lambda: _ahead(lab) >= ACCELERATED, AWAY_S)
    ahead = _ahead(lab)
    subprocess.run(["ip", "link", "set", link, "up"], check=True)
    done = lab.agents["ue"].finish("split", 60)
    report.equal("tcp-accelerator: the upload outlives the cut", "", done.get("error", ""))
    report.expect(
        "tcp-accelerator: the MCP acknowledges while the server is away",
        ahead >= ACCELERATED,
        f"at least {ACCELERATED / 1e3:.0f} kB",
        f"{ahead / 1e3:.0f} kB",
        "kernel",
    )
    return ahead


def _ahead(lab: Lab) -> int:
    """Bytes that the host's kernel knows as acknowledged, less those that the server's kernel has received."""
    listed = lab.host("server").pexec("ss -tinHO sport = :5001")[0]
    received = sum(int(count) for count in _RECEIVED.findall(listed))
    return sum(s.bytes_acked for s in subflows(lab.host("ue"))) - received


SCENARIO = Scenario(
    name="co-located",
    figure="draft-deng sections 5.1 and 5.3",
    rows=ROWS,
    summary="the MCP in a home gateway with a small cell, and in a TCP accelerator's place: what each does there",
    plan=HOME,
    run=run,
    controls=controls("steering", "wrong-mcp"),
    variants={"tcp-accelerator": ACCELERATOR},
)
