"""The slides' three proposals side by side: a home's CPE with DSL and LTE, and an MCP that is on no natural path.

#1: the destination stands at the head of the data (Convert, RFC 8803). #2: a signalling protocol (SOCKS). #3:
routing, as in this project. All have the same network, relay and measurements. SOCKS is measured once more with
another author's server. `topologies/campaign/comparison.py` writes docs/compare.rst from the report.

    lan1 (plain) ---+            +-- dsl  s1 ---+          +-- server  (plain)
                    +-- lan - cpe               s3 --------+
    lan2 (MPTCP) ---+            +-- lte  s2 ---+          +-- server2 (MPTCP)
                                 s4 (core): a link to each of s1, s2 and s3
"""

import os
from dataclasses import replace

from topologies.kit.lab import running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import from_outside
from topologies.measures.cpe_transfer import warm_up
from topologies.measures.proposals import LONG_BYTES, MCP, Bench, Figures, Way
from topologies.measures.proposals import ways as all_ways
from topologies.networks.hybrid import ACCESS_MBIT, off_path

CONNECTIONS = 200
GAIN = 1.25  # of the rate of one access: more than one can carry, also on a busy machine. `hybrid-access` wants 1.7
BOUND_MS = 400.0  # most ms to the first byte (95th percentile, S-18), also on a busy machine
ROWS = ("S-18", "S-18a", "S-19", "S-20", "S-23", "S-24", "S-25", "S-26", "S-F5")
SPARED = "10.9.0.0/24"  # the prefix of the plain server, to which no MPTCP is offered
CONTROLLED = {"steering": "routing", "rule": "routing", "mark": "routing", "via": "convert"}


def _plan() -> Plan:
    """The plan of `hybrid-access`, with one more host and one more server that speak MPTCP themselves."""
    made = off_path("compare")
    relay = ("--mptcp-off", SPARED, *from_outside.TOWARDS_HOSTS)
    server = Box("server2", Kind.M_SERVER, (Nic("s3:5", ("10.9.1.2/24",)),))
    return replace(
        made,
        boxes=(*(_changed(box, relay) for box in made.boxes), server),
        gateways=(*made.gateways, Attachment("net2", ("10.9.1.0/24",), ("s3:5",))),
    )


def _changed(box: Box, relay: tuple[str, ...]) -> Box:
    if box.name == MCP:
        return replace(box, relay=relay)
    return replace(box, kind=Kind.DUAL) if box.name == "lan2" else box


PLAN = _plan()


def run(options: Options, report: Report) -> None:
    """Measure every way in turn, with so many `--sessions`, and a long flow of about so many `--seconds`.

    A negative control is run only for the way that it concerns.
    """
    count = options.sessions or CONNECTIONS
    size = int(options.seconds * 2 * ACCESS_MBIT * 1e6 / 8) or LONG_BYTES
    missing = options.without
    ways = all_ways(address_of(PLAN.box(MCP), 4), "rule" not in missing)
    only = {CONTROLLED[name] for name in missing}
    with running(PLAN, options.say, missing, options.keep) as lab:
        lab.start_services()
        from_outside.prepare(lab)
        lab.start_controller(missing)
        warm_up(lab)
        bench = Bench(lab)
        for way in (way for way in ways if not only or way.name in only):
            options.say(way.title)
            bench.take(replace(way, cpe=()) if "via" in missing else way)
            found = report.figures[way.name] = bench.measure(way, count, size)
            if way.name == "routing":
                found["told_apart"] = bench.told_apart(way, "mark" not in missing)
            check(report, way, found, count)
        if not only:
            check_costs(report)
        report.environment["load_average"] = round(
            os.getloadavg()[2], 1
        )  # more than a quarter of an hour, for the whole run
        report.table = table(report.figures)
        if options.prompt:
            lab.command_line()


def check(report: Report, way: Way, found: Figures, count: int) -> None:
    """Check that a way works, and as fast as it has to."""
    name = way.name
    report.equal(
        f"{name}: connections that served, failed", (count, 0), (found["connections"], found["failed"])
    )
    p95 = found["first_byte_ms"]["p95"]
    report.rate(f"{name}: p95 to the first byte", p95 <= BOUND_MS, f"at most {BOUND_MS:g} ms", f"{p95} ms")
    mbit, error = found["long"]["mbit"], found["long"]["error"]
    if name == "none":
        report.rate("none: goodput", 0 < mbit <= ACCESS_MBIT, "that of one access", f"{mbit} Mbit/s {error}")
        return
    least = GAIN * ACCESS_MBIT
    report.rate(f"{name}: goodput", mbit >= least, f"at least {least:g} Mbit/s", f"{mbit} Mbit/s {error}")
    joined = found["joined"]
    report.expect(f"{name}: joins at the MCP", joined >= 1, "one for each connection", joined, "kernel")
    check_outside(report, name, found["outside"])
    check_native(report, name, found)
    if way.foreign:
        check_curl(report, found["curl"])


def check_outside(report: Report, name: str, found: Figures) -> None:
    """S-20: a session that the server opens is served. Where the network leads it to the MCP, it uses both accesses."""
    report.equal(f"{name}: an upload that the server begins", "", found["error"])
    steered = name == "routing"
    wanted = (1, 2, 1) if steered else (0, 0, 0)
    seen = found["by_mcp"], found["subflows"], found["sessions"]
    report.equal(f"{name}: of it at the MCP; subflows at the CPE, of sessions", wanted, seen, "kernel")
    share = found["second_access"]
    report.expect(
        f"{name}: what of it comes by the second access",
        share > 0.1 if steered else share == 0,
        "over a tenth" if steered else "nothing",
        share,
        "capture",
    )


def check_native(report: Report, name: str, found: Figures) -> None:
    """S-23: a LAN host's own MPTCP. A network that steers all MPTCP has to be told which connections CPEs opened."""
    steered = name == "routing"
    native = found["native"]
    seen = native["error"], native["mptcp"], native["end_to_end"], native["by_mcp"]
    report.equal(
        f"{name}: a LAN host's own MPTCP: error, MPTCP, end to end, connections at the MCP",
        ("", True, not steered, int(steered)),
        seen,
        "kernel",
    )
    if steered:
        apart = found["told_apart"]
        seen = apart["error"], apart["mptcp"], apart["end_to_end"], apart["by_mcp"]
        report.equal(f"{name}: the same once CPEs mark what they open", ("", True, True, 0), seen, "kernel")
        report.equal(f"{name}: and what the CPE opens is served", True, apart["served"], "kernel")


def check_curl(report: Report, found: Figures) -> None:
    """S-F5: curl on a LAN host uses SOCKS."""
    failed = found["direct_ms"]["failed"], found["socks_ms"]["failed"]
    report.equal("curl: files it did not get, without and with --socks5", (0, 0), failed)
    report.equal("curl --socks5: further round trips", 2, found["round_trips"], "capture")
    seen = found["large"], found["sources"]
    report.equal("curl --socks5: a large file; the CPE's addresses at microsocks", (True, 2), seen, "kernel")


def check_costs(report: Report) -> None:
    """Check the differences that the proposals must have, if each is what its name says."""
    figures = report.figures
    added = {name: found["added_bytes"] for name, found in figures.items()}
    report.equal(
        "bytes added per connection, by routing and by no MCP",
        (0, 0),
        (added["routing"], added["none"]),
        "capture",
    )
    asked = min(added["convert"], added["socks"], added["microsocks"])
    report.expect("bytes added per connection, by the others", asked >= 20, "at least 20", added, "capture")
    entries = {name: sum(found["entries"].values()) for name, found in figures.items()}
    # To the controller, the port of microsocks is like any other. So it takes joins to that port for unknown ones, and
    # decides on each.
    told = max(entries["convert"], entries["socks"])
    report.expect(
        "entries per connection in switches",
        entries["routing"] >= 1 and told < 0.5,
        "some by routing, none where the MCP is addressed at a port that the controller knows",
        entries,
        "switches",
    )
    options = {name: found["cpe_options"] for name, found in figures.items()}
    report.expect(
        "options of the CPE",
        options["routing"] < min(options["convert"], options["socks"]),
        "fewest by routing",
        options,
    )


def table(figures: Figures) -> list[list[str]]:
    """The figures for people, a row for each way."""
    rows = [["way", "first byte p50/p95", "added", "segments", "CPU s/GB cpe/mcp", "entries", "1 MB", "long"]]
    for found in figures.values():
        ms, cpu = found["first_byte_ms"], found["long"]["cpu_s_per_gb"]
        row = [
            found["title"],
            f"{ms['p50']} / {ms['p95']} ms",
            f"{found['added_bytes']:g} B",
            f"{found['segments']:g}",
        ]
        row += [f"{cpu['cpe']:g} / {cpu['mcp']:g}", f"{sum(found['entries'].values()):g}"]
        rows.append([*row, f"{found['short']['mbit']} Mbit/s", f"{found['long']['mbit']} Mbit/s"])
    return rows


SCENARIO = Scenario(
    name="compare",
    figure="slides, Proposals #1 to #3",
    rows=ROWS,
    summary="Convert, SOCKS and routing side by side on one dual-proxy network: what each costs",
    plan=PLAN,
    run=run,
    controls=controls(
        "steering",
        rule="no rule lets servers' connections be taken",
        mark="CPEs do not mark what they open",
        via="the CPE addresses no MCP",
    ),
)
