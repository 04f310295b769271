"""A host moves while it has a connection: from WLAN to WLAN, on to cellular, there from one cell's switch to the next
with the same address, and back to WLAN. All the time its echo comes back, from the MCP at which the session began.

    hot1 s1 - s4 - s6 Internet      There are two gateways, and no switch that the natural paths of all accesses
    hot2 s2 - s5 - s7 Internet      share. The MCP `core` is at s8, off all these paths. LTE has ports at s3 and s2.
    lte  s3 - s5                    s8 has links to s4 and s5.
"""

import time
from collections.abc import Callable
from typing import Any

from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, running
from topologies.kit.network import add_endpoints, give_addresses
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import receive_buffers

SERVER, PORT = "10.9.0.2", 5001
MBIT = 2.0
HALF_S = 1.5
TALK_S = 90.0  # most seconds of a connection; it ends after the moves
PATIENCE_S = 15.0  # seconds to wait for a step: a SYN that is lost three times is sent again after 7 s
BREAK_S = 2.0  # longest silence in seconds: what was under way on the access that is gone is sent again by the kernel, 0.4 to 1.1 s
# later on a busy machine, and where the host appears elsewhere with its address the network has to learn of it.
LTE = ("10.3.0.2/24",)
HOT1, HOT2, CELL, CELL2 = range(4)  # the host's interfaces
ROWS = ("D-4.2b", "D-3.3a", "D-3.3b", "D-1.u1", "D-6.2c")
PLAN = Plan(
    name="handover",
    switches=("s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"),
    wires=(
        Wire("s1:2", "s4:2"),
        Wire("s2:2", "s5:2"),
        Wire("s3:3", "s5:3"),
        Wire("s4:3", "s6:2"),
        Wire("s5:4", "s7:2"),
        Wire("s8:2", "s4:4"),
        Wire("s8:3", "s5:5"),
    ),
    boxes=(
        Box(
            "ue",
            Kind.DUAL,
            (
                Nic("s1:1", ("10.1.0.2/24",), 10.0),
                Nic("s2:1", ("10.2.0.2/24",), 10.0),
                Nic("s3:1", LTE, 10.0),
                Nic("s2:7", LTE, 10.0, up=False),
            ),
        ),
        Box("core", Kind.MCP, (Nic("s8:1", ("10.8.0.2/24",)),)),
        Box("net", Kind.BRIDGE, (Nic("s6:1"), Nic("s7:1"))),
        Box("server", Kind.SERVER, (Nic("net:2", (f"{SERVER}/24",)),)),
    ),
    accesses=(
        Attachment("hot1", ("10.1.0.0/24",), ("s1:1",), "wlan"),
        Attachment("hot2", ("10.2.0.0/24",), ("s2:1",), "wlan"),
        Attachment("lte", ("10.3.0.0/24",), ("s3:1", "s2:7"), "cellular"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24",), ("s6:1", "s7:1")),),
    points=(Point("core", "s8:1", ("10.8.0.2",)),),
    policy="policy: 1\nselection: {max_stretch: 9.0}\n",
)


def run(options: Options, report: Report) -> None:
    """Run two connections, each through two moves."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        receive_buffers.enlarge(lab, "ue", "core")
        lab.start_services()
        lab.start_controller(options.without)
        lab.agents["ue"].ask("ping", dst=SERVER, count=5)
        report.table = [["from", "by", "to", "empty seconds", "longest silence"]]
        sees = lab.capture_host("server")
        lab.host("ue").run("ip mptcp endpoint flush")
        with _Talk(lab, report, HOT1) as talk:
            talk.move("WLAN to WLAN", HOT1, HOT2)
            talk.move("WLAN to cellular", HOT2, CELL)
        talk.judge("hot1", "hot2", "lte")
        lab.host("ue").run(f"ip link set {lab.host('ue').interface(HOT1)} up", "ip mptcp endpoint flush")
        _routes(lab, HOT1)
        with _Talk(lab, report, CELL) as talk:
            if "notice" in options.without:
                lab.controller.kill()
            moved = time.time()
            talk.change_switch()
            talk.move("cellular to WLAN", CELL2, HOT1)
        talk.judge("lte", "lte", "hot1")
        lab.stop_captures()
        flows = {s.flow for s in sees.segments() if s.syn and s.flow.dport == PORT}
        # What the host sends at its new switch before the network has learned of the move waits there, and goes to the MCP.
        told = [s.time for s in sees.segments() if s.length and s.options]
        strayed = [at for at in told if moved <= at < moved + BREAK_S]
        report.figures["strayed_segments"] = len(strayed)
        wanted = ({"10.1.0.2", "10.3.0.2"}, 2, 0)
        found = ({flow.src for flow in flows}, len(flows), len(told) - len(strayed))
        report.equal(
            "what the server saw: two plain connections, from where they began, no MPTCP but for the moment of the move",
            wanted,
            found,
            "capture",
        )
        report.expect(
            "segments that strayed in that moment",
            not strayed,
            "none",
            len(strayed),
            "capture",
        )
        if options.prompt:
            lab.command_line()


class _Talk:
    """A steady connection of `ue` that begins at one of the host's interfaces."""

    def __init__(self, lab: Lab, report: Report, begin: int) -> None:
        self.lab, self.report = lab, report
        own = PLAN.box("ue").nics[begin].addresses[0].partition("/")[0]
        order: dict[str, Any] = {"kind": "steady", "dst": SERVER, "port": PORT, "mbit": MBIT, "mptcp": True}
        lab.mark()
        before = self._session()["id"]
        self._name = f"from {own}"
        lab.agents["ue"].ask("start", name=self._name, **order, src=own, seconds=TALK_S)
        time.sleep(HALF_S)
        until(lambda: self._session()["id"] != before and self._session()["token"] is not None)
        self.token = self._session()["token"]
        self.done: dict[str, Any] = {}

    def __enter__(self) -> "_Talk":
        return self

    def __exit__(self, *_: object) -> None:
        self.lab.agents["ue"].ask("stop", name=self._name)
        self.done = self.lab.agents["ue"].finish(self._name, 40)

    def _session(self) -> dict[str, Any]:
        """The newest session."""
        known: list[dict[str, Any]] = self.lab.controller.sessions() if self.lab.controller.alive() else []
        return max(known, key=lambda s: int(s["id"])) if known else {"id": None, "token": None, "mcp": None}

    def move(self, what: str, old: int, new: int) -> None:
        """Move with make before break: a subflow joins over the new access, and only then the old access is cut."""
        self.lab.say(what)
        ue, nic = self.lab.host("ue"), PLAN.box("ue").nics[new]
        add_endpoints(ue, nic, new)
        own = nic.addresses[0].partition("/")[0]
        until(lambda: all(self._joined(own)))
        found = self._joined(own)
        time.sleep(HALF_S)
        self.report.equal(f"{what}: the join's token at host and MCP", ([self.token],) * 2, found, "kernel")
        session = self._session()
        known = (session["token"], session["mcp"])
        self.report.equal(f"{what}: the session's, at its first MCP", (self.token, "core"), known, "REST")
        ue.run(f"ip link set {ue.interface(old)} down")
        time.sleep(HALF_S)

    def _joined(self, own: str) -> tuple[list[str], list[str]]:
        """The tokens of joins from one of the host's addresses, as the host and as the MCP list them."""
        up = ([s for s in subflows(self.lab.host(name)) if s.state == "ESTAB"] for name in ("ue", "core"))
        here, at = up
        return (
            [s.peer_token for s in here if s.flow.src == own and s.join],
            [s.own_token for s in at if s.flow.dst == own],
        )

    def change_switch(self) -> None:
        """Move the LTE interface to another switch with its MAC and address. No SYN tells the network (D-3.3a)."""
        self.lab.say("the host appears at another switch of the cellular network")
        ue, nics = self.lab.host("ue"), PLAN.box("ue").nics
        mac = ue.intf(ue.interface(CELL)).MAC()
        ue.run(
            f"ip link set {ue.interface(CELL)} down",
            f"ip addr flush dev {ue.interface(CELL)}",
            f"ip link set {ue.interface(CELL2)} address {mac}",
        )
        give_addresses(ue, nics[CELL2], CELL2)
        time.sleep(2 * HALF_S)
        rows = [s for s in subflows(ue) if s.flow.src == "10.3.0.2" and s.state == "ESTAB"]
        self.report.equal("another switch: the subflow is the one it was", 1, len(rows), "kernel")
        if self.lab.controller.alive():
            # A control without steering has no session.
            known = [s for s in self.lab.controller.detailed() if s["token"] == self.token]
            found = [(s["token"], s["mcp"], [(f["src"], f["switch"]) for f in s["subflows"]]) for s in known]
            wanted = [(self.token, "core", [("10.3.0.2", "s2")])]
            self.report.equal(
                "another switch: its entry is there, and leads to its MCP", wanted, found, "REST"
            )

    def judge(self, begin: str, by: str, end: str) -> None:
        """Check that no byte was lost or changed, and that no silence was longer than allowed."""
        done = self.done
        gap, empty = done.get("longest_gap_s", float("inf")), done.get("empty_seconds")
        own = done.get("own_gap_s", gap)  # without what this machine was late in it
        fine = not done.get("error") and not done.get("wrong") and own < BREAK_S
        most = int(BREAK_S) - 1
        self.report.expect(
            f"{begin}, {by}, {end}: every byte came back",
            fine and empty is not None and empty <= most,
            f"no error, no silence of {BREAK_S:.0f} s, at most {most} empty seconds",
            f"error '{done.get('error', '')}', {empty} empty seconds, longest silence {gap:.2f} s, own {own:.2f} s",
            "kernel",
        )
        self.report.table.append([begin, by, end, str(empty), f"{gap:.2f} s"])
        self.report.figures[f"{begin}-{by}-{end}"] = {"empty_seconds": empty, "longest_gap_s": gap}


def until(come: Callable[[], bool]) -> None:
    """Wait for a condition of the next step, PATIENCE_S at most. A check says later whether it came true."""
    limit = time.monotonic() + PATIENCE_S
    while not come() and time.monotonic() < limit:
        time.sleep(0.1)


def _routes(lab: Lab, number: int) -> None:
    """Restore the routes that the kernel removed when the interface went down."""
    ue, nic = lab.host("ue"), PLAN.box("ue").nics[number]
    network = nic.addresses[0].rpartition(".")[0]
    name, table = ue.interface(number), 101 + number
    ue.run(
        f"ip route replace {network}.0/24 dev {name} table {table}",
        f"ip route replace default via {network}.1 dev {name} table {table}",
    )


SCENARIO = Scenario(
    name="handover",
    figure="draft-deng sections 1 and 3.3",
    rows=ROWS,
    summary="WLAN to WLAN to cellular, to another switch with the same address, back to WLAN: no byte lost, one MCP",
    plan=PLAN,
    run=run,
    controls=controls("steering", notice="the controller is dead when the host changes its switch"),
)
