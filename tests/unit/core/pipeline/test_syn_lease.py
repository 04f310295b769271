"""`controller_loss`: switches ask about SYNs for as long as the controller renews their lease, and no longer."""

from collections import Counter

import pytest

from steering.core.inputs import PolicyReplaced, SwitchDown, SwitchUp
from steering.core.outputs import RenewRules
from steering.core.pipeline.priorities import SYNS
from steering.core.pipeline.syn_lease import LATE, ROUNDS
from steering.model.policy import ControllerLoss, Policy, Timers
from steering.model.rules import PacketClass, Rule, Table
from steering.wire.mptcp import MpCapable, MpJoinSyn
from tests.support.sites import SERVER, UE_LTE, UE_WLAN
from tests.support.switched import V6, to_gateway
from tests.support.wired import NONCE, SYN, Wired, at_mcp

GRACE = (
    Policy().timers.controller_grace - LATE
)  # what the switch is told: it looks for old entries now and then
HOLD = Policy(controller_loss=ControllerLoss.HOLD)
TICK = 0.05


def alone(lab: Wired, seconds: float) -> None:
    """Time passes and nobody renews."""
    lab.network.age(seconds)


def watched(lab: Wired, seconds: float) -> None:
    """Time passes for switches and for the controller."""
    for _ in range(round(seconds / TICK)):
        lab.network.age(TICK)
        lab.apply(lab.later(TICK))


def leases(lab: Wired, dpid: int) -> list[Rule]:
    return [r for r in lab.network[dpid].rules(Table.SESSION) if r.priority == SYNS]


def server(src: str) -> str:
    return V6[SERVER] if ":" in src else SERVER


def asked(lab: Wired, src: str = UE_LTE, sport: int = 41_000) -> int:
    """How many packet-ins a SYN to a server makes at its edge; none that goes on by itself."""
    return len(lab.send(1, 1, to_gateway(src, sport, SYN, server(src))).copies)


def at_server(lab: Wired, src: str, sport: int, flags: int = SYN) -> bool:
    return [d.dpid for d in lab.send(1, 1, to_gateway(src, sport, flags, server(src))).deliveries] == [4]


@pytest.mark.parametrize("src", [UE_LTE, V6[UE_LTE]])
def test_without_a_controller_new_connections_go_their_natural_way_after_the_grace(src: str) -> None:
    lab = Wired()
    alone(lab, GRACE - TICK)
    assert asked(lab, src) == 1 and not at_server(lab, src, 41_000)
    alone(lab, TICK)
    assert asked(lab, src) == 0 and at_server(lab, src, 41_000)
    assert at_server(lab, src, 41_000, flags=0x10)  # and so do its next segments


def test_natural_segments_of_that_time_are_un_wildcarded() -> None:
    lab = Wired()
    alone(lab, GRACE)
    before = Counter(lab.network[1].packets)
    assert at_server(lab, UE_LTE, 41_000)
    met = [key for key in lab.network[1].packets if lab.network[1].packets[key] != before[key]]
    (route,) = [r for r in lab.network[1].rules(Table.ROUTE) if r.key in met]
    assert any(type(action).__name__ == "UnwildcardFlow" for action in route.actions)


def test_what_is_pinned_stays_pinned_and_a_repeated_syn_finds_its_entry() -> None:
    lab = Wired()
    lab.established()
    alone(lab, 1_000)
    for flags in (0x10, SYN):
        (delivery,) = lab.send(1, 1, to_gateway(UE_LTE, 40_000, flags)).deliveries
        assert (delivery.dpid, delivery.port) == (3, 1)


def test_a_controller_that_is_there_keeps_the_lease_and_its_counters() -> None:
    lab = Wired()
    assert asked(lab) == 1
    key = next(rule.key for rule in leases(lab, 1) if lab.network[1].packets[rule.key])
    for _ in range(20):
        watched(lab, GRACE / 10)
        assert len(leases(lab, 1)) == 2 and len(leases(lab, 4)) == 2
    assert lab.network[1].packets[key] == 1
    assert asked(lab) == 1


def test_each_switch_is_told_a_few_times_in_a_grace_and_only_of_what_is_leased() -> None:
    lab = Wired()
    watched(lab, GRACE)
    told: Counter[int] = Counter()
    for _ in range(round(10 * GRACE / TICK)):
        for output in lab.later(TICK):
            if isinstance(output, RenewRules):
                told[output.dpid] += 1
                assert all(rule.hard_timeout == GRACE for rule in output.rules)
                assert list(output.rules) == leases(lab, output.dpid)
    assert told.keys() == {1, 2, 4}  # the switches of access networks and gateways
    assert all(8 * ROUNDS <= count <= 10 * ROUNDS for count in told.values())


def test_the_switches_of_a_round_have_their_turns_one_after_the_other() -> None:
    lab = Wired()
    watched(lab, GRACE)
    turns = [
        [o.dpid for o in lab.later(TICK) if isinstance(o, RenewRules)] for _ in range(round(GRACE / TICK))
    ]
    assert max(map(len, turns)) == 1, "three switches, and five ticks in a round"


def test_a_controller_that_was_held_up_renews_what_ran_out() -> None:
    lab = Wired()
    alone(lab, GRACE + 1)
    assert not leases(lab, 1)
    lab.now += GRACE + 1
    watched(lab, GRACE / ROUNDS + 2 * TICK)
    assert len(leases(lab, 1)) == 2 and asked(lab) == 1


def test_hold_has_no_time_out_and_asks_for_ever() -> None:
    lab = Wired(policy=HOLD)
    assert not any(isinstance(o, RenewRules) for _ in range(100) for o in lab.later(TICK))
    alone(lab, 1_000)
    assert asked(lab) == 1


def test_the_control_without_the_lease_holds_too() -> None:
    lab = Wired(disabled=("lease",))
    alone(lab, 1_000)
    assert asked(lab) == 1


def test_another_policy_reaches_the_switches() -> None:
    lab = Wired()
    lab.do(PolicyReplaced(HOLD))
    watched(lab, TICK)
    assert all(rule.hard_timeout == 0 for dpid in (1, 2, 4) for rule in leases(lab, dpid))
    lab.do(PolicyReplaced(Policy(timers=Timers(controller_grace=30))))
    watched(lab, TICK)
    assert [rule.hard_timeout for rule in leases(lab, 1)] == [30 - LATE] * 2
    watched(lab, 20)
    alone(lab, 20)
    assert asked(lab) == 1  # renewed meanwhile: 20 s and 20 s are more than the grace
    alone(lab, 11)
    assert asked(lab) == 0


def test_a_switch_that_comes_back_is_filled_anew_whether_its_lease_ran_out_or_not() -> None:
    for away in (GRACE / 2, 10 * GRACE):
        lab = Wired()
        lab.established()
        lab.do(SwitchDown(1))
        lab.now += away
        for output in lab.give(SwitchUp(1, {1: True, 2: True})):
            lab.network.apply(output)
        alone(lab, away)
        assert bool(leases(lab, 1)) == (away < GRACE)
        lab.do(lab.network[1].read())
        assert len(leases(lab, 1)) == 2 and asked(lab) == 1
        (delivery,) = lab.send(1, 1, to_gateway(UE_LTE, 40_000)).deliveries
        assert delivery.dpid == 3


def test_a_switch_that_is_away_is_not_renewed() -> None:
    lab = Wired()
    lab.do(SwitchDown(1))
    outputs = [o for _ in range(round(GRACE / TICK)) for o in lab.later(TICK) if isinstance(o, RenewRules)]
    assert {o.dpid for o in outputs} == {2, 4}


def test_a_strangers_flow_is_not_dropped_for_ever() -> None:
    lab = Wired()
    stranger = MpJoinSyn(1, b"\xde\xad\xbe\xef", NONCE).encode(1)
    lab.upward(UE_WLAN, 60_000, stranger, flags=SYN)
    lab.apply(lab.later(0.3))
    assert not lab.upward(UE_WLAN, 60_000, stranger, flags=SYN)
    alone(lab, GRACE)
    (delivery,) = lab.upward(UE_WLAN, 60_000, stranger, flags=SYN)
    assert delivery.dpid == 4


def test_when_the_controller_is_back_the_next_session_is_proxied_and_natural_ones_stay() -> None:
    lab = Wired()
    alone(lab, GRACE)
    assert at_server(lab, UE_LTE, 41_000)
    watched(lab, GRACE / ROUNDS + 2 * TICK)
    assert at_mcp(lab.upward(UE_LTE, 41_001, MpCapable(1).encode(), flags=SYN))
    assert lab.counters.packet_ins[PacketClass.SYN] == 1
    assert at_server(lab, UE_LTE, 41_000, flags=0x10)
