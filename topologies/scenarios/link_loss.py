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
)
from topologies.networks.backbones import label_core, ring

ROWS = ("D-6.7.1",)
CORE, RING = label_core("link-loss"), ring("link-loss-ring")
# A link that the session's segments take, and the next on their way, where BFD runs.
CARRIER = {CORE.name: Wire("s3:5", "s5:3"), RING.name: Wire("s2:8", "s3:9")}
CHECKED = {CORE.name: Wire("s4:5", "s5:4"), RING.name: Wire("s3:8", "s4:9")}
AWAY_S = 2.0
SHORT_S = 0.5  # carrier loss goes unnoticed by people: 20 to 50 ms here, on a busy machine more
BFD_MS = 100
BFD_S = 1.5
LLDP_S = 3.0
SLACK_S = 1.0  # of a busy machine
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
        self.cable, self.checked = Cable(lab, CARRIER[plan.name]), Cable(lab, CHECKED[plan.name])

    def all_of_them(self) -> None:
        lab, report, network = self.lab, self.report, self.network
        lab.agents["ue"].ask("ping", dst="10.9.0.2", count=3)
        groups = [name for name in lab.plan.switches if "type=ff" in ofctl(lab.switch(name), "dump-groups")]
        report.equal(f"{network}: switches with failover groups", list(lab.plan.switches), groups, "kernel")
        self.case("carrier", self.carrier, SHORT_S)
        self.case("carrier, no controller", self.alone, SHORT_S)
        self.case("silent, BFD", self.silent_checked, BFD_S)
        self.case("silent, LLDP", self.silent, None)
        self.case("flapping", self.flapping, None)

    def case(self, name: str, lose: Callable[[str], None], most: float | None) -> None:
        """Run a stream, lose a link, and judge what the stream noticed. The network is whole again before the next case."""
        lab, report, title = self.lab, self.report, f"{self.network}, {name}"
        lab.say(title)
        stream = Stream(lab)
        port = lab.plan.points[0].port
        capture = lab.capture_port(port)
        lose(title)
        seen = stream.end()
        lab.stop_captures()
        report.equal(f"{title}: error, wrong bytes", ("", False), (seen["error"], seen["wrong"]))
        if most is not None:
            held = seen["own_s"] < most
            found = f"{seen['own_s']:.3f} s, {seen['silence_s']:.3f} s with what this machine was late"
            report.expect(f"{title}: longest silence", held, f"under {most:g} s", found)
        segments = len(list(capture.segments()))
        report.expect(f"{title}: segments at the MCP", segments > 0, "some", segments, "capture")
        whole = await_(lambda: is_whole(lab))
        report.expect(
            f"{title}: links and status are whole afterwards", whole is not None, "yes", whole, "REST"
        )
        report.figures[title] = self.figures(seen)
        told = "yes" if seen["error"] else "no"
        report.table.append([self.network, name, f"{seen['silence_s'] * 1000:.0f} ms", told])

    @staticmethod
    def figures(seen: dict[str, Any]) -> dict[str, Any]:
        return {"longest_silence_s": seen["silence_s"], "told_of_an_error": bool(seen["error"])}

    def carrier(self, title: str) -> None:
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
        self._silent(title, self.cable, LLDP_S + SLACK_S)

    def _silent(self, title: str, cable: Cable, most: float) -> None:
        cable.silence()
        try:
            told = await_(lambda: not cable.counts())
            time.sleep(AWAY_S)
        finally:
            cable.speak()
        self.report.expect(
            f"{title}: told as lost", told is not None and told < most, f"within {most:g} s", told, "REST"
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
