"""What hosts of the network `three_owners` notice while switches get other owners: their sessions, new connections, joins, and a
limit. At the end captures tell what was lost, and which segments came to another MCP than their session's.

The name of each check begins with the step of the lab that it is about.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_interface
from typing import Any

from topologies.kit.captures import CAPABLE, JOIN, Capture, Segment, frames
from topologies.kit.kernel_counters import FiveTuple, subflows
from topologies.kit.lab import Lab, ofctl
from topologies.kit.members import Members
from topologies.kit.network import add_endpoints, drop_endpoints
from topologies.kit.plan import Plan, address_of
from topologies.kit.processes import LabError
from topologies.kit.report import Report
from topologies.kit.waiting import until
from topologies.measures import pins
from topologies.networks.three_owners import (
    ACCESS_PORTS,
    HOSTS,
    MCPS,
    NATURAL_PORTS,
    POLICY,
    SERVICES,
    three_owners,
)

SCARCE = "10.9.0.4"  # a second address of the server
LIMIT = 9  # sessions of all hosts with one port of SCARCE, as the policy says
FEW, MORE = 1, 4  # of each host with SCARCE: those that live all the time, and those that come in a step
AFTER = 2  # new sessions of each host with joins, in each step
GAP_S = 0.2  # seconds between two connections of a host that opens them all the time
PATIENCE_S = 15.0  # for a connection or an echo: what is lost is sent again after 1, 3 and 7 s
SETTLE_S = 8.0
LINGER_S = 2.5  # in which the pins of joins that ended are gone: the policy's `fin_linger`, and a tick
STEP_S = 0.02
UNLIMITED = "limit"  # the control without the limit


def limited_plan(name: str) -> Plan:
    """The network, with a limit of sessions with one address of the server."""
    rule = f"{{name: few, when: {{destination: {SCARCE}/32}}, then: {{quotas: {{sessions_per_server: {LIMIT}}}}}}}"
    return replace(three_owners(name), policy=f"{POLICY}rules:\n  - {rule}\n")


def without_limit(plan: Plan, without: Sequence[str]) -> Plan:
    """The plan, or the same without its limit."""
    return replace(plan, policy=POLICY) if UNLIMITED in without else plan


@dataclass
class Step:
    """A step of a lab, with times of the clock that captures have. `began`: what happens to the owners; `right`: from then on
    every SYN has to be answered at once. `twice`: whether no SYN may be lost when it is repeated."""

    title: str
    began: float
    right: float = math.inf
    ended: float = 0.0
    twice: bool = True


class OwnerChanges:
    """`total`: sessions with the server that live all the time, beside FEW of each host with SCARCE."""

    def __init__(self, lab: Lab, report: Report, members: Members, total: int) -> None:
        self.lab, self.report, self.members, self.total = lab, report, members, total
        self.target = {f: address_of(lab.plan.box("server"), f) for f in (4, 6)}
        self.homes: dict[str, str] = {}
        self.steps: list[Step] = []
        self._groups = ["held"]  # of sessions that live until the end
        self._captures: dict[str, Capture] = {}
        self._rules: set[str] = set()

    # ---- before anything happens ----------------------------------------------------------------

    def begin(self) -> None:
        """Find all neighbours, begin the captures, open the sessions that live until the end."""
        lab = self.lab
        server = lab.host("server")
        server.run(f"ip address add {SCARCE}/24 dev {server.interface(0)}")
        for target in (*self.target.values(), SCARCE):
            for name in HOSTS:
                lab.agents[name].send("ping", dst=target, count=2)
            for name in HOSTS:
                lab.agents[name].answer()
        for port in (*ACCESS_PORTS, *NATURAL_PORTS, *(point.port for point in lab.plan.points)):
            self._captures[port] = lab.capture_port(port)
        lab.say(f"{self.total} sessions, a third at each switch of an access")
        for number, (name, family) in enumerate((n, f) for n in HOSTS for f in (4, 6)):
            self._send(name, "held", (self.total + number) // (2 * len(HOSTS)), self.target[family])
        failed = self._errors(name for name in HOSTS for _ in (4, 6))
        failed += self._open("held", FEW, SCARCE)
        self.report.equal("sessions that failed to open", [], failed[:3])
        self._note_homes()
        wanted = self.total + FEW * len(HOSTS)
        self.report.equal("sessions at MCPs", wanted, len(self.homes), "kernel")
        step = self.step("before anything happens")
        self.is_right(step)
        self.join_all(step)

    def note_rules(self) -> None:
        """Note the rules with which those of later are compared. Joins may bring some, as where hosts are is learnt by them."""
        self._rules = self.rules()

    def _send(self, name: str, group: str, count: int, target: str) -> None:
        self.lab.agents[name].send(
            "open", group=group, count=count, dst=target, ports=SERVICES[:1] if target == SCARCE else SERVICES, mptcp=True,
            first=True, wait=PATIENCE_S,
        )  # fmt: skip

    def _errors(self, names: Iterable[str]) -> list[object]:
        answers = [self.lab.agents[name].answer()["opened"] for name in names]
        return [one["error"] for opened in answers for one in opened if "error" in one]

    def _open(self, group: str, count: int, target: str) -> list[object]:
        for name in HOSTS:
            self._send(name, group, count, target)
        return self._errors(HOSTS)

    def _note_homes(self) -> None:
        """Note the MCP of each session, as the kernels tell it."""
        for name in MCPS:
            for row in subflows(self.lab.host(name)):
                if row.flow.sport in SERVICES and row.state == "ESTAB":
                    self.homes.setdefault(row.own_token, name)

    def rules(self) -> set[str]:
        """Static rules without leases, of all switches: switch, cookie, table and match. Those of single hosts are left out: the
        owner of a host's switch knows the host, and has a rule for it at each of its own switches."""
        addresses = [
            ip_interface(one).ip
            for name in HOSTS
            for n in self.lab.plan.box(name).nics
            for one in n.addresses
        ]
        of_hosts = tuple(f"_dst={one} " for one in addresses)
        found = set()
        for name in self.lab.plan.switches:
            dump = ofctl(self.lab.switch(name), "dump-flows", "cookie=0x5e20000000000000/0xfff0000000000000")
            for line in dump.splitlines():
                is_of_host = any(one in line for one in of_hosts)
                if "cookie=" in line and "hard_timeout" not in line and not is_of_host:
                    words = line.split(", ")
                    found.add(f"{name} {words[0].strip()} {words[2]} {words[-1]}")
        return found

    # ---- a step ---------------------------------------------------------------------------------

    def step(self, title: str, twice: bool = True) -> Step:
        """Begin a step. Rules are as they are now."""
        self.note_rules()
        self.steps.append(Step(title, time.time(), twice=twice))
        return self.steps[-1]

    def knock(self, step: Step) -> None:
        """From now on each host opens a connection every GAP_S seconds, until `knocked`."""
        for name in HOSTS:
            self.lab.agents[name].ask(
                "start", name=step.title, kind="tries", dst=self.target[4], port=SERVICES[0], mptcp=True, gap=GAP_S,
                wait=PATIENCE_S,
            )  # fmt: skip

    def knocked(self, step: Step) -> None:
        """Judge the connections that were opened meanwhile."""
        for name in HOSTS:
            self.lab.agents[name].ask("stop", name=step.title)
        found: list[dict[str, Any]] = []
        for name in HOSTS:
            try:
                found += self.lab.agents[name].finish(step.title, 2 * PATIENCE_S)["tries"]
            except LabError as error:
                found.append({"error": str(error), "mptcp": False, "took": 0.0})
        failed = [one["error"] for one in found if one["error"]]
        self.report.expect(
            f"{step.title}: connections opened meanwhile that failed",
            bool(found) and not failed,
            "none of some",
            f"{len(failed)} of {len(found)} {failed[:3] if failed else ''}".strip(),
        )
        self.report.figures[f"{step.title}: connections meanwhile"] = len(found)
        self.report.figures[f"{step.title}: of them not steered"] = sum(not one["mptcp"] for one in found)
        took = [one["took"] for one in found]
        self.report.figures[f"{step.title}: slowest of them, s"] = round(max(took, default=0.0), 2)

    def open_until(self, step: Step, came: Callable[[], bool], seconds: float) -> bool:
        """Open a session at each host, again and again, until `came()`, or for so many seconds; whether it came. The sessions
        live until the end, but for those that began in the very moment: their switch had two owners."""
        limit = time.monotonic() + seconds
        failed: list[object] = []
        opened, is_there = 0, False
        known = len(self.homes)
        while not is_there and time.monotonic() < limit:
            self._note_homes()
            group = f"{step.title} {opened}"
            self._groups.append(group)
            failed += self._open(group, 1, self.target[4])
            opened += len(HOSTS)
            # Noticed at once: what follows is to happen in the same moment.
            is_there = until(came, GAP_S, STEP_S)
        for name in HOSTS:
            self.lab.agents[name].ask("close", group=self._groups[-1])
        self._groups.pop()
        title = step.title
        self.report.expect(
            f"{title}: sessions opened meanwhile that failed",
            opened > 0 and not failed,
            "none of some",
            f"{len(failed)} of {opened} {failed[:3] if failed else ''}".strip(),
        )
        live = opened - len(HOSTS)
        self.report.equal(
            f"{title}: sessions opened meanwhile at MCPs", live, len(self.homes) - known, "kernel"
        )
        return is_there

    def is_right(self, step: Step) -> None:
        """From now on every SYN has to be answered at once."""
        step.right = step.ended = time.time()

    def live(self, title: str, when: str) -> None:
        """No session broke, and no static rule is another one."""
        broken = []
        for name in HOSTS:
            for group in self._groups:
                broken += self.lab.agents[name].ask("echo", group=group, wait=PATIENCE_S, enough=3)["failed"]
        self.report.equal(f"{title}: after {when}: sessions that broke", [], broken[:3])
        now = self.rules()
        changed = [f"+{one}" for one in sorted(now - self._rules)]
        changed += [f"-{one}" for one in sorted(self._rules - now)]
        self.report.equal(
            f"{title}: after {when}: static rules that were written again or lost",
            [],
            changed[:5],
            "switches",
        )

    def join_all(self, step: Step) -> bool:
        """Let all kernels join on all sessions, over another owner's switch, while new ones begin; judge all joins. Returns
        whether all came to their MCPs."""
        lab, report, title = self.lab, self.report, step.title
        lab.mark()
        for name in HOSTS:
            add_endpoints(lab.host(name), lab.plan.box(name).nics[1], 1)
        failed = self._open("after", AFTER, self.target[4])
        wanted = len(self.homes) + AFTER * len(HOSTS)
        until(lambda: sum(lab.counted(name)["MPJoinSynAckRx"] for name in HOSTS) >= wanted, SETTLE_S)
        until(lambda: sum(lab.counted(name)["MPJoinAckRx"] for name in MCPS) >= wanted, 1.0)
        step.ended = time.time()
        report.equal(f"{title}: new sessions that failed to open", [], failed[:3])
        view = pins.kernel_view(
            {name: subflows(lab.host(name)) for name in HOSTS},
            {name: subflows(lab.host(name)) for name in MCPS},
            SERVICES,
        )
        report.equal(f"{title}: joins that are missing or at another MCP", [], view.wrong[:3], "kernel")
        both = sum(map(len, view.pinned.values()))
        report.equal(f"{title}: sessions with both subflows at one MCP", wanted, both, "kernel")
        moved = {t for name, tokens in view.pinned.items() for t in tokens if self.homes.get(t, name) != name}
        report.equal(f"{title}: sessions at another MCP than before", set(), moved, "kernel")
        sent, answered = (
            sum(lab.counted(name)[what] for name in HOSTS) for what in ("MPJoinSynTx", "MPJoinSynAckRx")
        )
        completed = sum(lab.counted(name)["MPJoinAckRx"] for name in MCPS)
        report.equal(
            f"{title}: joins sent, answered, completed", (wanted,) * 3, (sent, answered, completed), "kernel"
        )
        unknown = sum(lab.counted(name)["MPJoinNoTokenFound"] for name in MCPS)
        report.equal(f"{title}: joins that came to an MCP without their token", 0, unknown, "kernel")
        for name in HOSTS:
            drop_endpoints(lab.host(name))  # takes the joins' subflows along
            lab.agents[name].ask("close", group="after")
        # A kernel that takes a port again sooner meets the pin of another owner's join on it (docs/cluster.rst).
        time.sleep(LINGER_S)
        return both == wanted

    def fill_limit(self, title: str) -> None:
        """Each host opens sessions of which the policy allows few, more in all than there may be."""
        failed = self._open("more", MORE, SCARCE)
        self.report.equal(f"{title}: connections beyond the limit that failed", [], failed[:3])
        count = sum(
            row.flow.src == SCARCE and row.state == "ESTAB" and not row.join
            for name in MCPS
            for row in subflows(self.lab.host(name))
        )
        self.report.expect(
            f"{title}: sessions beyond the limit of one server",
            count <= LIMIT,
            f"at most {LIMIT}",
            count,
            "kernel",
        )
        for name in HOSTS:
            self.lab.agents[name].ask("close", group="more")

    # ---- at the end -----------------------------------------------------------------------------

    def judge_captures(self) -> None:
        """Judge what was lost, and where segments came to. The captures are over."""
        self.lab.say("judging: captures")
        report = self.report
        read = {port: one.segments() for port, one in self._captures.items() if port not in NATURAL_PORTS}
        at_hosts = [one for port in ACCESS_PORTS for one in read[port]]
        sent = syn_times(at_hosts)
        for step in self.steps:
            repeated = [one for one in sent if step.right <= one[0] < step.ended and len(one) > 1]
            title = f"{step.title}: SYNs and joins that were not answered within a second"
            if step.right < step.ended:
                report.equal(title, 0, len(repeated), "capture")
            lost = [one for one in sent if step.began <= one[0] < step.ended and len(one) > 2]
            if step.twice:
                report.equal(f"{step.title}: SYNs and joins that were lost twice", 0, len(lost), "capture")
        report.expect("SYNs captured", bool(sent), "more than 0", len(sent), "capture")
        at_mcps = {point.name: read[point.port] for point in self.lab.plan.points}
        report.equal("joins captured at an MCP whose key is another", [], mispinned(at_mcps)[:3], "capture")
        report.equal("segments at another MCP than their session's", [], elsewhere(at_mcps)[:3], "capture")
        leaked = sum(
            frames(self._captures[port].file, "tcp.options.mptcp.subtype == 1") for port in NATURAL_PORTS
        )
        report.equal("joins on links that no steered segment may use", 0, leaked, "capture")


def syn_times(segments: Iterable[Segment]) -> list[list[float]]:
    """When each SYN was sent, and sent again. Those to SCARCE are left out: hosts may have to wait for a limit."""
    found: dict[tuple[FiveTuple, int], list[float]] = defaultdict(list)
    for one in segments:
        if one.syn and one.flow.dst != SCARCE:
            found[one.flow, one.sequence].append(one.time)
    return [sorted(times) for times in found.values()]


def mispinned(at_mcps: Mapping[str, Sequence[Segment]]) -> list[str]:
    """The joins that came to another MCP than the one with the key of their token."""
    keeper: dict[str, str] = {}
    for name, segments in at_mcps.items():
        for one in segments:
            if one.syn_ack and CAPABLE in one.options and one.key:
                keeper.setdefault(pins.token_of(one.key), name)
    return [
        f"{one.flow} token {one.token} of {keeper[one.token]} came to {name}"
        for name, segments in at_mcps.items()
        for one in segments
        if one.syn and JOIN in one.options and keeper.get(one.token, name) != name
    ]


def elsewhere(at_mcps: Mapping[str, Sequence[Segment]]) -> list[str]:
    """The flows of which segments came to two MCPs. A flow begins anew with another SYN."""
    at: dict[FiveTuple, set[str]] = defaultdict(set)
    wrong = []
    begun: dict[FiveTuple, int] = {}
    for time_, name, one in sorted(
        ((one.time, name, one) for name, segments in at_mcps.items() for one in segments),
        key=lambda row: row[0],
    ):
        flow = one.flow if one.flow.dport in SERVICES else one.flow.reversed()
        if one.syn and one.options and begun.get(flow) != one.sequence:
            begun[flow] = one.sequence
            at[flow] = set()
        if at[flow] and name not in at[flow]:
            wrong.append(f"{flow} at {at[flow]}, and at {name} at {time_:.3f}")
        at[flow].add(name)
    return wrong
