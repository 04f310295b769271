"""A data centre with two MCPs (draft-nam 4.3, use case 3): clients and servers speak plain TCP, and both links
between the MCPs are used.

The second MCP, `exit`, stands before the servers. It takes the MPTCP of the MCP at the entrance, announces its
address on the other link, and passes plain TCP on. Clients, servers and controller are configured as in
`data-center`.

    client -- s1 == entrance == s2 --+-- s3 --+ exit -- server (10.9.0.2)
                                     +-- s4 --+ (10.9.1.2, announced by it)
"""

from dataclasses import replace

from topologies.kit.lab import Lab, running
from topologies.kit.plan import Box, Kind, Nic, Plan
from topologies.kit.processes import relay_status
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.data_center_transfer import SECONDS, transfer, warm_up
from topologies.networks.data_center import CLIENT, FIRST, LINK_MBIT, SECOND
from topologies.networks.data_center import plan as with_one

ROWS = ("N-3.3", "N-4.3a")


def plan(leg: str = "mptcp", announces: bool = True) -> Plan:
    """The plan of use case 3: that of use case 2 with an MCP before the server. `announces`: whether the MCP
    announces its address on the other link."""
    base = with_one(leg)
    fabric = (Nic("s4:1", (f"{SECOND}/24",), LINK_MBIT), Nic("s3:1", ("10.9.0.254/24",), LINK_MBIT))
    words = ("--server-leg", "tcp", *(("--advertise", SECOND) if announces else ()))
    boxes = (
        *(box for box in base.boxes if box.name != "server"),
        Box("exit", Kind.MCP, (Nic("server:0"), *fabric), relay=words),
        Box("server", Kind.SERVER, (Nic("exit:0", (f"{FIRST}/24",)),)),
    )
    return replace(base, name="data-center-two", boxes=boxes)


PLAN = plan()


def run(options: Options, report: Report) -> None:
    """Have the client send and then receive by plain TCP."""
    made = plan("tcp" if "mptcp-leg" in options.without else "mptcp", "announcing" not in options.without)
    with running(made, options.say, options.without, options.keep) as lab:
        stand_before(lab)
        lab.start_services()
        lab.start_controller(options.without)
        warm_up(lab)
        for kind in ("upload", "download"):
            options.say(f"{kind} of the client for {options.seconds or SECONDS:.0f} s")
            before = relay_status(lab.record, "exit")["counters"]["accepted"]
            server = lab.capture_host("server")
            transfer(lab, report, kind, options.seconds or SECONDS, "exit")
            taken = relay_status(lab.record, "exit")["counters"]["accepted"] - before
            report.equal(f"{kind}: connections the exit took", 1, taken, "kernel")
            seen = server.segments()
            told = sum(bool(s.options) for s in seen)
            report.equal(f"{kind}: segments with an MPTCP option at the server", 0, told, "capture")
            peers = {s.flow.src for s in seen if s.flow.dst == FIRST}
            report.equal(f"{kind}: whom the server talks to", {CLIENT}, peers, "capture")
        if options.prompt:
            lab.command_line()


def stand_before(lab: Lab) -> None:
    """Put the MCP `exit` before the server. It answers ARP for the server on one side and for the gateway on the
    other, so neither needs another configuration."""
    exit_ = lab.host("exit")
    inner, other, first = (exit_.interface(n) for n in range(3))
    exit_.run(f"ip route add {FIRST}/32 dev {inner}")
    exit_.run(*(f"sysctl -qw net.ipv4.conf.{name}.proxy_arp=1" for name in (inner, first)))
    exit_.run(*(f"sysctl -qw net.ipv4.neigh.{name}.proxy_delay=0" for name in (inner, first)))
    gateway = SECOND.rpartition(".")[0] + ".1"
    exit_.run(
        f"ip rule add from {SECOND} table 102", f"ip route add default via {gateway} dev {other} table 102"
    )


SCENARIO = Scenario(
    name="data-center-two",
    figure="draft-nam section 4.3, use case 3",
    rows=ROWS,
    summary="plain clients of plain servers: an MCP at each end of the data centre, both links between them used",
    plan=PLAN,
    run=run,
    controls=controls(
        mptcp_leg="the entrance offers plain TCP",
        announcing="the exit does not announce its address on the other link",
    ),
)
