"""Host and server both speak MPTCP: the MCP is withdrawn from their session, or kept in it (draft-nam Figures 15 and
16).

The network of `off-path`, with a host of plain TCP besides, a server that speaks MPTCP and one that does not.
Withdrawn: host and server have their session and its joins end to end, and switches hold no entry of it; to a server
that is known to be plain, the MCP is inserted. Kept: MPTCP is used on both legs, and the server learns no address of
the MCP.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from steering.model.rules import CookieKind
from topologies.kit import kernel_counters
from topologies.kit.captures import ADD_ADDR, CAPABLE, JOIN, distinct
from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, address_of
from topologies.kit.processes import relay_status
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import aggregation
from topologies.measures.passage import both_ways
from topologies.networks import off_path

ROWS = (
    "N-5.6.1a", "N-5.6.1b", "N-5.6.1h", "N-5.6.1i", "N-5.6.1j", "N-5.6.1l", "N-5.6.1m", "N-F15", "N-F16",
    "D-6.1a", "N-7.1", "N-1.a", "N-2.1",
)  # fmt: skip
MCP, CAPABLE_SERVER, PLAIN_SERVER = "core", "server", "old"
JOINED_S, PATIENCE_S = (
    0.8,
    10.0,
)  # seconds for a join, and where it needs more: a lost SYN is sent again after 1, 3 and 7 s
WITHDRAW = "policy: 1\nmcp_presence: withdraw\n"


def _plan() -> Plan:
    base = off_path.PLAN
    boxes = (
        base.box("ue"),
        Box("plain", Kind.PLAIN, (Nic("s1:3", ("10.1.0.3/24",)),)),
        replace(base.box(MCP), relay=("--advertise", "10.8.0.2")),
        Box(CAPABLE_SERVER, Kind.M_SERVER, base.box(CAPABLE_SERVER).nics),
        Box(PLAIN_SERVER, Kind.SERVER, (Nic("s4:5", ("10.9.1.2/24",)),)),
    )
    lte, wlan = base.accesses
    return replace(
        base,
        name="withdraw",
        boxes=boxes,
        accesses=(replace(lte, ports=("s1:1", "s1:3")), wlan),
        gateways=(*base.gateways, Attachment("peering", ("10.9.1.0/24",), ("s4:5",))),
        points=base.points[:1],
        policy=WITHDRAW,
    )


PLAN = _plan()
EDGES = ("s1:1", "s2:1", "s1:3", "s4:1", "s4:5", "s3:1")
MAINTAIN = "policy: 1\n"  # keeping the MCP is the default


class ObservedStep:
    """The connections of one step, captured at every edge. Counters tell their growth during the step."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._captures = {port: lab.capture_port(port) for port in EDGES}
        self._accepted = relay_status(lab.record, MCP)["counters"]["accepted"]
        lab.mark()

    def open(self, report: Report, what: str, host: str, server: str, join_to: str = "") -> None:
        """Open a connection with an echo, and wait for its join, if it is MPTCP: to the address `join_to`, if given."""
        order = {"group": what, "dst": address_of(PLAN.box(server), 4), "ports": [5001], "first": True}
        (opened,) = self.lab.agents[host].ask("open", mptcp=host == "ue", **order)["opened"]
        report.equal(f"{what}: the connection works", "", opened.get("error", ""))
        time.sleep(JOINED_S)
        if token := opened.get("token"):
            until(lambda: self._joined(host, token, join_to), PATIENCE_S)
        report.equal(f"{what}: and goes on", [], self.lab.agents[host].ask("echo", group=what)["failed"])

    def _joined(self, host: str, token: str, to: str) -> bool:
        """Whether the connection of this token has a later subflow, and all that the host asked for are complete."""
        rows = [s for s in kernel_counters.subflows(self.lab.host(host)) if s.own_token == token]
        there = [s for s in rows if s.join and s.state == "ESTAB" and s.flow.dst in (to or s.flow.dst,)]
        asked = self.lab.counted(host)["MPJoinSynTx"]
        done = sum(self.lab.counted(name)["MPJoinAckRx"] for name in (MCP, CAPABLE_SERVER))
        return bool(there) and asked == done

    def finish(self) -> None:
        """End the captures."""
        self.lab.stop_captures()
        self.counted = {box.name: self.lab.counted(box.name) for box in PLAN.boxes}
        self.accepted = relay_status(self.lab.record, MCP)["counters"]["accepted"] - self._accepted

    def at(self, *ports: str) -> list[Any]:
        """The segments at these edges."""
        return [s for port in ports for s in self._captures[port].segments()]


def run(options: Options, report: Report) -> None:
    """Run with `withdraw` all four combinations of MPTCP and plain TCP at host and server, then with the default once
    more where both speak MPTCP."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        if "discretion" in options.without:
            lab.host(MCP).run("nft flush chain inet steering_relay discretion")
        lab.start_controller(options.without)
        aggregation.warm_up(lab, 4)
        lab.agents["ue"].ask("ping", dst=address_of(PLAN.box(PLAIN_SERVER), 4), count=3)
        lab.agents["plain"].ask("ping", dst=address_of(PLAN.box(CAPABLE_SERVER), 4), count=3)
        if "withdrawing" in options.without:
            lab.controller.put_policy(MAINTAIN)
        _capable_pair(lab, report, options)
        _plain_server(lab, report, options)
        _plain_host(lab, report, options)
        if "maintaining" not in options.without:
            lab.controller.put_policy(MAINTAIN)
        _maintained(lab, report, options)
        if options.prompt:
            lab.command_line()


def _capable_pair(lab: Lab, report: Report, options: Options) -> None:
    options.say("M-UE and M-server, withdraw: Figure 15")
    seen = ObservedStep(lab)
    seen.open(report, "M-M", "ue", CAPABLE_SERVER)
    ue, server = (kernel_counters.subflows(lab.host(name)) for name in ("ue", CAPABLE_SERVER))
    until(lambda: not _session_entries(lab), PATIENCE_S)
    sessions = lab.controller.taken_up()
    entries = _session_entries(lab)
    seen.finish()
    target = address_of(PLAN.box(CAPABLE_SERVER), 4)
    answers = distinct(
        s for s in seen.at("s4:1") if s.syn_ack and CAPABLE in s.options and s.flow.src == target
    )
    report.equal("M-M: the server's SYN/ACKs with MP_CAPABLE", 1, len(answers), "capture")
    joins = {(s.flow.src, s.flow.dst) for s in seen.at("s4:1") if s.syn and JOIN in s.options}
    report.equal("M-M: joins that reach the server", {("10.2.0.2", target)}, joins, "capture")
    report.equal("M-M: subflows at host and server", (2, 2), (len(ue), len(server)), "kernel")
    report.equal("M-M: MPTCP counters of the MCP", {}, seen.counted[MCP], "kernel")
    report.equal("M-M: connections the MCP took", 0, seen.accepted, "kernel")
    report.equal("M-M: segments at the MCP", 0, len(seen.at("s3:1")), "capture")
    _equal_options(report, "M-M", seen, ("s1:1", "s2:1"), ("s4:1",))
    report.equal("M-M: session entries in switches", [], entries, "kernel")
    tokens = {s.own_token for s in server}
    told = [(s["state"], s["token"], s["mcp"]) for s in sessions]
    report.equal(
        "M-M: what the controller shows", [("withdrawn", token, None) for token in tokens], told, "REST"
    )


def _plain_server(lab: Lab, report: Report, options: Options) -> None:
    options.say("M-UE and N-server, withdraw: known as plain after the first connection")
    first = ObservedStep(lab)
    first.open(report, "M-N first", "ue", PLAIN_SERVER)
    first.finish()
    report.equal(
        "M-N first: the server declined MPTCP",
        1,
        first.counted["ue"]["MPCapableFallbackSYNACK"],
        "kernel",
    )
    second = ObservedStep(lab)
    second.open(report, "M-N", "ue", PLAIN_SERVER)
    states = {s["state"] for s in lab.controller.taken_up() if s["mcp"] == MCP}
    second.finish()
    report.equal("M-N: M-sessions at the MCP", 1, second.counted[MCP]["MPCapableSYNRX"], "kernel")
    sent, done = second.counted["ue"]["MPJoinSynTx"], second.counted[MCP]["MPJoinAckRx"]
    report.expect(
        "M-N: joins sent and completed at the MCP", sent == done >= 1, "as many", f"{sent}, {done}", "kernel"
    )
    report.equal("M-N: connections the MCP took", 1, second.accepted, "kernel")
    report.equal("M-N: states of sessions with the MCP", {"established"}, states, "REST")


def _plain_host(lab: Lab, report: Report, options: Options) -> None:
    options.say("N-UE to both servers, withdraw: left as it is")
    for title, server, edge in (("N-M", CAPABLE_SERVER, "s4:1"), ("N-N", PLAIN_SERVER, "s4:5")):
        seen = ObservedStep(lab)
        seen.open(report, title, "plain", server)
        seen.finish()
        report.equal(f"{title}: connections the MCP took", 0, seen.accepted, "kernel")
        _equal_options(report, title, seen, ("s1:3",), (edge,))


def _equal_options(
    report: Report, title: str, seen: ObservedStep, near: Iterable[str], far: Iterable[str]
) -> None:
    """K-OPT: check that segments are the same at the host's edges and at the server's edge."""
    servers = {address_of(PLAN.box(name), 4) for name in (CAPABLE_SERVER, PLAIN_SERVER)}
    way = both_ways(seen.at(*near), seen.at(*far), servers)
    report.expect(
        f"{title}: segments are the same at host and server, options byte for byte",
        way.faithful,
        "none altered, none lost for good",
        way.told(),
        "capture",
    )


def _session_entries(lab: Lab) -> list[str]:
    """All session entries of all switches (table 1, by the kind in their cookie)."""
    kind = f"{CookieKind.SESSION:x}"
    return [
        line.strip()
        for switch in PLAN.switches
        for line in ofctl(lab.switch(switch), "dump-flows").splitlines()
        if "table=1," in line and "cookie=0x" in line and _kind_of(line) == kind
    ]


def _kind_of(line: str) -> str:
    cookie: str = line.partition("cookie=0x")[2].partition(",")[0]
    return cookie.rjust(16, "0")[2]


def _is_over(lab: Lab) -> bool:
    """Whether neither MCP nor controller has a live M-session."""
    relayed = any(row["mptcp"] for row in relay_status(lab.record, MCP)["sessions"])
    return not relayed and all(s["state"] != "established" for s in lab.controller.sessions())


def _maintained(lab: Lab, report: Report, options: Options) -> None:
    options.say("M-UE and M-server, the default: Figure 16")
    for name, group in (("ue", "M-M"), ("ue", "M-N")):
        lab.agents[name].ask("close", group=group)
    time.sleep(0.5)
    until(lambda: _is_over(lab), PATIENCE_S)
    lab.host("ue").run(
        "ip mptcp endpoint flush",
        f"ip mptcp endpoint add 10.2.0.2 dev {lab.host('ue').interface(1)} subflow fullmesh",
    )
    seen = ObservedStep(lab)
    seen.open(report, "kept", "ue", CAPABLE_SERVER, address_of(PLAN.box(MCP), 4))
    ue = [s for s in kernel_counters.subflows(lab.host("ue")) if s.state == "ESTAB"]
    server = [s for s in kernel_counters.subflows(lab.host(CAPABLE_SERVER)) if s.state == "ESTAB"]
    rows = [r for r in relay_status(lab.record, MCP)["sessions"] if r["mptcp"]]
    sessions = [s for s in lab.controller.taken_up() if s["state"] == "established"]
    seen.finish()
    target, mcp = address_of(PLAN.box(CAPABLE_SERVER), 4), address_of(PLAN.box(MCP), 4)
    report.equal(
        "kept: MPTCP on the server leg, by the relay", [True], [r["server_mptcp"] for r in rows], "kernel"
    )
    report.equal(
        "kept: the server's one subflow is from the host's address",
        ["10.1.0.2"],
        [s.flow.dst for s in server],
        "kernel",
    )
    tokens = {s.peer_token for s in ue if s.join}
    report.equal("kept: the token of the host's joins", tokens, {r["token"] for r in rows}, "kernel")
    report.equal("kept: and of the controller's session", tokens, {s["token"] for s in sessions}, "REST")
    told = {s.flow.src for s in seen.at("s1:1") if ADD_ADDR in s.options and s.flow.src == target}
    report.equal("kept: an ADD_ADDR comes to the host", {target}, told, "capture")
    joins = {(s.flow.src, s.flow.dst) for s in seen.at("s2:1") if s.syn and JOIN in s.options}
    report.expect(
        "kept: a join from the WLAN to the MCP", ("10.2.0.2", mcp) in joins, mcp, sorted(joins), "capture"
    )
    sent, done = seen.counted["ue"]["MPJoinSynTx"], seen.counted[MCP]["MPJoinAckRx"]
    report.expect(
        "kept: joins sent and completed at the MCP", sent == done >= 1, "as many", f"{sent}, {done}", "kernel"
    )
    outside = seen.at("s4:1")
    syns = distinct(s for s in outside if s.syn)
    report.equal(
        "kept: SYNs at the server with MP_CAPABLE", [True], [CAPABLE in s.options for s in syns], "capture"
    )
    leaked = [s for s in outside if ADD_ADDR in s.options or JOIN in s.options]
    report.equal("kept: ADD_ADDR and joins on the server leg", 0, len(leaked), "capture")
    named = [s for s in outside if mcp in (s.flow.src, s.flow.dst)]
    report.equal("kept: segments with the MCP's address at the server", 0, len(named), "capture")


SCENARIO = Scenario(
    name="withdraw",
    figure="draft-nam Figures 15 and 16",
    rows=ROWS,
    summary="capable pairs are left to themselves, or keep their MCP with MPTCP on both legs; the four cells of M and N",
    plan=PLAN,
    run=run,
    controls=controls(
        "steering",
        withdrawing="the MCP stays where it is to be withdrawn",
        maintaining="the MCP is withdrawn where it is to stay",
        discretion="the kernel announces the MCP's address to the server too",
    ),
)
