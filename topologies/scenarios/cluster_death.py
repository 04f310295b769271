"""Two controllers share the switches by etcd and OpenFlow's roles. The owner is killed by SIGKILL with live sessions, while a host
goes on opening new ones. The standby takes over.

Established sessions must not notice, and every later subflow must go to the MCP of its session, which the follower knows
from the switches alone. Rules that are right are not written again.
"""

import subprocess
import time

from topologies.kit.captures import frames
from topologies.kit.controller import Controller
from topologies.kit.etcd import member_options, standby, start_etcd
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.network import add_endpoints, drop_endpoints
from topologies.kit.plan import address_of
from topologies.kit.processes import LabError
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import pins
from topologies.networks.two_mcps import MCPS, NATURAL_PORTS, SERVICES, two_mcps

ROWS = ("D-6.7.1", "D-6.2c")
PLAN = two_mcps("cluster-death")
SESSIONS = 100
STAND_BY_S = 90.0  # seconds in which the standby has to be ready
FOLLOW_S = 30.0  # seconds in which the standby has to take over; the lease alone is 3 s
SETTLE_S = 30.0
PACE_S = 0.1  # seconds between new connections
PATIENCE_S = 15.0  # for a connection or an echo: what is lost is sent again after 1, 3 and 7 s
LATER = "opened while nobody decided"


def run(options: Options, report: Report) -> None:
    """Kill who decides, open sessions all the while, and join on all of them."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        drop_endpoints(lab.host("ue1"))
        etcd = start_etcd(lab)
        lab.controller.more = member_options(etcd, "a")
        lab.start_controller(options.without)
        other = standby(lab, etcd, "b")
        test = ClusterDeath(lab, report, options.sessions or SESSIONS, other)
        if "standby" not in options.without:
            test.stand_by()
        test.open_sessions()
        test.kill()
        test.join_all()
        if options.prompt:
            lab.command_line()


class ClusterDeath:
    """The steps of the run. `other` follows."""

    def __init__(self, lab: Lab, report: Report, total: int, other: Controller) -> None:
        self.lab, self.report, self.total, self.other = lab, report, total, other
        self.agent = lab.agents["ue1"]
        self.target = {f: address_of(PLAN.box("server"), f) for f in (4, 6)}
        self.homes: dict[str, str] = {}
        self.later = 0

    def stand_by(self) -> None:
        """Start the standby, and give every switch the addresses of both controllers."""
        self.lab.say("a second controller stands by")
        self.other.start()
        for name in PLAN.switches:
            bridge = self.lab.switch(name)
            targets = [f"tcp:127.0.0.1:{one.port}" for one in (self.lab.controller, self.other)]
            subprocess.run(["ovs-vsctl", "set-controller", bridge, *targets], check=True, capture_output=True)
        limit = time.monotonic() + STAND_BY_S
        while self._roles(self.other) != {"slave"} or self._roles(self.lab.controller) != {"master"}:
            if time.monotonic() > limit:
                raise LabError(f"the second controller does not stand by: {self._roles(self.other)}")
            time.sleep(0.1)
        self.lab.controller.wait_ready()

    def _roles(self, controller: Controller) -> set[str]:
        """The roles that a controller says it has at the switches; empty where not all switches are connected."""
        try:
            told = controller.get("/v1/cluster")["switches"]
        except (OSError, LabError):
            return set()
        return {one["role"] for one in told} if len(told) == len(PLAN.switches) else set()

    def open_sessions(self) -> None:
        """Open sessions over one access that have sent data."""
        self.lab.say(f"{self.total} sessions with one subflow each")
        for target in self.target.values():
            self.agent.ask("ping", dst=target, count=3)
        self.lab.mark()
        opened = self._open("sessions", self.total // 2, 4) + self._open(
            "sessions", self.total - self.total // 2, 6
        )
        failed = [one["error"] for one in opened if "error" in one]
        self.report.equal("connections that failed to open", [], failed[:3])
        self._note_homes()
        self.report.expect(
            "sessions before the death", len(self.homes) == self.total, self.total, len(self.homes), "kernel"
        )

    def _open(self, group: str, count: int, family: int) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self.agent.ask(
            "open",
            group=group,
            count=count,
            dst=self.target[family],
            ports=SERVICES,
            mptcp=True,
            first=True,
            wait=PATIENCE_S,
        )["opened"]
        return found

    def _note_homes(self) -> None:
        """Note the MCP of each session, as the kernels tell it."""
        for name in MCPS:
            for row in subflows(self.lab.host(name)):
                if row.flow.sport in SERVICES:
                    self.homes.setdefault(row.own_token, name)

    def kill(self) -> None:
        """Kill the owner; go on opening sessions until a second after the standby has taken over."""
        lab, report = self.lab, self.report
        before = self._rules()
        lab.say("kill -9 of the controller that decides")
        lab.controller.kill()
        began = time.monotonic()
        followed = 0.0
        slowest = 0.0
        failed: list[object] = []
        while time.monotonic() < began + FOLLOW_S and (not followed or time.monotonic() < followed + 1.0):
            start = time.monotonic()
            failed += [one["error"] for one in self._open("later", 1, 4) if "error" in one]
            slowest = max(slowest, time.monotonic() - start)
            self.later += 1
            if not followed and self._roles(self.other) == {"master"}:
                followed = time.monotonic()
            time.sleep(PACE_S)
        report.expect(
            "the other one follows", bool(followed), "master of all switches", self._roles(self.other), "REST"
        )
        report.figures["follows_after_s"] = round(followed - began, 2) if followed else None
        report.figures["slowest_new_connection_s"] = round(slowest, 2)
        report.equal(f"connections {LATER} that failed", [], failed[:3])
        broken = self.agent.ask("echo", group="sessions", wait=PATIENCE_S, enough=3)["failed"]
        report.equal("after the death: sessions that broke", [], broken[:3])
        # Some sessions took their natural path while there was no owner. Joins are judged for the others only.
        report.figures["later_steered"] = sum(
            row.flow.sport in SERVICES and row.own_token not in self.homes
            for name in MCPS
            for row in subflows(lab.host(name))
        )
        self.agent.ask("close", group="later")
        account = self._account()
        missing = {token: mcp for token, mcp in self.homes.items() if account.get(token) != mcp}
        report.expect(
            "after the death: every session is known with its token and MCP",
            not missing,
            f"{len(self.homes)}",
            f"{len(self.homes) - len(missing)}, not {list(missing.items())[:3]}",
            "REST",
        )
        after = self._rules()
        report.equal("static rules that were written again or lost", set(), {*before} ^ {*after}, "switches")

    def _account(self) -> dict[str, str]:
        """Token -> MCP, by the new owner, once it has read all entries back."""
        limit = time.monotonic() + SETTLE_S
        while True:
            try:
                known = {row["token"]: row["mcp"] for row in self.other.sessions() if row["token"]}
            except (OSError, LabError):
                known = {}
            if known.keys() >= self.homes.keys() or time.monotonic() > limit:
                return known
            time.sleep(0.2)

    def _rules(self) -> list[str]:
        """Static rules without leases: switch, cookie and match."""
        found = []
        for name in PLAN.switches:
            for line in ofctl(
                self.lab.switch(name), "dump-flows", "cookie=0x5e20000000000000/0xfff0000000000000"
            ).splitlines():
                if "cookie=" in line and "hard_timeout" not in line:
                    words = line.split(", ")
                    found.append(f"{name} {words[0].strip()} {words[2]} {words[-1]}")
        return found

    def join_all(self) -> None:
        """Add the second access: the kernel joins on every session at once."""
        lab, report = self.lab, self.report
        lab.say("the second access appears: a join on every session")
        total = len(self.homes)
        natural = [lab.capture_port(port) for port in NATURAL_PORTS]
        lab.mark()
        add_endpoints(lab.host("ue1"), PLAN.box("ue1").nics[1], 1)
        limit = time.monotonic() + SETTLE_S
        while lab.counted("ue1")["MPJoinSynAckRx"] < total and time.monotonic() < limit:
            time.sleep(0.2)
        broken = self.agent.ask("echo", group="sessions", wait=PATIENCE_S, enough=3)["failed"]
        report.equal("after the joins: sessions that broke", [], broken[:3])
        kernel = pins.kernel_view(
            {"ue1": subflows(lab.host("ue1"))},
            {name: subflows(lab.host(name)) for name in MCPS},
            SERVICES,
        )
        counted = {name: lab.counted(name) for name in ("ue1", *MCPS)}
        pins.judge_kernel(report, kernel, total, counted, ("ue1",), MCPS)
        moved = {t for name, tokens in kernel.pinned.items() for t in tokens if self.homes.get(t) != name}
        report.equal("sessions at another MCP than before the death", set(), moved, "kernel")
        lab.stop_captures()
        leaked = sum(frames(one.file, "tcp.options.mptcp.subtype == 1") for one in natural)
        report.equal("joins on links that no steered segment may use", 0, leaked, "capture")
        report.figures["sessions"], report.figures["later"] = total, self.later


SCENARIO = Scenario(
    name="cluster-death",
    figure="docs/cluster.rst",
    rows=ROWS,
    summary="two controllers and an etcd: kill -9 of the one that decides under new sessions; joins on all of them after it",
    plan=PLAN,
    run=run,
    controls=controls(standby="nobody follows the controller that dies"),
)
