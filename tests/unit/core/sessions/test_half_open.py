"""SYNs that MCPs answer and nobody acknowledges fill nothing; hosts that are slow are not hurt."""

from collections import deque
from collections.abc import Callable

import pytest

from steering.core.inputs import Continue, McpSessions, ObservedEntry, SessionBegan, SwitchDown, Tick
from steering.core.outputs import GoOn, ReadCounters
from steering.core.sessions import half_open
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.half_open import (
    ENDED_AT_ONCE,
    LAST,
    LOOKED_AT_ONCE,
    LOOKS,
    NOTED_AT_ONCE,
    READ_AT_ONCE,
    READ_EACH_TICK,
)
from steering.core.sessions.syn_outcomes import JUDGED_AT_ONCE
from steering.core.sessions.transitions import Beginning
from steering.model.mechanism import Mechanism
from steering.model.network import PortRef, PortRole
from steering.model.numbers import stable_id
from steering.model.policy import Limits, Policy
from steering.model.session import EntryKind, Refusal, SessionState
from tests.support.half_open import ACK, NOTHING, PLAIN_ACK, RESET, Counted, passes
from tests.support.sites import (
    SERVER,
    UE_LTE,
    UE_WLAN,
    Driver,
    answer,
    capable,
    join,
    mcp,
    off_path_site,
    packed,
)
from tests.support.syn_flood import CAPACITY, FloodedDriver, Opened, Sources, many_sources, one_source

PATIENCE = Policy().timers.half_open
V6 = "fd00:1::2", "fd00:9::2"
KINDS = pytest.mark.parametrize("sources", [one_source, many_sources], ids=["one source", "a whole prefix"])
FAMILIES = pytest.mark.parametrize("family", [4, 6])


def lives(driver: FloodedDriver, one: Opened) -> bool:
    flows = driver.table.flows
    return all(flow in flows and flows[flow].session.state is SessionState.ESTABLISHED for flow in one.flows)


def shares(got: dict[str, Opened]) -> str:
    return ", ".join(f"{100 * one.share:.0f} % of {kind} access's sessions" for kind, one in got.items())


@pytest.mark.row("N-7.2c", "N-7.2b")
@FAMILIES
@KINDS
def test_a_flood_that_nobody_acknowledges_takes_no_room_and_leaves_nothing(
    sources: Callable[[int], Sources], family: int, record_property: Callable[[str, object], None]
) -> None:
    driver = FloodedDriver(family)
    got = driver.flooded(sources(family))
    record_property("felt", f"IPv{family}: {shares(got)}")
    assert got["other"].share == 1.0 and min(got["same"].share, got["slow"].share) >= 0.9, got
    driver.passes(15)
    table, honest = driver.table, sum(len(one.flows) for one in got.values())
    assert all(lives(driver, one) for one in got.values())
    assert len(table) == len(table.flows) == sum(table.active.values()) == honest
    wanted = {e[:7]: e for session in table for e in session.entries(3)}
    assert driver.held == wanted and len(wanted) == 2 * honest
    assert not (table.half_open or table.half_open_at or table.half_open_from or table.uncounted)
    assert not driver.counters.session_events_refused and driver.most <= CAPACITY / 2 + 100
    assert sum(count for kind, _, count in table.ledger if kind == "mcp") == honest


@FAMILIES
@KINDS
def test_without_the_mechanism_it_takes_all_room_and_stays(
    sources: Callable[[int], Sources], family: int, record_property: Callable[[str, object], None]
) -> None:
    driver = FloodedDriver(family, (Mechanism.THIRD_ACK,))
    got = driver.flooded(sources(family))
    record_property("felt", f"IPv{family}, where an answer is enough: {shares(got)}")
    driver.passes(15)
    if sources is many_sources:
        assert got["other"].share < 0.9 and driver.counters.refusals[Refusal.NO_MCP] > 0
        assert sum(driver.table.active.values()) == 2 * CAPACITY
    else:
        honest = sum(len(one.flows) for one in got.values())
        assert sum(driver.table.active.values()) > honest, "the quota of one source alone holds it back"


def opened(driver: Driver, src: str, dst: str, sport: int = 40_000, key: bytes = b"12345678"):
    """A SYN and its answer."""
    opening = capable(src, sport, dst)
    driver.syn(1, 1, opening)
    session = list(driver.table)[-1]
    place = driver.engine.map.inside[session.mcp].port
    driver.syn_ack(place.dpid, place.port, answer(opening, key))
    return session


@pytest.mark.parametrize(
    "key, counted, after",
    [
        (b"12345678", ACK, SessionState.ESTABLISHED),
        (b"12345678", Counted(2, 54 + 86), SessionState.ESTABLISHED),  # a stray reset, and then its ACK
        (b"", PLAIN_ACK, SessionState.PLAIN),
        (b"12345678", NOTHING, None),
        (b"12345678", RESET, None),
        (b"12345678", Counted(3, 3 * 60), None),  # padded to Ethernet's least
        (b"", RESET, None),
    ],
)
def test_what_its_entry_counted_says_what_becomes_of_an_answered_session(
    key: bytes, counted: Counted, after: SessionState | None
) -> None:
    driver = Driver()
    session = opened(driver, UE_LTE, "10.9.0.2", key=key)
    assert session.state is SessionState.ANSWERED and session.id in driver.table.half_open
    passes(driver, PATIENCE, counted)
    if after is None:
        assert not len(driver.table)
    else:
        assert session.state is after and not driver.table.half_open


@pytest.mark.parametrize("counted, lives_on", [(Counted(1, 74), False), (Counted(1, 106), True)])
def test_a_reset_of_ipv6_is_longer(counted: Counted, lives_on: bool) -> None:
    driver = Driver()
    opened(driver, *V6)
    passes(driver, PATIENCE, counted)
    assert bool(len(driver.table)) is lives_on


def test_an_answered_session_whose_switch_tells_nothing_is_kept_and_asked_again() -> None:
    driver = Driver()
    session = opened(driver, UE_LTE, "10.9.0.2")
    asked = 0
    for _ in range(300):
        asked += sum(isinstance(output, ReadCounters) for output in driver.later(0.1))
    assert session.id in driver.table.by_id and asked >= 4
    assert driver.table.active[session.mcp] == 0, "meanwhile it is no load"
    passes(driver, PATIENCE, ACK)
    assert session.state is SessionState.ESTABLISHED and driver.table.active[session.mcp] == 1


def test_one_that_is_looked_at_late_ends_all_the_same() -> None:
    driver = Driver()
    opened(driver, UE_LTE, "10.9.0.2")
    driver.later(3 * PATIENCE)  # a flood before it, or a switch that was silent
    passes(driver, PATIENCE, NOTHING)
    assert not len(driver.table) and not driver.table.half_open


@pytest.mark.parametrize("kept, alive", [(False, True), (True, False)])
def test_a_session_whose_switch_rebooted_is_not_judged_by_what_its_new_entry_counts(
    kept: bool, alive: bool
) -> None:
    """A host may have been heard before the reboot, and be silent since. Where the entry is still there, so is its count."""
    driver = Driver()
    session = opened(driver, UE_LTE, "10.9.0.2")
    driver.later(0.5)
    held = [
        ObservedEntry(entry, 0, 0) for role in PortRole for entry in session.entries(role) if entry.dpid == 1
    ]
    driver.give(SwitchDown(1))
    driver.up(1, list({one.entry: one for one in held}.values()) if kept else [])
    passes(driver, PATIENCE, NOTHING)
    assert (session.id in driver.table.by_id) is alive


def test_one_question_is_enough_where_the_host_goes_on() -> None:
    driver = Driver()
    opened(driver, UE_LTE, "10.9.0.2")
    assert len(passes(driver, 2 * PATIENCE, ACK)) == 1


def test_a_join_needs_no_question() -> None:
    driver = Driver()
    session = opened(driver, UE_LTE, "10.9.0.2")
    token_ = session.token.to_bytes(4, "big")
    (steer,) = driver.syn(2, 1, join(UE_WLAN, 40_001, token_))
    assert session.state is SessionState.ESTABLISHED and len(steer.entries) == 1
    assert passes(driver, PATIENCE, NOTHING) == []


def test_a_burst_of_a_thousand_spreads_as_ever_and_fills_no_mcp_beyond_its_capacity() -> None:
    driver = FloodedDriver(4)
    for number in range(1_000):
        opened(driver, f"10.1.{number // 250}.{number % 250 + 1}", "10.9.0.2", key=number.to_bytes(8, "big"))
    loads = [driver.table.active[one.id] for one in driver.site.mcps]
    believing = FloodedDriver(4, (Mechanism.THIRD_ACK,))
    for number in range(1_000):
        opened(
            believing, f"10.1.{number // 250}.{number % 250 + 1}", "10.9.0.2", key=number.to_bytes(8, "big")
        )
    assert loads == [believing.table.active[one.id] for one in believing.site.mcps] and sum(loads) == 1_000


def test_half_open_ones_of_one_access_leave_another_what_is_free() -> None:
    driver = FloodedDriver(4, half_open=5 * CAPACITY)
    for number in range(2 * CAPACITY + 10):
        driver.syn(1, 1, capable(f"10.1.{number // 250}.{number % 250 + 1}", 2_000, seq=number))
    assert driver.counters.refusals[Refusal.NO_MCP] == 10, "they are young, and count where they came from"
    assert driver.opens(2, capable("10.2.0.9", 1), b"12345678") is not None
    assert driver.opens(1, capable("10.1.99.9", 1), b"12345678") is None


def test_a_source_has_a_bound_of_its_own() -> None:
    driver = Driver(policy=Policy(limits=Limits(half_open_per_source=8)))
    for sport in range(12):
        driver.syn(1, 1, capable(UE_LTE, 2_000 + sport))
        driver.syn(1, 1, capable("fd00:1::2", 2_000 + sport, "fd00:9::2"))
    assert len(driver.table.half_open) == 16
    assert driver.counters.refusals[Refusal.HALF_OPEN_SOURCE] == 8
    driver.syn(1, 1, capable("10.1.0.3", 2_000))
    assert len(driver.table.half_open) == 17


@pytest.mark.row("N-7.2c")
def test_a_great_flood_is_asked_about_once_and_gone_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """At three questions each, 300,000 took a minute and a half."""
    monkeypatch.setattr(half_open, "MANY", 3_000)
    monkeypatch.setattr(half_open, "FEW", 300)
    mcps = (mcp("core", PortRef(3, 1), "10.8.0.2", "fd00:8::2", capacity=10**6),)
    bounds = Limits(half_open=10**6, half_open_per_source=10**6, sessions=10**6)
    driver = Driver(off_path_site(mcps=mcps), Policy(limits=bounds))
    count = 3 * READ_EACH_TICK
    for number in range(count):
        driver.syn(1, 1, capable(UE_LTE, 2_000 + number))
    asked = passes(driver, LOOKS[1] * PATIENCE + 0.3, NOTHING, step=0.05)
    assert len(asked) == count and not len(driver.table)


@pytest.mark.parametrize("reports", [True, False])
@pytest.mark.row("N-5.2.1c")
def test_of_a_session_without_an_entry_its_mcp_tells(reports: bool) -> None:
    driver, core = Driver(), stable_id("core")
    if reports:
        whole = McpSessions(core, "a", 1, 1, True, ())
        driver.give(whole)
    opening = capable(UE_LTE, 40_000, "10.8.0.2")
    driver.syn(1, 1, opening)
    driver.syn_ack(3, 1, answer(opening))
    (session,) = driver.table
    assert (session.id in driver.table.half_open) is reports
    for number in range(round(PATIENCE / 0.5)):
        driver.later(0.5)
        if reports:
            driver.give(McpSessions(core, "a", number + 2, 0, True, ()))
    assert len(driver.table) == (0 if reports else 1)


@pytest.mark.row("N-5.2.1c")
def test_a_session_without_an_entry_is_established_by_its_mcps_report() -> None:
    driver, core = Driver(), stable_id("core")
    driver.give(McpSessions(core, "a", 1, 1, True, ()))
    opening = capable(UE_LTE, 40_000, "10.8.0.2")
    driver.syn(1, 1, opening)
    driver.syn_ack(3, 1, answer(opening))
    (session,) = driver.table
    assert session.state is SessionState.ANSWERED
    began = SessionBegan(1, session.token, packed(UE_LTE), 40_000, packed("10.8.0.2"), 5201)
    driver.give(McpSessions(core, "a", 2, 0, True, (began,)))
    assert session.state is SessionState.ESTABLISHED and driver.table.active[core] == 1


def test_many_are_asked_about_and_ended_in_portions() -> None:
    driver = Driver(policy=Policy(limits=Limits(half_open=100_000, half_open_per_source=100_000)))
    count = 2 * READ_EACH_TICK + READ_AT_ONCE
    for sport in range(count):
        driver.syn(1, 1, capable(UE_LTE, 2_000 + sport))
    driver.now += PATIENCE * LOOKS[0]
    asked = []
    for _ in range(4):
        outputs = driver.engine.handle(Tick(), driver.now)
        slices = [outputs]
        while any(isinstance(output, GoOn) for output in outputs):
            slices.append(outputs := driver.engine.handle(Continue(), driver.now))
        read = [sum(len(o.entries) for o in outputs if isinstance(o, ReadCounters)) for outputs in slices]
        assert max(read) <= READ_AT_ONCE, "a SYN waits for one slice at most"
        asked.append(sum(read))
    assert asked == [READ_EACH_TICK, READ_EACH_TICK, READ_AT_ONCE, 0]
    driver.now += PATIENCE
    ended: list[int] = []
    went_on = False
    while len(driver.table) and len(ended) < 100:
        before = len(driver.table)
        outputs = driver.engine.handle(Continue() if went_on else Tick(), driver.now)
        ended.append(before - len(driver.table))
        assert sum(len(o.entries) for o in outputs if isinstance(o, ReadCounters)) <= READ_EACH_TICK
        went_on = any(isinstance(output, GoOn) for output in outputs)
    assert not len(driver.table) and max(ended) == ENDED_AT_ONCE and sum(map(bool, ended)) > 3


class Popped(deque[tuple[float, int]]):
    """Counts what is taken out."""

    popped = 0

    def popleft(self) -> tuple[float, int]:
        self.popped += 1
        return super().popleft()


def test_of_what_began_and_ends_at_once_each_call_takes_a_part() -> None:
    """As after a restart, when a switch tells of a flood. That switch does not answer what it is asked."""
    count = 4 * NOTED_AT_ONCE
    driver = Driver(policy=Policy(limits=Limits(half_open=count, half_open_per_source=count)))
    core, part = driver.engine.map.mcps[stable_id("core")], driver.engine.sessions.half_open
    last = Popped()
    part._waiting = (*part._waiting[:LAST], last)
    inside = driver.engine.map.inside[core.id].id
    for number in range(count):
        first = flow_key(packed(UE_LTE), packed(SERVER), 1_024 + number, 5201)
        session = driver.life.begin(Beginning.FOUND_PENDING, core.id, None, driver.now, first=first)
        driver.table.begin_subflow(session, EntryKind.INITIAL, first, 1, PortRole.ACCESS, inside, -1, 0.0)
    outcomes, went_on = driver.engine.sessions.sick._outcomes, False
    noted: list[int] = []
    judged: list[int] = []
    over: list[int] = []
    ended: list[int] = []
    while len(driver.table) and len(noted) < 2_000:
        before = (part._known, outcomes._looked_at, last.popped, len(driver.table))
        outputs = driver.engine.handle(Continue() if went_on else Tick(), driver.now)
        noted.append(part._known - before[0])
        judged.append(outcomes._looked_at - before[1])
        over.append(last.popped - before[2])
        ended.append(before[3] - len(driver.table))
        went_on = any(isinstance(output, GoOn) for output in outputs)
        if not went_on:
            # All are due at once when their time has come.
            driver.now += PATIENCE if len(last) == count else 0.1
            driver.mcps_answer()
    assert sum(noted) == sum(judged) == sum(over) == sum(ended) == count
    assert max(noted) == NOTED_AT_ONCE and max(judged) == JUDGED_AT_ONCE
    assert max(over) == LOOKED_AT_ONCE and max(ended) == ENDED_AT_ONCE
