"""A sweep asks for a share of the entries at a time, and for no more than switches answer."""

from collections import deque
from collections.abc import Collection

import pytest

from steering.core.counter_sweep import EACH_TICK, ENTRIES, MOST_SHARES, PATIENCE, RESTS
from steering.core.inputs import ObservedEntry, SweepRead, SwitchDown
from steering.core.outputs import SweepEntries
from steering.core.sessions.teardown import Teardown
from steering.model.ids import DatapathId
from steering.model.network import PortRole
from steering.model.policy import Policy, Timers
from tests.support.sites import Driver

SWEEP = 60.0


class Swept(Driver):
    """Ticks until the next round begins, and answers."""

    def __init__(self, sweep: float = SWEEP) -> None:
        super().__init__(policy=Policy(timers=Timers(sweep=sweep)))
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


def whole(driver: Swept) -> set[DatapathId]:
    """The switches of which the last round has read all entries."""
    (session,) = driver.table
    (subflow,) = session.subflows
    found = set()
    for dpid in driver.engine.map.switches:
        subflow.enters_at(dpid, subflow.port, subflow.role)
        if driver.engine.sessions.counted.found_silent(subflow):
            found.add(dpid)
    return found


@pytest.mark.parametrize("held", [10, 5 * ENTRIES])
def test_of_which_switches_a_round_has_read_all_entries(held: int) -> None:
    driver = Swept()
    driver.session()
    everywhere = driver.engine.map.switches
    a_round(driver, held)
    assert not whole(driver), "no round is over"
    a_round(driver, held)
    assert whole(driver) == everywhere
    away, silent = DatapathId(1), DatapathId(3)
    driver.give(SwitchDown(away))
    asked, rounds = driver.asked(SWEEP), 1
    while rounds < 2:  # the round in which one is silent, until the next one begins
        asked = [n for one in asked if one.dpid != silent for n in driver.answer(one)] or driver.asked(1.0)
        rounds += any(one.share == 0 and one.dpid == 2 for one in asked)
    assert whole(driver) == everywhere - {away, silent}


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


def a_round_of(
    driver: Swept, dpid: int, held: int, answers: Collection[int], leaves: bool
) -> list[SweepEntries]:
    """The questions of one round for a switch that answers only some of them, by their number, and leaves when it does not
    answer, or stays silent. The others hold nothing."""
    found: list[SweepEntries] = []
    asked, silent = driver.asked(SWEEP), 0.0
    while asked or silent < 2 * PATIENCE:
        more: list[SweepEntries] = []
        for one in asked:
            found += [one] * (one.dpid == dpid)
            if one.dpid != dpid:
                more += driver.answer(one)
            elif len(found) - 1 in answers:
                more += driver.answer(one, held // one.shares)
            elif leaves:
                driver.give(SwitchDown(dpid))
        asked = more or driver.asked()
        silent = 0.0 if asked else silent + 0.05
    return found


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_a_switch_that_leaves_in_a_round_is_asked_for_small_shares_in_the_next(answers: int) -> None:
    driver, held = Swept(), 100_000
    driver.session()
    dpid = min(driver.engine.map.switches)
    a_round_of(driver, dpid, held, [0], False)
    left = a_round_of(driver, dpid, held, range(answers), True)
    assert [one.shares for one in left] == [1_024] * (answers + 1)
    driver.up(dpid)
    assert a_round_of(driver, dpid, held, (), True)[0].shares == 1_024


def test_a_switch_that_is_away_for_rounds_is_asked_for_small_shares_when_it_is_back() -> None:
    driver, held = Swept(), 100_000
    driver.session()
    dpid = min(driver.engine.map.switches)
    a_round_of(driver, dpid, held, [0], False)
    driver.give(SwitchDown(dpid))
    for _ in range(3):
        assert not a_round_of(driver, dpid, held, (), False)
    driver.up(dpid)
    assert a_round_of(driver, dpid, held, (), True)[0].shares == 1_024


def test_a_switch_that_says_it_holds_ever_more_leaves_others_half_of_a_tick() -> None:
    driver = Swept()
    driver.session()
    liar, *others = sorted(driver.engine.map.switches)
    ticks: list[list[SweepEntries]] = []
    for _ in range(2):
        asked = driver.asked(SWEEP)
        while asked and len(ticks) < 40:
            ticks.append([])
            while asked:
                ticks[-1] += asked
                asked = [
                    more
                    for one in asked
                    for more in driver.answer(
                        one, 2 * EACH_TICK if one.dpid == liar else 64 * ENTRIES // one.shares
                    )
                ]
            asked = driver.asked()
    shared = [any(one.dpid in others for one in tick) for tick in ticks]
    first = next(
        n for n, tick in enumerate(ticks) if (liar, MOST_SHARES) in {(q.dpid, q.shares) for q in tick}
    )
    last = max(n for n, yes in enumerate(shared) if yes)  # then the others have told all
    assert first + 2 < last < len(ticks) - 1 and all(shared[first:last])


@pytest.mark.parametrize("unanswered", [0, 1])
def test_a_share_that_is_not_answered_counts_as_what_was_thought(unanswered: int) -> None:
    driver, held = Swept(), 2 * ENTRIES
    driver.session()
    dpid = min(driver.engine.map.switches)
    a_round_of(driver, dpid, held, [0], False)
    assert len(a_round_of(driver, dpid, held, {0, 1} - {unanswered}, False)) == 2
    assert [one.shares for one in a_round_of(driver, dpid, held, {0, 1}, False)] == [2, 2]


def test_a_switch_that_was_never_there_is_asked_for_as_much_as_sessions_were_made_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Swept()
    driver.session()
    dpid = min(driver.engine.map.switches)
    driver.give(SwitchDown(dpid))
    assert not a_round_of(driver, dpid, 0, (), False)
    grown = property(lambda _: 16 * ENTRIES * len(driver.engine.map.switches))
    monkeypatch.setattr(Teardown, "entries_at_most", grown)
    assert not a_round_of(driver, dpid, 0, (), False)
    driver.up(dpid)
    assert a_round_of(driver, dpid, 0, (), True)[0].shares == 16


def test_a_switch_that_is_silent_for_rounds_is_thought_to_hold_what_it_did() -> None:
    driver, held = Swept(), 4 * ENTRIES
    driver.session()
    dpid = min(driver.engine.map.switches)
    a_round_of(driver, dpid, held, [0], False)
    for _ in range(3):
        assert [one.shares for one in a_round_of(driver, dpid, held, (), False)] == [4] * 4
    assert [one.shares for one in a_round_of(driver, dpid, held, range(4), False)] == [4] * 4
    assert [one.shares for one in a_round_of(driver, dpid, 0, range(4), False)] == [4] * 4
    assert [one.shares for one in a_round_of(driver, dpid, 0, range(4), False)] == [1]


def test_an_answer_that_comes_after_its_round_tells_how_much_there_is_and_counts_once() -> None:
    sweep = PATIENCE / 2
    driver = Swept(sweep)
    driver.session()
    dpid = min(driver.engine.map.switches)

    asked: deque[SweepEntries] = deque()

    def next_question() -> SweepEntries:
        while True:
            asked.extend(() if asked else driver.asked())
            while asked:
                if (one := asked.popleft()).dpid == dpid:
                    return one
                asked.extend(driver.answer(one))

    late = next_question()
    ends = driver.now + sweep + 1.0  # the next round has begun by then
    while driver.now < ends:
        asked.extend(driver.asked())
        while asked:
            one = asked.popleft()
            assert one.dpid != dpid
            asked.extend(driver.answer(one))
    asked.extend(driver.answer(late, 2 * ENTRIES))
    shares = []
    for _ in range(4):
        question = next_question()
        shares.append((question.share, question.shares))
        asked.extend(driver.answer(question, ENTRIES))
    assert shares == [(0, 2), (1, 2), (0, 2), (1, 2)]


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
