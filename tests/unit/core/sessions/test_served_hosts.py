"""Which addresses are known to be their hosts': those of sessions whose host was heard after the SYN."""

from dataclasses import replace

import pytest

from steering.core.inputs import Tick
from steering.core.sessions.served_hosts import ServedHosts
from steering.model.policy import Direction, Policy, PolicyRule, RuleConditions, Subscriber, Terms
from tests.support.sites import (
    SERVER,
    UE_LTE,
    Driver,
    answer,
    capable,
    handshake,
    nets,
    off_path_site,
    packed,
)
from tests.support.switched import V6

FROM_SERVERS = Policy(
    rules=(PolicyRule("in", RuleConditions(directions=frozenset({Direction.SERVER})), Terms()),)
)


def served(driver: Driver, *hosts: str) -> list[bool]:
    asked = ServedHosts(driver.engine.map, driver.table.heard)
    return [asked.has(packed(host)) for host in hosts]


def opened(driver: Driver, host: str, sport: int = 40000, heard: bool = True) -> None:
    """A session of IPv6 whose MCP answered, and whose host went on after that if it was `heard`."""
    opening = capable(host, sport, V6[SERVER])
    driver.syn(1, 1, opening)
    driver.syn_ack(3, 1, answer(opening, sport.to_bytes(8, "big")))
    if heard:
        (session,) = [one for one in driver.table if one.flow[1] == packed(host)]
        driver.life.heard(session)


def test_a_host_has_one_when_it_was_heard_after_its_syn_and_until_all_of_its_sessions_are_over() -> None:
    driver = Driver()
    driver.answered(sport=40001, key=b"\2" * 8)
    assert served(driver, UE_LTE) == [False]
    one, other = driver.session(), driver.session(sport=40002, key=b"\3" * 8)
    assert served(driver, UE_LTE, "10.1.0.3") == [True, False]
    driver.engine.sessions.teardown.end(one)
    assert served(driver, UE_LTE) == [True]
    driver.engine.sessions.teardown.end(other)
    assert served(driver, UE_LTE) == [False] and len(driver.table) == 1 and not len(driver.table.heard)


def test_forged_syns_that_nobody_acknowledges_take_no_host_from_the_served() -> None:
    driver = Driver()
    driver.session()
    for number in range(8):
        driver.answered(sport=41000 + number, key=bytes([number + 1]) * 8)
    while driver.table.half_open.size:
        assert served(driver, UE_LTE) == [True]
        driver.now += 0.5
        driver.give(Tick())
    assert served(driver, UE_LTE) == [True]


def test_a_servers_syn_to_a_host_serves_neither_until_the_host_answers() -> None:
    driver = Driver(policy=FROM_SERVERS)
    driver.syn(4, 1, handshake(SERVER, 40000, UE_LTE))
    (session,) = driver.table
    assert served(driver, UE_LTE, SERVER) == [False, False]
    driver.life.heard(session)
    assert served(driver, UE_LTE, SERVER) == [True, False]


def test_a_registered_subscribers_host_is_as_well() -> None:
    driver = Driver(policy=Policy(subscribers=(Subscriber("anna", prefixes=nets("10.1.0.0/28")),)))
    driver.session()
    assert served(driver, UE_LTE, "10.1.0.3") == [True, False]


@pytest.mark.parametrize("by_prefix", [False, True])
def test_ipv6_counts_by_address_or_where_the_network_binds_by_it_by_64(by_prefix: bool) -> None:
    site = off_path_site()
    lte = replace(
        site.access_networks[0], prefixes=nets("10.1.0.0/24", "fd00:1::/56"), binds_prefixes=by_prefix
    )
    driver = Driver(replace(site, access_networks=(lte, site.access_networks[1])))
    opened(driver, "fd00:1::2")
    opened(driver, "fd00:1:0:7::2", 40001, heard=False)
    hosts = ("fd00:1::2", "fd00:1::77", "fd00:1:0:7::2", "fd00:1:0:7::77")
    assert served(driver, *hosts) == [True, by_prefix, False, False]
