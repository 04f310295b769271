"""An MCP terminates only the MPTCP that an upstream MCP opened (draft-nam 5.2.2.1, Figures 9 and 10).

    c1 (plain) ------+            +-- dsl  s1 ---+          +-- server1 (plain)
    c2 (MPTCP) ------+- lan - cpe                s3 --------+
    c3 - inner (CPE) +            +-- lte  s2 ---+          +-- server2 (MPTCP)
                                       s4 (core): a link to each of s1, s2 and s3

Without demultiplexing, `core` turns c2's own MPTCP to server2 into TCP. With it, `core` serves only connections that
carry the mark of CPEs, a range of source ports. c2's connection then passes unchanged, even when c2 picks a port of
that range.
"""

from dataclasses import replace
from typing import Any

from topologies.kit import kernel_counters
from topologies.kit.captures import CAPABLE, Capture, Segment, distinct
from topologies.kit.kernel_counters import FiveTuple
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.processes import relay_status
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.cpe_transfer import syns
from topologies.measures.passage import passage
from topologies.measures.pins import token_of
from topologies.networks.hybrid import ACCESS_MBIT, ACCESSES, NET, SERVICE

WINDOW = (49_152, 50_175)
INSIDE_WINDOW = 49_777  # the source port that c2 picks
MARK = ("--source-ports", "{}-{}".format(*WINDOW))
DENY = ("--deny-mptcp-to", "10.8.0.0/24")
ROWS = (
    "N-5.2.2.1a", "N-5.2.2.1b", "N-5.2.2.1c", "N-5.2.2.1d", "N-5.2.2.1e", "N-5.2.2.1f", "N-F9", "N-F10", "S-23",
    "N-5.3f",
)  # fmt: skip
ON = """\
policy: 1
marker: {{source_ports: ["{}-{}"]}}
rules: [{{name: upstream-only, then: {{terminate_only: [proxied]}}}}]
""".format(*WINDOW)


def plan(marked: bool = True, denied: bool = True) -> Plan:
    """The plan of the picture above. `marked` and `denied`: options of the CPE's relay."""
    options = (*(MARK if marked else ()), *(DENY if denied else ()))
    keeps = ("--inner-cpe", "192.168.1.3/32") if marked else ()
    return Plan(
        name="demux",
        switches=("s1", "s2", "s3", "s4"),
        wires=(
            *(Wire("s1:2", "s3:2"), Wire("s2:2", "s3:3")),
            *(Wire("s1:3", "s4:2"), Wire("s2:3", "s4:3"), Wire("s4:4", "s3:4")),
        ),
        boxes=(
            Box("c1", Kind.PLAIN, (Nic("lan:1", ("192.168.1.11/24",)),)),
            Box("c2", Kind.DUAL, (Nic("lan:2", ("192.168.1.12/24",)),)),
            Box("c3", Kind.PLAIN, (Nic("inner:0", ("192.168.2.11/24",)),)),
            Box("lan", Kind.BRIDGE, (Nic("cpe:0"),)),
            Box(
                "cpe",
                Kind.CPE,
                (
                    Nic("lan:0", ("192.168.1.1/24",)),
                    Nic("s1:1", ("10.1.0.2/24",), ACCESS_MBIT),
                    Nic("s2:1", ("10.2.0.2/24",), ACCESS_MBIT),
                ),
                relay=(*options, *keeps),
            ),
            Box(
                "inner",
                Kind.CPE,
                (Nic("c3:0", ("192.168.2.1/24",)), Nic("lan:3", ("192.168.1.3/24",))),
                relay=MARK if marked else (),
            ),
            Box("core", Kind.MCP, (Nic("s4:1", ("10.8.0.2/24",)),), relay=("--server-leg", "tcp")),
            Box("server1", Kind.SERVER, (Nic("s3:1", ("10.9.0.2/24",)),)),
            Box("server2", Kind.M_SERVER, (Nic("s3:5", ("10.9.1.2/24",)),)),
        ),
        accesses=ACCESSES,
        gateways=(
            Attachment("net1", NET[:1], ("s3:1",)),
            Attachment("net2", ("10.9.1.0/24",), ("s3:5",)),
        ),
        points=(Point("core", "s4:1", ("10.8.0.2",)),),
        services=(SERVICE,),
    )


PLAN = plan()


def run(options: Options, report: Report) -> None:
    """Run without demultiplexing, which is the failure of Figure 9, then with it, which is Figure 10."""
    made = plan("mark" not in options.without, "deny" not in options.without)
    with running(made, options.say, options.without, options.keep) as lab:
        lab.start_services()
        bench = Bench(lab, report)
        lab.start_controller(options.without)
        options.say("demux off: native MPTCP of c2")
        bench.figure_9()
        lab.controller.stop()
        if "demux" not in options.without:
            lab.controller.policy.write_text(ON)
        lab.start_controller(options.without)
        options.say("demux on: c1, c2 and c3")
        bench.figure_10()
        if options.prompt:
            lab.command_line()


class Bench:
    """Connections that echo one line, and the relays that took part in them."""

    def __init__(self, lab: Lab, report: Report) -> None:
        self.lab, self.report = lab, report
        self.server = {n: address_of(lab.plan.box(f"server{n}"), 4) for n in (1, 2)}

    def accepted(self, name: str) -> int:
        """How many connections a relay has taken so far."""
        found: int = relay_status(self.lab.record, name)["counters"]["accepted"]
        return found

    def warm_up(self) -> None:
        """Have all neighbours found before anything is judged."""
        for host in ("c1", "c2", "c3"):
            for target in self.server.values():
                self.lab.agents[host].ask("ping", dst=target, count=2)

    def open(self, host: str, dst: str, **more: Any) -> dict[str, Any]:
        """Open a connection that echoes once and stays open."""
        order = {"group": "demux", "dst": dst, "ports": [SERVICE], "first": True}
        found: dict[str, Any] = self.lab.agents[host].ask("open", **(order | more))["opened"][0]
        return found

    def figure_9(self) -> None:
        """Without the mark, the MCP takes c2's connection for one of a CPE's, and terminates it."""
        lab, report = self.lab, self.report
        self.warm_up()
        before = self.accepted("core")
        at_server = lab.capture_port("s3:5")
        opened = self.open("c2", self.server[2], mptcp=True)
        sessions = len(lab.controller.sessions())
        server = kernel_counters.subflows(lab.host("server2"))
        lab.agents["c2"].ask("close", group="demux")
        lab.stop_captures()
        report.equal("off: c2's connection works", "", opened.get("error", ""))
        report.equal("off: the MCP took it", 1, self.accepted("core") - before, "kernel")
        report.equal("off: server2, which speaks MPTCP, has subflows", [], server, "kernel")
        segments = [s for s in at_server.segments() if s.flow.src != self.server[2]]
        told = sum(bool(s.options) for s in segments)
        report.expect(
            "off: c2's MPTCP that reaches server2",
            bool(segments) and not told,
            "none: broken into TCP",
            told,
            "capture",
        )
        report.equal("off: sessions of the controller", 1, sessions, "REST")

    def figure_10(self) -> None:
        """c1 and c3 are served, each by one CPE and the MCP. c2's connection passes unchanged."""
        lab = self.lab
        self.warm_up()
        before = {name: self.accepted(name) for name in ("cpe", "inner", "core")}
        earlier = {row["client"] for row in lab.controller.sessions()}
        at = {"c2": lab.capture_host("c2"), "dsl": lab.capture_port("s1:1"), "core": lab.capture_port("s4:1")}
        at["server2"] = lab.capture_port("s3:5")
        opened = {
            "c1": self.open("c1", self.server[1]),
            "c3": self.open("c3", self.server[1]),
            "c2": self.open("c2", self.server[2], mptcp=True, sport=INSIDE_WINDOW),
        }
        peers = kernel_counters.subflows(lab.host("server2"))
        clients = [row["client"] for row in lab.controller.sessions() if row["client"] not in earlier]
        after = {name: self.accepted(name) for name in ("cpe", "inner", "core")}
        denied = self.open("c2", "10.8.0.2", mptcp=True, wait=1.5)
        lab.stop_captures()
        failed = {host: one["error"] for host, one in opened.items() if "error" in one}
        self.report.equal("on: connections that failed", {}, failed)
        taken = {name: after[name] - before[name] for name in after}
        self.report.equal(
            "on: c1 by cpe, c3 by inner alone, both by core",
            {"cpe": 1, "inner": 1, "core": 2},
            taken,
            "kernel",
        )
        self._marks(at["dsl"], clients)
        self._native(at, peers)
        self.report.expect(
            "on: c2 opens no MPTCP to the MCP's own address",
            "error" in denied and not [s for s in at["core"].segments() if s.flow.dst == "10.8.0.2"],
            "dropped by the CPE",
            denied.get("error", "it was answered"),
            "capture",
        )

    def _marks(self, dsl: Capture, clients: list[str]) -> None:
        opened = distinct(syns(dsl.segments(), CAPABLE))
        ports: dict[str, list[int]] = {}
        for segment in opened:
            ports.setdefault(segment.flow.dst, []).append(segment.flow.sport)
        low, high = WINDOW
        relayed, native = ports.get(self.server[1], []), ports.get(self.server[2], [])
        self.report.expect(
            "on: source ports of what CPEs opened are in the window, c2's is not",
            len(relayed) == 2
            and all(low <= port <= high for port in relayed)
            and native != []
            and not any(low <= port <= high for port in native),
            f"two in {low}-{high}, and one outside",
            f"{relayed}, {native} (c2 itself had {INSIDE_WINDOW})",
            "capture",
        )
        wanted = {f"10.1.0.2:{port}" for port in relayed}
        self.report.equal(
            "on: the controller's sessions are the CPEs'", sorted(wanted), sorted(clients), "REST"
        )

    def _native(self, at: dict[str, Capture], peers: list[kernel_counters.Subflow]) -> None:
        """K-OPT: c2's segments reach server2 with all option bytes unchanged, and pass no MCP."""
        report = self.report
        at_core = sum(self.server[2] in (s.flow.src, s.flow.dst) for s in at["core"].segments())
        report.equal("on: segments of c2 and server2 at the MCP", 0, at_core, "capture")
        keys = {s.key for s in at["c2"].segments() if s.syn_ack and s.flow.src == self.server[2]}
        tokens = {token_of(key) for key in keys if key}
        report.expect(
            "on: c2 got server2's own key, end to end",
            {s.own_token for s in peers} == tokens != set() and {s.flow.dst for s in peers} == {"10.1.0.2"},
            "the token of the key in the SYN/ACK is server2's",
            f"{sorted(tokens)} at c2, {[s.own_token for s in peers]} at server2",
            "kernel",
        )
        way = passage(*(_of_one_flow(at[place].segments(), self.server[2]) for place in ("c2", "server2")))
        report.expect(
            "on: TCP options of c2's segments, as sent and as arrived",
            way.faithful,
            "the same bytes",
            way.told(),
            "capture",
        )


def _of_one_flow(segments: list[Segment], to: str) -> list[Segment]:
    """The segments to an address, which is one connection's, without its ends: between host and server a NAT replaces
    them."""
    none = FiveTuple("", 0, to, 0)
    return [replace(s, flow=none) for s in segments if s.flow.dst == to]


SCENARIO = Scenario(
    name="demux",
    figure="draft-nam Figures 9 and 10",
    rows=ROWS,
    summary="native MPTCP from behind a CPE broken by an MCP that cannot tell (off), and left alone by the mark (on)",
    plan=PLAN,
    run=run,
    controls=controls(
        demux="native MPTCP is not told from proxied",
        mark="CPEs do not mark what they open",
        deny="LAN hosts may open MPTCP to MCPs",
    ),
)
