"""A controller is killed and another one begins: what no switch tells of it has from what was kept."""

from dataclasses import replace

import pytest

from steering.core.outputs import FillSwitch, Prefer
from steering.core.sessions.flow_key import flow_key
from steering.model.kept import KeptState, KeptUse, LostPiece
from steering.model.network import PortRef
from steering.model.policy import Pooling, Terms
from steering.model.reservation import Level, ReservationOutcome, ReservationRequest, Standing
from steering.model.rules import Table
from steering.model.session import Refusal
from tests.support import reservation_lab
from tests.support.live_session import Live
from tests.support.next_controller import CELLULAR, Next, kept
from tests.support.reservation_lab import MEGA, POLICY, ask, held, rate
from tests.support.sites import SERVER, UE_LTE, UE_WLAN, join, packed, refused, steered
from tests.support.switched import Lab


def reserved_rules(fill: FillSwitch) -> set[tuple]:
    """Match, actions and meter of what reservations want, without the epoch."""
    return {
        (rule.priority, rule.match, rule.actions, rule.meter)
        for rule in fill.forwarding
        if rule.table is Table.LABEL and (rule.meter or rule.priority > 1500)
    }


@pytest.fixture
def lab() -> Lab:
    return Lab(reservation_lab.site(), POLICY)


@pytest.mark.row("D-6.4g")
def test_a_kept_lease_is_no_longer_than_the_longest_of_the_policy_in_force(lab: Lab) -> None:
    assert ask(lab, "a", rate(lab.session(), 5, lease=3000)) is None
    short = replace(POLICY, reservations=replace(POLICY.reservations, lease=60.0, longest_lease=60.0))
    after = Next(lab, kept(lab), short, gone=5)
    assert held(after.driver, "a").expires <= after.driver.now + 60
    same = Next(lab, kept(lab), gone=5)
    assert held(same.driver, "a").expires == same.driver.now + 2995


@pytest.mark.row("D-6.4g")
@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5, 6), (6, 5, 4, 3, 2, 1)])
def test_a_reservation_and_its_meters_are_the_same_after_the_controller_died(lab: Lab, order) -> None:
    session = lab.session()
    lab.syn(2, 1, join(UE_WLAN, 41_000))
    assert ask(lab, "a", rate(session, 5, lease=100)) is None
    lab.later(0.1)
    before = {dpid: reserved_rules(lab.up(dpid)) for dpid in order}
    assert before[1] and before[3]
    after = Next(lab, kept(lab), gone=30)
    for dpid in order:
        after.up(dpid)
        # Each switch as it comes: nothing lapses until the last one is there.
        assert reserved_rules(after.driver.fills[dpid]) == before[dpid]
    one = held(after.driver, "a")
    (again,) = after.driver.table
    assert one.wish.session == again.id and one.standing is Standing.GRANTED
    assert (one.rate, one.number, one.routes) == (5 * MEGA, held(lab, "a").number, held(lab, "a").routes)
    assert 69 < one.expires - after.driver.now < 71
    after.driver.later(60)
    assert "a" in after.driver.engine.reserving.by_id
    after.driver.later(11)
    assert list(after.driver.engine.reserving.ended) == [("a", ReservationOutcome.EXPIRED)]


def test_without_what_was_kept_it_is_gone(lab: Lab) -> None:
    ask(lab, "a", rate(lab.session(), 5))
    after = Next(lab, KeptState())
    after.up()
    assert after.driver.engine.reserving.by_id == {} and not reserved_rules(after.driver.fills[1])


def test_leases_that_ended_meanwhile_and_sessions_that_are_over_are_not_revived(lab: Lab) -> None:
    first, second = reservation_lab.sessions(lab, 2)
    ask(lab, "short", rate(first, 1, lease=10))
    ask(lab, "over", rate(second, 1))
    told = kept(lab)
    lab.engine.sessions.teardown.end(second)
    after = Next(lab, told, gone=20)
    assert list(after.driver.engine.reserving.by_id) == ["over"]
    after.up()
    assert list(after.driver.engine.reserving.ended) == [
        ("short", ReservationOutcome.EXPIRED),
        ("over", ReservationOutcome.OVER),
    ]
    assert after.driver.engine.reserving.capacity.taken == {}


def test_all_levels_come_back_and_new_ones_do_not_get_their_numbers(lab: Lab) -> None:
    session = lab.session()
    lab.syn(2, 1, join(UE_WLAN, 41_000))
    flow = flow_key(packed(UE_WLAN), packed(SERVER), 41_000, 5201)
    ask(lab, "s", rate(session, 2))
    ask(lab, "f", ReservationRequest(Level.SUBFLOW, flow=flow, rate=2 * MEGA))
    ask(lab, "a", ReservationRequest(Level.SUBSCRIBER, subscriber="anna", rate=2 * MEGA))
    lab.later(0.1)
    after = Next(lab, kept(lab))
    after.up()
    now = after.driver.engine.reserving.by_id
    assert {n: (o.rate, o.number, o.slot, len(o.legs)) for n, o in now.items()} == {
        n: (o.rate, o.number, o.slot, len(o.legs)) for n, o in lab.engine.reserving.by_id.items()
    }
    other = after.driver.session(sport=42_000, key=b"another1")
    assert ask(after.driver, "n", rate(other, 1)) is None
    assert held(after.driver, "n").number not in {o.number for n, o in now.items() if n != "n"}
    taken = after.driver.engine.reserving.capacity.taken
    assert taken[PortRef(1, 2)] == 2 * MEGA + 2 * MEGA + MEGA  # the subflow's is from the other edge


def test_a_reservation_whose_link_is_gone_finds_another_way_and_one_without_any_is_lost(lab: Lab) -> None:
    ask(lab, "small", rate(lab.session(), 5))
    other = lab.session(sport=42_000, key=b"another1")
    ask(lab, "large", rate(other, 10))
    told = kept(lab)
    links = tuple(link for link in lab.site.links if link.a != PortRef(1, 2))
    lab.site = replace(lab.site, links=links)
    after = Next(lab, told)
    after.up(1, 2, 3, 4, 5, 6)
    assert [a.dpid for a, _ in held(after.driver, "small").routes[0]] == [1, 6]
    assert list(after.driver.engine.reserving.ended) == [("large", ReservationOutcome.LOST)]


@pytest.mark.row("D-6.4g")
def test_joins_are_held_to_what_was_reserved_before_the_restart(lab: Lab) -> None:
    session = lab.session()
    ask(lab, "a", ReservationRequest(Level.SUBFLOW, session=session.id, subflows=1))
    other = lab.session(sport=42_000, key=b"another1")
    ask(lab, "b", ReservationRequest(Level.SUBSCRIBER, subscriber="anna", subflows=2))
    lab.syn(2, 1, join(UE_WLAN, 41_000))
    after = Next(lab, kept(lab))
    after.up()
    assert refused(after.driver.syn(2, 1, join(UE_WLAN, 41_001)))[1]
    other_token = other.token.to_bytes(4, "big")
    steered(after.driver.syn(2, 1, join(UE_WLAN, 41_002, other_token)))
    assert refused(after.driver.syn(2, 1, join(UE_WLAN, 41_003, other_token)))[1]
    assert after.driver.counters.refusals == {Refusal.RESERVED: 2}


def test_a_kept_reservation_that_fits_nowhere_is_counted(lab: Lab) -> None:
    ask(lab, "a", rate(lab.session(), 5))
    (good,) = kept(lab).reservations
    bad = (
        good._replace(mcp="nowhere"),
        good._replace(id="b", level=Level.SUBSCRIBER, subscriber="nobody"),
        good,
        good._replace(id="c"),  # the same meters
        good,  # twice
    )
    after = Next(lab, KeptState(reservations=bad))
    assert list(after.driver.engine.reserving.by_id) == ["a"]
    assert after.driver.counters.not_restored == {LostPiece.RESERVATION: 4}


# ---- quotas --------------------------------------------------------------------------------------


def metered(live: Live) -> int:
    return sum(one.used for one in live.engine.preferring.used.kept())


@pytest.mark.row("N-5.6.1k3")
def test_bytes_of_a_quota_are_kept_and_what_moved_meanwhile_is_counted() -> None:
    terms = Terms(pooling=Pooling(quota_bytes=((CELLULAR, 1_000),)))
    live = Live(terms)
    live.sweep(lte=400)
    assert metered(live) == 400
    # 300 more while nobody was there, 300 afterwards: used up with the last ones.
    after = Next(live, kept(live), bytes_of={1: 700})
    after.up()
    fresh = after.driver
    assert metered(fresh) == 400
    fresh.one, fresh.sweep = next(iter(fresh.table)), Live.sweep.__get__(fresh)
    fresh.sweep(lte=700)
    assert metered(fresh) == 700
    fresh.sweep(lte=1_000)
    wishes = {i.access: i.wish.backup for o in fresh.later(0.1) if isinstance(o, Prefer) for i in o.intents}
    assert wishes["lte"] is True


def test_without_what_was_kept_nothing_is_counted_twice() -> None:
    live = Live(Terms(pooling=Pooling(quota_bytes=((CELLULAR, 1_000),))))
    live.sweep(lte=400)
    after = Next(live, KeptState(), bytes_of={1: 700})
    after.up()
    after.driver.one = next(iter(after.driver.table))
    Live.sweep(after.driver, lte=750)
    assert metered(after.driver) == 50


def test_a_subscribers_bytes_are_its_own_also_of_sessions_read_back() -> None:
    live = Live(Terms(pooling=Pooling(quota_bytes=((CELLULAR, 1_000),))), subscribers=(reservation_lab.ANNA,))
    live.sweep(lte=400)
    after = Next(live, kept(live), bytes_of={1: 400})
    after.up()
    after.driver.one = next(iter(after.driver.table))
    Live.sweep(after.driver, lte=500)
    assert after.driver.engine.preferring.used.kept() == (KeptUse("anna", "cellular", 500),)


def test_bytes_of_who_is_not_listed_are_one_sum_also_after_an_authoriser_named_its_class() -> None:
    live = Live(Terms(pooling=Pooling(quota_bytes=((CELLULAR, 1_000),))))
    live.sweep(lte=400)
    after = Next(live, kept(live), bytes_of={1: 400})
    after.up()
    after.driver.engine.chooser.granted[packed(UE_LTE)] = "gold"
    after.driver.one = next(iter(after.driver.table))
    Live.sweep(after.driver, lte=500)
    assert after.driver.engine.preferring.used.kept() == (KeptUse(packed(UE_LTE), "cellular", 500),)
