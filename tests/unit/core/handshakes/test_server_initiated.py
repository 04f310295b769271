"""Sessions that a server opens towards a host, and joins that the MCP opens."""

from dataclasses import replace

import pytest

from steering.core.counters import JoinResult
from steering.core.handshakes.server_sessions import WAIT
from steering.core.inputs import FinSeen, ObservedEntry, SynSeen, WatchedSeen
from steering.core.outputs import Release
from steering.model.network import PortRole
from steering.model.policy import (
    Action,
    Direction,
    Limits,
    Policy,
    PolicyRule,
    RuleConditions,
    Terms,
)
from steering.model.rules import VIRTUAL_MAC, PacketClass
from steering.model.session import Refusal, SessionState, Watch
from steering.wire.crypto import token
from steering.wire.handshake import Kind
from steering.wire.mptcp import MpCapable
from tests.support.fakes.packet import SYN, tcp
from tests.support.sites import (
    KEY,
    SERVER,
    SYN_ACK,
    TOKEN,
    UE_LTE,
    UE_WLAN,
    Driver,
    answer,
    handshake,
    join,
    steered,
)
from tests.support.switched import MCP_MAC, Lab
from tests.support.wired import HOST_KEY, Wired

FROM_SERVERS = Policy(
    rules=(PolicyRule("in", RuleConditions(directions=frozenset({Direction.SERVER})), Terms()),)
)
OPENING = handshake(SERVER, 40000, UE_LTE)
MCP_ADDRESS = "10.8.0.2"


@pytest.fixture
def driver() -> Driver:
    return Driver(policy=FROM_SERVERS)


def answered(driver: Driver, key: bytes = KEY):
    """The host's SYN/ACK, as the return's entry shows it."""
    said = answer(OPENING, key)
    return driver.give(WatchedSeen(1, 1, said, driver.frame(said)))


def opened(driver: Driver):
    driver.syn(4, 1, OPENING)
    (session,) = driver.table
    answered(driver)
    return session


@pytest.mark.row("S-20")
def test_a_servers_connection_is_led_to_an_mcp_and_the_hosts_answers_too(driver: Driver) -> None:
    out = steered(driver.syn(4, 1, OPENING))
    places = driver.engine.map
    core = next(m for m in driver.site.mcps if m.name == "core")
    assert {(e.dpid, e.role, e.waypoint, e.watch) for e in out.entries} == {
        (4, PortRole.GATEWAY, places.outside[core.id].id, Watch.NOTHING),
        (1, PortRole.ACCESS, places.inside[core.id].id, Watch.COPY),
    }
    assert out.release is not None and out.release.waypoint == places.outside[core.id].id


@pytest.mark.row("S-20")
def test_the_token_is_that_of_the_hosts_key_and_watching_ends_with_it(driver: Driver) -> None:
    driver.syn(4, 1, OPENING)
    out = steered(answered(driver))
    (session,) = driver.table
    assert session.token == int.from_bytes(TOKEN, "big") and session.state is SessionState.ESTABLISHED
    assert [e.watch for e in out.entries] == [Watch.NOTHING] * 2
    assert answered(driver) == []


def test_a_host_without_mptcp_is_served_as_plain_tcp(driver: Driver) -> None:
    driver.syn(4, 1, OPENING)
    assert len(steered(answered(driver, b"")).entries) == 2
    (session,) = driver.table
    assert session.state is SessionState.PLAIN


@pytest.mark.row("S-20")
def test_the_mcps_own_join_is_the_sessions(driver: Driver) -> None:
    session = opened(driver)
    seen = join(MCP_ADDRESS, 7777, dst=UE_WLAN)
    assert driver.syn(3, 1, seen) == []  # a copy: it went on by itself
    assert driver.syn(3, 1, seen) == []
    assert len(session.subflows) == 2 and driver.counters.joins[JoinResult.REVERSE] == 1
    assert session.subflows[1].flow[1:3] == (seen.dst, seen.src)
    driver.syn(3, 1, join(MCP_ADDRESS, 7778, b"\1\2\3\4", dst=UE_WLAN))
    assert driver.counters.joins[JoinResult.REVERSE_UNKNOWN] == 0
    driver.later(WAIT + 0.1)
    assert driver.counters.joins[JoinResult.REVERSE_UNKNOWN] == 1
    assert driver.syn(5, 1, join("10.8.1.2", 7779, dst=UE_WLAN)) == []  # another MCP's: not of this session
    assert len(session.subflows) == 2


@pytest.mark.row("S-20")
def test_an_mcps_join_that_comes_before_the_hosts_answer_waits_for_its_token(driver: Driver) -> None:
    driver.syn(4, 1, OPENING)
    (session,) = driver.table
    seen = join(MCP_ADDRESS, 7777, dst=UE_WLAN)
    assert driver.syn(3, 1, seen) == driver.syn(3, 1, seen) == []
    driver.syn(5, 1, join("10.8.1.2", 7779, dst=UE_WLAN))  # another MCP's with the same token
    answered(driver)
    assert [one.flow[1:3] for one in session.subflows[1:]] == [(seen.dst, seen.src)]
    assert driver.counters.joins[JoinResult.REVERSE] == 1
    driver.later(WAIT + 0.1)
    assert driver.counters.joins[JoinResult.REVERSE_UNKNOWN] == 1


def test_joins_of_mcps_that_wait_for_a_token_are_bounded() -> None:
    driver = Driver(policy=replace(FROM_SERVERS, limits=Limits(held_joins=8)))
    for port in range(20):
        driver.syn(3, 1, join(MCP_ADDRESS, 7000 + port, b"\1\2\3\4", dst=UE_WLAN))
    assert driver.counters.joins[JoinResult.REVERSE_UNKNOWN] >= 12


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(rules=(PolicyRule("all", RuleConditions(), Terms()),)),
        Policy(
            rules=(
                PolicyRule(
                    "no", RuleConditions(directions=frozenset({Direction.SERVER})), Terms(Action.BYPASS)
                ),
            )
        ),
    ],
)
def test_without_a_rule_for_servers_their_connections_are_left_alone(policy: Policy) -> None:
    driver = Driver(policy=policy)
    (out,) = driver.syn(4, 1, OPENING)
    assert isinstance(out, Release) and len(driver.table) == 0


def test_a_servers_own_mptcp_and_connections_to_nobodys_host_are_left_alone(driver: Driver) -> None:
    for seen in (OPENING._replace(kind=Kind.CAPABLE, version=1), handshake(SERVER, 1, "10.9.0.77")):
        (out,) = driver.syn(4, 1, seen)
        assert isinstance(out, Release)
    assert len(driver.table) == 0


def test_fins_on_both_legs_end_it(driver: Driver) -> None:
    session = opened(driver)
    back = answer(OPENING)._replace(flags=0x11)
    there = OPENING._replace(flags=0x11)
    for dpid, seen in ((4, there), (3, back), (3, there), (1, back)):
        driver.give(FinSeen(dpid, 1, seen))
    driver.later(10.0)
    assert session.id not in driver.table.by_id


def test_it_is_read_back_from_switches(driver: Driver) -> None:
    session = opened(driver)
    entries = session.entries(PortRole.GATEWAY)
    later = Driver(policy=FROM_SERVERS)
    for dpid in (4, 1):
        later.engine._unread.add(dpid)
        later.up(dpid, [ObservedEntry(e, 1) for e in entries if e.dpid == dpid])
    (found,) = later.table
    assert found.reverse and found.token == session.token
    assert sorted(found.entries(PortRole.GATEWAY)) == sorted(entries)


def test_switches_copy_an_mcps_join_and_what_the_return_shows() -> None:
    lab = Lab(policy=FROM_SERVERS)
    sent = tcp(MCP_ADDRESS, 7777, UE_WLAN, 5201, SYN, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)
    result = lab.send(3, 1, sent)
    assert [c.packet_class for c in result.copies] == [PacketClass.SYN] and len(result.deliveries) == 1
    # A leg towards a host in the server's name is no join of the MCP's own.
    sent = tcp(SERVER, 40000, UE_LTE, 5201, SYN, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)
    assert not lab.send(3, 1, sent).copies
    lab.steer(lab.syn(4, 1, OPENING))
    back = tcp(UE_LTE, 5201, SERVER, 40000, SYN_ACK, eth_src="02:00:00:00:00:01", eth_dst=VIRTUAL_MAC)
    result = lab.send(1, 1, back)
    assert [c.packet_class for c in result.copies] == [PacketClass.WATCHED]
    assert [(d.dpid, d.port) for d in result.deliveries] == [(3, 1)]


def test_a_repeated_syn_has_the_same_answer(driver: Driver) -> None:
    first = steered(driver.syn(4, 1, OPENING))
    here, far = driver.give(SynSeen(4, 1, OPENING, driver.frame(OPENING)))
    assert sorted(here.entries + far.entries) == sorted(first.entries) and len(driver.table) == 1
    assert (here.release, far.release) == (None, first.release)


def test_an_mcps_join_in_a_hosts_own_session_is_known_where_keys_are_kept() -> None:
    lab = Wired(policy=Policy(keep_keys=True))
    session = lab.established()
    lab.syn(3, 1, join(MCP_ADDRESS, 7777, token(1, HOST_KEY), dst=UE_WLAN))
    assert len(session.subflows) == 2 and lab.counters.joins[JoinResult.REVERSE] == 1
    lab.apply(lab.engine.sessions.teardown.end(session))
    assert lab.table.with_host_token(int.from_bytes(token(1, HOST_KEY), "big")) == []


@pytest.mark.row("S-20")
@pytest.mark.parametrize("ack_first", [False, True], ids=["third ACK last", "SYN/ACK last"])
def test_an_mcps_join_that_comes_before_the_hosts_key_waits_for_it(ack_first: bool) -> None:
    """The key of a host that opened a session is shown by its third ACK; the copy of the SYN/ACK may come after that."""
    lab = Wired(policy=Policy(keep_keys=True))
    lab.upward(UE_LTE, 40_000, MpCapable(1).encode(), flags=SYN)
    (session,) = lab.table
    lab.syn(3, 1, join(MCP_ADDRESS, 7777, token(1, HOST_KEY), dst=UE_WLAN))
    steps = [
        lambda: lab.downward(UE_LTE, 40_000, MpCapable(1, lab.mcp_key).encode()),
        lab.third_ack,
    ]
    for step in reversed(steps) if ack_first else steps:
        assert len(session.subflows) == 1
        step()
    assert len(session.subflows) == 2 and lab.counters.joins[JoinResult.REVERSE] == 1
    lab.apply(lab.later(WAIT + 0.1))
    assert not lab.counters.joins[JoinResult.REVERSE_UNKNOWN]


def test_a_host_that_chooses_a_key_with_a_victims_token_does_not_make_the_victims_joins_ambiguous() -> None:
    lab = Wired(policy=Policy(keep_keys=True))
    rogue = lab.established()
    twin = token(1, HOST_KEY)  # of the rogue's own key, and of the key of the victim's MCP
    victim = lab.session("10.1.0.9", 41_000, HOST_KEY)
    assert rogue.host_token == victim.token == int.from_bytes(twin, "big")
    lab.syn(2, 1, join(UE_WLAN, 41_001, twin))
    assert len(victim.subflows) == 2 and len(rogue.subflows) == 1
    assert not lab.counters.refusals[Refusal.AMBIGUOUS_TOKEN]
    lab.syn(3, 1, join(MCP_ADDRESS, 7777, twin, dst=UE_WLAN))
    assert len(victim.subflows) == 2 and len(rogue.subflows) == 2, "the MCP's own join is its host's"


def test_nor_does_one_that_answers_a_server_with_such_a_key(driver: Driver) -> None:
    rogue = opened(driver)
    victim = driver.session("10.1.0.9", 41_000, KEY)
    assert rogue.reverse and rogue.token == victim.token
    driver.syn(2, 1, join(UE_WLAN, 41_001, dst=MCP_ADDRESS))  # neither server nor host tells the two apart
    assert len(victim.subflows) == 2 and len(rogue.subflows) == 1
    driver.syn(3, 1, join(MCP_ADDRESS, 7777, dst=UE_WLAN))
    assert len(victim.subflows) == 2 and len(rogue.subflows) == 2
