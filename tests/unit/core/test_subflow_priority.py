"""What is wanted of live subflows: by scheme, access type, quota, offload, and only when it changes."""

import pytest

from steering.core import inputs
from steering.core.outputs import GoOn, Prefer
from steering.core.selection.access_use import distribution_of
from steering.core.selection.rulebook import RuleMatch
from steering.core.subflow_priority import LOOKED_AT_ONCE
from steering.model.kept import KeptUse
from steering.model.network import PortRef, Trust
from steering.model.policy import (
    Action,
    Distribution,
    Policy,
    PolicyRule,
    Pooling,
    RuleConditions,
    Subscriber,
    SubscriberClass,
    Terms,
    TimeWindow,
    UsageMode,
)
from steering.model.session import Refusal
from tests.support.live_session import BACKUP, CELLULAR, CHEAPEST, FIXED, WLAN, Live
from tests.support.sites import UE_LTE, UE_WLAN, join, nets, packed, refused, steered

OFF, ON = (True, True, 0), (False, True, 0)


@pytest.mark.row("D-1.m1", "N-5.6.2a")
def test_native_wants_nothing_of_anybody():
    assert Live().told() == {}
    assert Live(Terms(distribution=Distribution.LOWEST_RTT, pooling=CHEAPEST)).told() == {}


@pytest.mark.row("D-1.m2", "D-3.2d")
def test_the_cheapest_carries_and_the_others_wait_and_that_is_told_once():
    live = Live(BACKUP)
    assert live.told() == {"lte": OFF}
    assert live.told() == {}
    intent = live.engine.preferring.intent(live.one.subflows[0])
    assert (intent.token, intent.src, intent.sport, intent.access_type) == (
        live.one.token, bytes([10, 1, 0, 2]), 40000, "cellular",
    )  # fmt: skip


@pytest.mark.row("D-1.m2")
def test_without_an_order_the_access_it_began_on_carries():
    assert Live(Terms(distribution=Distribution.ACTIVE_BACKUP)).told() == {"wlan": OFF}


@pytest.mark.row("D-1.m2", "D-3.3b")
def test_a_failed_access_hands_over_and_takes_back():
    live = Live(BACKUP)
    live.told()
    live.give(inputs.PortStatus(2, 1, False))
    assert live.told() == {"lte": ON}
    live.give(inputs.PortStatus(2, 1, True))
    assert live.told() == {"lte": OFF}
    live.give(inputs.LinkDown(PortRef(2, 1), PortRef(9, 9)))
    assert live.told() == {}


@pytest.mark.row("D-1.m2")
def test_a_closed_subflow_hands_over():
    live = Live(BACKUP)
    live.told()
    live.one.subflows[1].close(3)
    live.table.changed[live.one.id] = None
    assert live.told() == {"lte": ON}


@pytest.mark.row("D-6.3e")
def test_access_information_turns_live_subflows_round():
    live = Live(BACKUP)
    live.told()
    live.give(inputs.AccessChanged("wlan", CELLULAR, None))
    assert live.told() == {"lte": ON}
    live.give(inputs.AccessChanged("lte", FIXED, None))
    assert live.told() == {"wlan": OFF}


@pytest.mark.row("D-6.3e", "D-3.2b")
def test_what_may_be_pooled_no_more_is_closed_unless_it_is_all_there_is():
    live = Live(Terms(pooling=Pooling(allowed=frozenset({CELLULAR, WLAN}))))
    assert live.told() == {}
    live.give(inputs.AccessChanged("wlan", FIXED, None))
    assert live.told() == {"wlan": (False, False, 0)}
    assert refused(live.join(50001)) == (3, False)
    live.give(inputs.AccessChanged("lte", FIXED, None))
    assert live.told() == {"wlan": ON}
    live.give(inputs.AccessChanged("wlan", None, Trust.THIRD_PARTY))
    assert live.told() == {}  # neither may; the session goes on with what it has


@pytest.mark.row("D-6.3e", "N-5.6.2c")
def test_a_subscriber_has_an_order_of_its_own():
    owner = (Subscriber("house-7", prefixes=nets("10.1.0.0/24")),)
    live = Live(subscribers=owner)
    assert live.told() == {}
    live.give(inputs.SubscriberAccess("house-7", Pooling(preferred=(CELLULAR, WLAN))))
    assert live.told() == {"wlan": OFF}
    live.give(inputs.SubscriberAccess("house-7", Pooling(allowed=frozenset({CELLULAR}))))
    assert live.told() == {"wlan": (False, False, 0)}
    assert refused(live.join(50001))
    assert live.counters.refusals[Refusal.POOLING] == 1
    live.give(inputs.SubscriberAccess("house-7", None))
    assert live.told() == {"wlan": ON}


@pytest.mark.row("N-5.6.1n", "N-5.6.1k3")
def test_a_quota_that_is_used_up_makes_backups():
    pooling = Pooling(quota_bytes=((CELLULAR, 5_000_000),))
    live = Live(Terms(pooling=pooling))
    live.sweep(lte=3_000_000, wlan=9_000_000)
    live.sweep(lte=4_999_999, wlan=19_000_000)
    assert live.told() == {}
    live.sweep(lte=5_000_000, wlan=29_000_000)
    assert live.told() == {"lte": OFF}
    assert live.one.subflows[0].bytes == 5_000_000
    live.give(inputs.PortStatus(2, 1, False))
    assert live.told() == {"lte": ON}  # better than nothing


def recorded(live: Live, controller: str, *uses: tuple[str | bytes, int]) -> None:
    """A controller's record of one part: bytes by cellular."""
    used = tuple(KeptUse(who, "cellular", size) for who, size in uses)
    live.give(inputs.UsageTold(controller, 3, used, False))


@pytest.mark.row("N-5.6.1k3", "D-6.7.1")
def test_a_quota_that_controllers_use_up_together_makes_backups_until_it_begins_anew() -> None:
    live = Live(Terms(pooling=Pooling(quota_bytes=((CELLULAR, 1_000),))))
    live.sweep(lte=400)
    recorded(live, "b", (packed(UE_LTE), 599), ("anna", 9_999))
    assert live.told() == {}
    recorded(live, "c", (packed(UE_LTE), 1))
    assert live.told() == {"lte": OFF}
    recorded(live, "c")
    assert live.told() == {"lte": ON}


@pytest.mark.row("N-5.6.1k3", "D-6.7.1")
def test_what_others_counted_before_counts_with_what_is_counted_here() -> None:
    live = Live(Terms(pooling=Pooling(quota_bytes=((CELLULAR, 1_000),))))
    recorded(live, "b", (packed(UE_LTE), 900))
    live.sweep(lte=99)
    assert live.told() == {}
    live.sweep(lte=100)
    assert live.told() == {"lte": OFF}


def test_what_was_written_of_it_counts_once_and_has_no_session_looked_at_again() -> None:
    live = Live(Terms(pooling=Pooling(quota_bytes=((CELLULAR, 1_000),))))
    live.sweep(lte=600)
    assert live.told() == {}
    (part,) = live.engine.preferring.used.unwritten()
    live.give(inputs.UsageTold("a", part, live.engine.preferring.used.record("a", part), True))
    assert live.engine.preferring._looked_at is None and live.told() == {}
    live.sweep(lte=1_000)
    assert live.told() == {"lte": OFF}


@pytest.mark.row("N-5.6.1n")
def test_a_counter_that_began_anew_counts_on():
    live = Live(Terms(pooling=Pooling(quota_bytes=((CELLULAR, 100),))))
    live.sweep(lte=60)
    live.sweep(lte=50)
    assert live.told() == {"lte": OFF}


@pytest.mark.row("D-1.u2")
def test_offload_there_and_back():
    live = Live()
    live.give(inputs.Offload("lte", "wlan"))
    assert live.told() == {"lte": OFF}
    live.give(inputs.Offload("wlan", "lte"))
    assert live.told() == {"lte": ON, "wlan": OFF}
    live.give(inputs.Offload("wlan", None))
    assert live.told() == {"wlan": ON}
    live.give(inputs.Offload("wlan", "elsewhere"))
    assert live.told() == {}


def test_overflow_lets_the_others_help_while_the_best_is_full():
    live = Live(Terms(distribution=Distribution.OVERFLOW, pooling=CHEAPEST))
    assert live.told() == {"lte": OFF}
    live.give(inputs.PortLoad(2, 1, 0.79))
    assert live.told() == {}
    live.give(inputs.PortLoad(2, 1, 0.8))
    assert live.told() == {"lte": ON}
    live.give(inputs.PortLoad(2, 1, 0.6))
    assert live.told() == {}
    live.give(inputs.PortLoad(2, 1, 0.4))
    assert live.told() == {"lte": OFF}


def test_whoever_chooses_overflow_is_obeyed_by_port_polls_and_no_other_is():
    """The ISP for all, a subscriber for itself, an application by its port (draft-deng section 1)."""
    ours = {"prefixes": nets("10.1.0.0/24", "10.2.0.0/24")}
    overflow = Distribution.OVERFLOW
    for policy in (
        {"distribution": overflow},
        {"subscribers": (Subscriber("one", **ours, distribution=overflow),)},
        {"rules": (PolicyRule("web", RuleConditions(ports=((5201, 5201),)), Terms(distribution=overflow)),)},
    ):
        live = Live(**policy)
        assert live.told() == {"wlan": OFF}  # it began on LTE
        live.give(inputs.PortLoad(2, 1, 1.0))
        live.give(inputs.PortLoad(1, 1, 0.7))
        assert live.told() == {"wlan": ON}  # an access of the session is full
        live.give(inputs.PortLoad(2, 1, 0.0))
        assert live.told() == {"wlan": OFF}
    other = Live(rules=(PolicyRule("mail", RuleConditions(ports=((25, 25),)), Terms(distribution=overflow)),))
    other.give(inputs.PortLoad(1, 1, 1.0))
    assert other.told() == {}


def test_shares_are_told_where_there_are_two():
    live = Live(Terms(distribution=Distribution.RATIO, ratio=(("lte", 1), ("wlan", 3))))
    assert live.told() == {"lte": (False, True, 1), "wlan": (False, True, 3)}
    live.give(inputs.PortStatus(2, 1, False))
    assert live.told() == {"lte": ON, "wlan": ON}


@pytest.mark.row("D-1.m3")
def test_single_takes_a_second_subflow_only_when_the_first_failed():
    live = Live(Terms(usage_mode=UsageMode.SINGLE))
    assert len(live.one.subflows) == 1 and live.counters.refusals[Refusal.SINGLE] == 1
    live.give(inputs.PortStatus(1, 1, False))
    assert steered(live.join(50001)).release.waypoint
    assert [s.flow.source_port for s in live.one.subflows] == [40000, 50001]


@pytest.mark.row("D-3.2c")
def test_another_policy_and_another_hour_act_on_what_is_live():
    live = Live()
    assert live.told() == {}
    live.give(inputs.PolicyReplaced(Policy(version=2, rules=(PolicyRule("all", RuleConditions(), BACKUP),))))
    assert live.told() == {"lte": OFF}
    evening = RuleConditions(times=(TimeWindow(frozenset({1}), 60, 120),))
    live.give(inputs.PolicyReplaced(Policy(version=3, rules=(PolicyRule("rush", evening, BACKUP),))))
    assert live.told() == {"lte": ON}
    live.give(inputs.TimeOfDay(61))
    assert live.told() == {"lte": OFF}
    live.give(inputs.TimeOfDay(120))
    assert live.told() == {"lte": ON}


@pytest.mark.row("N-5.6.2c")
def test_a_rule_counts_before_subscriber_class_and_system():
    ab, low, over = Distribution.ACTIVE_BACKUP, Distribution.LOWEST_RTT, Distribution.OVERFLOW
    classes = (SubscriberClass("gold", distribution=over),)
    policy = Policy(distribution=ab, classes=classes)
    gold, own = Subscriber("a", "gold"), Subscriber("b", "gold", distribution=low)

    def asked(terms=None, subscriber=None):
        return distribution_of(policy, RuleMatch(None, terms or Terms(), subscriber, None))

    assert [asked(), asked(None, gold), asked(None, own)] == [ab, over, low]
    assert asked(Terms(distribution=Distribution.RATIO), own) is Distribution.RATIO


@pytest.mark.row("N-5.6.2c")
def test_two_subscribers_have_two_schemes_at_once():
    rule = PolicyRule("order", RuleConditions(subscribers=frozenset({"b"})), BACKUP)
    hosts = tuple(Subscriber(name, prefixes=nets(f"10.1.0.{n}/32")) for name, n in (("a", 2), ("b", 3)))
    live = Live(rules=(rule,), subscribers=hosts)
    other = live.session("10.1.0.3", 41000, key=bytes(range(8)))
    live.syn(2, 1, join("10.2.0.3", 50000, other.token.to_bytes(4, "big")))
    prefers = [o for o in live.later(0.05) if isinstance(o, Prefer)]
    assert [i.session for o in prefers for i in o.intents] == [other.id]
    assert UE_LTE == "10.1.0.2"


@pytest.mark.row("D-1.m2")
def test_after_a_change_for_all_each_slice_looks_at_a_few_sessions() -> None:
    live = Live()
    live.later(0.05)
    for sport in range(3 * LOOKED_AT_ONCE):
        session = live.session(sport=41_000 + sport, key=(sport + 1).to_bytes(8, "big"))
        live.syn(2, 1, join(UE_WLAN, 51_000 + sport, session.token.to_bytes(4, "big")))
    live.later(0.05)
    rule = PolicyRule("all", RuleConditions(), BACKUP)
    live.give(inputs.PolicyReplaced(Policy(rules=(rule,))))
    slices = []
    outputs = live.engine.handle(inputs.Tick(), live.now)
    for _ in range(9):
        slices.append(sum(len(one.intents) for one in outputs if isinstance(one, Prefer)))
        if not any(isinstance(one, GoOn) for one in outputs):
            break
        outputs = live.engine.handle(inputs.Continue(), live.now)
    assert sum(slices) == 3 * LOOKED_AT_ONCE + 1
    assert max(slices) <= LOOKED_AT_ONCE, "a SYN waits for one slice at most"


def test_no_session_is_looked_at_for_a_policy_that_says_nothing_of_accesses_either(monkeypatch) -> None:
    live = Live()
    live.later(0.05)
    looked: list[object] = []

    def noted(session: object) -> list[object]:
        looked.append(session)
        return []

    monkeypatch.setattr(live.engine.preferring, "wishes", noted)
    denies = PolicyRule("d", RuleConditions(destinations=nets("198.18.0.0/24")), Terms(action=Action.DENY))
    live.give(inputs.PolicyReplaced(Policy(rules=(denies,))))
    live.later(0.05)
    assert not looked
    for policy in (
        Policy(rules=(denies,), third_party_pooling=not Policy().third_party_pooling),
        Policy(rules=(denies, PolicyRule("all", RuleConditions(), BACKUP))),
        Policy(rules=(denies,)),
    ):
        live.give(inputs.PolicyReplaced(policy))
        live.later(0.05)
        assert looked == [live.one], policy
        looked.clear()
