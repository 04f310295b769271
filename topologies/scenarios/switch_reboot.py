"""Switches of a ring reboot under a live session, first one and then two together. A port flaps, and a switch sends a port status
that changes nothing.

Nobody touches the controller. After each case links, entries, graph and status are as before.
"""

import re
import time
from collections.abc import Callable
from typing import Any

from topologies.kit.lab import SESSION_ENTRIES, Lab, ofctl, running
from topologies.kit.plan import Wire, address_of, split_port
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.link_cuts import Cable, Stream, await_, is_whole, one_subflow
from topologies.networks.backbones import SERVICE, ring

ROWS = ("D-6.2c", "D-6.7.1")
PLAN = ring("switch-reboot")
ONE, TWO = (
    ("s3",),
    ("s3", "s5"),
)  # s3 is on a path to the servers; without both s3 and s5 the servers are cut off
OFF_S = 2.0
CUT_OFF_S = (
    15.0  # for some 5 s nothing reaches the servers, and a lost segment is sent again ever more rarely
)
# TCP's time-out of 0.2 s is added where what was under way last is lost, and doubles where that is lost, too: 0.53 at most was seen.
SHORT_S = 1.0
# A switch looks for its controller each second, and a link that was lost must be good for three: 2.4 at most was seen.
WHOLE_S = 8.0
ENTRIES_S = 10.0  # for the entries of live sessions, once links and status are whole
FLAPS_S = 3.0
FLAPPING = Wire("s2:8", "s3:9")
FIRST_STATUS = "s2:9"  # a port of a link
_COUNTS = re.compile(r"(duration|n_packets|n_bytes|idle_age|hard_age)=[^,\s]+,?\s*|cookie=0x\w+, ")


def run(options: Options, report: Report) -> None:
    """Run four cases with a stream each, and sessions that must survive all of them."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        one_subflow(lab)
        lab.start_controller(options.without)
        Reboots(lab, report).all_of_them()
        if options.prompt:
            lab.command_line()


class Reboots:
    """`ue` has two sessions over each of its three accesses, and a stream over the first; s3 and s5 are the edges of the others.

    Each session has one subflow, since with more the kernel's scheduler would be measured.
    """

    def __init__(self, lab: Lab, report: Report) -> None:
        self.lab, self.report = lab, report
        self.target = address_of(PLAN.box("server"), 4)
        self.idle: list[int] = []  # TCP ports of sessions that live through all of it
        report.table = [["case", "longest silence", "told of an error", "whole again after"]]

    def all_of_them(self) -> None:
        agent = self.lab.agents["ue"]
        agent.ask("ping", dst=self.target, count=3)
        for nic in range(len(PLAN.box("ue").nics)):
            order = {"dst": self.target, "ports": [SERVICE], "src": address_of(PLAN.box("ue"), 4, nic)}
            opened = agent.ask("open", group="idle", count=2, mptcp=True, first=True, **order)["opened"]
            self.idle += [one["local"][1] for one in opened if "local" in one]
        self.report.equal("sessions by three accesses, opened", 6, len(self.idle))
        self.case("one reboots", lambda: self.reboot(ONE), SHORT_S)
        self.case("two reboot together", lambda: self.reboot(TWO), CUT_OFF_S)
        self.case("a port flaps ten times a second", self.flap, SHORT_S)
        self.case("a status that changes nothing", self.say_the_same, SHORT_S)
        broken = agent.ask("echo", group="idle")["failed"]
        self.report.equal("sessions that broke, of six that idled all the while", [], broken)

    def case(self, title: str, happen: Callable[[], None], most: float) -> None:
        """Run a stream while `happen` is called; then wait until the network is whole again by itself."""
        lab, report = self.lab, self.report
        lab.say(title)
        stream = Stream(lab)
        capture = lab.capture_port("s4:1")
        ports = [*self.idle, stream.port()]
        before = self.entries(ports)
        happen()
        whole = await_(lambda: is_whole(lab), WHOLE_S)
        time.sleep(1.0)
        await_(lambda: before <= self.entries(ports), ENTRIES_S)
        after = self.entries(ports)
        seen = stream.end()
        lab.stop_captures()
        report.equal(f"{title}: error, wrong bytes", ("", False), (seen["error"], seen["wrong"]))
        found = f"{seen['own_s']:.3f} s, {seen['silence_s']:.3f} s with what this machine was late"
        report.expect(f"{title}: longest silence", seen["own_s"] < most, f"under {most:g} s", found)
        report.expect(
            f"{title}: links, graph and status are whole",
            whole is not None,
            f"in {WHOLE_S:.0f} s",
            whole,
            "REST",
        )
        report.expect(
            f"{title}: entries of live sessions", before <= after and bool(before), f"all {len(before)}",
            f"{len(before & after)} of {len(before)}", "kernel",
        )  # fmt: skip
        segments = len(list(capture.segments()))
        report.expect(f"{title}: segments at the server's port", segments > 0, "some", segments, "capture")
        (fresh,) = lab.agents["ue"].ask(
            "open", group=title, dst=self.target, ports=[SERVICE], mptcp=True, first=True
        )["opened"]
        report.expect(
            f"{title}: a new connection afterwards is MPTCP", bool(fresh.get("token")), "a token",
            fresh.get("error") or fresh.get("token"), "kernel",
        )  # fmt: skip
        lab.agents["ue"].ask("close", group=title)
        self.figures(title, seen, whole)

    def figures(self, title: str, seen: dict[str, Any], whole: float | None) -> None:
        error, shown = bool(seen["error"]), None if whole is None else round(whole, 2)
        self.report.figures[title] = {
            "longest_silence_s": seen["silence_s"], "told_of_an_error": error, "whole_after_s": shown,
        }  # fmt: skip
        told = "yes" if error else "no"
        self.report.table.append([title, f"{seen['silence_s'] * 1000:.0f} ms", told, f"{shown} s"])

    def entries(self, ports: list[int]) -> set[str]:
        """The entries in all switches of the sessions with these ports of `ue`, without their counters."""
        ends = tuple(end for port in ports for end in (f"tp_src={port},", f"tp_dst={port} "))
        return {
            f"{switch} {_COUNTS.sub('', line).strip()}"
            for switch in PLAN.switches
            for line in ofctl(self.lab.switch(switch), "dump-flows", SESSION_ENTRIES).splitlines()
            if any(end in line for end in ends)
        }

    def reboot(self, switches: tuple[str, ...]) -> None:
        for name in switches:
            self.lab.switch_off(name)
        time.sleep(OFF_S)
        for name in switches:
            self.lab.switch_on(name)
        for name in switches:
            self._say_the_same(f"{name}:8")  # the first that is heard of that port
        time.sleep(OFF_S)

    def flap(self) -> None:
        count = Cable(self.lab, FLAPPING).flap(FLAPS_S)
        self.report.expect("losses of carrier", count > FLAPS_S, f"more than {FLAPS_S:.0f}", count)
        time.sleep(OFF_S)

    def say_the_same(self) -> None:
        for _ in range(20):
            self._say_the_same(FIRST_STATUS)
            time.sleep(0.1)

    def _say_the_same(self, port: str) -> None:
        """Have a switch send a port status without a change of state, by a setting that concerns no packet."""
        name, number = split_port(port)
        for setting in ("no-packet-in", "packet-in"):
            ofctl(self.lab.switch(name), "mod-port", str(number), setting)


SCENARIO = Scenario(
    name="switch-reboot",
    figure="docs/failover.rst",
    rows=ROWS,
    summary="switches of a ring reboot, one and two together, a port flaps: all is whole again, and no session notices for long",
    plan=PLAN,
    run=run,
    controls=controls("link-return"),
    alone=True,
)
