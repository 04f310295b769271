"""Four links of 64 kbit/s used together, as on an aeroplane: one session has the rate of all four."""

import time

from topologies.kit.captures import Capture
from topologies.kit.lab import running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import aggregation

LINKS = 4
LINK_KBIT = 64
WANTED_KBIT = 150
SECONDS = 46.0
SEND_BYTES = 131_072  # send buffer of the host: what all links carry in four seconds
# Round trips take seconds here. Until every subflow has measured its own, the host's kernel takes data that waits in a link's queue
# for lost, and sends it again by other links: for 17 s the links carry 250 kbit/s, and the server gets 30 to 220 kbit/s. The rate
# is measured after that time. The token bucket of each link, 15 kB, is empty long before.
BURST_S = 22.0
POLICY = """\
policy: 1
limits: {subflows_per_session: 4}
"""
ROWS = ("S-30", "D-4.a", "D-1.a")
PLAN = Plan(
    name="low-rate",
    switches=("s1", "s2", "s3"),
    wires=(Wire("s1:8", "s2:2"), Wire("s1:9", "s3:2"), Wire("s2:3", "s3:3")),
    boxes=(
        Box(
            "ue",
            Kind.DUAL,
            tuple(Nic(f"s1:{n}", (f"10.{n}.0.2/24",), LINK_KBIT / 1000) for n in range(1, LINKS + 1)),
        ),
        Box("ground", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24",)),)),
        Box("server", Kind.SERVER, (Nic("s2:1", ("10.9.0.2/24",)),)),
    ),
    accesses=tuple(
        Attachment(f"link{n}", (f"10.{n}.0.0/24",), (f"s1:{n}",), "satellite") for n in range(1, LINKS + 1)
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s2:1",)),),
    points=(Point("ground", "s3:1", ("10.8.0.2",)),),
    policy=POLICY,
)


def run(options: Options, report: Report) -> None:
    """Run one upload over four subflows. Its rate is measured once every subflow knows its round trip."""
    seconds = options.seconds or SECONDS
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        aggregation.warm_up(lab, 4)
        edges = [lab.capture_port(f"s1:{n}") for n in range(1, LINKS + 1)]
        begun = time.time()
        on = aggregation.upload(lab, 4, seconds, sndbuf=SEND_BYTES)
        if options.prompt:
            lab.command_line()
        begin, end = begun + BURST_S, begun + seconds
        rate = _kbit(on.server, address_of(PLAN.box("ue"), 4), begin, end)
        each = [_kbit(edge, f"10.{n}.0.2", begin, end) for n, edge in enumerate(edges, start=1)]
        report.equal("the transfer succeeds", "", on.error)
        report.rate(
            "goodput at the server over four links",
            rate > WANTED_KBIT,
            f"more than {WANTED_KBIT} kbit/s",
            f"{rate:.0f} kbit/s",
            "capture",
        )
        report.expect(
            "each link carries its part and no more than it can",
            all(0.4 * LINK_KBIT < one <= 1.1 * LINK_KBIT for one in each),
            f"{0.4 * LINK_KBIT:.0f} to {1.1 * LINK_KBIT:.0f} kbit/s each",
            [round(one) for one in each],
            "capture",
        )
        report.equal("subflows of the host", LINKS, len(on.ue), "kernel")
        aggregation.check_pinned(report, on, "ground")
        report.table = [["", *(f"link {n}" for n in range(1, LINKS + 1)), "at the server"]]
        report.table.append(["kbit/s", *(f"{one:.0f}" for one in each), f"{rate:.0f}"])
        report.figures.update(goodput_kbit=round(rate, 1), links_kbit=[round(one, 1) for one in each])


def _kbit(capture: Capture, source: str, begin: float, end: float) -> float:
    """The rate of one source's TCP data between two times, kbit/s."""
    sent = sum(s.length for s in capture.segments() if s.flow.src == source and begin <= s.time < end)
    return sent * 8 / (end - begin) / 1000


SCENARIO = Scenario(
    name="low-rate",
    figure="IETF 98 slides, agenda: channel bonding of low-rate links",
    rows=ROWS,
    summary="four links of 64 kbit/s: more than 150 kbit/s over four subflows",
    plan=PLAN,
    run=run,
    controls=controls("steering"),
)
