"""Hosts that share an IPv6 /64: what one of them may have, its neighbours do not lose. By IPv4 address it is the same.

Where a network binds by address, a host has a bounded number of addresses. Where it binds a whole /64 to a host, or nothing
at all, a host can have any address of its /64, and the /64 counts.
"""

from dataclasses import replace

import pytest

from steering.core.handshakes.token_guesses import FREE
from steering.core.sessions.records import Session
from steering.model.network import HostLearning, Site
from steering.model.policy import AlarmTerms, Limits, Policy, Quotas, Timers
from steering.model.session import Refusal, SessionState
from tests.support.clustered import steers
from tests.support.restarted import restarted, snapshot
from tests.support.sites import Driver, answer, capable, join, off_path_site

ROGUE, VICTIM, SERVER = "fd00:1::66", "fd00:1::2", "fd00:9::2"
OWN_64 = {"binds_prefixes": True}
LEARNED = {"hosts": HostLearning.LEARNED}
SHARED = pytest.mark.parametrize(
    ("network", "is_shared"),
    [({}, True), (OWN_64, False), (LEARNED, False)],
    ids=["address", "prefix", "learned"],
)


def site(network: dict[str, object]) -> Site:
    """The off-path site, whose LTE network binds in this way."""
    made = off_path_site()
    lte, *others = made.access_networks
    return replace(made, access_networks=(replace(lte, **network), *others))


def begins(driver: Driver, src: str, sport: int) -> bool:
    return bool(steers(driver.syn(1, 1, capable(src, sport, SERVER))))


def opened(driver: Driver, src: str, sport: int, key: bytes) -> Session:
    opening = capable(src, sport, SERVER)
    driver.syn(1, 1, opening)
    session = list(driver.table)[-1]
    place = driver.engine.map.inside[session.mcp].port
    driver.syn_ack(place.dpid, place.port, answer(opening, key))
    driver.life.heard(session)
    return session


@pytest.mark.row("N-7.2b", "D-6.3f")
@SHARED
def test_a_neighbour_uses_up_no_others_limit_of_sessions(network: dict[str, object], is_shared: bool) -> None:
    policy = Policy(quotas=Quotas(sessions_per_subscriber=3))
    driver = Driver(site(network), policy)
    for n in range(3):
        opened(driver, ROGUE, 1000 + n, n.to_bytes(8, "big"))
    assert not begins(driver, ROGUE, 1003)
    assert begins(driver, VICTIM, 1000) is is_shared
    fresh = restarted(driver, snapshot(driver))
    assert {key: n for kind, key, n in fresh.table.ledger if kind == "subscriber"} == {
        key: n for kind, key, n in driver.table.ledger if kind == "subscriber"
    }
    for session in list(driver.table):
        driver.engine.sessions.teardown.end(session)
    assert not list(driver.table.ledger) and begins(driver, ROGUE, 2000)


@pytest.mark.row("N-7.2c")
@SHARED
def test_nor_the_room_for_sessions_that_are_half_open(network: dict[str, object], is_shared: bool) -> None:
    driver = Driver(site(network), Policy(limits=Limits(half_open_per_source=8)))
    for n in range(12):
        driver.syn(1, 1, capable(ROGUE, 2_000 + n, SERVER))
    assert len(driver.table.half_open) == 8 and driver.counters.refusals[Refusal.HALF_OPEN_SOURCE] == 4
    assert begins(driver, VICTIM, 2_000) is is_shared


@pytest.mark.row("D-6.4h")
@SHARED
def test_nor_does_it_bar_others_by_guessing_tokens(network: dict[str, object], is_shared: bool) -> None:
    driver = Driver(site(network))
    opened(driver, "fd00:2::2", 1000, b"12345678")
    session = list(driver.table)[-1]
    for n in range(FREE):
        driver.syn(1, 1, join(ROGUE, 20_000 + n, (n + 1).to_bytes(4, "big"), SERVER))
        if n % 64 == 63:
            driver.later(0.21)
    driver.later(0.21)
    token = session.token.to_bytes(4, "big")
    assert not driver.syn(1, 1, join(ROGUE, 40_001, token, SERVER))
    assert bool(driver.syn(1, 1, join(VICTIM, 40_001, token, SERVER))) is is_shared


@pytest.mark.row("D-6.7.1")
@SHARED
def test_nor_does_it_take_an_mcp_from_them_by_syns_that_none_can_answer(
    network: dict[str, object], is_shared: bool
) -> None:
    driver = Driver(site(network))
    for n in range(3 * AlarmTerms().sick_count):
        opened(driver, VICTIM, 1_000 + n, n.to_bytes(8, "big"))
        for turn in range(10):
            driver.syn(1, 1, capable(ROGUE, 2_000 + 10 * n + turn, SERVER))
        driver.later(0.05)
    for _ in range(10):
        driver.later(0.05)
    (used,) = {session.mcp for session in driver.table if session.state is not SessionState.SYN_PINNED}
    assert (used not in driver.engine.sessions.sick.bad) is is_shared


@SHARED
def test_nor_does_it_push_out_others_idle_pins(network: dict[str, object], is_shared: bool) -> None:
    policy = Policy(timers=Timers(idle=100.0, sweep=10.0), limits=Limits(idle_pins=6))
    driver = Driver(site(network), policy)
    oldest = opened(driver, VICTIM, 39_000, b"\xff" * 8)
    for n in range(20):
        driver.now += 0.1
        opened(driver, ROGUE, 40_000 + n, n.to_bytes(8, "big"))
    for _ in range(13):
        driver.later(10.0)
    assert (oldest.id in driver.table.by_id) is is_shared
    assert {one.state for one in driver.table} == {SessionState.IDLE} and len(driver.table) == 6
