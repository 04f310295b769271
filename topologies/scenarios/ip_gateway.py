"""LTE and WLAN with one MCP, at either place where an operator may put it: at the IP gateway, or behind it on (S)Gi.

lte s1 -- s3 IP gateway -- s4 -- s5 Internet     The WLAN has a way of its own to s5: an MCP at s3 or s4 is on the
wlan s2 ----------------------- s5               natural path of LTE only.
"""

from typing import Any

from topologies.kit.lab import running
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import aggregation
from topologies.networks.ip_gateway import ACCESS_MBIT, LOCATIONS, gateway_at

SECONDS = 4.0
ROWS = ("D-5.1e", "D-5.1g", "N-4.1", "N-F4", "D-6.2.0", "D-4.2c")


PLAN = gateway_at("pgw")


def run(options: Options, report: Report) -> None:
    """Run the same transfer with the MCP at each location."""
    report.table = [["location", "goodput", "sent by lte", "sent by wlan", "from lte", "from wlan"]]
    for location in LOCATIONS:
        with running(gateway_at(location), options.say, options.without, options.keep) as lab:
            lab.start_services()
            lab.start_controller(options.without)
            aggregation.warm_up(lab, 4)
            report.equal(
                f"{location}: the MCP's location",
                location,
                lab.controller.mcps()["chosen"]["location"],
                "REST",
            )
            where = []
            for source in ("10.1.0.2", "10.2.0.2"):
                candidates = lab.controller.whatif(source, "10.9.0.2", 5001)["candidates"]
                where.append(next((_where(c) for c in candidates if c["mcp"] == "chosen"), "no candidate"))
            report.expect(
                f"{location}: on LTE's natural path, off the WLAN's",
                where[0] == "on-path" and where[1].startswith("stretch"),
                "on-path, and a stretch over 1",
                where,
                "REST",
            )
            on = aggregation.upload(lab, 4, options.seconds or SECONDS)
            report.equal(f"{location}: the transfer succeeds", "", on.error)
            report.rate(
                f"{location}: goodput of both accesses",
                on.mbit >= aggregation.GAIN * ACCESS_MBIT,
                f"at least {aggregation.GAIN * ACCESS_MBIT:.0f} Mbit/s",
                f"{on.mbit:.1f} Mbit/s",
            )
            shares = {
                name: round(count / max(1, sum(on.access_bytes.values())), 2)
                for name, count in on.access_bytes.items()
            }
            report.expect(
                f"{location}: both IP networks carry bytes",
                min(shares.values()) > 0.1,
                "over a tenth each",
                shares,
                "kernel",
            )
            aggregation.check_pinned(report, on, "chosen", location)
            paths = {s["access_network"]: s["path"] for session in on.sessions for s in session["subflows"]}
            report.equal(
                f"{location}: the WLAN's subflow alone leaves its natural path",
                {"lte": "natural", "wlan": "redirected"},
                paths,
                "REST",
            )
            sent = [f"{count / 1e6:.1f} MB" for count in on.access_bytes.values()]
            report.table.append([location, f"{on.mbit:.1f} Mbit/s", *sent, *where])
            if options.prompt:
                lab.command_line()


def _where(candidate: dict[str, Any]) -> str:
    return "on-path" if candidate["on_path"] else f"stretch {candidate['stretch']:.0f}"


SCENARIO = Scenario(
    name="ip-gateway",
    figure="draft-nam Figure 4",
    rows=ROWS,
    summary="the MCP at the IP gateway, then behind it on (S)Gi: on LTE's path, steered to from the WLAN",
    plan=PLAN,
    run=run,
    controls=controls("steering", "wrong-mcp"),
    variants={"sgi": gateway_at("sgi")},
)
