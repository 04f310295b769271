"""What changed of sessions is written down while somebody wants to know: what each was before, and no more than that."""

from steering.core.inputs import WatchSessions
from steering.core.sessions import change_journal
from steering.core.sessions.change_journal import SessionMark
from steering.core.sessions.transitions import Event
from steering.core.snapshots.view import EngineView
from steering.model.session import SessionState
from steering.model.session_change import ChangedSessions, SessionChange
from tests.support.sites import UE_LTE, UE_WLAN, Driver, capable, join


def changes(driver: Driver, most: int = 500) -> ChangedSessions:
    driver.give(WatchSessions(True))
    return EngineView(driver.engine, lambda: driver.now, "0.1.0").changed_sessions(most)


def test_nothing_is_written_down_for_nobody() -> None:
    driver = Driver()
    driver.session()
    assert driver.table.journal is None and EngineView(driver.engine, lambda: 0.0, "").changed_sessions(
        9
    ) == ((), 0)
    driver.give(WatchSessions(True))
    driver.give(WatchSessions(False))
    assert driver.table.journal is None


def test_each_period_tells_what_was_and_what_is() -> None:
    driver = Driver()
    driver.give(WatchSessions(True))
    session = driver.session()
    state, name = session.state.value, str(session.id)
    assert changes(driver).changes == (SessionChange(name, None, (state, 1)),)
    assert changes(driver).changes == ()
    driver.syn(2, 1, join(UE_WLAN, 40_001))
    driver.syn(2, 1, join(UE_WLAN, 40_002))
    assert changes(driver).changes == (SessionChange(name, (state, 1), (session.state.value, 3)),)
    driver.life.happened(session, Event.OVER)
    assert changes(driver).changes == (SessionChange(name, (session.state.value, 3), None),)
    assert changes(driver) == ((), 0)


def test_of_more_than_the_bound_only_the_number_is_kept(monkeypatch) -> None:
    monkeypatch.setattr(change_journal, "MOST", 2)
    driver = Driver()
    driver.give(WatchSessions(True))
    for port in range(40_000, 40_004):
        driver.syn(1, 1, capable(UE_LTE, port))
    first = changes(driver, most=1)
    assert [one.id for one in first.changes] == ["1"] and first.omitted >= 3
    assert driver.table.journal is not None and len(driver.table.journal.last.before) == 2


def test_a_state_is_written_down_before_it_changes() -> None:
    driver = Driver()
    driver.syn(1, 1, capable(UE_LTE, 40_000))
    (session,) = driver.table
    driver.give(WatchSessions(True))
    before = SessionMark(session.state, 1)
    driver.life.happened(session, Event.NO_KEY)
    assert driver.table.journal is not None
    driver.table.journal.turn()
    assert driver.table.journal.last.before == {session.id: before} and before.state is not session.state
    assert before.state is SessionState.SYN_PINNED
