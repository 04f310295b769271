"""An MCP may report a plain session before its SYN was handled here: which comes first makes no difference."""

import pytest

from steering.core.counters import SessionReport
from steering.core.inputs import McpSessions, SessionBegan, SessionOver
from steering.core.sessions.early_reports import KEPT, MOST
from steering.core.sessions.records import Session
from steering.model.network import PortRole
from steering.model.policy import Policy, Timers
from steering.model.session import SessionState
from tests.support.relay_word import RelayWord, fins, removed
from tests.support.sites import SERVER, UE_LTE, Driver, capable, packed

PORT = 40_000


@pytest.fixture
def driver() -> Driver:
    return Driver()


def told(driver: Driver) -> tuple[RelayWord, RelayWord]:
    """The relays of both MCPs, which have told that nothing lives there. New sessions go to the first."""
    core, edge = RelayWord(driver, "core"), RelayWord(driver, "edge")
    core.tell()
    edge.tell()
    return core, edge


def count(driver: Driver, what: SessionReport) -> int:
    return driver.counters.session_reports[what]


def begun(driver: Driver) -> Session:
    """A SYN that was not answered yet as far as this controller knows; its session."""
    driver.syn(1, 1, capable(UE_LTE, PORT))
    return list(driver.table)[-1]


@pytest.mark.parametrize("first", ["SYN", "report", "report of the end"])
@pytest.mark.parametrize("how", ["orderly", "reset"])
def test_a_plain_session_ends_when_its_mcp_says_so_whatever_came_first(
    driver: Driver, first: str, how: str
) -> None:
    relay, _ = told(driver)
    session = driver.session(key=b"") if first == "SYN" else None
    number = relay.begin(None, PORT)
    relay.tell()
    if first == "report of the end":
        relay.end(number, how)
        relay.tell()
    session = session or driver.session(key=b"")
    held = set(session.entries(PortRole.GATEWAY))
    found = driver.later(0.05)
    assert session.id in driver.table.by_id and not removed(found)
    if first != "report of the end":
        relay.end(number, how)
        found = relay.tell()
    found += relay.later(9.0 if how == "orderly" else 2.5)  # the counters of what ended in order have to rest
    assert removed(found) == held and session.id not in driver.table.by_id
    assert count(driver, SessionReport.ABSENT) == 0, "which takes 10 s"
    assert count(driver, SessionReport.EARLY) == (first != "SYN")


def test_a_session_that_was_reported_first_lives_though_nobody_saw_its_answer(driver: Driver) -> None:
    relay, _ = told(driver)
    relay.begin(None, PORT)
    relay.tell()
    session = begun(driver)
    assert session.state is SessionState.SYN_PINNED
    driver.later(0.05)
    assert session.state is SessionState.PLAIN and count(driver, SessionReport.HEALED) == 1
    relay.later(15.0)
    assert session.id in driver.table.by_id and driver.counters.fallbacks == 1


def test_a_session_that_follows_on_the_flow_of_one_that_was_reported_first_lives(driver: Driver) -> None:
    """The SYN of the one that was reported was never seen."""
    relay, _ = told(driver)
    gone = relay.begin(None, PORT)
    relay.tell()
    session = driver.session(key=b"")
    driver.later(0.05)
    relay.end(gone, "reset")
    relay.tell()
    relay.has(session)
    relay.later(15.0)
    assert session.state is SessionState.PLAIN


def test_a_host_that_answers_late_after_an_end_that_was_reported_first_has_its_time(driver: Driver) -> None:
    relay, _ = told(driver)
    relay.end(relay.begin(None, PORT), "reset")
    relay.tell()
    session = driver.answered(key=b"")
    relay.later(4.0)  # the SYN/ACK is repeated after 1 and 3 s
    assert session.state is SessionState.ANSWERED
    relay.has(session)
    relay.later(15.0)
    assert session.state is SessionState.PLAIN


def test_one_that_never_goes_on_after_an_end_that_was_reported_first_has_half_of_its_time() -> None:
    driver = Driver(policy=Policy(timers=Timers(half_open=20.0)))
    relay, _ = told(driver)
    relay.end(relay.begin(None, PORT), "reset")
    relay.tell()
    session = driver.answered(key=b"")
    held = set(session.entries(PortRole.GATEWAY))
    assert not removed(relay.later(9.5))
    assert removed(relay.later(2.0)) == held


@pytest.mark.parametrize("reported", [True, False])
def test_an_mcp_with_a_slow_pace_has_until_its_next_batch_to_report_a_session(reported: bool) -> None:
    """As of some hundred relays, each of which may report every few seconds."""
    driver = Driver()
    relay, _ = told(driver)
    relay.end(relay.begin(None, PORT), "reset")
    relay.tell()
    session = driver.session(key=b"")
    for _ in range(45):
        driver.later(0.1)
    assert session.id in driver.table.by_id
    if reported:
        relay.has(session)
    relay.tell()
    for _ in range(45):
        driver.later(0.1)
    assert (session.id in driver.table.by_id) is reported


def test_a_session_is_not_ended_by_the_word_of_an_mcp_that_fell_silent_or_by_that_of_another(
    driver: Driver,
) -> None:
    relay, other = told(driver)
    other.end(other.begin(None, PORT), "reset")
    other.tell()
    session = driver.session(key=b"")
    assert session.mcp == relay.mcp
    relay.has(session)
    relay.later(3.0)
    assert session.id in driver.table.by_id and count(driver, SessionReport.EARLY) == 0
    relay.end(relay.begin(None, PORT + 1), "reset")
    relay.tell()
    silent = driver.session(sport=PORT + 1, key=b"")
    driver.give(McpSessions(relay.mcp, "0" * 16, 1, 1, False, ()))  # what lives is not known from now on
    for _ in range(15):
        driver.later(1.0)
    assert silent.id in driver.table.by_id


def test_a_report_of_a_flow_whose_session_is_just_over_is_about_the_next_one(driver: Driver) -> None:
    relay, _ = told(driver)
    old = driver.session(key=b"")
    number = relay.has(old)
    relay.tell()
    fins(driver, old)
    relay.end(number)
    relay.begin(None, PORT)
    relay.tell()
    driver.syn(1, 1, capable(UE_LTE, PORT, seq=77_000))
    fresh = driver.table.flows[old.first].session
    assert fresh is not old
    driver.later(0.05)
    assert fresh.state is SessionState.PLAIN
    relay.later(15.0)
    assert fresh.id in driver.table.by_id


def test_what_is_reported_first_is_bounded_and_the_oldest_gives_way_and_is_counted(driver: Driver) -> None:
    relay, _ = told(driver)
    live = [SessionBegan(n, -1, packed(UE_LTE), 1_000 + n, packed(SERVER), 5201) for n in range(1, MOST + 4)]
    driver.give(McpSessions(relay.mcp, "0" * 16, 1, 1, True, tuple(live)))
    assert count(driver, SessionReport.FORGOTTEN) == 3 and len(driver.engine.sessions.reports.early) == MOST
    driver.give(McpSessions(relay.mcp, "0" * 16, 2, 0, False, (SessionOver(4, -1, False),)))
    assert count(driver, SessionReport.FORGOTTEN) == 3, "the same flow"
    for sport, early in ((1_003, 0), (1_004, 1), (1_005, 2)):
        driver.session(sport=sport, key=b"")
        driver.later(0.05)
        assert count(driver, SessionReport.EARLY) == early


def test_what_is_reported_first_is_forgotten_when_no_syn_can_come_any_more(driver: Driver) -> None:
    relay, _ = told(driver)
    relay.begin(None, PORT)
    relay.tell()
    assert len(driver.engine.sessions.reports.early) == 1
    relay.later(KEPT + 0.2)
    assert len(driver.engine.sessions.reports.early) == 0
    driver.session(key=b"")
    driver.later(0.05)
    assert count(driver, SessionReport.EARLY) == 0 == count(driver, SessionReport.FORGOTTEN)
