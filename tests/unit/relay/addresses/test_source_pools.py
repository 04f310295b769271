"""What each source mode gives: to whom, how long, and what it refuses."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network

import pytest

from steering.relay.addresses.source_pools import (
    AddressMapping,
    MappingObserver,
    NoSource,
    SourceBinding,
    SourcePools,
)
from steering.relay.counters import RelayCounters
from steering.relay.model import NoSourceReason
from steering.relay.options.relay_options import parse_source
from steering.relay.options.source_mode import SourceOptions

SERVER, SERVER6 = ("10.9.0.2", 80), ("fd00:9::2", 80)


def configured(*modes: str, pools: Sequence[str] = (), ratio: int = 1, **more: str) -> SourceOptions:
    return parse_source(list(modes), list(pools), [], str(ratio), **more)  # type: ignore[arg-type]


def sources(options: SourceOptions, pick: Callable[[int], int] = lambda size: 0) -> SourcePools:
    return SourcePools(options, pick)


def refused(
    made: SourcePools, client: tuple[str, int], server: tuple[str, int], now: float = 0
) -> NoSourceReason:
    with pytest.raises(NoSource) as caught:
        made.bind(client, server, now)
    return caught.value.reason


@pytest.mark.row("N-5.4.1c", "N-5.4.1.3", "N-5.4.1a")
def test_preserving_modes_give_the_hosts_own_address_and_need_no_table() -> None:
    for modes in (["transparent"], ["ipv4=transparent", "ipv6=ipv6-address"]):
        made = sources(configured(*modes))
        assert made.bind(("10.1.0.2", 5000), SERVER, 0) == SourceBinding("10.1.0.2", 5000, None)
        assert made.bind(("fd00:1::2", 5000), SERVER6, 0) == SourceBinding("fd00:1::2", 5000, None)
        assert made.mappings() == [] and made.document() == {}


@pytest.mark.row("N-5.4.2.1a", "D-6.7.2")
def test_shared_gives_disjoint_blocks_and_the_fifth_subscriber_the_next_address() -> None:
    made = sources(configured("shared", pools=["192.0.2.0/31"], ratio=4))
    blocks: dict[str, list[tuple[int, int]]] = {}
    for number in range(8):
        mapping = made.bind((f"10.1.0.{number}", 5000), SERVER, 0).mapping
        assert mapping is not None
        blocks.setdefault(mapping.external, []).append((mapping.first, mapping.last))
    per_address = [(1024 + n * 16128, 1024 + (n + 1) * 16128 - 1) for n in range(4)]
    assert blocks == {"192.0.2.0": per_address, "192.0.2.1": per_address}
    assert per_address[-1][1] == 65535
    assert refused(made, ("10.1.0.9", 5000), SERVER) is NoSourceReason.POOL


@pytest.mark.row("N-5.4.2.1a")
def test_ports_of_a_block_are_one_a_session_and_come_back() -> None:
    made = sources(configured("shared", pools=["192.0.2.1/32"], ratio=1008), pick=lambda size: size - 1)
    bound = [made.bind(("10.1.0.2", n), SERVER, 0) for n in range(64)]
    assert sorted(b.port for b in bound) == list(range(1024, 1088)) and bound[0].port == 1087
    assert refused(made, ("10.1.0.2", 99), SERVER) is NoSourceReason.PORTS
    assert made.document()["ipv4"]["sessions"] == 64
    made.release(bound[7], 1)
    assert made.bind(("10.1.0.2", 99), SERVER, 1).port == bound[7].port


@pytest.mark.row("N-5.4.2.2")
def test_one_to_one_is_stable_across_sessions_and_refuses_when_it_is_used_up() -> None:
    made = sources(configured("one-to-one", pools=["192.0.2.0/31"]))
    first = made.bind(("10.1.0.2", 5000), SERVER, 0)
    second = made.bind(("10.1.0.3", 5000), SERVER, 0)
    assert {first.address, second.address} == {"192.0.2.0", "192.0.2.1"} and first.port == 5000
    assert refused(made, ("10.1.0.4", 5000), SERVER) is NoSourceReason.POOL
    made.release(first, 10)
    assert made.bind(("10.1.0.2", 6000), SERVER, 3000).address == first.address
    # The same host finds the same address in a relay that was started anew.
    again = sources(configured("one-to-one", pools=["192.0.2.0/31"]))
    assert again.bind(("10.1.0.2", 1), SERVER, 0).address == first.address


@pytest.mark.row("N-5.4.2.2")
def test_only_what_was_idle_for_the_hold_time_is_given_to_another() -> None:
    made = sources(configured("one-to-one", pools=["192.0.2.7/32"], hold="120"))
    bound = made.bind(("10.1.0.2", 5000), SERVER, 0)
    assert refused(made, ("10.1.0.3", 1), SERVER, 500) is NoSourceReason.POOL  # in use
    made.release(bound, 1000)
    assert refused(made, ("10.1.0.3", 1), SERVER, 1119) is NoSourceReason.POOL
    assert made.bind(("10.1.0.3", 1), SERVER, 1120).address == "192.0.2.7"


@pytest.mark.row("N-5.4.2.2")
@pytest.mark.parametrize("set_by", [-1_000_000.0, 1_000_000.0])
def test_a_clock_that_is_set_changes_nothing_of_the_hold_time(set_by: float) -> None:
    made = sources(configured("one-to-one", pools=["192.0.2.7/32"], hold="120"))
    bound = made.bind(("10.1.0.2", 5000), SERVER, 2e9, 1_000.0)
    made.release(bound, 2e9, 1_000.0)
    now = 2e9 + set_by
    with pytest.raises(NoSource):
        made.bind(("10.1.0.3", 1), SERVER, now, 1_119.0)
    taken = made.bind(("10.1.0.3", 1), SERVER, now, 1_120.0)
    assert taken.mapping is not None and taken.mapping.begin == now


@pytest.mark.row("N-5.4.1.2a", "N-F11")
def test_ipv6_prefix_keeps_the_prefix_and_changes_the_identifier() -> None:
    made = sources(configured("ipv6-prefix", pools=["::5354:1:0:0/96"]))
    one = made.bind(("fd00:1::2", 5000), SERVER6, 0)
    two = made.bind(("fd00:2::2", 5000), SERVER6, 0)
    for bound, home in ((one, "fd00:1::/64"), (two, "fd00:2::/64")):
        assert ip_address(bound.address) in ip_network(home) and bound.port == 5000
        assert int(ip_address(bound.address)) >> 32 & 0xFFFF_FFFF == 0x5354_0001
    assert int(ip_address(one.address)) & 0xFFFF_FFFF != int(ip_address(two.address)) & 0xFFFF_FFFF
    assert made.bind(("fd00:1::2", 6000), SERVER6, 9).address == one.address
    assert configured("ipv6-prefix", pools=["::5354:1:0:0/96"]).owns(one.address)


@pytest.mark.row("N-5.4.1.2b")
def test_ipv6_prefix_takes_no_protocol_that_carries_addresses() -> None:
    made = sources(configured("ipv6-prefix", pools=["::5354:1:0:0/96"]))
    assert refused(made, ("fd00:1::2", 5000), ("fd00:9::2", 21)) is NoSourceReason.REFERRAL
    own = sources(configured("ipv6-prefix", pools=["::5354:1:0:0/96"], referral_ports=["6667"]))  # type: ignore[arg-type]
    assert own.bind(("fd00:1::2", 5000), ("fd00:9::2", 21), 0).port == 5000
    assert refused(own, ("fd00:1::2", 5000), ("fd00:9::2", 6667)) is NoSourceReason.REFERRAL


@pytest.mark.row("N-5.4.2.3")
def test_nptv6_gives_a_prefix_for_a_prefix() -> None:
    made = sources(configured("nptv6", pools=["2001:db8:7::/56"]))
    one, two = (made.bind((f"fd00:1::{n}", 5000), SERVER6, 0) for n in (2, 3))
    assert one.mapping is two.mapping and one.mapping is not None
    assert ip_address(one.address) in ip_network(one.mapping.external)
    assert one.address != two.address and ip_network(one.mapping.external).prefixlen == 64
    other = made.bind(("fd00:2::2", 5000), SERVER6, 0)
    assert other.mapping is not None and other.mapping.external != one.mapping.external
    # fd00:1::/64 cannot map an identifier of ones only (RFC 6296 section 3.5).
    assert refused(made, ("fd00:1::ffff:ffff:ffff:ffff", 1), SERVER6) is NoSourceReason.UNMAPPABLE


@pytest.mark.row("N-5.4.2.3")
def test_nptv6_refuses_when_no_prefix_is_left() -> None:
    made = sources(configured("nptv6", pools=["2001:db8:7::/64"]))
    made.bind(("fd00:1::2", 1), SERVER6, 0)
    assert refused(made, ("fd00:2::2", 1), SERVER6) is NoSourceReason.POOL


@pytest.mark.row("D-5.1c")
def test_an_ipv6_host_shares_an_ipv4_address_by_its_prefix() -> None:
    options = configured("shared", pools=["192.0.2.1/32"], ratio=4, nat64="64:ff9b::/96")
    assert options.behind_nat64("64:ff9b::a09:2") == "10.9.0.2"
    assert options.behind_nat64("fd00:9::2") is None and options.behind_nat64("10.9.0.2") is None
    made = sources(options)
    one, two = (made.bind((f"fd00:1::{n}", 5000), SERVER, 0) for n in (2, 3))
    assert one.mapping is two.mapping and one.address == "192.0.2.1" and one.port != two.port


def test_a_family_without_a_mode_is_refused() -> None:
    made = sources(configured("shared", pools=["192.0.2.1/32"]))
    assert refused(made, ("fd00:1::2", 1), SERVER6) is NoSourceReason.FAMILY
    assert refused(sources(configured("transparent")), ("fd00:1::2", 1), SERVER) is NoSourceReason.FAMILY


def test_every_reason_has_a_counter() -> None:
    counters = RelayCounters()
    for reason in NoSourceReason:
        counters.refuse_source(reason)
        assert counters.as_dict()[f"refused_{reason.value}"] == 1


@pytest.mark.row("N-5.6.7a")
def test_mappings_are_told_of_once_and_not_for_each_session() -> None:
    told: list[tuple[str, str]] = []
    observer = MappingObserver(
        lambda mapping: told.append(("begun", mapping.internal)),
        lambda mapping, end: told.append(("ended", mapping.internal)),
    )
    options = configured("shared", pools=["192.0.2.1/32"], ratio=1, hold="60")
    made = SourcePools(options, lambda size: 0, observer)
    for n in range(100):
        made.release(made.bind(("10.1.0.2", n), SERVER, n), n)
    assert told == [("begun", "10.1.0.2")]
    made.bind(("10.1.0.3", 1), SERVER, 1000)
    assert told[1:] == [("ended", "10.1.0.2"), ("begun", "10.1.0.3")]


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steering.relay.addresses.source_pools.MAX_MAPPINGS", 10)
    made = sources(configured("ipv6-prefix", pools=["::5354:1:0:0/96"], hold="60"))
    for n in range(10):
        made.release(made.bind((f"fd00:1::{n}", 1), SERVER6, 0), 0)
    assert refused(made, ("fd00:1::99", 1), SERVER6, 59) is NoSourceReason.POOL
    assert made.bind(("fd00:1::99", 1), SERVER6, 60).mapping is not None
    assert len(made.mappings()) == 10


def test_a_mapping_that_lives_is_never_taken() -> None:
    made = sources(configured("shared", pools=["192.0.2.1/32"], ratio=2, hold="0"))
    kept = made.bind(("10.1.0.2", 1), SERVER, 0)
    seen: set[AddressMapping] = set()
    for n in range(20):
        bound = made.bind((f"10.1.1.{n}", 1), SERVER, n)
        assert bound.mapping is not None and bound.mapping is not kept.mapping
        seen.add(bound.mapping)
        made.release(bound, n)
    assert len({mapping.first for mapping in seen}) == 1
