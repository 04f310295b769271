"""A join with a token nobody knows costs one packet-in in ten seconds, and its neighbour behind the NAT nothing."""

import pytest

from steering.core.counters import JoinResult
from steering.core.handshakes import unknown_token_block as strays
from steering.core.handshakes.unknown_token_block import SECONDS
from steering.core.pipeline.priorities import BLOCKED
from steering.model.policy import Policy, UnknownJoin
from steering.model.rules import PacketClass, Table
from steering.model.session import Refusal
from steering.wire.crypto import token
from steering.wire.mptcp import MpJoinSyn
from tests.support.sites import KEY, TOKEN, UE_WLAN
from tests.support.wired import NONCE, SYN, Wired, at_mcp

UNKNOWN = bytes.fromhex("deadbeef")
PERIOD = 0.3  # longer than a join is held


def rogue(lab: Wired, sport: int = 60000, token_: bytes = UNKNOWN):
    return lab.upward(UE_WLAN, sport, MpJoinSyn(1, token_, NONCE).encode(1), flags=SYN)


def pass_time(lab: Wired, seconds: float):
    lab.apply(lab.later(seconds))


def punted(lab: Wired) -> int:
    return lab.counters.packet_ins[PacketClass.SYN]


@pytest.mark.row("D-6.4h")
@pytest.mark.parametrize("told", list(UnknownJoin))
def test_an_unknown_token_is_asked_about_once_in_ten_seconds_and_never_reaches_the_mcp(told):
    lab = Wired(policy=Policy(unknown_join=told))
    for _ in range(int(SECONDS / PERIOD)):
        assert not at_mcp(rogue(lab))
        pass_time(lab, PERIOD)
    assert punted(lab) == 1 and lab.counters.refusals[Refusal.UNKNOWN_TOKEN] == 1
    pass_time(lab, 2 * PERIOD)
    rogue(lab)
    assert punted(lab) == 2


@pytest.mark.row("D-6.4h")
def test_the_genuine_host_behind_the_same_address_is_served_meanwhile():
    lab = Wired()
    rogue(lab)
    pass_time(lab, PERIOD)
    lab.established()
    assert at_mcp(lab.join(sport=50000))
    assert lab.counters.joins[JoinResult.PINNED] == 1


@pytest.mark.row("D-6.2c")
def test_who_is_dropped_is_heard_again_as_soon_as_its_token_is_known():
    lab = Wired()
    assert token(1, KEY) == TOKEN
    rogue(lab, 50000, TOKEN)
    pass_time(lab, PERIOD)
    assert not at_mcp(rogue(lab, 50000, TOKEN))
    lab.open()
    assert at_mcp(rogue(lab, 50000, TOKEN))


def test_no_more_flows_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(strays, "MOST", 20)
    lab = Wired()
    for number in range(30):
        rogue(lab, 1024 + number)
    pass_time(lab, PERIOD)
    blocked = [
        rule for rule in lab.network[2].rules() if rule.table == Table.CLASSIFY and rule.priority == BLOCKED
    ]
    assert len(blocked) == len(lab.engine.sessions.blocks) == 20
    pass_time(lab, SECONDS)
    assert not len(lab.engine.sessions.blocks)
    assert not [r for r in lab.network[2].rules() if r.table == Table.CLASSIFY and r.priority == BLOCKED]


def test_without_the_mechanism_every_repetition_is_asked_about():
    lab = Wired(disabled=frozenset({"stray-drop"}))
    for _ in range(5):
        rogue(lab)
        pass_time(lab, PERIOD)
    assert punted(lab) == 5
