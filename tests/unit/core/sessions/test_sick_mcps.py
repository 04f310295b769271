"""MCPs that answer and serve nothing: when that is said of them, and what follows."""

from dataclasses import replace

import pytest

from steering.core.selection.mcp_health import Health, McpHealth
from steering.core.sessions.answer_delays import PATIENCE
from steering.core.sessions.sick_mcps import FIRST_REST, LONGEST_REST, SickMcps
from steering.core.sessions.syn_outcomes import (
    KEPT,
    SERVED,
    WINDOW,
    McpAtPort,
    SynOutcomes,
    Tally,
)
from steering.model.decision import FilterReason
from steering.model.ids import McpId, WaypointId
from steering.model.policy import AlarmTerms
from steering.model.supervision import AlarmKind
from tests.support.clinic import ANYWHERE, Clinic
from tests.support.sites import UE_LTE, UE_WLAN, answer, capable, join, steered

COUNT = AlarmTerms().sick_count


@pytest.mark.row("D-6.7.1")
def test_one_that_answers_no_first_syn_gets_no_more_of_them_and_its_operator_is_told():
    clinic = Clinic()
    assert set(clinic.opens(3)) == {"core"}
    clinic.silent.add("core")
    assert set(clinic.opens(COUNT)) == {"core"}
    clinic.pass_by(PATIENCE + 0.2)
    assert clinic.state() is Health.SICK and set(clinic.opens(3)) == {"edge"}
    clinic.pass_by(1.1)
    assert clinic.alarms() == {"core"}
    assert not clinic.engine.chooser.health[clinic.core.id].gone, "who lives there goes on"
    assert len([one for one in clinic.table if one.mcp == clinic.core.id]) > 0


def test_a_syn_that_waits_at_a_sick_one_goes_to_another_when_it_is_repeated():
    clinic = Clinic()
    clinic.silent.add("core")
    first = capable(UE_LTE, 999)
    clinic.syn(1, 1, first)
    clinic.opens(COUNT)
    clinic.pass_by(PATIENCE + 0.2)
    edge = clinic.engine.map.inside[clinic.site.mcps[1].id].id
    assert steered(clinic.syn(1, 1, first)).release.waypoint == edge


def test_of_few_syns_and_of_a_small_share_nothing_is_said():
    clinic = Clinic()
    clinic.silent.add("core")
    clinic.opens(COUNT - 1)
    clinic.silent.clear()
    clinic.opens(2 * COUNT)
    clinic.silent.add("core")
    clinic.opens(COUNT - 1)
    clinic.pass_by(1.0)
    assert clinic.state() is Health.UP and not clinic.alarms()


def test_evidence_of_long_ago_counts_no_more():
    clinic = Clinic()
    for _ in range(3):
        clinic.silent.add("core")
        clinic.opens(COUNT - 2)
        clinic.pass_by(WINDOW + 0.5)
        assert clinic.state() is Health.UP


def test_it_is_tried_again_after_a_rest_that_doubles_and_well_when_it_serves():
    clinic = Clinic()
    clinic.silent.add("core")
    rests = []
    for _ in range(6):
        while clinic.state() is not Health.SICK:
            clinic.opens(1, gap=0.05)
        began = clinic.now
        while clinic.state() is Health.SICK:
            clinic.pass_by(0.1)
        rests.append(clinic.now - began)
    wanted = [min(LONGEST_REST, FIRST_REST * 2**n) for n in range(6)]
    assert rests == pytest.approx(wanted, abs=0.4)
    clinic.silent.clear()
    clinic.opens(10, gap=WINDOW / 8)
    clinic.pass_by(2.0)
    assert clinic.state() is Health.UP and not clinic.alarms()


@pytest.mark.parametrize("answered", [False, True])
def test_joins_that_stay_unanswered_are_evidence_too(answered):
    clinic = Clinic()
    sessions = [clinic.session(sport=n, key=n.to_bytes(8, "big")) for n in range(1, COUNT + 2)]
    clinic.pass_by(WINDOW + 1)
    for n, session in enumerate(sessions):
        wants = join(UE_WLAN, 50_000 + n, session.token.to_bytes(4, "big"))
        clinic.syn(2, 1, wants)
        if answered:
            clinic.syn_ack(3, 1, answer(wants)._replace(kind=wants.kind))
    clinic.pass_by(PATIENCE + 0.3)
    assert clinic.state() is (Health.UP if answered else Health.SICK)


@pytest.mark.parametrize("everywhere", [False, True])
def test_falling_back_is_an_mcps_fault_only_where_others_do_not(everywhere):
    terms = AlarmTerms(fallback_count=5)
    clinic = Clinic(replace(ANYWHERE, alarms=terms))
    clinic.pass_by(0.1)
    clinic.plain = {"core", "edge"} if everywhere else {"core"}
    for name, other in (("edge", "core"), ("core", "edge")):
        numbers = {one.name: one.id for one in clinic.site.mcps}
        clinic.engine.chooser.health[numbers[other]].draining = True
        clinic.engine.chooser.health[numbers[name]].draining = False
        clinic.engine.chooser.refresh(clinic.now)
        assert set(clinic.opens(5)) == {name}
    clinic.pass_by(0.2)
    clinic.engine.chooser.health[numbers["edge"]].draining = False
    assert (clinic.state() is Health.SICK) is not everywhere


def test_a_policy_that_does_not_avoid_the_sick_is_told_all_the_same():
    clinic = Clinic(replace(ANYWHERE, avoid_sick=False))
    clinic.silent.add("core")
    clinic.opens(COUNT)
    clinic.pass_by(PATIENCE + 1.3)
    assert clinic.alarms() == {"core"} and set(clinic.opens(2)) == {"core"}


def test_much_that_was_answered_before_hides_nothing_for_longer_than_a_moment():
    clinic = Clinic()
    clinic.opens(40, gap=0.05)
    clinic.silent.add("core")
    clinic.opens(2 * COUNT + 2, gap=0.05)
    clinic.pass_by(PATIENCE + 0.2)
    assert clinic.state() is Health.SICK, "a third of all in the window, nearly all of the last second"


@pytest.mark.row("D-6.7.1")
def test_a_host_whose_syns_cannot_be_answered_takes_an_mcp_from_nobody_that_it_serves():
    clinic = Clinic()
    for _ in range(20):
        for _ in range(10 * COUNT):
            clinic.broken()
        assert clinic.opens(gap=0.4) == ["core"], "a neighbour behind the same port"
    assert clinic.state() is Health.UP and not clinic.alarms()


def test_nor_does_it_with_a_thousand_sources():
    clinic = Clinic()
    for round_ in range(10):
        for n in range(100):
            clinic.broken(f"10.1.{round_}.{n + 100}")
        assert clinic.opens(gap=0.4) == ["core"]
    assert clinic.state() is Health.UP


def test_from_its_own_port_it_takes_it_at_most():
    clinic = Clinic()
    for _ in range(3 * COUNT):
        clinic.broken()
    clinic.pass_by(PATIENCE + 0.2)
    clinic.drain("edge", True)
    assert clinic.opens(source=UE_WLAN, dpid=2) == ["core"], "another access is none of its business"
    clinic.drain("edge", False)
    assert clinic.opens() == ["edge"]
    assert not clinic.engine.chooser.excluded
    clinic.pass_by(1.1)
    text = next(a.text for (kind, _), a in clinic.engine.alarms.raised.items() if kind is AlarmKind.MCP_SICK)
    assert text.endswith("from lte"), text


def test_at_two_ports_and_serving_nobody_it_is_sick_everywhere():
    clinic = Clinic()
    clinic.drain("edge", True)
    for _ in range(COUNT):
        clinic.broken()
        clinic.broken(UE_WLAN, 2)
    clinic.pass_by(PATIENCE + 0.2)
    assert clinic.engine.chooser.excluded[clinic.core.id] is FilterReason.SICK


@pytest.mark.parametrize("served", [False, True])
def test_whoever_is_served_at_a_third_port_keeps_it_from_being_sick_everywhere(served):
    tally = SynOutcomes(Clinic().table)
    healths = {McpId(1): McpHealth(3.0)}
    sick = SickMcps(tally, healths, ANYWHERE, str, lambda mcp: None, {})
    for entrance in (1, 2):
        for n in range(COUNT):
            tally.pair(McpId(1), WaypointId(entrance)).syns.failed(bytes([n]), 5.0 + n / 100)
    tally.pair(McpId(1), WaypointId(3)).syns.served(b"c", 5.5 if served else 4.5)
    sick.tick(6.0)
    assert healths[McpId(1)].sick_at == {1, 2} and healths[McpId(1)].sick is not served


class Looks(SickMcps):
    """Counts how often all outcomes of an MCP are gone through."""

    looks = 0

    def _too_busy(self, mcp: McpId, now: float) -> bool:
        self.looks += 1
        return super()._too_busy(mcp, now)


def test_outcomes_of_one_that_falls_sick_at_very_many_ports_are_gone_through_once():
    """Once for each of a thousand ports takes half a second, in which no SYN is answered."""
    tally = SynOutcomes(Clinic().table)
    healths = {McpId(1): McpHealth(3.0)}
    sick = Looks(tally, healths, ANYWHERE, str, lambda mcp: None, {})
    for entrance in range(1, 101):
        for n in range(COUNT):
            tally.pair(McpId(1), WaypointId(entrance)).syns.failed(bytes([n]), 5.0 + n / 100)
    sick.tick(6.0)
    assert len(healths[McpId(1)].sick_at) == 100 and sick.looks == 1


def test_what_is_kept_of_outcomes_is_bounded():
    tally = Tally()
    for n in range(10_000):
        tally.failed(n.to_bytes(4, "big"), n)
        tally.served(n.to_bytes(4, "big"), n)
        tally.look(n / 100)
    assert len(tally._failed) == KEPT and len(tally._served) == SERVED
    assert len(tally._samples) <= WINDOW * 100 + 2


def test_answers_are_counted_by_the_next_look_and_the_youngest_sources_are_kept():
    pair = McpAtPort()
    pair.syns.served(b"old", 0.5)
    pair.answered = [(float(n % 20), b"%d" % (n % 20)) for n in range(1, 50)]
    pair.look(20.0)
    assert (pair.syns.since(0.0), pair.answers.since(0.0), pair.answered) == ((0, 50), (0, 49), [])
    kept = [b"%d" % n for n in range(20 - SERVED, 20)]
    assert list(pair.syns._served) == list(pair.answers._served) == kept and pair.syns.last_served == 19.0
    pair.answered = [(3.0, b"19"), (21.0, b"new")]
    pair.look(21.0)
    assert pair.syns._served[b"19"] == 19.0 and pair.syns.last_served == 21.0


def test_pairs_of_which_nothing_comes_are_not_kept():
    clinic = Clinic()
    clinic.opens(3)
    outcomes = clinic.engine.sessions.sick._outcomes
    assert outcomes.at
    clinic.pass_by(WINDOW + 1)
    assert not outcomes.at


def test_of_a_large_site_a_look_is_at_those_pairs_alone_of_which_something_came():
    outcomes = SynOutcomes(Clinic().table)
    for entrance in range(1, 200):
        outcomes.pair(McpId(1), WaypointId(entrance)).syns.served(b"a", 1.0)
    assert len(outcomes.look(1.0)) == 199
    outcomes.pair(McpId(1), WaypointId(7)).syns.failed(b"b", 1.2)
    assert [entrance for (_, entrance), _ in outcomes.look(1.3)] == [7]
    outcomes.look(1.2 + WINDOW)
    assert list(outcomes.at) == [(1, 7)]


def test_so_much_that_answers_are_not_all_shown_proves_nothing(monkeypatch):
    monkeypatch.setattr("steering.core.sessions.sick_mcps.MOST", 2 * COUNT)
    clinic = Clinic()
    clinic.silent.add("core")
    for _ in range(3 * COUNT):
        clinic.broken()
    clinic.pass_by(PATIENCE + 0.2)
    assert clinic.state() is Health.UP
