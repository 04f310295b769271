"""The flow tables are the durable copy of the pins: a controller without a database finds them again."""

from collections import Counter

import pytest

from steering.core.engine import Engine
from steering.core.inputs import (
    EntriesRead,
    FinSeen,
    McpSessions,
    ObservedEntry,
    ObservedHost,
    SessionBegan,
    SwitchDown,
    SwitchUp,
    SynSeen,
    Tick,
)
from steering.core.outputs import RemoveEntries
from steering.core.sessions.flow_key import origin_of
from steering.core.sessions.teardown import EARLY
from steering.core.sessions.transitions import Event
from steering.model.network import PortRole
from steering.model.policy import Policy
from steering.model.session import EntryKind, Refusal, SessionState, unpack_cookie
from tests.support.half_open import NOTHING, PLAIN_ACK, RESET, passes
from tests.support.relay_word import fins
from tests.support.restarted import restarted, snapshot
from tests.support.sites import FIN, UE_LTE, UE_WLAN, Driver, capable, handshake, join, packed, steered


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5), (5, 4, 3, 2, 1)])
def test_two_hundred_sessions_survive_the_controller(order):
    driver = Driver()
    sessions = [driver.session(sport=1000 + n, key=n.to_bytes(8, "big")) for n in range(200)]
    for n, session in enumerate(sessions[:100]):
        driver.syn(2, 1, join(UE_WLAN, 1000 + n, session.token.to_bytes(4, "big")))
    fresh = restarted(driver, snapshot(driver), order)
    assert len(fresh.table) == 200 and not fresh.engine.sessions.readiness.recovering
    assert all(not fill.entries and not fill.stale for fill in fresh.fills.values())
    for n, session in enumerate(sessions):
        steer = steered(fresh.syn(2, 1, join(UE_WLAN, 5000 + n, session.token.to_bytes(4, "big"))))
        assert steer.release.waypoint == driver.engine.map.inside[session.mcp].id
    assert {len(s.subflows) for s in fresh.table} == {2, 3}
    assert all(s.returns for s in fresh.table)


def indexes(driver: Driver) -> dict[str, object]:
    """All that the table knows of its sessions, without the objects themselves."""
    told = (
        "state",
        "version",
        "mcp",
        "token",
        "returns",
        "reverse",
        "first",
        "entrance",
        "active",
        "created",
    )
    shown = ("kind", "key", "dpid", "role", "waypoint", "isn", "packets", "bytes", "watch", "port", "closed")
    table = driver.table
    return {
        "sessions": [[getattr(session, name) for name in told] for session in table],
        "subflows": [[getattr(flow, name) for name in shown] for s in table for flow in s.subflows],
        "flows": {key: flow.session.id for key, flow in table.flows.items()},
        "hosts": {flow.key: len(table.subflows_of(flow.flow.source)) for flow in table.flows.values()},
        "owners": {s.token: [one.id for one in table.with_token(s.token)] for s in table},
        "counts": (
            dict(table.states),
            dict(table.active),
            dict(table.subflows),
            driver.engine.counters.sessions_recovered,
        ),
        "open": (dict(table.half_open), dict(table.half_open_at), dict(table.lingering), dict(table.changed)),
    }


def test_the_short_way_of_the_usual_entry_leads_to_what_the_long_way_leads_to(monkeypatch):
    driver = Driver()
    for n in range(20):
        session = driver.session(sport=1000 + n, key=n.to_bytes(8, "big"))
        if n % 2:
            driver.syn(2, 1, join(UE_WLAN, 1000 + n, session.token.to_bytes(4, "big")))
    held = snapshot(driver)
    for order in ((1, 2, 3, 4, 5), (5, 4, 3, 2, 1)):
        short = restarted(driver, held, order)
        with monkeypatch.context() as patch:
            patch.setattr("steering.core.restart.readback._INITIAL", -1)
            long = restarted(driver, held, order)
        assert indexes(short) == indexes(long)
        for session in list(short.table):
            short.life.happened(session, Event.OVER)
        assert not short.table.flows and not short.table.half_open_at and not any(short.table.active.values())
        assert not any(short.table.states.values()) and not any(short.table.subflows.values())


def test_until_all_switches_are_read_unknown_joins_are_dropped_not_held():
    driver = Driver()
    engine = Engine(driver.site, Policy(), epoch=9)
    engine.handle(SwitchUp(2, {1: True}), 0.0)
    engine.handle(EntriesRead(2, [], []), 0.0)
    assert engine.handle(SynSeen(2, 1, join(UE_WLAN, 1), b""), 0.1) == []
    assert engine.counters.refusals[Refusal.RECOVERING] == 1
    engine.handle(Tick(), 16.0)
    engine.handle(SynSeen(2, 1, join(UE_WLAN, 1), b""), 16.1)
    assert len(engine.sessions.waiting) == 1


def test_pending_entries_stay_pinned_and_a_repeated_syn_gets_the_same_mcp():
    driver = Driver()
    opening = capable("10.1.0.2", 40000)
    first = steered(driver.syn(1, 1, opening))
    held = snapshot(driver)
    fresh = restarted(driver, held)
    (session,) = fresh.table
    assert session.state is SessionState.SYN_PINNED and len(session.entries(PortRole.GATEWAY)) == 2
    fresh.table.active[session.mcp] = 10_000
    here, far = fresh.syn(1, 1, opening)
    assert (here.release, far.release.waypoint) == (None, first.release.waypoint)


@pytest.mark.parametrize("counted, after", [(NOTHING, None), (RESET, None), (PLAIN_ACK, SessionState.PLAIN)])
@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5), (5, 4, 3, 2, 1)])
def test_what_was_half_open_at_the_crash_ends_unless_its_entry_shows_its_host(order, counted, after):
    driver = Driver()
    for sport in range(100):
        driver.syn(1, 1, capable(UE_LTE, 2_000 + sport))
    fresh = restarted(driver, snapshot(driver), order)
    assert len(fresh.table.half_open) == 100
    passes(fresh, Policy().timers.half_open + 0.5, counted)
    if after is None:
        assert not len(fresh.table) and not fresh.table.half_open_at and not any(fresh.table.active.values())
    else:
        assert {session.state for session in fresh.table} == {after} and len(fresh.table) == 100


def counting(held, counted):
    """The entries of hosts have counted so much, those of server legs nothing."""
    return {
        dpid: [
            one._replace(packets=counted.packets, bytes=counted.bytes)
            if unpack_cookie(one.entry.cookie).kind is EntryKind.INITIAL
            else one
            for one in some
        ]
        for dpid, some in held.items()
    }


@pytest.mark.row("D-6.2c")
@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5), (5, 4, 3, 2, 1)])
@pytest.mark.parametrize("counted", [NOTHING, RESET])
def test_what_was_answered_at_the_crash_and_never_heard_is_half_open_and_ends(order, counted):
    driver = Driver()
    for sport in range(100):
        driver.answered(sport=2_000 + sport, key=sport.to_bytes(8, "big"))
    fresh = restarted(driver, counting(snapshot(driver), counted), order)
    assert {session.state for session in fresh.table} == {SessionState.ANSWERED} and len(fresh.table) == 100
    assert len(fresh.table.half_open) == 100 and all(session.returns for session in fresh.table)
    passes(fresh, Policy().timers.half_open + 0.5, counted)
    assert not len(fresh.table) and not fresh.table.flows and not any(fresh.table.active.values())
    assert not fresh.table.half_open_at and not fresh.table.half_open_from


@pytest.mark.parametrize("how", ["segment", "join", "join read back", "report"])
def test_what_was_answered_at_the_crash_lives_on_once_its_host_is_heard(how):
    driver = Driver()
    session = driver.answered()
    token = session.token.to_bytes(4, "big")
    if how == "join read back":
        driver.syn(2, 1, join(UE_WLAN, 6_000, token))
    fresh = restarted(driver, counting(snapshot(driver), NOTHING), (5, 4, 3, 2, 1))
    if how == "join":
        fresh.syn(2, 1, join(UE_WLAN, 6_000, token))
    if how == "report":
        (one,) = fresh.table
        flow = one.flow
        began = SessionBegan(
            1, one.token, flow.source, flow.source_port, flow.destination, flow.destination_port
        )
        fresh.give(McpSessions(one.mcp, "a", 1, 1, True, (began,)))
    passes(fresh, 2 * Policy().timers.half_open, PLAIN_ACK if how == "segment" else NOTHING)
    (found,) = fresh.table
    assert found.state is SessionState.ESTABLISHED and found.returns and not fresh.table.half_open


def test_what_its_server_leg_alone_tells_of_waits_for_the_switch_of_its_host():
    driver = Driver()
    driver.syn(1, 1, capable(UE_LTE, 2_000))
    held = snapshot(driver)
    fresh = restarted(driver, held, (2, 3, 4, 5))
    passes(fresh, 3 * Policy().timers.half_open, NOTHING)
    assert len(fresh.table) == 1
    fresh.up(1, held[1])
    passes(fresh, Policy().timers.half_open, PLAIN_ACK)
    (session,) = fresh.table
    assert session.state is SessionState.PLAIN and len(session.subflows) == 1


def test_entries_of_an_mcp_that_left_the_site_are_stale():
    driver = Driver()
    driver.session()
    held = snapshot(driver)
    foreign = [ObservedEntry(o.entry._replace(cookie=o.entry.cookie ^ 0xFFFF << 32), 0) for o in held[1]]
    fresh = restarted(driver, {1: foreign})
    assert len(fresh.table) == 0 and len(fresh.fills[1].stale) == 1


def test_what_ended_while_a_switch_was_away_is_removed_when_it_returns():
    driver = Driver()
    session = driver.session()
    held = snapshot(driver)
    driver.engine.sessions.teardown.end(session)
    fill = driver.up(1, held[1])
    assert [unpack_cookie(e.cookie).token for e in fill.stale] == [session.token] and not fill.entries


def test_learned_hosts_are_taken_over_with_the_new_epoch():
    driver = Driver()
    lte = driver.engine.map.attachments[next(iter(driver.engine.map.attachments))].waypoint
    fill = driver.up(1, hosts=[ObservedHost(1, lte.id, packed("10.1.0.2"), b"\2\0\0\0\0\1", 1)])
    assert any(("ipv4_dst", "10.1.0.2") in rule.match for rule in fill.forwarding)


def test_the_first_new_session_after_the_reading_gets_its_mcp_at_once_though_nothing_answered_yet() -> None:
    driver = Driver()
    driver.session()
    fresh = restarted(driver, snapshot(driver))
    release = steered(fresh.syn(1, 1, capable(UE_LTE, 47_000))).release
    core = fresh.site.mcps[0]
    assert release.waypoint == fresh.engine.map.inside[core.id].id


@pytest.mark.parametrize("is_away", [False, True], ids=["all-told", "a-switch-is-away"])
def test_a_session_that_ended_as_its_switches_were_read_ends_when_it_was_silent_for_the_idle_limit(
    is_away: bool,
) -> None:
    """Its server leg's entry is told, its host's is gone by then. Not while its host's may yet be told."""
    driver = Driver()
    driver.session()
    held = snapshot(driver)
    assert set(held) == {1, 4}
    fresh = restarted(driver, {4: held[4]})
    (ghost,) = fresh.table
    assert ghost.state is SessionState.ESTABLISHED and not ghost.subflows
    if is_away:
        fresh.give(SwitchDown(2))
    idle, removed = Policy().timers.idle, []
    for at in (idle - 60.0, idle, idle + 60.0, idle + 120.0):
        assert ghost.id in fresh.table.by_id or at > idle
        fresh.now = 5000.0 + at
        removed += [output for output in fresh.later(0.0) if isinstance(output, RemoveEntries)]
    assert (ghost.id in fresh.table.by_id) is is_away
    assert fresh.table.active[ghost.mcp] == is_away
    assert {e for one in removed for e in one.entries} == (set() if is_away else {o.entry for o in held[4]})


def test_the_ends_of_a_session_that_were_seen_before_its_switch_told_of_it_count() -> None:
    driver = Driver()
    known = driver.session()
    held = snapshot(driver)
    fresh = restarted(driver, held, (2, 3, 4, 5))
    assert fresh.engine.sessions.readiness.recovering
    fins(fresh, known)
    fresh.up(1, held[1])
    assert not fresh.engine.sessions.readiness.recovering
    (session,) = fresh.table
    assert session.subflows and session.state is SessionState.CLOSING


def test_such_ends_are_not_of_a_session_that_began_since_with_the_same_ports() -> None:
    driver = Driver()
    known = driver.session()
    fresh = restarted(driver, {}, (1, 2, 3, 4))
    fins(fresh, known)
    session = fresh.session()
    assert session.first == known.first and fresh.engine.sessions.readiness.recovering
    before = session.state
    fresh.up(5)
    assert not fresh.engine.sessions.readiness.recovering
    assert session.state is before and not any(subflow.closed for subflow in session.subflows)


def test_such_ends_are_forgotten_where_another_controller_has_the_switch_now() -> None:
    driver = Driver()
    known = driver.session()
    held = snapshot(driver)
    fresh = restarted(driver, held, (2, 3, 4, 5))
    fins(fresh, known)
    readiness = fresh.engine.sessions.readiness
    readiness.recovering = False
    fresh.later(0.05)
    readiness.recovering = True
    fresh.up(1, held[1])
    (session,) = fresh.table
    assert session.subflows and session.state is SessionState.ESTABLISHED


def test_ends_of_flows_that_no_switch_has_told_yet_are_bounded() -> None:
    driver = Driver()
    known = driver.session()
    held = snapshot(driver)
    fresh = restarted(driver, held, (2, 3, 4, 5))
    fins(fresh, known)
    for n in range(EARLY):
        fresh.give(FinSeen(1, 1, handshake(UE_LTE, 1 + n, flags=FIN)))
    fresh.up(1, held[1])
    (session,) = fresh.table
    assert session.subflows and session.state is SessionState.ESTABLISHED, "the oldest go"


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_two_first_flows_with_one_token_are_two_sessions_whoever_tells_of_them(
    heard: bool, order: tuple[int, int]
) -> None:
    """Tokens collide, and a switch may say anything: what a session was opened by is no other flow for that."""
    driver = Driver()
    (one,) = [entry for entry in driver.session().entries(PortRole.GATEWAY) if entry.dpid == 1]
    other = one._replace(dpid=2, src=packed(UE_WLAN), sport=7)
    told = {1: [ObservedEntry(one, *(9, 9_000) if heard else NOTHING)], 2: [ObservedEntry(other, 9, 9_000)]}
    later = Driver()
    for dpid in order:
        later.engine._unread.add(dpid)
        later.up(dpid, told[dpid])
    assert {s.first for s in later.table} == {s.key for session in later.table for s in session.subflows}
    assert {session.flow.source for session in later.table} == {packed(UE_LTE), packed(UE_WLAN)}
    half_open = Counter(origin_of(session.first) for session in later.table.half_open.values())
    assert later.table.half_open_from == half_open and len(half_open) == (not heard)
