"""Three controllers at once, each the owner of a share of the switches, with an etcd of three members.

Each host begins sessions at one owner's switch, and joins them at another owner's. Sessions of `quiet` join long after their token
is known. Sessions of `racing` join before that, because the messages of beta's switch are late. Joins with the token of a live
session that go to another server than the session's must be refused. At the end one member gets a policy, and another one the
order to drain an MCP: both must take effect at all members.
"""

import sys
import time

from topologies.kit.captures import Capture, Segment
from topologies.kit.etcd import start_etcd
from topologies.kit.kernel_counters import subflows
from topologies.kit.lab import Lab, running
from topologies.kit.members import NAMES, Members
from topologies.kit.network import add_endpoints, drop_endpoints
from topologies.kit.plan import address_of
from topologies.kit.processes import PROGRAMS, LabError
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.measures import pins
from topologies.networks.three_owners import ACCESS_PORTS, HOSTS, MCPS, NATURAL_PORTS, SERVICES, three_owners

ROWS = ("D-6.7.1", "D-6.2c")
PLAN = three_owners("cluster")
ETCD_MEMBERS = 3
SESSIONS = 60
SLOW, LATE_MS = "s5", 60  # as in the lab `pinning`
SETTLE_S = 20.0  # a join that was lost is sent again after 1, 2, 4 and 8 s
AGREE_S = 60.0  # seconds for all members to take over a change: a member starts again at most every 30 s
STEERED, BYPASSED = SERVICES
DRAINED = MCPS[0]
LATER = 4  # sessions of each host and each service at the end
CHANGED = (
    f"{PLAN.policy}rules:\n  - {{name: not-this, when: {{port: {BYPASSED}}}, then: {{action: bypass}}}}\n"
)


def run(options: Options, report: Report) -> None:
    """Open sessions at each owner's switches, join at another's, and change what is kept."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        for name in HOSTS:
            drop_endpoints(lab.host(name))
        members = Members(lab, start_etcd(lab, ETCD_MEMBERS), options.without)
        options.say("three controllers divide the switches among them")
        members.start(SLOW, LATE_MS)
        test = Cluster(lab, report, members, options.sessions or SESSIONS)
        test.watch()
        test.open("quiet", test.total // 2)
        test.join_quiet()
        test.open("racing", test.total - test.total // 2)
        test.settle()
        test.stray()
        test.judge_live()
        test.change()
        test.judge_captures()  # meanwhile members take the change
        test.agreed()
        if options.prompt:
            lab.command_line()


class Cluster:
    """The steps of the run. Sessions of both groups live until the end."""

    def __init__(self, lab: Lab, report: Report, members: Members, total: int) -> None:
        self.lab, self.report, self.members, self.total = lab, report, members, total
        self.target = {f: address_of(PLAN.box("server"), f) for f in (4, 6)}
        self.captures: dict[str, Capture] = {}
        self._changed = 0.0  # when members were given the policy and the drain

    def watch(self) -> None:
        """Find all neighbours, begin the captures, note the counters."""
        for name in HOSTS:
            for target in self.target.values():
                self.lab.agents[name].ask("ping", dst=target, count=3)
        for port in (*ACCESS_PORTS, *NATURAL_PORTS, *(point.port for point in PLAN.points)):
            self.captures[port] = self.lab.capture_port(port)
        self.lab.mark()
        owners = {self.members.owner_of(PLAN.box(name).nics[0].peer.partition(":")[0]) for name in HOSTS}
        self.report.equal("owners at whose switches sessions begin", set(NAMES), owners, "REST")

    def open(self, group: str, count: int) -> None:
        """Open sessions that send data at once, from all hosts at a time, half of them over IPv6."""
        self.lab.say(f"{count} sessions '{group}', a third at each owner's switch")
        shares = {
            (name, family): (count + number) // (2 * len(HOSTS))
            for number, (name, family) in enumerate((n, f) for n in HOSTS for f in (4, 6))
        }
        for (name, family), share in shares.items():
            self.lab.agents[name].send(
                "open", group=group, count=share, dst=self.target[family], ports=SERVICES, mptcp=True, first=True
            )  # fmt: skip
        opened = [one for name, _ in shares for one in self.lab.agents[name].answer()["opened"]]
        failed = [one["error"] for one in opened if "error" in one]
        self.report.equal(f"sessions '{group}' that failed to open", (count, []), (len(opened), failed[:3]))

    def join_quiet(self) -> None:
        """The second accesses appear, at another owner's switches: the kernels join on every session at once."""
        self.lab.say("the second accesses appear: a join on every session, at another owner's switch")
        for name in HOSTS:
            add_endpoints(self.lab.host(name), PLAN.box(name).nics[1], 1)
        self._joined(self.total // 2)

    def settle(self) -> None:
        """Wait until all joins are answered."""
        self._joined(self.total)

    def _joined(self, wanted: int) -> None:
        limit = time.monotonic() + SETTLE_S
        while sum(self.lab.counted(name)["MPJoinSynAckRx"] for name in HOSTS) < wanted:
            if time.monotonic() > limit:
                return
            time.sleep(0.1)

    def stray(self) -> None:
        """Joins with a live session's token, from another owner's switch, to a server that is not the session's."""
        self.lab.say("joins with the tokens of live sessions that go to another server")
        before = self._strangers()
        limit = time.monotonic() + SETTLE_S
        refused = 0.0
        while refused < len(HOSTS) and time.monotonic() < limit:
            for name, other in zip(HOSTS, (*HOSTS[1:], HOSTS[0]), strict=True):
                if token := self._token_of(name):
                    self._stray(other, token)
            time.sleep(0.5)
            # The counters of a member that has started again since begin at zero, so its whole count is added.
            refused = sum(
                now - before.get(name, 0.0) if now >= before.get(name, 0.0) else now
                for name, now in self._strangers().items()
            )
        self.report.expect(
            "joins to another server than their session's: refused",
            refused >= len(HOSTS),
            f"{len(HOSTS)}, one of each host",
            round(refused),
            "REST",
        )

    def _strangers(self) -> dict[str, float]:
        return self.members.metric("steering_refusals_total", reason="unknown-token")

    def _token_of(self, name: str) -> str:
        """The token of a session of a host over IPv4, from where it began; "" where no MCP has one."""
        own = address_of(PLAN.box(name), 4)
        for mcp in MCPS:
            for row in subflows(self.lab.host(mcp)):
                if row.flow.dst == own and row.flow.sport in SERVICES:
                    return row.own_token
        return ""

    def _stray(self, name: str, token: str) -> None:
        host = self.lab.host(name)
        words = ("join", address_of(PLAN.box(name), 4), address_of(PLAN.box("other"), 4), str(STEERED), token)
        host.run(" ".join((sys.executable, str(PROGRAMS / "stray_join.py"), *words)))

    def judge_live(self) -> None:
        """Judge the views of the kernels and of REST, and end the captures."""
        lab, report = self.lab, self.report
        lab.say("judging: kernels, REST")
        report.equal("what keeps members from deciding", "", self.members.whole(), "REST")
        kernel = pins.kernel_view(
            {name: subflows(lab.host(name)) for name in HOSTS},
            {name: subflows(lab.host(name)) for name in MCPS},
            SERVICES,
        )
        counted = {name: lab.counted(name) for name in (*HOSTS, *MCPS)}
        sessions = self.members.detailed()
        lab.stop_captures()
        pins.judge_kernel(report, kernel, self.total, counted, HOSTS, MCPS)
        pins.judge_rest(report, sessions, kernel)
        held = sum(self.members.metric("steering_joins_total", result="held").values())
        report.expect("joins that overtook their token were held", held > 0, "more than 0", held, "REST")
        report.figures.update(
            sessions=self.total, joins_held=held, pinned={m: len(kernel.pinned[m]) for m in MCPS}
        )

    def judge_captures(self) -> None:
        """Judge what was captured at access ports, at MCPs and on the natural links."""
        report, other = self.report, address_of(PLAN.box("other"), 4)
        self.lab.say("judging: captures")
        read = {port: capture.segments() for port, capture in self.captures.items()}
        strays = [s for p in PLAN.points for s in read[p.port] if _is_to(s, other)]
        report.equal("joins to another server than their session's: at MCPs", [], strays[:3], "capture")
        captured = pins.capture_view(
            [s for port in ACCESS_PORTS for s in read[port] if not _is_to(s, other)],
            {p.name: [s for s in read[p.port] if not _is_to(s, other)] for p in PLAN.points},
            [s for port in NATURAL_PORTS for s in read[port]],
        )
        pins.judge_capture(report, captured, self.total, 0)

    def change(self) -> None:
        """A policy is put at one member, an MCP is drained at another one; neither owns the first share."""
        members = self.members
        first = members.owner_of("s6")
        order = [name for name in NAMES if name != first]
        self.lab.say(f"a policy is put at {order[0]}, {DRAINED} is drained at {order[1]}")
        self._changed = time.monotonic()
        took = members.change(order[0], "PUT", "/v1/policy", CHANGED)
        self.report.figures["policy"] = f"put at {order[0]}, taken by {took}"
        limit = self._changed + AGREE_S
        while (lacking := self._without_policy()) and time.monotonic() < limit:
            time.sleep(0.05)
        # Noted before the next order, for which members start again.
        self.report.figures["policy_in_force_at_all_by_s"] = round(time.monotonic() - self._changed, 2)
        self.report.equal("members without the policy that another one was told", [], lacking, "REST")
        took = members.change(order[1], "POST", f"/v1/mcps/{DRAINED}/drain")
        self.report.figures["drain"] = f"ordered at {order[1]}, taken by {took}"

    def agreed(self) -> None:
        """Both count for new sessions at each owner's switches, and no session broke."""
        lab, report, members = self.lab, self.report, self.members
        lab.say("waiting for all members to have both")
        limit = time.monotonic() + AGREE_S
        while (lacking := self._lacking()) and time.monotonic() < limit:
            time.sleep(0.1)
        report.figures["all_had_both_by_s"] = round(time.monotonic() - self._changed, 1)
        report.equal("members without the policy or the drain", [], lacking, "REST")
        report.equal("after the change: what keeps members from deciding", "", members.whole(), "REST")
        for name in HOSTS:
            drop_endpoints(lab.host(name))  # takes the joins' subflows along
            broken = [
                error
                for group in ("quiet", "racing")
                for error in lab.agents[name].ask("echo", group=group)["failed"]
            ]
            report.equal(f"after the change: sessions of {name} that broke", [], broken[:3])
        self._later()

    def _lacking(self) -> list[str]:
        """Members that do not answer, or that lack the policy or the drain."""
        lacking = self._without_policy()
        for name, one in self.members.controllers.items():
            try:
                health = one.mcps()[DRAINED]["health"]
            except (OSError, LabError, KeyError):
                health = "no answer"
            if health != "draining" and name not in lacking:
                lacking.append(name)
        return lacking

    def _without_policy(self) -> list[str]:
        return [name for name, text in self.members.texts().items() if text != CHANGED]

    def _later(self) -> None:
        """New sessions of each host and service: where they are, by the kernels."""
        self.lab.say(
            "new sessions at each owner's switch, of the service that is steered and of the other one"
        )
        self.lab.mark()
        failed = []
        for name in HOSTS:
            opened = self.lab.agents[name].ask(
                "open", group="later", count=2 * LATER, dst=self.target[4], ports=SERVICES, mptcp=True, first=True
            )["opened"]  # fmt: skip
            failed += [one["error"] for one in opened if "error" in one]
        self.report.equal("after the change: new connections that failed", [], failed[:3])
        for name in MCPS:
            wanted = 0 if name == DRAINED else LATER * len(HOSTS)
            title = f"after the change: new sessions at {name}"
            self.report.equal(title, wanted, self.lab.counted(name)["MPCapableACKRX"], "kernel")


def _is_to(segment: Segment, address: str) -> bool:
    return address in (segment.flow.dst, segment.flow.src)


SCENARIO = Scenario(
    name="cluster",
    figure="docs/cluster.rst",
    rows=ROWS,
    summary="three controllers and three etcd members: joins at another owner's switch, a policy and a drain from any member",
    plan=PLAN,
    run=run,
    controls=controls("peer-tokens", "join-destination", "hold-queue"),
)
