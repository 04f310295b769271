"""An MCP that has more sessions than are kept of it: it is asked for its whole set again once all that live fit, and seldom."""

import pytest

from steering.core.counters import ReportRefusal
from steering.model.policy import Limits, Policy
from tests.support.relay_word import RelayWord
from tests.support.sites import Driver


def told(driver: Driver) -> tuple[RelayWord, RelayWord]:
    """The relays of both MCPs, which have told that nothing lives there."""
    core, edge = RelayWord(driver, "core"), RelayWord(driver, "edge")
    core.tell()
    edge.tell()
    return core, edge


@pytest.mark.parametrize("early", [True, False], ids=["reported before its SYN", "never reported"])
def test_what_an_mcp_with_too_many_sessions_does_not_have_ends_once_there_is_room_again(early: bool) -> None:
    """While its set is not whole no session of its own is ended for not being there; that is not for good."""
    driver = Driver(policy=Policy(limits=Limits(sessions=4)))
    relay, _ = told(driver)
    if early:
        relay.end(relay.begin(None, 40_000), "reset")
    others = [
        relay.begin(token, 1_000 + token) for token in range(1, 6)
    ]  # explicit mode, say: not known here
    relay.tell()
    refused = driver.counters.session_reports_refused
    assert refused == {("core", ReportRefusal.FULL): 1} and not relay.refused
    session = driver.session(key=b"") if early else driver.session()
    relay.end(others[0])
    relay.later(15.0)
    assert session.id in driver.table.by_id, "four live, one of them is not known here"
    assert refused[("core", ReportRefusal.FULL)] == 1 and not relay.refused, "nothing else would fit now"
    relay.end(others[4])
    relay.tell()
    relay.later(1.5)
    assert relay.refused == 1 and refused[("core", ReportRefusal.INCOMPLETE)] == 1
    assert session.id not in driver.table.by_id
    relay.later(5.0)
    assert relay.refused == 1


def test_a_set_that_does_not_fit_again_is_not_asked_for_again_and_again() -> None:
    driver = Driver(policy=Policy(limits=Limits(sessions=3)))
    relay, _ = told(driver)
    others = [relay.begin(token, 1_000 + token) for token in range(1, 7)]
    relay.later(3.0)
    relay.ledger.start_over()  # the relay tells its set once more by itself, which is no larger
    relay.later(3.0)
    assert not relay.refused
    for number in others[3:]:  # three that were left out
        relay.end(number)
    relay.later(3.0)
    assert not relay.refused, "three live, and as many may"
    relay.end(others[0])
    relay.later(3.0)
    assert relay.refused == 1
    for token in range(7, 11):
        relay.begin(token, 1_000 + token)
    relay.later(3.0)
    assert relay.refused == 1 and driver.counters.session_reports_refused["core", ReportRefusal.FULL] == 9


def test_sessions_that_swing_around_the_bound_do_not_have_the_set_told_at_each_swing() -> None:
    """It is asked for when a sixteenth is free: of 32 two."""
    driver = Driver(policy=Policy(limits=Limits(sessions=32)))
    relay, _ = told(driver)
    live = [relay.begin(token, 1_000 + token) for token in range(1, 34)]
    relay.later(3.0)
    assert driver.counters.session_reports_refused == {("core", ReportRefusal.FULL): 1}
    for token in range(34, 44):  # 31 and 33, in turn
        relay.end(live.pop())
        relay.end(live.pop())
        relay.later(1.0)
        live += [relay.begin(token, 1_000 + token), relay.begin(token + 100, 2_000 + token)]
        relay.later(1.0)
    assert not relay.refused
    for _ in range(3):
        relay.end(live.pop())
    relay.later(2.0)
    assert relay.refused == 1 and len(live) == 30


@pytest.mark.parametrize("remembered", [65_536, 1])
def test_the_ends_of_what_was_never_left_out_make_no_room(
    remembered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`remembered`: with one id, the second of two that were left out is only counted."""
    monkeypatch.setattr("steering.core.sessions.mcp_ledger.LEFT_OUT", remembered)
    driver = Driver(policy=Policy(limits=Limits(sessions=4)))
    core, edge = told(driver)
    session = driver.session()
    relay = edge if session.mcp == core.mcp else core
    live = [relay.begin(token, 1_000 + token) for token in range(1, 7)]  # two are left out
    relay.later(1.0)
    if remembered > 1:
        for _ in range(2):
            foreign = relay.begin(session.token, 12_345)
            relay.later(1.0)
            relay.end(foreign)
            relay.later(1.0)
    relay.end(live[0])
    relay.later(2.0)
    assert not relay.refused, "five live, and four may"
    relay.end(live[4])
    relay.end(live[5])
    relay.later(2.0)
    assert relay.refused == 1
