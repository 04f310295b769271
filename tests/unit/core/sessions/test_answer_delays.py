"""MCPs that are far away: how long their answers are waited for."""

from typing import Any

import pytest

from steering.core.selection.mcp_health import Health
from steering.core.sessions.answer_delays import MOST_PATIENCE, PATIENCE, QUICK, REPEATED, AnswerDelays
from steering.model.ids import McpId, WaypointId
from steering.model.network import PortRef
from steering.model.policy import AlarmTerms
from tests.support.clinic import Clinic
from tests.support.sites import UE_LTE, UE_WLAN, answer, capable, join, steered

COUNT = AlarmTerms().sick_count
PLACE = McpId(1), WaypointId(1)


class Far(Clinic):
    """`delay`: seconds after which MCPs answer SYNs."""

    def __init__(self, delay: float) -> None:
        super().__init__()
        self.delay = delay
        self.underway: list[tuple[float, PortRef, Any]] = []
        self.went: list[str] = []

    def pass_by(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            while self.underway and self.underway[0][0] <= self.now + 1e-9:
                _, place, answered = self.underway.pop(0)
                self.syn_ack(place.dpid, place.port, answered)
            super().pass_by(0.05)

    def far(self, count: int, gap: float = 0.1) -> None:
        """New sessions."""
        for _ in range(count):
            self.sport += 1
            opening = capable(UE_LTE, self.sport)
            went = steered(self.syn(1, 1, opening)).release.waypoint
            attachment = self.engine.map.by_waypoint[WaypointId(went)]
            self.went.append(attachment.name)
            if attachment.name not in self.silent:
                key = self.sport.to_bytes(8, "big")
                self.underway.append((self.now + self.delay, attachment.waypoint.port, answer(opening, key)))
            self.pass_by(gap)


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("delay", [0.1, 0.35, 0.5, 0.8])
def test_an_mcp_that_is_far_away_is_not_sick_for_that(delay: float) -> None:
    far = Far(delay)
    far.far(2)
    far.pass_by(1.0)
    for _ in range(30):
        far.far(1)
        assert far.state() is Health.UP
    assert set(far.went) == {"core"} and not far.alarms()


def test_before_anything_was_measured_it_is_avoided_until_its_first_answer_at_most() -> None:
    far = Far(0.5)
    far.far(COUNT + 1, gap=0.0)
    far.far(20, gap=0.05)
    assert "edge" in far.went and far.went[-8:] == ["core"] * 8
    assert far.state() is Health.UP
    far.pass_by(2.0)
    assert not far.alarms()


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("delay, told", [(0.05, PATIENCE + 0.2), (0.5, MOST_PATIENCE + 0.2)])
def test_one_that_answers_nothing_any_more_is_sick_all_the_same(delay: float, told: float) -> None:
    far = Far(delay)
    far.far(3)
    far.pass_by(11.0)
    far.silent.add("core")
    for _ in range(COUNT):
        far.far(1, gap=0.05)
    far.pass_by(told)
    assert far.state() is Health.SICK


@pytest.mark.parametrize("answered", [False, True])
def test_its_joins_have_the_same_time_where_no_session_begins(answered: bool) -> None:
    far = Far(0.5)
    far.far(COUNT + 1)
    far.pass_by(12.0)
    for n, session in enumerate(list(far.table)):
        wants = join(UE_WLAN, 50_000 + n, session.token.to_bytes(4, "big"))
        far.syn(2, 1, wants)
        if answered:
            far.underway.append((far.now + 0.5, far.core.inside, answer(wants)._replace(kind=wants.kind)))
        far.pass_by(0.05)
    far.pass_by(0.3)
    assert far.state() is Health.UP
    far.pass_by(MOST_PATIENCE)
    assert far.state() is (Health.UP if answered else Health.SICK)


def test_an_answer_to_a_syn_that_hosts_repeat_by_then_tells_nothing() -> None:
    far = Far(REPEATED + 0.05)
    far.far(3)
    far.pass_by(2.0)
    assert not far.engine.sessions.sick._outcomes._delays


def test_the_patience_follows_rfc_6298_between_its_bounds() -> None:
    delays = AnswerDelays()
    assert delays.patience(*PLACE) == PATIENCE and not delays.took(*PLACE, QUICK * 0.99)
    assert not delays, "an MCP that is near is not kept"
    assert delays.took(*PLACE, 0.5) and delays.patience(*PLACE) == pytest.approx(1.5)
    for _ in range(100):
        delays.took(*PLACE, 0.5)
    assert delays.patience(*PLACE) == pytest.approx(0.5)
    assert delays.took(*PLACE, 0.9) and 0.9 < delays.patience(*PLACE) <= MOST_PATIENCE
    assert not delays.took(*PLACE, REPEATED) and not delays.took(*PLACE, 0.0)
    for _ in range(100):
        delays.took(*PLACE, 0.01)
    assert delays.patience(*PLACE) == PATIENCE and not delays


def test_a_port_where_answers_take_long_makes_nobody_wait_at_others() -> None:
    delays, far, near = AnswerDelays(), PLACE, (PLACE[0], WaypointId(2))
    delays.took(*far, 0.9)
    assert delays.patience(*near) == MOST_PATIENCE, "nothing was measured there"
    for _ in range(3):
        delays.took(*near, 0.01)
        delays.took(*far, 0.9)
        assert delays.patience(*near) == PATIENCE < delays.patience(*far)
    assert delays.patience(PLACE[0], WaypointId(3)) > PATIENCE


def test_an_mcp_that_is_another_now_is_measured_anew() -> None:
    delays = AnswerDelays()
    delays.took(*PLACE, 0.5)
    delays.forget(McpId(2))
    assert delays
    delays.forget(McpId(1))
    assert not delays
