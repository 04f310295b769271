"""MCPs over a restart of the controller: one that reported has to report again, and one that answered is missed at once."""

from typing import Any

import pytest

from steering.core.inputs import McpReport, Restored, Tick
from steering.core.selection.mcp_health import RECONNECT, SILENT, Health, McpFault
from steering.core.sessions.dead_mcps import RETURN
from steering.core.snapshots import kept as snapshots
from steering.model.decision import FilterReason
from steering.model.kept import KeptMcp, KeptNetwork, KeptState, Piece
from steering.model.policy import Policy
from tests.support.next_controller import Next, kept
from tests.support.probed_mcp import Probed
from tests.support.sites import UE_LTE, Driver, capable, steered

PACE = 0.2
MISSED = 3.5 * PACE  # seconds without reports after which a relay is frozen


def report(driver: Any, mcp: Any, pace: float | None = PACE) -> None:
    driver.give(McpReport(mcp.id, True, 0.1, pace))


class Restart:
    """A controller to which MCPs reported, by default both, and the one after it, with a session at the first MCP. `alone`: seconds
    until anybody reaches the latter."""

    def __init__(
        self, pace: float | None = PACE, forgets: bool = False, reporters: int = 2, alone: float = 0.0
    ) -> None:
        before = Driver(policy=Policy(max_stretch=9))
        self.core, self.edge = before.site.mcps
        before.session()
        for mcp in before.site.mcps[:reporters]:
            report(before, mcp, pace)
        after = Next(before, KeptState() if forgets else kept(before), gone=1.0)
        self.driver = after.driver
        for _ in range(round(alone / 0.1)):
            self.driver.now += 0.1
            self.driver.give(Tick())
        after.up()
        self.goes_on(0.05)

    def goes_on(self, seconds: float, *reporters: Any) -> None:
        for _ in range(round(seconds / 0.1)):
            for mcp in reporters:
                report(self.driver, mcp)
            self.driver.later(0.1)

    @property
    def health(self) -> Any:
        return self.driver.engine.chooser.health[self.core.id]

    @property
    def lives(self) -> bool:
        return any(one.mcp == self.core.id and not one.ending for one in self.driver.table)

    def goes_to(self, sport: int) -> int:
        """The waypoint to which a new session is led."""
        return steered(self.driver.syn(1, 1, capable(UE_LTE, sport))).release.waypoint

    def waypoint(self, mcp: Any) -> int:
        return self.driver.engine.map.inside[mcp.id].id


@pytest.mark.row("D-6.7.1")
def test_one_that_reported_and_is_silent_after_the_restart_is_no_candidate() -> None:
    on = Restart()
    on.goes_on(RECONNECT, on.edge)
    assert on.goes_to(41_000) == on.waypoint(on.core), "its relay may still be on its way"
    on.goes_on(MISSED + 0.1, on.edge)
    assert on.health.fault is McpFault.FROZEN
    assert on.goes_to(41_001) == on.waypoint(on.edge)


def test_control_without_what_was_kept_it_is_a_candidate_without_end() -> None:
    on = Restart(forgets=True)
    on.goes_on(20.0, on.edge)
    assert on.goes_to(41_000) == on.waypoint(on.core)


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("reporters", [1, 2])
def test_its_sessions_live_until_any_relay_would_have_reached_the_controller(reporters: int) -> None:
    on = Restart(reporters=reporters)
    others = (on.edge,) if reporters == 2 else ()
    on.goes_on(RETURN - 0.2, *others)
    assert on.lives
    on.goes_on(1.0, *others)
    assert not on.lives


@pytest.mark.row("D-6.7.1")
def test_where_the_network_of_the_controller_comes_late_relays_have_their_time_from_then_on() -> None:
    """It booted together with its network, say."""
    on = Restart(reporters=1, alone=30.0)
    assert on.health.fault is None
    on.goes_on(RETURN - 0.2)
    assert on.lives and on.health.fault is McpFault.FROZEN
    on.goes_on(1.0)
    assert not on.lives
    late = Restart(reporters=1, alone=30.0)
    late.goes_on(7.0)
    late.goes_on(2 * RETURN, late.core)
    assert late.lives and late.driver.engine.chooser.state(late.core.id, late.driver.now) is Health.UP


@pytest.mark.parametrize("after", [0.5, RECONNECT, 5.0, 7.0])
def test_one_whose_relay_comes_back_late_keeps_its_sessions_and_needs_no_hold(after: float) -> None:
    on = Restart()
    on.goes_on(after, on.edge)
    on.goes_on(0.1, on.core, on.edge)
    assert on.driver.engine.chooser.state(on.core.id, on.driver.now) is Health.UP
    assert on.goes_to(41_000) == on.waypoint(on.core)
    on.goes_on(2 * RETURN, on.core, on.edge)
    assert on.lives


def test_one_that_promised_no_pace_has_its_time_again() -> None:
    on = Restart(pace=None)
    on.goes_on(SILENT - 0.5)
    assert not on.health.gone
    on.goes_on(1.0)
    assert on.health.fault is McpFault.FROZEN


def test_what_is_kept_outlives_one_restart_after_the_other_until_the_site_names_another_mcp() -> None:
    on = Restart()
    told = kept(on.driver).network.mcps
    assert told == (KeptMcp("core", True, PACE, False), KeptMcp("edge", True, PACE, False))
    stranger = KeptNetwork((), (), (KeptMcp("elsewhere", True, PACE, True),))
    fresh = Driver()
    fresh.give(Restored(KeptState(stranger)))
    assert kept(fresh).network.mcps == ()


def test_the_piece_is_written_when_an_mcp_begins_to_report_and_not_with_each_report() -> None:
    driver = Driver()
    revisions = []
    for _ in range(3):
        revisions.append(snapshots.revision(driver.engine, Piece.NETWORK))
        report(driver, driver.site.mcps[0])
    assert revisions[0] != revisions[1] == revisions[2]


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("answered", [True, False])
def test_a_process_that_ended_meanwhile_is_missed_as_soon_as_any(answered: bool) -> None:
    lab = Probed()
    lab.listens = False
    lab.give(Restored(KeptState(KeptNetwork((), (), (KeptMcp("core", False, 0.0, answered),)))))
    lab.pass_by(1.0)
    assert (lab.core.fault is McpFault.PROCESS_GONE) is answered
    excluded = lab.engine.chooser.excluded.get(lab.site.mcps[0].id)
    assert excluded is (FilterReason.DOWN if answered else None)


def test_that_an_mcp_answers_is_kept() -> None:
    lab = Probed()
    lab.pass_by(0.5)
    assert KeptMcp("core", False, 0.0, True) in kept(lab).network.mcps
