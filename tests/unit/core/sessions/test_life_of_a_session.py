"""The life of a session (docs/design/session-life.rst), step by step: every race of it is a test without sleeping."""

import pytest

from steering.core.counters import JoinResult
from steering.core.inputs import FinSeen, SwitchDown, Tick
from steering.core.outputs import NATURAL, Release, RemoveEntries, Steer
from steering.core.sessions.teardown import ENDED_EACH_TICK
from steering.core.sessions.transitions import Beginning
from steering.model.ids import NO_MCP
from steering.model.policy import Limits, Policy
from steering.model.session import EntryKind, Refusal, SessionState, unpack_cookie
from tests.support.sites import (
    KEY,
    SERVER,
    TOKEN,
    UE_LTE,
    UE_WLAN,
    Driver,
    answer,
    capable,
    handshake,
    join,
    packed,
    refused,
    steered,
)


def test_first_syn_is_led_to_the_nearest_mcp_and_its_return_to_the_same():
    driver = Driver()
    steer = steered(driver.syn(1, 1, capable(UE_LTE, 40000)))
    core = driver.engine.map.inside[driver.site.mcps[0].id].id
    assert {(e.dpid, e.waypoint) for e in steer.entries} == {(1, core), (4, core)}
    assert steer.release.waypoint == core
    cookies = [unpack_cookie(e.cookie) for e in steer.entries]
    assert all(c.pending for c in cookies)
    assert {c.kind for c in cookies} == {EntryKind.INITIAL, EntryKind.RETURN}
    assert steer.entries[0].dpid == 4, "the server leg is downstream and goes first"


@pytest.mark.row("D-6.2c", "D-4.a")
def test_a_join_from_another_access_is_pinned_to_the_same_mcp_although_load_says_otherwise():
    driver = Driver(policy=Policy(max_stretch=9))
    session = driver.session()
    assert session.state is SessionState.ESTABLISHED and session.token == int.from_bytes(TOKEN, "big")
    driver.table.active[session.mcp] = 10_000  # now everything speaks against this MCP
    assert driver.session(sport=50000, key=b"12345678").mcp != session.mcp
    steer = steered(driver.syn(2, 1, join(UE_WLAN, 40001)))
    (entry,) = steer.entries
    assert entry.dpid == 2 and entry.waypoint == driver.engine.map.inside[session.mcp].id
    assert unpack_cookie(entry.cookie).token == session.token
    assert driver.counters.joins[JoinResult.PINNED] == 1


@pytest.mark.row("D-6.2c")
def test_joins_are_matched_across_families_and_from_behind_nat():
    driver = Driver()
    session = driver.session()
    steer = steered(driver.syn(2, 1, join("fd00:2::2", 1, dst="fd00:9::2")))
    assert steer.entries[0].family == 6 and unpack_cookie(steer.entries[0].cookie).token == session.token
    assert steered(driver.syn(2, 1, join("10.2.0.77", 999))).release.waypoint == steer.release.waypoint
    own = next(
        str(a) for mcp in driver.site.mcps if mcp.id == session.mcp for a in mcp.addresses if a.version == 6
    )
    driver.syn(2, 1, join("fd00:2::2", 2, dst=own))  # known to its host by ADD_ADDR
    assert driver.counters.joins[JoinResult.OWN_ADDRESS] == 1
    for server, port in (("10.9.0.99", 5201), ("fd00:9::2", 5202)):
        assert (
            driver.syn(2, 1, join(UE_WLAN if "." in server else "fd00:2::2", 3, dst=server, dport=port)) == []
        ), "of a session that is not known here"


def test_early_join_waits_for_its_token_and_then_goes():
    driver = Driver()
    opening = capable(UE_LTE, 40000)
    driver.syn(1, 1, opening)
    assert driver.syn(2, 1, join(UE_WLAN, 40001)) == []
    retagged, join_steer = driver.syn_ack(3, 1, answer(opening))
    assert retagged.release is None and not unpack_cookie(retagged.entries[0].cookie).pending
    assert join_steer.release.dpid == 2
    assert driver.counters.joins == {JoinResult.HELD: 1, JoinResult.PINNED: 1}


@pytest.mark.row("D-6.4h")
def test_unknown_token_is_dropped_after_the_hold_and_never_forwarded():
    driver = Driver()
    assert driver.syn(2, 1, join(UE_WLAN, 40001, b"\1\2\3\4")) == []
    driver.later(0.19)
    assert len(driver.engine.sessions.waiting) == 1
    driver.now += 0.02
    assert [o for o in driver.give(Tick()) if isinstance(o, Steer | Release)] == []
    assert driver.counters.refusals[Refusal.UNKNOWN_TOKEN] == 1
    assert len(driver.engine.sessions.waiting) == 0


def test_hold_queue_is_bounded():
    driver = Driver(policy=Policy(limits=Limits(held_joins=6)))  # half of which one port may take
    for number in range(5):
        driver.syn(2, 1, join(UE_WLAN, 1 + number, b"\1\2\3\4"))
    assert len(driver.engine.sessions.waiting) == 3
    assert driver.counters.refusals[Refusal.HOLD_QUEUE_FULL] == 2


def test_two_mcps_may_own_one_token():
    driver = Driver()
    first = driver.session(sport=40000)
    other = capable("10.1.0.9", 40000, dst="10.9.0.7")
    driver.syn(1, 1, other)
    second = driver.table.flows[packed("10.1.0.9") + packed("10.9.0.7") + b"\x9c\x40\x14\x51"].session
    driver.syn_ack(3, 1, answer(other))
    assert first.token == second.token and len(driver.table.with_token(first.token)) == 2
    driver.syn(2, 1, join(UE_WLAN, 1, dst="10.9.0.7"))
    assert len(second.subflows) == 2 and len(first.subflows) == 1
    assert refused(driver.syn(2, 1, join(UE_WLAN, 2, dst="10.8.0.2"))) == (3, False)
    assert driver.counters.refusals[Refusal.AMBIGUOUS_TOKEN] == 1
    driver.engine.sessions.teardown.end(second)
    assert driver.table.with_token(first.token) == [first]


def test_the_host_of_a_join_decides_where_two_sessions_to_one_server_have_its_token():
    driver = Driver()
    first = driver.session(sport=40000)
    other = capable("10.1.0.9", 40000)
    driver.syn(1, 1, other)
    second = driver.table.flows[packed("10.1.0.9") + packed(SERVER) + b"\x9c\x40\x14\x51"].session
    driver.syn_ack(3, 1, answer(other))
    assert first.token == second.token
    driver.syn(1, 1, join("10.1.0.9", 1))
    assert (len(first.subflows), len(second.subflows)) == (1, 2)
    assert refused(driver.syn(2, 1, join(UE_WLAN, 2))) == (3, False)
    assert driver.counters.refusals[Refusal.AMBIGUOUS_TOKEN] == 1


def test_retransmitted_syn_gets_the_same_answer():
    driver = Driver()
    opening = capable(UE_LTE, 40000)
    first = steered(driver.syn(1, 1, opening))
    driver.table.active[driver.site.mcps[0].id] = 10_000
    here, far = driver.syn(1, 1, opening)
    assert (far.entries + here.entries, far.release, here.release) == (*first, None)
    assert [e.dpid for e in here.entries] == [1], (
        "written at once: they must not come after what has the token"
    )
    assert len(driver.table) == 1 and driver.counters.retransmitted_syns == 1


def test_fallback_syn_without_mptcp_stays_on_its_mcp():
    driver = Driver()
    opening = capable(UE_LTE, 40000)
    first = steered(driver.syn(1, 1, opening))
    _, again = driver.syn(1, 1, handshake(UE_LTE, 40000))
    assert again.release.waypoint == first.release.waypoint
    retagged = steered(driver.syn_ack(3, 1, answer(opening, b"")))
    assert all(unpack_cookie(e.cookie).plain for e in retagged.entries)
    assert driver.counters.fallbacks == 1
    (session,) = driver.table
    assert session.state is SessionState.ANSWERED
    driver.life.heard(session)
    assert session.state is SessionState.PLAIN


def test_only_the_chosen_mcp_teaches_the_token():
    driver = Driver()
    opening = capable(UE_LTE, 40000)
    driver.syn(1, 1, opening)
    assert driver.syn_ack(5, 1, answer(opening, b"87654321")) == []
    assert driver.syn_ack(1, 1, answer(opening, b"87654321")) == []
    (session,) = driver.table
    assert session.token == -1


def test_a_reused_five_tuple_is_a_new_connection_and_never_keeps_the_old_pin():
    driver = Driver()
    old = driver.session()
    driver.syn(2, 1, join(UE_WLAN, 40001))
    other = driver.session(sport=50001, key=b"12345678")
    fins(driver, join(UE_WLAN, 40001), 2)
    outputs = driver.syn(2, 1, join(UE_WLAN, 40001, other.token.to_bytes(4, "big"), seq=7))
    removed, steer = outputs
    assert isinstance(removed, RemoveEntries) and unpack_cookie(removed.entries[0].cookie).token == old.token
    assert unpack_cookie(steer.entries[0].cookie).token == other.token
    fins(driver, join(UE_WLAN, 40001, seq=7), 2)
    plain = driver.syn(2, 1, handshake(UE_WLAN, 40001, seq=8))
    assert isinstance(plain[0], RemoveEntries) and plain[1].waypoint == NATURAL


@pytest.mark.row("D-2.5", "D-2.3")
def test_plain_tcp_and_what_is_not_eligible_goes_naturally():
    driver = Driver(policy=Policy(eligible_ports=((5201, 5201),)))
    for seen in (
        handshake(UE_LTE, 1),
        capable(UE_LTE, 2, dport=22),
        capable(UE_LTE, 4, dst=UE_WLAN),
    ):
        (release,) = driver.syn(1, 1, seen)
        assert isinstance(release, Release) and release.waypoint == NATURAL
    (release,) = driver.syn(4, 1, capable(SERVER, 5, dst=UE_LTE))
    assert release.waypoint == NATURAL and len(driver.table) == 0


def test_join_to_an_mcp_address_is_checked_but_needs_no_entry():
    driver = Driver()
    session = driver.session()
    (release,) = driver.syn(2, 1, join(UE_WLAN, 1, dst="10.8.0.2"))
    assert release.waypoint == NATURAL and len(session.subflows) == 2
    assert refused(driver.syn(2, 1, join(UE_WLAN, 2, dst="10.8.1.2"))) == (3, False)
    assert driver.counters.refusals[Refusal.WRONG_MCP_ADDRESS] == 1


def fins(driver, opening, dpid, access_port=1):
    back = answer(opening, b"")
    driver.give(FinSeen(dpid, access_port, opening))
    driver.give(FinSeen(3, 1, back))


@pytest.mark.row("D-1.m3")
def test_record_outlives_the_rules_and_a_late_join_finds_it():
    driver = Driver()
    session = driver.session()
    fins(driver, capable(UE_LTE, 40000), 1)
    removed = [o for o in driver.later(6) if isinstance(o, RemoveEntries)]
    assert len(removed) == 1 and session.state is SessionState.LINGER
    assert driver.table.active[session.mcp] == 0
    steer = steered(driver.syn(2, 1, join(UE_WLAN, 40001)))
    assert {e.dpid for e in steer.entries} == {2, 4} and session.state is SessionState.ESTABLISHED
    assert driver.table.active[session.mcp] == 1


def test_session_ends_when_both_legs_are_closed():
    driver = Driver()
    driver.session()
    opening = capable(UE_LTE, 40000)
    driver.give(FinSeen(3, 1, opening))  # the MCP closes the server leg: same 5-tuple, other port
    driver.give(FinSeen(4, 1, answer(opening, b"")))
    fins(driver, opening, 1)
    driver.now += 6
    gone = [e for o in driver.give(Tick()) if isinstance(o, RemoveEntries) for e in o.entries]
    assert {e.dpid for e in gone} == {1, 4} and len(driver.table) == 0
    assert driver.counters.sessions_ended == 1


def test_one_fin_alone_removes_nothing():
    driver = Driver()
    driver.session()
    driver.give(FinSeen(1, 1, capable(UE_LTE, 40000)))
    driver.now += 600
    assert [o for o in driver.give(Tick()) if isinstance(o, RemoveEntries)] == []
    assert len(driver.table.flows) == 1


def test_half_open_sessions_are_bounded_and_expire():
    driver = Driver(policy=Policy(max_stretch=9, limits=Limits(half_open=20)))
    for port in range(20):
        driver.syn(1, 1, capable(UE_LTE, 1000 + port))
    assert len(driver.table) == 10 and driver.counters.refusals[Refusal.HALF_OPEN_FULL] == 10
    assert driver.counters.natural_syns == 10, "those beyond go their natural way, and are counted as such"
    driver.syn(2, 1, capable(UE_WLAN, 1))
    assert len(driver.table) == 11, "a flood at one access leaves the other its share"
    driver.later(11)
    assert len(driver.table) == 0 and driver.table.active[driver.site.mcps[0].id] == 0


def test_session_table_is_bounded_and_drops_lingering_records_first():
    driver = Driver(policy=Policy(limits=Limits(sessions=3)))
    for port in range(3):
        driver.session(sport=1000 + port, key=bytes([port] * 8))
    (release,) = driver.syn(1, 1, capable(UE_LTE, 2000))
    assert release.waypoint == NATURAL
    assert driver.counters.refusals[Refusal.SESSION_TABLE_FULL] == 1
    fins(driver, capable(UE_LTE, 1001), 1)
    driver.later(6)
    removed, steer = driver.syn(1, 1, capable(UE_LTE, 2001))
    # What the lingering record still had in a switch goes with it, and nothing else keeps it alive.
    assert [e.dpid for e in removed.entries] == [4] and isinstance(steer, Steer)
    assert len(driver.table) == 3 and not driver.engine.sessions.teardown._legs


def test_subflows_of_a_session_are_bounded():
    driver = Driver(policy=Policy(limits=Limits(subflows_per_session=2)))
    driver.session()
    driver.syn(2, 1, join(UE_WLAN, 1))
    assert refused(driver.syn(2, 1, join(UE_WLAN, 2))) == (2, True)
    assert driver.counters.refusals[Refusal.SUBFLOWS_FULL] == 1


def test_a_switch_that_is_away_keeps_its_sessions():
    driver = Driver()
    session = driver.session()
    driver.give(SwitchDown(1))
    assert session.state is SessionState.ESTABLISHED
    fill = driver.up(1)  # it comes back empty: refilled
    assert [unpack_cookie(e.cookie).token for e in fill.entries] == [session.token]
    assert KEY not in repr(fill).encode()


def test_without_its_gateway_switch_a_session_is_not_begun_but_goes_naturally():
    driver = Driver()
    driver.give(SwitchDown(4))
    (release,) = driver.syn(1, 1, capable(UE_LTE, 40000))
    assert release.waypoint == NATURAL and driver.counters.refusals[Refusal.MCP_UNREACHABLE] == 1
    driver.up(4)
    assert steered(driver.syn(1, 1, capable(UE_LTE, 40000)))


RST = 0x14


def test_a_reset_by_the_mcp_ends_a_subflow_and_with_the_server_leg_the_session():
    driver = Driver()
    session = driver.session()
    driver.syn(2, 1, join(UE_WLAN, 40001))
    back = answer(join(UE_WLAN, 40001), b"")._replace(flags=RST)
    driver.give(FinSeen(3, 1, back))
    (removed,) = [o for o in driver.later(6) if isinstance(o, RemoveEntries)]
    assert [e.dpid for e in removed.entries] == [2] and len(session.subflows) == 1
    driver.give(FinSeen(3, 1, capable(UE_LTE, 40000)._replace(flags=RST)))  # its leg to the server
    gone = [e for o in driver.later(6) if isinstance(o, RemoveEntries) for e in o.entries]
    assert {e.dpid for e in gone} == {1, 4} and len(driver.table) == 0


def test_resets_of_hosts_and_servers_end_nothing():
    driver = Driver()
    driver.session()
    opening = capable(UE_LTE, 40000)
    driver.give(FinSeen(1, 1, opening._replace(flags=RST)))
    driver.give(FinSeen(4, 1, answer(opening, b"")._replace(flags=RST)))
    assert [o for o in driver.later(60) if isinstance(o, RemoveEntries)] == []
    assert len(driver.table) == 1


def test_of_what_is_over_at_once_each_tick_ends_a_part() -> None:
    driver = Driver()
    count = 2 * ENDED_EACH_TICK + 1
    for _ in range(count):
        driver.life.begin(Beginning.LEFT_TO_ITS_ENDS, NO_MCP, None, driver.now).keep_until(driver.now + 1.0)
    driver.now += 2.0
    left = []
    for _ in range(3):
        driver.give(Tick())
        left.append(len(driver.table))
    assert left == [ENDED_EACH_TICK + 1, 1, 0]
