"""Reservations: what is granted, offered and refused, what the switches then hold, and how it ends."""

from dataclasses import replace

import pytest

from steering.core.inputs import (
    AcceptReservation,
    LinkDown,
    PortStatus,
    ReleaseReservation,
    RenewReservation,
    Reserve,
    SwitchUp,
)
from steering.core.outputs import SyncRules
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.transitions import Event
from steering.model.network import PortRef
from steering.model.reservation import (
    Level,
    ReservationOutcome,
    ReservationRefusal,
    ReservationRequest,
    Standing,
)
from steering.model.rules import VIRTUAL_MAC, Meter, Table, label_mac
from steering.model.session import Refusal
from steering.wire.crypto import token
from tests.support.fakes.packet import ACK, tcp
from tests.support.reservation_lab import ANNA, MEGA, POLICY, apply, ask, held, rate, sessions, site
from tests.support.sites import (
    SERVER,
    UE_LTE,
    UE_WLAN,
    Driver,
    capable,
    join,
    packed,
    refused,
)
from tests.support.switched import UE_MAC, Lab


@pytest.fixture
def lab() -> Lab:
    return Lab(site(), POLICY)


@pytest.mark.row("D-6.4g")
def test_granted_then_offered_what_is_left_then_the_way_round_then_refused(lab: Lab) -> None:
    first, second, third, fourth = sessions(lab, 4)
    assert ask(lab, "a", rate(first, 12)) is None
    assert held(lab, "a").standing is Standing.GRANTED
    assert ask(lab, "b", rate(second, 12)) is None
    assert (held(lab, "b").standing, held(lab, "b").rate) == (Standing.OFFERED, 8 * MEGA)
    assert ask(lab, "c", rate(third, 6)) is None
    assert [a.dpid for a, _ in held(lab, "c").routes[0]] == [1, 6]
    assert ask(lab, "d", rate(fourth, 1)) is ReservationRefusal.NO_CAPACITY
    assert lab.counters.reservations_refused == {ReservationRefusal.NO_CAPACITY: 1}
    lab.give(AcceptReservation("b"))
    assert held(lab, "b").standing is Standing.GRANTED
    lab.give(AcceptReservation("b"))
    assert lab.engine.reserving.verdict.denied is ReservationRefusal.NOT_OFFERED


@pytest.mark.row("D-6.4g")
def test_a_lease_ends_by_time_unless_it_is_renewed_and_an_offer_lapses(lab: Lab) -> None:
    first, second = sessions(lab, 2)
    ask(lab, "a", rate(first, 12))
    ask(lab, "b", rate(second, 12))
    lab.later(POLICY.reservations.offer + 1)
    assert "b" not in lab.engine.reserving.by_id
    lab.later(260)
    lab.give(RenewReservation("a", 0))
    lab.later(299)
    assert "a" in lab.engine.reserving.by_id
    lab.later(2)
    assert lab.engine.reserving.by_id == {}
    assert list(lab.engine.reserving.ended) == [
        ("b", ReservationOutcome.LAPSED),
        ("a", ReservationOutcome.EXPIRED),
    ]
    assert lab.engine.reserving.capacity.taken == {}
    assert ask(lab, "c", rate(first, 20)) is None


@pytest.mark.row("D-6.4g")
def test_no_lease_is_longer_than_the_longest_asked_for_or_renewed(lab: Lab) -> None:
    (first,) = sessions(lab, 1)
    longest = POLICY.reservations.longest_lease
    ask(lab, "a", rate(first, 12, lease=10 * longest))
    assert held(lab, "a").expires == lab.now + longest
    lab.later(10)
    lab.give(RenewReservation("a", 10 * longest))
    assert held(lab, "a").expires == lab.now + longest
    lab.later(longest + 1)
    assert not lab.engine.reserving.by_id


def test_reserved_traffic_is_metered_apart_and_takes_its_own_path(lab: Lab) -> None:
    one, other = sessions(lab, 2)
    lab.network.apply([*lab.engine.resync.begin()])
    for session in (one, other):
        for entry in session.entries(3):
            lab.network[entry.dpid].add_entry(entry)
    ask(lab, "a", rate(other, 15))
    ask(lab, "b", rate(one, 6))  # 5 are left on the short way
    assert held(lab, "b").number != held(lab, "a").number
    packet = tcp(UE_LTE, 40_000, SERVER, 5201, ACK, eth_src=UE_MAC, eth_dst=VIRTUAL_MAC)
    result = lab.send(1, 1, packet)
    assert [dpid for dpid, _ in result.hops] == [1, 6, 3]
    assert [(d.dpid, d.port) for d in result.deliveries] == [(3, 1)]
    packet = tcp(UE_LTE, 40_001, SERVER, 5201, ACK, eth_src=UE_MAC, eth_dst=VIRTUAL_MAC)
    assert [dpid for dpid, _ in lab.send(1, 1, packet).hops] == [1, 3]
    meters = lab.network[1].meters
    assert (meters[Meter.LINK_BASE + 2].rate, meters[Meter.LINK_BASE + 2].kilobits) == (5_000, True)
    assert meters[Meter.LINK_BASE + 3].rate == 60  # the way round is full: what remains is a hundredth
    own = {band.rate for number, band in meters.items() if Meter.RESERVED_BASE <= number < Meter.SYN_ACK_BASE}
    assert own == {15_000, 6_000}
    for name in ("a", "b"):
        apply(lab, lab.give(ReleaseReservation(name)))
    assert not [rule for rule in lab.network[1].rules(Table.LABEL) if rule.meter or rule.priority > 1000]
    assert [dpid for dpid, _ in lab.send(1, 1, packet).hops] == [1, 3]


def test_the_way_back_is_reserved_too(lab: Lab) -> None:
    session = lab.session()
    ask(lab, "a", rate(session, 5))
    number = held(lab, "a").number
    labels = {
        action.value
        for rule in lab.network[3].rules(Table.LABEL)
        for action in rule.actions
        if hasattr(action, "value")
    }
    access, gateway = (lab.engine.map.attachments[PortRef(dpid, 1)].waypoint.id for dpid in (1, 4))
    assert labels == {label_mac(access, number), label_mac(gateway, number)}


def test_a_switch_that_comes_back_is_filled_with_what_is_reserved(lab: Lab) -> None:
    ask(lab, "a", rate(lab.session(), 5))
    fill = lab.up(1)
    assert any(rule.meter for rule in fill.forwarding)
    assert {Meter.LINK_BASE + 2} <= {band.meter for band in fill.meters}
    lab.network[1].clear()
    lab.network.apply(fill)  # raises for a meter that is not there


def test_a_later_subflow_is_fitted_in_and_a_lost_link_moves_or_ends(lab: Lab) -> None:
    session = lab.session()
    ask(lab, "a", rate(session, 5))
    assert {leg.pair[0] for leg in held(lab, "a").legs if leg.upward and leg.host} == {1}
    lab.syn(2, 1, join(UE_WLAN, 40001))
    lab.later(0.1)
    assert {leg.pair[0] for leg in held(lab, "a").legs if leg.upward and leg.host} == {1, 2}
    lab.give(LinkDown(PortRef(1, 2), PortRef(3, 2)))
    lab.later(0.1)
    assert [a.dpid for a, _ in held(lab, "a").routes[0]] == [1, 6]
    lab.give(LinkDown(PortRef(1, 3), PortRef(6, 1)))
    lab.later(0.1)
    assert list(lab.engine.reserving.ended) == [("a", ReservationOutcome.LOST)]
    assert lab.engine.reserving.capacity.taken == {}


@pytest.mark.row("D-6.4g")
def test_of_ten_subflows_four_are_offered_and_the_fifth_join_is_refused_until_the_lease_ends() -> None:
    lab = Lab(site(), replace(POLICY, limits=replace(POLICY.limits, subflows_per_session=20)))
    session = lab.session()
    wish = ReservationRequest(Level.SUBFLOW, session=session.id, subflows=10)
    assert ask(lab, "a", wish) is None
    assert (held(lab, "a").standing, held(lab, "a").subflows) == (Standing.OFFERED, 4)
    lab.give(AcceptReservation("a"))
    for number in range(4):
        lab.syn(2, 1, join(UE_WLAN, 50_000 + number))
    assert len(session.subflows) == 5
    assert refused(lab.syn(2, 1, join(UE_WLAN, 50_004)))[1]
    assert lab.counters.refusals == {Refusal.RESERVED: 1}
    assert str(lab.counters.last_full) == f"subflows of session {session.id}: 4 by reservation"
    lab.later(301)
    lab.syn(2, 1, join(UE_WLAN, 50_005))
    assert len(session.subflows) == 6


@pytest.mark.row("D-6.4g")
def test_a_subscribers_subflows_count_over_its_sessions() -> None:
    lab = Lab(site(), POLICY)
    one = lab.session()
    other = lab.session(sport=40_009, key=b"another1")
    assert ask(lab, "a", ReservationRequest(Level.SUBSCRIBER, subscriber="anna", subflows=1)) is None
    lab.syn(2, 1, join(UE_WLAN, 50_000))
    assert len(one.subflows) == 2
    assert refused(lab.syn(2, 1, join(UE_WLAN, 50_001, token(1, b"another1"))))
    assert len(other.subflows) == 1
    assert ask(lab, "b", ReservationRequest(Level.SUBFLOW, session=other.id, subflows=6)) is None
    assert held(lab, "b").subflows == 4
    assert ask(lab, "c", ReservationRequest(Level.SESSION, session=other.id, subflows=6)) is None
    assert held(lab, "c").subflows == 1  # the pool has six
    assert (
        ask(lab, "d", ReservationRequest(Level.SESSION, session=one.id, subflows=1))
        is ReservationRefusal.NO_SUBFLOWS
    )


@pytest.mark.row("D-6.4g")
def test_a_subscribers_rate_is_by_its_prefixes(lab: Lab) -> None:
    lab.session()
    assert ask(lab, "a", ReservationRequest(Level.SUBSCRIBER, subscriber="anna", rate=3 * MEGA)) is None
    matches = [dict(rule.match) for rule in lab.network[1].rules(Table.LABEL) if rule.priority == 2000]
    assert {match["ipv4_src"] for match in matches} == {
        (str(p.network_address), str(p.netmask)) for p in ANNA.prefixes
    }


@pytest.mark.row("D-6.4g")
def test_a_subflows_rate_is_its_own(lab: Lab) -> None:
    session = lab.session()
    lab.syn(2, 1, join(UE_WLAN, 50_000))
    flow = flow_key(packed(UE_WLAN), packed(SERVER), 50_000, 5201)
    assert ask(lab, "a", ReservationRequest(Level.SUBFLOW, flow=flow, rate=3 * MEGA)) is None
    assert {leg.pair[0] for leg in held(lab, "a").legs if leg.upward and leg.host} == {2}
    assert held(lab, "a").wish.session == session.id
    assert (
        ask(lab, "b", ReservationRequest(Level.SUBFLOW, flow=flow, rate=MEGA)) is ReservationRefusal.DUPLICATE
    )


@pytest.mark.parametrize(
    ("wish", "denied"),
    [
        (
            ReservationRequest(Level.SUBSCRIBER, subscriber="bert", rate=MEGA),
            ReservationRefusal.NO_SUBSCRIBER,
        ),
        (
            ReservationRequest(Level.SUBSCRIBER, subscriber="anna", rate=MEGA, mcp="nowhere"),
            ReservationRefusal.NO_MCP,
        ),
        (
            ReservationRequest(Level.SUBSCRIBER, subscriber="anna", rate=MEGA),
            ReservationRefusal.NO_MCP,
        ),  # no session tells which
        (ReservationRequest(Level.SESSION, session=77, rate=MEGA), ReservationRefusal.NO_SESSION),
        (ReservationRequest(Level.SUBFLOW, flow=bytes(12), rate=MEGA), ReservationRefusal.NO_SUBFLOW),
        (
            ReservationRequest(Level.SUBSCRIBER, subscriber="anna", subflows=1, mcp="core", owner="bert"),
            ReservationRefusal.NOT_YOURS,
        ),
    ],
)
def test_refusals_have_names_and_leave_nothing(
    lab: Lab, wish: ReservationRequest, denied: ReservationRefusal
) -> None:
    assert ask(lab, "x", wish) is denied
    assert lab.engine.reserving.by_id == {}
    assert lab.counters.reservations_refused == {denied: 1}


def test_reservations_are_bounded_for_all_and_for_one() -> None:
    lab = Lab(
        site(), replace(POLICY, reservations=replace(POLICY.reservations, most_per_subscriber=2, most=3))
    )
    mine = sessions(lab, 3)
    assert [ask(lab, str(s.id), rate(s, 1)) for s in mine] == [None, None, ReservationRefusal.TOO_MANY]
    lab.give(ReleaseReservation("unheard-of"))
    assert lab.engine.reserving.verdict.denied is ReservationRefusal.UNKNOWN


def test_the_end_of_its_session_ends_it(lab: Lab) -> None:
    session = lab.session()
    ask(lab, "a", rate(session, 5))
    lab.life.happened(session, Event.OVER)
    lab.later(0.1)
    assert list(lab.engine.reserving.ended) == [("a", ReservationOutcome.OVER)]
    assert lab.table.joins_of == {}


def test_port_speeds_count_where_the_site_file_says_nothing() -> None:
    driver = Driver(policy=POLICY)
    session = driver.session()
    assert ask(driver, "a", rate(session, 1)) is ReservationRefusal.NO_CAPACITY
    for dpid in range(1, 6):
        ports = driver.engine.switches[dpid].ports
        driver.give(SwitchUp(dpid, ports, dict.fromkeys(range(1, 5), 10_000)))
    assert ask(driver, "b", rate(session, 12)) is None
    assert held(driver, "b").rate == 10 * MEGA


def test_the_speed_of_a_port_that_comes_up_or_is_added_later_counts() -> None:
    driver = Driver(policy=POLICY)
    session = driver.session()
    assert ask(driver, "a", rate(session, 1)) is ReservationRefusal.NO_CAPACITY
    told = [(dpid, port) for dpid in range(1, 6) for port in driver.engine.switches[dpid].ports]
    for dpid, port in told:
        driver.give(PortStatus(dpid, port, True, speed=10_000))
    assert ask(driver, "b", rate(session, 12)) is None
    assert held(driver, "b").rate == 10 * MEGA
    assert driver.engine.switches[1].speeds[2] == 10_000
    for dpid, port in told:
        driver.give(PortStatus(dpid, port, False))
        assert driver.engine.switches[dpid].speeds[port] == 10_000, "a port without link has none just now"
        driver.give(PortStatus(dpid, port, False, gone=True))
    assert not driver.engine.reserving.capacity.speeds, "a switch may name ever new ports"
    assert not any(driver.engine.switches[dpid].speeds for dpid in range(1, 6))


def test_without_enforcement_answers_are_the_same_and_switches_hold_nothing() -> None:
    driver = Driver(site(), POLICY, disabled=frozenset({"reservations"}))
    session = driver.session()
    assert not [o for o in driver.give(Reserve("a", rate(session, 12))) if isinstance(o, SyncRules)]
    assert held(driver, "a").standing is Standing.GRANTED


def test_a_new_session_is_not_the_reserved_one(lab: Lab) -> None:
    ask(lab, "a", ReservationRequest(Level.SUBFLOW, session=lab.session().id, subflows=1))
    lab.syn(1, 1, capable(UE_LTE, 40_500))
    assert lab.counters.refusals == {}
