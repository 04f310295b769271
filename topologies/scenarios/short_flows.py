"""Short flows may be exempt: one class of services keeps its natural path, the others get an MCP. Both are timed.

The network of `off-path` without LTE. The only host has one interface, at s2, whose natural path misses the MCP, and
still it is a client of MPTCP. The service `page` has short flows that a rule bypasses; `film` has not. At the end
only `film` is eligible, so switches do not punt SYNs to `page` at all.
"""

from dataclasses import replace
from statistics import quantiles
from typing import Any

from topologies.kit.captures import CAPABLE
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Box, Kind, Nic, address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.passage import both_ways
from topologies.networks import off_path

ROWS = ("S-18b", "N-2.2")
PAGE, FILM = 5002, 5001
BYTES, COUNT = 20_000, 40
HOST, MCP, ACCESS, SERVER = "ue", "core", "s2:1", "s4:1"
EXEMPT = f"""\
policy: 1
selection: {{max_stretch: 4.0}}
rules:
  - name: short-flows
    when: {{port: {PAGE}}}
    then: {{action: bypass}}
"""
UNSEEN = f"policy: 1\nselection: {{max_stretch: 4.0}}\neligible: {{ports: [{FILM}]}}\n"
NONE = "policy: 1\nselection: {max_stretch: 4.0}\n"
HOST_BOX = Box(HOST, Kind.DUAL, (Nic(ACCESS, ("10.2.0.2/24",), off_path.ACCESS_MBIT),))
PLAN = replace(
    off_path.PLAN,
    name="short-flows",
    boxes=(HOST_BOX, *(box for box in off_path.PLAN.boxes if box.name in (MCP, "server"))),
    points=off_path.PLAN.points[:1],
    services=(FILM, PAGE),
    policy=EXEMPT,
)


def run(options: Options, report: Report) -> None:
    """Fetch the same pages through the MCP, bypassed by a rule, and not eligible, each time beside a film."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        lab.agents[HOST].ask("ping", dst=address_of(PLAN.box("server"), 4), count=3)
        report.table = [["short flows", "p50", "p95", "SYNs at the MCP", "SYNs asked about"]]
        _film(lab, report)
        for title, policy, served in (
            ("through the MCP", NONE, COUNT),
            ("bypassed by rule", EXEMPT, 0),
            ("not eligible", UNSEEN, 0),
        ):
            lab.controller.put_policy(NONE if "exemption" in options.without else policy)
            _pages(lab, report, title, served, asked=0 if policy is UNSEEN else COUNT)
        if options.prompt:
            lab.command_line()


def _film(lab: Lab, report: Report) -> None:
    """N-2.2: a host with one interface and no endpoint to join from is still an M-UE."""
    lab.say("a connection of the host with one interface")
    lab.mark()
    order = {
        "group": "film",
        "dst": address_of(PLAN.box("server"), 4),
        "ports": [FILM],
        "mptcp": True,
        "first": True,
    }
    (opened,) = lab.agents[HOST].ask("open", **order)["opened"]
    report.equal("one interface: the connection works", None, opened.get("error"))
    here = [s for s in subflows(lab.host(MCP)) if s.state == "ESTAB" and s.flow.sport == FILM]
    found = [(s["mcp"], s["state"], s["token"]) for s in lab.controller.taken_up()]
    report.equal("one interface: subflows at the MCP", [False], [s.join for s in here], "kernel")
    report.equal(
        "one interface: the M-session in the controller",
        [(MCP, "established", s.own_token) for s in here],
        found,
        "REST",
    )
    report.equal("one interface: joins it sent", 0, lab.counted(HOST)["MPJoinSynTx"], "kernel")
    lab.agents[HOST].ask("close", group="film")


def _pages(lab: Lab, report: Report, title: str, served: int, asked: int) -> None:
    """Fetch pages one after the other: by which path their bytes went, and how long each took."""
    lab.say(f"{COUNT} connections of {BYTES // 1000} kB each way, {title}")
    captures = {port: lab.capture_port(port) for port in (ACCESS, "s3:1", SERVER)}
    before = _punted(lab)
    done = _exchanged(lab)
    punted = _punted(lab) - before
    lab.stop_captures()
    seen = {port: capture.segments() for port, capture in captures.items()}
    report.equal(f"{title}: all pages come", ("", COUNT), (done.get("error", ""), len(done["took"])))
    opened = [s for s in seen[ACCESS] if s.syn]
    report.expect(
        f"{title}: the host asked for MPTCP each time",
        len(opened) >= COUNT and all(CAPABLE in s.options for s in opened),
        f"{COUNT} SYNs with MP_CAPABLE",
        f"{sum(CAPABLE in s.options for s in opened)} of {len(opened)}",
        "capture",
    )
    from_host = {s.flow.sport for s in seen["s3:1"] if s.syn and CAPABLE in s.options}
    report.equal(f"{title}: of them at the MCP", served, len(from_host), "capture")
    report.expect(
        f"{title}: SYNs that the controller was asked about", punted == asked, asked, punted, "REST"
    )
    if not served:
        way = both_ways(seen[ACCESS], seen[SERVER], {address_of(PLAN.box("server"), 4)})
        report.expect(
            f"{title}: segments are the same at host and server, options byte for byte",
            way.faithful,
            "none altered, none lost for good",
            way.told(),
            "capture",
        )
    took = done["took"] if len(done["took"]) > 1 else [0.0, 0.0]
    cuts = quantiles(took, n=20)
    median, most = cuts[9], cuts[18]
    report.figures[title] = {"p50_ms": round(median * 1e3, 2), "p95_ms": round(most * 1e3, 2)}
    report.table.append(
        [title, f"{median * 1e3:.1f} ms", f"{most * 1e3:.1f} ms", str(len(from_host)), str(punted)]
    )


def _exchanged(lab: Lab) -> dict[str, Any]:
    order = {
        "dst": address_of(PLAN.box("server"), 4),
        "port": PAGE,
        "bytes": BYTES,
        "count": COUNT,
        "mptcp": True,
    }
    lab.agents[HOST].ask("start", name="pages", kind="short", **order)
    return {"took": []} | lab.agents[HOST].finish("pages", 60)


def _punted(lab: Lab) -> int:
    """How many first SYNs reached the controller."""
    names = ("steering_sessions_started_total", "steering_natural_syns_total")
    return int(sum(lab.controller.metric(name) for name in names))


SCENARIO = Scenario(
    name="short-flows",
    figure="IETF-98 slides, criteria",
    rows=ROWS,
    summary="short flows through the MCP, exempt by rule, and not looked at: where they went and what it cost them",
    plan=PLAN,
    run=run,
    controls=controls("steering", exemption="short flows are treated like all others"),
)
