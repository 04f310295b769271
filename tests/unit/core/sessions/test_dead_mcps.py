"""What becomes of the sessions of an MCP that died (D-6.7.1)."""

from dataclasses import replace

import pytest

from steering.core import inputs
from steering.core.counters import Abort
from steering.core.selection.mcp_health import McpFault
from steering.core.sessions.abort import WAIT
from steering.core.sessions.dead_mcps import EACH_TICK, GRACE, SCAN
from steering.core.sessions.transitions import Beginning
from steering.model.policy import Policy, Quotas
from steering.model.session import Refusal, Watch
from tests.support.fakes.kernel import LivingLab
from tests.support.sites import UE_LTE, UE_WLAN, Driver, capable, join, refused, steered
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
