"""Limits outlive a controller: what switches hold of its sessions counts for the one that follows (N-7.2b)."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steering.core.engine import Engine
from steering.core.inputs import Authorised, ObservedEntry, ObservedHost, PolicyReplaced
from steering.core.outputs import Authorise
from steering.model.authorisation import Authorization, Authorizer, Verdict
from steering.model.policy import Application, Policy, Quotas, Subscriber, SubscriberClass
from steering.model.session import EntryKind, Refusal, SessionState, unpack_cookie
from tests.support.clustered import steers
from tests.support.half_open import NOTHING, passes
from tests.support.restarted import restarted, snapshot
from tests.support.sites import SERVER, UE_LTE, UE_WLAN, Driver, answer, capable, join, nets
from tests.support.switched import V6

LIMITED = Policy(quotas=Quotas(sessions_per_subscriber=3))
WIDE = Policy(quotas=Quotas(sessions_per_subscriber=50))
NAMED = Policy(
    quotas=Quotas(sessions_per_subscriber=50),
    subscribers=(Subscriber("acme", prefixes=nets("10.1.0.0/30")),),
    applications=(Application("video", ports=((5201, 5201),)),),
)
Held = Mapping[int, list[ObservedEntry]]


def again(driver: Driver, policy: Policy, held: Held, order: tuple[int, ...] = (1, 2, 3, 4, 5)) -> Driver:
    """A controller that starts with this policy, and is told what switches hold, in this order."""
    fresh = restarted(driver, {}, ())
    fresh.engine = Engine(driver.site, policy, epoch=9)
    core = driver.engine.map.inside[driver.site.mcps[0].id]
    for dpid in order:
        hosts = [ObservedHost(3, core.id, b"", b"\2\0\0\0\0\3", 1)] if dpid == 3 else []
        fresh.up(dpid, held.get(dpid, []), hosts)
    return fresh


def counted(driver: Driver) -> dict[tuple[str, Any], int]:
    return {(kind, key): count for kind, key, count in driver.table.ledger}


def end(driver: Driver) -> None:
    driver.engine.sessions.teardown.end(next(iter(driver.table)))


def begins(driver: Driver, sport: int) -> bool:
    return bool(steers(driver.syn(1, 1, capable(UE_LTE, sport))))


def of_policy(policy: Policy) -> Driver:
    driver = Driver()
    driver.give(PolicyReplaced(policy))
    return driver


@pytest.mark.row("N-7.2b", "D-6.3f")
def test_sessions_that_are_read_back_use_up_their_subscribers_limit() -> None:
    driver = of_policy(LIMITED)
    for n in range(3):
        driver.session(sport=1000 + n, key=bytes((n,)) * 8)
    assert not begins(driver, 2000)
    fresh = again(driver, LIMITED, snapshot(driver))
    assert not begins(fresh, 2001), "three live, and three may"
    assert fresh.counters.refusals[Refusal.SESSION_LIMIT] == 1
    end(fresh)
    assert begins(fresh, 2002) and not begins(fresh, 2003), "one ended, so one more may"


def test_they_count_for_whom_the_policy_named_when_they_were_read() -> None:
    driver = of_policy(NAMED)
    driver.session(sport=1000)
    before = counted(driver)
    assert ("subscriber", "acme") in before and ("application", "video") in before
    fresh = again(driver, NAMED, snapshot(driver))
    assert counted(fresh) == before
    fresh.give(PolicyReplaced(Policy(version=3)))
    assert counted(fresh) == before
    end(fresh)
    assert not counted(fresh), "what was taken is given back"


@pytest.mark.row("N-7.2b")
@pytest.mark.parametrize("host", [UE_LTE, V6[UE_LTE]], ids=["IPv4", "IPv6"])
def test_the_limit_of_a_class_that_an_authoriser_names_is_no_whole_one_again(host: str) -> None:
    policy = Policy(
        authorization=Authorization(authorizers=(Authorizer.HTTP,)),
        classes=(SubscriberClass("two", Quotas(sessions_per_subscriber=2)),),
    )

    def begun(driver: Driver, sport: int) -> bool:
        outputs = driver.syn(1, 1, capable(host, sport, V6[SERVER] if ":" in host else SERVER))
        for one in outputs:
            if isinstance(one, Authorise):
                outputs = driver.give(Authorised(one.request, Verdict.ALLOW, "two"))
        return bool(steers(outputs))

    driver = Driver(policy=policy)
    assert begun(driver, 1000) and begun(driver, 1001) and not begun(driver, 1002)
    fresh = again(driver, policy, snapshot(driver))
    assert counted(fresh) == counted(driver)
    assert not begun(fresh, 1003), "two live, and two may"
    end(fresh)
    assert begun(fresh, 1004) and not begun(fresh, 1005)


def test_a_session_that_is_told_of_by_its_joins_first_counts_once() -> None:
    driver = of_policy(LIMITED)
    session = driver.session(sport=1000)
    driver.syn(2, 1, join(UE_WLAN, 1000, session.token.to_bytes(4, "big")))
    for order in ((1, 2, 3, 4, 5), (2, 4, 3, 1, 5), (4, 2, 1, 3, 5)):
        assert counted(again(driver, LIMITED, snapshot(driver), order)) == counted(driver)
    (host,) = (
        one for one in snapshot(driver)[1] if unpack_cookie(one.entry.cookie).kind is EntryKind.INITIAL
    )
    assert counted(again(driver, LIMITED, {1: [host]})) == counted(driver), (
        "its host's switch alone tells enough"
    )


def test_one_whose_host_is_not_heard_counts_until_it_is_late() -> None:
    """As one that has just begun does."""
    driver = of_policy(LIMITED)
    driver.session(sport=1000)
    held = {
        dpid: [ObservedEntry(one.entry, *NOTHING) for one in some] for dpid, some in snapshot(driver).items()
    }
    fresh = again(driver, LIMITED, held)
    assert [one.state for one in fresh.table] == [SessionState.ANSWERED]
    assert counted(fresh) == counted(driver)
    passes(fresh, 20, NOTHING)
    assert not counted(fresh)


FLOWS = st.lists(
    st.tuples(st.sampled_from((UE_LTE, "10.1.0.9")), st.integers(1000, 1030), st.sampled_from((80, 443, 5201)), st.booleans()),
    unique_by=lambda one: one[1],
    max_size=12,
)  # fmt: skip


@pytest.mark.row("N-7.2b")
@given(FLOWS, st.permutations((1, 2, 3, 4, 5)), st.sampled_from((WIDE, NAMED)))
@settings(max_examples=60, deadline=None)
def test_what_is_counted_after_a_restart_is_what_was_counted_before(
    flows: list[tuple[str, int, int, bool]], order: list[int], policy: Policy
) -> None:
    driver = of_policy(policy)
    for n, (src, sport, dport, answered) in enumerate(flows):
        opening = capable(src, sport, SERVER, dport=dport)
        if steers(driver.syn(1, 1, opening)) and answered:
            (session,) = (one for one in driver.table if one.flow.source_port == sport)
            place = driver.engine.map.inside[session.mcp].port
            driver.syn_ack(place.dpid, place.port, answer(opening, n.to_bytes(8, "big")))
    before = counted(driver)
    fresh = again(driver, policy, snapshot(driver), tuple(order))
    assert counted(fresh) == before
    while len(fresh.table):
        end(fresh)
    assert not counted(fresh)
