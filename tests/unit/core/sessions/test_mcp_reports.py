"""An MCP tells the truth about its sessions: what ended there ends here, what lives stays, and nothing else is believed."""

import pytest

from steering.core.counters import ReportRefusal, SessionReport
from steering.core.inputs import McpAdmin, McpSessions, SessionBegan, SessionOver
from steering.core.sessions import mcp_reports
from steering.core.sessions.abort import WAIT
from steering.core.sessions.mcp_reports import LAST_ACKS
from steering.model.network import PortRole
from steering.model.policy import Limits, Policy, Timers
from steering.model.session import Refusal, SessionState
from tests.support.relay_word import RelayWord, fins, removed
from tests.support.restarted import restarted, snapshot
from tests.support.sites import TOKEN, UE_LTE, UE_WLAN, Driver, answer, capable, join, packed, steered


@pytest.fixture
def driver() -> Driver:
    return Driver()


def told(driver: Driver) -> tuple[RelayWord, RelayWord]:
    """The relays of both MCPs, which have told that nothing lives there."""
    core, edge = RelayWord(driver, "core"), RelayWord(driver, "edge")
    core.tell()
    edge.tell()
    return core, edge


def count(driver: Driver, what: SessionReport) -> int:
    return driver.counters.session_reports[what]


# ---- what ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reset", "dial_failed", "stopped", "refused"])
def test_what_was_cut_off_at_its_mcp_goes_at_once_with_all_entries(driver: Driver, how: str) -> None:
    relay, _ = told(driver)
    session = driver.session()
    driver.syn(2, 1, join(UE_WLAN, 50_001))
    number = relay.has(session)
    relay.tell()
    held = set(session.entries(PortRole.GATEWAY))
    assert len(driver.table) == 1 and len(held) == 3
    relay.end(number, how)
    assert removed(relay.tell()) == held
    assert not len(driver.table) and not any(driver.table.active.values())
    assert count(driver, SessionReport.ENDED) == 1


@pytest.mark.parametrize("key", [bytes.fromhex("1b6ffbbde3984628"), b""], ids=["mptcp", "fallback"])
def test_what_ended_in_order_goes_when_its_fins_were_seen_and_last_segments_had_their_time(
    driver: Driver, key: bytes
) -> None:
    relay, _ = told(driver)
    session = driver.session(key=key)
    number = relay.has(session)
    relay.tell()
    held = set(session.entries(PortRole.GATEWAY))
    fins(driver, session)
    relay.end(number)
    assert not removed(relay.tell()), "its last segments may still be under way"
    assert not removed(relay.later(0.4))
    assert removed(relay.later(0.6 if key else 2.0)) == held and not len(driver.table)


def test_what_ended_in_order_and_whose_fins_nobody_saw_stays_while_its_entries_count_packets(
    driver: Driver,
) -> None:
    relay, _ = told(driver)
    session = driver.session()
    number = relay.has(session)
    relay.tell()
    held = set(session.entries(PortRole.GATEWAY))
    relay.end(number)
    relay.tell()
    assert session.state is SessionState.CLOSING
    assert not removed(relay.later(8.0, moving=True)), "the kernel still delivers what the relay wrote"
    assert removed(relay.later(5.0)) == held and not len(driver.table)
    assert count(driver, SessionReport.LATE) == 1


def test_of_very_many_that_ended_some_go_at_a_time_and_one_without_fins_is_in_nobodys_way(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_reports, "LEFT_EACH_TICK", 5)
    relay, _ = told(driver)
    sessions = [driver.session(sport=n + 1, key=n.to_bytes(8, "big")) for n in range(12)]
    numbers = [relay.has(session) for session in sessions]
    relay.tell()
    for session in sessions[1:]:
        fins(driver, session)
    for number in numbers:
        relay.end(number)
    relay.tell()
    driver.now += LAST_ACKS
    left = []
    for _ in range(4):
        driver.later(0.05)
        left.append(len(driver.table))
    assert left == [8, 3, 1, 1] and list(driver.table) == sessions[:1]


def test_what_lives_stays_however_long_it_is_silent(driver: Driver) -> None:
    relay, _ = told(driver)
    session = driver.session()
    relay.has(session)
    assert not removed(relay.later(60.0))
    assert session.state is SessionState.ESTABLISHED and session.id in driver.table.by_id


def test_what_lives_at_its_mcp_outlasts_the_idle_limit_and_without_the_mcps_word_it_does_not() -> None:
    policy = Policy(timers=Timers(idle=100.0, sweep=10.0))
    for speaks in (True, False):
        driver = Driver(policy=policy)
        relay, _ = told(driver)
        session = driver.session()
        relay.has(session)
        relay.tell()
        for _ in range(130):
            driver.later(1.0)
            if speaks:
                relay.tell()
        assert session.state is (SessionState.ESTABLISHED if speaks else SessionState.IDLE)


def test_what_an_mcp_never_told_of_ends_with_the_patience_for_half_open_ones(driver: Driver) -> None:
    relay, _ = told(driver)
    session = driver.session()  # its third ACK never comes
    held = set(session.entries(PortRole.GATEWAY))
    assert not removed(relay.later(9.0))
    assert removed(relay.later(3.0)) == held, "with the first batch from then on, as one comes each second"
    assert count(driver, SessionReport.ABSENT) == 1


def test_a_session_to_an_mcps_own_address_that_it_does_not_report_has_no_record_for_long(
    driver: Driver,
) -> None:
    """It may be another program's there. What it sends needs no entry, and goes on."""
    relay, _ = told(driver)
    opening = capable(UE_LTE, 40_000, dst="10.8.0.2")
    driver.syn(1, 1, opening)
    driver.syn_ack(3, 1, answer(opening))
    assert driver.table.states[SessionState.ANSWERED] == 1
    assert not removed(relay.later(20.0)) and not len(driver.table)


def test_of_an_mcp_that_is_silent_or_never_told_a_whole_set_nothing_ends(driver: Driver) -> None:
    relay, _ = told(driver)
    session = driver.session()
    for _ in range(20):
        driver.later(1.0)
    assert session.id in driver.table.by_id
    driver.give(McpSessions(relay.mcp, "0" * 16, 1, 1, False, ()))  # the first part of a set, and no more
    for _ in range(20):
        driver.later(1.0)
    assert session.id in driver.table.by_id


def test_a_new_session_on_an_old_ones_ports_is_not_ended_with_it(driver: Driver) -> None:
    relay, _ = told(driver)
    old = driver.session()
    number = relay.has(old)
    relay.tell()
    fins(driver, old)
    opening = capable(UE_LTE, 40_000, seq=77_000)
    driver.syn(1, 1, opening)
    fresh = driver.table.flows[old.first].session
    assert fresh is not old
    relay.end(number, "reset")
    relay.tell()
    assert fresh.id in driver.table.by_id and fresh.state is SessionState.SYN_PINNED


# ---- what was not seen ---------------------------------------------------------------------------


def test_a_session_whose_syn_ack_nobody_saw_is_learnt_from_its_mcp(driver: Driver) -> None:
    relay, _ = told(driver)
    driver.syn(1, 1, capable(UE_LTE, 40_000))
    (session,) = driver.table
    waiting = driver.syn(2, 1, join(UE_WLAN, 50_001))
    assert session.state is SessionState.SYN_PINNED and waiting == []
    relay.begin(int.from_bytes(TOKEN, "big"), 40_000)
    outputs = relay.tell()
    assert session.state is SessionState.ESTABLISHED and len(session.subflows) == 2, (
        "the join that waited too"
    )
    assert any(
        entry.cookie & 0xFFFFFFFF == session.token for out in outputs for entry in getattr(out, "entries", ())
    )
    relay.later(15.0)
    assert session.id in driver.table.by_id and not driver.table.half_open
    assert count(driver, SessionReport.HEALED) == 1
    assert steered(driver.syn(2, 1, join(UE_WLAN, 50_002))).release.waypoint == session.subflows[0].waypoint


def test_a_fallback_whose_syn_ack_nobody_saw_is_learnt_too(driver: Driver) -> None:
    relay, _ = told(driver)
    driver.syn(1, 1, capable(UE_LTE, 40_000))
    (session,) = driver.table
    relay.begin(None, 40_000)
    relay.later(15.0)
    assert session.state is SessionState.PLAIN and driver.counters.fallbacks == 1


# ---- what is not believed ------------------------------------------------------------------------


def test_a_relay_that_tells_of_anothers_session_is_refused_by_its_name(driver: Driver) -> None:
    core, edge = told(driver)
    session = driver.session()
    owner, liar = (core, edge) if session.mcp == core.mcp else (edge, core)
    name = driver.engine.map.mcps[liar.mcp].name
    number = owner.has(session)
    owner.tell()
    by_flow = liar.begin(None, 40_000)
    liar.tell()
    liar.end(by_flow, "reset")
    liar.tell()
    by_token = liar.begin(session.token, 12_345)
    liar.tell()
    liar.end(by_token, "reset")
    liar.tell()
    driver.give(
        McpSessions(
            liar.mcp, liar.ledger.generation, 6, 0, False, (SessionOver(number, session.token, False),)
        )
    )
    assert session.id in driver.table.by_id
    assert driver.counters.session_reports_refused == {(name, ReportRefusal.FOREIGN): 4}


def test_a_lie_of_a_half_open_session_of_another_teaches_nothing(driver: Driver) -> None:
    core, edge = told(driver)
    driver.syn(1, 1, capable(UE_LTE, 40_000))
    (session,) = driver.table
    liar = edge if session.mcp == core.mcp else core
    liar.begin(0x01020304, 40_000)
    liar.tell()
    assert session.state is SessionState.SYN_PINNED and not driver.table.knows_token(0x01020304)


def test_a_token_of_another_mcp_is_not_given_to_ones_own_session(driver: Driver) -> None:
    relays = {relay.mcp: relay for relay in told(driver)}
    victim = driver.session()
    driver.give(McpAdmin(victim.mcp, True))
    driver.syn(1, 1, capable(UE_LTE, 41_000))
    own = list(driver.table)[-1]
    assert own.mcp != victim.mcp
    relays[own.mcp].begin(victim.token, own.flow.source_port)
    relays[own.mcp].tell()
    assert driver.table.with_token(victim.token) == [victim] and own.token == -1


def test_an_id_that_lives_is_not_used_twice_and_sessions_are_bounded() -> None:
    driver = Driver(policy=Policy(limits=Limits(sessions=3)))
    relay, _ = told(driver)
    live = tuple(
        SessionBegan(n, n, packed(UE_LTE), 1_000 + n, packed("10.9.0.2"), 5201) for n in (1, 1, 2, 3, 4)
    )
    driver.give(McpSessions(relay.mcp, "0" * 16, 1, 1, True, live))
    assert driver.counters.session_reports_refused == {
        ("core", ReportRefusal.REPEATED): 1, ("core", ReportRefusal.FULL): 1
    }  # fmt: skip
    session = driver.session()
    for _ in range(15):
        driver.later(1.0)
        driver.give(McpSessions(relay.mcp, "0" * 16, int(driver.now), 0, False, ()))
    assert session.mcp != relay.mcp or session.id in driver.table.by_id, "the set is not whole"


# ---- order, and restarts of either side ----------------------------------------------------------


def test_a_batch_that_comes_twice_is_taken_once_and_one_with_a_gap_is_not(driver: Driver) -> None:
    relay, _ = told(driver)
    taken = driver.engine.sessions.reports.taken
    began = SessionBegan(1, -1, packed(UE_LTE), 40_000, packed("10.9.0.2"), 5201)
    generation = relay.ledger.generation
    batch = McpSessions(relay.mcp, generation, 2, 0, False, (began,))
    for _ in range(2):
        driver.give(batch)
        assert taken(relay.mcp) == (generation, 2) and count(driver, SessionReport.BEGAN) == 1
    for sequence, part in ((4, 0), (1, 0), (3, 2)):
        driver.give(McpSessions(relay.mcp, generation, sequence, part, False, ()))
        assert taken(relay.mcp) == (generation, 2)
    driver.give(McpSessions(relay.mcp, "f" * 16, 3, 0, False, ()))
    assert taken(relay.mcp) == (generation, 2)
    assert driver.counters.session_reports_refused["core", ReportRefusal.OUT_OF_ORDER] == 4


def test_a_whole_set_that_comes_after_batches_that_followed_it_is_refused(driver: Driver) -> None:
    """As of a request that hung while the relay sent the same batch once more, and went on."""
    relay, _ = told(driver)
    session = driver.session()
    relay.has(session)
    relay.later(20.0)
    taken = driver.engine.sessions.reports.taken(relay.mcp)
    driver.give(McpSessions(relay.mcp, relay.ledger.generation, 1, 1, True, ()))
    driver.later(0.1)
    assert driver.table.by_id.get(session.id) is session, (
        "the set knows nothing of a session that began later"
    )
    assert driver.engine.sessions.reports.taken(relay.mcp) == taken
    assert driver.counters.session_reports_refused["core", ReportRefusal.OUT_OF_ORDER] == 1
    relay.later(2.0)
    assert not relay.refused and len(driver.table) == 1


def test_a_relay_that_starts_again_has_nothing_of_what_it_had(driver: Driver) -> None:
    relay, edge = told(driver)
    sessions = []
    for n in range(40):
        driver.give(McpAdmin(relay.mcp, n >= 20))
        sessions.append(driver.session(sport=1_000 + n, key=n.to_bytes(8, "big")))
    at_core = {s.id for s in sessions if s.mcp == relay.mcp}
    assert len(at_core) == 20
    for session in sessions:
        (relay if session.id in at_core else edge).has(session)
    edge.tell()
    relay.later(15.0)
    edge.tell()
    assert len(driver.table) == 40
    fresh = RelayWord(driver, generation=2)
    fresh.later(WAIT + 1.5)  # hosts and servers of this network answer nothing
    edge.tell()
    assert {s.id for s in driver.table} == {s.id for s in sessions} - at_core


def test_what_a_restart_takes_back_is_only_what_its_mcp_says_lives() -> None:
    driver = Driver()
    sessions = [driver.session(sport=1_000 + n, key=n.to_bytes(8, "big")) for n in range(60)]
    plain = [driver.session(sport=3_000 + n, key=b"") for n in range(20)]
    for n in range(20):
        driver.syn(1, 1, capable(UE_LTE, 5_000 + n))  # half open when the controller dies
    fresh = restarted(driver, snapshot(driver))
    assert len(fresh.table) == 100
    core, edge = RelayWord(fresh), RelayWord(fresh, "edge")
    live = [*sessions[:15], *plain[:5]]
    for session in live:
        (core if session.mcp == core.mcp else edge).has(session)
    half_open = driver.table.flows[
        packed(UE_LTE) + packed("10.9.0.2") + (5_003).to_bytes(2, "big") + (5201).to_bytes(2, "big")
    ].session
    (core if half_open.mcp == core.mcp else edge).begin(0x0A0B0C0D, 5_003)
    edge.tell()
    core.later(2.0)
    edge.tell()
    core.later(1.0)
    kept = {session.first for session in fresh.table}
    assert kept == {session.first for session in live} | {half_open.first}
    assert sum(fresh.table.active.values()) == 21
    assert fresh.table.with_token(0x0A0B0C0D)[0].state is SessionState.ESTABLISHED


def test_while_switches_have_not_told_of_all_sessions_no_batch_is_taken() -> None:
    driver = Driver()
    session = driver.session()
    fresh = restarted(driver, snapshot(driver), order=(5, 4, 3, 2))
    relay = RelayWord(fresh, fresh.engine.map.mcps[session.mcp].name)
    relay.has(session)
    relay.tell()
    assert relay.refused == 2 and fresh.engine.sessions.reports.taken(relay.mcp) == ("", 0)
    fresh.up(1, snapshot(driver)[1])
    relay.later(3.0)
    assert len(fresh.table) == 1 and relay.refused == 2


# ---- no ghosts -----------------------------------------------------------------------------------


def test_a_thousand_short_connections_leave_nothing_though_no_copy_of_a_fin_came() -> None:
    driver = Driver(policy=Policy(timers=Timers(session_linger=3_600.0)))
    relays = {relay.mcp: relay for relay in told(driver)}
    numbers = []
    for n in range(1_000):
        key = (n + 1).to_bytes(8, "big") if n % 5 else b""
        if n % 3:
            session = driver.session(sport=2_000 + n, key=key)
            relay, number = relays[session.mcp], relays[session.mcp].has(session)
            if key:
                driver.syn(2, 1, join(UE_WLAN, 2_000 + n, session.token.to_bytes(4, "big")))
        else:  # the SYN/ACK was not seen either
            driver.syn(1, 1, capable(UE_LTE, 2_000 + n))
            session = list(driver.table)[-1]
            relay, number = relays[session.mcp], relays[session.mcp].begin(n + 1, 2_000 + n)
        if n % 7 == 0:
            fins(driver, session)
        numbers.append((relay, number))
    for relay, number in numbers:
        relay.end(number)
    first, second = relays.values()
    second.tell()
    first.later(2.5)
    second.tell()
    first.later(2.5)
    assert len(driver.table) == 0 and not driver.table.flows
    assert not any(driver.table.active.values()) and not any(driver.table.states.values())
    assert not driver.counters.session_events_refused and not driver.counters.refusals[Refusal.UNKNOWN_TOKEN]


def test_a_fallback_leaves_no_entries_behind_and_no_restart_brings_it_back() -> None:
    driver = Driver()
    session = driver.session(key=b"")
    held = set(session.entries(PortRole.GATEWAY))
    fins(driver, session)
    assert removed(driver.later(driver.engine.policy.timers.fin_linger + 0.1)) == held and len(held) == 2
    assert not len(restarted(driver, snapshot(driver)).table)
