"""The reports of an MCP with very many sessions: no index grows or goes in one piece, and the collector looks at none."""

import gc

from steering.core.inputs import McpSessions, McpsReplaced
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.mcp_ledger import FREED_AT_ONCE, McpLedger, ReportedSession
from steering.model.ids import McpId, Token
from tests.support.relay_word import RelayWord
from tests.support.sites import Driver

MANY = 60_000
LARGEST_DICT = 21_845  # entries with which a dict of 2**15 places is full (indexes)


def part(number: int, generation: str = "a") -> McpSessions:
    return McpSessions(McpId(1), generation, number, number, False, ())


def reported(ledger: McpLedger, many: int) -> None:
    for number in range(many):
        ledger.add(number, ReportedSession(Token(number), FlowKey(number.to_bytes(12, "big")), 0))
    ledger.settle()


def freed(ledger: McpLedger) -> int:
    """In how many portions all void reports are freed."""
    portions = 1
    while ledger.free_some():
        portions += 1
    return portions


def test_no_part_of_a_large_ledger_is_large() -> None:
    ledger = McpLedger(MANY)
    ledger.begin(part(1), 0.0)
    reported(ledger, MANY)
    assert len(ledger) == MANY
    for index in (ledger._live, ledger._flows, ledger._tokens):
        assert max(map(len, index._shards)) <= LARGEST_DICT
    assert not any(map(gc.is_tracked, ledger._live.all_values()))


def test_reports_that_are_void_are_freed_in_portions() -> None:
    ledger = McpLedger(MANY)
    ledger.begin(part(1), 0.0)
    reported(ledger, MANY)
    ledger.begin(part(1), 1.0)
    assert not len(ledger) and 1 not in ledger
    portions = freed(ledger)
    assert 3 < portions <= 3 * MANY / FREED_AT_ONCE + 1
    reported(ledger, 5)
    assert len(ledger) == 5


def test_small_sets_that_come_again_and_again_leave_nothing() -> None:
    ledger = McpLedger(1_000_000)
    for number in range(50):
        ledger.begin(part(1), float(number))
        reported(ledger, 100)
    assert freed(ledger) <= 6, "parts of indexes are small, then, and freed together"


def test_the_run_before_is_freed_in_portions_too() -> None:
    ledger = McpLedger(MANY)
    ledger.begin(part(1), 0.0)
    reported(ledger, MANY)
    ledger.complete()
    ledger.begin(part(1, "b"), 1.0)
    assert freed(ledger) > 1, "what lived is not asked any more"
    assert ledger._flows_before is not None and len(ledger._flows_before) == MANY
    ledger.complete()
    ledger.compared()
    assert ledger._flows_before is None and ledger._tokens_before is None
    assert freed(ledger) > 2


def test_the_reports_of_a_removed_mcp_are_freed_in_portions() -> None:
    """In one piece, those of a million sessions keep every SYN waiting for 140 ms."""
    driver = Driver()
    relay, reports = RelayWord(driver), driver.engine.sessions.reports
    relay.tell()
    ledger = reports._ledgers[relay.mcp]
    reported(ledger, MANY)
    ledger.complete()
    driver.give(McpsReplaced(driver.site.mcps[1:]))
    assert relay.mcp not in reports._ledgers
    left = []
    while reports._dissolved:
        left.append(sum(map(len, ledger._void)))
        driver.later(0.05)
    assert left[0] == 3 * MANY and len(left) >= 3 * MANY / (FREED_AT_ONCE + LARGEST_DICT)
