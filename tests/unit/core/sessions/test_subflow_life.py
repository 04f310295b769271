"""A subflow has a life of its own: its own last activity, its own end, and its slot is free when it has ended."""

import pytest

from steering.core.counters import JoinResult
from steering.core.inputs import FinSeen, ObservedEntry, SweepRead
from steering.core.outputs import RemoveEntries, SendFrame
from steering.core.sessions.records import TAKEN_UP_WITHIN
from steering.model.network import PortRole
from steering.model.policy import Limits, Policy, Timers
from steering.model.session import Refusal, SessionState
from steering.wire.handshake import Kind
from tests.support.sites import FIN, UE_WLAN, Driver, answer, join, refused
from tests.support.swept_subflows import moved, ports

IDLE = 1_000.0
POLICY = Policy(limits=Limits(subflows_per_session=3), timers=Timers(idle=IDLE))


@pytest.fixture
def full() -> Driver:
    """A session that has all the subflows it may have: ports 40000 (initial), 50001, 50002."""
    driver = Driver(policy=POLICY)
    driver.session()
    for port in (50_001, 50_002):
        driver.syn(2, 1, join(UE_WLAN, port))
    answered(driver, 50_001, 50_002)
    assert len(next(iter(driver.table)).subflows) == 3
    return driver


def close(driver: Driver, port: int) -> None:
    there = join(UE_WLAN, port, flags=FIN)
    back = answer(there, b"")._replace(flags=FIN)
    (session,) = driver.table
    place = driver.engine.map.inside[session.mcp].port
    driver.give(FinSeen(2, 1, there))
    driver.give(FinSeen(place.dpid, place.port, back))


def test_while_all_live_one_more_is_refused(full: Driver) -> None:
    assert refused(full.syn(2, 1, join(UE_WLAN, 50_003)))
    assert full.counters.refusals[Refusal.SUBFLOWS_FULL] == 1 and len(ports(full)) == 3


def test_one_that_both_ends_closed_gives_its_slot_at_once(full: Driver) -> None:
    close(full, 50_001)
    outputs = full.syn(2, 1, join(UE_WLAN, 50_003))
    assert ports(full) == [40_000, 50_002, 50_003]
    (removed,) = [o for o in outputs if isinstance(o, RemoveEntries)]
    assert [entry.sport for entry in removed.entries] == [50_001]
    assert not [o for o in outputs if isinstance(o, SendFrame)]
    assert full.counters.joins[JoinResult.REFUSED] == 0


def test_one_that_was_silent_for_the_idle_limit_gives_its_slot_while_its_session_lives(full: Driver) -> None:
    for _ in range(3):
        full.now += IDLE / 2
        moved(full, 40_000, 50_002)
    (session,) = full.table
    silent = {s.flow.source_port: full.now - s.active for s in session.subflows}
    assert silent == {40_000: 0.0, 50_001: 1.5 * IDLE, 50_002: 0.0} and session.active == full.now
    assert full.syn(2, 1, join(UE_WLAN, 50_003)) and ports(full) == [40_000, 50_002, 50_003]


def test_one_that_is_silent_keeps_its_entry_as_long_as_nobody_needs_its_slot(full: Driver) -> None:
    for _ in range(3):
        full.now += IDLE / 2
        moved(full, 40_000, 50_002)
        full.later(0.1)
    assert ports(full) == [40_000, 50_001, 50_002]  # a silent backup must not go its natural way


def test_one_that_was_silent_for_less_keeps_its_slot(full: Driver) -> None:
    full.now += IDLE / 2
    moved(full, 40_000, 50_002)
    assert refused(full.syn(2, 1, join(UE_WLAN, 50_003)))
    assert ports(full) == [40_000, 50_001, 50_002]


def test_the_one_that_ended_is_taken_before_one_that_is_only_silent(full: Driver) -> None:
    close(full, 50_002)
    full.now += 1.5 * IDLE
    full.syn(2, 1, join(UE_WLAN, 50_003))
    assert 50_002 not in ports(full)


def answered(driver: Driver, *which: int) -> None:
    """The MCP answers the joins from these source ports."""
    (session,) = driver.table
    place = driver.engine.map.inside[session.mcp].port
    for port in which:
        driver.syn_ack(place.dpid, place.port, answer(join(UE_WLAN, port), b"")._replace(kind=Kind.JOIN))


def counted(driver: Driver, packets: dict[int, int]) -> None:
    """A sweep: source port -> packets of its entry."""
    (session,) = driver.table
    entries = {s.flow.source_port: session.entry(s) for s in session.subflows}
    seen = [ObservedEntry(entries[port], count, 0) for port, count in packets.items()]
    driver.give(SweepRead(1, seen, True, True, driver.now))


def test_a_join_that_no_mcp_answered_gives_its_slot_after_some_seconds() -> None:
    full = Driver(policy=POLICY)
    full.session()
    for port in (50_001, 50_002):
        full.syn(2, 1, join(UE_WLAN, port))
    answered(full, 50_002)
    full.now += TAKEN_UP_WITHIN - 0.1
    assert refused(full.syn(2, 1, join(UE_WLAN, 50_003)))
    full.now += 0.1
    assert full.syn(2, 1, join(UE_WLAN, 50_003)) and ports(full) == [40_000, 50_002, 50_003]
    answered(full, 50_003)
    full.now += TAKEN_UP_WITHIN
    assert refused(full.syn(2, 1, join(UE_WLAN, 50_004)))


def test_a_join_whose_host_never_sent_more_than_its_syn_gives_its_slot(full: Driver) -> None:
    full.now += TAKEN_UP_WITHIN
    counted(full, {40_000: 9, 50_001: 0, 50_002: 3})
    assert full.syn(2, 1, join(UE_WLAN, 50_003)) and ports(full) == [40_000, 50_002, 50_003]
    answered(full, 50_003)
    full.now += TAKEN_UP_WITHIN
    counted(full, {40_000: 9, 50_002: 3, 50_003: 1})
    assert refused(full.syn(2, 1, join(UE_WLAN, 50_004))) and len(ports(full)) == 3


def test_a_subflow_that_was_heard_keeps_its_slot_when_its_entry_begins_to_count_anew(full: Driver) -> None:
    counted(full, {40_000: 9, 50_001: 2, 50_002: 3})
    for _ in range(3):
        full.now += TAKEN_UP_WITHIN
        counted(full, {40_000: 9, 50_001: 0, 50_002: 0})
    assert refused(full.syn(2, 1, join(UE_WLAN, 50_003))) and len(ports(full)) == 3


def test_spoofed_joins_with_a_token_seen_on_the_air_keep_no_genuine_one_out() -> None:
    driver = Driver(policy=POLICY)
    driver.session()
    for port in (1, 2):
        driver.syn(2, 1, join("10.2.0.99", port))
    driver.now += TAKEN_UP_WITHIN
    for port in (50_001, 50_002):
        assert driver.syn(2, 1, join(UE_WLAN, port))
        answered(driver, port)
    assert ports(driver) == [40_000, 50_001, 50_002]


def test_an_mcps_own_join_makes_a_session_that_was_closing_an_established_one() -> None:
    driver = Driver()
    session = driver.session()
    (first,) = session.subflows
    there = join("10.1.0.2", 40_000, flags=FIN)
    place = driver.engine.map.inside[session.mcp].port
    driver.give(FinSeen(1, 1, there))
    back = answer(there, b"")._replace(flags=FIN)
    driver.give(FinSeen(place.dpid, place.port, back))
    assert session.state is SessionState.CLOSING and first.closed == 3
    address = driver.engine.map.mcps[session.mcp].addresses[0].packed
    driver.table.learn_host(session, 77)
    opening = join("10.1.0.2", 50_000, (77).to_bytes(4, "big"))
    own = opening._replace(src=address, dst=opening.src, sport=50_000, dport=50_000)
    driver.syn(place.dpid, place.port, own)
    assert session.state is SessionState.ESTABLISHED and session.subflows[-1].role == PortRole.ACCESS
