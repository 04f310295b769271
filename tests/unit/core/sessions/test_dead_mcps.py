"""What becomes of the sessions of an MCP that died (D-6.7.1)."""

from dataclasses import replace

import pytest

from steering.core import inputs
from steering.core.counters import Abort
from steering.core.selection.mcp_health import McpFault
from steering.core.sessions import dead_mcps
from steering.core.sessions.abort import WAIT
from steering.core.sessions.dead_mcps import EACH_TICK, GRACE, RETURN, SCAN
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.indexes import SPAN
from steering.core.sessions.transitions import Beginning
from steering.model.ids import NO_MCP
from steering.model.network import PortRef
from steering.model.policy import Policy, Quotas
from steering.model.session import Refusal, Watch
from tests.support.fakes.kernel import LivingLab
from tests.support.sites import (
    SERVER,
    UE_LTE,
    UE_WLAN,
    Driver,
    capable,
    join,
    off_path_site,
    packed,
    refused,
    steered,
)
from tests.support.sites import mcp as further_mcp
from tests.support.wired import at_mcp

KEEPING = Policy(keep_keys=True, quotas=Quotas(sessions_per_subscriber=1))


def keeping(**more) -> LivingLab:
    return LivingLab(policy=replace(KEEPING, **more))


def dead(lab: Driver, mcp) -> None:
    lab.give(inputs.McpReport(mcp.id, False, None))


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("how", ["word", "port"])
@pytest.mark.parametrize("keys", [True, False])
def test_both_ends_of_a_dead_mcps_sessions_are_told_within_a_second_and_joins_are_refused(how, keys):
    lab = LivingLab(policy=replace(KEEPING, keep_keys=keys))
    core, edge = lab.site.mcps
    lab.established()
    host, server = lab.host(), lab.server()
    if how == "word":
        dead(lab, core)
    else:
        lab.give(inputs.PortStatus(3, 1, False))
    assert refused(lab.syn(2, 1, join(UE_WLAN, 1))) == (3, False)
    assert lab.counters.refusals == {Refusal.MCP_UNREACHABLE: 1}
    lab.pass_by(0.05)
    assert lab.watches(1) == [Watch.NOTHING], "it may come back"
    lab.pass_by(0.4)
    assert not host.lives and host.fastclosed is keys and not server.lives
    assert len(lab.table) == 0 and not lab.watches(1)
    assert lab.counters.aborts == {Abort.FASTCLOSE if keys else Abort.RESET: 1}
    assert refused(lab.syn(2, 1, join(UE_WLAN, 2))) == (3, False)
    assert steered(lab.syn(1, 1, capable(UE_LTE, 2))).release.waypoint == lab.engine.map.inside[edge.id].id


@pytest.mark.row("D-6.7.1")
def test_an_mcp_that_is_back_within_the_grace_keeps_its_sessions():
    lab = keeping()
    core, _ = lab.site.mcps
    lab.established()
    dead(lab, core)
    lab.pass_by(GRACE - 0.05)
    lab.give(inputs.McpReport(core.id, True, None))
    lab.pass_by(10)
    assert lab.watches(1) == [Watch.NOTHING] and at_mcp(lab.join())


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("off", [0.7, 1.0])
@pytest.mark.parametrize("discovers", [False, True])
def test_both_ends_are_told_when_the_mcps_switch_is_off_for_a_second_and_not_before(off, discovers):
    """Also of a switch that has lost its connection to the controller at the same moment."""
    site = off_path_site(discover=True, links=()) if discovers else off_path_site()
    lab = LivingLab(site, policy=KEEPING)
    for one in off_path_site().links:
        lab.apply(lab.give(inputs.LinkUp(one.a, one.b)) + lab.give(inputs.LinkUp(one.b, one.a)))
    lab.pass_by(1.0)
    lab.established()
    host, server = lab.host(), lab.server()
    lab.pass_by(1.0)
    lab.give(inputs.SwitchDown(3))
    for dpid, port in ((1, 2), (4, 2)):
        lab.give(inputs.PortStatus(dpid, port, False))
    lab.pass_by(off)
    assert (host.lives, server.lives) == (off < 1, off < 1)


@pytest.mark.row("D-6.7.1")
def test_many_sessions_of_a_dead_mcp_end_some_at_a_time_and_others_stay():
    driver = Driver(policy=Policy(max_stretch=9))
    core, edge = driver.site.mcps
    for n in range(EACH_TICK + 50):
        driver.session(sport=n + 1, key=n.to_bytes(8, "big"))
    driver.give(inputs.McpAdmin(core.id, True))
    other = driver.session(sport=9999, key=b"another!")
    assert other.mcp == edge.id
    dead(driver, core)
    driver.later(0.05)
    driver.later(GRACE)
    aborting = driver.engine.sessions.aborted
    assert len(aborting) == EACH_TICK
    driver.later(0.05)
    assert len(aborting) == EACH_TICK + 50
    driver.later(WAIT)
    assert driver.table.active == {core.id: 0, edge.id: 1} and list(driver.table) == [other]


@pytest.mark.row("D-6.7.1")
def test_sessions_of_all_dead_mcps_are_looked_for_together_and_some_at_a_time(monkeypatch):
    """With a million sessions, one look at all of them for each dead MCP keeps every SYN waiting."""
    monkeypatch.setattr(dead_mcps, "SEARCHED_EACH_TICK", 1)
    driver = Driver()
    core, edge = driver.site.mcps
    at = {n: core.id if n % 2 else edge.id for n in (1, 2, SPAN + 1, SPAN + 2, 2 * SPAN + 1)}
    for n in range(1, 2 * SPAN + 3):
        ends = packed("10.1.0.9"), packed(SERVER), n, 5201
        driver.life.begin(Beginning.FOUND_PLAIN, at.get(n, NO_MCP), None, driver.now, first=flow_key(*ends))
    for mcp in (core, edge):
        dead(driver, mcp)
    driver.later(0.05)
    left = []
    driver.now += GRACE
    for _ in range(4):
        driver.later(0.05)
        left.append([n for n in at if n in driver.table.by_id])
    assert left == [[SPAN + 1, SPAN + 2, 2 * SPAN + 1], [2 * SPAN + 1], [], []]
    assert len(driver.table) == 2 * SPAN + 2 - len(at)


@pytest.mark.parametrize("silent", ["one", "all"])
def test_when_nobody_reports_any_more_it_is_the_way_of_the_reports_and_sessions_live_on(silent):
    lab = LivingLab(policy=replace(KEEPING, max_stretch=9))
    session = lab.established()
    for _ in range(40):
        for mcp in lab.site.mcps:
            if lab.now < 101 or (silent == "one" and mcp.id != session.mcp):
                lab.give(inputs.McpReport(mcp.id, True, 0.1, 0.2))
        lab.pass_by(0.1)
    assert lab.engine.chooser.health[session.mcp].fault is McpFault.FROZEN
    assert (len(lab.table) == 1 and lab.watches(1) == [Watch.NOTHING]) is (silent == "all")


class Reporting(LivingLab):
    """A session at an MCP that reports five times a second, and the other MCPs between its reports. `silent`: the names of
    those that report nothing."""

    def __init__(self, **more) -> None:
        super().__init__(policy=replace(KEEPING, max_stretch=9), **more)
        self.pinned = self.established()
        self.silent = set[str]()
        self.steps = 0
        self.goes_on(1.0)

    @property
    def name(self) -> str:
        return self.engine.map.mcps[self.pinned.mcp].name

    @property
    def others(self) -> set[str]:
        return {one.name for one in self.site.mcps} - {self.name}

    @property
    def lives(self) -> bool:
        return len(self.table) == 1 and self.watches(1) == [Watch.NOTHING]

    def goes_on(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.steps += 1
            for one in self.site.mcps:
                own = one.id == self.pinned.mcp
                if one.name not in self.silent and self.steps % 4 == (0 if own else 2):
                    self.give(inputs.McpReport(one.id, True, 0.1, 0.2))
            self.pass_by(0.05)


@pytest.mark.parametrize("last", [0.05, 0.1, 0.15, 0.2])
def test_reports_that_all_stop_and_begin_again_one_after_the_other_end_no_session(last):
    lab = Reporting()
    lab.goes_on(last)  # whose report is the last one differs
    lab.silent = {lab.name, *lab.others}
    lab.goes_on(3.0)
    assert all(health.fault is McpFault.FROZEN for health in lab.engine.chooser.health.values())
    assert lab.lives and at_mcp(lab.join(sport=50_001)), "and gets subflows as before"
    lab.silent = {lab.name}
    lab.goes_on(RETURN - 1.0)
    assert lab.lives, "its relay tries again later than the other one"
    lab.silent = set()
    lab.goes_on(RETURN)
    assert lab.lives


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("silent", ["one", "all"])
def test_the_same_holds_where_mcps_promise_no_pace(silent):
    """They report at moments of their own, seconds apart, and begin again like this when the way is there again."""
    lab = LivingLab(policy=replace(KEEPING, max_stretch=9))
    session = lab.established()
    began = lab.now

    def lives_for(seconds: float, *reporting: int) -> None:
        for _ in range(round(seconds / 0.2)):
            for place, mcp in enumerate(lab.site.mcps):
                if mcp.id in reporting and round((lab.now - began) / 0.2) % 70 == 35 * place:
                    lab.give(inputs.McpReport(mcp.id, True, 0.1))
            lab.pass_by(0.2)

    both = [mcp.id for mcp in lab.site.mcps]
    others = [number for number in both if number != session.mcp]
    lives_for(30.0, *both)
    lives_for(45.0, *(others if silent == "one" else ()))
    assert lab.engine.chooser.health[session.mcp].fault is McpFault.FROZEN
    assert len(lab.table) == (silent == "all")
    lives_for(30.0, *both)
    assert len(lab.table) == (silent == "all")


def test_a_relay_that_does_not_report_again_when_the_others_do_is_frozen():
    lab = Reporting()
    lab.silent = {lab.name, *lab.others}
    lab.goes_on(3.0)
    lab.silent = {lab.name}
    lab.goes_on(RETURN + 1.5)
    assert not lab.lives


def test_an_mcp_that_died_before_does_not_take_the_reports_network_from_doubt():
    third = further_mcp("third", PortRef(5, 3), "10.8.2.2")
    lab = Reporting(site=off_path_site(mcps=(*off_path_site().mcps, third)))
    lab.give(inputs.PortStatus(5, 3, False))
    lab.goes_on(1.0)
    assert lab.lives
    lab.silent = {lab.name, *lab.others}
    lab.goes_on(3.0)
    assert lab.lives


@pytest.mark.row("D-6.7.1")
def test_a_relay_that_froze_long_ago_does_not_hide_that_another_one_freezes():
    lab = Reporting()
    lab.silent = lab.others
    lab.goes_on(20.0)
    assert lab.lives
    lab.silent = {lab.name, *lab.others}
    lab.goes_on(1.5)
    assert not lab.lives


@pytest.mark.row("D-6.7.1")
def test_the_few_sessions_of_one_dead_mcp_do_not_wait_for_the_many_of_another(monkeypatch):
    monkeypatch.setattr("steering.core.sessions.dead_mcps.EACH_TICK", 4)
    driver = Driver(policy=Policy(max_stretch=9))
    core, edge = driver.site.mcps
    for n in range(400):
        driver.session(sport=n + 1, key=(n + 1).to_bytes(8, "big"))
    driver.give(inputs.McpAdmin(core.id, True))
    few = [driver.session(sport=1_000 + n, key=(1_000 + n).to_bytes(8, "big")) for n in range(4)]
    assert {session.mcp for session in few} == {edge.id}
    dead(driver, core)
    driver.later(0.05)
    driver.later(GRACE)
    dead(driver, edge)
    driver.later(0.05)
    driver.later(GRACE)
    driver.later(0.05)
    assert all(driver.engine.sessions.aborted.report(session.id) for session in few)


def test_sessions_that_wait_for_their_turn_are_noted_once_however_often_they_are_found(monkeypatch):
    monkeypatch.setattr("steering.core.sessions.dead_mcps.EACH_TICK", 1)
    driver = Driver(policy=Policy(max_stretch=9))
    core, _ = driver.site.mcps
    for n in range(200):
        driver.session(sport=n + 1, key=(n + 1).to_bytes(8, "big"))
    dead(driver, core)
    for _ in range(220):
        driver.later(0.1)
    session = driver.life.begin(Beginning.FOUND_PLAIN, core.id, None, driver.now)
    for _ in range(round(SCAN / 0.1) + 5):
        driver.later(0.1)
    assert session.id not in driver.table.by_id


def test_sessions_that_turn_up_at_a_dead_mcp_are_found_later():
    driver = Driver()
    core, _ = driver.site.mcps
    dead(driver, core)
    driver.later(0.1)
    driver.later(GRACE)
    session = driver.life.begin(Beginning.FOUND_PLAIN, core.id, None, driver.now)  # as recovery does
    driver.later(0.1)
    assert session.id in driver.table.by_id
    driver.later(SCAN)
    assert session.id not in driver.table.by_id


@pytest.mark.row("D-6.7.1")
def test_a_session_that_was_only_beginning_goes_to_another_mcp_with_its_next_syn():
    driver = Driver(policy=Policy(max_stretch=9))
    core, edge = driver.site.mcps
    opening = capable(UE_LTE, 40000)
    assert steered(driver.syn(1, 1, opening)).release.waypoint == driver.engine.map.inside[core.id].id
    dead(driver, core)
    outputs = driver.syn(1, 1, opening)
    assert steered(outputs).release.waypoint == driver.engine.map.inside[edge.id].id
    assert [session.mcp for session in driver.table] == [edge.id]
