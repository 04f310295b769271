"""An in-line MCP that takes connections by itself, and an access that does not pass it.

LTE and WLAN meet at s3 and reach the gateway s4 only through the MCP `inline`, so their first SYNs are not steered.
The hotspot at s5 has a link of its own to s4: a join from there has to be led back to `inline`. The MCP `edge`, also
at s5, is nearer to the hotspot, but serves no session.
"""

from topologies.kit.lab import SESSION_ENTRIES, Lab, ofctl, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import aggregation

ACCESS_MBIT = 10.0
GAIN = 2.3  # least rate of three equal accesses, as a multiple of the rate of one
NOBODY = 5999  # a port on which neither MCP nor server listens
LTE, WLAN, HOTSPOT = ("10.1.0.0/24",), ("10.2.0.0/24",), ("10.3.0.0/24",)
ROWS = ("D-F2", "D-4.b", "D-4.a", "D-6.2c", "D-4.2c")
PLAN = Plan(
    name="on-path-self",
    switches=("s1", "s2", "s3", "s4", "s5"),
    wires=(Wire("s1:2", "s3:2"), Wire("s2:2", "s3:3"), Wire("s5:2", "s4:3"), Wire("s5:3", "s1:3")),
    boxes=(
        Box(
            "ue",
            Kind.DUAL,
            (
                Nic("s1:1", ("10.1.0.2/24",), ACCESS_MBIT),
                Nic("s2:1", ("10.2.0.2/24",), ACCESS_MBIT),
                Nic("s5:1", ("10.3.0.2/24",), ACCESS_MBIT),
            ),
        ),
        Box(
            "inline",
            Kind.MCP,
            (Nic("s3:1", ("10.8.0.2/24",)), Nic("s4:2", ("10.8.1.2/24",))),
            relay=("--interception", "mptcp", "--inside", "inline-eth0"),
            inward=(*LTE, *WLAN, *HOTSPOT),
        ),
        Box("edge", Kind.MCP, (Nic("s5:4", ("10.8.2.2/24",)),)),
        Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24",)),)),
    ),
    accesses=(
        Attachment("lte", LTE, ("s1:1",), "cellular"),
        Attachment("wlan", WLAN, ("s2:1",), "wlan"),
        Attachment("hotspot", HOTSPOT, ("s5:1",), "wlan"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s4:1",)),),
    points=(
        Point("inline", "s3:1", ("10.8.0.2", "10.8.1.2"), outside="s4:2"),
        Point("edge", "s5:4", ("10.8.2.2",)),
    ),
)


def run(options: Options, report: Report) -> None:
    """Send a first SYN that nobody answers, then run a session over all three accesses."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        aggregation.warm_up(lab, 4)
        _not_steered(lab, report)
        on = aggregation.upload(lab, 4, options.seconds or aggregation.SECONDS)
        if options.prompt:
            lab.command_line()
        report.equal("the transfer succeeds", "", on.error)
        report.rate(
            "goodput of three accesses",
            on.mbit >= GAIN * ACCESS_MBIT,
            f"at least {GAIN * ACCESS_MBIT:.0f} Mbit/s",
            f"{on.mbit:.1f} Mbit/s",
        )
        report.equal("joins sent: one for each further access", 2, on.count("ue", "MPJoinSynTx"), "kernel")
        aggregation.check_pinned(report, on, "inline")
        paths = {s["access_network"]: s["path"] for session in on.sessions for s in session["subflows"]}
        wanted = {"lte": "natural", "wlan": "natural", "hotspot": "redirected"}
        report.equal("only the hotspot's subflow left its natural path", wanted, paths, "REST")
        shares = {
            name: count / max(1, sum(on.access_bytes.values())) for name, count in on.access_bytes.items()
        }
        report.expect(
            "every access carries data",
            all(share > 0.1 for share in shares.values()),
            "more than a tenth each",
            {name: round(share, 2) for name, share in shares.items()},
            "kernel",
        )
        report.table = [["access", "natural path passes the MCP", "subflow", "sent"]]
        for name, count in on.access_bytes.items():
            passes = "no" if name == "hotspot" else "yes"
            report.table.append([name, passes, paths.get(name, "none"), f"{count / 1e6:.1f} MB"])
        report.figures["on"] = {
            "goodput_mbit": round(on.mbit, 2),
            "access_bytes": on.access_bytes,
            "counters": on.counted,
        }


def _not_steered(lab: Lab, report: Report) -> None:
    """A first SYN whose natural path passes the MCP leaves an entry that leads its natural way, and counts whether its host
    goes on. One from the hotspot has to be steered."""
    target = address_of(PLAN.box("server"), 4)
    for source, wanted in ((0, 1), (2, 1)):
        own = address_of(PLAN.box("ue"), 4, source)
        order = {"group": "none", "count": 1, "dst": target, "ports": [NOBODY], "src": own, "wait": 2.0}
        answer = lab.agents["ue"].ask("open", **order, mptcp=True)["opened"][0]
        report.expect(f"{own}: nobody answers there", "error" in answer, "an error", answer)
        edge = lab.switch("s1" if source == 0 else "s5")
        entries = ofctl(edge, "dump-flows", SESSION_ENTRIES).count(f"tp_dst={NOBODY}")
        report.equal(f"{own}: entries its first SYN left at its edge", wanted, entries, "kernel")


SCENARIO = Scenario(
    name="on-path-self",
    figure="draft-deng Figure 2",
    rows=ROWS,
    summary="in-line MCP that intercepts by itself: first SYNs are not steered, a join that misses it is",
    plan=PLAN,
    run=run,
    controls=controls("steering", "wrong-mcp", "token-lookup"),
)
