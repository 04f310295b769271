"""MPTCP on the server leg (draft-nam 5.6.1): the MCP offers it to all servers, except those that are listed and those
that MPTCP has made slow.

`dropper` loses SYNs with MP_CAPABLE, as some middleboxes do. `server` speaks MPTCP. The MCP's kernel gives up MPTCP
after three seconds. The MCP remembers that, for `dropper` only, and for a limited time.
"""

import time
from dataclasses import replace
from typing import Any

from topologies.kit.captures import CAPABLE, Segment
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, address_of
from topologies.kit.processes import relay, relay_status
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import aggregation
from topologies.networks import off_path

ROWS = (
    "N-5.6.1a", "N-5.6.1b", "N-5.6.1c", "N-5.6.1d", "N-5.6.1e", "N-5.6.1f", "N-5.6.1g", "D-3.4a", "D-5.4c",
)  # fmt: skip
TTL_S, LATE_S = 20, 14  # seconds; on a busy machine a capture may need some to begin
# The kernel sends a SYN again after 1, 2 and 3 s, the last one without MPTCP (tcp_syn_linear_timeouts). These bounds tell
# connections that had to wait for the last SYN from those that did not.
SLOW_S, GIVEN_UP_S, SOON_S = 2.9, 6.9, 1.9
MCP, GOOD, BAD = "core", "server", "dropper"
DROPS = "tcp flags & (syn | ack) == syn tcp option mptcp subtype 0 drop"
BYPASS = "policy: 1\nrules:\n  - {name: all, then: {action: bypass}}\n"


def _plan() -> Plan:
    base = off_path.PLAN
    servers = (
        Box(GOOD, Kind.M_SERVER, base.box(GOOD).nics),
        Box(BAD, Kind.M_SERVER, (Nic("s4:5", ("10.9.1.2/24",)),)),
    )
    mcp = replace(base.box(MCP), relay=("--slow-ttl", str(TTL_S)))
    return replace(
        base,
        name="slow-server",
        boxes=(base.box("ue"), mcp, *servers),
        gateways=(*base.gateways, Attachment("peering", ("10.9.1.0/24",), ("s4:5",))),
        points=base.points[:1],
    )


PLAN = _plan()


class Trials:
    """Opens one connection after the other. Notes for each its time to the first byte and the SYNs that its server
    got."""

    def __init__(self, lab: Lab, report: Report) -> None:
        self._lab = lab
        self._report = report
        self.answered = 0.0  # when the last connection got its first byte

    def open(self, what: str, name: str) -> tuple[float, list[Segment]]:
        """Open a connection: seconds to the first byte, and all segments at the server."""
        capture = self._lab.capture_port(PLAN.box(name).nics[0].peer)
        target = address_of(PLAN.box(name), 4)
        order = {"group": what, "dst": target, "ports": [5001], "mptcp": True, "first": True}
        start = time.monotonic()
        (opened,) = self._lab.agents["ue"].ask("open", **order)["opened"]
        self.answered = time.monotonic()
        took = self.answered - start
        self._report.equal(f"{what}: the connection works", "", opened.get("error", ""))
        self._report.table.append([what, name, f"{took:.2f} s"])
        self._lab.stop_captures()
        self._lab.agents["ue"].ask("close", group=what)
        return took, capture.segments()

    def slow(self, what: str, name: str = BAD) -> list[Segment]:
        """Check a connection that has to wait until the kernel gives up MPTCP."""
        took, seen = self.open(what, name)
        wanted = f"{SLOW_S} to {GIVEN_UP_S} s"
        self._report.expect(
            f"{what}: time to first byte", SLOW_S <= took < GIVEN_UP_S, wanted, f"{took:.2f} s"
        )
        return seen

    def plain(self, what: str, name: str) -> None:
        """Check a connection of whose segments none carries MPTCP to the server."""
        took, seen = self.open(what, name)
        self._soon(what, took)
        told = [s for s in seen if s.options]
        self._report.expect(
            f"{what}: segments with an MPTCP option at {name}",
            bool(seen) and not told,
            "none, of some",
            f"{len(told)} of {len(seen)}",
            "capture",
        )

    def offered(self, what: str, name: str = GOOD) -> None:
        """Check a connection whose server is offered MPTCP."""
        took, seen = self.open(what, name)
        self._soon(what, took)
        self._report.equal(f"{what}: first SYN with MP_CAPABLE", True, _first_offers(seen), "capture")

    def _soon(self, what: str, took: float) -> None:
        """Check that a connection took much less time than the kernel's attempt with MPTCP costs, even on a busy machine."""
        self._report.expect(
            f"{what}: time to first byte", took < SOON_S, f"under {SOON_S} s", f"{took:.2f} s"
        )


def _first_offers(seen: list[Segment]) -> bool:
    syns = [s for s in seen if s.syn]
    return bool(syns) and CAPABLE in syns[0].options


def run(options: Options, report: Report) -> None:
    """Run without an MCP, with an MCP that remembers, after the MCP was replaced, and with a list of servers that are
    never offered MPTCP."""
    report.table.append(["connection", "to", "first byte"])
    plan = PLAN
    if "slow-cache" in options.without:
        boxes = (replace(b, relay=("--slow-ttl", "0")) if b.name == MCP else b for b in PLAN.boxes)
        plan = replace(PLAN, boxes=tuple(boxes))
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.host("ue").run("sysctl -qw net.mptcp.blackhole_timeout=0")
        lab.host(BAD).run(
            "nft add table inet middlebox",
            "nft add chain inet middlebox in { type filter hook prerouting priority raw; }",
            f"nft add rule inet middlebox in {DROPS}",
        )
        lab.start_controller(options.without)
        aggregation.warm_up(lab, 4)
        lab.agents["ue"].ask("ping", dst=address_of(PLAN.box(BAD), 4), count=3)
        trials = Trials(lab, report)
        options.say("without an MCP the host itself waits")
        lab.controller.put_policy(BYPASS)
        trials.slow("no MCP")
        lab.controller.put_policy(PLAN.policy)
        _cache(lab, report, trials, options)
        _take_over(lab, report, trials, options)
        _off_list(lab, report, trials, options)
        if options.prompt:
            lab.command_line()


def _cache(lab: Lab, report: Report, trials: Trials, options: Options) -> None:
    options.say(f"an MCP that remembers who was slow, for {TTL_S} s")
    lab.mark()
    seen = trials.slow("first")
    listed = trials.answered
    report.equal("first: the MCP offers MPTCP", True, _first_offers(seen), "capture")
    report.equal("servers listed as slow", [address_of(PLAN.box(BAD), 4)], _slow(lab), "kernel")
    trials.plain("second", BAD)
    time.sleep(max(0.0, listed + LATE_S - time.monotonic()))
    trials.plain("a hit late in its time", BAD)
    trials.offered("the other server")
    time.sleep(max(0.0, listed + TTL_S + 1 - time.monotonic()))
    report.equal(f"servers listed as slow {TTL_S + 1} s later", [], _slow(lab), "kernel")
    report.equal(
        "after its time: MPTCP is tried again", True, _first_offers(trials.slow("after its time")), "capture"
    )
    report.equal("M-sessions the MCP took", 5, lab.counted(MCP)["MPCapableSYNRX"], "kernel")
    report.equal("M-sessions the other server took", 1, lab.counted(GOOD)["MPCapableSYNRX"], "kernel")
    told = {s["mcp"] for s in lab.controller.detailed() if s["token"]}
    report.equal("where their sessions were led", {MCP}, told, "REST")


def _slow(lab: Lab) -> list[str]:
    servers: dict[str, Any] = relay_status(lab.record, MCP)["servers"]
    return [row["address"] for row in servers["slow"]]


def _again(lab: Lab, *words: str) -> None:
    """Start the MCP's relay anew, with other options."""
    lab.relays[MCP].end()
    lab.relays[MCP] = relay(lab.record, lab.host(MCP), PLAN.services, PLAN.server_prefixes(), words)


def _take_over(lab: Lab, report: Report, trials: Trials, options: Options) -> None:
    options.say("take-over: no server hears of MPTCP (draft-deng 3.4)")
    _again(lab, *(() if "take-over" in options.without else ("--server-leg", "tcp")))
    trials.plain("take-over, to one that speaks MPTCP", GOOD)
    trials.plain("take-over, to the dropper", BAD)


def _off_list(lab: Lab, report: Report, trials: Trials, options: Options) -> None:
    options.say("servers on the list are never offered MPTCP")
    listed = address_of(PLAN.box(BAD), 4)

    def off(prefix: str) -> tuple[str, ...]:
        return () if "off-list" in options.without else ("--mptcp-off", prefix)

    _again(lab, *off(f"{listed}/32"))
    trials.plain("listed", BAD)
    trials.offered("not listed")
    _again(lab, *off("0.0.0.0/0"))
    trials.plain("all are listed", GOOD)


SCENARIO = Scenario(
    name="slow-server",
    figure="draft-nam section 5.6.1, draft-deng section 3.4",
    rows=ROWS,
    summary="servers are offered MPTCP, but for those that it made slow once, for a time, and those on a list",
    plan=PLAN,
    run=run,
    controls=controls(
        slow_cache="each connection to a slow server waits anew",
        take_over="the MCP offers MPTCP where it is to hide it",
        off_list="nobody is listed",
    ),
)
