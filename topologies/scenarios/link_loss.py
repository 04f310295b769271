"""Links between switches fail under a pinned session, in a core of switches that forward by labels alone, and in a ring.

Each kind of loss is tried by itself. The loss of carrier is also tried without a controller, where only the switches can react.
"""

import time
from collections.abc import Callable
from typing import Any

from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.plan import Plan, Wire
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures.link_cuts import (
    Cable,
    Stream,
    await_,
    is_whole,
    one_subflow,
    run_bfd,
    silence_at,
)
from topologies.networks.backbones import label_core, ring
from topologies.programs.lateness import Lateness

ROWS = ("D-6.7.1",)
CORE, RING = label_core("link-loss"), ring("link-loss-ring")
# A link that the session's segments take, and the next on their way, where BFD runs.
CARRIER = {CORE.name: Wire("s3:5", "s5:3"), RING.name: Wire("s2:8", "s3:9")}
CHECKED = {CORE.name: Wire("s4:5", "s5:4"), RING.name: Wire("s3:8", "s4:9")}
AWAY_S = 2.0
# Seconds. Where what was under way last is lost with the link, TCP's time-out of 0.2 s at least is added: 0.25 at most was seen.
SHORT_S = 0.5
FLAPPING_S = 1.0  # the time-out doubles where what was sent again is lost, too: 0.53 at most was seen (lab switch-reboot)
CORE_S = 0.05  # silence of a stream by a core that knows only labels, by the median of LOSSES
LOSSES, SOON_S = 5, 0.5
BFD_MS = 100
BFD_S = 1.5
LLDP_S = 3.0  # until a link that is silent is told as lost
# TCP sends again after some 0.2, 0.6, 1.4, 3.0 and 6.2 s: the first that goes around the link is the fourth or the fifth.
LLDP_SILENCE_S = 7.0
FLAPS_S = 3.0


def run(options: Options, report: Report) -> None:
    """The same cases in both networks."""
    report.table = [["network", "case", "longest silence", "told of an error"]]
    for plan, network in ((CORE, "core"), (RING, "ring")):
        with running(plan, options.say, options.without, options.keep) as lab:
            lab.start_services()
            one_subflow(lab)
            run_bfd(lab, BFD_MS)
            lab.start_controller(options.without)
            for point in plan.points[1:]:
                # The links that fail are on the first MCP's path. Two equal MCPs would share the streams by chance.
                lab.controller.request("POST", f"/v1/mcps/{point.name}/drain")
            Losses(lab, report, plan, network).all_of_them()
            if options.prompt:
                lab.command_line()


class Losses:
    """One network's cases."""

    def __init__(self, lab: Lab, report: Report, plan: Plan, network: str) -> None:
        self.lab, self.report, self.network = lab, report, network
        self.lost_at = 0.0  # when the carrier was lost last
        self.cable, self.checked = Cable(lab, CARRIER[plan.name]), Cable(lab, CHECKED[plan.name])

    def all_of_them(self) -> None:
        lab, report, network = self.lab, self.report, self.network
        lab.agents["ue"].ask("ping", dst="10.9.0.2", count=3)
        groups = [name for name in lab.plan.switches if "type=ff" in ofctl(lab.switch(name), "dump-groups")]
        report.equal(f"{network}: switches with failover groups", list(lab.plan.switches), groups, "kernel")
        at_the_loss = []
        for _ in range(LOSSES if network == "core" else 1):
            seen = self.case("carrier", self.carrier, SHORT_S)
            at_the_loss.append(silence_at(seen, self.lost_at, SOON_S))
        if network == "core":
            self.median(f"{network}, carrier", sorted(at_the_loss))
        self.case("carrier, no controller", self.alone, SHORT_S)
        self.case("silent, BFD", self.silent_checked, BFD_S)
        self.case("silent, LLDP", self.silent, LLDP_SILENCE_S)
        self.case("flapping", self.flapping, FLAPPING_S)

    def median(self, title: str, silences: list[float]) -> None:
        """Of several losses one by one: the longest silence from the loss on, without what this machine was late. How long this
        machine keeps all of them waiting at other times has nothing to do with it."""
        middle, shown = silences[LOSSES // 2], ", ".join(f"{one:.3f}" for one in silences)
        name = f"{title}: median of {LOSSES} silences at the loss"
        self.report.expect(name, middle < CORE_S, f"under {CORE_S:g} s", f"{shown} s")
        self.report.figures[f"{title}, at the loss, median of {LOSSES}"] = {
            "longest_silence_s": round(middle, 3), "told_of_an_error": False,
        }  # fmt: skip

    def case(self, name: str, lose: Callable[[str], None], most: float) -> dict[str, Any]:
        """Run a stream, lose a link, and judge what the stream noticed. The network is whole again before the next case. Of losses
        of one name the longest silence stays in the figures."""
        lab, report, title = self.lab, self.report, f"{self.network}, {name}"
        lab.say(title)
        stream = Stream(lab)
        port = lab.plan.points[0].port
        capture = lab.capture_port(port)
        lose(title)
        seen = stream.end()
        lab.stop_captures()
        report.equal(f"{title}: error, wrong bytes", ("", False), (seen["error"], seen["wrong"]))
        found = f"{seen['own_s']:.3f} s, {seen['silence_s']:.3f} s with what this machine was late"
        report.expect(f"{title}: longest silence", seen["own_s"] < most, f"under {most:g} s", found)
        segments = len(list(capture.segments()))
        report.expect(f"{title}: segments at the MCP", segments > 0, "some", segments, "capture")
        whole = await_(lambda: is_whole(lab))
        report.expect(
            f"{title}: links and status are whole afterwards", whole is not None, "yes", whole, "REST"
        )
        before = report.figures.get(title)
        if before is None or before["longest_silence_s"] < seen["silence_s"]:
            report.figures[title] = self.figures(seen)
        told = "yes" if seen["error"] else "no"
        report.table.append([self.network, name, f"{seen['silence_s'] * 1000:.0f} ms", told])
        return seen

    @staticmethod
    def figures(seen: dict[str, Any]) -> dict[str, Any]:
        return {"longest_silence_s": seen["silence_s"], "told_of_an_error": bool(seen["error"])}

    def carrier(self, title: str) -> None:
        self.lost_at = time.monotonic()
        self.cable.cut()
        time.sleep(AWAY_S)
        self.report.equal(f"{title}: the controller counts the link", False, self.cable.counts(), "REST")
        self.cable.mend()
        time.sleep(AWAY_S)

    def alone(self, title: str) -> None:
        lab = self.lab
        lab.controller.kill()
        time.sleep(0.2)
        self.cable.cut()
        time.sleep(AWAY_S)
        self.cable.mend()
        time.sleep(0.5)
        lab.controller.start()
        lab.controller.wait_ready()

    def silent_checked(self, title: str) -> None:
        self._silent(title, self.checked, BFD_S)

    def silent(self, title: str) -> None:
        self._silent(title, self.cable, LLDP_S)

    def _silent(self, title: str, cable: Cable, most: float) -> None:
        began = time.monotonic()
        cable.silence()
        try:
            with Lateness() as late:
                told = await_(lambda: not cable.counts())
                took = time.monotonic() - began
                own = took - late.during(began, began + took)
                time.sleep(AWAY_S)
        finally:
            cable.speak()
        found = (
            f"{own:.2f} s, {took:.2f} s with what this machine was late" if told is not None else "not told"
        )
        self.report.expect(
            f"{title}: told as lost", told is not None and own < most, f"within {most:g} s", found, "REST"
        )

    def flapping(self, title: str) -> None:
        count = self.cable.flap(FLAPS_S)
        self.report.expect(f"{title}: losses of carrier", count > FLAPS_S, f"more than {FLAPS_S:.0f}", count)
        time.sleep(AWAY_S)


SCENARIO = Scenario(
    name="link-loss",
    figure="docs/failover.rst",
    rows=ROWS,
    summary="links fail under a pinned session: carrier, silence, flapping; in a core and in a ring; with and without a controller",
    plan=CORE,
    run=run,
    controls=controls("failover"),
    alone=True,
    variants={RING.name: RING},
)
