"""Explicit mode (N-5.2.1): hosts that address an MCP, or an address that several stand behind."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from steering.core.inputs import FinSeen, Tick
from steering.core.outputs import NATURAL, Release, Steer
from steering.model.network import NetworkAccessType, VirtualAddress
from steering.model.numbers import stable_id
from steering.model.policy import Action, Limits, Policy, PolicyRule, Pooling, RuleConditions, Terms, Weights
from steering.model.rules import VIRTUAL_MAC, PacketClass
from steering.model.session import Refusal, SessionState
from tests.support.fakes.packet import ACK, SYN, arp_request, tcp
from tests.support.sites import (
    TOKEN,
    UE_LTE,
    UE_WLAN,
    Driver,
    answer,
    capable,
    join,
    off_path_site,
    refused,
    steered,
)
from tests.support.switched import MCP_MAC, UE_MAC, Lab

CORE, EDGE, SHARED, SHARED_V6 = "10.8.0.2", "10.8.1.2", "10.8.9.9", "fd00:8:9::9"
CONVERT = 8803


def virtual_site(**changes):
    ids = (stable_id("core"), stable_id("edge"))
    both = tuple(VirtualAddress(ip_address(a), ids, CONVERT) for a in (SHARED, SHARED_V6))
    return off_path_site(virtual=both, **changes)


def open_to(driver: Driver, address: str, sport: int = 40000, place: tuple[int, int] = (3, 1), **more):
    """SYN and SYN/ACK of a host that addresses an MCP; what became of the SYN, and the session."""
    opening = capable(UE_LTE, sport, address, dport=CONVERT)
    outputs = driver.syn(1, 1, opening)
    answered = driver.syn_ack(*place, answer(opening, **more))
    (session,) = [s for s in driver.table if s.first[-4:-2] == sport.to_bytes(2, "big")]
    return outputs, session, answered


@pytest.mark.row("N-5.2.1c")
def test_a_host_that_addresses_its_mcp_has_a_record_and_no_entry():
    driver = Driver(policy=Policy(eligible_ports=((5201, 5201),)))
    (release,), session, answered = open_to(driver, CORE)
    assert isinstance(release, Release) and release.waypoint == NATURAL
    assert all(not o.entries for o in answered) and session.entries(3) == ()
    assert session.state is SessionState.ESTABLISHED and session.token == int.from_bytes(TOKEN, "big")
    assert session.mcp == stable_id("core") and session.ruling.reason == "addressed"


@pytest.mark.row("N-5.2.1c", "N-5.2.2d")
def test_its_joins_are_checked_by_token_and_have_no_entry_either():
    driver = Driver()
    open_to(driver, CORE)
    (release,) = driver.syn(2, 1, join(UE_WLAN, 40001, dst=CORE))
    assert isinstance(release, Release) and release.waypoint == NATURAL
    assert driver.syn(2, 1, join(UE_WLAN, 40002, b"\1\2\3\4", dst=CORE)) == []
    driver.later(0.3)
    assert [o for o in driver.give(Tick()) if isinstance(o, Steer | Release)] == []
    assert driver.counters.refusals[Refusal.UNKNOWN_TOKEN] == 1
    assert refused(driver.syn(2, 1, join(UE_WLAN, 40003, dst=EDGE)))
    assert driver.counters.refusals[Refusal.WRONG_MCP_ADDRESS] == 1


@pytest.mark.row("N-5.2.1c")
@pytest.mark.parametrize("address", [CORE, SHARED])
def test_a_network_that_steers_nothing_lets_joins_to_an_addressed_mcp_pass(address):
    bypass = PolicyRule("nobody", RuleConditions(), Terms(action=Action.BYPASS))
    driver = Driver(virtual_site(), policy=Policy(rules=(bypass,)))
    open_to(driver, address)
    (output,) = driver.syn(2, 1, join(UE_WLAN, 40001, dst=address))
    assert isinstance(output, Release if address == CORE else Steer)
    deny = PolicyRule(
        "not-here", RuleConditions(sources=(ip_network(f"{UE_WLAN}/32"),)), Terms(action=Action.DENY)
    )
    driver = Driver(virtual_site(), policy=Policy(rules=(deny,)))
    open_to(driver, address)
    assert refused(driver.syn(2, 1, join(UE_WLAN, 40001, dst=address)))


def test_an_early_join_to_the_mcp_waits_for_its_token():
    driver = Driver()
    opening = capable(UE_LTE, 40000, CORE, dport=CONVERT)
    driver.syn(1, 1, opening)
    assert driver.syn(2, 1, join(UE_WLAN, 40001, dst=CORE)) == []
    *_, release = driver.syn_ack(3, 1, answer(opening))
    assert isinstance(release, Release) and release.dpid == 2


def test_nobody_but_the_mcp_that_was_addressed_teaches_its_token():
    driver = Driver()
    _, session, _ = open_to(driver, CORE, place=(5, 1))
    assert session.token < 0 and session.state is SessionState.SYN_PINNED


def test_policy_denies_and_limits_explicit_sessions_too():
    deny = PolicyRule("no", RuleConditions(), Terms(action=Action.DENY))
    assert refused(Driver(policy=Policy(rules=(deny,))).syn(1, 1, capable(UE_LTE, 1, CORE))) == (3, False)
    # What else a rule says of steering is no matter: the host has chosen.
    bypass = PolicyRule("past", RuleConditions(), Terms(action=Action.BYPASS, mcps=frozenset({"edge"})))
    driver = Driver(policy=Policy(rules=(bypass,), max_stretch=1.0))
    assert open_to(driver, CORE)[1].mcp == stable_id("core")
    full = Driver(policy=Policy(limits=Limits(sessions=1)))
    open_to(full, CORE)
    (release,) = full.syn(1, 1, capable(UE_LTE, 40009, CORE))
    assert release.waypoint == NATURAL and len(full.table) == 1
    assert full.counters.refusals[Refusal.SESSION_TABLE_FULL] == 1


def test_a_rules_pooling_holds_for_explicit_sessions():
    only = PolicyRule(
        "cellular", RuleConditions(), Terms(pooling=Pooling(allowed=frozenset({NetworkAccessType.CELLULAR})))
    )
    driver = Driver(policy=Policy(rules=(only,)))
    open_to(driver, CORE)
    assert refused(driver.syn(2, 1, join(UE_WLAN, 40001, dst=CORE)))  # both accesses of this site are WLAN
    assert driver.counters.refusals[Refusal.POOLING] == 1


def test_fins_end_an_explicit_session_without_a_flow_mod():
    driver = Driver()
    opening = capable(UE_LTE, 40000, CORE, dport=CONVERT)
    _, session, _ = open_to(driver, CORE)
    driver.give(FinSeen(1, 1, opening._replace(flags=0x11)))
    driver.give(FinSeen(3, 1, answer(opening)._replace(flags=0x11)))
    assert session.state is SessionState.CLOSING
    assert not [o for o in driver.later(6) if hasattr(o, "entries")]
    assert session.state is SessionState.LINGER


@pytest.mark.row("N-5.2.1c")
def test_syns_to_an_mcp_are_punted_whatever_their_port():
    lab = Lab(policy=Policy(eligible_ports=((5201, 5201),)))
    for address in (CORE, "fd00:8::2"):
        source = UE_LTE if "." in address else "fd00:1::2"
        packet = tcp(source, 1, address, CONVERT, SYN, eth_src=UE_MAC, eth_dst=VIRTUAL_MAC)
        (copy,) = lab.send(1, 1, packet).copies
        assert copy.packet_class is PacketClass.SYN
        later = tcp(source, 1, address, CONVERT, ACK, eth_src=UE_MAC, eth_dst=VIRTUAL_MAC)
        assert not lab.send(1, 1, later).copies


def chosen(driver: Driver, sport: int, address: str = SHARED, source: str = UE_LTE) -> int:
    steer = steered(driver.syn(1, 1, capable(source, sport, address, dport=CONVERT)))
    (entry,) = steer.entries
    assert entry.waypoint == steer.release.waypoint and entry.dpid == 1
    return entry.waypoint


@pytest.mark.row("N-5.2.1b")
def test_behind_a_virtual_address_the_controller_chooses_and_pins():
    by_load = Policy(hysteresis=0.0, weights=Weights(location=0.0, type=0.0, load=1.0))
    driver = Driver(virtual_site(), by_load)
    inside: dict[int, int] = {w.id: i for i, w in driver.engine.map.inside.items()}
    served = {inside[chosen(driver, sport)] for sport in range(40000, 40040)}
    assert served == {stable_id("core"), stable_id("edge")}, "load turns the choice"
    assert chosen(driver, 50000, SHARED_V6, "fd00:1::2") in inside


@pytest.mark.row("N-5.2.1b")
def test_a_rule_narrows_those_behind_a_virtual_address_and_cannot_leave_none():
    for named, wanted in (({"edge"}, {"edge"}), ({"elsewhere"}, {"core", "edge"})):
        rule = PolicyRule("only", RuleConditions(), Terms(mcps=frozenset(named)))
        driver = Driver(virtual_site(), Policy(rules=(rule,), hysteresis=0.0))
        inside: dict[int, int] = {w.id: i for i, w in driver.engine.map.inside.items()}
        served = {inside[chosen(driver, sport)] for sport in range(40000, 40020)}
        assert served <= {stable_id(name) for name in wanted}


@pytest.mark.row("D-6.2c")
def test_joins_to_a_virtual_address_go_to_the_sessions_mcp():
    driver = Driver(virtual_site())
    opening = capable(UE_LTE, 40000, SHARED, dport=CONVERT)
    steer = steered(driver.syn(1, 1, opening))
    (session,) = driver.table
    place = driver.engine.map.inside[session.mcp].port
    driver.syn_ack(place.dpid, place.port, answer(opening))
    driver.table.active[session.mcp] = 10_000
    joined = steered(driver.syn(2, 1, join(UE_WLAN, 40001, dst=SHARED, dport=CONVERT)))
    assert joined.release.waypoint == steer.release.waypoint and session.returns == ()
    assert driver.syn(2, 1, join(UE_WLAN, 40002, b"\1\2\3\4", dst=SHARED)) == []


def test_another_port_of_a_virtual_address_is_left_to_routing():
    driver = Driver(virtual_site())
    (release,) = driver.syn(1, 1, capable(UE_LTE, 1, SHARED, dport=80))
    assert release.waypoint == NATURAL and len(driver.table) == 0


def test_a_default_route_does_not_make_a_virtual_address_a_server():
    site = virtual_site()
    (gateway,) = site.gateways
    everything = replace(gateway, prefixes=tuple(p.supernet(new_prefix=0) for p in gateway.prefixes))
    driver = Driver(replace(site, gateways=(everything,)))
    assert chosen(driver, 1)


def test_only_its_owners_may_source_a_virtual_address():
    ids = (stable_id("edge"),)
    one = off_path_site(virtual=(VirtualAddress(ip_address(SHARED), ids),))
    for site, may in ((virtual_site(), True), (one, False)):
        lab = Lab(site)
        packet = tcp(SHARED, CONVERT, UE_LTE, 4711, ACK, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)
        assert bool(lab.send(3, 1, packet).deliveries) is may
        for dpid in (1, 4):
            assert not lab.send(dpid, 1, packet).deliveries


def test_a_virtual_address_on_an_access_link_is_answered_by_entries():
    ids = (stable_id("core"), stable_id("edge"))
    lab = Lab(off_path_site(virtual=(VirtualAddress(ip_address("10.1.0.99"), ids),)))
    (answered,) = lab.send(1, 1, arp_request(UE_MAC, UE_LTE, "10.1.0.99")).deliveries
    assert (answered.packet.arp_spa, answered.packet.arp_op) == ("10.1.0.99", 2)
    assert not lab.send(1, 1, arp_request(UE_MAC, UE_LTE, "10.1.0.98")).deliveries
