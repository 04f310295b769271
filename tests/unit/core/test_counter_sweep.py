"""A sweep asks for a share of the entries at a time, and for no more than switches answer."""

from steering.core.counter_sweep import ENTRIES, PATIENCE
from steering.core.inputs import ObservedEntry, SweepRead
from steering.core.outputs import SweepEntries
from steering.model.network import PortRole
from steering.model.policy import Policy, Timers
from tests.support.sites import Driver

SWEEP = 60.0


class Swept(Driver):
    """Ticks until the next round begins, and answers."""

    def __init__(self) -> None:
        super().__init__(policy=Policy(timers=Timers(sweep=SWEEP)))
        self.later(0.05)

    def asked(self, seconds: float = 0.05) -> list[SweepEntries]:
        return [one for one in self.later(seconds) if isinstance(one, SweepEntries)]

    def answer(self, asked: SweepEntries, held: int = 0) -> None:
        """`held` entries of no session, in two pieces."""
        entry = next(iter(self.session_entries))
        found = [ObservedEntry(entry, 1)] * held
        whole = asked.shares == 1
        self.give(SweepRead(asked.dpid, found[::2], False, whole, self.now))
        self.give(SweepRead(asked.dpid, found[1::2], True, whole, self.now))

    @property
    def session_entries(self):
        (session,) = self.table
        return session.entries(PortRole.GATEWAY)


def a_round(driver: Swept, held: int) -> list[SweepEntries]:
    """All questions of one round; each switch says that it holds so many entries in each share."""
    found: list[SweepEntries] = []
    asked = driver.asked(SWEEP)
    while asked:
        found += asked
        for one in asked:
            driver.answer(one, held // one.shares)
        asked = driver.asked()
    return found


def test_a_switch_with_many_entries_is_asked_for_shares_and_each_entry_is_in_one() -> None:
    driver = Swept()
    driver.session()
    first = a_round(driver, 5 * ENTRIES)
    assert {one.dpid for one in first} == driver.engine.map.switches
    assert {(one.share, one.shares) for one in first} == {(0, 1)}
    second = a_round(driver, 5 * ENTRIES)
    for dpid in driver.engine.map.switches:
        assert [(one.share, one.shares) for one in second if one.dpid == dpid] == [(n, 8) for n in range(8)]
    assert {one.shares for one in a_round(driver, 10)} == {8} and {
        one.shares for one in a_round(driver, 10)
    } == {1}


def test_no_more_entries_than_one_share_has_are_asked_for_in_a_tick() -> None:
    driver = Swept()
    driver.session()
    a_round(driver, 5 * ENTRIES)
    asked = driver.asked(SWEEP)
    assert sum(5 * ENTRIES // one.shares for one in asked) < 2 * ENTRIES and len(asked) >= 1


def test_a_switch_that_does_not_answer_is_asked_once_and_delays_no_other() -> None:
    driver = Swept()
    driver.session()
    a_round(driver, 5 * ENTRIES)
    silent, *others = sorted(driver.engine.map.switches)
    seen: dict[int, int] = dict.fromkeys((silent, *others), 0)
    asked, ticks = driver.asked(SWEEP), 0
    while ticks * 0.05 < PATIENCE - 1:
        for one in asked:
            seen[one.dpid] += 1
            if one.dpid != silent:
                driver.answer(one)
        asked, ticks = driver.asked(), ticks + 1
    assert seen == {silent: 1, **dict.fromkeys(others, 8)}
    assert [one.dpid for one in driver.asked(PATIENCE)] == [silent], (
        "its other shares come when it had its time"
    )


def test_the_end_of_a_share_says_nothing_of_all_entries() -> None:
    driver = Swept()
    session = driver.session()
    heard: list[float] = []
    driver.engine.sessions.reports.counted = lambda dpid, asked_at: heard.append(asked_at)  # type: ignore[method-assign]
    driver.give(SweepRead(1, [], True, False, 90.0))
    driver.give(SweepRead(1, [ObservedEntry(session.entries(3)[0], 9)], False, True, 91.0))
    assert not heard
    driver.give(SweepRead(1, [], True, True, 91.0))
    assert heard == [91.0]
