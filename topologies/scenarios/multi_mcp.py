"""Several MCPs in one network, and a policy that says which traffic each gets.

cell s1 [small]      macro s2              s3 is the IP gateway of both cells; WLAN s6 has a path of
              \\      |                     its own to the Internet's gateway s4, past s3
data centre s5 -- s3 [anchor] -- s4 [sgi] -- s6 wlan
[content]
"""

from dataclasses import replace

from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import leaving, receive_buffers

BULK, CALLS, PAGES = 5001, 5002, 5003
PEERING = "s3:4"
MORE = 1_000  # bytes of LLDP and neighbour discovery that may pass the peering link meanwhile
POLICY = f"""\
policy: 1
applications:
  - {{name: bulk, ports: [{BULK}]}}
  - {{name: calls, ports: [{CALLS}]}}
rules:
  - name: bulk
    when: {{application: bulk}}
    then: {{action: proxy, expectation: bulk, hysteresis: 0}}
  - name: calls
    when: {{application: calls}}
    then: {{action: proxy, expectation: continuity, max_stretch: 4.0, mcps: [anchor]}}
  - name: pages
    then: {{action: proxy, expectation: latency, mcps: [content, sgi]}}
"""
ROWS = (
    "D-6.5p1", "D-6.5p3", "D-6.5p4", "D-6.5j", "D-5.1e", "D-5.2a", "D-5.2b", "D-2.8",
    "D-3.3b", "D-4.e",
)  # fmt: skip
PLAN = Plan(
    name="multi-mcp",
    switches=("s1", "s2", "s3", "s4", "s5", "s6"),
    wires=(
        Wire("s1:2", "s3:2"),
        Wire("s2:2", "s3:3"),
        Wire(PEERING, "s4:2"),
        Wire("s3:5", "s5:2"),
        Wire("s6:2", "s4:3"),
    ),
    boxes=(
        Box("ue", Kind.DUAL, (Nic("s1:1", ("10.1.0.2/24",), 20.0), Nic("s2:1", ("10.2.0.2/24",), 20.0))),
        Box("small", Kind.MCP, (Nic("s1:9", ("10.8.1.2/24",)),)),
        Box("anchor", Kind.MCP, (Nic("s3:9", ("10.8.3.2/24",)),)),
        Box("sgi", Kind.MCP, (Nic("s4:9", ("10.8.4.2/24",)),)),
        Box("content", Kind.MCP, (Nic("s5:9", ("10.8.5.2/24",)),)),
        Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24",)),)),
        Box("rack", Kind.BRIDGE, (Nic("s5:1"),)),
        Box("replica", Kind.SERVER, (Nic("rack:1", ("10.10.0.2/24",)),)),
        Box("replica2", Kind.SERVER, (Nic("rack:2", ("10.10.0.3/24",)),)),
    ),
    accesses=(
        Attachment("cell", ("10.1.0.0/24",), ("s1:1",), "cellular"),
        Attachment("macro", ("10.2.0.0/24",), ("s2:1",), "cellular"),
        Attachment("wlan", ("10.3.0.0/24",), ("s6:1",), "wlan"),
    ),
    gateways=(
        Attachment("internet", ("10.9.0.0/24",), ("s4:1",)),
        Attachment("data-centre", ("10.10.0.0/24",), ("s5:1",)),
    ),
    points=(
        Point("small", "s1:9", ("10.8.1.2",), type="on-path", location="small-cell", accesses=("cell",)),
        Point("anchor", "s3:9", ("10.8.3.2",), location="ip-gateway"),
        Point("sgi", "s4:9", ("10.8.4.2",), location="sgi"),
        Point("content", "s5:9", ("10.8.5.2",), type="on-path", location="data-centre"),
    ),
    services=(BULK, CALLS, PAGES),
    policy=POLICY,
)


def run(options: Options, report: Report) -> None:
    """Send bulk to the cell's MCP, calls to the anchor, pages to the data centre's MCP. Then the host leaves its
    cell."""
    plan = PLAN
    if "anchor" in options.without:
        plan = replace(PLAN, policy=POLICY.replace("continuity, max_stretch: 4.0, mcps: [anchor]", "bulk"))
    with running(plan, options.say, options.without, options.keep) as lab:
        receive_buffers.enlarge(lab, "ue", "small", "anchor", "content")
        lab.start_services()
        lab.host("ue").run("ip mptcp endpoint flush")
        lab.start_controller(options.without)
        for target in ("10.9.0.2", "10.10.0.2", "10.10.0.3"):
            lab.agents["ue"].ask("ping", dst=target, count=3)
        locations = {name: mcp["location"] for name, mcp in lab.controller.mcps().items()}
        wanted = {point.name: point.location for point in PLAN.points}
        report.equal("where the MCPs stand", wanted, locations, "REST")
        _candidates(lab, report)
        _local(lab, report)
        leaving.leave(
            lab,
            report,
            {
                BULK: ("server", "small", False),
                CALLS: ("server", "anchor", True),
                PAGES: ("replica", "content", True),
            },
        )
        if options.prompt:
            lab.command_line()


def _candidates(lab: Lab, report: Report) -> None:
    """Check the candidates of each application and each access network on the same graph."""
    table = [["from", "to", "port", "MCP", *(p.name for p in PLAN.points)]]
    cases = (
        ("10.1.0.2", "10.9.0.2", BULK, "small"),
        ("10.1.0.2", "10.9.0.2", CALLS, "anchor"),
        ("10.1.0.2", "10.10.0.2", PAGES, "content"),
        ("10.2.0.2", "10.9.0.2", BULK, "anchor"),
        ("10.3.0.2", "10.9.0.2", CALLS, "anchor"),
    )
    for source, target, port, wanted in cases:
        decision = lab.controller.whatif(source, target, port)
        seen = {c["mcp"]: c for c in decision["candidates"]}
        report.equal(f"whatif: {source} to {target}:{port}", wanted, decision["winner"], "REST")
        table.append(
            [
                source,
                target,
                str(port),
                str(decision["winner"]),
                *(_word(seen.get(p.name)) for p in PLAN.points),
            ]
        )
        if target == "10.9.0.2":
            on_path = seen.get("anchor", {}).get("on_path")
            report.equal(
                f"the anchor is on the natural path from {source}", source != "10.3.0.2", on_path, "REST"
            )
    report.table = table


def _word(candidate: dict[str, object] | None) -> str:
    if candidate is None:
        return "no candidate"
    where = "on-path" if candidate["on_path"] else f"stretch {candidate['stretch']}"
    return f"{where}, not: {candidate['filtered']}" if candidate["filtered"] else where


def _local(lab: Lab, report: Report) -> None:
    """Check two replicas in the local data centre: one MCP at its entrance serves both, and none of their bytes pass
    the peering link."""
    bytes_before = _peered(lab)
    at_servers = [lab.capture_host(name) for name in ("replica", "replica2")]
    lab.mark()
    for target in ("10.10.0.2", "10.10.0.3"):
        order = {"kind": "steady", "dst": target, "port": PAGES, "mbit": 4.0, "seconds": 2.0, "mptcp": True}
        lab.agents["ue"].ask("start", name=target, **order)
    for target in ("10.10.0.2", "10.10.0.3"):
        done = lab.agents["ue"].finish(target, 30)
        report.equal(f"content from {target}", "", done.get("error", ""))
    moved = _peered(lab) - bytes_before
    lab.stop_captures()
    report.expect(
        "bytes on the peering link meanwhile", moved < 2 * MORE, f"under {2 * MORE}", moved, "capture"
    )
    taken = lab.counted("content")["MPCapableSYNRX"]
    report.equal("connections the data centre's MCP took", 2, taken, "kernel")
    for capture, name in zip(at_servers, ("replica", "replica2"), strict=True):
        data = [s for s in capture.segments() if s.length]
        plain = bool(data) and not any(s.options for s in data)
        report.expect(
            f"{name} sees plain TCP", plain, "data without MPTCP options", f"{len(data)} segments", "capture"
        )


def _peered(lab: Lab) -> int:
    """Bytes in both directions at the peering link, by the switch's own count."""
    bridge, port = lab.switch("s3"), PEERING.partition(":")[2]
    words = ofctl(bridge, "dump-ports", port).replace(",", " ").split()
    return sum(int(word.partition("=")[2]) for word in words if word.startswith("bytes="))


SCENARIO = Scenario(
    name="multi-mcp",
    figure="draft-deng sections 5 and 6.5",
    rows=ROWS,
    summary="small cell, IP gateway, data centre: three applications, three MCPs; calls outlive their cell, bulk does not",
    plan=PLAN,
    run=run,
    controls=controls("steering", anchor="calls are taken for bulk"),
)
