"""Addresses among prefixes: the longest counts, families do not mix, a later entry for a prefix replaces an earlier."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from steering.model.prefix_table import PrefixTable
from steering.model.source import Identifiers


def at(text: str) -> bytes:
    return ip_address(text).packed


TABLE = PrefixTable(
    [
        (ip_network("0.0.0.0/0"), "all"),
        (ip_network("10.0.0.0/8"), "ten"),
        (ip_network("10.1.0.0/16"), "ten-one"),
        (ip_network("10.1.2.3/32"), "host"),
        (ip_network("2001:db8::/32"), "six"),
    ]
)


def test_the_longest_prefix_counts() -> None:
    found = [TABLE.of(at(a)) for a in ("10.1.2.3", "10.1.9.9", "10.9.9.9", "192.0.2.1", "2001:db8::1")]
    assert found == ["host", "ten-one", "ten", "all", "six"]


def test_all_prefixes_that_hold_an_address_come_longest_first() -> None:
    assert list(TABLE.all_of(at("10.1.2.3"))) == ["host", "ten-one", "ten", "all"]
    assert list(TABLE.all_of(at("2001:db9::1"))) == []


def test_families_do_not_mix_and_other_bytes_are_nobodys() -> None:
    assert TABLE.of(at("::10.1.2.3")) is None and TABLE.of(b"") is None and TABLE.of(bytes(6)) is None
    assert PrefixTable[str]().of(at("10.1.2.3")) is None


def test_of_two_entries_with_one_prefix_the_later_counts_and_false_is_a_value() -> None:
    net = ip_network("10.0.0.0/8")
    assert PrefixTable([(net, True), (net, False)]).of(at("10.0.0.1")) is False


def test_identifiers_are_found_by_their_bits_below_every_subnet() -> None:
    bits = Identifiers(IPv6Network("fd00:1::/48"), IPv6Network("::5:0:0:0/80"))
    table = PrefixTable([(bits, "mcp"), (ip_network("fd00:1::/48"), "access")])
    assert table.of(at("fd00:1:0:7:5::1")) == "mcp" and table.of(at("fd00:1:0:7:6::1")) == "access"


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), max_size=20),
    st.integers(0, 2**32 - 1),
)
def test_it_finds_what_a_search_of_all_finds(drawn: list[tuple[int, int]], asked: int) -> None:
    networks = [IPv4Network((value, length), strict=False) for value, length in drawn]
    address = ip_address(asked)
    holding = [n for n in networks if address in n]
    best = max(holding, key=lambda n: n.prefixlen, default=None)
    assert PrefixTable((n, n) for n in networks).of(address.packed) == best
    assert set(PrefixTable((n, n) for n in networks).all_of(address.packed)) == set(holding)
