"""Reading entries back: what Open vSwitch sends, any other form, and rubbish."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.core.inputs import ObservedEntry, ObservedHost
from steering.core.pipeline.forwarding import host_rule, transit_rules
from steering.model.rules import (
    COOKIE_KIND_MASK,
    EPOCH_MASK,
    OutputAction,
    Rule,
    SetField,
    Table,
    ToController,
    UnwildcardFlow,
    host_cookie,
    static_cookie,
)
from steering.model.session import Watch, pack_cookie
from steering.model.session_rule import session_rule
from steering.openflow.messages import flowstats
from steering.openflow.messages.encode import flow_mod
from steering.openflow.messages.errors import MalformedMessage, MessageFault
from steering.openflow.messages.flowstats import parse
from tests.support.openflow_forms import ENTRIES, REAL, SOME_ENTRIES, every_form, made


def stats(rule: Rule, packets: int = 0) -> bytes:
    """An ofp_flow_stats with match and instructions as we wrote them (another order than the switch's)."""
    rest = flow_mod(rule)[48:]
    head = struct.pack(
        "!HBxIIHHHH4xQQQ", 48 + len(rest), rule.table, 7, 8, rule.priority, 0, 0, 0, rule.cookie, packets, 9
    )
    return head + rest


def found(*rules: Rule):
    return parse(0xABC, b"".join(map(stats, rules)))


def test_what_open_vswitch_says():
    seen = parse(0xABC, REAL)
    assert seen.entries == [ObservedEntry(entry, 0) for entry in SOME_ENTRIES]
    assert (seen.hosts, seen.cookies, seen.ignored) == ([], set(), 0)


@given(st.lists(st.tuples(ENTRIES, st.integers(0, 2**64 - 1)), max_size=5))
def test_any_order_of_fields(counted):
    body = b"".join(stats(session_rule(entry), packets) for entry, packets in counted)
    assert parse(0xABC, body).entries == [ObservedEntry(entry, packets, 9) for entry, packets in counted]


def test_entries_as_we_wrote_them_need_no_reading_field_by_field(monkeypatch):
    """A switch that keeps our order of fields is swept as fast as Open vSwitch, which has its own."""
    body = b"".join(stats(session_rule(entry._replace(watch=Watch.NOTHING)), 7) for entry in SOME_ENTRIES)
    general = []
    monkeypatch.setattr(flowstats._EntryScan, "other", lambda self, part: general.append(part))
    assert [one.entry for one in parse(0xABC, body + REAL).entries] == [
        *(entry._replace(watch=Watch.NOTHING, dpid=0xABC) for entry in SOME_ENTRIES),
        *SOME_ENTRIES,
    ]
    assert not general


@given(ENTRIES)
def test_the_usual_form_is_read_as_the_general_one(entry):
    """Both ways are one reading: patch an entry into the switch's own bytes, and into ours."""
    entry = entry._replace(watch=Watch.NOTHING)
    real = next(part for part in (REAL[:152], REAL[152:]) if (len(part) == 152) == (entry.family == 4))
    size, at = (4, 62) if entry.family == 4 else (16, 62)
    patched = bytearray(real)
    patched[24:32] = entry.cookie.to_bytes(8, "big")
    patched[at : at + size] = entry.src
    patched[at + size + 4 : at + 2 * size + 4] = entry.dst
    after = at + 2 * size + 4 + 5 + 4
    patched[after : after + 2] = entry.sport.to_bytes(2, "big")
    patched[after + 6 : after + 8] = entry.dport.to_bytes(2, "big")
    patched[after + 8 + 4 + 5] = entry.role
    label = real.index(b"\x80\x00\x06\x06\x02\x53\x54") + 7
    patched[label : label + 3] = entry.waypoint.to_bytes(2, "big") + bytes([entry.path])
    assert [seen.entry for seen in parse(0xABC, bytes(patched)).entries] == [entry]
    assert [seen.entry for seen in found(session_rule(entry)).entries] == [entry]


def test_actions_besides_are_no_matter():
    """Only whether an entry copies and whether it goes on count, however it does."""
    (first, _) = SOME_ENTRIES
    rule = session_rule(first)
    copying = (ToController(6), *rule.actions, UnwildcardFlow())
    for goto, watch in ((rule.goto, Watch.COPY), (None, Watch.PUNT)):
        rule = Rule(rule.table, rule.priority, rule.match, copying, goto, None, rule.cookie)
        assert found(rule).entries == [ObservedEntry(first._replace(watch=watch), 0, 9)]


def test_hosts():
    mac = "0a:00:00:00:00:09"
    seen = found(
        host_rule(7, 77, "10.0.0.9", mac, 3),
        host_rule(7, 77, "fd00::9", mac, 3),
        *transit_rules(7, 78, mac, 4),
    )
    raw = bytes.fromhex(mac.replace(":", ""))
    assert seen.hosts == [
        ObservedHost(0xABC, 77, bytes([10, 0, 0, 9]), raw, 3),
        ObservedHost(0xABC, 77, bytes.fromhex("fd00" + "00" * 13 + "09"), raw, 3),
        ObservedHost(0xABC, 78, b"", raw, 4),
    ]
    assert seen.cookies == {host_cookie(7), static_cookie(7)} and seen.ignored == 0


def test_every_form_of_rule_is_passed_over_or_understood():
    seen = found(*every_form())
    assert len(seen.hosts) == 3 and not seen.entries and not seen.ignored
    assert all(cookie & ~(COOKIE_KIND_MASK | EPOCH_MASK) == 0 for cookie in seen.cookies)


def test_foreign_cookies_are_passed_over():
    assert found(made(Table.SESSION, 40000, cookie=0), made(Table.HOST, 1, cookie=0x1234 << 48)) == (
        [],
        [],
        set(),
        0,
    )


_SESSION = session_rule(SOME_ENTRIES[0])


@pytest.mark.parametrize(
    "rule",
    [
        Rule(Table.ROUTE, 40000, _SESSION.match, _SESSION.actions, _SESSION.goto, None, _SESSION.cookie),
        Rule(Table.SESSION, 39999, _SESSION.match, _SESSION.actions, _SESSION.goto, None, _SESSION.cookie),
        Rule(Table.SESSION, 40000, _SESSION.match, (), _SESSION.goto, None, _SESSION.cookie),
        Rule(Table.SESSION, 40000, _SESSION.match, _SESSION.actions, _SESSION.goto, None, pack_cookie(3, 0, 1, 1)),
        Rule(Table.SESSION, 40000, _SESSION.match[1:], _SESSION.actions, _SESSION.goto, None, _SESSION.cookie),
        Rule(Table.SESSION, 40000, _SESSION.match, (SetField("eth_dst", "0a:00:00:00:00:01"),), 2, None, _SESSION.cookie),
        made(Table.HOST, 1000, OutputAction(1), eth_type=0x0800, cookie=host_cookie(7)),
    ],
)  # fmt: skip
def test_our_cookie_on_another_form_is_counted(rule):
    seen = found(rule)
    assert (seen.entries, seen.hosts, seen.ignored) == ([], [], 1)


def _edited(at: int, value: bytes) -> bytes:
    return REAL[:at] + value + REAL[at + len(value) :]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (REAL[:51], MessageFault.TRUNCATED),
        (REAL[:151], MessageFault.TRUNCATED),
        (REAL + b"\0", MessageFault.TRUNCATED),
        (_edited(0, b"\0\0"), MessageFault.BAD_LENGTH),
        (_edited(0, b"\0\x33"), MessageFault.BAD_LENGTH),
        (_edited(0, b"\xff\xff"), MessageFault.TRUNCATED),
        (_edited(48, b"\0\0"), MessageFault.BAD_MATCH),
        (_edited(50, b"\0\3"), MessageFault.BAD_MATCH),
        (_edited(50, b"\xff\0"), MessageFault.BAD_MATCH),
        (_edited(55, b"\xff"), MessageFault.BAD_MATCH),
        (_edited(114, b"\0\0"), MessageFault.BAD_LENGTH),  # the instruction's length
        (_edited(114, b"\1\0"), MessageFault.TRUNCATED),
        (_edited(122, b"\0\0"), MessageFault.BAD_LENGTH),  # the action's
        (_edited(127, b"\xff"), MessageFault.BAD_LENGTH),  # the field's inside the action
    ],
)
def test_refused(body, reason):
    with pytest.raises(MalformedMessage) as refused:
        parse(0xABC, body)
    assert refused.value.reason is reason


@given(st.binary(max_size=400))
def test_any_bytes(body):
    try:
        parse(0xABC, body)
    except MalformedMessage:
        pass


@given(st.lists(st.tuples(st.integers(0, len(REAL) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_answers(damage):
    body = bytearray(REAL + b"".join(map(stats, every_form())))
    for at, value in damage:
        body[at] = value
    try:
        parse(0xABC, bytes(body))
    except MalformedMessage:
        pass
