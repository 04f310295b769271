"""Sessions that are ended from outside: every end of them is told with the number that it expects (D-6.7.1, T-8)."""

from dataclasses import replace

import pytest

from steering.core import inputs
from steering.core.counters import Abort
from steering.core.outputs import Release, SendFrame, Steer
from steering.core.sessions.abort import LEFT_TO_MCP, WAIT
from steering.core.sessions.dead_mcps import GRACE
from steering.core.sessions.session_ends import EndOutcome
from steering.core.sessions.transitions import Event
from steering.model.policy import Limits, Policy, Quotas, Timers
from steering.model.session import Refusal, Watch
from steering.wire.decode import mptcp_options
from steering.wire.mptcp import MpCapable, MpFastclose, MpJoinSyn
from steering.wire.segment import Flags
from tests.support.fakes.kernel import LivingLab
from tests.support.restarted import restarted, snapshot
from tests.support.sites import KEY, SERVER, TOKEN, UE_LTE, UE_WLAN, Driver, join, refused
from tests.support.wired import HOST_KEY, ISN, MCP_ISN, NONCE, SYN, at_mcp, resets

KEEPING = Policy(keep_keys=True, quotas=Quotas(sessions_per_subscriber=1))
NEXT = (MCP_ISN + 1) % (1 << 32)
CLOSED, TOLD, SILENT = EndOutcome.CLOSED, EndOutcome.TOLD, EndOutcome.SILENT


def keeping(**more) -> LivingLab:
    return LivingLab(policy=replace(KEEPING, **more))


def ended(lab: LivingLab) -> bool:
    """Nothing of any session is left but tokens that are remembered."""
    return not (len(lab.table) or lab.table.flows or any(lab.table.active.values())) and not any(
        switch.entries() for switch in lab.network.switches.values()
    )


def outcomes(lab: Driver, session) -> list[EndOutcome]:
    report = lab.engine.sessions.aborted.report(session.id)
    assert report is not None
    return [end.outcome for end in report.ends]


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize(("src", "dst"), [(UE_LTE, SERVER), ("fd00:1::2", "fd00:9::2")])
def test_an_idle_session_ends_at_both_ends_with_the_numbers_that_they_expect(src, dst):
    lab = keeping()
    session = lab.established(src, dst=dst)
    host, server = lab.host(src, peer=dst), lab.server(dst, peer=src)
    lab.do(inputs.AbortSession(session.id))
    assert host.fastclosed and not server.lives
    assert not mptcp_options(server.told_by.options), "no key of the host's leg goes to its server"
    lab.pass_by(0.15)
    assert ended(lab) and session.secrets is None and outcomes(lab, session) == [CLOSED, CLOSED]
    assert lab.counters.aborts == {Abort.FASTCLOSE: 1}


@pytest.mark.row("D-6.7.1")
def test_the_mcp_that_lives_is_told_of_both_its_connections():
    lab = keeping()
    session = lab.established()
    lab.host(), lab.server()
    inside = lab.mcp(SERVER, 5201, UE_LTE, 40000, sends=MCP_ISN + 1, expects=ISN + 1)
    outside = lab.mcp(UE_LTE, 40000, SERVER, 5201, sends=5_000, expects=9_000)
    lab.do(inputs.AbortSession(session.id))
    assert not inside.lives and not outside.lives
    assert mptcp_options(inside.told_by.options) == [MpFastclose(KEY)]
    assert not mptcp_options(outside.told_by.options)


@pytest.mark.row("D-6.7.1")
def test_without_keys_a_live_mcp_ends_its_hosts_side_itself_since_only_it_can():
    lab = LivingLab()
    session = lab.established()
    host, server = lab.host(), lab.server()
    outside = lab.mcp(UE_LTE, 40000, SERVER, 5201, sends=5_000, expects=9_000)
    lab.do(inputs.AbortSession(session.id))
    assert not server.lives and not outside.lives and host.lives
    lab.upward(UE_LTE, 40000)
    lab.pass_by(0.3)
    assert host.lives and host.told_by is None, "a reset without a key would hide the MCP's own"
    host.lives = False  # by the MP_FASTCLOSE that the MCP's kernel sends
    lab.pass_by(0.7)
    assert ended(lab) and outcomes(lab, session) == [CLOSED, CLOSED]


@pytest.mark.row("D-6.7.1")
def test_an_mcp_that_does_not_end_its_hosts_side_in_time_is_not_waited_for():
    lab = LivingLab()
    session = lab.established()
    host, _ = lab.host(), lab.server()
    lab.do(inputs.AbortSession(session.id))
    lab.pass_by(LEFT_TO_MCP + 0.7)
    assert not host.lives and not host.fastclosed
    lab.pass_by(0.7)
    assert ended(lab) and outcomes(lab, session) == [CLOSED, CLOSED]


def test_data_that_is_under_way_makes_a_reset_worthless_and_the_next_one_is_right():
    lab = keeping()
    session = lab.established()
    host = lab.host()
    host.expects = NEXT + 5_000  # it has acknowledged NEXT, and more has come since
    lab.do(inputs.AbortSession(session.id))
    assert not host.lives and host.told_by.seq == NEXT + 5_000


def test_each_segment_of_an_upload_is_answered_until_the_host_is_closed():
    lab = keeping()
    session = lab.established()
    host = lab.host(mute=True)
    lab.do(inputs.AbortSession(session.id))
    assert host.lives and lab.watches(1) == [Watch.PUNT]
    left = lab.upward(UE_LTE, 40000, payload=bytes(700), flags=int(Flags.ACK | Flags.PSH))
    (reset,) = resets(left, 1)
    assert (reset.seq, reset.ack, reset.flags) == (NEXT, ISN + 1 + 700, Flags.RST | Flags.ACK)
    assert mptcp_options(reset.options) == [MpFastclose(HOST_KEY)]
    assert [s.payload for s in at_mcp(left)] == [b""], "not the segment, but the end of the MCP's side"


def test_all_subflows_are_told_where_the_mcp_is_gone_and_no_key_is_known():
    lab = LivingLab()
    session = lab.established()
    lab.join()
    one, two = lab.host(), lab.host(UE_WLAN, 50000)
    lab.give(inputs.McpReport(session.mcp, False, None))
    lab.do(inputs.AbortSession(session.id))
    assert not one.lives and not two.lives


def test_a_plain_connection_is_reset_at_once_whether_its_mcp_lives_or_not():
    lab = LivingLab()
    lab.upward(UE_LTE, 40000, MpCapable(1).encode(), flags=SYN)
    lab.downward(UE_LTE, 40000, b"")
    (session,) = lab.table
    host, server = lab.host(), lab.server()
    inside = lab.mcp(SERVER, 5201, UE_LTE, 40000, sends=MCP_ISN + 1, expects=ISN + 1)
    lab.do(inputs.AbortSession(session.id))
    assert not host.lives and not server.lives and not inside.lives


def test_counters_fall_and_later_joins_are_refused():
    lab = keeping()
    session = lab.established()
    lab.host(), lab.server()
    lab.do(inputs.AbortSession(session.id))
    offer = MpJoinSyn(1, TOKEN, NONCE).encode(1)
    for sport in (1, 2):
        (reset,) = resets(lab.upward(UE_WLAN, sport, offer, flags=SYN), 2)
        assert mptcp_options(reset.options)[0].reason == 3
        lab.pass_by(0.3)
    assert ended(lab) and lab.counters.refusals[Refusal.ABORTED] == 2
    lab.ends.clear()
    lab.established(sport=40001)  # the limit of one has room again, and the token a new owner
    assert lab.counters.refusals[Refusal.SESSION_LIMIT] == 0
    assert at_mcp(lab.upward(UE_WLAN, 3, offer, flags=SYN))


def test_no_reset_is_answered_and_nothing_without_an_acknowledgement():
    lab = keeping()
    session = lab.established()
    lab.join()
    lab.do(inputs.AbortSession(session.id))
    assert lab.do(inputs.AbortSession(session.id)) == []
    assert lab.watches(1) + lab.watches(2) == [Watch.PUNT, Watch.PUNT]
    assert not lab.upward(UE_LTE, 40000, flags=int(Flags.PSH))
    assert not lab.upward(UE_LTE, 40000, flags=int(Flags.RST | Flags.ACK))
    assert outcomes(lab, session) == [CLOSED, EndOutcome.ASKED, EndOutcome.ASKED]
    assert resets(lab.upward(UE_WLAN, 50000), 2)


@pytest.mark.row("D-6.7.1")
def test_ends_that_never_answer_are_given_up_and_lose_their_pins():
    lab = keeping()
    session = lab.established()
    lab.do(inputs.AbortSession(session.id))
    lab.pass_by(WAIT - 0.1)
    assert len(lab.table) == 1
    lab.pass_by(0.2)
    assert ended(lab) and lab.counters.aborts == {Abort.SILENT: 1}
    assert outcomes(lab, session) == [SILENT, SILENT]
    assert refused(lab.syn(2, 1, join(UE_WLAN, 1))) == (3, False)


def test_an_end_is_asked_a_bounded_number_of_times():
    lab = keeping()
    session = lab.established()
    host, server = lab.host(mute=True), lab.server(mute=True)
    lab.do(inputs.AbortSession(session.id))
    lab.pass_by(WAIT + 1)
    assert 5 <= len(host.heard) <= 12 and 5 <= len(server.heard) <= 12


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("lost", [0.1, 0.2, 0.3, 0.45])
def test_answers_that_a_switchs_cache_still_leads_away_cost_no_more_than_its_half_second(lost):
    lab = keeping()
    session = lab.established()
    host, server = lab.host(mute=True), lab.server(mute=True)
    lab.do(inputs.AbortSession(session.id))
    lab.pass_by(lost)
    host.mute = server.mute = False
    lab.pass_by(0.2)
    assert host.fastclosed and not server.lives
    lab.pass_by(0.2)
    assert ended(lab) and outcomes(lab, session) == [CLOSED, CLOSED]


def test_one_that_was_told_and_says_nothing_more_is_not_waited_for():
    lab = keeping()
    session = lab.established()
    host, server = lab.host(mute=True), lab.server()
    lab.do(inputs.AbortSession(session.id))
    lab.upward(UE_LTE, 40000)
    assert not host.lives and not server.lives
    lab.pass_by(2.5)
    assert ended(lab) and outcomes(lab, session) == [TOLD, CLOSED]


def test_a_server_that_lost_its_connection_is_not_left_with_a_half_open_one():
    lab = keeping()
    session = lab.established()
    lab.host()
    server = lab.server(mute=True)  # the answer to the first question, a byte, is lost
    server.lives = False
    lab.do(inputs.AbortSession(session.id))
    server.mute = False
    lab.pass_by(0.15)
    assert [segment.flags for segment in server.heard] == [Flags.ACK, Flags.SYN, Flags.RST]
    assert outcomes(lab, session)[1] is CLOSED


def test_a_session_that_went_to_its_mcps_own_address_is_shown_from_the_abort_on():
    lab = LivingLab()
    core = lab.site.mcps[0]
    session = lab.established()
    lab.join()
    subflow = session.subflows[1]
    lab.do(inputs.AbortSession(session.id))
    assert subflow.waypoint == lab.engine.map.inside[core.id].id


def test_a_host_that_began_anew_on_its_five_tuple_is_left_alone():
    lab = keeping()
    session = lab.established()
    lab.do(inputs.AbortSession(session.id))
    lab.upward(UE_LTE, 40000, MpCapable(1).encode(), flags=SYN, seq=77_777)
    fresh = next(iter(lab.table.flows.values())).session
    assert fresh is not session
    assert not resets(lab.upward(UE_LTE, 40000, seq=77_778), 1)


def test_remembered_tokens_are_bounded_and_forgotten():
    lab = Driver(policy=Policy(limits=Limits(half_open=2), timers=Timers(session_linger=60.0)))
    for n in range(3):
        lab.give(inputs.AbortSession(lab.session(sport=n + 1, key=bytes([n] * 8)).id))
    aborting = lab.engine.sessions.aborted
    lab.later(WAIT + 0.1)
    assert len(aborting._tokens) == 2 and not aborting._ends and not len(aborting)
    lab.later(61)
    assert not aborting._tokens


@pytest.mark.parametrize("also_subflows", [True, False])
def test_an_abort_that_its_controller_did_not_see_through_goes_on(also_subflows):
    lab = keeping()
    session = lab.established()
    lab.do(inputs.AbortSession(session.id))
    held = snapshot(lab)
    if not also_subflows:  # only the server leg's entries were left
        held = {dpid: [one for one in held[dpid] if one.entry.role == 3] for dpid in held}
    fresh = restarted(lab, held)
    assert len(fresh.table) == 1
    asked = [one for one in fresh.give(inputs.Tick()) if isinstance(one, Release)]
    assert len(asked) == 1, "the server; the host is left to the MCP, as no key is known any more"
    fresh.later(WAIT + 0.1)
    assert len(fresh.table) == 0 and refused(fresh.syn(2, 1, join(UE_WLAN, 1))) == (3, False)


def test_a_session_that_its_mcp_ends_meanwhile_is_over_all_the_same():
    lab = keeping()
    session = lab.established()
    lab.do(inputs.AbortSession(session.id))
    lab.life.happened(session, Event.OVER)
    lab.pass_by(0.7)
    assert not len(lab.engine.sessions.aborted)


def test_a_beginning_session_has_no_host_to_tell():
    lab = keeping()
    lab.upward(UE_LTE, 40000, MpCapable(1).encode(), flags=SYN)
    (session,) = lab.table
    assert not [
        o for o in lab.give(inputs.AbortSession(session.id)) if isinstance(o, SendFrame | Steer | Release)
    ]
    assert len(lab.table) == 0 and lab.counters.aborts == {Abort.NO_END: 1}


def test_what_became_of_an_operators_abort_is_known_also_when_an_mcp_with_many_sessions_dies(monkeypatch):
    monkeypatch.setattr("steering.core.sessions.abort.REMEMBERED", 3)
    lab = Driver()
    core, _ = lab.site.mcps
    sessions = [lab.session(sport=n + 1, key=bytes([n] * 8)) for n in range(6)]
    aborting = lab.engine.sessions.aborted
    lab.give(inputs.AbortSession(sessions[0].id))
    lab.later(WAIT + 0.1)
    lab.give(inputs.McpReport(core.id, False, None))
    for seconds in (0.05, GRACE, WAIT + 0.1):
        lab.later(seconds)
    assert not len(lab.table) and not len(aborting)
    known = [session for session in sessions if aborting.report(session.id) is not None]
    assert known == [sessions[0], *sessions[3:]] and aborting.report(sessions[0].id).over
