"""A SYN on the 5-tuple of an earlier session, whose MCP answers it and says so in its report only: copies of SYN/ACKs and FINs
are metered, and a lost copy ends no session of an MCP that reports."""

import pytest

from steering.core.counters import ReportRefusal, SessionReport
from steering.core.handshakes.new_attempts import SECONDS
from steering.core.sessions.records import Session
from steering.model.session import SessionState
from tests.support.relay_word import RelayWord
from tests.support.sites import SERVER, UE_LTE, UE_WLAN, Driver, capable, join, packed, steered

PORT = 40_000
TOKEN = 0x0A0B0C0D
FLOW = packed(UE_LTE) + packed(SERVER) + PORT.to_bytes(2, "big") + (5201).to_bytes(2, "big")


def ended(driver: Driver, relay: RelayWord, how: str) -> int:
    """A session at the MCP; the number that its end will be told by. Its FINs were not seen."""
    session = driver.session(sport=PORT)
    assert session.mcp == relay.mcp
    number = relay.has(session)
    relay.later(1.0)
    relay.end(number, how)
    return number


def begun(driver: Driver) -> Session:
    return driver.table.flows[FLOW].session


@pytest.mark.row("D-6.2c")
@pytest.mark.parametrize("how", ["orderly", "reset"])
@pytest.mark.parametrize("token", [TOKEN, None], ids=["mptcp", "plain"])
@pytest.mark.parametrize("told_before", [True, False])
def test_it_takes_the_place_of_the_earlier_one_and_lives_on(
    how: str, token: int | None, told_before: bool
) -> None:
    driver = Driver()
    relay = RelayWord(driver)
    relay.tell()
    ended(driver, relay, how)
    if told_before and how == "orderly":
        relay.tell()
    earlier = begun(driver)
    driver.syn(1, 1, capable(UE_LTE, PORT, seq=77_000))
    assert begun(driver) is earlier, "nobody has answered yet"
    relay.begin(token, PORT)
    relay.tell()
    later = begun(driver)
    assert later is not earlier and later.mcp == relay.mcp and not len(driver.engine.sessions.attempts)
    assert driver.counters.session_reports[SessionReport.HEALED] == 1
    relay.later(20.0)
    assert begun(driver) is later and earlier not in list(driver.table)
    assert later.state is (SessionState.PLAIN if token is None else SessionState.ESTABLISHED)
    if token is not None:
        assert steered(driver.syn(2, 1, join(UE_WLAN, 50_001, token.to_bytes(4, "big")))).release is not None


@pytest.mark.parametrize("ticks", [0, 1, 2], ids=["noted", "found cut off", "aborted"])
@pytest.mark.parametrize("key", [b"12345678", b""], ids=["mptcp", "plain"])
def test_it_takes_the_place_of_one_that_its_mcp_lost_by_a_restart(ticks: int, key: bytes) -> None:
    driver = Driver()
    relay = RelayWord(driver)
    relay.tell()
    earlier = driver.session(sport=PORT, key=key)
    relay.has(earlier)
    relay.later(1.0)
    fresh = RelayWord(driver, generation=2)
    fresh.tell()
    driver.syn(1, 1, capable(UE_LTE, PORT, seq=77_000))
    for _ in range(ticks):
        driver.later(0.05)
    fresh.begin(TOKEN, PORT)
    fresh.tell()
    later = begun(driver)
    assert later is not earlier
    fresh.later(20.0)
    assert list(driver.table) == [later] and later.state is SessionState.ESTABLISHED


def test_a_report_of_the_earlier_session_itself_takes_no_place() -> None:
    """Anybody may send the SYN with a host's address."""
    driver = Driver()
    relay = RelayWord(driver)
    relay.tell()
    session = driver.session(sport=PORT)
    driver.syn(1, 1, capable(UE_LTE, PORT, seq=77_000))
    relay.has(session)
    relay.tell()
    assert begun(driver) is session and len(driver.engine.sessions.attempts) == 1


def test_one_that_fell_back_after_its_answer_is_the_earlier_session_itself() -> None:
    driver = Driver()
    relay = RelayWord(driver)
    relay.tell()
    session = driver.answered(sport=PORT)
    driver.syn(1, 1, capable(UE_LTE, PORT, seq=77_000))
    relay.begin(None, PORT)
    relay.tell()
    assert begun(driver) is session and len(driver.engine.sessions.attempts) == 1


def test_another_mcp_and_a_report_that_comes_too_late_prove_no_answer() -> None:
    driver = Driver()
    relay, other = RelayWord(driver), RelayWord(driver, "edge")
    for one in (relay, other):
        one.tell()
    session = driver.session(sport=PORT)
    relay.has(session)
    relay.tell()
    driver.syn(1, 1, capable(UE_LTE, PORT, seq=77_000))
    other.begin(TOKEN, PORT)
    other.tell()
    assert begun(driver) is session
    assert driver.counters.session_reports_refused["edge", ReportRefusal.FOREIGN] == 1
    relay.later(SECONDS + 1.0)
    relay.begin(TOKEN, PORT)
    relay.tell()
    assert begun(driver) is session
