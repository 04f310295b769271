"""A data centre with one MCP (draft-nam 4.3, use case 2): plain clients, and both of its links used.

The MCP stands in line at the entrance, takes plain TCP and speaks MPTCP to a server with two addresses.

    client -- s1 == entrance == s2 --+-- s3 -- server (10.9.0.2)
                                     +-- s4 -- server (10.9.1.2, announced by it)
"""

import sys
import time
from pathlib import Path

# `mn --custom` runs this file by its path, outside its package.
sys.path.append(str(Path(sys._getframe().f_code.co_filename).resolve().parents[1]))

from topologies import ground
from topologies.captures import CAPABLE, JOIN
from topologies.hybrid import SERVICE, payload, syns
from topologies.lab import Lab, running
from topologies.network import topology
from topologies.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire
from topologies.processes import relay_status
from topologies.report import Report
from topologies.scenario import Options, Scenario, controls

LINK_MBIT = 20.0
GAIN = 1.7
SECONDS = 6.0
SETTLED_S = 1.5
CLIENT, FIRST, SECOND = "10.1.0.2", "10.9.0.2", "10.9.1.2"
ROWS = ("N-3.2", "N-4.3a", "N-F2")


def plan(leg: str = "mptcp") -> Plan:
    """Use case 2; `leg` is what the MCP offers the server."""
    return Plan(
        name="data-center",
        switches=("s1", "s2", "s3", "s4"),
        wires=(Wire("s2:2", "s3:2"), Wire("s2:3", "s4:2")),
        boxes=(
            Box("client", Kind.PLAIN, (Nic("s1:1", (f"{CLIENT}/24",)),)),
            Box(
                "entrance",
                Kind.MCP,
                (Nic("s1:2", ("10.8.0.2/24",)), Nic("s2:1", ("10.8.1.2/24",))),
                relay=("--role", "data-centre", "--inside", "entrance-eth0", "--server-leg", leg),
                inward=("10.1.0.0/24",),
            ),
            Box(
                "server",
                Kind.M_SERVER,
                (Nic("s3:1", (f"{FIRST}/24",), LINK_MBIT), Nic("s4:1", (f"{SECOND}/24",), LINK_MBIT)),
            ),
        ),
        accesses=(Attachment("clients", ("10.1.0.0/24",), ("s1:1",), "fixed"),),
        gateways=(
            Attachment("fabric-a", ("10.9.0.0/24",), ("s3:1",)),
            Attachment("fabric-b", ("10.9.1.0/24",), ("s4:1",)),
        ),
        points=(Point("entrance", "s1:2", ("10.8.0.2", "10.8.1.2"), outside="s2:1"),),
        services=(SERVICE,),
    )


PLAN = plan()


def run(options: Options, report: Report) -> None:
    """The client sends, then receives, by plain TCP."""
    made = plan("tcp") if "mptcp-leg" in options.without else PLAN
    with running(made, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        warm_up(lab)
        for kind in ("upload", "download"):
            options.say(f"{kind} of the client for {options.seconds or SECONDS:.0f} s")
            transfer(lab, report, kind, options.seconds or SECONDS)
        if options.prompt:
            lab.command_line()


def warm_up(lab: Lab) -> None:
    """Neighbours are found before anything is measured."""
    for target in (FIRST, SECOND):
        lab.agents["client"].ask("ping", dst=target, count=3)
        lab.host("entrance").pexec(f"ping -c 2 -i 0.2 -W 1 {target}")


def transfer(lab: Lab, report: Report, kind: str, seconds: float, far: str = "server") -> None:
    """One transfer, and what client, links, MCP and server saw of it; `far` is where the M-session ends."""
    before = relay_status(lab.record, "entrance")["counters"]["accepted"]
    at = {name: lab.capture_port(port) for name, port in (("a", "s3:1"), ("b", "s4:1"))}
    at["client"] = lab.capture_host("client")
    lab.mark()
    order = {"dst": FIRST, "port": SERVICE, "seconds": seconds}
    lab.agents["client"].ask("start", name=kind, kind=kind, **order)
    time.sleep(SETTLED_S)
    server = [s for s in ground.subflows(lab.host(far)) if s.state == "ESTAB"]
    done = lab.agents["client"].finish(kind, seconds + 45)
    lab.stop_captures()
    report.equal(f"{kind}: it succeeds", "", done.get("error", ""))
    report.expect(
        f"{kind}: goodput over one link",
        done.get("mbit", 0.0) >= GAIN * LINK_MBIT,
        f"at least {GAIN * LINK_MBIT:.0f} Mbit/s",
        f"{done.get('mbit', 0.0):.1f} Mbit/s",
    )
    report.expect(
        f"{kind}: one M-session at the {far}, with a join",
        len({s.own_token for s in server}) == 1 and sum(s.join for s in server) >= 1,
        "one token, at least one join",
        f"{sorted({s.own_token for s in server})}, {sum(s.join for s in server)}",
        "kernel",
    )
    told = sum(bool(s.options) for s in at["client"].segments())
    report.equal(f"{kind}: segments with an MPTCP option at the client", 0, told, "capture")
    opened, joined = syns(at["a"].segments(), CAPABLE), syns(at["b"].segments(), JOIN)
    report.expect(
        f"{kind}: opened from the client's own address, joined from the MCP's",
        {s.flow.src for s in opened} == {CLIENT} and {s.flow.src for s in joined} == {"10.8.1.2"},
        f"{CLIENT} by link a, 10.8.1.2 by link b",
        f"{sorted({s.flow.src for s in opened})}, {sorted({s.flow.src for s in joined})}",
        "capture",
    )
    bytes_ = {link: payload(at[link].segments()) for link in ("a", "b")}
    total = sum(bytes_.values())
    share = min(bytes_.values()) / total if total else 0.0
    report.expect(f"{kind}: share of the lesser link", share > 0.1, "over 10 %", f"{share:.0%}", "capture")
    taken = relay_status(lab.record, "entrance")["counters"]["accepted"] - before
    report.equal(f"{kind}: connections the MCP took", 1, taken, "kernel")
    natural = lab.controller.metric("steering_sessions_started_total")
    report.equal(f"{kind}: M-sessions of clients that the controller had to steer", 0.0, natural, "REST")
    report.figures[kind] = {"goodput_mbit": round(done.get("mbit", 0.0), 2), "link_bytes": bytes_}


SCENARIO = Scenario(
    name="data-center",
    figure="draft-nam Figure 2",
    rows=ROWS,
    summary="plain clients of a server with two addresses: the MCP at the entrance uses both links",
    plan=PLAN,
    run=run,
    controls=controls(mptcp_leg="the MCP offers the server plain TCP"),
)
topos = {"data-center": topology(PLAN)}
