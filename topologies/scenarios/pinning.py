"""Pinning under everything that could break it: another MCP is preferred when a session's join comes than at its
first SYN, the second access is behind a NAT, joins reach the controller before their token, and plain connections go
on all the time.

There are three groups of sessions. Those of `first` are opened while alpha is preferred, send nothing, and join when
beta is preferred. Those of `second` do the same the other way round. Those of `racing` send data at once, and their
joins reach the controller before the copy of the SYN/ACK, because the messages of beta's switch are delayed.
"""

import time
from collections.abc import Callable

from topologies.kit import kernel_counters
from topologies.kit.captures import Capture
from topologies.kit.lab import Lab, running
from topologies.kit.plan import address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import pins
from topologies.networks.two_mcps import ACCESS_PORTS, MCPS, NATURAL_PORTS, SERVICES, two_mcps

LATE_MS = 60  # ms of delay; on a busy machine a join may follow its SYN/ACK by 20 ms
ROWS = ("D-6.2c", "D-4.a", "D-4.c", "D-4.d", "D-6.4h")
PLAN = two_mcps("pinning", slow=(("s5", LATE_MS),))
SESSIONS = 200
NATURAL_PER_SESSION = 10
CHURN_RATE = 80  # plain connections per second of each host
HOSTS = ("ue1", "ue2")
SETTLE_S = 8.0  # seconds to wait for joins: a lost one is sent again after 1, 2 and 3 s
CLOSE_GAP_S = 0.01  # seconds between closes. Copies of FINs pass a meter, so a burst of closes would be counted only in part


def run(options: Options, report: Report) -> None:
    """Open three groups of sessions, and judge them together while all of them live."""
    total = options.sessions or SESSIONS
    first, second = 2 * total // 5, 3 * total // 10
    racing = total - first - second
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        bench = Bench(lab, report)
        bench.warm_up()
        bench.watch(total * NATURAL_PER_SESSION)
        bench.prefer("alpha", first + 20)
        bench.open("first", first, speak=False)
        bench.dismiss_fillers()
        bench.open("second", second, speak=False)
        bench.expect_turned("first", "beta")
        bench.speak("first")
        bench.open("racing", racing, speak=True)
        bench.prefer("alpha", 20)
        bench.expect_turned("second", "alpha")
        bench.speak("second")
        bench.settle(total)
        if options.prompt:
            lab.command_line()
        bench.judge(total, total * NATURAL_PER_SESSION)


class Bench:
    """The steps of the run. Sessions of the three groups stay open until the end. Fillers are sessions that only make
    load."""

    def __init__(self, lab: Lab, report: Report) -> None:
        self.lab, self.report = lab, report
        self.target = {f: address_of(PLAN.box("server"), f) for f in (4, 6)}
        self._groups: dict[str, set[tuple[str, int]]] = {}
        self._fillers = 0
        self._captures: dict[str, Capture] = {}

    def warm_up(self) -> None:
        """Have all neighbours found before anything is measured."""
        for name in HOSTS:
            for target in self.target.values():
                self.lab.agents[name].ask("ping", dst=target, count=3)

    def watch(self, natural: int) -> None:
        """Begin the captures, note the counters, and start the plain connections."""
        lab = self.lab
        for port in (*ACCESS_PORTS, *NATURAL_PORTS, *(p.port for p in PLAN.points)):
            self._captures[port] = lab.capture_port(port)
        lab.mark()
        lab.say(f"{natural} plain connections and more begin, {CHURN_RATE} a second from each host")
        for name in HOSTS:
            lab.agents[name].ask(
                "start",
                name="churn",
                kind="churn",
                dst=self.target[4],
                ports=SERVICES,
                count=natural // len(HOSTS),
                rate=CHURN_RATE,
            )

    def open(self, group: str, count: int, speak: bool) -> None:
        """Open `count` sessions from both hosts at once, half of ue1's over IPv6. With `speak` they send data, so
        joins follow."""
        self.lab.say(f"{count} sessions '{group}'" + (", joining at once" if speak else ", quiet"))
        share = count // 2
        plan = (("ue1", share // 2, 6), ("ue1", share - share // 2, 4), ("ue2", count - share, 4))
        for name, number, family in plan:
            self.lab.agents[name].send(
                "open",
                group=group,
                count=number,
                dst=self.target[family],
                ports=SERVICES,
                mptcp=True,
                first=speak,
            )
        opened = [(name, one) for name, _, _ in plan for one in self.lab.agents[name].answer()["opened"]]
        failed = [one["error"] for _, one in opened if "error" in one]
        self.report.equal(f"sessions '{group}' that failed to open", [], failed[:3])
        self._groups[group] = {tuple(one["local"]) for _, one in opened if "error" not in one}

    def speak(self, group: str) -> None:
        """Have the sessions of a quiet group send their first bytes, after which they join."""
        self.lab.say(f"'{group}' speaks, so it joins")
        for name in HOSTS:
            self.lab.agents[name].send("echo", group=group)
        failed = [error for name in HOSTS for error in self.lab.agents[name].answer()["failed"]]
        self.report.equal(f"sessions '{group}' whose echo failed", [], failed[:3])

    def prefer(self, mcp: str, margin: int) -> None:
        """Make an MCP the less loaded one: open fillers on both MCPs, and close those at this MCP."""
        loads = self._loads()
        behind = loads[mcp] - min(loads.values())
        count = 2 * (margin + behind)
        group = f"fill{self._fillers}"
        self._fillers += 1
        self.lab.say(f"{count} idle sessions, then those on {mcp} go: it becomes the one to prefer")
        opened = self.lab.agents["ue2"].ask(
            "open", group=group, count=count, dst=self.target[4], ports=SERVICES, mptcp=True
        )["opened"]
        ours = {tuple(one["local"]) for one in opened if "error" not in one}
        on_it = [port for address, port in ours & self._clients(mcp)]
        self.lab.agents["ue2"].ask("close", group=group, locals=on_it, gap=CLOSE_GAP_S)
        self._wait_loads(lambda now: now[mcp] + margin <= max(now.values()))

    def dismiss_fillers(self) -> None:
        """Close all fillers."""
        left = sum(self._loads().values()) - self._close_fillers()
        self._wait_loads(lambda now: sum(now.values()) <= left)

    def _close_fillers(self) -> int:
        closed = 0
        for number in range(self._fillers):
            answer = self.lab.agents["ue2"].ask("close", group=f"fill{number}", gap=CLOSE_GAP_S)
            closed += answer["closed"]
        return closed

    def expect_turned(self, group: str, preferred: str) -> None:
        """Check that every session of the group is at the other MCP, and that a new one would go to `preferred`."""
        other = next(m for m in MCPS if m != preferred)
        at = len(self._groups[group] & self._clients(other))
        loads = self._loads()
        wanted = len(self._groups[group])
        self.report.expect(
            f"ranking turned between SYN and join of '{group}'",
            at == wanted and loads[preferred] < loads[other],
            f"all {wanted} at {other} and {preferred} less loaded now",
            f"{at} at {other}, loads {loads}",
            "REST",
        )

    def _clients(self, mcp: str) -> set[tuple[str, int]]:
        rows = self.lab.controller.sessions()
        return {_endpoint(row["client"]) for row in rows if row["mcp"] == mcp}

    def _loads(self) -> dict[str, int]:
        return {name: mcp["sessions"] for name, mcp in self.lab.controller.mcps().items()}

    def _wait_loads(self, ready: Callable[[dict[str, int]], bool]) -> None:
        limit = time.monotonic() + SETTLE_S
        while not ready(self._loads()) and time.monotonic() < limit:
            time.sleep(0.2)

    def settle(self, total: int) -> None:
        """Wait until every join is answered, or SETTLE_S are over; then stop the plain connections."""
        lab = self.lab
        self._close_fillers()
        limit = time.monotonic() + SETTLE_S
        while time.monotonic() < limit:
            if sum(lab.counted(name)["MPJoinSynAckRx"] for name in HOSTS) >= total:
                break
            time.sleep(0.3)
        lab.say("waiting for the plain connections to end")
        for name in HOSTS:
            lab.agents[name].ask("stop", name="churn")
        for name in HOSTS:
            done = lab.agents[name].finish("churn", 180)
            self.report.equal(
                f"plain connections of {name} that failed", (0, []), (done["failed"], done["errors"])
            )

    def judge(self, total: int, natural: int) -> None:
        """Judge the three views."""
        lab, report = self.lab, self.report
        lab.say("judging: kernels, captures, REST")
        kernel = pins.kernel_view(
            {
                name: [s for s in kernel_counters.subflows(lab.host(name)) if s.flow.dport in SERVICES]
                for name in HOSTS
            },
            {name: kernel_counters.subflows(lab.host(name)) for name in MCPS},
            SERVICES,
        )
        counted = {name: lab.counted(name) for name in (*HOSTS, *MCPS)}
        sessions = [s for s in lab.controller.detailed() if len(s["subflows"]) > 0]
        lab.stop_captures()
        read = {port: capture.segments() for port, capture in self._captures.items()}
        captured = pins.capture_view(
            [s for port in ACCESS_PORTS for s in read[port]],
            {point.name: read[point.port] for point in PLAN.points},
            [s for port in NATURAL_PORTS for s in read[port]],
        )
        pins.judge_kernel(report, kernel, total, counted, HOSTS, MCPS)
        pins.judge_capture(report, captured, total, natural)
        pins.judge_rest(report, sessions, kernel)
        held = lab.controller.metric("steering_joins_total", result="held")
        report.expect(
            "joins that overtook their token were held", held > 0, "more than 0", f"{held:.0f}", "REST"
        )
        report.figures.update(
            sessions=total,
            natural=captured.natural_seen,
            joins_held=held,
            leaked=len(captured.leaked),
            pinned={m: len(kernel.pinned[m]) for m in MCPS},
            counters=counted,
        )
        report.table = [["MCP", "sessions with both subflows", "joins completed", "unknown token"]]
        for m in MCPS:
            report.table.append(
                [
                    m,
                    str(len(kernel.pinned[m])),
                    str(counted[m]["MPJoinAckRx"]),
                    str(counted[m]["MPJoinNoTokenFound"]),
                ]
            )


def _endpoint(text: str) -> tuple[str, int]:
    """Address and port of `10.1.0.2:4711` or `[fd00:1::2]:4711`."""
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


SCENARIO = Scenario(
    name="pinning",
    figure="draft-deng section 6.2",
    rows=ROWS,
    summary="200 sessions, two MCPs, turned ranking, NAT, early joins, 2,000 plain connections: no stray segment",
    plan=PLAN,
    run=run,
    controls=controls("token-lookup", "wrong-mcp", "hold-queue", "un-wildcarding"),
)
