"""Every example of `policies/` is put in force over REST on one network, one after the other, and has its effect.

    lte  s1 ------ s4  servers     `cell` is at s1, on the path of LTE; core (s3) and edge (s5) are one
    wlan s2 ------ s4              hop off every path. `office` is the subscriber office-7; `ue` is no subscriber.

Of time windows only the days are changed: to today, or to another day. The effect of preferences on live subflows is
shown by `pooling`.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from topologies.kit.kernel_counters import plain_address, subflows
from topologies.kit.lab import Lab, running
from topologies.kit.plan import Attachment, Box, Kind, Nic, Plan, Point, Wire, address_of
from topologies.kit.processes import REPOSITORY
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until

ROWS = ("S-22", "D-3.2c", "D-6.5j", "D-6.5p1", "D-6.5p2", "D-6.6.3", "N-5.6.3b", "D-3.2f", "N-5.1a")
FOLDER = REPOSITORY / "steering" / "examples"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SERVICES = (22, 443, 5001, 5060, 8080)
MCPS = ("cell", "core", "edge")
SETTLE_S = 12.0  # most that two subflows are waited for
OPENED_S, REFUSED_S = 15.0, 3.0  # for a connection that has to open, and for one that must not
TOLD_S = 5.0  # most that a server's answer is waited for at the controller
IN_FORCE_S = 30.0  # most that a policy is waited for; what comes of it is judged
EITHER = frozenset({"core", "edge"})

PLAN = Plan(
    name="policies",
    switches=("s1", "s2", "s3", "s4", "s5"),
    wires=(
        Wire("s1:3", "s4:2"), Wire("s1:4", "s3:2"), Wire("s1:5", "s5:2"),
        Wire("s2:3", "s4:3"), Wire("s2:4", "s3:3"), Wire("s2:5", "s5:3"),
        Wire("s3:4", "s4:4"), Wire("s5:4", "s4:5"),
    ),
    boxes=(
        Box("ue", Kind.DUAL, (Nic("s1:1", ("10.1.0.2/24",), 20.0), Nic("s2:1", ("10.2.0.2/24",), 20.0))),
        Box("office", Kind.DUAL, (Nic("s1:2", ("10.1.0.18/24",), 20.0), Nic("s2:2", ("10.2.0.18/24",), 20.0))),
        Box("cell", Kind.MCP, (Nic("s1:6", ("10.8.2.2/24",)),)),
        Box("core", Kind.MCP, (Nic("s3:1", ("10.8.0.2/24", "fd00:8::2/64")),)),
        Box("edge", Kind.MCP, (Nic("s5:1", ("10.8.1.2/24", "fd00:18::2/64")),)),
        Box("server", Kind.SERVER, (Nic("s4:1", ("10.9.0.2/24", "fd00:9::2/64")),)),
    ),
    accesses=(
        Attachment("lte", ("10.1.0.0/24", "fd00:1::/64"), ("s1:1", "s1:2"), "cellular"),
        Attachment("wlan", ("10.2.0.0/24", "fd00:2::/64"), ("s2:1", "s2:2"), "wlan"),
    ),
    gateways=(Attachment("internet", ("10.9.0.0/24", "fd00:9::/64"), ("s4:1",)),),
    points=(
        Point("cell", "s1:6", ("10.8.2.2",), type="on-path"),
        Point("core", "s3:1", ("10.8.0.2", "fd00:8::2")),
        Point("edge", "s5:1", ("10.8.1.2", "fd00:18::2")),
    ),
    services=SERVICES,
)  # fmt: skip


@dataclass(frozen=True)
class Want:
    """What shall become of a host's connections to a service: the rule, and the MCPs that may serve them. `mcps`
    None: plain TCP on the natural path. Empty: the connection is refused."""

    host: str
    port: int
    rule: str | None
    mcps: frozenset[str] | None


def want(host: str, port: int, rule: str | None, *mcps: str, natural: bool = False) -> Want:
    return Want(host, port, rule, None if natural else frozenset(mcps))


# Example file, the days that its windows get (or ""), and what shall become of connections.
EXAMPLES: tuple[tuple[str, str, tuple[Want, ...]], ...] = (
    ("business-pooling", "", (
        want("office", 5001, "business", "cell"), want("ue", 5001, "everybody-else", "cell"),
    )),
    ("cheapest-access-first", "", (want("ue", 443, "cheapest-first", "cell"),)),
    ("rush-hour-offload", "today", (
        want("ue", 5001, "rush-hour-bulk", "cell"), want("ue", 443, "rush-hour", *MCPS),
    )),
    ("rush-hour-offload", "another", (want("ue", 5001, "quiet-hours", "cell"),)),
    ("continuity", "", (
        want("ue", 5060, "anchored", *EITHER), want("ue", 5001, "rest", "cell"),
    )),
    ("bulk-nearest-mcp", "", (want("ue", 5001, "bulk", "cell"), want("ue", 443, "rest", "cell"))),
    ("drain-for-maintenance", "today", (want("ue", 443, "maintenance", "core"),)),
    ("drain-for-maintenance", "another", (want("ue", 443, "any-mcp", "cell"),)),
    ("enterprise", "", (want("ue", 5001, "sites", "core"), want("office", 5001, None, natural=True))),
    ("third-party-wlan", "", (want("ue", 5001, "own-access", "cell"),)),
    ("data-centre", "", (
        want("ue", 22, "maintenance", "edge"), want("ue", 443, "web", "core"), want("ue", 8080, "nobody-else"),
        want("ue", 5001, None, natural=True),
    )),
)  # fmt: skip


def example(name: str, days: str) -> str:
    """The text of an example file. Its windows last all day: today, or on a day that is neither today nor tomorrow."""
    lines = (FOLDER / f"{name}.policy.yaml").read_text(encoding="utf-8").splitlines()
    if not days:
        return "\n".join(lines) + "\n"
    now = datetime.now().weekday()
    word = f"[{DAYS[now]}, {DAYS[(now + 1) % 7]}]" if days == "today" else DAYS[(now + 3) % 7]
    shifted = []
    for line in lines:
        head, found, _ = line.partition("{days:")
        shifted.append(f"{head}{{days: {word}}}" if found else line)
    return "\n".join(shifted) + "\n"


def run(options: Options, report: Report) -> None:
    """Put each example in force, and look at its effect."""
    with running(PLAN, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        for host in ("ue", "office"):
            lab.agents[host].ask("ping", dst=address_of(PLAN.box("server"), 4), count=3)
        report.table = [["policy", "host", "port", "rule", "MCP", "subflows"]]
        for number, (name, days, wants) in enumerate(EXAMPLES):
            test = Example(lab, report, f"{name} ({days})" if days else name, number)
            test.apply(example(name, days), "examples" in options.without)
            test.look(wants)
        if options.prompt:
            lab.command_line()


class Example:
    """One example that is in force."""

    def __init__(self, lab: Lab, report: Report, title: str, number: int) -> None:
        self.lab, self.report, self.title = lab, report, title
        self.group = f"g{number}"
        self.target = address_of(PLAN.box("server"), 4)
        self.landed: dict[str, set[int]] = {}  # MCP -> the services that it serves, by the kernels' view

    def apply(self, text: str, not_really: bool) -> None:
        """Put the policy in force (PUT /v1/policy)."""
        self.lab.say(self.title)
        self.before = self.lab.controller.metric("steering_joins_total", result="authenticated")
        if not_really:
            return
        version = self.lab.controller.put_policy(text)
        until(lambda: self.lab.controller.health()["policy_version"] == version, IN_FORCE_S, 0.05)

    def look(self, wants: Iterable[Want]) -> None:
        """Open each connection, look where it is, and close it."""
        captures = {point.name: self.lab.capture_port(point.port) for point in PLAN.points}
        for one in wants:
            self._look(one)
        if self.title == "third-party-wlan":
            self._proved()
        self.lab.stop_captures()
        seen = {
            name: {s.flow.dport for s in capture.segments() if s.syn} for name, capture in captures.items()
        }
        wanted = {name: self.landed.get(name, set()) for name in MCPS}
        self.report.equal(f"{self.title}: services whose SYNs came to each MCP", wanted, seen, "capture")
        for host in {w.host for w in wants}:
            self.lab.agents[host].ask("close", group=self.group)

    def _open(self, one: Want) -> dict[str, object]:
        (opened,) = self.lab.agents[one.host].ask(
            "open",
            group=self.group,
            count=1,
            dst=self.target,
            ports=[one.port],
            mptcp=True,
            first=True,
            wait=REFUSED_S if one.mcps == frozenset() else OPENED_S,
        )["opened"]
        return dict(opened)

    def _look(self, one: Want) -> None:
        title = f"{self.title}: {one.host} to port {one.port}"
        opened = self._open(one)
        if one.rule == "web":
            self._wait_for_trial(one)
            opened = self._open(one)
        if one.mcps == frozenset():
            self.report.expect(f"{title} is refused", "error" in opened, "an error", opened, "kernel")
            told = self.lab.controller.whatif(address_of(PLAN.box(one.host), 4), self.target, one.port)
            self.report.equal(
                f"{title}: the rule", (one.rule, "deny"), (told["rule"], told["outcome"]), "REST"
            )
            self.report.table.append([self.title, one.host, str(one.port), str(told["rule"]), "refused", "0"])
            return
        self.report.equal(f"{title} opens", None, opened.get("error"))
        local = opened.get("local", ["", 0])
        if one.mcps is None:
            self.report.equal(f"{title} is left alone", None, opened.get("token"), "kernel")
            self.report.table.append([self.title, one.host, str(one.port), "", "natural", "1"])
            return
        homes = self._homes(one, local)
        for home in homes:
            self.landed.setdefault(home, set()).add(one.port)
        rule, mcp, count = self._account(local)
        self.report.expect(
            f"{title}: both subflows at one MCP",
            len(homes) == 2 and len(set(homes)) == 1 and set(homes) <= one.mcps,
            f"2 at {' or '.join(sorted(one.mcps))}",
            homes,
            "kernel",
        )
        self.report.equal(f"{title}: rule and MCP", (one.rule, [mcp] * 2), (rule, homes), "REST")
        self.report.table.append([self.title, one.host, str(one.port), str(rule), str(mcp), str(count)])

    def _wait_for_trial(self, one: Want) -> None:
        """Check that the first connection, on its natural path, has shown the controller that the server is plain
        (mode `hybrid`, D-3.4c). The server's answer may reach the host before its copy reaches the controller."""
        client, controller = address_of(PLAN.box(one.host), 4), self.lab.controller
        told = until(lambda: controller.whatif(client, self.target, one.port)["outcome"] == "proxy", TOLD_S)
        self.report.expect(
            f"{self.title}: after one connection to port {one.port} the server is known to be plain",
            told,
            "outcome proxy",
            controller.whatif(client, self.target, one.port)["outcome"],
            "REST",
        )

    def _homes(self, one: Want, local: object) -> list[str]:
        """The MCP of each subflow of a connection, by the tokens at the host and at the MCPs."""
        limit = time.monotonic() + SETTLE_S
        while True:
            mine = [
                s
                for s in subflows(self.lab.host(one.host))
                if s.flow.dport == one.port and s.state == "ESTAB"
            ]
            own = {s.own_token for s in mine if [s.flow.src, s.flow.sport] == local}
            flows = {s.flow.reversed() for s in mine if s.own_token in own}
            homes = [
                name
                for name in MCPS
                for s in subflows(self.lab.host(name))
                if s.flow in flows and s.state == "ESTAB"
            ]
            if len(homes) >= 2 or time.monotonic() > limit:
                return homes
            time.sleep(0.1)

    def _account(self, local: object) -> tuple[object, object, int]:
        assert isinstance(local, list)
        if not local[0]:
            return None, None, 0  # there is no connection
        client = f"{plain_address(str(local[0]))}:{local[1]}"
        for session in self.lab.controller.detailed():
            if session["client"] == client and session["decision"]:
                decision = self.lab.controller.get(f"/v1/decisions/{session['decision']}")
                return decision["rule"], session["mcp"], len(session["subflows"])
        return None, None, 0

    def _proved(self) -> None:
        """Check `authentication: hmac`: the join has proved that its host has the keys."""
        after = self.lab.controller.metric("steering_joins_total", result="authenticated")
        self.report.expect(
            f"{self.title}: joins that proved the keys",
            after > self.before,
            "more than before",
            after - self.before,
            "REST",
        )


SCENARIO = Scenario(
    name="policies",
    figure="draft-deng section 3.2, 6.5; draft-nam section 5.6",
    rows=ROWS,
    summary="every example policy, put in force over REST in one network, and what became of real connections",
    plan=PLAN,
    run=run,
    controls=controls(examples="no file is put in force: the defaults stay"),
)
