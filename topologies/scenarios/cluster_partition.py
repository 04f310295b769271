"""Of three controllers one is cut off: first from the other controllers, then another one from etcd, then the third one from its
switches. Two of these cuts are one-way: etcd hears a controller that does not hear it, and a controller hears switches that do not
hear it.

Hosts open connections all the while. Whoever may write has to decide for the switches of the one that is cut off, with the
sessions as they are; the one that is cut off writes nothing. Each cut is healed before the next one.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from topologies.kit.apart import BOTH, IN, LAB, OUT, ControllersApart
from topologies.kit.captures import Capture, frame_times
from topologies.kit.etcd import start_etcd
from topologies.kit.lab import running
from topologies.kit.members import NAMES, Members
from topologies.kit.network import drop_endpoints
from topologies.kit.processes import LabError
from topologies.kit.report import Report
from topologies.kit.scenario import Options, Scenario, controls
from topologies.kit.waiting import until
from topologies.measures.owner_changes import OwnerChanges, limited_plan, without_limit
from topologies.networks.three_owners import HOSTS

ROWS = ("D-6.7.1", "D-6.2c")
PLAN = limited_plan("cluster-partition")
SESSIONS = 36
# OFPT_PACKET_OUT, FLOW_MOD, GROUP_MOD and METER_MOD
WRITES = " || ".join(f"openflow_v4.type == {number}" for number in (13, 14, 15, 29))
SOON_S = 1.0  # in which all has to be right again
STEP_S = 0.05
TELLS_S = 5.0


class Cut(NamedTuple):
    """`victim` is cut off from `what`: from its peers, etcd, or switches. `follows_s`: in which others decide for its switches.
    `at_once`: whether they follow so early that no repeated SYN is lost."""

    title: str
    victim: str
    what: str
    ways: tuple[str, ...]
    follows_s: float
    at_once: bool = True


CUTS = (
    Cut("cut off from its peers", NAMES[0], "peers", BOTH, 10.0),
    Cut("deaf to etcd", NAMES[1], "etcd", (IN,), 15.0),
    Cut("unheard by switches", NAMES[2], "switches", (OUT,), 30.0, at_once=False),
)


def run(options: Options, report: Report) -> None:
    """Cut the controllers off one after the other, and judge what hosts notice of it."""
    plan = without_limit(PLAN, options.without)
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.start_services()
        for name in HOSTS:
            drop_endpoints(lab.host(name))
        apart = ControllersApart(lab.record, NAMES)
        etcd = start_etcd(lab, 1, LAB)
        members = Members(lab, etcd, options.without, apart)
        options.say("three controllers, each in a namespace of its own, divide the switches among them")
        members.start()
        hosts = OwnerChanges(lab, report, members, options.sessions or SESSIONS)
        test = ClusterPartition(hosts, apart, etcd, options.without)
        test.begin()
        for cut in CUTS[:1] if options.without else CUTS:
            test.survive(cut)
        lab.stop_captures()
        test.judge_writes()
        hosts.judge_captures()
        if options.prompt:
            lab.command_line()


class Silence(NamedTuple):
    """A time, on the clock that captures have, in which a controller may write nothing."""

    cut: Cut
    began: float
    ended: float


class ClusterPartition:
    """The steps of the run. `etcd`: its URLs."""

    def __init__(
        self, hosts: OwnerChanges, apart: ControllersApart, etcd: str, without: Sequence[str]
    ) -> None:
        self.hosts, self.apart, self._etcd, self._without = hosts, apart, etcd, without
        self.lab, self.report, self.members = hosts.lab, hosts.report, hosts.members
        self._channels: dict[str, Capture] = {}
        self._silent: list[Silence] = []

    def begin(self) -> None:
        """Begin the captures at the controllers' links, and the sessions."""
        for name in NAMES:
            self._channels[name] = self.lab.capture_interface(self.apart.interface(name), "tcp port 6653")
        self.hosts.begin()
        if "standbys" in self._without:
            for name, switches in self.members.masters().items():
                for switch in switches:
                    self.members.tell_switch(switch, [self.members.target(name)])

    def survive(self, cut: Cut) -> None:
        """One cut, from its beginning until all members decide again."""
        hosts, members, report = self.hosts, self.members, self.report
        its = members.masters()[cut.victim]
        self.lab.say(f"{cut.title}: {cut.victim}, which decides for {', '.join(sorted(its)) or 'nothing'}")
        step = hosts.step(cut.title, cut.at_once)
        hosts.knock(step)
        began = time.monotonic()
        self._cut(cut)
        follows = until(lambda: self._follow(its, cut.victim), cut.follows_s, STEP_S)
        came = time.monotonic()
        report.expect(
            f"{cut.title}: others decide for its switches",
            follows and bool(its),
            f"{sorted(its)} at others",
            members.masters(),
            "REST",
        )
        report.figures[f"{cut.title}: others follow after, s"] = round(came - began, 2) if follows else None
        # Who is followed at once is followed, and all is right, within SOON_S of the cut.
        time.sleep(max(0.0, (began if cut.at_once else came) + SOON_S - time.monotonic()))
        hosts.is_right(step)
        hosts.knocked(step)
        hosts.live(cut.title, "the take-over")
        # A word of before may still be under way, and is refused; SOON_S after the others' there is none.
        wrote = max(step.right, time.time() - (time.monotonic() - came) + SOON_S)
        hosts.join_all(step)
        hosts.fill_limit(cut.title)
        self._told(cut)
        self._silent.append(Silence(cut, wrote, time.time()))
        if self._without:
            return
        hosts.note_rules()
        self.apart.heal(cut.victim)
        problem = members.whole()
        report.equal(f"{cut.title}: afterwards: what keeps members from deciding", "", problem, "REST")
        hosts.live(cut.title, "the return")

    def _cut(self, cut: Cut) -> None:
        if "cut" in self._without:
            return
        if cut.what == "peers":
            self.apart.cut_peers(cut.victim, cut.ways)
        elif cut.what == "etcd":
            self.apart.cut_etcd(cut.victim, cut.ways, self._etcd)
        else:
            self.apart.cut_switches(cut.victim, cut.ways)

    def _follow(self, its: set[str], victim: str) -> bool:
        """Whether other members say that they decide for all of these switches."""
        found = self.members.masters()
        return its <= set[str]().union(*(found[name] for name in NAMES if name != victim))

    def _told(self, cut: Cut) -> None:
        """What an operator can see of the cut, at the one that is cut off and at others."""
        victim, others = cut.victim, [name for name in NAMES if name != cut.victim]
        owners = self._owners(others[0])
        self.report.equal(
            f"{cut.title}: owners of all shares, as another one tells", set(others), owners, "REST"
        )
        # Who is not answered by a switch leaves it after ten seconds; until then it says what it knows.
        until(lambda: not self.members.masters()[victim], TELLS_S)
        its = self.members.masters()[victim]
        self.report.equal(
            f"{cut.title}: switches of the one that is cut off, as it tells", set(), its, "REST"
        )
        if cut.what == "peers":
            heard = self.members.metric("steering_peer_up", peer=victim)
            told = {name for name in others if heard.get(name) == 0.0}
            self.report.equal(f"{cut.title}: who tells that it is not heard", set(others), told, "REST")
        elif cut.what == "etcd":
            up = self.members.metric("steering_etcd_up")
            self.report.equal(f"{cut.title}: etcd is there, by each one's word", _but(victim), up, "REST")

    def _owners(self, name: str) -> set[str]:
        """The owners of all shares, as a member tells."""
        try:
            return {one["owner"] for one in self.members.controllers[name].get("/v1/cluster")["shares"]}
        except (OSError, LabError, KeyError):
            return {"no answer"}

    def judge_writes(self) -> None:
        """Whoever was cut off wrote nothing to a switch from when others decided there until it was back."""
        for cut, began, ended in self._silent:
            said = f"ip.src == {self.apart.addresses[cut.victim]} && ({WRITES})"
            times = frame_times(self._channels[cut.victim].file, said)
            before = sum(one < began for one in times)
            self.report.expect(
                f"{cut.title}: writes of it before", before > 0, "more than 0", before, "capture"
            )
            wrote = sum(began <= one < ended for one in times)
            self.report.equal(f"{cut.title}: writes of the one that is cut off", 0, wrote, "capture")


def _but(victim: str) -> dict[str, float]:
    return {name: float(name != victim) for name in NAMES}


SCENARIO = Scenario(
    name="cluster-partition",
    figure="docs/cluster.rst",
    rows=ROWS,
    summary="of three controllers one is cut off: from its peers, from etcd, from its switches, one-way too; joins on all sessions",
    plan=PLAN,
    run=run,
    controls=controls(
        "peer-tokens",
        "read-back",
        cut="nothing is cut off, and each controller goes on",
        standbys="each switch has the address of one controller only",
        limit="the policy has no limit",
    ),
    alone=True,  # a controller that a busy machine holds up for a third of a second counts as silent
)
