"""Natural routing only: three hosts behind one access port, virtual gateways that answer, and plain TCP that is not
changed.

`hub` is a learning bridge between the hosts and s1:1. h3 has a second, unused wire to s1:2, and moves there.
"""

import time

from topologies.kit.lab import Lab, running
from topologies.kit.network import default_route, give_addresses
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of, first_host
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.passage import both_ways
from topologies.programs.lateness import Lateness

H3 = ("10.1.0.13/24", "fd00:1::13/64")
ROWS = ("D-3.4b", "D-6.1a", "D-2.7")
PLAN = Plan(
    name="natural",
    switches=("s1", "s2", "s3"),
    wires=(Wire("s1:3", "s3:2"), Wire("s3:3", "s2:2")),
    boxes=(
        Box("h1", Kind.PLAIN, (Nic("hub:1", ("10.1.0.11/24", "fd00:1::11/64")),)),
        Box("h2", Kind.PLAIN, (Nic("hub:2", ("10.1.0.12/24", "fd00:1::12/64")),)),
        Box("h3", Kind.PLAIN, (Nic("hub:3", H3), Nic("s1:2", H3, up=False))),
        Box("hub", Kind.BRIDGE, (Nic("s1:1"),)),
        Box("idle", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24", "fd00:8::2/64")),)),
        Box("server", Kind.SERVER, (Nic("s2:1", ("10.9.0.2/24", "fd00:9::2/64")),)),
    ),
    accesses=(Attachment("cell", ("10.1.0.0/24", "fd00:1::/64"), ("s1:1", "s1:2"), "cellular"),),
    gateways=(Attachment("internet", ("10.9.0.0/24", "fd00:9::/64"), ("s2:1",)),),
    points=(Point("idle", "s3:1", ("10.8.0.2", "fd00:8::2")),),
)
HOSTS = ("h1", "h2", "h3")
PATIENCE_S = 5.0  # seconds for an answer of which it does not matter when it comes
FOUND_S = 3.0  # seconds in which a host that is unknown or has moved has to answer


def run(options: Options, report: Report) -> None:
    """Check neighbours, paths, plain TCP, and a host that moves."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        _reach(lab, report)
        _trace(lab, report)
        _plain_tcp(lab, report)
        if "notice" in options.without:
            lab.controller.kill()
        _move(lab, report)
        if options.prompt:
            lab.command_line()


def _reach(lab: Lab, report: Report) -> None:
    """The server reaches a host that has sent nothing yet. Then every host reaches its gateway and the server."""
    lab.say("a server calls hosts that have not spoken; hosts ping gateway and server")
    for family in (4, 6):
        seen = _ping_until(lab, "server", address_of(PLAN.box("h2"), family))
        report.expect(
            f"IPv{family}: a server reaches a host that never spoke",
            seen < FOUND_S,
            f"within {FOUND_S:.0f} s",
            f"{seen:.1f} s",
        )
    for name in HOSTS:
        for family in (4, 6):
            own = PLAN.box(name).nics[0].addresses[0 if family == 4 else 1]
            server = address_of(PLAN.box("server"), family)
            for what, target in (("gateway", first_host(own)), ("server", server)):
                lab.agents[name].ask("ping", dst=target, count=1)  # so that neighbours are known
                answered = lab.agents[name].ask("ping", dst=target, count=3, wait=PATIENCE_S)["answered"]
                report.equal(f"IPv{family}: {name} pings the {what}", 3, answered)
    ports = {str(host["address"]): host["port"] for host in lab.controller.get("/v1/topology")["hosts"]}
    for name in HOSTS:
        at = {ports.get(address_of(PLAN.box(name), family)) for family in (4, 6)}
        report.equal(f"the controller knows {name} at the shared port", {"s1:1"}, at, "REST")


def _ping_until(lab: Lab, name: str, target: str) -> float:
    """Ping until an answer comes: seconds until then without what this machine was late, or infinity after five times the time
    that is allowed."""
    start = time.monotonic()
    with Lateness() as late:
        while time.monotonic() - start < 5 * FOUND_S:
            if lab.agents[name].ask("ping", dst=target, count=1, wait=0.5)["answered"]:
                now = time.monotonic()
                return now - start - late.during(start, now)
    return float("inf")


def _trace(lab: Lab, report: Report) -> None:
    lab.say("traceroute in both families")
    for family in (4, 6):
        own = PLAN.box("h1").nics[0].addresses[0 if family == 4 else 1]
        target = address_of(PLAN.box("server"), family)
        hops = lab.agents["h1"].ask("trace", dst=target)["hops"]
        report.equal(f"IPv{family}: traceroute from h1", [first_host(own), target], hops)


def _plain_tcp(lab: Lab, report: Report) -> None:
    """Open connections of three hosts, and check that both edges see the same segments with the same option bytes."""
    lab.say("plain TCP from three hosts")
    near, far, mcp = (lab.capture_port(port) for port in ("s1:1", "s2:1", "s3:1"))
    for name in HOSTS:
        for family in (4, 6):
            target = address_of(PLAN.box("server"), family)
            order = {
                "group": "tcp",
                "dst": target,
                "ports": [5001],
                "mptcp": False,
                "first": True,
                "count": 5,
            }
            opened = lab.agents[name].ask("open", **order)["opened"]
            report.equal(f"IPv{family}: five connections of {name}", [], [o for o in opened if "error" in o])
        lab.agents[name].ask("close", group="tcp")
    time.sleep(0.3)
    lab.stop_captures()
    servers = {address_of(PLAN.box("server"), family) for family in (4, 6)}
    seen = both_ways(near.segments(), far.segments(), servers)
    report.expect(
        "plain TCP leaves as it came: sequence numbers, flags, options",
        seen.faithful,
        "none altered, none lost for good",
        seen.told(),
        "capture",
    )
    report.equal("segments of it at the MCP", 0, len(mcp.segments()), "capture")
    sessions = lab.controller.sessions()
    report.equal("sessions of the controller", 0, len(sessions), "REST")


def _move(lab: Lab, report: Report) -> None:
    """Move h3 from the bridge to s1:2, with its MAC and addresses."""
    lab.say("h3 moves from s1:1 to s1:2")
    h3 = lab.host("h3")
    mac = h3.intf(h3.interface(0)).MAC()
    h3.run(
        f"ip addr flush dev {h3.interface(0)}",
        f"ip link set {h3.interface(0)} down",
        f"ip link set {h3.interface(1)} address {mac}",
    )
    give_addresses(h3, PLAN.box("h3").nics[1], 1)
    default_route(h3, PLAN.box("h3").nics[1], 1)
    for family in (4, 6):
        server = address_of(PLAN.box("server"), family)
        own = address_of(PLAN.box("h3"), family)
        took = _ping_until(lab, "h3", server)
        report.expect(
            f"IPv{family}: h3 reaches the server from its new port",
            took < FOUND_S,
            f"within {FOUND_S:.0f} s",
            f"{took:.1f} s",
        )
        took = _ping_until(lab, "server", own)
        report.expect(
            f"IPv{family}: the server reaches h3 there",
            took < FOUND_S,
            f"within {FOUND_S:.0f} s",
            f"{took:.1f} s",
        )
    hosts = lab.controller.get("/v1/topology")["hosts"] if lab.controller.alive() else []
    at = {h["port"] for h in hosts if h["address"] in [address_of(PLAN.box("h3"), f) for f in (4, 6)]}
    report.equal("the controller knows h3 at its new port", {"s1:2"}, at, "REST")


SCENARIO = Scenario(
    name="natural",
    figure="natural routing",
    rows=ROWS,
    summary="three hosts behind one port: gateways, traceroute, plain TCP untouched, a host that moves",
    plan=PLAN,
    run=run,
    controls=controls(notice="the controller is dead when the host moves"),
)
