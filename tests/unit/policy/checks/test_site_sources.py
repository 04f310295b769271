"""Source modes in a site file: what is read, and what contradicts itself."""

import pytest

from steering.model.network import Mcp, Site
from steering.model.source import SourceMode, SourceModes
from steering.policy import Code, Finding, parse_site
from steering.relay.options.source_mode import FAMILIES
from steering.relay.options.source_mode import RelaySourceMode as RelayMode

SITE = """\
site: 1
access_networks:
  - {name: lte, type: cellular, prefixes: [10.1.0.0/24, "fd00:1::/64"], ports: [s1:1]}
gateways:
  - {name: internet, prefixes: [0.0.0.0/0, "::/0"], gateways: [10.9.0.1, "fd00:9::1"], next_hops: [10.9.0.2, "fd00:9::2"], ports: [s4:1]}
mcps:
"""


def mcp(name: str, words: str) -> str:
    number = len(name)
    return (
        f'  - {{name: {name}, type: off-path, port: s3:{number}, addresses: [10.8.{number}.2, "fd00:8:{number}::2"], '
        f"{words}}}\n"
    )


def parsed(*mcps: tuple[str, str]) -> tuple[Site | None, list[Finding]]:
    return parse_site(SITE + "".join(mcp(name, words) for name, words in mcps), "site.yaml")


def read(words: str) -> Mcp:
    site, findings = parsed(("core", words))
    assert site is not None, [str(f) for f in findings]
    return site.mcps[0]


def test_the_relay_and_the_site_speak_of_the_same_modes() -> None:
    assert [mode.value for mode in SourceMode] == [mode.value for mode in RelayMode]
    for mode in SourceMode:
        assert FAMILIES[RelayMode(mode.value)] == mode.versions
        assert RelayMode(mode.value).preserves == mode.preserves


@pytest.mark.row("N-5.4.0", "N-5.4.2a")
def test_one_mode_or_one_for_each_family() -> None:
    both = SourceModes(SourceMode.TRANSPARENT, SourceMode.TRANSPARENT)
    assert read("source_mode: transparent").source_modes == both
    alone = read("source_mode: shared, pools: [192.0.2.0/28]")
    assert alone.source_modes == SourceModes(SourceMode.SHARED, None)
    mixed = read(
        'source_mode: {ipv4: shared, ipv6: nptv6}, pools: [192.0.2.1/32, "2001:db8::/56"], nat64: "64:ff9b::/96"'
    )
    assert mixed.source_modes == SourceModes(SourceMode.SHARED, SourceMode.NPTV6)
    assert [str(pool) for pool in mixed.pools] == ["192.0.2.1/32", "2001:db8::/56"]
    assert str(mixed.nat64) == "64:ff9b::/96" and mixed.referral_ports == ()


@pytest.mark.row("N-5.4.1.2b")
def test_the_prefix_mode_leaves_protocols_that_carry_addresses_alone() -> None:
    kept = read('source_mode: ipv6-prefix, pools: ["::5354:1:0:0/96"]')
    assert kept.referral_ports == ((21, 21), (554, 554), (1720, 1720), (5060, 5061))
    assert read('source_mode: ipv6-prefix, pools: ["::1:0:0/96"], referral_ports: []').referral_ports == ()


@pytest.mark.row("N-5.4.1c", "N-5.4.2a", "N-5.4.2.1a")
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (
            "source_mode: transparent, pools: [192.0.2.0/28]",
            Code.SOURCE_POOL,
            "'transparent' keeps the host's",
        ),
        ("source_mode: shared, pools: []", Code.SOURCE_POOL, "'shared' needs IPv4 addresses to give"),
        ('source_mode: nptv6, pools: ["2001:db8::/80"]', Code.SOURCE_POOL, "holds no prefix of 64 bits"),
        ('source_mode: ipv6-prefix, pools: ["2001:db8::/96"]', Code.SOURCE_POOL, "gives identifiers"),
        ("source_mode: shared, pools: [192.0.2.0/28, 192.0.2.0/30]", Code.OVERLAPPING_PREFIX, "lies in"),
        ("source_mode: shared, pools: [10.1.0.0/28]", Code.OVERLAPPING_PREFIX, "of access network 'lte'"),
        (
            "source_mode: shared, pools: [10.8.4.0/28]",
            Code.SOURCE_POOL,
            "would give its own address 10.8.4.2",
        ),
        ('source_mode: shared, pools: [192.0.2.0/28, "2001:db8::/56"]', Code.SOURCE_POOL, "no mode of IPv6"),
        ("source_mode: {ipv4: nptv6}", Code.BAD_VALUE, "'nptv6' is no mode of IPv4"),
        ("source_mode: {ipv5: shared}", Code.UNKNOWN_KEY, "unknown key 'ipv5'"),
        ("source_mode: {}", Code.BAD_VALUE, "neither 'ipv4' nor 'ipv6'"),
        ("source_mode: open", Code.BAD_VALUE, "'open' is none of transparent"),
        ('source_mode: transparent, nat64: "64:ff9b::/96"', Code.SOURCE_POOL, "'nat64' needs IPv4 addresses"),
        ('source_mode: shared, pools: [192.0.2.0/28], nat64: "64:ff9b::/64"', Code.BAD_VALUE, "of 96 bits"),
    ],
)
def test_contradictions(words: str, code: Code, says: str) -> None:
    site, findings = parsed(("core", words))
    assert site is None
    (finding,) = [f for f in findings if f.code is code]
    assert says in finding.message and finding.line == 7


@pytest.mark.row("N-5.4.2.1b")
def test_two_mcps_may_not_give_the_same() -> None:
    identifiers = 'source_mode: ipv6-prefix, pools: ["::1:0:0/%d"]'
    _, (finding,) = parsed(("one", identifiers % 96), ("three", identifiers % 104))
    assert finding.code is Code.SOURCE_POOL and "overlap with" in finding.message and finding.line == 8
    _, (finding,) = parsed(("one", "source_mode: shared, pools: [192.0.2.0/28]"),
                           ("three", "source_mode: one-to-one, pools: [192.0.2.4/32]"))  # fmt: skip
    assert finding.code is Code.OVERLAPPING_PREFIX
