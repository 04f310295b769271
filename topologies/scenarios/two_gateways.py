"""Two gateways to the Internet: traffic leaves by one and comes back by the other, and the way back changes during
sessions.

    lte  s1 -- s4 -- border west      The MCP `core` is at s4: its connections leave by `west`. The server has an
    wlan s2 -- s5 -- border east      address behind both borders, and answers by a fixed one of them.

LTE has a second port at s1, to which the host moves during a session. s4 and s5 have a link.
"""

import time

from topologies.kit.captures import Capture
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, running
from topologies.kit.network import give_addresses
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import aggregation, receive_buffers

SERVER, PORT = "10.9.0.2", 5001
ACCESS_MBIT = 15.0
SECONDS = 4.0
TALK_MBIT = 2.0
TALK_S = 60.0  # most seconds of a connection; it ends after the moves
HALF_S = 1.5
SILENCE_S = {"the way back": 1.0, "the host's port": 3.0}
LTE = ("10.1.0.2/24",)
BORDERS = {"west": ("s4:1", "10.251.0"), "east": ("s5:1", "10.252.0")}
FIRST, WLAN, MOVED = range(3)  # the host's interfaces
ROWS = ("D-6.2c", "D-6.1a", "D-3.4b", "D-6.2.0")


def _gateway(name: str, prefixes: tuple[str, ...], borders: tuple[str, ...]) -> Attachment:
    ports, nets = zip(*(BORDERS[border] for border in borders), strict=True)
    links = tuple(f"{net}.0/30" for net in nets)
    return Attachment(name, (*prefixes, *links), ports, next_hops=tuple(f"{net}.2" for net in nets))


def behind(*borders: str) -> Plan:
    """The plan, in whose site file the server's prefix is behind these borders, as ports of one gateway."""
    return Plan(
        name="two-gateways",
        switches=("s1", "s2", "s4", "s5"),
        wires=(Wire("s1:2", "s4:2"), Wire("s2:2", "s5:2"), Wire("s4:3", "s5:3")),
        boxes=(
            Box("ue", Kind.DUAL, (
                Nic("s1:1", LTE, ACCESS_MBIT),
                Nic("s2:1", ("10.2.0.2/24",), ACCESS_MBIT),
                Nic("s1:7", LTE, ACCESS_MBIT, up=False),
            )),
            Box("core", Kind.MCP, (Nic("s4:9", ("10.8.0.2/24",)),)),
            Box("server", Kind.SERVER, tuple(Nic(port, (f"{net}.2/30",)) for port, net in BORDERS.values())),
        ),
        accesses=(
            Attachment("lte", ("10.1.0.0/24",), ("s1:1", "s1:7"), "cellular"),
            Attachment("wlan", ("10.2.0.0/24",), ("s2:1",), "wlan"),
        ),
        gateways=(
            _gateway("internet", ("10.9.0.0/24",), borders),
            *(_gateway("unused", (), (name,)) for name in BORDERS if name not in borders),
        ),
        points=(Point("core", "s4:9", ("10.8.0.2",)),),
        policy="policy: 1\nselection: {max_stretch: 9.0}\n",
    )  # fmt: skip


PLAN = behind("west", "east")


def run(options: Options, report: Report) -> None:
    """Run a transfer and a plain connection whose answers come back by the other border, then a connection through two
    changes."""
    plan = behind("west") if "second-border" in options.without else PLAN
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.host("server").run(f"ip addr add {SERVER}/32 dev lo")
        _answer_by(lab, "east")
        receive_buffers.enlarge(lab, "ue", "core")
        lab.start_services()
        lab.start_controller(options.without)
        lab.agents["ue"].ask("ping", dst=SERVER, count=5)
        report.table = [["", "out by west", "out by east", "back by west", "back by east"]]
        _transfer(lab, report, options.seconds or SECONDS)
        _plain(lab, report)
        _talk(lab, report)
        if options.prompt:
            lab.command_line()


def _answer_by(lab: Lab, border: str) -> None:
    """Set the border by which the server answers, in all of its routing tables."""
    server, number = lab.host("server"), list(BORDERS).index(border)
    way = f"default via {BORDERS[border][1]}.1 dev {server.interface(number)} src {SERVER}"
    server.run(f"ip route replace {way}")


def _at_borders(lab: Lab) -> dict[str, Capture]:
    return {name: lab.capture_port(port) for name, (port, _) in BORDERS.items()}


def _ways(seen: dict[str, Capture]) -> tuple[dict[str, int], dict[str, int]]:
    """How many segments went to the server and came from it, by border."""
    rows = {name: capture.segments() for name, capture in seen.items()}
    out = {name: sum(s.flow.dst == SERVER for s in of) for name, of in rows.items()}
    back = {name: sum(s.flow.src == SERVER for s in of) for name, of in rows.items()}
    return out, back


def _judge(report: Report, what: str, seen: dict[str, Capture], out: set[str], back: set[str]) -> None:
    """Check which borders were used."""
    went, came = _ways(seen)
    found = ({name for name, count in went.items() if count}, {name for name, count in came.items() if count})
    report.equal(f"{what}: the borders it left and came back by", (out, back), found, "capture")
    report.table.append([what, *(str(count) for count in (*went.values(), *came.values()))])


def _transfer(lab: Lab, report: Report, seconds: float) -> None:
    """Transfer over both accesses, through the MCP at `west`. All answers come by `east`."""
    seen = _at_borders(lab)
    on = aggregation.upload(lab, 4, seconds, target=SERVER)
    _judge(report, "through the MCP", seen, {"west"}, {"east"})
    report.equal("the transfer succeeds", "", on.error)
    report.rate(
        "goodput of both accesses",
        on.mbit >= aggregation.GAIN * ACCESS_MBIT,
        f"at least {aggregation.GAIN * ACCESS_MBIT:.0f} Mbit/s",
        f"{on.mbit:.1f} Mbit/s",
    )
    aggregation.check_pinned(report, on, "core")
    told = [s for capture in seen.values() for s in capture.segments() if s.length and s.options]
    report.equal("data at the borders with an MPTCP option", 0, len(told), "capture")
    report.figures["goodput_mbit"] = round(on.mbit, 1)


def _plain(lab: Lab, report: Report) -> None:
    """Traffic that is not eligible leaves by the border nearest to its access, and its answers still arrive."""
    seen = _at_borders(lab)
    for own in ("10.1.0.2", "10.2.0.2"):
        order = {"dst": SERVER, "src": own, "ports": [PORT], "mptcp": False, "first": True, "count": 1}
        opened = lab.agents["ue"].ask("open", group=own, **order)["opened"]
        report.equal(f"plain TCP from {own}", [], [o for o in opened if "error" in o])
        lab.agents["ue"].ask("close", group=own)
    time.sleep(0.3)
    lab.stop_captures()
    _judge(report, "plain TCP", seen, {"west", "east"}, {"east"})


def _talk(lab: Lab, report: Report) -> None:
    """Run a steady connection: the server's answers change their border, then the host changes its port."""
    ue, agent = lab.host("ue"), lab.agents["ue"]
    for what, change in (("the way back", _change_way), ("the host's port", _change_port)):
        lab.say(f"a talk; {what} changes")
        _answer_by(lab, "east")
        seen = _at_borders(lab)
        order = {"kind": "steady", "dst": SERVER, "port": PORT, "mbit": TALK_MBIT, "mptcp": True}
        agent.ask("start", name=what, **order, src="10.1.0.2", seconds=TALK_S)
        time.sleep(HALF_S)
        change(lab)
        time.sleep(2 * HALF_S)
        mine = [s for s in subflows(ue) if s.state == "ESTAB" and s.flow.dport == PORT]
        known = lab.controller.detailed() if lab.controller.alive() else []
        tokens = {s.peer_token for s in mine}
        live = [s["mcp"] for s in known if s["token"] in tokens]
        if change is _change_port:
            ue.run(
                f"ip link set {ue.interface(WLAN)} down"
            )  # so that the access that moved has to carry everything
            time.sleep(2 * HALF_S)
        agent.ask("stop", name=what)
        done = agent.finish(what, 40)
        lab.stop_captures()
        _judge(report, what, seen, {"west"}, {"west", "east"} if change is _change_way else {"east"})
        report.equal(f"{what}: its one session, at its MCP", ["core"], live, "REST")
        report.equal(f"{what}: its subflows", {"10.1.0.2", "10.2.0.2"}, {s.flow.src for s in mine}, "kernel")
        gap = done.get("longest_gap_s", float("inf"))
        own = done.get("own_gap_s", gap)  # without what this machine was late in it
        report.expect(
            f"{what}: every byte came back",
            not done.get("error") and not done.get("wrong") and own < SILENCE_S[what],
            f"no error, no silence of {SILENCE_S[what]:.0f} s",
            f"error '{done.get('error', '')}', longest silence {gap:.2f} s, own {own:.2f} s",
        )
        report.figures[what] = {"longest_gap_s": gap, "empty_seconds": done.get("empty_seconds")}


def _change_way(lab: Lab) -> None:
    _answer_by(lab, "west")


def _change_port(lab: Lab) -> None:
    """Move the host's LTE interface to another port, with its MAC and address. No SYN tells the network."""
    ue, nics = lab.host("ue"), PLAN.box("ue").nics
    mac = ue.intf(ue.interface(FIRST)).MAC()
    ue.run(
        f"ip link set {ue.interface(FIRST)} down",
        f"ip addr flush dev {ue.interface(FIRST)}",
        f"ip link set {ue.interface(MOVED)} address {mac}",
    )
    give_addresses(ue, nics[MOVED], MOVED)


SCENARIO = Scenario(
    name="two-gateways",
    figure="draft-deng section 6.2 (c), asymmetric return",
    rows=ROWS,
    summary="answers come back by another border than they left by, and change it; a host changes its port: no byte lost",
    plan=PLAN,
    run=run,
    controls=controls("steering", second_border="the site says that the servers are behind one border only"),
)
