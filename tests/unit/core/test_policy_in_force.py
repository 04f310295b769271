"""Rules, limits, health and access information, as the engine applies them to handshakes."""

import sys
from ipaddress import ip_network

import pytest

from steering.core import inputs
from steering.core.counters import JoinResult
from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.inputs import FinSeen, Tick
from steering.core.outputs import RemoveEntries, SendFrame, Steer
from steering.core.packet_inputs import NeighbourSeen
from steering.model.network import NetworkAccessType, Trust
from steering.model.policy import (
    Action,
    Application,
    Mode,
    OverLimit,
    Policy,
    Pooling,
    Quotas,
    RefusalForm,
    RuleConditions,
    Subscriber,
    SubscriberClass,
    Terms,
    TimeWindow,
)
from steering.model.session import Refusal
from steering.wire.handshake import Kind
from tests.support.ruled import natural, ruled
from tests.support.sites import (
    SERVER,
    SYN_ACK,
    UE_LTE,
    UE_WLAN,
    Driver,
    answer,
    capable,
    handshake,
    join,
    refused,
    steered,
)

WEB = ((80, 80),)


@pytest.mark.row("D-3.2f", "S-22")
def test_the_first_rule_that_matches_decides_and_is_named():
    driver = Driver(
        policy=ruled(
            (RuleConditions(ports=WEB), Terms(action=Action.BYPASS)),
            (RuleConditions(destinations=(ip_network("10.9.0.66/32"),)), Terms(action=Action.DENY)),
            (RuleConditions(access_networks=frozenset({"lte"})), Terms(mcps=frozenset({"edge"}))),
            max_stretch=4.0,
        )
    )
    assert natural(driver.syn(1, 1, capable(UE_LTE, 1, dport=80)))
    assert refused(driver.syn(1, 1, capable(UE_LTE, 2, dst="10.9.0.66"))) == (3, False)
    driver.syn(1, 1, capable(UE_LTE, 3))
    (session,) = driver.table
    assert session.ruling.rule == "r2" and driver.engine.map.mcps[session.mcp].name == "edge"
    driver.syn(2, 1, capable(UE_WLAN, 4))
    assert [s.ruling.rule for s in driver.table] == ["r2", ""]


@pytest.mark.row("D-3.2c")
def test_rush_hour_begins_and_ends_with_the_clock():
    evening = TimeWindow(frozenset({1, 2, 3, 4, 5}), 17 * 60, 22 * 60)
    driver = Driver(policy=ruled((RuleConditions(times=(evening,)), Terms(mcps=frozenset({"edge"})))))

    def winner(day, hour, minute, sport):
        driver.give(inputs.TimeOfDay((day - 1) * 1440 + hour * 60 + minute))
        driver.syn(1, 1, capable(UE_LTE, sport))
        return driver.engine.map.mcps[list(driver.table)[-1].mcp].name

    assert winner(1, 16, 59, 1) == "core" and winner(1, 17, 0, 2) == "edge"
    assert winner(5, 21, 59, 3) == "edge" and winner(5, 22, 0, 4) == "core"
    assert winner(6, 18, 0, 5) == "core"


@pytest.mark.row("D-3.4b", "D-6.1a")
def test_transparent_mode_leaves_mptcp_to_the_ends():
    driver = Driver(policy=ruled((RuleConditions(), Terms(mode=Mode.TRANSPARENT))))
    assert natural(driver.syn(1, 1, capable(UE_LTE, 1))) and len(driver.table) == 0


@pytest.mark.row("D-3.4c", "D-3.4.0", "D-2.2", "D-2.4")
def test_hybrid_tries_a_server_once_on_the_natural_path_and_remembers():
    driver = Driver(policy=ruled((RuleConditions(), Terms(mode=Mode.HYBRID))))
    plain, able = capable(UE_LTE, 1), capable(UE_LTE, 2, dst="10.9.0.8")
    assert natural(driver.syn(1, 1, plain)) and natural(driver.syn(1, 1, able))
    driver.syn_ack(4, 1, answer(plain, b""))
    driver.syn_ack(4, 1, answer(able, b"12345678"))
    driver.syn_ack(4, 1, answer(capable(UE_LTE, 9, dst="10.9.0.9"), b""))  # nobody asked: not believed
    assert steered(driver.syn(1, 1, capable(UE_LTE, 3)))
    assert natural(driver.syn(1, 1, capable(UE_LTE, 4, dst="10.9.0.8")))
    assert natural(driver.syn(1, 1, capable(UE_LTE, 5, dst="10.9.0.9")))
    driver.now += driver.engine.policy.timers.capability + 1
    assert natural(driver.syn(1, 1, capable(UE_LTE, 6)))


@pytest.mark.row("S-22")
def test_a_join_is_of_its_sessions_mptcp_version():
    driver = Driver(
        policy=ruled((RuleConditions(mptcp_versions=frozenset({0})), Terms(action=Action.BYPASS)))
    )
    driver.session()
    assert steered(driver.syn(2, 1, join(UE_WLAN, 40001))).release.waypoint > 0


def limited(**quotas):
    return Driver(policy=Policy(quotas=Quotas(**quotas)))


@pytest.mark.row("D-6.3f", "D-6.4i", "N-7.2b")
@pytest.mark.parametrize(
    ("limit", "same", "other"),
    [
        ("sessions_per_subscriber", {"src": UE_LTE, "dst": "10.9.0.8"}, {"src": "10.1.0.3"}),
        ("sessions_per_server", {"src": "10.1.0.3"}, {"src": UE_LTE, "dst": "10.9.0.8"}),
        ("sessions_per_mcp", {"src": "10.1.0.3", "dst": "10.9.0.8"}, None),
    ],
)
def test_each_limit_counts_its_own_key_and_counts_down_again(limit, same, other):
    driver = limited(**{limit: 1})

    def open_(src, sport, dst=SERVER):
        return driver.syn(1, 1, capable(src, sport, dst))

    assert steered(open_(UE_LTE, 1))
    driver.syn_ack(3, 1, answer(capable(UE_LTE, 1)))
    assert natural(open_(same["src"], 2, same.get("dst", SERVER)))
    assert driver.counters.refusals[Refusal.SESSION_LIMIT] == 1
    assert str(driver.counters.last_full).endswith("1 by policy")
    if other is not None:
        assert steered(open_(other["src"], 3, other.get("dst", SERVER)))
    first = capable(UE_LTE, 1)
    for dpid, segment in ((3, first), (4, answer(first, b"")), (1, first), (3, answer(first, b""))):
        driver.give(FinSeen(dpid, 1, segment))
    driver.later(6)
    assert steered(open_(same["src"], 4, same.get("dst", SERVER)))


@pytest.mark.row("D-6.3f", "D-6.4i")
def test_the_least_limit_counts_and_the_refusal_names_it():
    policy = Policy(
        quotas=Quotas(sessions_per_subscriber=9),
        classes=(SubscriberClass("home", Quotas(sessions_per_subscriber=2)),),
        subscribers=(
            Subscriber("anna", "home", (ip_network("10.1.0.0/30"),)),
            Subscriber("bert", "home", (ip_network("10.1.0.4/30"),), Quotas(sessions_per_subscriber=1)),
        ),
        applications=(Application("web", WEB, quotas=Quotas(sessions_per_application=1)),),
        over_limit=OverLimit.REFUSE,
    )
    driver = Driver(policy=policy)
    assert steered(driver.syn(1, 1, capable("10.1.0.5", 1)))
    assert refused(driver.syn(1, 1, capable("10.1.0.6", 1))) == (2, True)
    assert str(driver.counters.last_full) == "subscriber bert: 1 by subscriber bert"
    assert steered(driver.syn(1, 1, capable("10.1.0.1", 1)))
    assert steered(driver.syn(1, 1, capable("10.1.0.2", 1)))
    assert refused(driver.syn(1, 1, capable("10.1.0.2", 2)))
    assert str(driver.counters.last_full) == "subscriber anna: 2 by class home"
    assert steered(driver.syn(1, 1, capable("10.1.0.9", 1, dport=80)))
    assert refused(driver.syn(1, 1, capable("10.1.0.10", 1, dport=80)))
    assert str(driver.counters.last_full) == "application web: 1 by application web"


def test_refusals_are_silent_where_the_policy_says_drop():
    driver = Driver(policy=ruled((RuleConditions(), Terms(action=Action.DENY)), refusal=RefusalForm.DROP))
    assert driver.syn(1, 1, capable(UE_LTE, 1)) == []


@pytest.mark.row("D-6.4.0", "D-6.4h", "N-5.3e")
def test_the_internet_side_opens_nothing_by_default():
    driver = Driver()
    session = driver.session()
    token = session.token.to_bytes(4, "big")
    assert refused(driver.syn(4, 1, capable("10.9.0.50", 1, dst="10.8.0.2"))) == (3, False)
    assert refused(driver.syn(4, 1, join("10.9.0.50", 2, token, dst="10.8.0.2"))) == (3, False)
    assert driver.counters.refusals == {Refusal.INTERNET_SIDE: 1, Refusal.THIRD_PARTY: 1}
    assert natural(driver.syn(4, 1, handshake("10.9.0.50", 3, dst=UE_LTE)))


@pytest.mark.row("D-6.2c", "D-6.4h")
def test_third_party_pooling_admits_joins_with_a_live_token_only():
    driver = Driver(policy=Policy(third_party_pooling=True))
    session = driver.session()
    token = session.token.to_bytes(4, "big")
    steer = steered(driver.syn(4, 1, join("10.9.0.50", 1, token)))
    assert steer.entries[0].dpid == 4 and steer.release.waypoint
    assert driver.syn(4, 1, join("10.9.0.50", 2, b"\0\1\2\3")) == []  # held, then dropped
    assert refused(driver.syn(4, 1, capable("10.9.0.50", 3, dst="10.8.0.2")))


@pytest.mark.row("D-6.3e")
def test_access_information_acts_on_the_joins_of_live_sessions():
    only_cellular = Pooling(allowed=frozenset({NetworkAccessType.CELLULAR}))
    driver = Driver(policy=ruled((RuleConditions(), Terms(pooling=only_cellular))))
    session = driver.session()
    token = session.token.to_bytes(4, "big")
    assert refused(driver.syn(2, 1, join(UE_WLAN, 1, token))) == (3, False)
    driver.give(inputs.AccessChanged("wlan", NetworkAccessType.CELLULAR, None))
    assert steered(driver.syn(2, 1, join(UE_WLAN, 2, token)))
    driver.give(inputs.AccessChanged("wlan", None, Trust.THIRD_PARTY))
    assert refused(driver.syn(2, 1, join(UE_WLAN, 3, token)))
    assert driver.counters.refusals == {Refusal.POOLING: 1, Refusal.THIRD_PARTY: 1}


def test_a_new_policy_leaves_live_sessions_and_rules_new_subflows_at_once():
    driver = Driver()
    session = driver.session()
    token = session.token.to_bytes(4, "big")
    pins = session.entries(3)
    wlan = RuleConditions(access_networks=frozenset({"wlan"}))
    outputs = driver.give(inputs.PolicyReplaced(ruled((wlan, Terms(action=Action.DENY)), version=2)))
    assert not [o for o in outputs if isinstance(o, Steer | RemoveEntries)]
    assert session.entries(3) == pins
    assert refused(driver.syn(2, 1, join(UE_WLAN, 1, token))) == (3, False)
    assert steered(driver.syn(1, 1, join("10.1.0.9", 1, token)))
    driver.give(inputs.PolicyReplaced(Policy(version=3)))
    assert steered(driver.syn(2, 1, join(UE_WLAN, 2, token)))
    assert driver.counters.joins[JoinResult.PINNED] == 2


@pytest.mark.row("D-6.7.1", "D-6.7.7")
def test_a_draining_mcp_keeps_its_sessions_and_gets_no_new_ones():
    driver = Driver()
    session = driver.session()
    core, edge = driver.site.mcps
    driver.give(inputs.McpAdmin(core.id, True))
    assert (
        steered(driver.syn(2, 1, join(UE_WLAN, 1))).release.waypoint == driver.engine.map.inside[core.id].id
    )
    assert driver.session(sport=5, key=b"abcdefgh").mcp == edge.id
    driver.give(inputs.McpAdmin(core.id, False))
    assert driver.session(sport=6, key=b"abcdefgi").mcp == core.id == session.mcp


@pytest.mark.row("D-6.7.1")
def test_a_dead_mcp_gets_nothing_and_is_believed_again_only_after_the_hold():
    driver = Driver()
    core, edge = driver.site.mcps
    driver.give(inputs.McpReport(core.id, True, 0.1))
    driver.give(inputs.McpReport(core.id, False, None))
    assert driver.session(sport=1, key=b"1" * 8).mcp == edge.id
    driver.give(inputs.McpReport(core.id, True, 0.1))
    assert driver.session(sport=2, key=b"2" * 8).mcp == edge.id
    driver.later(3.1)
    assert driver.session(sport=3, key=b"3" * 8).mcp == core.id
    driver.give(inputs.PortStatus(3, 1, False))
    assert driver.session(sport=4, key=b"4" * 8).mcp == edge.id


@pytest.mark.row("D-6.7.1")
def test_an_mcp_that_reported_and_is_silent_gets_nothing_and_is_believed_again_only_after_the_hold():
    driver = Driver()
    core, edge = driver.site.mcps
    driver.give(inputs.McpReport(core.id, True, 0.1))
    assert driver.session(sport=1, key=b"1" * 8).mcp == core.id
    for _ in range(61):  # 15 s of a controller that is never busy for long
        driver.later(0.25)
    assert driver.session(sport=2, key=b"2" * 8).mcp == edge.id  # which never reported: nobody probes it
    driver.give(inputs.McpReport(core.id, True, 0.1))
    assert driver.session(sport=3, key=b"3" * 8).mcp == edge.id
    driver.later(3.1)
    assert driver.session(sport=4, key=b"4" * 8).mcp == core.id


@pytest.mark.row("D-6.6.4")
def test_the_mcps_own_report_of_load_moves_new_sessions_while_it_is_fresh():
    driver = Driver()
    core, edge = driver.site.mcps
    driver.give(inputs.McpReport(core.id, True, 1.0))
    assert driver.session(sport=1, key=b"1" * 8).mcp == edge.id
    driver.later(11)
    assert driver.session(sport=2, key=b"2" * 8).mcp == core.id


def test_no_mcp_and_fail_closed_is_told_as_a_lack_of_resources():
    from steering.model.policy import Fallback

    driver = Driver(policy=Policy(fallback=Fallback.FAIL_CLOSED))
    for one in driver.site.mcps:
        driver.give(inputs.McpAdmin(one.id, True))
    assert refused(driver.syn(1, 1, capable(UE_LTE, 1))) == (2, True)


def test_server_answers_come_only_from_gateway_ports():
    driver = Driver(policy=ruled((RuleConditions(), Terms(mode=Mode.HYBRID))))
    opening = capable(UE_LTE, 1)
    driver.syn(1, 1, opening)
    driver.give(inputs.SynAckSeen(2, 1, answer(opening, b"")._replace(flags=SYN_ACK, kind=Kind.PLAIN)))
    assert len(driver.engine.sessions.capabilities) == 0
    assert not [o for o in driver.give(Tick()) if isinstance(o, SendFrame) and o.frame[:6] == b""]


@pytest.mark.row("D-6.7.1", "D-6.6.4")
def test_an_mcp_that_stops_answering_is_left_out_within_four_seconds():
    driver = Driver()
    core, edge = driver.site.mcps
    assert driver.session(sport=1, key=b"1" * 8).mcp == core.id
    driver.now += 4
    driver.give(NeighbourSeen(5, 1, edge.addresses[0].packed, b"\2\0\0\0\0\5"))
    driver.give(Tick())
    assert driver.session(sport=2, key=b"2" * 8).mcp == edge.id
    driver.later(1)
    assert driver.session(sport=3, key=b"3" * 8).mcp == core.id


@pytest.mark.row("D-6.6.2")
def test_a_busy_link_is_felt_to_be_longer_by_new_sessions():
    driver = Driver(policy=Policy(max_stretch=9, hysteresis=0.0))
    core, edge = driver.site.mcps

    def winners(first):  # from the WLAN both MCPs are equally far: s2, s4, then s3 or s5
        for sport in range(first, first + 20):
            driver.syn(2, 1, capable(UE_WLAN, sport))
        return {s.mcp for s in list(driver.table)[-20:]}

    assert winners(1) == {core.id, edge.id}
    driver.give(inputs.PortLoad(4, 2, 0.7))  # s4 -> s3
    assert winners(100) == {edge.id}
    driver.give(inputs.PortLoad(4, 2, 0.1))
    assert core.id in winners(200)
    driver.give(inputs.PortLoad(4, 1, 0.9))  # an attachment is no link
    assert core.id in winners(300)


@pytest.mark.row("D-6.6.4")
def test_a_full_port_of_an_mcp_counts_as_its_load():
    driver = Driver()
    edge = driver.site.mcps[1]
    driver.give(inputs.PortLoad(3, 1, 1.0))
    driver.give(Tick())
    assert driver.session(sport=1, key=b"1" * 8).mcp == edge.id


def test_link_cost_grows_with_utilisation_as_fortz_and_thorup_have_it():
    from steering.core.network.link_cost import slope

    assert [slope(u) for u in (0.0, 0.34, 0.7, 0.95, 1.05, 2.0)] == [1.0, 3.0, 10.0, 70.0, 500.0, 5000.0]


@pytest.mark.row("N-5.6.3a")
def test_rules_see_the_dscp_of_the_first_syn_in_both_families():
    from steering.core.selection.chooser import dscp_of

    driver = Driver(policy=ruled((RuleConditions(dscp=frozenset({46})), Terms(action=Action.BYPASS))))
    opening = capable(UE_LTE, 1)
    plain = bytearray(driver.frame(opening))
    marked = bytes(plain[:15]) + bytes([46 << 2 | 1]) + bytes(plain[16:])
    assert natural(driver.give(inputs.SynSeen(1, 1, opening, marked)))
    assert steered(driver.give(inputs.SynSeen(1, 1, opening._replace(sport=2), bytes(plain))))
    six = bytearray(driver.frame(capable("fd00:1::2", 1, dst="fd00:9::2")))
    six[14] |= 46 >> 2
    six[15] |= (46 & 3) << 6
    assert (dscp_of(bytes(six)), dscp_of(bytes(plain)), dscp_of(b"")) == (46, 0, 0)


def test_a_policy_for_all_ports_lists_none() -> None:
    in_force = PolicyInForce(Driver().engine.map, Policy())
    assert in_force.eligible(1) and in_force.eligible(65_535) and not in_force.eligible(0)
    assert sys.getsizeof(in_force.ports) < 1_000, "a set of 65,535 takes 5 ms to make, for which all wait"
    in_force.policy_replaced(Policy(eligible_ports=((80, 80), (1_000, 1_002))), 1.0)
    assert [port for port in range(1, 2_000) if in_force.eligible(port)] == [80, 1_000, 1_001, 1_002]
