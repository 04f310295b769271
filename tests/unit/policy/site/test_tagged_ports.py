"""Attachments that are a port and a tag, or two, in a site file."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from steering.model.network import FIRST_TAGGED, MOST_TAGGED, PortRef, Site, occupied_ports, waypoints
from steering.model.numbers import stable_id
from steering.policy import Code, Finding, parse_site

SITE = """\
site: 1
access_networks:
  - {name: lte, type: cellular, trust: operator, prefixes: [10.1.0.0/24], ports: ["s1:1.20"]}
  - {name: wlan, type: wlan, trust: operator, prefixes: [10.2.0.0/24], ports: ["s1:1.30.7", s1:2]}
gateways: [{name: internet, prefixes: [0.0.0.0/0], ports: ["s4:1.100"], gateways: [10.9.0.1]}]
mcps:
  - {name: core, type: off-path, port: "s1:1.40", addresses: [10.8.0.2], source_mode: transparent,
     capacity: {sessions: 10}}
"""


def read(change: Callable[[dict[str, Any]], object] | None = None) -> tuple[Site | None, list[Finding]]:
    data = yaml.safe_load(SITE)
    if change is not None:
        change(data)
    return parse_site(yaml.safe_dump(data), "site.yaml")


def test_each_tag_of_a_port_is_a_port_of_its_own() -> None:
    site, findings = read()
    assert site is not None and [str(found) for found in findings] == []
    (lte,), (inner, plain) = (access.ports for access in site.access_networks)
    mcp, (up,) = site.mcps[0].inside, site.gateways[0].ports
    assert [str(p) for p in (lte, inner, plain, mcp, up)] == [
        "1:1.20",
        "1:1.30.7",
        "1:2",
        "1:1.40",
        "4:1.100",
    ]
    assert plain == PortRef(plain.dpid, plain.port) and plain.line is None
    numbers = [port.port for port in (lte, inner, mcp)]
    assert len(set(numbers)) == 3 and all(FIRST_TAGGED <= n < FIRST_TAGGED + MOST_TAGGED for n in numbers)
    assert inner.line is not None and inner.line.tags == (30, 7)
    assert inner.line.outer not in (0, *numbers)
    assert lte.line is not None and (lte.line.port, lte.line.tags, lte.line.outer) == (1, (20,), 0)
    assert len({waypoint.id for waypoint in waypoints(site)}) == 5


def test_no_switch_is_looked_for_at_a_port_that_carries_tags() -> None:
    site, _ = read()
    assert site is not None
    assert {PortRef(lte.dpid, 1) for lte in site.access_networks[0].ports} <= set(occupied_ports(site))


def ports(*written: str) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["access_networks"][0].update(ports=list(written))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("s1:1.0", Code.OUT_OF_RANGE),
        ("s1:1.4095", Code.OUT_OF_RANGE),
        ("s1:1.30.0", Code.OUT_OF_RANGE),
        ("s1:1.1.2.3", Code.BAD_VALUE),
        ("s1:1.", Code.BAD_VALUE),
        ("s1:1.-1", Code.BAD_VALUE),
        ("s1:.20", Code.BAD_VALUE),
        ("s1:1.30.7", Code.PORT_TAKEN),
        ("s1:13000.20", Code.OUT_OF_RANGE),
    ],
)
def test_what_is_no_tagged_port_is_named(written: str, code: Code) -> None:
    site, findings = read(ports(written))
    assert site is None
    assert [found.code for found in findings] == [code]


def test_a_tag_and_its_port_and_an_outer_tag_may_all_be_attachments() -> None:
    site, findings = read(ports("s1:1", "s1:1.30", "s1:1.20"))
    assert site is not None and not findings
    outer = site.access_networks[0].ports[1]
    inner = site.access_networks[1].ports[0]
    assert inner.line is not None and inner.line.outer == outer.port


@pytest.mark.parametrize("ends", [["s1:3.5", "s4:2"], ["s1:1", "s4:2"]])
def test_a_link_has_no_tag_and_no_port_that_carries_tags(ends: list[str]) -> None:
    site, findings = read(lambda data: data.update(links=[{"ports": ends}]))
    assert site is None and Code.LINK_PORT in {found.code for found in findings}


def test_a_switch_has_no_more_tagged_ports_than_have_meters() -> None:
    many = [f"s1:1.{outer}.{inner}" for outer in (100, 101) for inner in range(1, 2200)]
    site, findings = read(ports(*many))
    assert site is None and Code.OUT_OF_RANGE in {found.code for found in findings}


@pytest.mark.row("D-6.7.7")
def test_a_tagged_port_keeps_its_number_whatever_else_the_file_has() -> None:
    """Sessions of an MCP at a tagged port end when its number changes, as where another MCP is taken out meanwhile."""

    def numbers(change: Callable[[dict[str, Any]], object] | None = None) -> dict[str, int]:
        site, findings = read(change)
        assert site is not None, [str(found) for found in findings]
        found = [port for access in site.access_networks for port in access.ports]
        return {str(port): port.port for port in (*found, *(mcp.inside for mcp in site.mcps))}

    more = {"name": "more", "type": "wlan", "prefixes": ["10.3.0.0/24"], "ports": ["s1:1.21", "s1:1.22.1"]}
    before = numbers()
    assert before.items() <= numbers(lambda data: data["access_networks"].insert(0, more)).items()
    assert before.items() >= numbers(lambda data: data["access_networks"].pop(0)).items()


def test_tagged_ports_with_the_same_hash_have_numbers_of_their_own() -> None:
    tags = range(100, 160)
    assert len({stable_id(f"1.{tag}") % MOST_TAGGED for tag in tags}) < len(tags)
    site, findings = read(ports(*(f"s1:1.{tag}" for tag in tags)))
    assert site is not None and not findings
    found = [port.port for access in site.access_networks for port in access.ports if port.line]
    assert len(set(found)) == len(found)
