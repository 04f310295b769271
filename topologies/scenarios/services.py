"""Several MCPs serve one host at once, by the kind of service (draft-nam 5.6.3): beta serves management, alpha serves
users. Other traffic takes its natural path. Then a rule is added over REST, and then a rule that depends on the time
of day.

A policy that was put over REST is in force until the next one, or until the controller restarts and reads the file
again.
"""

import time
from dataclasses import replace
from datetime import datetime

from topologies.kit.kernel_counters import Subflow, subflows
from topologies.kit.lab import Lab, running
from topologies.kit.plan import address_of
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.networks.two_mcps import MCPS, NATURAL_PORTS, two_mcps
from topologies.programs.lateness import Lateness

ROWS = ("N-5.6.3a", "N-5.6.3b", "S-22", "D-3.2c")
USERS, MANAGEMENT, LATER = 5001, 5002, 5003
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EACH = 4  # sessions of each service
LIVE_S = 10.0  # seconds of the upload during which the policy changes
JOINED_S = 4.0  # seconds for its join, where the first SYN is lost
AT_MOST_S = 1.0  # seconds until a policy is in force
SETTLE_S = 20.0  # most that is waited for what has to come about


def policy(ports: tuple[int, ...], rules: str) -> str:
    """A policy in which these ports are eligible. `rules`: lines of its rules."""
    return f"""\
policy: 1
eligible: {{ports: {list(ports)}}}
selection: {{hysteresis: 0.0, weights: {{location: 0.0, type: 0.0, load: 1.0}}}}
timers: {{fin_linger: 2}}
applications:
  - {{name: management, ports: [{MANAGEMENT}]}}
  - {{name: users, ports: [{USERS}, {LATER}]}}
rules:
{rules}"""


BY_SERVICE = """\
  - {name: management, when: {application: management}, then: {mcps: [beta]}}
  - {name: users, when: {application: users}, then: {mcps: [alpha]}}
"""
BY_LOAD = "  - {name: anything, then: {action: proxy}}\n"
FIRST = policy((USERS, MANAGEMENT), BY_SERVICE)
MORE = policy((USERS, MANAGEMENT, LATER), BY_SERVICE)
PLAN = replace(two_mcps("services"), services=(USERS, MANAGEMENT, LATER), policy=FIRST)


def at_this_hour(covers: bool) -> str:
    """A policy in which users go to beta during a time window, and otherwise to alpha. `covers`: whether the window
    is open now."""
    now = datetime.now()
    today, other = DAYS[now.weekday()], DAYS[(now.weekday() + 3) % 7]
    days = (
        f"[{today}, {DAYS[(now.weekday() + 1) % 7]}]" if covers else other
    )  # with tomorrow, as midnight may come during the run
    rush = (
        f"  - {{name: rush, when: {{application: users, time: {{days: {days}}}}}, then: {{mcps: [beta]}}}}\n"
    )
    return policy((USERS, MANAGEMENT, LATER), rush + BY_SERVICE)


def run(options: Options, report: Report) -> None:
    """Check rules by service, a rule over REST, a rule with a time window, and a restart."""
    plan = (
        replace(PLAN, policy=policy((USERS, MANAGEMENT), BY_LOAD))
        if "service-rules" in options.without
        else PLAN
    )
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.start_services()
        lab.start_controller(options.without)
        test = Services(lab, report)
        test.by_service()
        test.a_rule_by_rest()
        test.by_the_hour()
        test.restarted()
        if options.prompt:
            lab.command_line()


class Services:
    """The steps of the run. ue1 is the only customer."""

    def __init__(self, lab: Lab, report: Report) -> None:
        self.lab, self.report = lab, report
        self.agent = lab.agents["ue1"]
        self.target = {f: address_of(PLAN.box("server"), f) for f in (4, 6)}
        for target in self.target.values():
            self.agent.ask("ping", dst=target, count=3)
        lab.mark()

    def open(self, group: str, port: int, count: int = EACH) -> list[str | None]:
        """Open sessions of both families that send data. Their tokens, None for one of plain TCP."""
        opened = []
        for family in (4, 6):
            opened += self.agent.ask(
                "open",
                group=group,
                count=count // 2,
                dst=self.target[family],
                ports=[port],
                mptcp=True,
                first=True,
            )["opened"]
        failed = [one["error"] for one in opened if "error" in one]
        self.report.equal(f"connections '{group}' that failed to open", [], failed[:3])
        return [one.get("token") for one in opened]

    def by_service(self) -> None:
        """Use both services at once: each is at its MCP with both subflows. The third port takes its natural path."""
        lab, report = self.lab, self.report
        lab.say(f"{EACH} sessions of users and of management, and a port that is not eligible")
        captures = {point.name: lab.capture_port(point.port) for point in PLAN.points}
        links = [lab.capture_port(port) for port in NATURAL_PORTS]
        self.open("users", USERS)
        self.open("management", MANAGEMENT)
        tokens = self.open("later", LATER)
        report.equal("not eligible: the server's own TCP answered", [None] * EACH, tokens, "kernel")
        found = self._landed(2 * EACH * 2)
        wanted = {("alpha", USERS): 2 * EACH, ("beta", MANAGEMENT): 2 * EACH}
        report.equal("subflows by MCP and service, all alive at once", wanted, found, "kernel")
        unknown = sum(lab.counted(name)["MPJoinNoTokenFound"] for name in MCPS)
        report.equal("joins that came to an MCP without their token", 0, unknown, "kernel")
        account: dict[tuple[str, int], int] = {}
        for session in lab.controller.detailed():
            key = session["mcp"], _port(session["server"])
            account[key] = account.get(key, 0) + len(session["subflows"])
        report.equal("the controller says the same", wanted, account, "REST")
        lab.stop_captures()
        served = {n: {s.flow.dport for s in c.segments() if s.syn} for n, c in captures.items()}
        report.equal(
            "services whose SYNs came to each MCP",
            {"alpha": {USERS}, "beta": {MANAGEMENT}},
            served,
            "capture",
        )
        natural = {s.flow.dport for capture in links for s in capture.segments() if s.syn}
        report.equal("services on natural links", {LATER}, natural, "capture")

    def _landed(self, wanted: int) -> dict[tuple[str, int], int]:
        """Established subflows by MCP and service, as soon as there are so many, or after a time limit."""
        limit = time.monotonic() + SETTLE_S
        while True:
            found: dict[tuple[str, int], int] = {}
            for name in MCPS:
                for row in subflows(self.lab.host(name)):
                    if row.state == "ESTAB" and row.flow.sport in PLAN.services:
                        found[name, row.flow.sport] = found.get((name, row.flow.sport), 0) + 1
            if sum(found.values()) >= wanted or time.monotonic() > limit:
                return found
            time.sleep(0.2)

    def a_rule_by_rest(self) -> None:
        """Add the third port to the services of users during an upload."""
        lab, report = self.lab, self.report
        lab.say("the third port becomes eligible, by REST, while an upload lives")
        self.agent.ask(
            "start", name="live", kind="upload", dst=self.target[4], port=USERS, seconds=LIVE_S, mptcp=True
        )
        time.sleep(1.5)
        until(lambda: len(self._of_upload()) == 2, JOINED_S)
        before = self._of_upload()
        with Lateness() as late:
            began = time.monotonic()
            lab.controller.put_policy(MORE)
            token = None
            while token is None and time.monotonic() < began + SETTLE_S:
                (token,) = self._one(LATER)
            ended = time.monotonic()
        took = ended - began
        own = took - late.during(began, ended)
        report.expect(
            "the rule is in force within a second",
            token is not None and own < AT_MOST_S,
            f"in {AT_MOST_S:.0f} s, without what this machine was late",
            f"{own:.2f} s, {took:.2f} s with it",
            "kernel",
        )
        report.figures["in_force_s"] = round(took, 3)
        self.open("elected", LATER)
        at = {(name, port) for name, port in self._landed(6 * EACH + 2) if port == LATER}
        report.equal("new connections to it are users' now", {("alpha", LATER)}, at, "kernel")
        report.equal(
            "those from before stay as they are", [], self.agent.ask("echo", group="later")["failed"]
        )
        done = self.agent.finish("live", LIVE_S + 45)
        report.equal("the upload that lived meanwhile ends well", None, done.get("error"), "kernel")
        report.expect(
            "and never stood still",
            done.get("own_block_s", 9.9) < 2.0,
            "below 2 s, without what this machine was late",
            f"{done.get('own_block_s')}, {done.get('longest_block_s')} with it",
            "kernel",
        )
        report.expect("on subflows that stayed at alpha", len(before) == 2, "2 before", len(before), "kernel")
        for group in ("elected", "one"):
            self.agent.ask("close", group=group)

    def _one(self, port: int) -> list[str | None]:
        opened = self.agent.ask(
            "open", group="one", count=1, dst=self.target[4], ports=[port], mptcp=True, first=True
        )["opened"]
        return [one.get("token") for one in opened]

    def _of_upload(self) -> list[Subflow]:
        rows = subflows(self.lab.host("alpha"))
        busy = [r for r in subflows(self.lab.host("ue1")) if r.flow.dport == USERS and r.bytes_acked > 50_000]
        served = {row.flow.reversed() for row in rows}
        return [row for row in busy if row.flow in served]

    def by_the_hour(self) -> None:
        """Use a rule whose time window is open now, then one whose window is not. It concerns new sessions only."""
        lab, report = self.lab, self.report
        for covers, wanted in ((True, "beta"), (False, "alpha")):
            lab.say(f"a window that is {'open' if covers else 'closed'} at this hour")
            lab.controller.put_policy(at_this_hour(covers))
            rule = "rush" if covers else "users"
            limit = time.monotonic() + SETTLE_S
            told = lab.controller.whatif("10.1.0.2", self.target[4], USERS)
            while told["rule"] != rule and time.monotonic() < limit:
                time.sleep(0.05)
                told = lab.controller.whatif("10.1.0.2", self.target[4], USERS)
            word = "open" if covers else "closed"
            report.equal(f"window {word}: the rule", rule, told["rule"], "REST")
            self.open(word, LATER, 2)
            limit = time.monotonic() + SETTLE_S
            at: set[str] = set()
            while at != {wanted} and time.monotonic() < limit:
                rows = {name: subflows(lab.host(name)) for name in MCPS}
                at = {
                    n
                    for n, found in rows.items()
                    for r in found
                    if r.flow.sport == LATER and r.state == "ESTAB"
                }
            report.equal(f"window {word}: new sessions of users", {wanted}, at, "kernel")
            self.agent.ask("close", group=word)
            time.sleep(0.5)
        for group in ("users", "management"):
            report.equal(
                f"'{group}' from the beginning still live", [], self.agent.ask("echo", group=group)["failed"]
            )

    def restarted(self) -> None:
        """Restart the controller: the policy of REST is gone, as documented, and pinned sessions stay."""
        lab, report = self.lab, self.report
        lab.say("the controller restarts: the policy file counts again")
        lab.controller.stop()
        lab.start_controller()
        told = lab.controller.whatif("10.1.0.2", self.target[4], LATER)
        report.equal(
            "after a restart: the port is not eligible again", "port-not-eligible", told["reason"], "REST"
        )
        for group in ("users", "management"):
            report.equal(
                f"after a restart: '{group}' still live", [], self.agent.ask("echo", group=group)["failed"]
            )


def _port(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


SCENARIO = Scenario(
    name="services",
    figure="draft-nam section 5.6.3",
    rows=ROWS,
    summary="one customer, an MCP for management and one for users at once; rules by REST and by the hour",
    plan=PLAN,
    run=run,
    controls=controls(service_rules="no rule tells services apart: the load decides"),
)
