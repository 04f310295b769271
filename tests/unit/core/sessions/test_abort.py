"""Sessions that are ended from outside: their hosts are told by MP_FASTCLOSE (D-6.7.1, T-8)."""

from dataclasses import replace

import pytest

from steering.core import inputs
from steering.core.counters import Abort
from steering.core.outputs import SendFrame, Steer
from steering.core.sessions.abort import EACH_TICK, SCAN, WAIT
from steering.core.sessions.transitions import Beginning
from steering.model.policy import Limits, Policy, Quotas, Timers
from steering.model.session import Refusal, Watch
from steering.wire.decode import mptcp_options
from steering.wire.mptcp import MpCapable, MpFastclose, MpJoinSyn
from steering.wire.segment import Flags
from tests.support.restarted import restarted, snapshot
from tests.support.sites import KEY, SERVER, TOKEN, UE_LTE, UE_WLAN, Driver, capable, join, refused, steered
from tests.support.wired import HOST_KEY, ISN, MCP_ISN, NONCE, SYN, Wired, at_mcp, resets

KEEPING = Policy(keep_keys=True, quotas=Quotas(sessions_per_subscriber=1))
NEXT = (MCP_ISN + 1) % (1 << 32)


def keeping(**more) -> Wired:
    return Wired(policy=replace(KEEPING, **more))


def ended(lab: Wired) -> bool:
    """Nothing of any session is left but tokens that are remembered."""
    return not (len(lab.table) or lab.table.flows or any(lab.table.active.values())) and not any(
        switch.entries() for switch in lab.network.switches.values()
    )


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize(("src", "dst"), [(UE_LTE, SERVER), ("fd00:1::2", "fd00:9::2")])
def test_the_hosts_next_segment_is_answered_with_its_own_key_and_exact_number(src, dst):
    lab = keeping()
    session = lab.established(src, dst=dst)
    lab.do(inputs.AbortSession(session.id))
    assert lab.watches(1) == [Watch.PUNT]
    left = lab.upward(src, 40000, dst=dst, payload=bytes(700), flags=int(Flags.ACK | Flags.PSH))
    (reset,) = resets(left, 1)
    assert (reset.seq, reset.ack, reset.flags) == (NEXT, ISN + 1 + 700, Flags.RST | Flags.ACK)
    assert mptcp_options(reset.options) == [MpFastclose(HOST_KEY)]
    (end,) = at_mcp(left)  # not the segment, but the end of the MCP's side
    assert (end.seq, end.ack, end.flags, end.payload) == (ISN + 1, NEXT, Flags.RST | Flags.ACK, b"")
    assert mptcp_options(end.options) == [MpFastclose(KEY)]
    assert ended(lab) and session.secrets is None and lab.counters.aborts == {Abort.FASTCLOSE: 1}


def test_counters_fall_and_later_joins_are_refused():
    lab = keeping()
    session = lab.established()
    assert lab.counters.refusals[Refusal.SESSION_LIMIT] == 0
    lab.do(inputs.AbortSession(session.id))
    offer = MpJoinSyn(1, TOKEN, NONCE).encode(1)
    for sport in (1, 2):
        (reset,) = resets(lab.upward(UE_WLAN, sport, offer, flags=SYN), 2)
        assert mptcp_options(reset.options)[0].reason == 3
        lab.upward(UE_LTE, 40000)
    assert lab.counters.refusals[Refusal.ABORTED] == 2
    lab.established(sport=40001)  # the limit of one has room again, and the token a new owner
    assert lab.counters.refusals[Refusal.SESSION_LIMIT] == 0
    assert at_mcp(lab.upward(UE_WLAN, 3, offer, flags=SYN))


def test_any_subflow_will_do_but_no_reset_and_nothing_without_an_acknowledgement():
    lab = keeping()
    session = lab.established()
    lab.join()
    lab.do(inputs.AbortSession(session.id))
    assert lab.do(inputs.AbortSession(session.id)) == []
    assert lab.watches(1) + lab.watches(2) == [Watch.PUNT, Watch.PUNT]
    for flags in (Flags.RST | Flags.ACK, Flags.PSH, Flags.RST):
        assert not lab.upward(UE_LTE, 40000, flags=int(flags))
    assert resets(lab.upward(UE_WLAN, 50000), 2) and ended(lab)


@pytest.mark.row("D-6.7.1")
def test_a_silent_host_loses_its_pins():
    lab = keeping()
    session = lab.established()
    lab.do(inputs.AbortSession(session.id))
    lab.apply(lab.later(WAIT - 0.1))
    assert len(lab.table) == 1
    lab.apply(lab.later(0.2))
    assert ended(lab) and lab.counters.aborts == {Abort.SILENT: 1}
    assert refused(lab.syn(2, 1, join(UE_WLAN, 1))) == (3, False)


@pytest.mark.row("D-6.7.1")
def test_without_a_key_the_pins_go_at_once():
    lab = Wired()
    session = lab.established()
    lab.join()
    lab.do(inputs.AbortSession(session.id))
    assert ended(lab) and lab.counters.aborts == {Abort.NO_KEY: 1}
    assert refused(lab.syn(2, 1, join(UE_WLAN, 1))) == (3, False)
    assert lab.give(inputs.AbortSession(session.id)) == []


def test_remembered_tokens_are_bounded_and_forgotten():
    lab = Driver(policy=Policy(limits=Limits(half_open=2), timers=Timers(session_linger=60.0)))
    for n in range(3):
        lab.give(inputs.AbortSession(lab.session(sport=n + 1, key=bytes([n] * 8)).id))
    aborting = lab.engine.sessions.aborted
    assert len(aborting._tokens) == 2
    lab.later(61)
    assert not aborting._tokens


def test_an_abort_that_its_controller_did_not_see_through_ends_with_the_pins():
    lab = keeping()
    session = lab.established()
    lab.do(inputs.AbortSession(session.id))
    fresh = restarted(lab, snapshot(lab))
    assert len(fresh.table) == 1
    fresh.give(inputs.Tick())
    assert len(fresh.table) == 0 and refused(fresh.syn(2, 1, join(UE_WLAN, 1))) == (3, False)


# ---- MCPs that die --------------------------------------------------------------------------------


def dead(lab: Driver, mcp) -> None:
    lab.give(inputs.McpReport(mcp.id, False, None))


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("how", ["probe", "port"])
def test_the_hosts_of_a_dead_mcp_are_told_and_its_joins_refused_never_pinned_elsewhere(how):
    lab = keeping()
    core, edge = lab.site.mcps
    session = lab.established()
    if how == "probe":
        dead(lab, core)
    else:
        lab.give(inputs.PortStatus(3, 1, False))
    assert refused(lab.syn(2, 1, join(UE_WLAN, 1))) == (3, False)
    assert lab.counters.refusals == {Refusal.MCP_UNREACHABLE: 1}
    lab.apply(lab.later(0.05))
    assert session.subflows[0].watch == Watch.NOTHING, "it may come back"
    lab.apply(lab.later(3.1))
    left = lab.upward(UE_LTE, 40000)
    assert mptcp_options(resets(left, 1)[0].options) == [MpFastclose(HOST_KEY)]
    assert not at_mcp(left) and ended(lab)
    assert refused(lab.syn(2, 1, join(UE_WLAN, 2))) == (3, False)
    assert lab.counters.refusals == {Refusal.MCP_UNREACHABLE: 2}
    assert steered(lab.syn(1, 1, capable(UE_LTE, 2))).release.waypoint == lab.engine.map.inside[edge.id].id


@pytest.mark.row("D-6.7.1")
def test_an_mcp_that_is_back_within_the_hold_keeps_its_sessions():
    lab = keeping()
    core, _ = lab.site.mcps
    lab.established()
    dead(lab, core)
    lab.apply(lab.later(2.9))
    lab.give(inputs.McpReport(core.id, True, None))
    lab.apply(lab.later(0.2))
    lab.apply(lab.later(30))
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
    driver.later(0.1)
    driver.later(3.1)
    assert driver.table.active == {core.id: 50, edge.id: 1}
    driver.later(0.05)
    assert driver.table.active == {core.id: 0, edge.id: 1} and list(driver.table) == [other]


def test_sessions_that_turn_up_at_a_dead_mcp_are_found_later():
    driver = Driver()
    core, _ = driver.site.mcps
    dead(driver, core)
    driver.later(0.1)
    driver.later(3.1)
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


def test_a_beginning_session_has_no_host_to_tell():
    lab = keeping()
    lab.upward(UE_LTE, 40000, MpCapable(1).encode(), flags=SYN)
    (session,) = lab.table
    assert not [o for o in lab.give(inputs.AbortSession(session.id)) if isinstance(o, SendFrame | Steer)]
    assert len(lab.table) == 0 and lab.counters.aborts == {Abort.NO_KEY: 1}
