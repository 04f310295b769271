"""What a site file without mistakes becomes."""

from ipaddress import ip_address, ip_network

import pytest

from steering.model.network import (
    Interception,
    Link,
    McpType,
    NetworkAccessType,
    PortRef,
    Site,
    Trust,
    VirtualAddress,
    mcp_id,
    waypoints,
)
from steering.model.source import TRANSPARENT
from steering.policy import parse_site


def site_of(text: str) -> Site:
    site, findings = parse_site(text, "site.yaml")
    assert [str(f) for f in findings] == []
    assert site is not None
    return site


@pytest.mark.row("D-6.3e")
def test_access_networks(good: str) -> None:
    lte, wlan = site_of(good).access_networks
    assert (lte.name, lte.type, lte.trust) == ("lte", NetworkAccessType.CELLULAR, Trust.OPERATOR)
    assert (wlan.type, wlan.trust) == (NetworkAccessType.WLAN, Trust.THIRD_PARTY)
    assert lte.prefixes == (ip_network("10.1.0.0/24"), ip_network("fd00:1::/64"))
    assert lte.ports == (PortRef(1, 1),)
    assert lte.gateways == (ip_address("10.1.0.1"), ip_address("fd00:1::1"))


def test_mcp_defaults(good: str) -> None:
    (core,) = site_of(good).mcps
    assert core.type is McpType.OFF_PATH
    assert core.interception is Interception.STEERED
    assert core.inside == core.outside == PortRef(3, 1)
    assert core.gateways == (ip_address("10.8.0.1"), ip_address("fd00:8::1"))
    assert core.source_modes == TRANSPARENT
    assert core.capacity_sessions == 10_000
    assert core.tcp_ports == ((1, 65535),)


def test_in_line_mcp(good: str) -> None:
    text = good.replace(
        "port: s3:1,",
        "ports: {inside: s3:1, outside: s3:2}, interception: self, tcp_ports: [443, 8000-8010, 8005-8020, 444],",
    )
    site = site_of(text)
    assert (site.mcps[0].inside, site.mcps[0].outside) == (PortRef(3, 1), PortRef(3, 2))
    assert site.mcps[0].interception is Interception.SELF
    assert site.mcps[0].tcp_ports == ((443, 444), (8000, 8020))
    assert len(waypoints(site)) == 5


def test_without_links_they_are_discovered(good: str) -> None:
    site = site_of(good)
    assert site.discover and site.links == ()
    assert site.switches == {"s1": 1, "s2": 2, "s3": 3, "s4": 4}


LINKS = """\
links:
  - {ports: [s1:3, s3:3], weight: 2.5}
  - {ports: [s2:3, s3:4]}
  - {ports: [s4:3, s3:5]}
"""


def test_static_links_turn_discovery_off(good: str) -> None:
    site = site_of(good + LINKS)
    assert not site.discover
    assert site.links[0] == Link(PortRef(1, 3), PortRef(3, 3), 2.5)
    assert site.links[1].weight == 1.0
    assert site_of(good + LINKS + "discover: true\n").discover


@pytest.mark.parametrize(
    ("written", "dpid"),
    [
        ("7", 7),
        ("0x1f", 31),
        ('"1f"', 31),
        ("0000000000000010", 16),  # YAML 1.1 would read octal 8
        ("1234567890123456", 0x1234567890123456),  # sixteen digits, as ovs-ofctl prints them
        ('"00:00:00:00:00:00:00:ff"', 255),
        ("ffffffffffffffff", 2**64 - 1),
    ],
)
def test_switch_numbers(good: str, written: str, dpid: int) -> None:
    site = site_of(good.replace("s3:1", "core-sw:20") + f"switches: {{core-sw: {written}}}\n")
    assert site.mcps[0].inside == PortRef(dpid, 20)
    assert site.switch_name(dpid) == "core-sw"


def test_a_named_switch_may_take_an_s_name(good: str) -> None:
    assert site_of(good + "switches: {s1: 0x11}\n").access_networks[0].ports == (PortRef(0x11, 1),)


def test_words_of_yaml_1_1_are_text(good: str) -> None:
    assert site_of(good.replace("name: core", "name: no")).mcps[0].name == "no"


def test_given_gateways_are_in_the_prefixes_order(good: str) -> None:
    text = good.replace("ports: [s1:1]", 'gateways: ["fd00:1::fe", 10.1.0.254], ports: [s1:1]')
    assert site_of(text).access_networks[0].gateways == (ip_address("10.1.0.254"), ip_address("fd00:1::fe"))


def test_default_route_contains_everything(good: str) -> None:
    new = 'prefixes: [0.0.0.0/0, "::/0"], gateways: [192.0.2.1, 2001:db8::1], next_hops: [192.0.2.254]'
    gateway = site_of(good.replace("prefixes: [10.9.0.0/24]", new)).gateways[0]
    assert gateway.prefixes == (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert gateway.gateways == (ip_address("192.0.2.1"), ip_address("2001:db8::1"))
    assert gateway.next_hops == (ip_address("192.0.2.254"),)


def test_a_link_local_next_hop_names_its_port(good: str) -> None:
    new = 'prefixes: ["::/0"], gateways: [2001:db8::1], next_hops: ["fe80::1%s4:1", 2001:db8::2]'
    gateway = site_of(good.replace("prefixes: [10.9.0.0/24]", new)).gateways[0]
    assert gateway.next_hops == (ip_address("2001:db8::2"),)
    assert gateway.link_hops == ((gateway.ports[0], ip_address("fe80::1%s4:1")),)


def test_prefixes_side_by_side_do_not_overlap(good: str) -> None:
    text = good.replace("[10.2.0.0/24]", "[10.1.1.0/24, 10.0.255.0/24, 10.1.128.0/17]")
    assert len(site_of(text).access_networks[1].prefixes) == 3


def test_two_mcps_may_share_a_neighbourhood(good: str) -> None:
    second = "  - {name: two, type: on-path, port: s5:1, addresses: [10.8.0.3], source_mode: transparent}\n"
    assert site_of(good + second).mcps[1].gateways == (ip_address("10.8.0.1"),)


@pytest.mark.row("N-5.2.1b")
def test_a_virtual_address_has_mcps_and_a_port_or_all(good: str) -> None:
    more = "virtual_addresses:\n  - {address: 10.8.9.9, mcps: core, port: 8803}\n  - {address: 10.1.0.99, mcps: [core]}\n"
    site = site_of(good + more)
    owner = (mcp_id("core"),)
    assert site.virtual == (
        VirtualAddress(ip_address("10.8.9.9"), owner, 8803),
        VirtualAddress(ip_address("10.1.0.99"), owner, None),
    )
