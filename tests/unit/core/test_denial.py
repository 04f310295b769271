"""Connections that a policy denies: of MPTCP and of plain TCP, by hosts and by servers, told or in silence."""

from ipaddress import ip_network

import pytest

from steering.core.outputs import SendFrame
from steering.model.policy import Action, Denial, Direction, RefusalForm, RuleConditions, Terms
from steering.model.session import Refusal
from steering.wire.segment import Flags, Segment, read_segment
from tests.support.ruled import natural, ruled
from tests.support.sites import UE_LTE, Driver, capable, handshake, refused, steered


@pytest.mark.row("S-20")
def test_sessions_that_a_server_opens_may_be_denied():
    driver = Driver(
        policy=ruled((RuleConditions(directions=frozenset({Direction.SERVER})), Terms(action=Action.DENY)))
    )
    assert refused(driver.syn(4, 1, capable("10.9.0.50", 1, dst=UE_LTE))) == (3, False)
    assert natural(driver.syn(4, 1, handshake("10.9.0.50", 2, dst=UE_LTE)))
    assert steered(driver.syn(1, 1, capable(UE_LTE, 3)))


ALL_DENIED = Terms(action=Action.DENY, deny=Denial.ALL)


def reset_of(outputs) -> Segment:
    (sent,) = outputs
    assert isinstance(sent, SendFrame)
    return read_segment(sent.frame)


@pytest.mark.row("S-20")
def test_a_rule_may_deny_plain_tcp_too_and_only_where_it_matches():
    there = RuleConditions(destinations=(ip_network("10.9.0.66/32"),))
    driver = Driver(policy=ruled((there, ALL_DENIED)))
    reset = reset_of(driver.syn(1, 1, handshake(UE_LTE, 1, "10.9.0.66")))
    assert reset.flags & Flags.RST and not reset.options
    assert refused(driver.syn(1, 1, capable(UE_LTE, 2, dst="10.9.0.66"))) == (3, False)
    assert natural(driver.syn(1, 1, handshake(UE_LTE, 3)))
    assert driver.counters.refusals[Refusal.POLICY] == 2


def test_deny_alone_leaves_plain_tcp_alone():
    driver = Driver(policy=ruled((RuleConditions(), Terms(action=Action.DENY))))
    assert natural(driver.syn(1, 1, handshake(UE_LTE, 1)))


def test_denied_plain_tcp_is_met_with_silence_where_the_policy_says_drop():
    driver = Driver(policy=ruled((RuleConditions(), ALL_DENIED), refusal=RefusalForm.DROP))
    assert driver.syn(1, 1, handshake(UE_LTE, 1)) == []


def test_plain_tcp_that_servers_open_may_be_denied():
    driver = Driver(policy=ruled((RuleConditions(directions=frozenset({Direction.SERVER})), ALL_DENIED)))
    assert reset_of(driver.syn(4, 1, handshake("10.9.0.50", 2, dst=UE_LTE))).flags & Flags.RST
    assert natural(driver.syn(1, 1, handshake(UE_LTE, 3)))


def test_ports_that_are_not_eligible_are_not_looked_at():
    driver = Driver(policy=ruled((RuleConditions(), ALL_DENIED), eligible_ports=((80, 80),)))
    assert reset_of(driver.syn(1, 1, handshake(UE_LTE, 1, dport=80))).flags & Flags.RST
    assert natural(driver.syn(1, 1, handshake(UE_LTE, 2, dport=81)))
