"""An in-line MCP that takes connections by itself: first SYNs are not steered, joins from elsewhere are."""

from dataclasses import replace

import pytest

from steering.core.outputs import NATURAL, Release, RemoveEntries, Steer
from steering.model.network import Interception, PortRef
from steering.model.session import SessionState
from tests.support.sites import (
    KEY,
    UE_LTE,
    UE_WLAN,
    Driver,
    answer,
    capable,
    join,
    link,
    mcp,
    off_path_site,
    steered,
)

INLINE = replace(
    mcp("inline", PortRef(3, 1), "10.8.0.2", "10.8.1.2"),
    interception=Interception.SELF,
    outside=PortRef(4, 9),
)


@pytest.fixture
def driver() -> Driver:
    """LTE s1 - s3 - (inline) - s4; the WLAN's s2 is behind it at s4, and has a longer way to s3."""
    links = (link("1:2", "3:2"), link("2:2", "4:3"), link("2:3", "1:3"))
    return Driver(off_path_site(mcps=(INLINE,), links=links))


def test_its_first_syn_is_not_steered_and_waits_for_no_entry_but_one_counts_its_third_ack(
    driver: Driver,
) -> None:
    opening = capable(UE_LTE, 40000)
    counting, out = driver.syn(1, 1, opening)
    assert isinstance(out, Release) and out.waypoint == NATURAL
    assert isinstance(counting, Steer) and counting.release is None
    (session,) = driver.table
    assert session.state is SessionState.SYN_PINNED and session.mcp == INLINE.id
    pins = steered(driver.syn_ack(3, 1, answer(opening)))
    assert {(e.dpid, e.waypoint) for e in pins.entries} == {
        (1, driver.engine.map.inside[INLINE.id].id),
        (4, driver.engine.map.outside[INLINE.id].id),
    }
    assert session.state is SessionState.ANSWERED


@pytest.mark.row("D-6.2c")
def test_a_join_off_its_path_is_steered_to_it(driver: Driver) -> None:
    driver.session(key=KEY)
    pinned = steered(driver.syn(2, 1, join(UE_WLAN, 40001)))
    inside = driver.engine.map.inside[INLINE.id].id
    assert pinned.release is not None and pinned.release.waypoint == inside
    assert [(e.dpid, e.waypoint) for e in pinned.entries] == [(2, inside)]


def test_a_session_that_begins_off_its_path_is_steered_as_to_any_mcp(driver: Driver) -> None:
    assert steered(driver.syn(2, 1, capable(UE_WLAN, 40002))).release.waypoint != NATURAL


def test_a_syn_flood_through_it_leaves_nothing_in_switches(driver: Driver) -> None:
    for sport in range(1024, 1124):
        _, out = driver.syn(1, 1, capable(UE_LTE, sport))
        assert isinstance(out, Release)
    removed = [e for o in driver.later(20.0) if isinstance(o, RemoveEntries) for e in o.entries]
    assert len(driver.table) == 0 and len(removed) == 200
