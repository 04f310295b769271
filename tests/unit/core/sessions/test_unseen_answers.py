"""A copy of a SYN/ACK that is lost ends no session: the host's segments are counted, and a repeated SYN/ACK is read."""

import pytest

from steering.core.sessions.records import Session
from steering.model.policy import Policy
from steering.model.session import SessionState
from tests.support.half_open import ACK, NOTHING, RESET, Counted, passes
from tests.support.relay_word import RelayWord
from tests.support.sites import UE_LTE, UE_WLAN, Driver, answer, capable, join, steered

PATIENCE = Policy().timers.half_open


def half_open(driver: Driver, sport: int = 40_000) -> Session:
    driver.syn(1, 1, capable(UE_LTE, sport))
    return list(driver.table)[-1]


def test_a_session_whose_host_goes_on_lives_though_no_answer_was_seen() -> None:
    driver = Driver()
    session = half_open(driver)
    passes(driver, 3 * PATIENCE, ACK)
    assert session.state is SessionState.PLAIN and session.id in driver.table.by_id
    assert driver.counters.answers_unseen == 1 and not driver.table.half_open


@pytest.mark.parametrize(
    "counted", [NOTHING, RESET], ids=["nothing", "the reset of a host that opened nothing"]
)
def test_a_session_whose_host_does_not_go_on_is_given_up_in_time(counted: Counted) -> None:
    driver = Driver()
    half_open(driver)
    passes(driver, PATIENCE + 0.2, counted)
    assert not len(driver.table) and driver.counters.answers_unseen == 0


def test_a_repeated_answer_teaches_the_token_of_one_that_was_taken_for_plain() -> None:
    driver = Driver()
    session = half_open(driver)
    passes(driver, 2 * PATIENCE, ACK)
    place = driver.engine.map.inside[session.mcp].port
    driver.syn_ack(place.dpid, place.port, answer(capable(UE_LTE, 40_000)))
    assert session.state is SessionState.ESTABLISHED
    steer = steered(driver.syn(2, 1, join(UE_WLAN, 50_001)))
    assert steer.release is not None and len(session.subflows) == 2
    assert not driver.counters.session_events_refused


def test_a_repeated_answer_without_a_key_changes_nothing() -> None:
    driver = Driver()
    session = driver.session(key=b"")
    place = driver.engine.map.inside[session.mcp].port
    driver.syn_ack(place.dpid, place.port, answer(capable(UE_LTE, 40_000), b""))
    assert session.state is SessionState.PLAIN and driver.counters.fallbacks == 1
    assert not driver.counters.session_events_refused


def test_an_answered_session_that_its_mcp_does_not_have_ends_in_time_though_its_switch_does_not_tell() -> (
    None
):
    """Its MCP restarted just then. Once its entry was read at last, nobody looked it up any more."""
    driver = Driver()
    relay = RelayWord(driver)
    relay.tell()
    session = driver.answered()
    assert session.state is SessionState.ANSWERED and session.mcp == relay.mcp
    relay.later(PATIENCE - 1.0)
    assert session.id in driver.table.by_id, "its host may be slow"
    relay.later(3.0)
    assert not len(driver.table)
