"""The slides' three proposals side by side: a home's CPE, DSL and LTE, and an MCP on no natural path.

#1 the destination at the head of the data (Convert, RFC 8803), #2 a signalling protocol (SOCKS), #3 routing: this
project. Same network, same relay, same measurements; and once with a SOCKS server that nobody here wrote.
`topologies/comparison.py` writes docs/compare.rst from the report.
"""

import sys
from pathlib import Path

# `mn --custom` runs this file by its path, outside its package.
sys.path.append(str(Path(sys._getframe().f_code.co_filename).resolve().parents[1]))

from topologies.hybrid import ACCESS_MBIT, off_path, warm_up
from topologies.lab import running
from topologies.network import topology
from topologies.plan import address_of
from topologies.proposals import LONG_BYTES, MCP, Bench, Figures
from topologies.proposals import ways as all_ways
from topologies.report import Report
from topologies.scenario import Options, Scenario, controls

CONNECTIONS = 200
GAIN = 1.5  # of two equal accesses over one, with the time it takes to begin
BOUND_MS = 400.0  # p95 to the first byte (S-18), on a machine that may be busy
ROWS = ("S-18", "S-18a", "S-19", "S-24", "S-25", "S-26", "S-F5")
PLAN = off_path("compare")


def run(options: Options, report: Report) -> None:
    """Every way in turn, with as many `--sessions` and for about as many `--seconds` of the long flow."""
    count = options.sessions or CONNECTIONS
    size = int(options.seconds * 2 * ACCESS_MBIT * 1e6 / 8) or LONG_BYTES
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        warm_up(lab)
        bench = Bench(lab)
        for way in all_ways(address_of(PLAN.box(MCP), 4)):
            options.say(way.title)
            bench.take(way)
            found = report.figures[way.name] = bench.measure(way, count, size)
            check(report, way.name, found, count)
        check_costs(report)
        report.table = table(report.figures)
        if options.prompt:
            lab.command_line()


def check(report: Report, name: str, found: Figures, count: int) -> None:
    """That a way works at all, and as fast as it has to."""
    report.equal(
        f"{name}: connections that served, failed", (count, 0), (found["connections"], found["failed"])
    )
    p95 = found["first_byte_ms"]["p95"]
    report.expect(f"{name}: p95 to the first byte", p95 <= BOUND_MS, f"at most {BOUND_MS:g} ms", f"{p95} ms")
    mbit, error = found["long"]["mbit"], found["long"]["error"]
    if name == "none":
        report.expect(
            "none: goodput", 0 < mbit <= ACCESS_MBIT, "that of one access", f"{mbit} Mbit/s {error}"
        )
        return
    least = GAIN * ACCESS_MBIT
    report.expect(f"{name}: goodput", mbit >= least, f"at least {least:g} Mbit/s", f"{mbit} Mbit/s {error}")
    joined = found["joined"]
    report.expect(f"{name}: joins at the MCP", joined >= 1, "one for each connection", joined, "kernel")


def check_costs(report: Report) -> None:
    """What the proposals must differ in, if they are what they are called."""
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
    # The controller takes microsocks' port for any other: joins to it are strangers', looked at one by one.
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
    """The figures for people: a line for each way."""
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
    controls=controls("steering"),
)
topos = {"compare": topology(PLAN)}
