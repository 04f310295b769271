"""Rules that a switch holds are compared with those it should hold, whatever order the switch tells their fields in."""

from dataclasses import replace
from struct import Struct

import pytest

from steering.model.rules import OWNER, CookieKind, Rule, Table
from steering.openflow.messages.encode import flow_mod
from steering.openflow.messages.errors import MalformedMessage
from steering.openflow.switch_tables.held_rules import HeldRules

STATS = Struct("!HBx8xHHHH4xQ16x")
EPOCH = 7
COOKIE = OWNER << 56 | CookieKind.STATIC << 52 | EPOCH << 32


def rule(port: int = 1, priority: int = 10, cookie: int = COOKIE, goto: Table = Table.ROUTE) -> Rule:
    return Rule(
        Table.GUARD,
        priority,
        (("in_port", port), ("eth_type", 0x800), ("ip_proto", 6)),
        (),
        goto,
        cookie=cookie,
    )


def told(one: Rule, turned: bool = False) -> bytes:
    """As a switch tells a rule; `turned`: with its fields in another order."""
    sent = flow_mod(one)
    size = -(-int.from_bytes(sent[50:52], "big") // 8) * 8
    match, rest = sent[48 : 48 + size], sent[48 + size :]
    if turned:
        end, at, fields = int.from_bytes(match[2:4], "big"), 4, []
        while at < end:
            fields.append(match[at : at + 4 + match[at + 3]])
            at += len(fields[-1])
        match = match[:4] + b"".join(reversed(fields)) + match[end:]
    body = STATS.pack(
        48 + len(match) + len(rest), one.table, one.priority, 0, one.hard_timeout, 0, one.cookie
    )
    return body + match + rest


@pytest.mark.parametrize("turned", [False, True])
def test_what_is_right_stays(turned: bool) -> None:
    held = HeldRules()
    held.take(told(rule(1), turned) + told(rule(2), turned))
    assert held.epoch == EPOCH and len(held) == 2
    assert held.missing((rule(1), rule(2))) == () and held.rest() == []


@pytest.mark.parametrize("wanted", [rule(2), rule(priority=11)])
def test_what_is_not_wanted_is_deleted(wanted: Rule) -> None:
    held = HeldRules()
    held.take(told(rule()))
    assert held.missing((wanted,)) == (wanted,)
    (deletion,) = held.rest()
    assert deletion == flow_mod(rule(), "delete_strict") and held.rest() == []


@pytest.mark.parametrize(
    "wanted",
    [rule(cookie=COOKIE + (1 << 32)), rule(goto=Table.SESSION), replace(rule(), hard_timeout=5)],
)
def test_what_differs_is_written_over(wanted: Rule) -> None:
    """A deletion would take the new one away: a switch identifies both by the same."""
    held = HeldRules()
    held.take(told(rule()))
    assert held.missing((wanted,)) == (wanted,) and held.rest() == []


def test_rules_of_others_and_sessions_are_not_looked_at() -> None:
    held = HeldRules()
    held.take(told(rule(cookie=5)) + told(rule(cookie=OWNER << 56 | CookieKind.SESSION << 52)))
    assert len(held) == 0 and held.epoch is None and held.rest() == []


@pytest.mark.parametrize("cut", [1, 20, 47, 51, 60])
def test_a_cut_entry_is_refused(cut: int) -> None:
    with pytest.raises(MalformedMessage):
        HeldRules().take(told(rule())[:cut])


@pytest.mark.parametrize(
    ("at", "byte"), [(0, 0xFF), (1, 8), (50, 0xFF), (51, 2), (55, 0xFF), (75, 0), (74, 0xFF), (49, 0)]
)
def test_lengths_that_do_not_add_up_are_refused(at: int, byte: int) -> None:
    data = bytearray(told(rule()))
    data[at] = byte
    with pytest.raises(MalformedMessage):
        HeldRules().take(bytes(data))
