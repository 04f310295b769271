"""What grows with sessions, and what an MCP more costs (S-17b): entries at the edge alone, and no session moves."""

from dataclasses import replace

import pytest

from steering.core.engine import Engine
from steering.core.inputs import ObservedHost
from steering.model.network import PortRef, PortRole
from steering.model.policy import Policy
from tests.support.restarted import snapshot
from tests.support.sites import UE_WLAN, Driver, join, mcp, off_path_site, steered

SESSIONS = 60


def loaded(policy: Policy | None = None, sessions: int = SESSIONS, **options) -> Driver:
    made = Driver(policy=policy, **options)
    for number in range(sessions):
        session = made.session(sport=1_000 + number, key=number.to_bytes(8, "big"))
        made.syn(2, 1, join(UE_WLAN, 1_000 + number, session.token.to_bytes(4, "big")))
    return made


@pytest.mark.row("S-17b")
def test_an_m_session_of_two_subflows_costs_one_entry_at_each_edge_it_touches_and_none_in_the_core():
    made = loaded()
    held = {dpid: len(entries) for dpid, entries in snapshot(made).items()}
    # Each access edge, and the gateway for the server leg; neither the MCPs' switches nor what lies between.
    assert held == {1: SESSIONS, 2: SESSIONS, 4: SESSIONS}


@pytest.mark.row("S-17b")
def test_static_rules_do_not_grow_with_sessions():
    few, many = Driver(), loaded()
    for dpid in (1, 2, 3, 4, 5):
        fills = [made.up(dpid) for made in (few, many)]
        before, after = (len(fill.forwarding) + len(fill.admission) + len(fill.meters) for fill in fills)
        assert before == after, dpid


@pytest.mark.row("S-17b", "D-6.7.7")
def test_an_mcp_more_takes_what_is_new_in_proportion_and_nothing_that_runs():
    """The site file with one more MCP, and the controller started again: what ran is read back from the switches."""
    small = mcp("core", PortRef(3, 1), "10.8.0.2", "fd00:8::2", capacity=100)
    before = loaded(Policy(), site=off_path_site(mcps=(small,)))
    assert {session.mcp for session in before.table} == {small.id}
    second = replace(mcp("more", PortRef(3, 7), "10.8.2.2", "fd00:28::2", capacity=100))
    site = off_path_site(mcps=(small, second))
    after = Driver.__new__(Driver)
    after.site, after.now, after.fills = site, 5_000.0, {}
    after.engine = Engine(site, Policy(), epoch=8)
    held = snapshot(before)
    for dpid in (1, 2, 3, 4, 5):
        hosts = [
            ObservedHost(3, after.engine.map.inside[one.id].id, b"", b"\2\0\0\0\0\3", one.inside.port)
            for one in site.mcps
            if one.inside.dpid == dpid
        ]
        after.up(dpid, held.get(dpid, []), hosts)
    after.mcps_answer()
    assert {session.mcp for session in after.table} == {small.id} and len(after.table) == SESSIONS
    new = [after.session(sport=5_000 + n, key=(9_000 + n).to_bytes(8, "big")).mcp for n in range(SESSIONS)]
    assert new[: SESSIONS // 2] == [second.id] * (SESSIONS // 2), "the emptier first"
    share = [sum(s.mcp == one.id for s in after.table) for one in site.mcps]
    assert abs(share[0] - share[1]) <= SESSIONS // 5
    old = next(iter(before.table))
    steer = steered(after.syn(2, 1, join(UE_WLAN, 9_999, old.token.to_bytes(4, "big"))))
    assert steer.release.waypoint == after.engine.map.inside[small.id].id
    assert all(entry.role == PortRole.ACCESS for entry in steer.entries)
