"""A SYN on the 5-tuple of a live subflow changes nothing until the MCP that has the subflow answers it."""

import pytest

from steering.core.handshakes import new_attempts
from steering.core.handshakes.new_attempts import MOST_AT_PORT, SECONDS
from steering.core.inputs import AbortSession, PortStatus, WatchedSeen
from steering.core.outputs import NATURAL, Release, RemoveEntries, SendFrame, Steer
from steering.core.sessions.abort import WAIT
from steering.core.sessions.records import Session
from steering.model.mechanism import Mechanism
from steering.model.policy import Direction, Policy, PolicyRule, RuleConditions, Terms
from steering.model.session import SessionState, unpack_cookie
from steering.wire.crypto import token
from steering.wire.handshake import Handshake, Kind
from tests.support.fakes.packet import ACK
from tests.support.restarted import restarted, snapshot
from tests.support.sites import KEY, SERVER, UE_LTE, UE_WLAN, Driver, answer, capable, handshake, join
from tests.support.switched import Lab, to_gateway

OTHER_KEY = b"87654321"
FROM_SERVERS = Policy(
    rules=(PolicyRule("in", RuleConditions(directions=frozenset({Direction.SERVER})), Terms()),)
)
FORGED = 77_000
V6 = {UE_LTE: "fd00:1::2", SERVER: "fd00:9::2"}


def syns(src: str = UE_LTE, dst: str = SERVER, sport: int = 40_000) -> dict[str, Handshake]:
    """One of each kind, on the 5-tuple of the session that `Driver.session` makes."""
    return {
        "plain": handshake(src, sport, dst, seq=FORGED),
        "capable": capable(src, sport, dst, seq=FORGED),
        "join": join(src, sport, dst=dst, seq=FORGED),
        "join of nobody": join(src, sport, b"\1\2\3\4", dst, seq=FORGED),
    }


def opened(lab: Lab, src: str = UE_LTE, dst: str = SERVER) -> Session:
    """A session, in the switches too."""
    opening = capable(src, 40_000, dst)
    lab.steer(lab.syn(1, 1, opening))
    (session,) = lab.table
    place = lab.engine.map.inside[session.mcp].port
    lab.steer(lab.syn_ack(place.dpid, place.port, answer(opening)))
    lab.life.heard(session)
    return session


def goes_to(lab: Lab, src: str = UE_LTE, dst: str = SERVER) -> tuple[int, int]:
    """Where the session's data comes out."""
    (out,) = lab.send(1, 1, to_gateway(src, 40_000, ACK, dst)).deliveries
    return out.dpid, out.port


@pytest.mark.parametrize("kind", syns())
@pytest.mark.parametrize("src, dst", [(UE_LTE, SERVER), (V6[UE_LTE], V6[SERVER])])
def test_a_forged_syn_takes_no_pin_away_and_goes_where_the_pin_leads(kind: str, src: str, dst: str) -> None:
    lab = Lab()
    session = opened(lab, src, dst)
    before, place = session.entries(1), goes_to(lab, src, dst)
    outputs = lab.syn(1, 1, syns(src, dst)[kind])
    (release,) = outputs
    assert isinstance(release, Release) and release.waypoint == lab.engine.map.inside[session.mcp].id
    lab.steer(lab.later(SECONDS))
    assert goes_to(lab, src, dst) == place and session.entries(1) == before
    assert session.state is SessionState.ESTABLISHED and len(lab.table) == 1
    assert lab.counters.challenged_syns == 1


@pytest.mark.parametrize("kind", syns())
def test_with_the_mechanism_off_a_forged_syn_takes_it(kind: str) -> None:
    lab = Lab(disabled=frozenset({Mechanism.LIVE_PINS}))
    session = opened(lab)
    cookies = {entry.cookie for entry in session.entries(1)}
    gone = [e for o in lab.syn(1, 1, syns()[kind]) if isinstance(o, RemoveEntries) for e in o.entries]
    assert gone and {entry.cookie for entry in gone} <= cookies


def test_one_that_is_repeated_gets_the_same_answer() -> None:
    driver = Driver()
    driver.session()
    first = driver.syn(1, 1, syns()["capable"])
    driver.now += 1
    assert driver.syn(1, 1, syns()["capable"]) == first


def test_once_the_mcp_answers_a_new_session_takes_the_old_ones_place_without_a_gap() -> None:
    lab = Lab()
    old = opened(lab)
    place = goes_to(lab)
    again = syns()["capable"]
    lab.steer(lab.syn(1, 1, again))
    outputs = lab.syn_ack(3, 1, answer(again, OTHER_KEY))
    matches = {e[:7] for o in outputs if isinstance(o, Steer) for e in o.entries}
    assert not [e for o in outputs if isinstance(o, RemoveEntries) for e in o.entries if e[:7] in matches]
    for output in outputs:
        lab.network.apply(output)
    (new,) = [one for one in lab.table if one is not old]
    assert (new.mcp, new.token) == (old.mcp, int.from_bytes(token(1, OTHER_KEY), "big"))
    assert new.state is SessionState.ANSWERED and old.state is SessionState.LINGER and not old.subflows
    assert new.ruling is not None and new.ruling.reason == "answered"
    assert lab.table.active[new.mcp] == 1 and goes_to(lab) == place
    assert {unpack_cookie(e.cookie).token for e in new.entries(1)} == {new.token}
    lab.steer(lab.syn(2, 1, join(UE_WLAN, 40_001, token(1, OTHER_KEY))))
    assert len(new.subflows) == 2


def test_an_answer_to_another_syn_or_of_another_mcp_changes_nothing() -> None:
    driver = Driver()
    old = driver.session()
    again = syns()["capable"]
    driver.syn(1, 1, again)
    assert driver.syn_ack(3, 1, answer(again._replace(seq=FORGED - 1), OTHER_KEY)) == []
    assert driver.syn_ack(5, 1, answer(again, OTHER_KEY)) == []
    assert driver.syn_ack(4, 1, answer(again, OTHER_KEY)) == []
    assert list(driver.table) == [old] and old.state is SessionState.ESTABLISHED
    driver.later(SECONDS)
    assert driver.syn_ack(3, 1, answer(again, OTHER_KEY)) == [], "an answer comes within a round trip"


def test_a_first_answer_that_acknowledges_another_syn_teaches_no_token() -> None:
    driver = Driver()
    driver.syn(1, 1, capable(UE_LTE, 40_000))
    (session,) = driver.table
    assert driver.syn_ack(3, 1, answer(syns()["capable"])) == []
    assert session.state is SessionState.SYN_PINNED
    driver.syn_ack(3, 1, answer(capable(UE_LTE, 40_000)))
    assert session.state is SessionState.ANSWERED


def test_a_plain_one_that_the_mcp_answers_is_plain_from_then_on() -> None:
    driver = Driver()
    old = driver.session()
    again = syns()["plain"]
    driver.syn(1, 1, again)
    driver.syn_ack(3, 1, answer(again, b""))
    (new,) = [one for one in driver.table if one is not old]
    assert (
        new.state is SessionState.ANSWERED
        and new.token < 0
        and new.mcp == old.mcp
        and driver.counters.fallbacks == 1
    )


def join_answered(driver: Driver, to: Handshake) -> list:
    return driver.syn_ack(3, 1, answer(to)._replace(kind=Kind.JOIN, key=b""))


def test_a_join_that_the_mcp_answers_is_its_sessions_subflow() -> None:
    driver = Driver()
    old = driver.session()
    other = driver.session(sport=50_001, key=OTHER_KEY)
    driver.syn(2, 1, join(UE_WLAN, 40_001))
    again = join(UE_WLAN, 40_001, token(1, OTHER_KEY), seq=FORGED)
    driver.syn(2, 1, again)
    assert [len(old.subflows), len(other.subflows)] == [2, 1]
    (steer,) = [o for o in join_answered(driver, again) if isinstance(o, Steer)]
    assert steer.release is None and unpack_cookie(steer.entries[0].cookie).token == other.token
    assert [len(old.subflows), len(other.subflows)] == [1, 2]


def test_a_join_of_another_mcps_session_takes_no_pin_of_the_one_that_answered() -> None:
    driver = Driver()
    old = driver.session()
    driver.table.active[old.mcp] = 10_000
    other = driver.session(sport=50_001, key=OTHER_KEY)
    assert other.mcp != old.mcp
    driver.syn(2, 1, join(UE_WLAN, 40_001))
    again = join(UE_WLAN, 40_001, token(1, OTHER_KEY), seq=FORGED)
    driver.syn(2, 1, again)
    assert join_answered(driver, again) == []
    assert [len(old.subflows), len(other.subflows)] == [2, 1]


def test_where_the_mcp_is_gone_or_both_ends_closed_a_syn_is_decided_on_at_once() -> None:
    driver = Driver()
    old = driver.session()
    driver.give(PortStatus(3, 1, False))
    again = syns()["capable"]
    driver.syn(1, 1, again)
    (new,) = [one for one in driver.table if one is not old]
    assert new.mcp != old.mcp and new.state is SessionState.SYN_PINNED


def test_what_is_remembered_is_bounded_by_port_and_forgotten_after_a_while() -> None:
    driver = Driver()
    attempts = driver.engine.sessions.attempts
    for port in range(MOST_AT_PORT + 9):
        driver.session(sport=1_000 + port, key=port.to_bytes(8, "big"))
        driver.syn(1, 1, capable(UE_LTE, 1_000 + port, seq=FORGED))
    assert len(attempts) == MOST_AT_PORT
    last = capable(UE_LTE, 1_000 + MOST_AT_PORT + 8, seq=FORGED)
    before = len(driver.table)
    driver.syn_ack(3, 1, answer(last, OTHER_KEY))
    assert len(driver.table) == before + 1, "the latest are known"
    driver.later(SECONDS)
    assert len(attempts) == 0 and not attempts._at


def test_what_is_remembered_is_bounded_in_all_and_the_oldest_gives_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(new_attempts, "MOST", 3)
    driver = Driver()
    attempts = driver.engine.sessions.attempts
    for port in (1, 2, 3, 4):
        driver.session(sport=port, key=port.to_bytes(8, "big"))
        driver.syn(1, 1, capable(UE_LTE, port, seq=FORGED))
    assert [attempt.seen.handshake.sport for attempt in attempts.tried.values()] == [2, 3, 4]


def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    """Nothing has looked at the time since."""
    driver = Driver()
    old = driver.session()
    again = syns()["capable"]
    driver.syn(1, 1, again)
    driver.now += SECONDS
    assert driver.syn_ack(3, 1, answer(again, OTHER_KEY)) == []
    assert list(driver.table) == [old] and len(old.subflows) == 1


def test_a_servers_syn_on_a_session_that_it_opened_goes_to_the_mcp_and_is_not_remembered() -> None:
    """It is the MCP that opens the new connection to the host, and its own SYN tells."""
    opening = handshake(SERVER, 40_000, UE_LTE)
    driver = Driver(policy=FROM_SERVERS)
    driver.syn(4, 1, opening)
    (session,) = driver.table
    said = answer(opening)
    driver.give(WatchedSeen(1, 1, said, driver.frame(said)))
    (release,) = driver.syn(4, 1, opening._replace(seq=FORGED))
    assert isinstance(release, Release) and release.waypoint == driver.engine.map.outside[session.mcp].id
    assert len(driver.engine.sessions.attempts) == 0 and driver.counters.challenged_syns == 1
    assert list(driver.table) == [session] and session.state is SessionState.ESTABLISHED


def test_a_signed_syn_goes_its_natural_way_past_a_pin_that_stays() -> None:
    driver = Driver()
    session = driver.session()
    (release,) = driver.syn(1, 1, handshake(UE_LTE, 40_000, seq=FORGED)._replace(kind=Kind.OPAQUE))
    assert isinstance(release, Release) and release.waypoint == NATURAL and len(session.subflows) == 1


def test_a_syn_to_an_mcps_own_address_goes_there_and_the_record_stays() -> None:
    driver = Driver()
    opening = capable(UE_LTE, 40_000, "10.8.0.2")
    driver.syn(1, 1, opening)
    (old,) = driver.table
    driver.syn_ack(3, 1, answer(opening, KEY))
    again = opening._replace(seq=FORGED)
    (release,) = driver.syn(1, 1, again)
    assert isinstance(release, Release) and release.waypoint == NATURAL and len(old.subflows) == 1
    assert not [o for o in driver.syn_ack(3, 1, answer(again, OTHER_KEY)) if isinstance(o, SendFrame)]
    (new,) = [one for one in driver.table if one is not old]
    assert new.state is SessionState.ESTABLISHED and new.mcp == old.mcp and not old.subflows


def read_back(key: bytes) -> tuple[Driver, Session]:
    """A session that a controller finds when it starts."""
    before = Driver()
    before.session(key=key)
    fresh = restarted(before, snapshot(before))
    (session,) = fresh.table
    return fresh, session


@pytest.mark.row("D-6.2c")
@pytest.mark.parametrize("key", [KEY, b""], ids=["mptcp", "plain"])
def test_a_pin_that_was_read_back_is_as_safe_though_its_syn_is_not_known(key: bytes) -> None:
    driver, session = read_back(key)
    (subflow,) = session.subflows
    outputs = driver.syn(2, 1, capable(UE_LTE, 40_000, seq=FORGED))
    assert [type(one) for one in outputs] == [Release], "no entry changes"
    assert (subflow.dpid, len(driver.engine.sessions.attempts)) == (1, 1)


@pytest.mark.parametrize("key", [KEY, b""], ids=["mptcp", "plain"])
def test_on_the_ports_of_an_aborted_one_that_was_read_back_a_new_session_begins(key: bytes) -> None:
    driver, session = read_back(key)
    driver.give(AbortSession(session.id))
    driver.syn(1, 1, capable(UE_LTE, 40_000, seq=FORGED))
    (begun,) = [subflow.session for subflow in driver.table.flows.values()]
    assert begun is not session
    driver.later(WAIT + 0.1)
    assert list(driver.table) == [begun]
