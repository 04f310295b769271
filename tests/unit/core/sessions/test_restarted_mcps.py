"""An MCP that restarts before anybody missed it: who lived there is told as at its death, who had ended is not reset."""

from dataclasses import replace

import pytest

from steering.core.counters import Abort, ReportRefusal, SessionReport
from steering.core.inputs import FinSeen, McpSessions
from steering.core.sessions.dead_mcps import EACH_TICK
from steering.core.sessions.mcp_ledger import SILENT
from steering.core.sessions.records import Session
from steering.model.network import PortRole
from steering.model.policy import Policy
from steering.model.session import SessionState, Watch
from steering.wire.segment import Flags
from tests.support.fakes.kernel import LivingLab
from tests.support.relay_word import RelayWord, fins, removed
from tests.support.sites import FIN, UE_LTE, Driver, answer, handshake

KEEPING = Policy(keep_keys=True)


def relay_of(driver: Driver, session: Session, generation: int = 1) -> RelayWord:
    return RelayWord(driver, driver.engine.map.mcps[session.mcp].name, generation)


def living(**policy) -> tuple[LivingLab, Session, RelayWord]:
    """A session that its MCP has told of."""
    lab = LivingLab(policy=replace(KEEPING, **policy))
    session = lab.established()
    relay = relay_of(lab, session)
    relay.begin(session.token, 40000)
    relay.tell()
    return lab, session, relay


def count(driver: Driver, what: SessionReport) -> int:
    return driver.counters.session_reports[what]


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("keys", [True, False])
def test_both_ends_of_what_lived_before_a_quick_restart_are_told_within_a_second(keys: bool) -> None:
    lab, session, _ = living(keep_keys=keys)
    host, server = lab.host(), lab.server()
    lab.pass_by(0.2)
    relay_of(lab, session, generation=2).tell()
    lab.pass_by(0.5)
    assert not host.lives and host.fastclosed is keys and not server.lives
    assert len(lab.table) == 0 and not lab.watches(1)
    assert lab.counters.aborts == {Abort.FASTCLOSE if keys else Abort.RESET: 1}
    assert (count(lab, SessionReport.CUT_OFF), count(lab, SessionReport.ABSENT)) == (1, 0)


def test_a_whole_set_of_the_same_run_that_lacks_a_session_resets_nobody() -> None:
    lab, session, relay = living()
    host, server = lab.host(), lab.server()
    lab.pass_by(12.0)
    relay.tell()
    relay.ledger.end(1, "orderly", 2.0)
    relay.ledger.start_over()  # the event is lost, and the set lacks the session
    relay.tell()
    lab.pass_by(0.5)
    assert session.id not in lab.table.by_id and host.lives and server.lives
    assert (count(lab, SessionReport.CUT_OFF), count(lab, SessionReport.ABSENT)) == (0, 1)
    assert not lab.counters.aborts


@pytest.mark.parametrize("told", [True, False], ids=["told", "not-told"])
def test_what_had_ended_in_order_before_the_restart_is_not_reset_whether_the_end_was_told_or_not(
    told: bool,
) -> None:
    lab, session, relay = living()
    host, server = lab.host(), lab.server()
    held = set(session.entries(PortRole.GATEWAY))
    fins(lab, session)
    relay.end(1)
    if told:
        relay.tell()
    fresh = relay_of(lab, session, generation=2)
    fresh.tell()
    assert lab.watches(1) == [Watch.NOTHING], "its last segments may still be under way"
    assert removed(fresh.later(1.0)) == held and session.id not in lab.table.by_id
    assert host.told_by is None and server.told_by is None and not lab.counters.aborts
    assert not host.heard and not server.heard, "nor asked"


def test_a_session_of_which_one_end_alone_said_that_it_sends_no_more_is_told() -> None:
    lab, session, _ = living()
    host = lab.host()
    lab.give(FinSeen(1, 1, handshake(UE_LTE, 40000, flags=FIN)))  # a host that has sent its request
    relay_of(lab, session, generation=2).tell()
    lab.pass_by(0.5)
    assert not host.lives


@pytest.mark.parametrize("later", [0.0, 8.0], ids=["entries", "no-entries"])
def test_a_server_is_told_though_the_machine_that_is_back_reset_the_host_itself(later: float) -> None:
    lab, session, relay = living()
    server = lab.server()
    back = answer(handshake(UE_LTE, 40000), b"")._replace(flags=int(Flags.RST))
    lab.give(FinSeen(3, 1, back))
    for _ in range(round(later)):
        lab.pass_by(1.0)
        relay.tell()
    assert session.state is (SessionState.LINGER if later else SessionState.CLOSING)
    relay_of(lab, session, generation=2).tell()
    lab.pass_by(0.5)
    assert not server.lives


def test_what_the_next_run_of_the_mcp_tells_of_lives() -> None:
    lab, session, _ = living()
    host = lab.host()
    fresh = relay_of(lab, session, generation=2)
    fresh.begin(session.token, 40000)
    fresh.tell()
    lab.pass_by(3.0)
    assert session.state is SessionState.ESTABLISHED and host.lives and not host.heard


def test_a_session_that_began_as_the_mcp_restarted_has_its_time_to_be_told_and_then_is_cut_off_too() -> None:
    driver = Driver()
    first = driver.session(sport=1_000)
    relay_of(driver, first).tell()
    session = driver.session(sport=2_000, key=b"")  # the first run never told of it
    fresh = relay_of(driver, session, generation=2)
    fresh.later(9.0)
    assert session.id in driver.table.by_id and not driver.engine.sessions.aborted.report(session.id)
    fresh.later(3.0)
    assert driver.engine.sessions.aborted.report(session.id)
    assert count(driver, SessionReport.ABSENT) == 0


def test_a_run_that_was_too_short_to_tell_its_whole_set_hides_nothing_of_the_one_before() -> None:
    lab, session, _ = living()
    host = lab.host()
    lab.give(McpSessions(session.mcp, "2" * 16, 1, 1, False, ()))  # the first part of a set, and no more
    lab.pass_by(0.3)
    assert host.lives
    relay_of(lab, session, generation=3).tell()
    lab.pass_by(0.5)
    assert not host.lives


def test_what_is_compared_is_forgotten_and_a_set_that_comes_later_resets_nobody() -> None:
    lab, session, _ = living()
    fresh = relay_of(lab, session, generation=2)
    fresh.begin(session.token, 40000)
    fresh.tell()
    lab.pass_by(12.0)
    fresh.end(1)
    fresh.ledger.start_over()
    fresh.tell()
    host = lab.host()
    lab.pass_by(1.0)
    assert host.lives and not host.heard and session.id not in lab.table.by_id


def test_a_batch_of_the_run_before_that_comes_late_is_refused_and_costs_nobody_anything() -> None:
    lab, session, _ = living()
    host = lab.host()
    fresh = relay_of(lab, session, generation=2)
    fresh.begin(session.token, 40000)
    fresh.tell()
    lab.pass_by(3.0)
    lab.give(McpSessions(session.mcp, f"{1:016x}", 1, 1, True, ()))
    lab.pass_by(0.5)
    assert host.lives and not host.heard and session.state is SessionState.ESTABLISHED
    name = lab.engine.map.mcps[session.mcp].name
    assert lab.counters.session_reports_refused[name, ReportRefusal.OUT_OF_ORDER] == 1
    fresh.tell()
    assert not fresh.refused


def test_a_run_that_is_followed_while_nobody_has_a_session_is_forgotten_too() -> None:
    lab = LivingLab(policy=KEEPING)
    old = RelayWord(lab)
    old.begin(None, 40000)  # not the network's
    old.tell()
    fresh = RelayWord(lab, generation=2)
    fresh.tell()
    session = lab.established()
    assert session.mcp == fresh.mcp and session.flow.source_port == 40000
    host = lab.host()
    fresh.ledger.start_over()
    fresh.tell()
    lab.pass_by(0.5)
    assert host.lives and not host.heard, "it has its time to be told"


def test_many_that_were_cut_off_end_some_at_a_time() -> None:
    driver = Driver(policy=Policy(max_stretch=9))
    relay = RelayWord(driver)
    for n in range(EACH_TICK + 50):
        session = driver.session(sport=n + 1, key=(n + 1).to_bytes(8, "big"))
        assert session.mcp == relay.mcp
        relay.has(session)
    relay.tell()
    for generation in (2, 3):  # and a relay that goes on restarting makes it no more
        RelayWord(driver, generation=generation).tell()
    aborting = driver.engine.sessions.aborted
    driver.later(0.05)
    assert len(aborting) <= EACH_TICK
    driver.later(0.05)
    driver.later(0.05)
    assert len(aborting) == EACH_TICK + 50 == driver.counters.session_reports[SessionReport.CUT_OFF]


@pytest.mark.parametrize("generation", [1, 2])
def test_batches_of_all_runs_before_are_refused(generation: int) -> None:
    lab, session, _ = living()
    host = lab.host()
    for later in (2, 3):
        fresh = relay_of(lab, session, generation=later)
        fresh.begin(session.token, 40000)
        fresh.tell()
    lab.give(McpSessions(session.mcp, f"{generation:016x}", 1, 1, True, ()))
    lab.pass_by(0.5)
    assert host.lives and not host.heard and session.state is SessionState.ESTABLISHED


def test_a_late_batch_of_a_run_that_was_never_heard_shuts_the_present_run_out_for_a_moment_only() -> None:
    """Its MCP restarts again and again, and the only request of one run hung."""
    driver = Driver()
    RelayWord(driver).tell()
    fresh = RelayWord(driver, generation=3)
    fresh.tell()
    taken = driver.engine.sessions.reports.taken
    driver.give(McpSessions(fresh.mcp, f"{2:016x}", 1, 1, True, ()))
    fresh.later(1.0)
    assert taken(fresh.mcp) == (f"{2:016x}", 1) and fresh.refused
    fresh.later(SILENT + 1.0)
    known = taken(fresh.mcp)
    assert known is not None and known[0] == fresh.ledger.generation
    refused = fresh.refused
    fresh.later(3.0)
    assert fresh.refused == refused


def test_an_mcp_that_tells_its_set_again_and_again_keeps_nobody_from_being_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steering.core.sessions.mcp_reports.CHECKED_EACH_TICK", 3)
    driver = Driver(policy=Policy(max_stretch=9))
    relay, other = RelayWord(driver), RelayWord(driver, "edge")
    for n in range(12):
        relay.has(driver.session(sport=n + 1, key=(n + 1).to_bytes(8, "big")))
    relay.tell()
    other.tell()
    for _ in range(12):
        driver.later(0.05)
    for step in range(12):
        driver.later(0.05)
        other.ledger.start_over()
        other.tell()
        if step == 2:  # half of the sessions were looked up for the other MCP's set
            RelayWord(driver, generation=2).tell()
    assert other.refused == 0 and count(driver, SessionReport.CUT_OFF) == 12


def test_a_session_with_a_new_owner_of_its_ports_is_not_taken_for_the_old_one() -> None:
    driver = Driver()
    relay = RelayWord(driver)
    old = driver.session()
    number = relay.has(old)
    relay.tell()
    fins(driver, old)
    relay.end(number)
    relay.tell()
    relay.later(1.0)
    assert old.id not in driver.table.by_id
    fresh = driver.session(key=bytes(8))
    assert fresh is not old and fresh.first == old.first
    RelayWord(driver, generation=2).tell()
    driver.later(0.1)
    assert not driver.engine.sessions.aborted.report(fresh.id)
