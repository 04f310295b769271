"""Joins prove that they know the session's keys before their entry becomes permanent (D-6.4h)."""

import json
import logging
import pickle

import pytest

from steering.core import inputs
from steering.core.counters import JoinResult
from steering.core.outputs import RemoveEntries, Steer
from steering.core.snapshots.view import EngineView
from steering.model.policy import Limits, Policy, Timers
from steering.model.rules import Meter, PacketClass
from steering.model.session import Refusal, SessionState, Watch
from steering.wire.decode import mptcp_options
from steering.wire.mptcp import MpCapable, MpJoinSyn
from tests.support.restarted import restarted, snapshot
from tests.support.sites import KEY, TOKEN, UE_LTE, UE_WLAN, answer, capable
from tests.support.wired import (
    ACK,
    HOST_KEY,
    MCP_ISN,
    NONCE,
    SYN,
    Wired,
    at_mcp,
    proving,
    resets,
)

WRONG = bytes(20)


def wired(**more) -> Wired:
    return Wired(policy=proving(**more))


@pytest.mark.row("D-6.4h")
@pytest.mark.parametrize("length", [None, 20_000])
def test_the_third_ack_or_the_first_data_shows_the_keys_and_watching_ends(length):
    lab = wired()
    session = lab.open()
    assert lab.watches(1) == [Watch.COPY] and lab.watches(4) == [Watch.NOTHING]
    assert at_mcp(lab.third_ack(data_length=length)), "the segment itself goes on"
    assert session.secrets.verified and (session.secrets.host, session.secrets.mcp) == (HOST_KEY, KEY)
    assert lab.watches(1) == [Watch.NOTHING]
    before = lab.counters.packet_ins[PacketClass.WATCHED]
    assert at_mcp(lab.upward(UE_LTE, 40000))
    assert lab.counters.packet_ins[PacketClass.WATCHED] == before == 1


@pytest.mark.row("D-6.4h")
def test_a_join_with_the_right_hmac_becomes_permanent():
    lab = wired()
    lab.established()
    assert at_mcp(lab.join())
    assert lab.watches(2) == [Watch.COPY] and not lab.counters.joins[JoinResult.PINNED]
    assert at_mcp(lab.proof(bytes.fromhex("ad5d5d29cdfea529fe635e92f4f81a583c29e3ae")))
    assert lab.watches(2) == [Watch.NOTHING]
    assert lab.counters.joins == {JoinResult.PINNED: 1, JoinResult.AUTHENTICATED: 1}


@pytest.mark.row("D-6.4h")
def test_version_0_proves_with_sha1():
    lab = wired()
    lab.version = 0
    session = lab.established()
    assert session.version == 0 and session.secrets.verified
    lab.join()
    lab.proof()
    assert lab.counters.joins[JoinResult.AUTHENTICATED] == 1


@pytest.mark.row("D-6.4h")
def test_a_wrong_hmac_is_reset_and_nothing_more_of_it_reaches_the_mcp():
    lab = wired()
    session = lab.established()
    lab.join()
    (reset,) = resets(lab.proof(WRONG), 2)
    (option,) = mptcp_options(reset.options)
    assert (option.reason, option.transient, reset.seq) == (3, False, 0)  # what the ACK acknowledged
    assert lab.watches(2) == [] and len(session.subflows) == 1
    assert lab.counters.refusals[Refusal.AUTHENTICATION] == 1
    assert lab.counters.joins == {JoinResult.REFUSED: 1}
    assert not at_mcp(lab.upward(UE_WLAN, 50000)) and at_mcp(lab.upward(UE_LTE, 40000))


@pytest.mark.row("D-6.4h")
def test_a_join_that_shows_no_hmac_in_time_is_turned_down():
    lab = wired(timers=Timers(half_open=2.0))
    lab.established()
    lab.join()
    lab.upward(UE_WLAN, 50000)  # an ACK, but it proves nothing
    assert not resets(lab.apply(lab.later(1.9)), 2)
    (reset,) = resets(lab.apply(lab.later(0.2)), 2)
    assert mptcp_options(reset.options)[0].reason == 3 and reset.seq == (MCP_ISN + 1) % (1 << 32)
    assert lab.watches(2) == [] and lab.counters.refusals[Refusal.AUTHENTICATION] == 1


def test_a_third_ack_that_the_mcp_would_not_take_is_not_judged():
    """A neighbour who guesses at the 5-tuple cannot have a genuine join reset."""
    lab = wired()
    lab.established()
    lab.join()
    assert not resets(lab.proof(WRONG, ack=77), 2) and not resets(lab.proof(WRONG, seq=77), 2)
    assert lab.watches(2) == [Watch.COPY]
    lab.proof()
    assert lab.counters.joins[JoinResult.AUTHENTICATED] == 1


def _held_back(lab: Wired, given) -> list:
    """Copies of the MCP's SYN/ACKs come by another connection, and may come last."""
    late = []
    read = lab.dispatch.read

    def later(dpid, packet, now):
        seen = read(dpid, packet, now)
        if isinstance(seen, inputs.SynAckSeen):
            late.append(seen)
            return None
        return seen

    lab.dispatch.read = later
    given()
    lab.dispatch.read = read
    return late


def test_the_copies_may_come_in_any_order():
    lab = wired()
    late = _held_back(lab, lambda: lab.established())
    (session,) = lab.table
    assert session.state is SessionState.SYN_PINNED and not session.secrets.verified
    lab.do(late[0])
    assert session.secrets.verified and lab.watches(1) == [Watch.NOTHING]

    def joins():
        lab.join()
        lab.proof()

    late = _held_back(lab, joins)
    assert lab.watches(2) == [Watch.COPY]
    lab.do(late[0])
    assert lab.watches(2) == [Watch.NOTHING] and lab.counters.joins[JoinResult.AUTHENTICATED] == 1


def test_a_join_whose_session_is_aborted_meanwhile_is_admitted_no_more():
    """Its entry would lead its host's segments to the MCP again, and nobody would see them."""
    lab = wired()
    session = lab.established()

    def joins():
        lab.join()
        lab.proof()

    late = _held_back(lab, joins)
    lab.do(inputs.AbortSession(session.id))
    lab.do(late[0])
    assert lab.watches(2) == [Watch.PUNT] and not lab.counters.joins[JoinResult.AUTHENTICATED]


def test_a_proof_that_came_before_the_keys_is_judged_when_they_come():
    lab = wired()
    lab.open()
    lab.join()
    lab.proof(WRONG)
    lab.join(sport=50001)
    lab.proof(sport=50001)
    assert lab.watches(2) == [Watch.COPY, Watch.COPY]
    assert len(resets(lab.third_ack(), 2)) == 1
    assert lab.watches(2) == [Watch.NOTHING] and lab.counters.joins[JoinResult.AUTHENTICATED] == 1


def test_keys_that_do_not_make_the_token_are_not_believed():
    lab = wired()
    session = lab.open()
    lab.upward(UE_LTE, 40000, MpCapable(1, HOST_KEY, b"notmykey").encode())
    assert not session.secrets.verified and session.secrets.host == b"" and lab.watches(1) == [Watch.COPY]
    lab.third_ack()
    assert session.secrets.verified


@pytest.mark.row("D-6.4h")
def test_without_keys_joins_are_admitted_by_their_token_and_counted():
    lab = wired()
    session = lab.open()  # the third ACK is never shown
    lab.apply(lab.later(10.1))
    lab.apply(lab.later(10.1))
    assert session.secrets is None and lab.watches(1) == [Watch.NOTHING]
    lab.join()
    assert lab.watches(2) == [Watch.NOTHING]
    assert lab.counters.joins == {JoinResult.PINNED: 1, JoinResult.TOKEN_ONLY: 1}


@pytest.mark.row("D-6.4h", "D-6.2c")
def test_after_a_restart_what_was_watched_rests_and_joins_need_their_token_only():
    lab = wired()
    lab.established()
    lab.join()  # not yet proven
    lab.open(sport=40001)  # its keys not yet seen
    assert sorted(lab.watches(1) + lab.watches(2)) == [Watch.NOTHING, Watch.COPY, Watch.COPY]
    fresh = restarted(lab, snapshot(lab))
    steers = [o for o in fresh.give(inputs.Tick()) if isinstance(o, Steer)]
    assert [(e.dpid, e.watch) for s in steers for e in s.entries] == [(1, 0), (2, 0)]
    assert all(s.secrets is None for s in fresh.table) and not fresh.table.leftovers
    assert fresh.counters.joins[JoinResult.TOKEN_ONLY] == 1
    assert not [o for o in fresh.give(inputs.Tick()) if isinstance(o, Steer)]


def test_a_switch_that_comes_back_gets_its_watching_entries_and_their_meter():
    lab = wired()
    lab.open()
    fill = lab.up(1)
    assert [entry.watch for entry in fill.entries] == [Watch.COPY]
    assert Meter.WATCH in {band.meter for band in fill.meters}


def test_a_join_to_the_mcps_own_address_has_to_prove_itself_too():
    lab = wired()
    lab.established()
    assert at_mcp(lab.join(dst="10.8.0.2")) and lab.watches(2) == [Watch.COPY]
    assert resets(lab.proof(WRONG, dst="10.8.0.2"), 2)


def test_unproven_joins_are_bounded():
    lab = wired(limits=Limits(half_open=1))
    lab.established()
    lab.join()
    went = lab.upward(UE_WLAN, 50001, MpJoinSyn(1, TOKEN, NONCE).encode(1), flags=SYN)
    assert mptcp_options(resets(went, 2)[0].options)[0].reason == 2
    assert lab.counters.refusals[Refusal.HALF_OPEN_FULL] == 1


def test_a_join_that_ended_before_its_time_is_not_turned_down_again():
    lab = wired()
    session = lab.established()
    lab.join()
    (_, join) = session.subflows
    lab.apply(lab.engine.sessions.teardown.end_subflow(join, lab.now))
    lab.apply(lab.later(11))
    assert not lab.counters.refusals and len(session.subflows) == 1


def test_a_connection_that_fell_back_is_watched_no_more():
    lab = wired()
    lab.upward(UE_LTE, 40000, MpCapable(1).encode(), flags=SYN)
    lab.downward(UE_LTE, 40000, b"")
    (session,) = lab.table
    assert session.state is SessionState.ANSWERED and session.token < 0 and session.secrets is None
    assert lab.watches(1) == [Watch.NOTHING]


def test_sessions_of_other_policies_are_never_watched():
    lab = Wired(policy=Policy())
    session = lab.established()
    lab.join()
    assert session.secrets is None and lab.watches(1) + lab.watches(2) == [0, 0]
    assert not lab.counters.packet_ins[PacketClass.WATCHED]


@pytest.mark.row("D-1.m3", "D-6.4h")
def test_a_join_that_revives_a_session_has_to_prove_itself_first():
    lab = wired()
    session = lab.established()
    opening = capable(UE_LTE, 40000)
    lab.do(inputs.FinSeen(1, 1, opening))
    lab.do(inputs.FinSeen(3, 1, answer(opening, b"")))
    lab.apply(lab.later(6))
    assert session.state is SessionState.LINGER and session.secrets.verified
    lab.join()
    assert lab.watches(2) == [Watch.COPY]
    lab.proof(WRONG)
    assert session.state is SessionState.LINGER and lab.watches(2) == []


@pytest.mark.row("N-7.1")
def test_keys_are_nowhere_but_in_memory_and_gone_with_their_session(caplog):
    caplog.set_level(logging.DEBUG)
    lab = wired()
    session = lab.established()
    lab.join()
    lab.proof()
    secrets = session.secrets
    view = EngineView(lab.engine, lambda: lab.now, "0")
    shown = json.dumps([view.session(str(session.id)), view.decision(str(session.id)), view.health()])
    told = shown + repr(secrets) + str(secrets) + repr(session) + caplog.text + repr(lab.up(1))
    for key in (HOST_KEY, KEY):
        assert key.hex() not in told and repr(key) not in told and repr(key)[2:-1] not in told
    with pytest.raises(TypeError):
        pickle.dumps(secrets)
    removed = lab.engine.sessions.teardown.end(session)
    assert isinstance(removed[0], RemoveEntries)
    assert session.secrets is None and (secrets.host, secrets.mcp) == (b"", b"")


def test_a_segment_that_was_under_way_when_its_subflow_ended_is_passed_over():
    lab = wired()
    lab.established()
    for given in (capable(UE_LTE, 40000, flags=ACK), capable(UE_LTE, 7, flags=ACK)):
        assert lab.give(inputs.WatchedSeen(1, 1, given, b"")) == []
