"""A third controller joins two that divide the switches among them, under new sessions; then one of the three is drained and ends.

At the moment at which a share moves all kernels join on all sessions, over switches of other owners. The sessions that move with
their share must not notice, and no rule is written for them.
"""

import time
from collections.abc import Callable, Sequence

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
PLAN = limited_plan("cluster-grow")
SESSIONS = 36
FIRST, DRAINED, THIRD = NAMES
GROWS, SHRINKS, ENDS = "a third one joins", "one is drained", "the drained one ends"
MOVES_S = 40.0  # in which a member starts, or is drained, and the first share is moved
TAKEN_S = 15.0  # in which its new owner has it
SOON_S = 1.0  # in which all has to be right again


def run(options: Options, report: Report) -> None:
    """Add a controller, drain one, end it, and judge what hosts notice of it."""
    plan = without_limit(PLAN, options.without)
    with running(plan, options.say, options.without, options.keep) as lab:
        lab.start_services()
        for name in HOSTS:
            drop_endpoints(lab.host(name))
        members = Members(lab, start_etcd(lab), options.without)
        members.there = (FIRST, DRAINED)
        options.say("two controllers divide the switches among them")
        members.start()
        hosts = OwnerChanges(lab, report, members, options.sessions or SESSIONS)
        test = ClusterGrow(hosts, options.without)
        hosts.begin()
        test.grow()
        if not options.without:
            test.shrink()
            test.end()
        lab.stop_captures()
        hosts.judge_captures()
        if options.prompt:
            lab.command_line()


class ClusterGrow:
    """The steps of the run."""

    def __init__(self, hosts: OwnerChanges, without: Sequence[str]) -> None:
        self.hosts, self._without = hosts, without
        self.lab, self.report, self.members = hosts.lab, hosts.report, hosts.members

    def grow(self) -> None:
        """A third member starts, and gets a share."""
        members, before = self.members, self.members.masters()
        self.lab.say(f"{THIRD} joins {FIRST} and {DRAINED}")
        if "third" not in self._without:
            members.add(THIRD)
        self._moves(GROWS, lambda: THIRD in self._owners())
        after = members.masters()
        self.report.expect(f"{GROWS}: it decides for switches", bool(after[THIRD]), "some", after, "REST")
        other = {name: sorted(after[name] - before[name]) for name in (FIRST, DRAINED)}
        self.report.equal(f"{GROWS}: switches that others took", {FIRST: [], DRAINED: []}, other, "REST")
        self._is_right(GROWS)

    def shrink(self) -> None:
        """One member is drained."""
        members = self.members
        self.lab.say(f"{THIRD} is told to drain {DRAINED}")
        members.there = (FIRST, THIRD)
        members.change(THIRD, "POST", f"/v1/cluster/{DRAINED}/drain")
        self._moves(SHRINKS, lambda: bool(owners := self._owners()) and DRAINED not in owners)
        after = members.masters()
        self.report.equal(f"{SHRINKS}: switches that it decides for", set(), after[DRAINED], "REST")
        self.report.equal(
            f"{SHRINKS}: who is drained, as another one tells", {DRAINED}, self._draining(), "REST"
        )
        self._is_right(SHRINKS)

    def end(self) -> None:
        """The drained member ends; nobody notices."""
        self.lab.say(f"{DRAINED} ends")
        self.report.equal(f"{ENDS}: its exit status", 0, self.members.controllers[DRAINED].stop())
        self._is_right(ENDS)

    def _moves(self, title: str, moves: Callable[[], bool]) -> None:
        """New sessions begin until a share moves. Then all kernels join at once."""
        hosts, members = self.hosts, self.members
        step = hosts.step(title)
        began = time.monotonic()
        came = hosts.open_until(step, moves, MOVES_S)
        moved = time.monotonic()
        self.report.figures[f"{title}: a share moves after, s"] = round(moved - began, 2) if came else None
        hosts.join_all(step)
        taken = until(lambda: not members.problem(), TAKEN_S)
        self.report.figures[f"{title}: all decide after, s"] = (
            round(time.monotonic() - moved, 2) if taken else None
        )
        self.report.equal(f"{title}: what keeps members from deciding", "", members.problem(), "REST")

    def _is_right(self, title: str) -> None:
        hosts = self.hosts
        time.sleep(SOON_S)
        hosts.live(title, "it")
        step = hosts.step(f"{title}, afterwards")
        hosts.is_right(step)
        hosts.join_all(step)
        hosts.fill_limit(title)

    def _told(self) -> dict[str, list[dict[str, object]]]:
        """The state of the cell, as the first member tells it."""
        try:
            found: dict[str, list[dict[str, object]]] = self.members.controllers[FIRST].get("/v1/cluster")
        except (OSError, LabError):
            return {}
        return found

    def _owners(self) -> set[object]:
        """The owners of all shares; empty where that is not told."""
        return {one["owner"] for one in self._told().get("shares", [])}

    def _draining(self) -> set[object]:
        return {one["name"] for one in self._told().get("members", []) if one["draining"]}


SCENARIO = Scenario(
    name="cluster-grow",
    figure="docs/cluster.rst",
    rows=ROWS,
    summary="a third controller joins two under new sessions, one is drained and ends; joins on all sessions while shares move",
    plan=PLAN,
    run=run,
    controls=controls("peer-tokens", third="no third controller starts", limit="the policy has no limit"),
)
