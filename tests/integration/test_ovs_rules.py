"""A real Open vSwitch takes what encode.py and templates.py write, and gives it back as it was."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from steering.model.rules import (
    COOKIE_KIND_MASK,
    OWNER,
    CookieKind,
    Meter,
    MeterBand,
    Move,
    SetField,
    Table,
)
from steering.model.session import Entry, Watch, pack_cookie
from steering.openflow.messages.encode import delete_by_cookie, flow_mod, group_mod, meter_mod
from steering.openflow.messages.flowstats import parse
from steering.openflow.messages.templates import entry_add, entry_delete
from tests.integration.ovs import Switch, switch
from tests.support.fakes.ruleforms import RuleRefused, check
from tests.support.openflow_forms import SOME_ENTRIES, WATCHED_ENTRIES, every_form, made
from tests.support.sites import Driver
from tests.support.waiting import wait_for

SESSIONS = OWNER << 56 | CookieKind.SESSION << 52
COUNT = 100_000
CPU_S = 4.0  # to parse them; some thirteen times what it takes


@pytest.fixture(scope="module")
def bridge() -> Iterator[Switch]:
    with switch() as one:
        yield one


@pytest.fixture
def ovs(bridge: Switch) -> Switch:
    assert bridge.send(delete_by_cookie(0, 0)) == []
    assert bridge.dump() == []
    return bridge


def _read(ovs: Switch):
    """Entries and hosts of the whole switch."""
    parts = [parse(0xABC, body) for body in ovs.flow_stats()]
    return [e for part in parts for e in part.entries], [h for part in parts for h in part.hosts]


def test_every_form_of_rule_is_accepted_and_deleted(ovs):
    rules = every_form()
    for rule in rules:
        assert ovs.send(flow_mod(rule)) == [], rule
    assert len(ovs.dump()) == len(rules)
    assert len(_read(ovs)[1]) == 3  # a host of each family, and one neighbour of both
    for rule in rules:
        assert ovs.send(flow_mod(rule, "delete_strict")) == [], rule
    assert ovs.dump() == []


def test_every_rule_of_a_site_is_accepted(ovs):
    for fill in Driver().fills.values():
        for group in fill.groups:
            assert ovs.send(group_mod(group)) == [], group
            assert ovs.send(group_mod(group)) == [(6, 0)]
            assert ovs.send(group_mod(group, "modify")) == []
        for band in fill.meters:
            ovs.send(meter_mod(band, "delete"))
            assert ovs.send(meter_mod(band)) == []
            assert ovs.send(meter_mod(band)) == [(12, 1)]
            assert ovs.send(meter_mod(band, "modify")) == []
        for rule in (*fill.forwarding, *fill.admission):
            check(rule)
            assert ovs.send(flow_mod(rule)) == [], rule
        leased = [rule for rule in fill.admission if rule.hard_timeout]
        assert ovs.send(b"".join(map(flow_mod, leased))) == []  # some may have run out meanwhile
        assert len(ovs.dump()) == len({rule.key for rule in (*fill.forwarding, *fill.admission)})
        ovs.send(delete_by_cookie(OWNER << 56, 0xFF << 56))
        assert ovs.dump() == []
        assert ovs.send(b"".join(group_mod(group, "delete") for group in fill.groups)) == []


@pytest.mark.parametrize(
    "rule",
    [
        made(Table.GUARD, 1, ipv4_dst="10.0.0.1"),
        made(Table.GUARD, 1, eth_type=0x0800, tcp_dst=80),
        made(Table.GUARD, 1, nw_ttl=1),
        made(Table.GUARD, 1, SetField("ipv4_dst", "10.0.0.1")),
        made(Table.GUARD, 1, Move("arp_sha", "arp_tha", 48), eth_type=0x0800),
        made(
            Table.GUARD, 1, SetField("icmpv6_type", 136), SetField("ipv6_nd_tll", "02:00:00:00:00:01"),
            eth_type=0x86DD, ip_proto=58, icmpv6_type=135,
        ),
    ],
)  # fmt: skip
def test_the_fake_table_refuses_what_the_switch_refuses(ovs, rule):
    assert ovs.send(flow_mod(rule)) != []
    with pytest.raises(RuleRefused):
        check(rule)


def test_a_lease_lasts_for_as_long_as_it_is_renewed_and_ends_by_itself(ovs):
    rule = replace(made(Table.SESSION, 65000, goto=Table.CLASSIFY, eth_type=0x0800), hard_timeout=4)
    looked = 0
    for _ in range(12):
        renewed = time.monotonic()
        assert ovs.send(flow_mod(rule)) == []
        there = ovs.dump()
        if (
            time.monotonic() < renewed + rule.hard_timeout
        ):  # else it may have run out before it was looked for
            assert len(there) == 1
            looked += 1
        time.sleep(0.5)
    assert looked > 4
    wait_for(lambda: not ovs.dump(), 60)
    assert ovs.send(b"") == []  # and it told nobody


@pytest.mark.parametrize("entry", SOME_ENTRIES)
def test_an_entry_goes_only_by_its_own_cookie(ovs, entry):
    token = entry._replace(cookie=pack_cookie(0, 0, 9, 0x12345678))
    assert ovs.send(entry_add(entry) + entry_add(token)) == []
    assert [seen.entry for seen in _read(ovs)[0]] == [token]
    assert ovs.send(entry_delete(entry)) == []
    assert [seen.entry for seen in _read(ovs)[0]] == [token]
    assert ovs.send(entry_delete(token)) == []
    assert ovs.dump() == []


@pytest.mark.row("D-6.4h")
@pytest.mark.parametrize("entry", WATCHED_ENTRIES)
def test_a_watched_entry_is_accepted_read_back_and_rests_under_its_own_match(ovs, entry):
    band = MeterBand(Meter.WATCH, 10, 10)
    ovs.send(meter_mod(band, "delete"))
    assert ovs.send(meter_mod(band) + entry_add(entry)) == []
    assert [seen.entry for seen in _read(ovs)[0]] == [entry]
    resting = entry._replace(watch=Watch.NOTHING, cookie=entry.cookie ^ 1)
    assert ovs.send(entry_add(resting)) == []
    assert [seen.entry for seen in _read(ovs)[0]] == [resting]
    assert ovs.send(entry_add(entry) + entry_delete(entry)) == [] and ovs.dump() == []


def test_entries_are_read_the_short_way(ovs, monkeypatch):
    """The layout that flowstats takes for the usual one is the one that this switch sends."""
    assert ovs.send(b"".join(map(entry_add, SOME_ENTRIES))) == []
    monkeypatch.setattr("steering.openflow.messages.flowstats._any_entry", None)
    assert {seen.entry for seen in _read(ovs)[0]} == set(SOME_ENTRIES)


def _read_back(ovs: Switch) -> tuple[float, float, float, list[Entry]]:
    """Seconds to read, to parse, of processor for parsing; the entries."""
    start = time.perf_counter()
    bodies = ovs.flow_stats(Table.SESSION, SESSIONS, COOKIE_KIND_MASK)
    read, before = time.perf_counter(), time.process_time()
    seen = [one.entry for body in bodies for one in parse(0xABC, body).entries]
    return read - start, time.perf_counter() - read, time.process_time() - before, seen


def test_hundred_thousand_entries(ovs, capsys):
    entries = [
        Entry(0xABC, 1, 4, n.to_bytes(4, "big"), b"\x0a\x09\0\1", 1024 + n % 60000, 443, 7, 0, SESSIONS | n)
        for n in range(0x0A000000, 0x0A000000 + COUNT)
    ]
    other = made(Table.SESSION, 1, eth_type=0x0800)
    data = flow_mod(other) + b"".join(map(entry_add, entries))
    start = time.perf_counter()
    assert ovs.send(data) == []
    written = time.perf_counter() - start
    rounds = [_read_back(ovs) for _ in range(3)]  # the best of three: the machine has other work
    read, parsed, computing, seen = min(rounds, key=lambda one: one[0] + one[1])
    with capsys.disabled():
        print(
            f"\n{COUNT} entries: written {written:.2f} s, read {read:.2f} s, parsed {parsed:.2f} s "
            f"({computing:.2f} s of processor)"
        )
    assert sorted(seen) == entries
    assert computing < CPU_S
    assert ovs.send(delete_by_cookie(SESSIONS, COOKIE_KIND_MASK)) == []
    assert len(ovs.dump()) == 1


def test_deleting_by_cookie_leaves_the_others(ovs):
    rules = [
        made(Table.ROUTE, n, eth_type=0x0800, cookie=cookie) for n, cookie in enumerate((0, 5 << 40, 6 << 40))
    ]
    assert ovs.send(b"".join(map(flow_mod, rules))) == []
    assert ovs.send(delete_by_cookie(5 << 40, 0xFF << 40)) == []
    assert len(ovs.dump()) == 2


def test_a_meter_that_is_missing(ovs):
    assert ovs.send(meter_mod(MeterBand(0x1_FFFF, 10, 10), "modify")) == [(12, 3)]
