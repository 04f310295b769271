"""One test for each thing that can be wrong with a site; each must name its code, and its line."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from steering.core.network.site_index import SiteMap
from steering.model.network import PortRef, Site, waypoint_id, waypoints
from steering.model.numbers import stable_id
from steering.policy import Code, Finding, parse_site
from steering.policy.checks import site_topology

Parsed = tuple[Site | None, list[Finding]]
Spoiled = Callable[[Callable[[dict[str, Any]], object]], Parsed]


def collision(first: str, number_of: Callable[[str], int]) -> str:
    """A name that makes the same 16-bit number as `first`."""
    wanted = number_of(first)
    return next(name for n in count() if number_of(name := f"m{n}") == wanted)


MCP = {"type": "on-path", "addresses": ["10.8.7.2"], "source_mode": "transparent"}
ACCESS = {"name": "third", "type": "fixed"}


def put(section: str, **fields: Any) -> Callable[[dict[str, Any]], object]:
    """Change fields of the first item of a section; None takes one out."""

    def change(data: dict[str, Any]) -> None:
        for key, value in fields.items():
            if value is None:
                data[section][0].pop(key)
            else:
                data[section][0][key] = value

    return change


def add(section: str, *parts: dict[str, Any], **fields: Any) -> Callable[[dict[str, Any]], object]:
    def change(data: dict[str, Any]) -> None:
        item: dict[str, Any] = {}
        for part in parts:
            item |= part
        data.setdefault(section, []).append(item | fields)

    return change


def top(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.update(fields)


def links(*pairs: str, **more: Any) -> Callable[[dict[str, Any]], object]:
    return top(links=[{"ports": pair.split()} for pair in pairs], **more)


STAR = ("s1:9 s3:11", "s2:9 s3:12", "s4:9 s3:13")

CASES = [
    # code, words of the message, change
    (Code.UNKNOWN_KEY, "unknown key 'prio'", put("access_networks", prio=1)),
    (Code.MISSING_KEY, "key 'addresses' is missing", put("mcps", addresses=None)),
    (Code.MISSING_KEY, "key 'site' is missing", lambda data: data.pop("site")),
    (Code.UNSUPPORTED, "version '2'", top(site=2)),
    (Code.WRONG_TYPE, "version", top(site=True)),
    (Code.WRONG_TYPE, "ports must be a list", put("access_networks", ports="s1:1")),
    (Code.WRONG_TYPE, "must be a name", put("mcps", name=5)),
    (Code.WRONG_TYPE, "must be keys and values", top(mcps=[7])),
    (Code.WRONG_TYPE, "discover must be true or false", top(discover="maybe")),
    (Code.WRONG_TYPE, "sessions must be a whole number", put("mcps", capacity={"sessions": 1.5})),
    (Code.BAD_VALUE, "is no name", put("mcps", name="a b")),
    (Code.BAD_VALUE, "is no name", put("mcps", name="x" * 64)),
    (Code.BAD_VALUE, "is none of cellular", put("access_networks", type="cellullar")),
    (Code.BAD_VALUE, "is none of operator", put("access_networks", trust="me")),
    (Code.BAD_VALUE, "is none of on-path", put("mcps", type="offpath")),
    (Code.BAD_VALUE, "is none of steered", put("mcps", interception="none")),
    (Code.BAD_VALUE, "is no IP address", put("mcps", addresses=["10.8.0.256"])),
    (Code.BAD_VALUE, "a network can route", put("mcps", addresses=["127.0.0.1"])),
    (Code.BAD_VALUE, "a network can route", put("mcps", addresses=["fe80::1"])),
    (Code.BAD_VALUE, "a network can route", put("mcps", addresses=["ff02::1"])),
    (Code.BAD_VALUE, "is no prefix", put("access_networks", prefixes=["10.1.0.0"])),
    (Code.BAD_VALUE, "is no prefix", put("access_networks", prefixes=["10.1.0.0/255.255.255.0"])),
    (Code.BAD_VALUE, "is no IP prefix", put("access_networks", prefixes=["10.1.0.0/33"])),
    (Code.BAD_VALUE, "bits set beyond", put("access_networks", prefixes=["10.1.0.7/24"])),
    (Code.BAD_VALUE, "can route", put("access_networks", prefixes=["ff00::/8"])),
    (Code.BAD_VALUE, "no room", put("access_networks", prefixes=["10.1.0.0/31"])),
    (Code.BAD_VALUE, "no room", put("access_networks", prefixes=["fd00:1::/128"])),
    (Code.BAD_VALUE, "is no switch port", put("mcps", port="s3")),
    (Code.BAD_VALUE, "is no switch port", put("mcps", port="s3:x")),
    (Code.OUT_OF_RANGE, "port number 0", put("mcps", port="s3:0")),
    (Code.OUT_OF_RANGE, "port number 65280", put("mcps", port="s3:65280")),
    (Code.BAD_VALUE, "is no datapath id", top(switches={"s3": "zz"})),
    (Code.OUT_OF_RANGE, "datapath id", top(switches={"s3": 0})),
    (Code.BAD_VALUE, "is no name", top(switches={"s 3": 3})),
    (Code.BAD_VALUE, "is no port and no range", put("mcps", tcp_ports=["http"])),
    (Code.BAD_VALUE, "ends before it begins", put("mcps", tcp_ports=["8010-8000"])),
    (Code.OUT_OF_RANGE, "leaves the port numbers", put("mcps", tcp_ports=[65536])),
    (Code.OUT_OF_RANGE, "sessions must be at least 1", put("mcps", capacity={"sessions": 0})),
    (Code.OUT_OF_RANGE, "sessions must be at least 1", put("mcps", capacity={"sessions": -5})),
    (Code.OUT_OF_RANGE, "addresses must hold at least 1", put("mcps", addresses=[])),
    (Code.OUT_OF_RANGE, "weight must be greater than 0", top(links=[{"ports": ["s1:9", "s3:9"], "weight": 0}])),
    (Code.OUT_OF_RANGE, "weight must be greater than 0", top(links=[{"ports": ["s1:9", "s3:9"], "weight": -1}])),
    (Code.OUT_OF_RANGE, "ports must hold at least 2", top(links=[{"ports": ["s1:9"]}])),
    (Code.DUPLICATE_NAME, "'lte'", add("mcps", MCP, name="lte", port="s5:1")),
    (Code.DUPLICATE_NAME, "another MCP", add("mcps", MCP, name="core", port="s5:1")),
    (Code.UNKNOWN_SWITCH, "no switch is called 'edge'", put("mcps", port="edge:1")),
    (Code.UNKNOWN_SWITCH, "no switch is called 's03'", put("mcps", port="s03:1")),
    (Code.UNKNOWN_SWITCH, "no switch is called 's0'", put("mcps", port="s0:1")),
    (Code.DUPLICATE_SWITCH, "are datapath 0x4d", top(switches={"a": 77, "b": "4d"})),
    (Code.DUPLICATE_SWITCH, "are datapath 0x3", top(switches={"core": 3})),
    (Code.UNREACHABLE_SWITCH, "MCP 'far' is at switch 's9'", lambda d: (links(*STAR)(d), add("mcps", MCP, name="far", port="s9:1")(d))),
    (Code.UNREACHABLE_SWITCH, "no link joins switch 'spare'", links(*STAR, switches={"spare": 77})),
    (Code.UNREACHABLE_SWITCH, "which no link joins", links(*STAR[:2])),
    (Code.PORT_TAKEN, "port s1:1, which access network 'lte' has", put("mcps", port="s1:1")),
    (Code.PORT_TAKEN, "port s1:1", put("access_networks", ports=["s1:1", "s1:1"])),
    (Code.LINK_PORT, "is the port of MCP 'core'", links("s1:9 s3:1", *STAR[1:])),
    (Code.LINK_PORT, "is in two links", links("s1:9 s3:11", "s2:9 s3:11", STAR[2])),
    (Code.LINK_PORT, "may have a link and is the port of access network 'lte'", top(link_ports=["s1:9", "s1:1"])),
    (Code.UNKNOWN_SWITCH, "no switch is called 'core'", top(link_ports=["core:1"])),
    (Code.LINK_LOOP, "leads back", links("s1:7 s1:8", *STAR)),
    (Code.MCP_PORTS, "either 'port' or 'ports'", put("mcps", port=None)),
    (Code.MCP_PORTS, "either", put("mcps", ports={"inside": "s3:2", "outside": "s3:3"})),
    (Code.MCP_PORTS, "stands in line", put("mcps", interception="self")),
    (Code.MCP_PORTS, "write 'port'", put("mcps", port=None, ports={"inside": "s3:2", "outside": "s3:2"})),
    (Code.OVERLAPPING_PREFIX, "is 10.1.0.0/24 of", add("access_networks", ACCESS, prefixes=["10.1.0.0/24"], ports=["s7:1"])),
    (Code.OVERLAPPING_PREFIX, "lies in 10.1.0.0/24", add("access_networks", ACCESS, prefixes=["10.1.0.64/26"], ports=["s7:1"])),
    (Code.OVERLAPPING_PREFIX, "lies in 10.2.0.0/15", add("access_networks", ACCESS, prefixes=["10.2.0.0/15"], ports=["s7:1"])),
    (Code.OVERLAPPING_PREFIX, "lies in fd00:1::/64", put("gateways", prefixes=["fd00:1::/80"])),
    (Code.OVERLAPPING_PREFIX, "of access network 'lte'", put("access_networks", prefixes=["10.1.0.0/24", "10.1.0.0/25"])),
    (Code.OVERLAPPING_PREFIX, "only a gateway can", put("access_networks", prefixes=["0.0.0.0/0"], gateways=["10.1.0.1"])),
    (Code.OVERLAPPING_PREFIX, "0.0.0.0/0", lambda d: [add("gateways", name=n, prefixes=["0.0.0.0/0"], gateways=["192.0.2.1"], ports=[p])(d) for n, p in (("a", "s4:5"), ("b", "s4:6"))]),
    (Code.MCP_IN_PREFIX, "lies in 10.1.0.0/24", put("mcps", addresses=["10.1.0.77"])),
    (Code.MCP_IN_PREFIX, "lies in 10.9.0.0/24 of gateway", put("mcps", addresses=["10.9.0.77"])),
    (Code.DUPLICATE_ADDRESS, "which MCP 'core' has", add("mcps", MCP, name="two", port="s5:1", addresses=["10.8.0.2"])),
    (Code.GATEWAY_OUTSIDE_PREFIX, "in none of its prefixes", put("access_networks", gateways=["10.1.0.1", "fd00:1::1", "10.3.0.1"])),
    (Code.GATEWAY_MISSING, "fd00:1::/64 of access network 'lte' has no gateway", put("access_networks", gateways=["10.1.0.1"])),
    (Code.GATEWAY_MISSING, "0.0.0.0/0 of gateway 'internet'", put("gateways", prefixes=["0.0.0.0/0"])),
    (Code.GATEWAY_MISSING, "no IPv6 gateway", put("mcps", gateways=["10.8.0.1"])),
    (Code.BAD_VALUE, "more than one gateway", put("access_networks", gateways=["10.1.0.1", "10.1.0.9", "fd00:1::1"])),
    (Code.BAD_VALUE, "cannot be a machine's", put("access_networks", gateways=["10.1.0.0", "fd00:1::1"])),
    (Code.BAD_VALUE, "cannot be a machine's", put("access_networks", gateways=["10.1.0.255", "fd00:1::1"])),
    (Code.CONTRADICTION, "counts with 'hosts: static' alone", put("access_networks", static_hosts=[{"address": "10.1.0.2", "port": "s1:1"}])),
    (Code.CONTRADICTION, "names none", put("access_networks", hosts="static")),
    (Code.CONTRADICTION, "needs both", put("access_networks", hosts="dhcp")),
    (Code.CONTRADICTION, "needs both", put("access_networks", dhcp_ports=["s1:1"])),
    (Code.UNKNOWN_PORT, "no DHCP server of it is there", put("access_networks", hosts="dhcp", dhcp_ports=["s2:1"])),
    (Code.UNKNOWN_PORT, "s2:1 of host 10.1.0.2 is no port", put("access_networks", hosts="static", static_hosts=[{"address": "10.1.0.2", "port": "s2:1"}])),
    (Code.BAD_VALUE, "host 10.3.0.2 is in none of the prefixes", put("access_networks", hosts="static", static_hosts=[{"address": "10.3.0.2", "port": "s1:1"}])),
    (Code.DUPLICATE_ADDRESS, "is the virtual gateway", put("access_networks", hosts="static", static_hosts=[{"address": "10.1.0.1", "port": "s1:1"}])),
    (Code.DUPLICATE_ADDRESS, "names host 10.1.0.2 twice", put("access_networks", hosts="static", static_hosts=[{"address": "10.1.0.2", "port": "s1:1"}] * 2)),
    (Code.BAD_VALUE, "is no MAC", put("access_networks", hosts="static", static_hosts=[{"address": "10.1.0.2", "port": "s1:1", "mac": "02:00"}])),
    (Code.BAD_VALUE, "the MAC of no machine", put("access_networks", hosts="static", static_hosts=[{"address": "10.1.0.2", "port": "s1:1", "mac": "01:00:5e:00:00:01"}])),
    (Code.BAD_VALUE, "only access networks have static ones", put("gateways", hosts="static")),
    (Code.OUT_OF_RANGE, "addresses_per_host must be at least 1", put("access_networks", addresses_per_host=0)),
    (Code.UNKNOWN_MCP, "no MCP is called 'cor'", add("virtual_addresses", address="10.8.9.9", mcps=["cor"])),
    (Code.DUPLICATE_NAME, "has MCP 'core' twice", add("virtual_addresses", address="10.8.9.9", mcps=["core", "core"])),
    (Code.DUPLICATE_ADDRESS, "the own address of MCP 'core'", add("virtual_addresses", address="10.8.0.2", mcps=["core"])),
    (Code.DUPLICATE_ADDRESS, "a virtual gateway of access network 'lte'", add("virtual_addresses", address="10.1.0.1", mcps=["core"])),
    (Code.DUPLICATE_ADDRESS, "is given already", top(virtual_addresses=[{"address": "10.8.9.9", "mcps": ["core"]}] * 2)),
    (Code.MCP_IN_PREFIX, "lies in 10.9.0.0/24 of gateway", add("virtual_addresses", address="10.9.0.9", mcps=["core"])),
    (Code.OUT_OF_RANGE, "mcps must hold at least 1", add("virtual_addresses", address="10.8.9.9", mcps=[])),
    (Code.OUT_OF_RANGE, "port must be at most 65535", add("virtual_addresses", address="10.8.9.9", mcps=["core"], port=65536)),
    (Code.GATEWAY_IS_MCP, "default gateway 10.8.0.1", put("mcps", addresses=["10.8.0.1"])),
    (Code.GATEWAY_IS_MCP, "virtual gateway 10.8.0.2", put("mcps", gateways=["10.8.0.2", "fd00:8::1"])),
    (Code.GATEWAY_IN_PREFIX, "lies in 10.1.0.0/24", put("mcps", gateways=["10.1.0.9", "fd00:8::1"])),
    (Code.NEXT_HOP, "in none of its prefixes", put("gateways", next_hops=["10.10.0.9"])),
    (Code.BAD_VALUE, "name its port, fe80::1%SWITCH:PORT", put("gateways", next_hops=["fe80::1"])),
    (Code.BAD_VALUE, "only such a one needs a port", put("gateways", next_hops=["10.9.0.9%s4:1"])),
    (Code.BAD_VALUE, "is no switch port", put("gateways", next_hops=["fe80::1%eth0"])),
    (Code.NEXT_HOP, "is behind none of its ports", put("gateways", prefixes=["fd00:9::/64"], next_hops=["fe80::1%s4:9"])),
    (Code.NEXT_HOP, "which has no IPv6 prefix", put("gateways", prefixes=["10.9.0.0/24"], next_hops=["fe80::1%s4:1"])),
    (Code.NEXT_HOP, "its own virtual gateway", put("gateways", next_hops=["10.9.0.1"])),
    (Code.NEXT_HOP, "lies in 10.1.0.0/24", put("gateways", prefixes=["0.0.0.0/0"], gateways=["192.0.2.1"], next_hops=["10.1.0.9"])),
    (Code.UNKNOWN_ACCESS, "reached from access network 'lt'", put("mcps", access_networks=["lt"])),
    (Code.OUT_OF_RANGE, "access_networks must hold at least 1", put("mcps", access_networks=[])),
    (Code.BAD_VALUE, "is no name", put("mcps", location="small cell")),
    (Code.NOT_PUBLIC, "list it under 'addresses'", put("mcps", public_addresses=["203.0.113.2"])),
    (Code.NOT_PUBLIC, "10.8.0.2, a private", put("mcps", public_addresses=["10.8.0.2"])),
    (Code.NOT_PUBLIC, "fd00:8::2, a private", put("mcps", public_addresses="fd00:8::2")),
    (Code.NO_ACCESS_NETWORK, "no access network", lambda data: data.pop("access_networks")),
    (Code.NO_GATEWAY, "no gateway", top(gateways=[])),
]  # fmt: skip


@pytest.mark.parametrize(("code", "words", "change"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)])
def test_one_mistake_is_one_finding(
    spoiled: Spoiled, code: Code, words: str, change: Callable[[dict[str, Any]], object]
) -> None:
    site, findings = spoiled(change)
    assert site is None
    assert [f.code for f in findings] == [code], [str(f) for f in findings]
    assert words in findings[0].message
    assert str(findings[0]).startswith(f"site.yaml:{findings[0].line}: ")


def test_the_good_site_is_good(spoiled: Spoiled) -> None:
    site, findings = spoiled(lambda data: None)
    assert site is not None and findings == []


def test_a_site_without_mcps_is_a_site(spoiled: Spoiled) -> None:
    for nothing in (top(mcps=[]), lambda data: data.pop("mcps")):
        site, findings = spoiled(nothing)
        assert site is not None and site.mcps == () and findings == []


def test_mcps_whose_names_have_one_hash_have_two_numbers(spoiled: Spoiled) -> None:
    twin = collision("core", stable_id)
    site, findings = spoiled(add("mcps", MCP, name=twin, port="s5:1"))
    assert site is not None and not findings
    core, other = site.mcps
    assert core.id == stable_id("core") != other.id and site.numbers.mcps == {"core": core.id, twin: other.id}


def test_waypoints_whose_names_have_one_hash_have_two_numbers(spoiled: Spoiled) -> None:
    wanted = waypoint_id("lte", PortRef(1, 1))
    twin = next(n for i in count() if waypoint_id(n := f"a{i}", PortRef(7, 1)) == wanted)
    change = add("access_networks", ACCESS, name=twin, prefixes=["10.3.0.0/24"], ports=["s7:1"])
    site, findings = spoiled(change)
    assert site is not None and not findings
    ids = [waypoint.id for waypoint in waypoints(site)]
    assert len(set(ids)) == len(ids) == len(SiteMap(site).by_waypoint)


def test_more_ports_than_there_are_waypoint_numbers(
    spoiled: Spoiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_topology, "NUMBERS", 4)
    assert spoiled(lambda data: None)[1] == []
    site, findings = spoiled(add("mcps", MCP, name="more", port="s5:1"))
    assert site is None and [f.code for f in findings] == [Code.OUT_OF_RANGE]


def test_a_large_site_is_a_site() -> None:
    """256 MCPs, 1,000 gateways and 5,000 switches, each with an access network."""
    numbers = range(5_000)
    data = {
        "site": 1,
        "discover": True,
        "access_networks": [
            {**ACCESS, "name": f"a{n}", "prefixes": [f"10.{n >> 8}.{n & 255}.0/24"], "ports": [f"s{n + 1}:1"]}
            for n in numbers
        ],
        "gateways": [
            {
                "name": f"g{n}",
                "prefixes": [f"172.{16 + (n >> 8)}.{n & 255}.0/24"],
                "ports": [f"s{n * 5 + 1}:2"],
            }
            for n in numbers[:1_000]
        ],
        "mcps": [
            {**MCP, "name": f"m{n}", "port": f"s{n * 19 + 1}:3", "addresses": [f"192.168.{n}.2"]}
            for n in numbers[:256]
        ],
    }
    site, findings = parse_site(json.dumps(data), "site.yaml")
    assert site is not None and not findings
    sitemap = SiteMap(site)
    assert len(sitemap.by_waypoint) == 6_256 and len(sitemap.mcps) == 256


@pytest.mark.row("N-5.4.0")
def test_the_source_mode_has_no_default(good: str) -> None:
    site, findings = parse_site(good.replace(", source_mode: transparent", ""), "site.yaml")
    assert site is None
    assert [str(f) for f in findings] == ["site.yaml:8: key 'source_mode' is missing"]


@pytest.mark.row("N-5.4.0")
def test_other_source_modes_are_unknown(good: str) -> None:
    _, (finding,) = parse_site(good.replace("transparent", "transparant"), "site.yaml")
    assert (finding.code, finding.suggestion) == (Code.BAD_VALUE, "transparent")


def test_everything_is_found_at_once(good: str) -> None:
    text = (
        good.replace("ports: [s2:1]", "ports: [s1:1]")
        .replace("prefixes: [10.9.0.0/24]", "prefixes: [10.1.0.0/25]")
        .replace("site: 1", "site: 1\nswiches: {}")
        .replace("type: off-path", "type: offpath")
    )
    _, findings = parse_site(text, "s.yaml")
    assert [(f.line, f.code) for f in findings] == [
        (2, Code.UNKNOWN_KEY),
        (5, Code.PORT_TAKEN),
        (7, Code.OVERLAPPING_PREFIX),
        (9, Code.BAD_VALUE),
    ]
    assert str(findings[0]) == "s.yaml:2: unknown key 'swiches' (did you mean 'switches'?)"


def test_a_misspelt_key_is_said_once(good: str) -> None:
    _, findings = parse_site(good.replace("wlan, trust: third-party, prefixes", "wlan, prefix"), "s.yaml")
    assert [str(f) for f in findings] == ["s.yaml:4: unknown key 'prefix' (did you mean 'prefixes'?)"]
    assert findings[0].column == good.splitlines()[3].index(" trust") + 2


def test_a_broken_item_does_not_hide_or_invent_others(good: str) -> None:
    """The only gateway is unreadable: said once, and `no gateway` is not claimed."""
    _, findings = parse_site(good.replace("internet, prefixes", "internet, color: red, prefixes"), "s.yaml")
    assert [f.code for f in findings] == [Code.UNKNOWN_KEY]


def test_a_policy_file_is_not_a_site_file() -> None:
    _, findings = parse_site("policy: 1\n", "p.yaml")
    assert [f.code for f in findings] == [Code.WRONG_FILE]


def test_without_links_and_discovery_nothing_is_reached(spoiled: Spoiled) -> None:
    site, findings = spoiled(top(discover=False))
    assert site is None
    assert [f.code for f in findings] == [Code.UNREACHABLE_SWITCH] * 3


def test_one_switch_needs_no_link(good: str) -> None:
    text = good.replace("s2:1", "s1:2").replace("s3:1", "s1:3").replace("s4:1", "s1:4")
    site, findings = parse_site(text + "links: []\n", "site.yaml")
    assert findings == [] and site is not None and not site.discover


@pytest.mark.parametrize("key", ["colour: blue, prefixes", "prefixs"])
def test_an_unknown_key_hides_nothing_else_of_its_item(key: str) -> None:
    """A key that means nothing is left out alone; a misspelt one counts as the one that was meant."""
    text = (
        "site: 1\naccess_networks:\n"
        "  - {name: lte, type: cellular, trust: operator, prefixes: [10.1.0.0/24], ports: [s1:1]}\n"
        f"  - {{name: wlan, type: wlan, trust: operator, {key}: [10.1.0.128/25], ports: [s1:1]}}\n"
        "gateways: [{name: internet, prefixes: [10.9.0.0/24], ports: [s4:1]}]\n"
        "mcps: [{name: core, type: off-path, port: s3:1, interception: steered, addresses: [10.8.0.2],"
        " source_mode: transparent, capacity: {sessions: 10}}]\n"
    )
    site, findings = parse_site(text, "site.yaml")
    assert site is None
    assert {(f.code, f.line) for f in findings} == {
        (Code.UNKNOWN_KEY, 4),
        (Code.OVERLAPPING_PREFIX, 4),
        (Code.PORT_TAKEN, 4),
    }, [str(f) for f in findings]


def test_what_a_misspelt_key_holds_may_be_wrong_too() -> None:
    text = (
        "site: 1\naccess_networks:\n"
        "  - {name: lte, type: cellular, trust: operator, prefixes: [10.1.0.0/24], ports: [s1:1]}\n"
        "  - {name: wlan, type: wlan, trust: operator, prefixs: [nonsense], ports: [s1:1]}\n"
        "gateways: [{name: internet, prefixes: [10.1.0.0/16], ports: [s4:1]}]\n"
        "mcps: [{name: core, type: off-path, port: s3:1, interception: steered, addresses: [10.8.0.2],"
        " source_mode: transparent, capacity: {sessions: 10}}]\n"
    )
    _, findings = parse_site(text, "site.yaml")
    assert {(f.code, f.line) for f in findings} == {(Code.UNKNOWN_KEY, 4), (Code.OVERLAPPING_PREFIX, 3)}
