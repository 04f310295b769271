"""A sweep asks for a share of the entries at a time, and for no more than switches answer."""

from steering.core.counter_sweep import EACH_TICK, ENTRIES, PATIENCE, RESTS
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

    def answer(self, asked: SweepEntries, held: int = 0, took: float = 0.0) -> list[SweepEntries]:
        """`held` entries of no session, in two pieces, after `took` seconds. Returns what is asked next."""
        entry = next(iter(self.session_entries))
        found = [ObservedEntry(entry, 1)] * held
        whole = asked.shares == 1
        began, self.now = self.now, self.now + took
        more = self.give(SweepRead(asked.dpid, found[::2], False, whole, began))
        assert not more, "nothing is asked before an answer is over"
        more = self.give(SweepRead(asked.dpid, found[1::2], True, whole, began))
        return [one for one in more if isinstance(one, SweepEntries)]

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
        more = [next_one for one in asked for next_one in driver.answer(one, held // one.shares)]
        asked = more or driver.asked()
    return found


def test_a_switch_with_many_entries_is_asked_for_shares_and_each_entry_is_in_one() -> None:
    driver = Swept()
    driver.session()
    first = a_round(driver, 5 * ENTRIES)
    assert {one.dpid for one in first} == driver.engine.map.switches
    assert {(one.share, one.shares) for one in first} == {(0, 1)}
    second = a_round(driver, 5 * ENTRIES)
    for dpid in driver.engine.map.switches:
        asked = sorted((one.share, one.shares) for one in second if one.dpid == dpid)
        assert asked == [(n, 8) for n in range(8)]
    assert {one.shares for one in a_round(driver, 10)} == {8} and {
        one.shares for one in a_round(driver, 10)
    } == {1}


def test_a_share_is_asked_for_when_the_one_before_was_read_and_a_tick_has_a_bound() -> None:
    driver = Swept()
    driver.session()
    a_round(driver, 32 * ENTRIES)
    asked, rounds = driver.asked(SWEEP), 0
    while asked:
        (one,) = asked  # never two at a time, of whatever switches
        assert one.shares == 32
        rounds += 1
        asked = driver.answer(one, ENTRIES)
    assert rounds == EACH_TICK // ENTRIES
    assert driver.asked()


def test_switches_that_hold_few_entries_are_asked_together() -> None:
    driver = Swept()
    driver.session()
    assert len(driver.asked(SWEEP)) == len(driver.engine.map.switches) > 1


def test_a_switch_that_holds_more_than_was_thought_is_asked_for_smaller_shares_at_once() -> None:
    driver = Swept()
    driver.session()
    a_round(driver, 2 * ENTRIES)
    asked = driver.asked(SWEEP)
    seen: dict[int, list[SweepEntries]] = {}
    while asked:
        for one in asked:
            seen.setdefault(one.dpid, []).append(one)
        more = [another for one in asked for another in driver.answer(one, 16 * ENTRIES // one.shares)]
        asked = more or driver.asked()
    for parts in seen.values():
        assert parts[0].shares == 2 and {one.shares for one in parts[1:]} == {16}
        tokens = [token for one in parts for token in range(one.share, 16, one.shares)]
        assert sorted(tokens) == list(range(16)), "each entry is asked about once"


def test_a_switch_rests_seven_times_as_long_as_it_took_to_answer() -> None:
    driver = Swept()
    driver.session()
    a_round(driver, 8 * ENTRIES)
    (slow,) = driver.asked(SWEEP)
    driver.answer(slow, ENTRIES, took=1.0)
    ends = driver.now + RESTS
    seen: list[int] = []
    while driver.now < ends - 0.1:
        for one in driver.asked():
            seen.append(one.dpid)
            driver.answer(one, ENTRIES)
    assert seen and slow.dpid not in seen
    assert slow.dpid in {one.dpid for one in driver.asked(0.2)}


def test_a_switch_that_does_not_answer_is_asked_once_and_delays_no_other() -> None:
    driver = Swept()
    driver.session()
    a_round(driver, 8 * ENTRIES)
    silent, *others = sorted(driver.engine.map.switches)
    seen: dict[int, int] = dict.fromkeys((silent, *others), 0)
    asked, ticks = driver.asked(SWEEP), 0
    while ticks * 0.05 < PATIENCE - 1:
        for one in asked:
            seen[one.dpid] += 1
        more = [next_one for one in asked if one.dpid != silent for next_one in driver.answer(one)]
        if not more:
            more, ticks = driver.asked(), ticks + 1
        asked = more
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
