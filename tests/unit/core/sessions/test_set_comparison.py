"""All sessions are looked up in a whole set that an MCP has reported, some at a time."""

from collections.abc import Iterator

import pytest

from steering.core.inputs import McpSessions
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.indexes import NumberedIndex
from steering.core.sessions.mcp_ledger import McpLedger, ReportedSession
from steering.core.sessions.records import Session
from steering.core.sessions.set_comparison import SetComparison
from steering.core.sessions.transitions import Beginning, Event
from steering.model.ids import McpId, Token
from tests.support.sites import SERVER, UE_LTE, Driver, packed

CORE, EDGE = McpId(1), McpId(2)


def sessions(driver: Driver, ports: range) -> list[Session]:
    firsts = [flow_key(packed(UE_LTE), packed(SERVER), port, 5201) for port in ports]
    return [driver.life.begin(Beginning.FOUND_PLAIN, CORE, None, driver.now, first=one) for one in firsts]


def restarted(ledger: McpLedger) -> None:
    """Its MCP had a session, restarts, and has none."""
    for generation in ("a", "b"):
        ledger.begin(McpSessions(CORE, generation, 1, 1, True, ()), 0.0)
        if generation == "a":
            ledger.add(1, ReportedSession(Token(7), flow_key(packed(UE_LTE), packed(SERVER), 1, 5201), 0))
        ledger.complete()


def test_they_are_looked_up_in_order_and_what_begins_meanwhile_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def all_at_once(_index: object) -> Iterator[int]:
        raise AssertionError("with a million sessions, a list of all of them takes 64 ms")

    driver, ledger = Driver(), McpLedger(100)
    table = driver.table
    before = sessions(driver, range(1, 8))
    restarted(ledger)
    comparison = SetComparison(table, {CORE: ledger})
    monkeypatch.setattr(NumberedIndex, "__iter__", all_at_once)
    comparison.want(CORE)
    assert list(comparison.sessions(3)) == before[:3]
    sessions(driver, range(8, 10))
    driver.life.happened(before[4], Event.OVER)
    assert list(comparison.sessions(3)) == [before[3], before[5], before[6]]
    assert ledger._flows_before is None, "the set was compared with all of them"
    assert list(comparison.sessions(3)) == []


def test_a_set_that_comes_meanwhile_is_compared_with_all_sessions_afterwards() -> None:
    driver = Driver()
    ledgers = {CORE: McpLedger(100), EDGE: McpLedger(100)}
    before = sessions(driver, range(1, 5))
    for ledger in ledgers.values():
        restarted(ledger)
    comparison = SetComparison(driver.table, ledgers)
    comparison.want(CORE)
    assert list(comparison.sessions(2)) == before[:2]
    comparison.want(EDGE)
    assert list(comparison.sessions(2)) == before[2:]
    assert ledgers[CORE]._flows_before is None and ledgers[EDGE]._flows_before is not None
    assert [*comparison.sessions(3), *comparison.sessions(3)] == before
    assert ledgers[EDGE]._flows_before is None


def test_without_sessions_a_set_is_compared_at_once() -> None:
    driver, ledger = Driver(), McpLedger(100)
    restarted(ledger)
    comparison = SetComparison(driver.table, {CORE: ledger})
    comparison.want(CORE)
    assert ledger._flows_before is None and list(comparison.sessions(3)) == []
