"""The controller is killed by SIGKILL with live sessions, and comes back without a database. Then an edge switch
loses its entries in the middle of a transfer.

Hosts check their gateways often, as their neighbour timers are short. So they would lose a gateway for which only the
controller answers while there is no controller.
"""

import time

from topologies.kit.captures import frames
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, ofctl, running, set_controller
from topologies.kit.network import add_endpoints, drop_endpoints
from topologies.kit.plan import address_of, first_host
from topologies.kit.processes import Agent
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures import pins
from topologies.networks.two_mcps import MCPS, SERVICES, two_mcps

ROWS = ("D-6.2c", "D-4.d", "D-1.m3")
PLAN = two_mcps("restart")
SESSIONS, FEW = 200, 8
ALONE_S = 60.0
NATURAL = 20  # plain connections that live through it
REACHABLE_MS = 3000  # ms for which hosts trust a neighbour
SETTLE_S = 20.0
PATIENCE_S = 10.0  # for an echo: what is lost is sent again after 0.2 s, 0.6 s and so on
PING_S = 3.0  # for the answer to a ping
FIRST_LOST, FEW_LOST = (
    0.1,
    2,
)  # part of the pings that a busy machine may lose, and how many it may lose of few
WIPED_AFTER_S, FILLED_S = 2.0, 5.0  # of the upload, before its switch is wiped and until it may carry again
WIPED_UPLOAD_S = 90.0  # it is stopped once it has been seen to carry again
MOVED_BYTES = 200_000  # a tenth of what an access carries in a second


def run(options: Options, report: Report) -> None:
    """Kill the controller, wait, start it, join on every session; then delete a switch's entries during an upload."""
    # Without read-back every session breaks, and the run waits for each: so there are fewer.
    total = options.sessions or (FEW if "read-back" in options.without else SESSIONS)
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        hurry_neighbours(lab)
        drop_endpoints(lab.host("ue1"))
        lab.start_controller(options.without)
        test = Restart(lab, report, total)
        test.open_sessions()
        test.alone(options.seconds or ALONE_S)
        test.come_back()
        test.join_all()
        test.wipe_edge()
        if options.prompt:
            lab.command_line()


def hurry_neighbours(lab: Lab) -> None:
    """Have a host doubt its neighbours after seconds, not after half a minute, and check them a second later."""
    for name in ("ue1", "ue2", "alpha", "beta", "server"):
        host = lab.host(name)
        for family in ("ipv4", "ipv6"):
            for interface in host.intfNames():
                base = f"net.{family}.neigh.{interface}"
                host.run(
                    f"sysctl -qw {base}.base_reachable_time_ms={REACHABLE_MS}",
                    f"sysctl -qw {base}.delay_first_probe_time=1",
                )


class Restart:
    """The steps of the run. `sessions` of ue1, half of them IPv6, have one subflow each until the controller is
    back."""

    def __init__(self, lab: Lab, report: Report, total: int) -> None:
        self.lab, self.report, self.total = lab, report, total
        self.agent = lab.agents["ue1"]
        self.target = {f: address_of(PLAN.box("server"), f) for f in (4, 6)}
        self.homes: dict[str, str] = {}

    def open_sessions(self) -> None:
        """Open sessions over one access that have sent data, and plain connections beside them."""
        self.lab.say(f"{self.total} sessions with one subflow each, {NATURAL} plain connections")
        for target in self.target.values():
            for name in ("ue1", "ue2"):
                self.lab.agents[name].ask("ping", dst=target, count=3)
        self.lab.mark()
        opened = []
        for family, count in ((4, self.total // 2), (6, self.total - self.total // 2)):
            opened += self.agent.ask(
                "open",
                group="sessions",
                count=count,
                dst=self.target[family],
                ports=SERVICES,
                mptcp=True,
                first=True,
            )["opened"]
            opened += self.agent.ask(
                "open",
                group="plain",
                count=NATURAL // 2,
                dst=self.target[family],
                ports=SERVICES,
                mptcp=False,
                first=True,
            )["opened"]
        self.report.equal(
            "connections that failed to open", [], [o["error"] for o in opened if "error" in o][:3]
        )
        for name in MCPS:
            for row in subflows(self.lab.host(name)):
                if row.flow.sport in SERVICES:
                    self.homes[row.own_token] = name
        spread = {name: list(self.homes.values()).count(name) for name in MCPS}
        self.report.expect(
            "sessions before the crash",
            sum(spread.values()) == self.total and min(spread.values()) > 0,
            f"{self.total}, some at each MCP",
            spread,
            "kernel",
        )

    def alone(self, seconds: float) -> None:
        """Wait without a controller: connections go on, gateways answer, and hosts confirm them again and again."""
        lab, report = self.lab, self.report
        lab.say(f"kill -9 of the controller, then {seconds:.0f} s without one")
        lab.controller.kill()
        # ue2 has no TCP: acknowledgements would confirm its gateways, and it would not have to ask.
        capture = lab.capture_port("s1:2", "arp or icmp6")
        quiet = lab.agents["ue2"]
        gateways = [first_host(text) for text in PLAN.box("ue2").nics[0].addresses]
        lost = {"gateway pings": 0, "server pings": 0, "plain echoes": 0}
        asked, first_lost = dict.fromkeys(lost, 0), {"gateway pings": 0, "server pings": 0}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for what, targets in (("gateway pings", gateways), ("server pings", list(self.target.values()))):
                for target in targets:
                    asked[what] += 1
                    if not self._answers(quiet, target):
                        first_lost[what] += 1
                        lost[what] += not self._answers(quiet, target)
            echoed = self.agent.ask("echo", group="plain", wait=PATIENCE_S)
            asked["plain echoes"] += echoed["asked"]
            lost["plain echoes"] += len(echoed["failed"])
            time.sleep(min(1.0, max(0.0, end - time.monotonic())))
        judge_natural(report, asked, first_lost, lost)
        lab.stop_captures()
        answers = frames(capture.file, "arp.opcode == 2 || icmpv6.type == 136")
        report.expect(
            "without a controller: neighbours were asked for and answered",
            answers >= seconds / 10,
            f"at least {seconds / 10:.0f} ARP and ND answers",
            answers,
            "capture",
        )
        broken = self.agent.ask("echo", group="sessions", wait=PATIENCE_S, enough=3)["failed"]
        report.equal("without a controller: sessions that broke", [], broken[:3])

    @staticmethod
    def _answers(agent: Agent, target: str) -> bool:
        return bool(agent.ask("ping", dst=target, count=1, wait=PING_S)["answered"])

    def come_back(self) -> None:
        """Start a new process with the same site file and nothing else. It reads the sessions back from the
        switches."""
        lab, report = self.lab, self.report
        lab.say("controller restarts")
        start = time.monotonic()
        lab.start_controller()
        lab.say(f"ready {time.monotonic() - start:.1f} s after its start")
        broken = self.agent.ask("echo", group="sessions", wait=PATIENCE_S, enough=3)["failed"]
        report.equal("after the restart: sessions that broke", [], broken[:3])
        account = {row["token"]: row["mcp"] for row in lab.controller.sessions() if row["token"]}
        missing = {t: m for t, m in self.homes.items() if account.get(t) != m}
        report.expect(
            "after the restart: every session is known with its token and MCP",
            not missing,
            f"{len(self.homes)}",
            f"{len(self.homes) - len(missing)}, not {list(missing.items())[:3]}",
            "REST",
        )

    def join_all(self) -> None:
        """Add the second access: the kernel joins on every session at once."""
        lab, report = self.lab, self.report
        lab.say("the second access appears: a join on every session")
        lab.mark()
        add_endpoints(lab.host("ue1"), PLAN.box("ue1").nics[1], 1)
        limit = time.monotonic() + SETTLE_S
        while lab.counted("ue1")["MPJoinSynAckRx"] < self.total and time.monotonic() < limit:
            time.sleep(0.2)
        broken = self.agent.ask("echo", group="sessions", wait=PATIENCE_S, enough=3)["failed"]
        report.equal("after the joins: sessions that broke", [], broken[:3])
        kernel = pins.kernel_view(
            {"ue1": subflows(lab.host("ue1"))},
            {name: subflows(lab.host(name)) for name in MCPS},
            SERVICES,
        )
        counted = {name: lab.counted(name) for name in ("ue1", *MCPS)}
        pins.judge_kernel(report, kernel, self.total, counted, ("ue1",), MCPS)
        moved = {t for name, tokens in kernel.pinned.items() for t in tokens if self.homes.get(t) != name}
        report.equal("sessions at another MCP than before the crash", set(), moved, "kernel")
        sessions = [s for s in lab.controller.detailed() if s["subflows"]]
        pins.judge_rest(report, sessions, kernel)
        report.figures["sessions"] = self.total
        report.figures["counters"] = counted
        report.table = [["MCP", "sessions before", "joins after the restart"]]
        report.table += [
            [m, str(list(self.homes.values()).count(m)), str(counted[m]["MPJoinAckRx"])] for m in MCPS
        ]

    def wipe_edge(self) -> None:
        """Delete all entries of an access switch during an upload. The controller fills it again when it connects."""
        lab, report = self.lab, self.report
        lab.say(f"an upload; after {WIPED_AFTER_S:g} s the first access's switch loses its entries")
        self.agent.ask("close", group="sessions")
        self.agent.ask(
            "start",
            name="up",
            kind="upload",
            dst=self.target[4],
            port=SERVICES[0],
            seconds=WIPED_UPLOAD_S,
            mptcp=True,
        )
        time.sleep(WIPED_AFTER_S)
        until(lambda: len(self._acked()) == 2)
        before = self._acked()
        ofctl(lab.switch("s1"), "del-flows")
        set_controller(lab.switch("s1"), lab.controller.port)
        time.sleep(FILLED_S)
        moved: dict[tuple[str, int], int] = {}
        # TCP waits twice as long after each try that is lost, so the subflow that the switch cut may need some seconds.
        limit = time.monotonic() + SETTLE_S
        while time.monotonic() < limit and not (moved.keys() == before.keys() and _carry(moved)):
            filled = self._acked()
            time.sleep(1.0)
            moved = {address: count - filled.get(address, 0) for address, count in self._acked().items()}
        self.agent.ask("stop", name="up")
        done = self.agent.finish("up", WIPED_UPLOAD_S + 60)
        report.expect(
            "wiped switch: the upload ends well", "error" not in done, "no error", done.get("error", "none")
        )
        report.figures["wiped"] = {k: done.get(k) for k in ("mbit", "seconds", "longest_block_s")}
        report.expect(
            "wiped switch: subflows of both accesses before", len(before) == 2, "2", len(before), "kernel"
        )
        report.expect(
            "wiped switch: the same subflows carry again after it",
            len(before) == 2 and before.keys() == moved.keys() and _carry(moved),
            f"more than {MOVED_BYTES} bytes acknowledged on each in a second",
            moved,
            "kernel",
        )

    def _acked(self) -> dict[tuple[str, int], int]:
        """Bytes that were acknowledged on the upload's subflows, by the host's address and port."""
        rows = [r for r in subflows(self.lab.host("ue1")) if r.state == "ESTAB"]
        return {(r.flow.src, r.flow.sport): r.bytes_acked for r in rows if r.bytes_acked > MOVED_BYTES}


def judge_natural(
    report: Report, asked: dict[str, int], first_lost: dict[str, int], lost: dict[str, int]
) -> None:
    """Judge traffic on natural paths. Where a busy machine loses a ping, a second one is sent at once: `first_lost` pings needed
    it, of `lost` ones the second was lost too. Echoes over TCP are repeated by TCP."""
    report.figures["first_pings_lost"] = first_lost
    report.expect(
        "without a controller: no natural echo is lost, no ping twice in a row",
        not any(lost.values()),
        f"0 lost of {asked}",
        f"{lost} of {asked}",
    )
    for what, count in first_lost.items():
        most = max(FEW_LOST, int(asked[what] * FIRST_LOST))
        name = f"without a controller: {what} of which the first was lost"
        report.expect(name, count <= most, f"at most {most} of {asked[what]}", count)


def _carry(moved: dict[tuple[str, int], int]) -> bool:
    """Whether each subflow has carried enough in a second."""
    return all(count > MOVED_BYTES for count in moved.values())


SCENARIO = Scenario(
    name="restart",
    figure="docs/design/architecture.rst, Restart",
    rows=ROWS,
    summary="kill -9 of the controller with live sessions, a minute alone, joins on all after it; a wiped switch",
    plan=PLAN,
    run=run,
    controls=controls("read-back"),
)
