"""Proactive insertion: entries that are set in advance lead all TCP of a subscriber to one MCP, from both accesses.
So the controller sees no first SYN and no join. Set-up times with and without are measured in the same run.

At the end the controller is killed and started again, and the subscriber's MCP is drained. Live sessions stay there,
also those that join only then. New sessions go to the other MCP.
"""

import time
from statistics import median

from topologies.kit import kernel_counters
from topologies.kit.lab import Lab, running
from topologies.kit.plan import address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import pins
from topologies.networks.two_mcps import MCPS, NATURAL_PORTS, POLICY, SERVICES, two_mcps

ROWS = ("S-18", "D-4.d")
PLAN = two_mcps("proactive")
AHEAD = f"""{POLICY}
subscribers:
  - {{id: household, prefixes: [10.1.0.2/32, 10.2.0.2/32, "fd00:1::2/128", "fd00:2::2/128"]}}
rules:
  - {{name: ahead, when: {{subscriber: household}}, then: {{insertion: proactive}}}}
"""
SESSIONS, FEW = 30, 9
CONNECTS = 60  # for set-up times, of each kind
SETTLE_S = 20.0  # most that is waited for joins, and for sessions to end
IN_FORCE_S = 20.0  # most that the policy is waited for; how long it took is a figure
KEPT_S = 5.0  # seconds until a new session is stored
MOVED_S = 20.0  # most seconds until a drained MCP gets no new session: a controller that has just started waits before it moves a unit


def run(options: Options, report: Report) -> None:
    """Reactive, then proactive, then drained."""
    # Where nothing is kept every session breaks, and each is waited for.
    total = options.sessions or (FEW if "keeping" in options.without else SESSIONS)
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        test = ProactiveHousehold(lab, report)
        test.warm_up()
        test.begin_reactively(total // 3)
        reactive = test.set_up_times("reactive")
        test.set_ahead()
        test.without_a_syn(total)
        proactive = test.set_up_times("proactive")
        report.table = [["insertion", "p50", "p95"], _row("reactive", reactive), _row("proactive", proactive)]
        report.figures["set_up_ms"] = {"reactive": reactive, "proactive": proactive}
        test.restart(total // 3)
        test.drain(total // 3)
        if options.prompt:
            lab.command_line()
        test.judge()


def _row(name: str, times: tuple[float, float]) -> list[str]:
    return [name, *(f"{ms:.2f} ms" for ms in times)]


class ProactiveHousehold:
    """The steps of the run. ue1 is the household. Sessions stay open until they are judged."""

    def __init__(self, lab: Lab, report: Report) -> None:
        self.lab, self.report = lab, report
        self.agent = lab.agents["ue1"]
        self.target = {f: address_of(PLAN.box("server"), f) for f in (4, 6)}
        self.opened = 0
        self.captures = {p: lab.capture_port(p) for p in ("s1:1", "s2:1", *(x.port for x in PLAN.points))}
        self.links = {port: lab.capture_port(port) for port in NATURAL_PORTS}

    def warm_up(self) -> None:
        """Have all neighbours found before anything is measured."""
        for target in self.target.values():
            self.agent.ask("ping", dst=target, count=3)
        self.lab.mark()

    def open(self, group: str, count: int, speak: bool = True) -> None:
        """Open sessions of both families, which stay open. They join when they send data."""
        for family, number in ((4, count - count // 2), (6, count // 2)):
            opened = self.agent.ask(
                "open", group=group, count=number, dst=self.target[family], ports=SERVICES, mptcp=True,
                first=speak,
            )["opened"]  # fmt: skip
            failed = [one["error"] for one in opened if "error" in one]
            self.report.equal(f"sessions '{group}' over IPv{family} that failed to open", [], failed[:3])
            self.opened += len(opened)

    def speak(self, group: str) -> None:
        """Have an echo on each connection of a group."""
        failed = self.agent.ask("echo", group=group)["failed"]
        self.report.equal(f"connections '{group}' whose echo failed", [], failed[:3])

    def set_up_times(self, kind: str) -> tuple[float, float]:
        """Measure connect() over MPTCP: median and 95th percentile in ms. No check uses them."""
        self.lab.say(f"{CONNECTS} connections for set-up times, {kind}")
        opened = self.agent.ask(
            "open", group="times", count=CONNECTS, dst=self.target[4], ports=SERVICES, mptcp=True
        )["opened"]
        self.agent.ask("close", group="times", gap=0.005)
        times = sorted(one["connect_s"] * 1000 for one in opened if "error" not in one)
        self.report.equal(f"{kind}: connections for set-up times", CONNECTS, len(times), "kernel")
        if not times:
            return 0.0, 0.0
        return round(median(times), 3), round(times[int(0.95 * len(times))], 3)

    def begin_reactively(self, count: int) -> None:
        """Open sessions and plain connections before the new policy, under which they go on."""
        self.lab.say(f"{count} sessions and as many plain connections, reactive")
        self.open("before", count)
        self.opened -= count
        self.agent.ask(
            "open", group="plain", count=count, dst=self.target[4], ports=SERVICES, mptcp=False, first=True
        )

    def set_ahead(self) -> None:
        """Put the policy in force over REST. Connections from before are not disturbed, and then end."""
        lab = self.lab
        lab.say("policy: proactive for the household")
        asked = time.monotonic()
        lab.controller.put_policy(AHEAD)
        wanted = {"proactive"}
        found: set[str] = set()
        while found != wanted and time.monotonic() < asked + IN_FORCE_S:
            time.sleep(0.1)
            found = {str(self._whatif(source)["reason"]) for source in ("10.1.0.2", "10.2.0.2")}
        self.report.equal("proactive: `whatif` says so for both accesses", wanted, found, "REST")
        self.report.figures["in_force_s"] = round(time.monotonic() - asked, 3)
        winners = {str(self._whatif(source)["winner"]) for source in ("10.1.0.2", "10.2.0.2")}
        self.report.equal("proactive: both accesses lead to one MCP", 1, len(winners), "REST")
        self.speak("before")
        self.speak("plain")
        for group in ("before", "plain"):
            self.agent.ask("close", group=group, gap=0.01)
        limit = time.monotonic() + SETTLE_S
        while time.monotonic() < limit and any(s["state"] == "closing" for s in lab.controller.sessions()):
            time.sleep(0.2)
        time.sleep(1.2)  # the controller looks for old sessions once a second

    def _whatif(self, source: str) -> dict[str, object]:
        return self.lab.controller.whatif(source, self.target[4], SERVICES[0])

    def without_a_syn(self, total: int) -> None:
        """Open sessions that join: none of their SYNs reaches the controller."""
        lab, report = self.lab, self.report
        lab.say(f"{total} sessions and their joins, proactive")
        before = self._syns(), self._joins()
        self.open("ahead", total)
        limit = time.monotonic() + SETTLE_S
        while self._joins() < before[1] + total and time.monotonic() < limit:
            time.sleep(0.2)
        report.equal("proactive: joins answered", total, self._joins() - before[1], "kernel")
        report.equal("proactive: SYNs that came to the controller", 0, self._syns() - before[0], "REST")
        known = [s for s in lab.controller.detailed() if s["insertion"] == "proactive" and s["token"]]
        report.expect(
            "proactive: sessions the controller knows all the same, with token and both subflows",
            sum(len(s["subflows"]) == 2 for s in known) == total,
            total,
            [len(s["subflows"]) for s in known],
            "REST",
        )

    def _syns(self) -> float:
        return self.lab.controller.metric("steering_packet_ins_total", **{"class": "syn"})

    def _joins(self) -> int:
        return self.lab.counted("ue1")["MPJoinSynAckRx"]

    def restart(self, count: int) -> None:
        """Kill the controller and start another. Switches have no entries of these sessions, and yet it knows them."""
        lab = self.lab
        lab.say(f"{count} quiet sessions, then kill -9 of the controller")
        self.open("quiet", count, speak=False)
        time.sleep(KEPT_S)
        tokens = self._tokens()
        lab.controller.policy.write_text(AHEAD)
        lab.controller.kill()
        lab.start_controller()
        self.report.equal(
            "restarted: sessions by token and MCP are the same", (0, self.opened),
            (len(tokens.items() ^ self._tokens().items()), len(tokens)), "REST",
        )  # fmt: skip
        self.speak("ahead")

    def _tokens(self) -> dict[str, str]:
        return {s["token"]: s["mcp"] for s in self.lab.controller.sessions() if s["state"] == "established"}

    def drain(self, count: int) -> None:
        """Drain the household's MCP: it gets no new session. Quiet sessions at it join only now."""
        lab = self.lab
        old = self._whatif("10.1.0.2")["winner"]
        lab.say(f"{old} is drained")
        if old is not None:
            lab.controller.request("POST", f"/v1/mcps/{old}/drain")
        limit = time.monotonic() + MOVED_S
        while self._whatif("10.1.0.2")["winner"] == old and time.monotonic() < limit:
            time.sleep(0.1)
        self.report.expect(
            "drained: new connections lead to the other MCP",
            self._whatif("10.1.0.2")["winner"] not in (old, None),
            f"not {old}",
            self._whatif("10.1.0.2")["winner"],
            "REST",
        )
        joined = self._joins()
        self.open("after", count)
        self.speak("quiet")
        self.speak("ahead")
        limit = time.monotonic() + SETTLE_S
        while self._joins() < joined + 2 * count and time.monotonic() < limit:
            time.sleep(0.2)

    def judge(self) -> None:
        """Check that all sessions live, each with two subflows at one MCP, by kernels, captures and REST."""
        lab, report = self.lab, self.report
        lab.say("judging: kernels, captures, REST")
        kernel = pins.kernel_view(
            {"ue1": [s for s in kernel_counters.subflows(lab.host("ue1")) if s.flow.dport in SERVICES]},
            {name: kernel_counters.subflows(lab.host(name)) for name in MCPS},
            SERVICES,
        )
        sessions = [s for s in lab.controller.detailed() if s["subflows"] and s["state"] == "established"]
        lab.stop_captures()
        report.equal("sessions that are not whole at one MCP", [], kernel.wrong[:5], "kernel")
        report.equal(
            "sessions with both subflows at one MCP",
            self.opened,
            sum(map(len, kernel.pinned.values())),
            "kernel",
        )
        report.expect(
            "both MCPs have some: the drained one its own, the other what came after",
            all(kernel.pinned[name] for name in MCPS),
            "more than 0 each",
            {name: len(kernel.pinned[name]) for name in MCPS},
            "kernel",
        )
        counted = [lab.counted(name)["MPJoinNoTokenFound"] for name in MCPS]
        report.equal("joins that came to an MCP without their token", 0, sum(counted), "kernel")
        read = {port: capture.segments() for port, capture in self.captures.items()}
        view = pins.capture_view(
            [*read["s1:1"], *read["s2:1"]],
            {point.name: read[point.port] for point in PLAN.points},
            [s for capture in self.links.values() for s in capture.segments()],
        )
        report.equal("joins captured at an MCP whose key is another", [], view.mispinned[:5], "capture")
        report.equal("joins that came to no MCP", [], view.undelivered[:5], "capture")
        report.equal("segments of steered 5-tuples on natural links", [], view.leaked[:3], "capture")
        pins.judge_rest(report, sessions, kernel)


SCENARIO = Scenario(
    name="proactive",
    figure="draft-deng section 6.2, without a SYN at the controller",
    rows=ROWS,
    summary="entries set ahead: no SYN waits, joins find their session, a drained MCP keeps what it has",
    plan=PLAN,
    run=run,
    controls=controls("proactive", "one-mcp", "keeping"),
)
