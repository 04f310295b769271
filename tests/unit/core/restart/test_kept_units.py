"""Proactive sessions over a restart: known again, not taken twice, and moved only as before."""

from typing import Any

import pytest

from steering.core import inputs
from steering.core.sessions.transitions import Event
from steering.core.snapshots import kept as snapshots
from steering.model.kept import KeptState
from steering.model.session import SessionState
from steering.wire.handshake import Kind
from tests.support.next_controller import Next, kept
from tests.support.proactive_lab import Ahead
from tests.support.sites import TOKEN, UE_LTE, UE_WLAN, join, steered


def ahead_after(lab: Ahead, told: KeptState, policy=None) -> Any:
    after = Next(lab, told, policy)
    after.up()
    fresh = after.driver
    fresh.__class__, fresh.network = Ahead, lab.network
    for fill in fresh.fills.values():
        fresh.network.apply(fill)
    return fresh


@pytest.mark.row("S-18", "D-4.d")
def test_proactive_sessions_are_known_again_with_token_and_subflows() -> None:
    lab = Ahead()
    lab.told(UE_LTE, 40_000)
    lab.told(UE_WLAN, 41_000, kind=Kind.JOIN)
    told = kept(lab)
    fresh = ahead_after(lab, told)
    (session,) = fresh.table
    assert (session.token, session.state) == (int.from_bytes(TOKEN, "big"), SessionState.ESTABLISHED)
    assert (session.unit, session.mcp, len(session.subflows)) == ("host", fresh.home.id, 2)
    assert kept(fresh).sessions == told.sessions  # for the one after that
    assert fresh.home == lab.home
    # A later join is listed with it.
    fresh.told(UE_WLAN, 41_001, kind=Kind.JOIN)
    assert len(session.subflows) == 3


@pytest.mark.row("S-18", "D-4.d")
def test_a_move_after_the_restart_pins_what_lived_and_its_joins_follow_it() -> None:
    lab = Ahead()
    lab.told(UE_LTE, 40_000)
    fresh = ahead_after(lab, kept(lab))
    fresh.later(5)
    old, new = fresh.move()
    assert fresh.to(UE_LTE, 40_000)[0] == [old]
    assert fresh.to(UE_LTE, 40_001)[0] == [new]
    steer = steered(fresh.syn(2, 1, join(UE_WLAN, 41_000)))
    assert steer.release.waypoint == fresh.engine.map.inside[lab.home.id].id


def test_without_what_was_kept_the_move_breaks_it() -> None:
    lab = Ahead()
    lab.told(UE_LTE, 40_000)
    fresh = ahead_after(lab, KeptState())
    fresh.do(inputs.Tick())
    assert len(fresh.table) == 0
    _, new = fresh.move()
    assert fresh.to(UE_LTE, 40_000)[0] == [new]


def test_while_switches_come_back_entries_lead_as_before_and_nobody_is_moved() -> None:
    lab = Ahead()
    told = kept(lab)
    after = Next(lab, told)
    after.driver.up(1)
    ahead = {r.match: r.actions for r in after.driver.fills[1].admission if 4_000 <= r.priority < 4_400}
    rules = lab.engine.sessions.proactive.desired(1).admission
    assert ahead and ahead == {r.match: r.actions for r in rules if 4_000 <= r.priority < 4_400}
    after.driver.give(inputs.McpAdmin(lab.home.id, True))
    after.driver.give(inputs.Tick())
    assert after.driver.engine.sessions.proactive.units["host"].mcp == lab.home.id


def test_joins_of_a_unit_with_old_sessions_are_still_looked_at() -> None:
    lab = Ahead()
    lab.told(UE_LTE, 40_000)
    old, _ = lab.move()
    home = lab.home
    assert lab.proactive.strays
    fresh = ahead_after(lab, kept(lab))
    assert fresh.home == home and list(fresh.proactive.strays) == ["host"]
    assert fresh.to(UE_LTE, 40_000)[0] == [old]
    steer = steered(fresh.syn(2, 1, join(UE_WLAN, 41_000)))
    assert steer.release.waypoint != fresh.engine.map.inside[home.id].id
    for session in list(fresh.table):
        fresh.engine.sessions.teardown.end(session)
    fresh.later(2)
    fresh.later(2)
    assert not fresh.proactive.strays


def test_a_session_that_is_over_is_told_once_and_one_with_entries_too() -> None:
    lab = Ahead()
    lab.told(UE_LTE, 40_000)
    lab.told(UE_LTE, 40_001, key=b"another1")
    begun, over = snapshots.sessions(lab.engine)
    assert (len(begun), over) == (2, [])
    gone, pinned = list(lab.table)
    lab.engine.sessions.teardown.end(gone)
    lab.proactive.pin(pinned)
    found = [number for _ in range(3) for number in snapshots.sessions(lab.engine)[1]]
    assert sorted(found) == [gone.id, pinned.id]


def test_a_session_that_is_closing_is_not_taken_over() -> None:
    lab = Ahead()
    lab.told(UE_LTE, 40_000)
    (session,) = lab.table
    lab.life.happened(session, Event.ALL_CLOSED)
    assert kept(lab).sessions == ()


def test_a_kept_session_that_switches_know_is_not_taken_twice() -> None:
    lab = Ahead()
    lab.told(UE_LTE, 40_000)
    told = kept(lab)
    lab.move()
    fresh = ahead_after(lab, told)
    (session,) = fresh.table
    assert session.returns
